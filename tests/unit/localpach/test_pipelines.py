"""What people do with pipelines besides the conformance statements: rerun, salts, inputs that are gone."""

import threading

import pytest

from localpach.actions import pipelines, repos
from localpach.errors import DependedOnError, LostInputError, NotFoundError, OutputRepoError, StoppedError
from localpach.running import jobs
from localpach.storage.store import Store


def state(world, name="P"):
    return pipelines.pipeline_state(world.store, world.records.pipeline(name))


def crossed(world, name="P"):
    """A pipeline over two repos that copies both."""
    members = [{"pfs": {"repo": repo, "glob": "/*"}} for repo in ("in", "other")]
    return {**world.toy(name, world.sh("cp /pfs/in/* /pfs/other/* /pfs/out")), "input": {"cross": members}}


@pytest.fixture
def two_inputs(world):
    """P over `in` and `other`, C over P, one file in each, all done."""
    world.repo("in", "other")
    world.put("in@master", {"/a": "a"})
    world.put("other@master", {"/b": "b"})
    world.create(crossed(world), world.toy("C", repo="P"))
    return world


def test_rerun_makes_one_job_and_skips_what_has_a_result(toy_pipeline):
    done = pipelines.rerun_pipeline(toy_pipeline.store, "P")
    toy_pipeline.run()
    assert (done.version, done.kept) == (2, 0)
    assert (toy_pipeline.last().counts.skipped, toy_pipeline.last().counts.processed) == (1, 0)
    assert len(toy_pipeline.jobs("P")) == 2


def test_rerun_with_reprocess_processes_all_again(toy_pipeline):
    pipelines.rerun_pipeline(toy_pipeline.store, "P", reprocess=True)
    toy_pipeline.run()
    assert (toy_pipeline.last().counts.skipped, toy_pipeline.last().counts.processed) == (0, 1)
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}


def test_rerun_tries_failed_datums_again(world, tmp_path):
    good = tmp_path / "good"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=world.sh(f"test -e {good} && cp /pfs/in/* /pfs/out"), datum_tries=1))
    assert world.last().state == "failure"
    good.touch()
    pipelines.rerun_pipeline(world.store, "P")
    world.run()
    assert world.last().state == "success"
    assert world.tree("P@master") == {"/file": "x"}


def test_rerun_of_a_stopped_or_missing_pipeline_is_refused(toy_pipeline):
    pipelines.stop_pipeline(toy_pipeline.store, "P")
    with pytest.raises(StoppedError):
        pipelines.rerun_pipeline(toy_pipeline.store, "P")
    with pytest.raises(NotFoundError, match="pipeline Q not found"):
        pipelines.rerun_pipeline(toy_pipeline.store, "Q")


def test_update_counts_the_datums_that_it_keeps(world):
    world.repo("in")
    world.put("in@master", {"/a": "a", "/b": "b", "/c": "c"})
    world.create(world.toy())
    (done,) = world.update(world.toy(datum_tries=1))
    assert done.kept == 0  # the program is the same
    (done,) = world.update(world.toy(cmd=world.sh("cp /pfs/in/* /pfs/out/; true")))
    assert done.kept == world.last().counts.skipped == 3
    world.put("in@master", {"/a": "A"}, run=False)
    (done,) = world.update(world.toy())  # one of the files has changed meanwhile
    assert done.kept == world.last().counts.skipped == 2
    (done,) = world.update(world.toy(cmd=["true"], glob="/"))
    assert (done.kept, world.last().counts.skipped) == (0, 0)
    (done,) = world.update(world.toy(cmd=["true", "x"], glob="/", reprocess_spec="every_job"))
    assert (done.kept, world.last().counts.skipped) == (0, 0)
    (done,) = world.update(world.toy(cmd=["true", "y"], glob="/"), reprocess=True)
    assert (done.kept, world.last().counts.skipped) == (0, 0)


def test_update_of_a_stopped_pipeline_says_what_it_will_keep(toy_pipeline):
    pipelines.stop_pipeline(toy_pipeline.store, "P")
    (done,) = toy_pipeline.update(toy_pipeline.toy(cmd=["true"]))
    assert done.kept == 1
    pipelines.start_pipeline(toy_pipeline.store, "P")
    toy_pipeline.run()
    assert toy_pipeline.last().counts.skipped == 1


def test_salt_of_a_spec_counts_at_creation_and_then_only_with_reprocess(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(salt="one"))
    assert world.records.pipeline("P").salt == "one"
    world.update(world.toy(salt="two"))
    assert (world.records.spec("P", 2).salt, world.last().counts.skipped) == ("one", 1)
    (done,) = world.update(world.toy(salt="one", cmd=["true"]), reprocess=True)
    assert (done.kept, world.last().counts.skipped) == (1, 1)
    world.update(world.toy(salt="two"), reprocess=True)
    assert (world.records.spec("P", 4).salt, world.last().counts.processed) == ("two", 1)


def test_stop_and_start_twice_are_once(toy_pipeline):
    for _ in range(2):
        pipelines.stop_pipeline(toy_pipeline.store, "P")
    assert state(toy_pipeline) == "paused"
    for _ in range(2):
        pipelines.start_pipeline(toy_pipeline.store, "P")
        toy_pipeline.run()
    assert state(toy_pipeline) == "running"
    assert toy_pipeline.line("P@master") == 2


def test_repo_that_is_read_is_deleted_only_by_force(two_inputs):
    with pytest.raises(DependedOnError, match="needed by P"):
        repos.delete_repo(two_inputs.store, "other")
    assert two_inputs.store.has_repo("other")


