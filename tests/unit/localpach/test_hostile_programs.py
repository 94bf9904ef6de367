"""What programs may do, and what then becomes of their datum: it fails with a reason, or not at all, and alone."""

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from localpach.planning.job_datums import expand_job
from localpach.running import scratch
from localpach.running.processes import Processes
from localpach.running.program import Call, Program, shown_last


@pytest.fixture
def two(world):
    """The repo `in` with a file for a program that behaves, and one for the other."""
    world.repo("in")
    world.put("in@master", {"/bad": "bad", "/good": "good"})
    return world


def only_bad_fails(world, script, **more):
    """Run a script over `/bad` alone, next to one that copies; give the reason of the datum."""
    behaves = "test $(basename $in) = good && { cp $in /pfs/out/; exit 0; }"
    world.create(world.toy(cmd=world.sh(f"{behaves}\n{script}"), err_cmd=["true"], datum_tries=1, **more))
    bad, good = world.datums()
    assert (good.state, bad.label) == ("success", "/bad")
    assert not list((world.folder / "scratch").glob("[0-9a-f]*"))
    return bad


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("ln -s /dev/zero /pfs/out/zero", "/pfs/out/zero is a device, which has no end"),
        ("ln -s loop /pfs/out/loop", "/pfs/out/loop is a symbolic link to loop, which is not there"),
        ("mkdir /pfs/in/d; ln -s .. /pfs/in/d/up; ln -s /pfs/in/d /pfs/out/d", "is a symbolic link into itself"),
        ("ln -s a /pfs/in/b; ln -s b /pfs/in/a; ln -s /pfs/in/a /pfs/out/x", "/pfs/out/x is a symbolic link to /"),
        ("touch '/pfs/out/a[b'", r"/pfs/out/a[b: file name '/a[b' is refused"),
        ("rmdir /pfs/.scratch/out", "/pfs/out was deleted or replaced"),
        ("rm /pfs/out", "/pfs/out was deleted or replaced"),
        ("rm /pfs/out; mkdir /pfs/out; cp $in /pfs/out/", "/pfs/out was deleted or replaced"),
        ("rm /pfs/out; echo x > /pfs/out", "/pfs/out was deleted or replaced"),
        ("rm /pfs/out; ln -s in /pfs/out", "/pfs/out was deleted or replaced"),
        ("rmdir /pfs/.scratch/out; ln -s ../in /pfs/.scratch/out", "/pfs/out was deleted or replaced"),
        ("rm -rf /pfs; true", "/pfs/out was deleted or replaced"),
    ],
)  # fmt: skip
def test_bad_output_fails_its_datum_alone_with_a_reason(two, script, reason):
    found = only_bad_fails(two, script)
    assert found.state == "failed"
    assert reason in found.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_device_in_out_is_refused(two):
    found = only_bad_fails(two, "mknod /pfs/out/zero c 1 5 || exit 3")
    if "No such" in found.reason or "not permitted" in found.reason:
        pytest.skip("root may not make devices here")
    assert "/pfs/out/zero is a device" in found.reason


def test_name_that_is_too_long_is_the_reason_in_the_words_of_the_system(two):
    found = only_bad_fails(two, f"touch /pfs/out/{'x' * 300}")
    assert found.state == "recovered"  # the program itself failed, so its err_cmd counts
    assert "File name too long" in found.reason


def test_pipes_sockets_and_empty_folders_are_left_out(two):
    program = "import os, socket, sys; os.mkfifo(sys.argv[1] + '/pipe'); os.mkdir(sys.argv[1] + '/folder')"
    program += "; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind('socket')"
    two.create(two.toy(cmd=["python3", "-c", program, "/pfs/out"]))
    assert two.last().state == "success"
    assert two.tree("P@master") == {}


def test_bytes_that_were_laid_out_and_stored_are_on_record(two):
    two.create(two.toy(cmd=two.sh("test $(basename $in) = bad && exit 1; cp $in /pfs/out/"), err_cmd=["true"]))
    assert [(each.downloaded, each.uploaded) for each in two.datums()] == [(3, 0), (4, 4)]
    assert (two.last().downloaded, two.last().uploaded) == (7, 4)
    two.create(two.toy("E", two.sh("ln -s $in /pfs/out/"), pfs={"empty_files": True}))
    assert (two.last("E").downloaded, two.last("E").uploaded) == (0, 7)


def test_what_is_written_outside_out_is_lost(two):
    found = only_bad_fails(two, "echo x > /pfs/new; echo y > /pfs/in/more; echo z > $in")
    assert found.state == "success"
    assert two.tree("P@master") == {"/good": "good"}
    assert two.tree("in@master") == {"/bad": "bad", "/good": "good"}


def test_unreadable_and_read_only_outputs_are_stored_and_removed(two):
    script = """mkdir -p /pfs/out/shut/deep /pfs/out/firm/deep
        echo x > /pfs/out/shut/deep/x; echo y > /pfs/out/firm/deep/y
        chmod 000 /pfs/out/shut/deep/x /pfs/out/shut/deep /pfs/out/shut; chmod -R a-w /pfs/out/firm"""
    found = only_bad_fails(two, script)
    assert (found.state, found.reason) == ("success", "")
    assert two.tree("P@master") == {"/good": "good", "/shut/deep/x": "x\n", "/firm/deep/y": "y\n"}


