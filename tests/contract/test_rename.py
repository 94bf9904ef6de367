import os
import signal
import subprocess
import sys

import pytest

HEAVY = {"numpy", "tensorflow", "keras", "ffmpeg", "pretty_midi"}


@pytest.fixture
def songs(pfs):
    """Recordings with difficult names, one of them in a folder, and a picture."""
    names = ["Sigur Rós – Ágætis (Live!).MP3", "song.mp3", "Song.mp3", "cover.jpg", "Album 1/Träume.flac"]
    for name in names:
        path = pfs / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}")
    return pfs / "in"


def rename(run_stage, pfs, *flags):
    return run_stage("rename", "--input", pfs / "in", "--output", pfs / "out", *flags)


def test_every_recording_comes_out_under_a_safe_name(run_stage, pfs, songs, contents):
    before = contents(songs)
    done = rename(run_stage, pfs)
    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(path.name for path in (pfs / "out").iterdir()) == [
        "album-1-traume.flac",
        "sigur-ros-agaetis-live.mp3",
        "song-605f72f4.mp3",
        "song.mp3",
    ]
    assert (pfs / "out" / "song-605f72f4.mp3").read_text() == "content of Song.mp3"
    assert sorted(contents(pfs / "out").values()) == sorted(d for name, d in before.items() if name != "cover.jpg")
    assert contents(songs) == before


def test_file_that_is_no_recording_is_named_and_left_out(run_stage, pfs, songs):
    assert "cover.jpg: left out" in rename(run_stage, pfs).stderr


def test_second_run_changes_nothing(run_stage, pfs, songs, contents):
    rename(run_stage, pfs)
    first = contents(pfs / "out")
    assert rename(run_stage, pfs).returncode == 0
    assert contents(pfs / "out") == first


def test_links_lead_to_the_input_files(run_stage, pfs, songs):
    assert rename(run_stage, pfs, "--link").returncode == 0
    links = list((pfs / "out").iterdir())
    assert len(links) == 4
    assert all(link.is_symlink() for link in links)
    assert os.readlink(pfs / "out" / "song.mp3") == str(pfs / "in" / "song.mp3")


def test_input_shown_as_a_link_to_a_folder_is_read(run_stage, pfs, songs):
    songs.rename(pfs / "scratch")
    (pfs / "in").symlink_to(pfs / "scratch")
    assert rename(run_stage, pfs, "--link").returncode == 0
    assert os.readlink(pfs / "out" / "song.mp3") == str(pfs / "in" / "song.mp3")


@pytest.mark.parametrize("flags", [(), ("--link",)])
def test_files_shown_empty_are_passed_on(run_stage, pfs, flags):
    (pfs / "in" / "A B.mp3").touch()
    assert rename(run_stage, pfs, *flags).returncode == 0
    assert (pfs / "out" / "a-b.mp3").read_bytes() == b""


def test_empty_folder_is_fine(run_stage, pfs):
    assert rename(run_stage, pfs).returncode == 0
    assert not list((pfs / "out").iterdir())


def test_dead_link_is_named_and_the_others_are_done(run_stage, pfs, songs):
    (songs / "gone.mp3").symlink_to(songs / "nowhere.mp3")
    done = rename(run_stage, pfs)
    assert done.returncode == 1
    assert f"error: {songs / 'gone.mp3'}: a link to nothing" in done.stderr
    assert len(list((pfs / "out").iterdir())) == 4


def test_songs_whose_names_begin_with_a_dot_are_songs_and_hidden_files_are_not(run_stage, pfs):
    for name in ("...And Justice.mp3", ".45.mp3", ".hidden.flac", "._song.mp3", ".partial-9-song.mp3", ".DS_Store"):
        (pfs / "in" / name).write_text(name)
    done = rename(run_stage, pfs)
    assert done.returncode == 0
    assert sorted(path.name for path in (pfs / "out").iterdir()) == ["45.mp3", "and-justice.mp3", "hidden.flac"]
    assert "._song.mp3: left out" in done.stderr


def test_links_in_a_circle_and_to_folders_above_end_and_each_song_is_passed_on_once(run_stage, pfs, songs):
    (songs / "Album 1" / "up").symlink_to(songs)
    (songs / "Album 1" / "far-up").symlink_to(pfs)
    (songs / "again").symlink_to("Album 1")
    (songs / "circle").symlink_to("circle")
    (pfs / "elsewhere").mkdir()
    (pfs / "elsewhere" / "linked.mp3").write_text("linked")
    (songs / "0-more").symlink_to(pfs / "elsewhere")
    assert rename(run_stage, pfs).returncode == 0
    assert sorted(path.name for path in (pfs / "out").iterdir()) == [
        "0-more-linked.mp3",
        "album-1-traume.flac",
        "sigur-ros-agaetis-live.mp3",
        "song-605f72f4.mp3",
        "song.mp3",
    ]


def test_a_line_break_in_a_name_does_not_break_the_line(run_stage, pfs):
    for name in ("two\nlines.mp3", "two\nlines.txt"):
        (pfs / "in" / name).write_text(name)
    assert rename(run_stage, pfs).stderr.splitlines() == [
        r"two\nlines.txt: left out, its name is not that of a recording",
        r"[1/1] two\nlines.mp3: two-lines.mp3",
    ]


def test_name_that_is_no_utf8_is_passed_on(run_stage, pfs):
    with open(os.fsencode(pfs / "in") + b"/caf\xe9.mp3", "wb") as file:
        file.write(b"x")
    assert rename(run_stage, pfs).returncode == 0
    assert [path.name for path in (pfs / "out").iterdir()] == ["caf.mp3"]


@pytest.mark.parametrize(("source", "target"), [("nowhere", "out"), ("in", "in/out"), ("in", "in")])
def test_wrong_folders_are_one_error(run_stage, pfs, songs, contents, source, target):
    before = contents(pfs)
    done = run_stage("rename", "--input", pfs / source, "--output", pfs / target)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert contents(pfs) == before


def test_unknown_flag_is_wrong_usage(run_stage, pfs):
    assert rename(run_stage, pfs, "--what").returncode == 2


def test_help_imports_nothing_heavy(help_imports):
    assert not HEAVY & help_imports("rename")


def test_killed_stage_leaves_no_half_file(pfs, songs):
    code = (
        "import os, shutil, signal, sys\n"
        "def killed(source, target):\n"
        "    open(target, 'w').write('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "shutil.copyfile = killed\n"
        "from ambient.stages.rename import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, "--input", str(songs), "--output", str(pfs / "out")]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    left = [path.name for path in (pfs / "out").iterdir()]
    assert left
    assert all(name.startswith(".partial-") for name in left)


def test_output_that_cannot_be_written_is_one_line(run_stage, pfs, songs, tmp_path):
    (tmp_path / "file").touch()
    done = run_stage("rename", "--input", songs, "--output", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert all(line.startswith("error: ") or "left out" in line for line in done.stderr.splitlines())
    assert "not a directory" in done.stderr
