"""A true `/pfs` for processes, and what is told where a machine has none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localpach.cli import main
from localpach.running.executors import ProcessExecutor
from localpach.running.jobs import run_jobs
from localpach.running.private_pfs import SWITCH, NoPrivatePfsError, PrivatePfs
from localpach.running.reporting import Silent

MODES = ("private", "mapped")


def refusal():
    try:
        PrivatePfs().close()
    except NoPrivatePfsError as error:
        return str(error)
    return ""


REFUSAL = refusal()
needs_private = pytest.mark.skipif(bool(REFUSAL), reason=REFUSAL or "there is one")


class Lines(Silent):
    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)


@pytest.fixture
def mapped(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")


@pytest.fixture(params=MODES)
def mode(request, monkeypatch):
    if request.param == "mapped":
        monkeypatch.setenv(SWITCH, "0")
    elif REFUSAL:
        pytest.skip(REFUSAL)
    return request.param


def program(folder, text):
    path = folder / "program.py"
    path.write_text(text)
    return path


LITERAL = """
import os, shutil
for name in os.listdir("/pfs/in"):
    shutil.copy(f"/pfs/in/{name}", f"/pfs/out/{name}")
"""


@needs_private
@pytest.mark.parametrize(
    "cmd",
    [
        ["python3", "PROGRAM"],
        ["cp", "-r", "/pfs/in/d", "/pfs/out"],
        ["cp", "-a", "/pfs/in/d", "/pfs/out"],
        ["sh", "-c", "cp -rt/pfs/out /pfs/in/d"],
        ["cp", "-r", "-t/pfs/out", "/pfs/in/d"],
        ["sh", "-c", "ln -s /pfs/in/d /pfs/out/d"],
        ["sh", "-c", "cd /pfs/in && tar cf - d | tar xf - -C/pfs/out"],
        ["python3", "-c", "import shutil; shutil.copytree('/pf' + 's/in/d', '/pf' + 's/out/d')"],
    ],
)
def test_program_that_names_pfs_in_its_own_way_finds_it(world, tmp_path, cmd):
    path = program(tmp_path, LITERAL.replace("shutil.copy(", "shutil.copytree("))
    world.repo("in")
    world.put("in@master", {"/d/a": "A"}, run=False)
    world.create(world.toy(cmd=[str(path) if word == "PROGRAM" else word for word in cmd], datum_tries=1))
    assert world.last().state == "success"
    assert world.tree("P@master") == {"/d/a": "A"}


@needs_private
def test_datums_side_by_side_have_each_its_own_pfs_and_the_machine_has_none(world, tmp_path):
    there = os.path.exists("/pfs")
    path = program(
        tmp_path, LITERAL + f"\nassert os.getuid() == {os.getuid()}\nassert os.path.isdir({str(tmp_path)!r})"
    )
    world.repo("in")
    world.put("in@master", {f"/{number}": str(number) for number in range(20)}, run=False)
    world.create(world.toy(cmd=["python3", str(path)], parallelism_spec={"constant": 2}))
    assert world.tree("P@master") == {f"/{number}": str(number) for number in range(20)}
    assert os.path.exists("/pfs") == there


@needs_private
def test_program_of_a_batch_reads_each_datum_at_pfs(world, tmp_path):
    text = "import subprocess\nwhile subprocess.run(['pachctl', 'next', 'datum']).returncode == 0:" + LITERAL.replace(
        "\n", "\n    "
    )
    path = program(tmp_path, text)
    world.repo("in")
    world.put("in@master", {"/a": "A", "/b": "B"}, run=False)
    world.create(world.toy(cmd=["python3", str(path)], datum_batching=True))
    assert world.tree("P@master") == {"/a": "A", "/b": "B"}


@needs_private
def test_shell_opens_in_pfs_itself(toy_pipeline, monkeypatch, capfd):
    monkeypatch.setenv("SHELL", "/bin/sh")
    assert main(["--state", str(toy_pipeline.folder), "shell", "P", "/file", "--", "sh", "-c", "cat /pfs/in/file"]) == 0
    assert capfd.readouterr().out == "foo"


@needs_private
def test_helper_ends_with_the_executor_and_comes_back_when_it_is_needed():
    executor = ProcessExecutor()
    assert list(executor.mounts) == ["/pfs"]
    helper = executor._private._process
    executor.close()
    assert helper.returncode == 0
    assert list(executor.mounts) == ["/pfs"]
    executor.close()


@needs_private
def test_a_helper_that_was_killed_is_started_again_and_no_datum_fails(tmp_path):
    private = PrivatePfs()
    (tmp_path / "file").write_text("seen")
    for _ in range(2):
        with private.entered(tmp_path, ["/bin/cat", "/pfs/file"], os.environ, "") as words:
            assert subprocess.run(words, capture_output=True, text=True).stdout == "seen"
        private._process.kill()
        private._process.wait()
    private.close()


def test_variables_of_any_name_and_the_folder_reach_the_program(world, mode, tmp_path):
    world.repo("my-in")
    world.put("my-in@master", {"/a": "A"}, run=False)
    text = "import os; open(os.environ['LOCALPACH_PFS'] + '/out/seen', 'w').write(os.environ['my-in'] + os.getcwd())"
    spec = world.toy(cmd=["python3", "-c", text], repo="my-in", pfs={"name": "my-in"}, working_dir=str(tmp_path))
    world.create(spec)
    seen = world.read("P@master:/seen")
    assert seen.endswith(f"/my-in/a{tmp_path}")
    assert seen.startswith("/pfs/") == (mode == "private")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"cmd": ["no-such-program"]}, "no-such-program: cannot be started: No such file or directory"),
        ({"cmd": ["/pfs/in/absent"]}, "/pfs/in/absent: cannot be started: No such file or directory"),
        (
            {"cmd": ["true"], "working_dir": "/pfs/absent"},
            "true: cannot be started: working_dir /pfs/absent: No such file or directory",
        ),
        ({"cmd": ["sh", "-c", "kill -9 $$"]}, "killed by SIGKILL"),
        ({"cmd": ["sh", "-c", "exit 3"]}, "exit code 3"),
    ],
)
def test_reasons_are_the_same_in_both_ways(world, mode, more, reason):
    world.repo("in")
    world.put("in@master", {"/a": "A"}, run=False)
    world.create(world.toy(**more, datum_tries=1))
    found = world.last().reason.removeprefix("datum /a failed: ")
    assert found.replace(str(world.folder), "").endswith(reason.rpartition(": cannot")[2])
    assert ("cannot be started" in found) == ("cannot be started" in reason)


def warned(world, *specs):
    shown = Lines()
    world.create(*specs, run=False)
    run_jobs(world.store, shown)
    return shown.lines


def test_pfs_that_cannot_be_mapped_is_warned_of(world, mapped, tmp_path):
    path = program(tmp_path, LITERAL)
    world.repo("in")
    world.put("in@master", {"/a": "A"}, run=False)
    told = warned(
        world,
        world.toy("P", cmd=["python3", str(path)], datum_tries=1),
        world.toy("Q", cmd=["sort", "-o/pfs/out/a", "/pfs/in/a"], datum_tries=1),
        world.toy("R", cmd=["cp", "/pfs/in/a", "/pfs/out/a"]),
    )
    remedy = f"holds /pfs, but programs have no /pfs of their own here ({SWITCH} is 0); read LOCALPACH_PFS in its place"
    assert [line for line in told if "WARNING" in line] == [
        f"P: WARNING: the file {path} {remedy}",
        f"Q: WARNING: '-o/pfs/out/a' of cmd {remedy}",
    ]


@needs_private
def test_there_is_nothing_to_warn_of_where_pfs_is_true(world, tmp_path):
    path = program(tmp_path, LITERAL)
    world.repo("in")
    world.put("in@master", {"/a": "A"}, run=False)
    assert not [line for line in warned(world, world.toy(cmd=["python3", str(path)])) if "WARNING" in line]


def test_datums_that_succeed_and_write_nothing_are_told_loudly(world):
    world.repo("in")
    world.put("in@master", {"/a": "A", "/b": "B", "/c": "C"}, run=False)
    told = warned(world, world.toy("P", cmd=["true"]), world.toy("Q", pfs={"glob": "/a"}, cmd=["true"]), world.toy("R"))
    assert [line for line in told if "NOTE" in line] == [
        "P: NOTE: 3 datums, first /a, succeeded and wrote nothing to /pfs/out",
        "Q: NOTE: datum /a succeeded and wrote nothing to /pfs/out",
    ]


def test_machine_without_nsenter_maps(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    executor = ProcessExecutor()
    assert list(executor.mounts) == []
    with pytest.raises(NoPrivatePfsError, match=r"nsenter is not installed|only Linux"):
        PrivatePfs()


@needs_private
def test_helper_that_may_not_mount_says_why(tmp_path):
    script = Path(sys.modules["localpach.running.private_mount"].__file__)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(tmp_path / "absent")],
        input=b"",
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == b'{"error": "%s: No such file or directory"}\n' % str(tmp_path / "absent").encode()


def test_doctor_tells_what_is_here_and_what_is_not(tmp_path, capsys, mapped):
    assert main(["--state", str(tmp_path / "state"), "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    missing = f"{SWITCH} is 0; /pfs is mapped in cmd, stdin and env alone"
    assert lines[0] == f"- a /pfs of its own: processes find their datum at /pfs itself: {missing}"
    assert "+ serve: `localpach serve` for Pachyderm's own clients" in lines
    assert not (tmp_path / "state").exists()


@needs_private
def test_doctor_finds_the_true_pfs(tmp_path, capsys):
    assert main(["--state", str(tmp_path / "state"), "doctor"]) == 0
    assert capsys.readouterr().out.startswith("+ a /pfs of its own: processes find their datum at /pfs itself\n")
