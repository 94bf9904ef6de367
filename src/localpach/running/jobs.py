"""In which order do jobs run? All that are unfinished, one after another in the order of their making.

A job whose inputs are not finished waits, and so does one that lacks an image or a secret; the others go on.
"""

from localpach.errors import LocalpachError, NotFoundError
from localpach.running.execute import scratch_root
from localpach.running.executors import Executor, choose
from localpach.running.job_run import JobRun, NotReadyError
from localpach.running.reporting import Progress, Silent
from localpach.storage.lock import only_runner
from localpach.storage.records import Job, Records
from localpach.storage.store import Store


def run_jobs(store: Store, progress: Progress | None = None, executor: Executor | None = None) -> list[Job]:
    """Run every job that can run, until none is left.

    Jobs that a killed process left unfinished go on where they were: their finished datums are not run again.

    Args:
        store: The state.
        progress: Shows how they run.
        executor: Where programs run; by default what the environment says.

    Returns:
        The jobs that ended, in order.

    Raises:
        LocalpachError: an image, an engine or a secret that a job needs is not there; the others have run.
    """
    shown = progress or Silent()
    runs_programs = executor or choose()
    records = Records(store)
    ended: list[Job] = []
    waiting: dict[str, LocalpachError] = {}
    with only_runner(store.folder, shown.note), scratch_root(store.folder) as scratch:
        store.objects.discard_unfinished()
        while True:
            unfinished = [job for job in records.unfinished_jobs() if job.name not in waiting]
            job = next((each for each in unfinished if _can_run(store, each)), None)
            if job is None:
                break
            try:
                ended.append(JobRun(store, job, scratch, shown, runs_programs).run())
            except NotFoundError:
                if records.find_job(job.pipeline, job.id) is not None:
                    raise
                shown.note(f"{job.name} was deleted while it ran")
            except NotReadyError as missing:
                waiting[job.name] = missing.reason
    for name, reason in list(waiting.items())[1:]:
        shown.note(f"{name} waits: {reason}")
    for reason in waiting.values():
        raise reason
    return ended


def _can_run(store: Store, job: Job) -> bool:
    """Tell whether all input commits, and the output commit before this one, are finished."""
    commit = store.commit(job.pipeline, job.id)
    if commit is None:  # another process is deleting the job
        return False
    needed = [(repo, id_) for (repo, _), id_ in store.provenance(job.pipeline, job.id).items()]
    if commit.parent:
        needed.append((job.pipeline, commit.parent))
    found = [store.commit(repo, id_) for repo, id_ in needed]
    return all(each is None or each.finished is not None for each in found)