def test_reader_of_a_deleted_repo_keeps_its_output_and_gets_no_jobs(two_inputs):
    world = two_inputs
    before = world.tree("P@master"), world.line("P@master")
    repos.delete_repo(world.store, "other", force=True)
    assert (state(world), state(world, "C")) == ("failure", "running")
    world.put("in@master", {"/new": "x"})
    assert (world.tree("P@master"), world.line("P@master")) == before == ({"/a": "a", "/b": "b"}, 1)


def test_reader_goes_on_when_its_input_is_back_and_it_is_started(two_inputs):
    world = two_inputs
    repos.delete_repo(world.store, "other", force=True)
    with pytest.raises(NotFoundError, match=r"repo other not found; .*localpach create repo other"):
        pipelines.start_pipeline(world.store, "P")
    with pytest.raises(NotFoundError, match="repo other not found"):
        pipelines.rerun_pipeline(world.store, "P")
    assert state(world) == "failure"
    world.repo("other")
    world.put("other@master", {"/again": "b"})
    assert state(world) == "failure"
    pipelines.start_pipeline(world.store, "P")
    world.run()
    assert state(world) == "running"
    assert world.tree("C@master") == {"/a": "a", "/again": "b"}


def test_unfinished_job_whose_input_was_deleted_is_unrunnable(two_inputs):
    world = two_inputs
    id_ = world.put("in@master", {"/new": "x"}, run=False)
    repos.delete_repo(world.store, "other", force=True)
    world.run()
    assert {job.pipeline: job.state for job in world.records.jobs(None, id_)} == {"P": "unrunnable", "C": "unrunnable"}
    assert "other" in world.records.job("P", id_).reason
    assert world.tree("P@master^1") == {"/a": "a", "/b": "b"}
    assert world.tree("C@master") == {"/a": "a", "/b": "b"}


def test_datum_of_a_pipeline_without_its_input_is_not_restarted(two_inputs):
    world = two_inputs
    (datum,) = world.datums()
    repos.delete_repo(world.store, "other", force=True)
    with pytest.raises(LostInputError, match=r"input of pipeline P .*localpach start pipeline P"):
        pipelines.restart_datums(world.store, "P", [datum.id])


def test_reader_of_a_deleted_branch_is_detached_too(two_inputs):
    world = two_inputs
    with pytest.raises(DependedOnError):
        repos.delete_branch(world.store, "other", "master")
    repos.delete_branch(world.store, "other", "master", force=True)
    assert state(world) == "failure"
    world.put("in@master", {"/new": "x"})
    assert world.tree("P@master") == {"/a": "a", "/b": "b"}
    pipelines.start_pipeline(world.store, "P")  # makes the branch anew, without commits of before
    world.run()
    assert (state(world), world.tree("P@master")) == ("running", {})


def test_reader_of_a_deleted_pipeline_keeps_its_output(two_inputs):
    world = two_inputs
    with pytest.raises(DependedOnError, match="needed by C"):
        pipelines.delete_pipeline(world.store, "P")
    pipelines.delete_pipeline(world.store, "P", force=True)
    world.run()
    assert (state(world, "C"), world.tree("C@master")) == ("failure", {"/a": "a", "/b": "b"})
    world.create(crossed(world))
    pipelines.start_pipeline(world.store, "C")
    world.run()
    assert (state(world, "C"), world.last("C").state) == ("running", "success")


def test_pipeline_whose_repo_is_kept_leaves_its_readers_alone(two_inputs):
    world = two_inputs
    pipelines.delete_pipeline(world.store, "P", keep_repo=True)
    assert world.tree("P@master") == {"/a": "a", "/b": "b"}
    world.put("P@master", {"/by-hand": "h"})
    assert world.tree("C@master") == {"/a": "a", "/b": "b", "/by-hand": "h"}


@pytest.mark.parametrize("force", [False, True])
def test_output_repo_and_branch_go_only_with_the_pipeline(toy_pipeline, force):
    with pytest.raises(OutputRepoError, match="localpach delete pipeline P"):
        repos.delete_repo(toy_pipeline.store, "P", force=force)
    with pytest.raises(OutputRepoError, match="localpach delete pipeline P"):
        repos.delete_branch(toy_pipeline.store, "P", "master", force=force)
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}


def test_stopped_pipeline_whose_input_is_deleted_stays_paused(two_inputs):
    world = two_inputs
    pipelines.stop_pipeline(world.store, "P")
    repos.delete_repo(world.store, "other", force=True)
    assert state(world) == "paused"
    (done,) = world.update({**world.toy(cmd=["true"]), "input": crossed(world)["input"]})
    assert done.kept == 0
    with pytest.raises(NotFoundError, match="repo other not found"):
        pipelines.start_pipeline(world.store, "P")
    assert world.records.pipeline("P").stopped


@pytest.mark.parametrize("what", ["pipeline", "input"])
def test_deleting_what_runs_stops_only_that(world, what, wait_until):
    world.repo("in", "other")
    world.put("in@master", {f"/{number}": "x" for number in range(3)})
    world.put("other@master", {"/file": "x"})
    world.create(world.toy("P", world.sh("sleep 0.5; cp /pfs/in/* /pfs/out")), world.toy("Q", repo="other"), run=False)
    failed = []

    def run():
        try:
            jobs.run_jobs(Store(world.folder))
        except Exception as error:
            failed.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    wait_until(lambda: any(job.started for job in world.jobs("P")))
    if what == "pipeline":
        pipelines.delete_pipeline(world.store, "P")
    else:
        repos.delete_repo(world.store, "in", force=True)
    runner.join(60)
    assert not runner.is_alive()
    assert failed == []
    assert world.last("Q").state == "success"
    assert what == "pipeline" or world.last("P").ended
