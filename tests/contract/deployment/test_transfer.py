"""Songs up and results down against a stand-in for pachd: whole or not at all, whatever breaks in between."""

import io

import pytest

from ambient.deployment import upload
from ambient.deployment.cluster import Cluster
from ambient.deployment.download import download, newest_good_commit
from ambient.deployment.errors import DeployError, WentAwayError
from ambient.deployment.pachd import connect
from ambient.deployment.progress import Progress
from ambient.deployment.retry import Retry, TransientError
from ambient.deployment.songs import songs_below

REPO = "audio-unprocessed"
STANDARD = {"/a.wav": b"a" * 50, "/live-b.flac": b"b" * 30, "/sigur-ros-remix.mp3": b"r" * 100}


@pytest.fixture
def silent():
    return Progress("uploading", 180, io.StringIO())


@pytest.fixture
def songs(music):
    return songs_below(music, REPO).songs


@pytest.fixture
def impatient(server):
    """Connect a client that never tries again, as if it were killed at the first fault."""
    return connect(server.address, None, Retry(tries=1))


def test_songs_arrive_under_standard_names_in_one_commit(server, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {"/old.mp3": b"old"})
    commit = upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == {"/old.mp3": b"old"} | STANDARD
    assert [stored.id for stored in server.commits[REPO]][1:] == [commit.id]
    assert list((tmp_path / "journals").iterdir()) == []


def test_first_upload_into_an_empty_repo(server, pachd, songs, tmp_path, silent):
    server.repos[REPO], server.commits[REPO] = "", []
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == STANDARD


def test_song_larger_than_a_message_arrives_whole(server, pachd, music, tmp_path, silent):
    server.repos[REPO], server.commits[REPO] = "", []
    content = bytes(range(256)) * 20_000  # 5 MB
    (music / "long.wav").write_bytes(content)
    upload.upload(pachd, REPO, songs_below(music, REPO).songs, tmp_path / "journals", silent)
    assert server.held(REPO) == STANDARD | {"/long.wav": content}


def test_the_folder_stays_as_it_is_and_other_files_are_named(music):
    before = sorted(path.relative_to(music).as_posix() for path in music.rglob("*"))
    found = songs_below(music, REPO)
    assert [song.name for song in found.songs] == ["a.wav", "live-b.flac", "sigur-ros-remix.mp3"]
    assert found.others == ["cover.txt"]
    assert sorted(path.relative_to(music).as_posix() for path in music.rglob("*")) == before


def test_primers_are_midi_files(music):
    for name in ("Nº 1.MID", "b.midi", "c.kar", "d.rmi"):
        (music / name).write_bytes(b"MThd")
    assert [song.name for song in songs_below(music, "seeds").songs] == ["b.midi", "c.kar", "d.rmi", "no-1.mid"]


def test_folder_that_leads_back_to_itself_is_read_once(music):
    (music / "Live" / "up").symlink_to(music)
    assert len(songs_below(music, REPO).songs) == 3


@pytest.mark.parametrize(
    ("what", "message"), [("missing", "no such folder"), ("empty", "0 recordings; expected at least 1")]
)
def test_no_songs(tmp_path, what, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeployError, match=message):
        songs_below(tmp_path / what, REPO)


def test_a_dead_link_and_a_link_that_goes_in_a_circle_are_told_and_the_other_songs_are_found(music):
    (music / "c.mp3").symlink_to(music / "gone.mp3")
    (music / "d.mp3").symlink_to(music / "d.mp3")
    (music / "other\nline.mp3").symlink_to(music / "gone.mp3")
    found = songs_below(music, REPO)
    assert [song.name for song in found.songs] == ["a.wav", "live-b.flac", "sigur-ros-remix.mp3"]
    assert len(found.unreadable) == 3
    assert found.unreadable[0] == (
        f"{music / 'c.mp3'}: No such file or directory; expected a file that can be read. Correct or remove it"
    )
    assert "d.mp3: Too many levels of symbolic links; expected a file" in found.unreadable[1]
    assert "other\\nline.mp3: No such file" in found.unreadable[2]


