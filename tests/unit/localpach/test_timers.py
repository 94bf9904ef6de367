"""What happens by the clock: ticks of cron inputs and scheduled triggers, with a clock that the test turns."""

import time
from datetime import UTC, datetime

import pytest

from localpach.actions import files, pipelines, repos, timers
from localpach.errors import DependedOnError, NotFoundError, ScheduleError, SpecError
from localpach.spec.addresses import parse_commit

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still at noon until the test turns it."""
    now = [BEGIN]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def cron(spec="@every 10s", **more):
    return {"cron": {"name": "tick", "spec": spec, **more}}


def ticking(world, node, name="P"):
    return {**world.toy(name, world.sh("ls /pfs/tick/ > /pfs/out/$(basename $tick)")), "input": node}


def wait(world, clock, seconds):
    clock[0] += seconds
    fired = timers.fire_due(world.store, clock[0])
    world.run()
    return fired


def ticks(world, repo="P_tick"):
    return [path.removeprefix("/2026-01-01T") for path in world.tree(f"{repo}@master")]


def test_pipeline_with_a_cron_input_gets_a_repo_and_a_job_without_datums(world, clock):
    world.create(ticking(world, cron()))
    assert world.store.has_repo("P_tick")
    assert (world.last().state, world.last().counts.total) == ("success", 0)
    assert not wait(world, clock, 9)
    assert len(world.jobs("P")) == 1


def test_each_tick_is_a_file_named_by_its_time_and_a_datum(world, clock):
    world.create(ticking(world, cron()))
    assert wait(world, clock, 10)
    assert wait(world, clock, 10)
    assert ticks(world) == ["12:00:10Z", "12:00:20Z"]
    assert world.last().counts.processed == 1
    assert sorted(world.tree("P@master")) == ["/2026-01-01T12:00:10Z", "/2026-01-01T12:00:20Z"]
    assert world.tree("P_tick@master") == dict.fromkeys(world.tree("P@master"), "")


def test_overwrite_keeps_only_the_last_tick(world, clock):
    world.create(ticking(world, cron(overwrite=True)))
    wait(world, clock, 10)
    wait(world, clock, 10)
    assert ticks(world) == ["12:00:20Z"]
    assert list(world.tree("P@master")) == ["/2026-01-01T12:00:20Z"]


def test_of_missed_ticks_only_the_newest_is_made(world, clock):
    world.create(ticking(world, cron()))
    wait(world, clock, 3607)
    assert ticks(world) == ["13:00:00Z"]
    assert len(world.jobs("P")) == 2
    assert not wait(world, clock, 0)


def test_first_tick_follows_start(world, clock):
    world.create(ticking(world, cron("@hourly", start="2026-01-01T14:30:00Z")))
    assert not wait(world, clock, 2 * 3600)
    assert wait(world, clock, 3600)
    assert ticks(world) == ["15:00:00Z"]


def test_run_cron_makes_a_tick_now_though_none_is_due(world, clock):
    world.create(ticking(world, cron("@never")))
    clock[0] += 5
    timers.run_cron(world.store, "P", clock[0])
    world.run()
    assert ticks(world) == ["12:00:05Z"]
    assert world.last().counts.processed == 1


def test_run_cron_of_a_pipeline_without_cron_input_is_refused(toy_pipeline):
    with pytest.raises(ScheduleError, match="no cron input"):
        timers.run_cron(toy_pipeline.store, "P", BEGIN)


def test_cron_crossed_with_data_runs_all_data_at_each_tick(world, clock):
    world.repo("in")
    world.put("in@master", {"/a": "a", "/b": "b"})
    node = {"cross": [{"pfs": {"repo": "in", "glob": "/*", "name": "in"}}, cron(overwrite=True)]}
    world.create({**world.toy(), "input": node})
    assert world.last().counts.total == 0
    wait(world, clock, 10)
    assert world.last().counts.processed == 2
    world.put("in@master", {"/c": "c"})
    assert (world.last().counts.processed, world.last().counts.skipped) == (1, 2)


def test_two_pipelines_that_are_due_share_no_tick(world, clock):
    world.create(ticking(world, cron(), "P"), ticking(world, cron("@every 20s"), "Q"))
    wait(world, clock, 10)
    assert [len(world.jobs(name)) for name in "PQ"] == [2, 1]
    wait(world, clock, 10)
    assert [ticks(world, repo) for repo in ("P_tick", "Q_tick")] == [["12:00:10Z", "12:00:20Z"], ["12:00:20Z"]]


def test_stopped_pipeline_gets_no_tick(world, clock):
    world.create(ticking(world, cron()))
    pipelines.stop_pipeline(world.store, "P")
    assert not wait(world, clock, 25)
    pipelines.start_pipeline(world.store, "P")
    wait(world, clock, 0)
    assert ticks(world) == ["12:00:20Z"]


def test_repo_of_the_ticks_goes_with_the_pipeline(world, clock):
    world.create(ticking(world, cron()))
    world.create(world.toy("reader", repo="P_tick"))
    with pytest.raises(DependedOnError, match="reader"):
        pipelines.delete_pipeline(world.store, "P")
    pipelines.delete_pipeline(world.store, "reader")
    pipelines.delete_pipeline(world.store, "P")
    assert not world.store.has_repo("P_tick")
    assert not wait(world, clock, 25)


def test_repo_of_the_ticks_can_be_named_and_stays_over_an_update(world, clock):
    world.create(ticking(world, cron(repo="times")))
    wait(world, clock, 10)
    world.update(ticking(world, cron("@every 20s", repo="times")))
    assert ticks(world, "times") == ["12:00:10Z"]
    wait(world, clock, 10)
    assert len(ticks(world, "times")) == 1
    wait(world, clock, 10)
    assert ticks(world, "times") == ["12:00:10Z", "12:00:30Z"]


def test_preview_of_a_cron_input_is_refused(world):
    with pytest.raises(SpecError, match="a cron input has no files before"):
        pipelines.preview_datums(world.store, world.parsed(ticking(world, cron())))


def test_deleted_tick_repo_makes_no_command_fail(world, clock):
    world.create(ticking(world, cron()))
    repos.delete_repo(world.store, "P_tick", force=True)
    assert not wait(world, clock, 25)
    with pytest.raises(NotFoundError, match="repo P_tick not found"):
        timers.run_cron(world.store, "P", clock[0])
    pipelines.start_pipeline(world.store, "P")  # makes it again
    wait(world, clock, 10)
    assert ticks(world) == ["12:00:30Z"]


def test_files_of_other_names_in_the_tick_repo_are_no_ticks(world, clock):
    world.create(ticking(world, cron()))
    world.put("P_tick@master", {"/2030-01-01": "", "/note": "x"})
    wait(world, clock, 10)
    assert ticks(world)[0] == "12:00:10Z"


def test_open_commit_of_the_tick_repo_takes_the_tick(world, clock):
    world.create(ticking(world, cron()))
    repos.start_commit(world.store, "P_tick", "master")
    wait(world, clock, 10)
    assert len(files.list_files(world.store, files.FileAddress(parse_commit("P_tick@master")))) == 1
    repos.finish_commit(world.store, parse_commit("P_tick@master"))
    world.run()
    assert world.last().counts.processed == 1
