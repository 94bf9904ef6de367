"""Jobs in the background: one runner, which lives beside the command line, is killed, is stopped, and goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import localpach
from localpach.actions import repos
from localpach.cli import main
from localpach.errors import ServedError
from localpach.running import secrets
from localpach.running.reporting import Silent
from localpach.serving.runner import Runner
from localpach.spec.addresses import parse_commit
from localpach.storage.records import Records
from localpach.storage.store import Store

DEADLINE_S = 60
SCRIPT = """
import sys, time
from pathlib import Path
from localpach.serving.runner import Runner
runner = Runner(Path(sys.argv[1]))
runner.start()
print("started", flush=True)
time.sleep(600)
"""


class Lines(Silent):
    """Collects what a person would be shown."""

    def __init__(self):
        self.lines = []

    def note(self, message):
        self.lines.append(message)


@contextmanager
def running(world, **more):
    runner = Runner(world.folder, **more)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def wait_for(is_so):
    until = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def has_ended(world, pipeline="P", state="success"):
    newest = world.jobs(pipeline)
    return bool(newest) and newest[0].state == state


@pytest.fixture
def gate(tmp_path):
    """A file for which the toy pipeline waits."""
    return tmp_path / "gate"


@pytest.fixture
def gated(world, gate):
    """The pipeline P, whose datums end when the gate is there."""
    world.repo("in")
    script = f"echo begun; for i in $(seq 3000); do test -e {gate} && break; sleep 0.02; done; cp /pfs/in/* /pfs/out/"
    world.create(world.toy(cmd=world.sh(script)))
    return world


def test_put_returns_before_its_job_ends(gated, gate):
    with running(gated):
        gated.put("in@master", {"/a": "A"}, run=False)
        wait_for(lambda: gated.last().state == "running")
        assert gated.store.commit("P", gated.last().id).finished is None
        gate.touch()
        wait_for(lambda: has_ended(gated))
    assert gated.tree("P@master") == {"/a": "A"}


def test_command_line_beside_a_runner_stores_its_change_and_waits_for_the_runner(gated, gate, tmp_path, capsys):
    gate.touch()
    (tmp_path / "a").write_text("A")
    with running(gated):
        code = main(["--state", str(gated.folder), "put", "file", "in@master", "-f", str(tmp_path / "a")])
        assert has_ended(gated)
    told = capsys.readouterr().err
    assert code == 0
    assert f"process {os.getpid()} is serving in {gated.folder.resolve()}; waiting for it" in told
    assert "P: success, 1 processed, 0 skipped of 1" in told


def test_command_whose_job_fails_beside_a_runner_exits_with_1(world, tmp_path, capsys):
    world.repo("in")
    world.create(world.toy(cmd=["false"], datum_tries=1))
    (tmp_path / "a").write_text("A")
    with running(world):
        assert main(["--state", str(world.folder), "put", "file", "in@master", "-f", str(tmp_path / "a")]) == 1
    assert "1 of 1 jobs did not succeed, first P@" in capsys.readouterr().err


def test_listing_beside_a_runner_does_not_wait(gated, capsys):
    with running(gated):
        gated.put("in@master", {"/a": "A"}, run=False)
        wait_for(lambda: gated.last().state == "running")
        assert main(["--state", str(gated.folder), "list", "job", "-p", "P"]) == 0
        assert "running" in capsys.readouterr().out


def test_second_runner_of_a_state_is_refused(world):
    with running(world), pytest.raises(ServedError, match=rf"process {os.getpid()} is serving in .*; stop it, then"):
        Runner(world.folder).start()


def test_gc_beside_a_runner_is_refused_in_one_line(world, capsys):
    with running(world):
        assert main(["--state", str(world.folder), "gc"]) == 1
    assert capsys.readouterr().err.endswith("; stop it, then try again\n")


def test_runner_waits_for_a_command_that_runs_jobs_and_then_goes_on(gated, gate):
    gated.put("in@master", {"/a": "A"}, run=False)
    words = [sys.executable, "-m", "localpach", "--state", str(gated.folder), "wait", "job", "P"]
    environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1])}
    command = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: gated.last().state == "running")
    shown = Lines()
    with running(gated, progress=shown):
        gated.put("in@master", {"/b": "B"}, run=False)
        gate.touch()
        assert command.wait(DEADLINE_S) == 0
        wait_for(lambda: has_ended(gated) and len(gated.tree("P@master")) == 2)
    assert shown.lines[0].startswith(f"process {command.pid} is running jobs in ")


def test_stop_kills_the_program_and_the_next_start_goes_on_without_what_is_done(world, gate, tmp_path):
    world.repo("in")
    log = tmp_path / "ran"
    script = f"for f in /pfs/in/*; do echo ${{f##*/}} >> {log}; done; [ -e /pfs/in/a ] || [ -e {gate} ] || sleep 600"
    world.create(world.toy(cmd=world.sh(script)))
    with running(world):
        world.put("in@master", {"/a": "A", "/b": "B"}, run=False)
        wait_for(lambda: log.exists() and "b" in log.read_text() and len(world.datums()) == 1)
    assert world.last().state == "running"
    gate.touch()
    with running(world):
        wait_for(lambda: has_ended(world))
    assert log.read_text().split() == ["a", "b", "b"]


def test_runner_that_is_killed_is_followed_by_one_that_goes_on(gated, gate):
    environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1])}
    words = [sys.executable, "-c", SCRIPT, str(gated.folder)]
    with closing(Store(gated.folder)), subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"started\n"
        gated.put("in@master", {"/a": "A"}, run=False)
        wait_for(lambda: gated.last().state == "running")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert gated.last().state == "running"
    gate.touch()
    with running(gated):
        wait_for(lambda: has_ended(gated))
    assert gated.tree("P@master") == {"/a": "A"}


def test_lock_that_a_child_of_a_dead_server_still_has_is_waited_for(world, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = (
        "import fcntl, os, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.write(f'process {os.getpid()} is serving'); file.flush()\n"
        "if os.fork() == 0: open(sys.argv[2]).read()\n"  # as a child that has not started its program yet
    )
    subprocess.run([sys.executable, "-c", script, str(world.folder / "runner.lock"), str(gate)], check=True)
    released = threading.Event()

    def release():
        released.set()  # first: the child ends, and the runner starts, as soon as the gate is written
        gate.write_text("the child ends")

    child = threading.Timer(0.3, release)
    child.start()
    runner = Runner(world.folder)
    runner.start()  # neither refused nor told to wait: nobody serves
    assert released.is_set()
    runner.stop()


def test_job_that_lacks_a_secret_is_told_to_the_command_and_runs_once_the_secret_is_there(world, tmp_path, capsys):
    world.repo("in")
    manifest = tmp_path / "secret.json"
    manifest.write_text(json.dumps({"metadata": {"name": "s"}, "stringData": {"k": "v"}}))
    secrets.create_secret(world.store.folder, manifest)
    spec = world.toy(cmd=world.sh("echo $K > /pfs/out/k"), secrets=[{"name": "s", "key": "k", "env_var": "K"}])
    world.create(spec)
    secrets.delete_secret(world.store.folder, "s")
    with running(world):
        (tmp_path / "a").write_text("A")
        assert main(["--state", str(world.folder), "put", "file", "in@master", "-f", str(tmp_path / "a")]) == 1
        assert f"error: {world.last().name} waits: secret s not found" in capsys.readouterr().err
        secrets.create_secret(world.store.folder, manifest)
        assert main(["--state", str(world.folder), "wait", "job", "P"]) == 0
    assert world.tree("P@master") == {"/k": "v\n"}
    assert world.last().reason == ""


def test_subscriber_hears_of_a_change_that_another_process_makes(world):
    with running(world) as runner, runner.subscribe() as changes:
        assert changes.wait(DEADLINE_S)  # what there is
        while changes.wait(0.3):
            pass
        words = [sys.executable, "-m", "localpach", "--state", str(world.folder), "create", "repo", "new"]
        environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1])}
        subprocess.run(words, env=environment, check=True)
        assert changes.wait(DEADLINE_S)
    assert world.store.has_repo("new")


def test_clock_is_looked_at_without_a_change(world):
    world.create(
        {
            "pipeline": {"name": "P"},
            "transform": {"cmd": ["sh", "-c", "ls /pfs/tick/ > /pfs/out/ticks"]},
            "input": {"cron": {"name": "tick", "spec": "@every 1s", "overwrite": True}},
        }
    )
    with running(world):
        wait_for(lambda: len(world.jobs("P")) > 1 and has_ended(world))


def test_subscribers_are_woken_at_the_end(world):
    with running(world) as runner, runner.subscribe() as changes:
        while changes.wait(0.3):
            pass
        runner.stop()
        assert changes.wait(0)
        assert not runner.is_alive


def test_jobs_of_a_state_without_a_runner_are_run_by_the_command_as_before(toy_pipeline):
    toy_pipeline.put("in@master", {"/b": "B"}, run=False)
    assert [job.state for job in toy_pipeline.run()] == ["success"]
    assert repos.find_commit(toy_pipeline.store, parse_commit("P@master")).finished
    assert not Records(toy_pipeline.store).unfinished_jobs()