def test_a_folder_of_dead_links_holds_no_song(tmp_path):
    (tmp_path / "c.mp3").symlink_to(tmp_path / "gone.mp3")
    with pytest.raises(DeployError, match=r"c\.mp3: No such file or directory; expected a file that can be read"):
        songs_below(tmp_path, REPO)


def test_songs_whose_names_begin_with_a_dot_are_songs(music):
    for name in ("...And Justice.mp3", ".45.mp3", "._a.wav", ".DS_Store", ".45.mid"):
        (music / name).write_bytes(b"x")
    for folder in (".Trash-1000", "...And Justice for All"):
        (music / folder).mkdir()
        (music / folder / "one.mp3").write_bytes(b"x")
    assert {song.name for song in songs_below(music, REPO).songs} == {
        "a.wav", "live-b.flac", "sigur-ros-remix.mp3", "and-justice.mp3", "45.mp3", "and-justice-for-all-one.mp3",
    }  # fmt: skip
    assert [song.name for song in songs_below(music, "seeds").songs] == ["45.mid"]


@pytest.mark.parametrize("method", ["StartCommit", "ModifyFile", "FinishCommit", "InspectCommit"])
@pytest.mark.parametrize("after_effect", [False, True])
def test_any_call_may_fail_or_lose_its_answer(server, pachd, songs, tmp_path, silent, method, after_effect):
    server.add_commit(REPO, {"/old.mp3": b"old"})
    server.fail(method, after_effect=after_effect, times=2)
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.faults[method].times < 2  # it did fail
    assert server.held(REPO) == {"/old.mp3": b"old"} | STANDARD
    assert len(server.commits[REPO]) == 2


def test_listing_that_breaks_in_the_middle_is_asked_for_again(server, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {"/old.mp3": b"old"})
    server.fail("WalkFile", after_messages=1, times=2)
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.calls.count("WalkFile") == 4
    assert server.held(REPO) == {"/old.mp3": b"old"} | STANDARD


def test_stream_that_breaks_within_a_file_is_sent_again(server, pachd, songs, tmp_path, silent, reported):
    server.repos[REPO], server.commits[REPO] = "", []
    server.fail("ModifyFile", after_messages=3)
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == STANDARD
    assert reported == [line for line in reported if line.startswith("uploading a.wav: injected; trying again")]
    assert len(reported) == 1


def test_server_that_goes_away_in_the_middle_is_waited_for(server, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {})
    moved = silent.finished

    def goes_away(name, size):
        moved(name, size)
        if name == "a.wav":
            server.goes_away_for(0.5)

    silent.finished = goes_away
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == STANDARD
    assert len(server.commits[REPO]) == 2


