"""Watching a folder: when a commit is made, what is in it, and what is left out."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from ambient.names import AUDIO_SUFFIXES
from localpach.actions import repos, unfinished, watch
from localpach.cli import main
from localpach.errors import NotFoundError, OutputBranchError, SystemRepoError
from localpach.spec.addresses import parse_commit

QUIET_S = 2.0


class Folder:
    """A watched folder, with a clock that the test turns."""

    def __init__(self, world, path):
        self.world, self.path = world, path
        path.mkdir()
        self.now = 0.0
        self.notes = []
        self.restart()

    def restart(self, *, delete=False):
        self.watcher = watch.Watcher(
            self.world.store, self.path, parse_commit("in@master"), quiet_s=QUIET_S, delete=delete,
            note=self.notes.append,
        )  # fmt: skip

    def put(self, **contents):
        for name, text in contents.items():
            path = self.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def step(self, seconds=0.0):
        self.now += seconds
        return self.watcher.step(self.now)

    def settle(self):
        """Look, wait for the quiet time, look again."""
        return self.step() or self.step(QUIET_S)

    @property
    def committed(self):
        return self.world.tree("in@master") if self.world.store.commits("in") else {}


@pytest.fixture
def folder(world, tmp_path):
    world.repo("in")
    return Folder(world, tmp_path / "songs")


def test_files_become_one_commit_after_the_quiet_time(folder):
    folder.put(a="a", deep__b="b")
    assert folder.step() is None
    assert folder.step(QUIET_S - 0.1) is None
    assert folder.step(0.1) is not None
    assert folder.committed == {"/a": "a", "/deep/b": "b"}
    assert folder.step(QUIET_S) is None
    assert len(folder.world.store.commits("in")) == 1


def test_every_change_begins_the_quiet_time_anew(folder):
    folder.put(a="1")
    folder.step()
    folder.put(a="12")
    assert folder.step(QUIET_S) is None
    folder.put(b="b")
    assert folder.step(QUIET_S) is None
    assert folder.step(QUIET_S) is not None
    assert folder.committed == {"/a": "12", "/b": "b"}


def test_file_that_grows_without_a_new_size_is_seen_by_its_time(folder):
    folder.put(a="one")
    folder.settle()
    folder.put(a="two")
    os.utime(folder.path / "a", ns=(1, 1))
    assert folder.settle() is not None
    assert folder.committed == {"/a": "two"}


def test_file_that_changes_while_it_is_read_waits_for_the_next_quiet_moment(folder, monkeypatch):
    folder.put(a="half", b="b")
    add_file = folder.world.store.objects.add_file

    def slow(path):
        found = add_file(path)
        if path.name == "a" and path.read_text() == "half":
            path.write_text("whole")
        return found

    monkeypatch.setattr(folder.world.store.objects, "add_file", slow)
    folder.settle()
    assert folder.committed == {"/b": "b"}
    folder.settle()
    assert folder.committed == {"/a": "whole", "/b": "b"}


def test_file_that_is_gone_before_it_is_read_is_left_out(folder, monkeypatch):
    folder.put(a="a", b="b")
    folder.step()
    add_file = folder.world.store.objects.add_file

    def late(path):
        (folder.path / "a").unlink(missing_ok=True)
        return add_file(path)

    monkeypatch.setattr(folder.world.store.objects, "add_file", late)
    folder.step(QUIET_S)
    assert folder.committed == {"/b": "b"}


def test_same_bytes_again_are_no_commit(folder):
    folder.put(a="a")
    folder.settle()
    folder.put(a="a")
    os.utime(folder.path / "a", ns=(5, 5))
    assert folder.settle() is None
    assert len(folder.world.store.commits("in")) == 1


def test_restart_puts_only_what_differs_from_the_head(folder):
    folder.put(a="a", b="b", c="c")
    folder.settle()
    folder.put(b="B")
    (folder.path / "c").unlink()
    folder.restart()
    folder.settle()
    assert folder.committed == {"/a": "a", "/b": "B", "/c": "c"}
    assert len(folder.world.store.commits("in")) == 2
    folder.restart()
    assert folder.settle() is None
    assert len(folder.world.store.commits("in")) == 2


def test_deleted_files_stay_unless_deleting_is_asked_for(folder):
    folder.put(a="a", b="b")
    folder.settle()
    (folder.path / "a").unlink()
    assert folder.settle() is None
    folder.restart(delete=True)
    folder.settle()
    assert folder.committed == {"/b": "b"}
    folder.put(c="c")
    (folder.path / "b").unlink()
    folder.settle()
    assert folder.committed == {"/c": "c"}
    assert "1 put, 1 deleted" in folder.notes[-1]


def test_folder_that_vanishes_takes_nothing_with_it(folder):
    folder.restart(delete=True)
    folder.put(a="a")
    folder.settle()
    away = folder.path.with_name("away")
    folder.path.rename(away)
    assert folder.settle() is None
    assert folder.settle() is None
    assert [note for note in folder.notes if "waiting for it to come back" in note] == folder.notes[-1:]
    away.rename(folder.path)
    folder.put(b="b")
    folder.settle()
    assert folder.committed == {"/a": "a", "/b": "b"}


def test_subfolder_that_cannot_be_looked_at_deletes_nothing(folder, monkeypatch):
    folder.restart(delete=True)
    folder.put(deep__a="a", b="b")
    folder.settle()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    folder.put(b="B")
    folder.settle()
    assert folder.committed == {"/deep/a": "a", "/b": "B"}
    assert any(note == "left out: deep: Permission denied" for note in folder.notes)


@pytest.mark.parametrize("ending", [".part", ".crdownload", ".tmp", ".PART", ".download", ".aria2"])
def test_downloads_that_go_on_are_left_alone_until_they_have_their_name(folder, ending):
    folder.put(other="o", **{f"song.mp3{ending}": "half"})
    assert folder.settle() is not None
    assert folder.committed == {"/other": "o"}
    (folder.path / f"song.mp3{ending}").rename(folder.path / "song.mp3")
    folder.settle()
    assert folder.committed == {"/other": "o", "/song.mp3": "half"}


def test_a_file_beside_its_own_unfinished_download_waits_and_is_not_deleted(folder):
    folder.restart(delete=True)
    folder.put(**{"song.mp3": "old", "b": "b"})
    folder.settle()
    folder.put(**{"song.mp3.part": "half", "song.mp3": "", "c": "c"})
    folder.settle()
    assert folder.committed == {"/song.mp3": "old", "/b": "b", "/c": "c"}


def test_a_file_that_keeps_growing_is_left_alone_though_it_pauses(folder):
    folder.put(a="1", b="b")
    folder.step()
    for length in (2, 3, 4):
        folder.put(a="1" * length)
        assert folder.step(1.0) is None
    assert folder.step(QUIET_S + 1) is None  # a pause
    folder.put(a="11111")
    assert folder.step(1.0) is None
    assert folder.step(5 * QUIET_S - 0.1) is None
    assert folder.step(0.1) is not None
    assert folder.committed == {"/a": "11111", "/b": "b"}


def test_a_file_that_grows_for_ever_keeps_the_others_waiting_for_a_while_only(folder):
    folder.put(a="", b="b")
    seconds = 0
    while not folder.step(1.0):
        seconds += 1
        folder.put(a="a" * seconds)
        assert seconds < 100
    assert folder.committed == {"/b": "b"}
    assert seconds > 10


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed on Linux only")
def test_a_file_that_a_program_has_open_to_write_to_is_left_alone_and_told_once(folder):
    folder.put(b="b")
    with (folder.path / "a").open("w") as writing:
        writing.write("whole")
        writing.flush()
        assert folder.settle() is not None
        assert folder.committed == {"/b": "b"}
        assert folder.settle() is None
    assert folder.settle() is not None
    assert folder.committed == {"/a": "whole", "/b": "b"}
    assert [note for note in folder.notes if "left alone" in note] == ["left alone: a is still being written"]


def test_a_file_that_is_open_to_read_is_put(folder):
    folder.put(a="a")
    with (folder.path / "a").open():
        assert folder.settle() is not None


def test_songs_whose_names_begin_with_a_dot_are_put_and_hidden_files_are_not(folder):
    songs = ("...And Justice.mp3", ".45.mp3", ".hidden.flac")
    others = ("._a.mp3", ".partial-1-a.mp3", ".DS_Store", ".song.mp3.XyZ123")
    folder.put(**dict.fromkeys((*songs, *others), "x"))
    folder.settle()
    assert folder.committed.keys() == {f"/{name}" for name in songs}


def test_endings_of_recordings_are_those_that_the_stages_know():
    assert unfinished.RECORDINGS == AUDIO_SUFFIXES


def test_a_line_break_or_a_byte_that_is_no_utf8_in_a_name_is_told_in_one_line(folder):
    folder.put(**{"two\nlines.mp3": "x", "good.mp3": "g"})
    with open(os.fsencode(folder.path) + b"/caf\xe9.mp3", "wb") as file:
        file.write(b"x")
    folder.settle()
    assert folder.committed == {"/good.mp3": "g"}
    told = [note for note in folder.notes if note.startswith("left out")]
    assert len(told) == 2
    assert all(note.isprintable() for note in told)


def test_names_that_pachyderm_refuses_are_told_once_and_left_out(folder):
    folder.put(**{"Track (Remix).mp3": "x", "Sigur R\u00f3s.mp3": "x", "ok.mp3": "x"})
    folder.settle()
    folder.put(**{"Track (Remix).mp3": "xx"})
    folder.settle()
    assert folder.committed == {"/ok.mp3": "x"}
    told = [note for note in folder.notes if note.startswith("left out")]
    assert len(told) == 2
    assert all("is refused" in note and "Rename the file" in note for note in told)


def test_hidden_files_links_to_folders_and_pipes_are_left_out(folder, tmp_path):
    folder.put(**{".DS_Store": "x", ".git__config": "x", "a": "a"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b").write_text("b")
    (folder.path / "folder").symlink_to(tmp_path / "elsewhere")
    (folder.path / "file").symlink_to(tmp_path / "elsewhere" / "b")
    (folder.path / "nowhere").symlink_to(tmp_path / "no-such")
    (folder.path / "circle").symlink_to(folder.path)
    os.mkfifo(folder.path / "pipe")
    folder.settle()
    assert folder.committed == {"/a": "a", "/file": "b"}  # a linked file counts as the file


def test_state_inside_the_folder_is_not_watched(world, tmp_path):
    world.repo("in")
    (tmp_path / "a").write_text("a")
    found = watch.look(tmp_path, world.store.folder)
    assert list(found.files) == ["a"]


def test_file_becomes_a_directory_and_back(folder):
    folder.put(a="a")
    folder.settle()
    (folder.path / "a").unlink()
    folder.put(a__b="b")
    folder.settle()
    assert folder.committed == {"/a/b": "b"}
    shutil.rmtree(folder.path / "a")
    folder.put(a="again")
    commit = folder.settle()
    assert folder.committed == {"/a": "again"}
    assert folder.world.store.commit("in", commit.id).error is None


def test_commits_run_what_follows(folder):
    folder.world.create(folder.world.toy())
    folder.put(a="a")
    folder.settle()
    folder.world.run()
    assert folder.world.tree("P@master") == {"/a": "a"}


def test_branch_of_a_pipeline_and_a_missing_folder_are_refused(folder, tmp_path):
    folder.world.create(folder.world.toy())

    def watched(branch, path=folder.path):
        return watch.Watcher(
            folder.world.store, path, parse_commit(branch), quiet_s=1.0, delete=False, note=folder.notes.append
        )

    with pytest.raises(OutputBranchError):
        watched("P@master")
    with pytest.raises(SystemRepoError):
        watched("P.spec@master")
    with pytest.raises(NotFoundError, match="repo nothing not found"):
        watched("nothing@master")
    with pytest.raises(NotFoundError, match=r"folder .* not found"):
        watched("in@master", tmp_path / "nothing")


def test_command_watches_until_ctrl_c_though_a_job_fails_and_ticks_come(folder, wait_until):
    world = folder.world
    node = {"cron": {"name": "tick", "spec": "@every 1s", "overwrite": True}}
    world.create(
        world.toy("fails", world.sh("test -e /pfs/in/good"), datum_tries=1),
        {**world.toy("timed", ["true"]), "input": node},
    )
    command = [sys.executable, "-m", "localpach", "--state", str(world.folder), "watch", str(folder.path), "in@master"]
    process = subprocess.Popen([*command, "--quiet-s", "0.1"], stderr=subprocess.PIPE, text=True)
    try:
        folder.put(bad="x")
        wait_until(lambda: world.last("fails").state == "failure")
        folder.put(good="x")
        (folder.path / "bad").unlink()
        wait_until(lambda: "/good" in folder.committed)
        wait_until(lambda: len(world.jobs("timed")) > 1)
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (0, 130), told  # the latter if a job was running just then
    assert told.splitlines()[-1].startswith("stopped")
    assert "1 put in in@master" in told


def test_repo_that_is_deleted_while_it_is_watched_is_told(folder, wait_until):
    command = [sys.executable, "-m", "localpach", "--state", str(folder.world.folder), "watch"]
    process = subprocess.Popen(
        [*command, str(folder.path), "in@master", "--quiet-s", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        folder.put(a="a")
        wait_until(lambda: folder.committed)
        repos.delete_repo(folder.world.store, "in")
        folder.put(b="b")
        lines = [process.stderr.readline() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, told.splitlines()[-1]) == (0, "stopped watching")
    assert "error: repo in not found" in lines[-1]
    assert "still watching" in lines[-1]


@pytest.fixture
def run(folder, capsys):
    """Run one command on the state of the folder; gives the exit code, stdout and stderr."""

    def call(*words):
        code = main(["--state", str(folder.world.folder), *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_job_that_waits_for_a_secret_when_the_watch_begins_does_not_end_it(folder, run, monkeypatch, tmp_path):
    world = folder.world
    (tmp_path / "s.json").write_text('{"metadata": {"name": "S"}, "stringData": {"k": "v"}}')
    world.put("in@master", {"/a": "a"})
    run("create", "secret", "-f", str(tmp_path / "s.json"))
    world.create(world.toy(secrets=[{"name": "S", "key": "k", "env_var": "K"}]), run=False)
    run("delete", "secret", "S")
    looks = iter([None, None])

    def look(_watcher, _now):
        if next(looks, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr(watch.Watcher, "step", look)
    code, _, error = run("watch", str(folder.path), "in@master", "--quiet-s", "0")
    assert code == 0
    assert "error: secret S not found" in error
    assert error.splitlines()[-1] == "stopped watching"


def test_rerun_and_run_cron_make_a_job_each(folder, run):
    world = folder.world
    world.put("in@master", {"/a": "a"})
    world.create(world.toy(), {**world.toy("timed", ["true"]), "input": {"cron": {"name": "tick", "spec": "@never"}}})
    code, _, error = run("rerun", "pipeline", "P")
    assert (code, "P: success, 0 processed, 1 skipped of 1" in error) == (0, True)
    code, _, error = run("rerun", "pipeline", "P", "--reprocess")
    assert (code, "P: success, 1 processed, 0 skipped of 1" in error) == (0, True)
    code, _, error = run("run", "cron", "timed")
    assert (code, "timed: success, 1 processed" in error) == (0, True)
    assert run("run", "cron", "P")[0] == 1


def test_due_ticks_are_made_before_any_command_that_runs_jobs(folder, run, tmp_path):
    world = folder.world
    cron = {"name": "tick", "spec": "@daily", "start": "2026-01-01T00:00:00Z"}
    world.create({**world.toy("timed", ["true"]), "input": {"cron": cron}})
    assert len(world.jobs("timed")) == 1
    assert run("list", "job")[0] == 0
    assert len(world.jobs("timed")) == 1  # a listing changes nothing
    (tmp_path / "a").write_text("a")
    assert run("put", "file", "in@master", "-f", str(tmp_path / "a"))[0] == 0
    assert len(world.jobs("timed")) == 2


def test_trigger_flags_make_a_branch_that_moves_by_itself(folder, run):
    world = folder.world
    code, _, error = run("create", "branch", "in@weekly", "--trigger", "master", "--trigger-commits", "2")
    assert (code, error) == (0, "")
    world.put("in@master", {"/a": "a"})
    assert world.tree("in@weekly") == {}
    world.put("in@master", {"/b": "b"})
    assert world.tree("in@weekly") == {"/a": "a", "/b": "b"}
    code, _, error = run("create", "branch", "in@bad", "--trigger", "master", "--trigger-size", "much")
    assert (code, error) == (1, "error: trigger.size: expected a size such as 1K or 10MB, found 'much'\n")


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "songs", "in@master", "--quiet-s", "-1"],
        ["watch", "songs", "in@master", "--quiet-s", "soon"],
        ["watch", "songs", "in@master^"],
        ["create", "branch", "in@b", "--trigger-size", "1K"],
        ["create", "branch", "in@b", "--trigger", "other@master"],
    ],
)
def test_wrong_usage_exits_2(run, words, capsys):
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 2
