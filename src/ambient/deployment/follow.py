"""How far is a job set, and what went wrong in it? One line a job; a failure comes with what its program wrote."""

import time
from collections.abc import Callable, Iterable

from ambient.deployment.errors import DeployError, JobsFailedError
from ambient.deployment.pachd import Pachd
from ambient.deployment.state import Job

LOG_LINES = 5
NAMED_DATUMS = 5  # more are counted only


def newest_job_set(pachd: Pachd, pipelines: Iterable[str]) -> str | None:
    """Return the ID of the set that the newest job of these pipelines belongs to."""
    jobs = [job for name in pipelines if (job := pachd.jobs.newest(name)) is not None]
    dated = [(job.created, job.id) for job in jobs if job.created is not None]
    return max(dated)[1] if dated else None


def line(job: Job) -> str:
    """Describe a job in one line: pipeline, state, datums, time."""
    counts = f"{job.processed} processed, {job.skipped} skipped"
    if job.recovered:
        counts += f", {job.recovered} recovered"
    if job.failed:
        counts += f", {job.failed} failed"
    seconds = "" if job.seconds is None else f"  {job.seconds:.0f} s"
    return f"{job.pipeline:24} {job.state.lower():10} {counts} of {job.total}{seconds}"


def follow(
    pachd: Pachd,
    job_set_id: str,
    report: Callable[[str], None],
    *,
    timeout_s: float | None = None,
    pause_s: float = 2.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Job]:
    """Wait for every job of a set; report each one's state when it changes.

    The cluster is asked again and again instead of being listened to: so a connection that breaks costs nothing.

    Returns:
        The jobs, ended.

    Raises:
        DeployError: the time is over, there is no such set, or a pipeline failed so that its job can never end.
    """
    end_s = None if timeout_s is None else clock() + timeout_s
    reported: dict[str, str] = {}
    while True:
        jobs = pachd.jobs.in_set(job_set_id)
        if not jobs:
            raise DeployError(f"{job_set_id}: no jobs; expected a job set. Look with deploy.py status")
        for job in jobs:
            if reported.get(job.pipeline) != job.state:
                reported[job.pipeline] = job.state
                report(line(job))
        waiting = [job for job in jobs if not job.has_ended]
        if not waiting:
            return jobs
        _no_dead_pipeline(pachd, waiting, reported, report)
        if end_s is not None and clock() >= end_s:
            raise DeployError(
                f"{job_set_id}: {len(waiting)} jobs still run after {timeout_s:.0f} s, the first is that of "
                f"{waiting[0].pipeline}. Wait again with deploy.py wait {job_set_id}"
            )
        sleep(pause_s)


def _no_dead_pipeline(
    pachd: Pachd, waiting: list[Job], reported: dict[str, str], report: Callable[[str], None]
) -> None:
    """Look at the pipelines that we wait for: one in state FAILURE has no workers, its job would wait for ever."""
    for job in waiting:
        state, reason = pachd.pipelines.state(job.pipeline) or ("FAILURE", "the pipeline is gone")
        if state == "FAILURE":
            raise DeployError(
                f"{job.pipeline}: the pipeline failed: {reason or 'no reason given'}; expected its job to run. "
                "Correct the spec and run deploy.py up again"
            )
        if state == "CRASHING" and reported.get(f"{job.pipeline} crashing") != reason:
            reported[f"{job.pipeline} crashing"] = reason
            report(f"{job.pipeline}: its workers do not come up: {reason or 'no reason given'}. Is the image pushed?")


def explain(pachd: Pachd, jobs: list[Job], report: Callable[[str], None]) -> None:
    """Name the songs that were left out, and every job that did not succeed with what its datums wrote.

    Raises:
        JobsFailedError: some job did not succeed.
    """
    for job in jobs:
        if job.recovered:
            _report_datums(pachd, job, "RECOVERED", "was left out", report)
    causes = []
    for job in jobs:
        if job.state in ("FAILURE", "KILLED"):
            report(f"{job.pipeline}: {job.state.lower()}: {job.reason or 'no reason given'}")
            _report_datums(pachd, job, "FAILED", "failed", report)
            causes.append(
                f"{job.pipeline}: the job ended in {job.state.lower()}: {job.reason or 'no reason given'}; expected "
                f"success. See pachctl logs --job {job.pipeline}@{job.id}"
            )
    unrunnable = [job for job in jobs if job.state == "UNRUNNABLE"]
    if unrunnable and not causes:
        causes.append(f"{unrunnable[0].pipeline}: {unrunnable[0].reason}; expected success. See deploy.py status")
    if causes:
        raise JobsFailedError(causes)


def _report_datums(pachd: Pachd, job: Job, state: str, verb: str, report: Callable[[str], None]) -> None:
    """Name datums in a state, each with the last lines of its log."""
    count = job.failed if state == "FAILED" else job.recovered
    for datum in pachd.jobs.datums(job, state, NAMED_DATUMS):
        report(f"{job.pipeline}: {', '.join(datum.paths) or datum.id} {verb}")
        for text in pachd.jobs.log(job, datum.id, LOG_LINES):
            report(f"    {text}")
    if count > NAMED_DATUMS:
        state_flag = state.lower()
        report(
            f"{job.pipeline}: {count - NAMED_DATUMS} more; pachctl list datum {job.pipeline}@{job.id} ({state_flag})"
        )
