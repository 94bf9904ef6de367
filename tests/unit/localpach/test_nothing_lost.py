"""Killed at any moment: finished commits stay readable, half of nothing is seen, and the next run goes on."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import localpach
from localpach.actions import downloads, files, pipelines, repos
from localpach.errors import DamagedObjectError, DependedOnError, LocalpachError, StateError
from localpach.running import batching, jobs
from localpach.running.reporting import Silent
from localpach.spec.addresses import parse_file
from localpach.storage.objects import Objects
from localpach.storage.store import Store
from localpach.storage.trees import Entry, Trees


class Killed(BaseException):
    """Stands for the death of the process at one step."""


@pytest.mark.parametrize("step", ["add_commit", "trees", "finish_commit", "add_provenance"])
def test_put_that_dies_at_any_step_leaves_the_state_as_it_was(toy_pipeline, monkeypatch, step):
    def die(*_args, **_kwargs):
        raise Killed

    before = (toy_pipeline.store.commits(), toy_pipeline.jobs("P"), toy_pipeline.tree("in@master"))
    monkeypatch.setattr(Trees, "write", die) if step == "trees" else monkeypatch.setattr(Store, step, die)
    with pytest.raises(Killed):
        toy_pipeline.put("in@master", {"/new": "n"}, run=False)
    monkeypatch.undo()
    toy_pipeline.reopen()
    assert (toy_pipeline.store.commits(), toy_pipeline.jobs("P"), toy_pipeline.tree("in@master")) == before
    toy_pipeline.put("in@master", {"/new": "n"})
    assert toy_pipeline.tree("P@master") == {"/file": "foo", "/new": "n"}


@pytest.mark.parametrize("step", ["save_datums", "save_outputs", "end_job", "start_job"])
def test_job_that_dies_at_any_step_is_finished_by_the_next_run(toy_pipeline, monkeypatch, step):
    def die(*_args, **_kwargs):
        raise Killed

    monkeypatch.setattr("localpach.storage.records.Records." + step, die)
    with pytest.raises(Killed):
        toy_pipeline.put("in@master", {"/new": "n"})
    monkeypatch.undo()
    toy_pipeline.reopen()
    assert toy_pipeline.tree("P@master^") == {"/file": "foo"}
    toy_pipeline.run()
    assert toy_pipeline.last().state == "success"
    assert toy_pipeline.tree("P@master") == {"/file": "foo", "/new": "n"}


def test_resumed_job_does_not_run_finished_datums_again(world, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/a": "", "/b": "", "/c": ""})
    script = f"basename /pfs/in/* >> {trace}; cp /pfs/in/* /pfs/out"
    world.create(world.toy(cmd=world.sh(script)), run=False)
    real, ran = batching.run_datum, []

    def die_at_the_second(*args):
        ran.append(args)
        if len(ran) == 2:
            raise Killed
        return real(*args)

    monkeypatch.setattr(batching, "run_datum", die_at_the_second)
    with pytest.raises(Killed):
        world.run()
    monkeypatch.undo()
    world.reopen()
    world.run()
    assert trace.read_text().split() == ["a", "b", "c"]
    assert set(world.tree("P@master")) == {"/a", "/b", "/c"}


def test_runner_killed_by_sigkill_loses_nothing_and_its_program_is_stopped(world, tmp_path, wait_until):
    pid_file = tmp_path / "pid"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    blocked = tmp_path / "blocked"
    blocked.touch()
    until_gone = f"for i in $(seq 1200); do test -e {blocked} || break; sleep 0.05; done"
    script = f"echo $$ > {pid_file}; {until_gone}; cp /pfs/in/* /pfs/out"
    world.create(world.toy(cmd=world.sh(script)), run=False)
    world.store.close()
    program = "from pathlib import Path; from localpach.running import jobs; "
    program += f"from localpach.storage.store import Store; jobs.run_jobs(Store(Path({str(world.folder)!r})))"
    runner = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": _source_folder()})
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), runner)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    left = int(pid_file.read_text())
    world.reopen()
    assert world.tree("in@master") == {"/file": "x"}
    blocked.unlink()
    world.run()
    assert world.tree("P@master") == {"/file": "x"}
    assert not _is_running(left)


def _source_folder():
    return str(Path(localpach.__file__).parent.parent)


def _is_running(process):
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_damaged_object_is_reported_and_never_handed_out(world, tmp_path):
    world.repo("in")
    world.put("in@master", {"/file": "good"})
    (stored,) = [path for path in (world.folder / "objects").rglob("*") if path.is_file()]
    stored.chmod(0o644)
    stored.write_text("evil")
    target = tmp_path / "got"
    with pytest.raises(DamagedObjectError, match="is damaged"):
        downloads.get_files(world.store, parse_file("in@master:/file"), target)
    assert not target.exists()
    with pytest.raises(DamagedObjectError, match="is damaged"):
        files.read_file(world.store, parse_file("in@master:/file"))
    world.create(world.toy(err_cmd=["true"]))
    assert world.last().state == "failure"
    assert "is damaged" in world.last().reason
    stored.unlink()
    with pytest.raises(DamagedObjectError, match="is missing"):
        world.read("in@master:/file")


def test_program_may_change_its_inputs_without_harm_to_the_store(world):
    world.repo("in")
    world.put("in@master", {"/file": "mine"})
    world.create(world.toy(cmd=world.sh("echo changed > /pfs/in/file; cp /pfs/in/file /pfs/out; chmod -R 777 /pfs/in")))
    assert world.tree("P@master") == {"/file": "changed\n"}
    assert world.read("in@master:/file") == "mine"


@pytest.mark.parametrize("damaged", [b"all", b"any of it"])
def test_damaged_object_is_written_again_when_its_bytes_are_put_again(tmp_path, damaged):
    objects = Objects(tmp_path)
    digest, _ = objects.add([b"all of it"])
    objects.flush()
    (stored,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    stored.chmod(0o644)
    stored.write_bytes(damaged)
    objects.add([b"all of it"])
    assert b"".join(objects.read(digest)) == b"all of it"


def test_state_of_another_version_or_kind_is_refused(tmp_path):
    (tmp_path / "state.sqlite").write_text("this is no database, though it is long enough to look like one" * 20)
    with pytest.raises(StateError, match=r"state\.sqlite"):
        Store(tmp_path)


@pytest.mark.parametrize("place", ["P@master", "P@{id}", "P.meta@master", "P.spec@master"])
def test_commit_that_a_job_fills_is_not_changed_by_hand(toy_pipeline, place):
    """Until the job ends, its commit shares its list of files with the finished one before it."""
    toy_pipeline.put("in@master", {"/b": "b"}, run=False)
    place = place.format(id=toy_pipeline.last().id)
    for change in (
        lambda: files.put_bytes(toy_pipeline.store, parse_file(f"{place}:/evil"), b""),
        lambda: files.delete_files(toy_pipeline.store, parse_file(f"{place}:/"), recursive=True),
        lambda: files.copy_files(toy_pipeline.store, parse_file("in@master:/b"), parse_file(f"{place}:/evil")),
    ):
        with pytest.raises(LocalpachError, match=r"not by hand|not changed by hand"):
            change()
    assert toy_pipeline.tree("P@master^") == {"/file": "foo"}
    toy_pipeline.run()
    assert toy_pipeline.tree("P@master") == {"/file": "foo", "/b": "b"}


def test_transaction_that_fails_leaves_nothing(world):
    def half_done():
        with world.store.transaction():
            world.store.trees.write(world.store.trees.add(), [Entry("/a", "0" * 64, 1)])
            raise Killed

    with pytest.raises(Killed):
        half_done()
    assert world.store.trees.size(1) == (0, 0)


def spec_of(name, repo):
    return {"pipeline": {"name": name}, "transform": {"cmd": ["true"]}, "input": {"pfs": {"repo": repo, "glob": "/"}}}


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([spec_of("A", "missing")], "repo missing not found; pipeline A reads it; make it with"),
        ([spec_of("A", "B"), spec_of("B", "A")], "cycle of pipelines: A -> B -> A"),
        ([spec_of("A", "A")], "reads itself"),
        ([spec_of("P", "in")], "pipeline P already exists; use `update pipeline`"),
        ([spec_of("new", "in"), spec_of("in", "P")], "cycle|already exists"),
    ],
)
def test_refused_create_changes_nothing(toy_pipeline, specs, message):
    before = toy_pipeline.store.repos(), toy_pipeline.records.pipelines(), toy_pipeline.store.commits()
    with pytest.raises(LocalpachError, match=message):
        toy_pipeline.create(*specs)
    assert (toy_pipeline.store.repos(), toy_pipeline.records.pipelines(), toy_pipeline.store.commits()) == before


def test_update_to_a_cycle_changes_nothing(toy_pipeline):
    toy_pipeline.create(toy_pipeline.toy("Q", repo="P"))
    with pytest.raises(LocalpachError, match="cycle of pipelines"):
        toy_pipeline.update(toy_pipeline.toy("P", repo="Q"))
    assert toy_pipeline.records.pipeline("P").version == 1


def test_pipeline_that_others_read_is_not_deleted_by_mistake(toy_pipeline):
    toy_pipeline.create(toy_pipeline.toy("Q", repo="P"))
    with pytest.raises(DependedOnError, match="pipeline P is needed by Q"):
        pipelines.delete_pipeline(toy_pipeline.store, "P")
    with pytest.raises(DependedOnError, match="repo in is needed by P"):
        repos.delete_repo(toy_pipeline.store, "in")
    pipelines.delete_pipeline(toy_pipeline.store, "Q")
    pipelines.delete_pipeline(toy_pipeline.store, "P", keep_repo=True)
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}
    toy_pipeline.put("P@master", {"/own": "x"})


def test_second_process_waits_for_the_one_that_runs_jobs(world, tmp_path, wait_until):
    blocked = tmp_path / "blocked"
    blocked.touch()
    started = tmp_path / "started"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    until_gone = f"for i in $(seq 3000); do test -e {blocked} || break; sleep 0.02; done"
    world.create(world.toy(cmd=world.sh(f"touch {started}; {until_gone}")), run=False)
    program = textwrap.dedent(f"""
        from pathlib import Path
        from localpach.running import jobs
        from localpach.storage.store import Store
        jobs.run_jobs(Store(Path({str(world.folder)!r})))
    """)
    runner = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": _source_folder()})
    wait_until(started.exists, runner)
    notes = []

    class Notes(Silent):
        def note(self, message):
            notes.append(message)
            blocked.unlink()

    world.put("in@master", {"/file2": "y"}, run=False)
    jobs.run_jobs(world.store, Notes())
    assert runner.wait(30) == 0
    assert f"process {runner.pid} is running jobs" in notes[0]
    assert [job.state for job in world.jobs("P")] == ["success", "success"]
    assert json.dumps([each.label for each in world.datums()]) == '["/file", "/file2"]'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_log_on_a_full_disk_costs_the_log_and_not_the_datum(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    spec = world.toy(cmd=world.sh("seq 1000; seq 1000 >&2; cp /pfs/in/* /pfs/out"))
    world.create(spec, run=False)
    (datum,) = pipelines.preview_datums(world.store, world.parsed(spec))
    log = world.folder / "logs" / "P" / world.last().id / f"{datum.id}.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    world.run()
    assert world.tree("P@master") == {"/file": "x"}


def test_full_disk_is_the_reason_in_words_when_a_datum_cannot_be_laid_out(world, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    world.repo("in")
    world.put("in@master", {"/file": "x"})
    monkeypatch.setattr(Objects, "copy_to", full)
    world.create(world.toy())
    assert world.last().reason == "datum /file failed: state folder: No space left on device"
    monkeypatch.undo()
    world.put("in@master", {"/other": "y"})
    assert set(world.tree("P@master")) == {"/file", "/other"}


def test_datum_of_a_stopped_pipeline_is_not_restarted_into_an_empty_output(toy_pipeline):
    (datum,) = toy_pipeline.datums()
    pipelines.stop_pipeline(toy_pipeline.store, "P")
    with pytest.raises(LocalpachError, match="P is stopped; start it with `localpach start pipeline P`"):
        pipelines.restart_datums(toy_pipeline.store, "P", [datum.id])
    toy_pipeline.run()
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}