def test_interrupted_upload_shows_nothing_and_is_resumed(server, impatient, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {"/old.mp3": b"old"})
    finished = silent.finished

    def killed(name, size):
        finished(name, size)
        raise KeyboardInterrupt

    silent.finished = killed
    with pytest.raises(KeyboardInterrupt):
        upload.upload(impatient, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == {"/old.mp3": b"old"}  # nobody sees half a commit
    server.calls.clear()
    text = io.StringIO()
    upload.upload(pachd, REPO, songs, tmp_path / "journals", Progress("uploading", 180, text))
    assert server.calls.count("ModifyFile") == 2  # a.wav had arrived
    assert "going on with the upload that was begun" in text.getvalue()
    assert server.held(REPO) == {"/old.mp3": b"old"} | STANDARD
    assert len(server.commits[REPO]) == 2


def test_resuming_without_a_journal_sends_all_again(server, impatient, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {})
    server.fail("FinishCommit")
    with pytest.raises(WentAwayError, match=r"went away while finishing .*Run the same command again"):
        upload.upload(impatient, REPO, songs, tmp_path / "here", silent)
    server.calls.clear()
    upload.upload(pachd, REPO, songs, tmp_path / "elsewhere", silent)
    assert server.calls.count("ModifyFile") == 3
    assert server.held(REPO) == STANDARD


def test_song_changed_between_two_runs_is_sent_again(server, impatient, pachd, music, tmp_path, silent):
    server.add_commit(REPO, {})
    server.fail("FinishCommit")
    with pytest.raises(WentAwayError):
        upload.upload(impatient, REPO, songs_below(music, REPO).songs, tmp_path / "journals", silent)
    (music / "a.wav").write_bytes(b"A" * 50)  # the size is the same
    upload.upload(pachd, REPO, songs_below(music, REPO).songs, tmp_path / "journals", silent)
    assert server.held(REPO) == STANDARD | {"/a.wav": b"A" * 50}


def test_journal_with_half_a_line_still_serves(server, impatient, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {})
    server.fail("FinishCommit")
    with pytest.raises(WentAwayError):
        upload.upload(impatient, REPO, songs, tmp_path / "journals", silent)
    journal = next((tmp_path / "journals").iterdir())
    journal.write_text(journal.read_text()[:-9])
    server.calls.clear()
    upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.calls.count("ModifyFile") == 1
    assert server.held(REPO) == STANDARD


def test_song_removed_between_two_runs_stops_the_upload_open(server, impatient, pachd, music, tmp_path, silent):
    server.add_commit(REPO, {})
    server.fail("FinishCommit")
    with pytest.raises(WentAwayError):
        upload.upload(impatient, REPO, songs_below(music, REPO).songs, tmp_path / "journals", silent)
    (music / "a.wav").unlink()
    with pytest.raises(DeployError, match=r"a\.wav: was uploaded by the run before.*put --abandon"):
        upload.upload(pachd, REPO, songs_below(music, REPO).songs, tmp_path / "journals", silent)
    assert server.held(REPO) == {}


def test_abandoned_upload_leaves_the_repo_as_before(server, impatient, pachd, songs, reported, tmp_path, silent):
    server.add_commit(REPO, {"/old.mp3": b"old"})
    server.fail("FinishCommit")
    with pytest.raises(WentAwayError):
        upload.upload(impatient, REPO, songs, tmp_path / "journals", silent)
    cluster = Cluster(pachd, dry_run=False, report=reported.append, journals=tmp_path / "journals")
    cluster.abandon(REPO)
    assert [stored.files for stored in server.commits[REPO]] == [{"/old.mp3": b"old"}]
    assert list((tmp_path / "journals").iterdir()) == []
    cluster.abandon(REPO)
    assert reported[-1] == "audio-unprocessed: no upload is unfinished"


def test_open_commit_of_somebody_else_is_left_alone(server, pachd, songs, tmp_path, silent):
    theirs = server.add_commit(REPO, {}, closed=False, description="mine")
    with pytest.raises(DeployError, match="a commit that somebody else has started is open"):
        upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    with pytest.raises(DeployError, match="a commit that somebody else has started is open"):
        upload.abandon(pachd, REPO, tmp_path / "journals")
    assert (theirs.files, theirs.closed) == ({}, False)


def test_song_that_keeps_growing_is_never_closed_into_a_commit(server, pachd, songs, tmp_path, silent):
    server.add_commit(REPO, {})
    finished = silent.finished

    def grows(name, size):
        finished(name, size)
        stored = server.commits[REPO][-1].files
        stored["/a.wav"] = stored["/a.wav"] + b"more"

    silent.finished = grows
    with pytest.raises(DeployError, match=r"a\.wav did not arrive whole; expected 50 bytes"):
        upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert server.held(REPO) == {}


def test_refusal_of_the_server_is_told_at_once(server, pachd, songs, tmp_path, silent, reported):
    server.add_commit(REPO, {})
    server.fail("ModifyFile", "INVALID_ARGUMENT", "path contains invalid character", times=9)
    with pytest.raises(DeployError, match=r"uploading a\.wav: path contains invalid character"):
        upload.upload(pachd, REPO, songs, tmp_path / "journals", silent)
    assert reported == []
    assert server.calls.count("ModifyFile") == 1


def test_put_into_a_repo_that_is_not_there(pachd, songs, reported, tmp_path):
    with pytest.raises(DeployError, match=r"audio-unprocessed: no such repo; .* Run deploy\.py up first"):
        Cluster(pachd, dry_run=False, report=reported.append, journals=tmp_path).put(REPO, songs)


# -- results


@pytest.fixture
def results(server):
    """Two good commits of rendered music; the newest two are of a failed and of a running job."""
    server.add_commit("rendered-music", {"/old.mp3": b"old"})
    good = server.add_commit("rendered-music", {"/1.mp3": b"x" * 1000, "/sub/2.mp3": b"y" * 5, "/empty.json": b""})
    server.add_commit("rendered-music", {"/1.mp3": b"bad"}, error="datum failed")
    server.add_commit("rendered-music", {}, closed=False)
    return good


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_get_writes_the_newest_good_results(pachd, results, reported, tmp_path):
    Cluster(pachd, dry_run=False, report=reported.append, journals=tmp_path).get("rendered-music", tmp_path / "out")
    assert files_below(tmp_path / "out") == {"1.mp3": b"x" * 1000, "sub/2.mp3": b"y" * 5, "empty.json": b""}
    assert reported[-1] == f"3 files of rendered-music@{results.id} are in {tmp_path / 'out'}"


def test_broken_download_goes_on_where_it_stopped(server, pachd, results, tmp_path, silent):
    server.fail("GetFile", after_messages=40)
    commit = newest_good_commit(pachd, "rendered-music")
    download(pachd, commit, pachd.files.listed("rendered-music", commit.id), tmp_path / "out", silent)
    assert files_below(tmp_path / "out")["1.mp3"] == b"x" * 1000
    assert server.calls.count("GetFile") == 4


def test_download_that_ends_early_leaves_no_half_file(server, impatient, results, tmp_path, silent):
    server.fail("GetFile", after_messages=40)
    commit = newest_good_commit(impatient, "rendered-music")
    with pytest.raises(WentAwayError, match=r"downloading 1\.mp3"):
        download(impatient, commit, {"1.mp3": 1000}, tmp_path / "out", silent)
    assert files_below(tmp_path / "out") == {}


def test_slow_stream_is_read_to_its_end(server, pachd, results, tmp_path, silent):
    server.chunk_bytes, server.chunk_pause_s = 10, 0.003
    commit = newest_good_commit(pachd, "rendered-music")
    download(pachd, commit, {"1.mp3": 1000}, tmp_path / "out", silent)
    assert files_below(tmp_path / "out") == {"1.mp3": b"x" * 1000}


def test_file_of_another_size_than_listed_is_no_result(pachd, results, tmp_path, silent):
    commit = newest_good_commit(pachd, "rendered-music")
    with pytest.raises(DeployError, match=r"1\.mp3: 1000 bytes came; expected 999"):
        download(pachd, commit, {"1.mp3": 999}, tmp_path / "out", silent)
    assert files_below(tmp_path / "out") == {}


def test_path_that_leads_out_of_the_folder_is_refused(pachd, results, tmp_path, silent):
    with pytest.raises(DeployError, match="leads out of"):
        download(pachd, results, {"../evil.mp3": 1}, tmp_path / "out", silent)


def test_no_results_yet(server, pachd):
    server.add_commit("rendered-music", {}, closed=True)
    with pytest.raises(
        DeployError, match=r"rendered-music: no finished results yet; expected some\. See deploy\.py status"
    ):
        newest_good_commit(pachd, "rendered-music")


# -- what a person sees


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_on_a_terminal_and_lines_elsewhere():
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        progress = Progress("uploading", 2_000_000, stream)
        progress.moved("a.mp3", 500_000)
        progress.finished("a.mp3", 1_000_000)
        progress.skipped(1_000_000)
        progress.finished("b.mp3", 0)
        progress.close()
    assert "uploading [#######.......................]  25 % of 2.0 MB  a.mp3" in terminal.getvalue()
    assert "[##############################] 100 % of 2.0 MB  b.mp3" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
    assert file.getvalue() == "uploading a.mp3: 1.0 MB\nuploading b.mp3: 0 B\n"


def test_pauses_double_and_end():
    pauses, lines = [], []
    retry = Retry(tries=5, first_pause_s=1, longest_pause_s=3, sleep=pauses.append, report=lines.append)

    def fails():
        raise TransientError("away")

    with pytest.raises(TransientError):
        retry.call("calling", fails)
    assert [round(pause) for pause in pauses] == [1, 2, 3, 3]
    assert lines[0].startswith("calling: away; trying again in 1 s (1 of 4)")