def test_tree_that_was_made_read_only_is_removed(tmp_path):
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o555)
    (deep / "link").symlink_to(elsewhere)
    for folder in (deep, deep.parent, tmp_path / "a"):
        folder.chmod(0o000)
    scratch.remove_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o555
    scratch.remove_tree(tmp_path / "a")  # what is gone is no fault


def test_many_files_are_stored(two):
    found = only_bad_fails(two, "cd /pfs/out; for i in $(seq 1500); do : > f$i; done")
    assert found.state == "success"
    assert len(two.tree("P@master")) == 1501


def test_binary_output_fills_the_log_and_no_memory(two):
    script = "head -c 3000000 /dev/urandom; head -c 3000000 /dev/zero >&2; printf 'the end\\n\\n \\n' >&2; exit 1"
    found = only_bad_fails(two, script)
    log = two.folder / "logs/P" / two.last().id / f"{found.id}.log"
    assert log.stat().st_size > 6_000_000
    assert found.reason == "the end"


def test_child_that_leaves_its_group_and_keeps_the_pipes_is_not_waited_for(two, tmp_path):
    daemon = "import os, time; os.setsid(); open({!r}, 'w').write(str(os.getpid())); time.sleep(1000)".format(
        str(tmp_path / "pid")
    )
    program = f"import subprocess, sys, os, time; subprocess.Popen([sys.executable, '-c', {daemon!r}])\n"
    program += f"[time.sleep(0.01) for _ in range(6000) if not os.path.exists({str(tmp_path / 'pid')!r})]"
    two.create(two.toy(cmd=["python3", "-c", program], glob="/"))
    assert two.last().state == "success"
    os.kill(int((tmp_path / "pid").read_text()), 9)  # it would fail if the child had ended


def test_both_outputs_are_in_the_log_with_lines_kept_whole(two):
    lines = "for i in $(seq 300); do echo out $i; echo err $i >&2; done; printf 'no end'"
    found = only_bad_fails(two, lines)
    log = (two.folder / "logs/P" / two.last().id / f"{found.id}.log").read_text()
    assert sorted(log.splitlines()) == sorted([f"{k} {i}" for k in ("out", "err") for i in range(1, 301)] + ["no end"])


def test_progress_bar_shows_in_the_log_before_its_line_ends(tmp_path):
    script = "printf 'epoch 1\\repoch 2\\r'; read -r _ < \"$0\"; echo done"
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    log = tmp_path / "log"
    with log.open("wb", buffering=0) as file:
        program = Program(Call(("sh", "-c", script, str(gate)), dict(os.environ)), None, Processes())
        assert program.wait(file, time.monotonic() + 0.3) == "late"
        assert log.read_text() == "epoch 1\nepoch 2\n"  # as text: a carriage return ends a line
        with gate.open("w") as opened:
            opened.write("go\n")
        assert program.wait(file, None) == "ended"
        assert program.end(file) == 0
    assert log.read_bytes() == b"epoch 1\repoch 2\rdone\n"


def test_end_of_a_program_is_seen_where_the_system_cannot_tell(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    with (tmp_path / "log").open("wb", buffering=0) as log:
        program = Program(Call(("sh", "-c", "echo said; exit 3"), dict(os.environ)), None, Processes())
        assert program.wait(log, None) == "ended"
        assert program.end(log) == 3
        slow = Program(Call(("sleep", "100"), dict(os.environ)), None, Processes())
        assert slow.wait(log, time.monotonic() + 0.1) == "late"
        assert slow.end(log) == -9
    assert (tmp_path / "log").read_text() == "said\n"


def test_no_descriptor_is_left_open(tmp_path):
    def run():
        with (tmp_path / "log").open("wb", buffering=0) as log:
            program = Program(
                Call((sys.executable, "-c", "print(1)"), dict(os.environ)), Path("/dev/null"), Processes()
            )
            program.wait(log, None)
            program.end(log)

    run()
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        run()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"one\n \n\n", "one"),
        (b"1/3\r2/3\r", "2/3"),
        (b"\xff\n", "\ufffd"),
        (b"\0\0a\0\tb\n", "a b"),
    ],
)
def test_last_line_is_what_a_terminal_would_show(text, last):
    assert shown_last(text) == last


def test_log_is_made_when_something_is_written_and_replaces_that_of_a_killed_run(world):
    world.repo("in")
    world.put("in@master", {"/quiet": "", "/loud": ""})
    world.create(world.toy(cmd=world.sh("case $in in *loud) echo heard;; esac"), datum_tries=1), run=False)
    quiet, loud = (
        datum.id for datum in sorted(expand_job(world.store, world.last()), key=lambda each: each.label)[::-1]
    )
    folder = world.folder / "logs" / "P" / world.last().id
    folder.mkdir(parents=True)
    for left in (quiet, loud):
        (folder / f"{left}.log").write_text("of a run that was killed")
    world.run()
    assert [path.name for path in folder.iterdir()] == [f"{loud}.log"]
    assert (folder / f"{loud}.log").read_text() == "heard\n"
