"""In which order do jobs run? All that are unfinished, one after another in the order of their making.

A job whose inputs are not finished waits, and so does one that lacks an image or a secret; the others go on.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from localpach.errors import HeldError, LocalpachError, NotFoundError
from localpach.running.execute import scratch_root
from localpach.running.executors import Executor, choose
from localpach.running.job_run import JobRun, NotReadyError
from localpach.running.reporting import Progress, Silent
from localpach.storage.lock import only_runner
from localpach.storage.records import CREATED, Job, Records
from localpach.storage.store import Store


def run_jobs(store: Store, progress: Progress | None = None, executor: Executor | None = None) -> list[Job]:
    """Run every job that can run, until none is left.

    Jobs that a killed process left unfinished go on where they were: their finished datums are not run again.

    Args:
        store: The state.
        progress: Shows how they run.
        executor: Where programs run; by default what the environment says.

    Returns:
        The jobs that ended, in order. Where a server runs the jobs of this state, none: it has run them.

    Raises:
        HeldError: a server runs the jobs, and one of them lacks something.
        LocalpachError: an image, an engine or a secret that a job needs is not there; the others have run.
    """
    shown = progress or Silent()
    runs_programs = executor or choose()
    records = Records(store)
    records.release_jobs()
    wanted = {job.name for job in records.unfinished_jobs()}
    held: dict[str, LocalpachError] = {}
    with only_runner(store.folder, shown.note, done=lambda: _is_settled(store, wanted)) as has_right:
        if not has_right:  # a server has run them
            _raise_held(store, wanted)
            return []
        with scratch_root(store.folder) as scratch, closing(runs_programs):
            store.objects.discard_unfinished()
            ended = list(run_ready(store, scratch, shown, runs_programs, held))
    for name, reason in list(held.items())[1:]:
        shown.note(f"{name} waits: {reason}")
    for reason in held.values():
        raise reason
    return ended


def run_ready(
    store: Store, scratch: Path, progress: Progress, executor: Executor, held: dict[str, LocalpachError]
) -> Iterator[Job]:
    """Run job after job until none can run; for the process that has the right to.

    Args:
        store: The state.
        scratch: Where datums are laid out.
        progress: Shows how they run.
        executor: Where programs run.
        held: Jobs by name that lack something, with the reason: they are not tried, and those found are added.

    Yields:
        Each job that ended.
    """
    records = Records(store)
    while True:
        unfinished = [job for job in records.unfinished_jobs() if job.name not in held]
        job = next((each for each in unfinished if _can_run(store, each)), None)
        if job is None:
            return
        try:
            yield JobRun(store, job, scratch, progress, executor).run()
        except NotFoundError:
            if records.find_job(job.pipeline, job.id) is not None:
                raise
            progress.note(f"{job.name} was deleted while it ran")
        except NotReadyError as missing:
            held[job.name] = missing.reason
            records.hold_job(job, str(missing.reason))


def _is_settled(store: Store, wanted: set[str]) -> bool:
    """Return whether none of some jobs will get any further: they have ended, or wait for something."""
    left = [job for job in Records(store).unfinished_jobs() if job.name in wanted]
    return all((job.state == CREATED and job.reason) or not _can_run(store, job) for job in left)


def _raise_held(store: Store, wanted: set[str]) -> None:
    for job in Records(store).unfinished_jobs():
        if job.name in wanted and job.reason:
            raise HeldError(job.name, job.reason)


def _can_run(store: Store, job: Job) -> bool:
    """Return whether all input commits, and the output commit before this one, are finished."""
    commit = store.commit(job.pipeline, job.id)
    if commit is None:  # another process is deleting the job
        return False
    needed = [(repo, id_) for (repo, _), id_ in store.provenance(job.pipeline, job.id).items()]
    if commit.parent:
        needed.append((job.pipeline, commit.parent))
    found = [store.commit(repo, id_) for repo, id_ in needed]
    return all(each is None or each.finished is not None for each in found)
