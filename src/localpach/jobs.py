"""How do jobs run? Unfinished jobs one after another in the order of their making, the datums of each in a pool.

::

    unfinished ─▶ inputs finished? ─no─▶ stays created
                        │ yes
                  an input has an error? ─yes─▶ unrunnable, and so are those that read it
                        │ no
                  expand, plan ─▶ parallel phase ─▶ serial phase ─▶ merge ─▶ finish the commit
"""

import os
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localpach.datums import Listing, expand
from localpach.execute import Interrupted, JobContext, Outcome, last_line, run_datum, scratch_root
from localpach.lock import only_runner
from localpach.pipelines import kill_job
from localpach.plan import BaseDatum, Plan, Todo, merge, plan
from localpach.processes import Processes
from localpach.propagate import newest_without_error
from localpach.records import FAILURE, SUCCESS, UNRUNNABLE, DatumRecord, Job, Records
from localpach.spec import PfsInput
from localpach.store import Commit, Entry, Store
from localpach.system_repos import finish_output

_WATCH_S = 0.2  # how often a running job looks whether it was killed or has run out of time


class Progress(Protocol):
    """What a person is shown while jobs run."""

    def note(self, message: str) -> None:
        """Show one line."""

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """A job begins; `todo` datums will run, `done` have run before it was interrupted."""

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """A datum ended."""

    def tick(self, job: Job, latest: str) -> None:
        """Time passes while datums run; `latest` is the last line that one of them wrote."""

    def job_ended(self, job: Job, datums: list[DatumRecord]) -> None:
        """A job reached its end."""


class Silent:
    """Shows nothing."""

    def note(self, message: str) -> None:
        """Show nothing."""

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """Show nothing."""

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """Show nothing."""

    def tick(self, job: Job, latest: str) -> None:
        """Show nothing."""

    def job_ended(self, job: Job, datums: list[DatumRecord]) -> None:
        """Show nothing."""


def run_jobs(store: Store, progress: Progress | None = None) -> list[Job]:
    """Run every job that can run, until none is left.

    Jobs that a killed process left unfinished go on where they were: their finished datums are not run again.

    Returns:
        The jobs that ended, in order.
    """
    shown = progress or Silent()
    records = Records(store)
    ended: list[Job] = []
    with only_runner(store.folder, shown.note), scratch_root(store.folder) as scratch:
        store.objects.discard_unfinished()
        while True:
            job = next((each for each in records.unfinished_jobs() if _can_run(store, each)), None)
            if job is None:
                return ended
            ended.append(_JobRun(store, job, scratch, shown).run())


def _can_run(store: Store, job: Job) -> bool:
    """Tell whether all input commits, and the output commit before this one, are finished."""
    commit = _output_commit(store, job)
    needed = [(repo, id_) for (repo, _), id_ in store.provenance(job.pipeline, job.id).items()]
    if commit.parent:
        needed.append((job.pipeline, commit.parent))
    found = [store.commit(repo, id_) for repo, id_ in needed]
    return all(each is None or each.finished is not None for each in found)


def _output_commit(store: Store, job: Job) -> Commit:
    commit = store.commit(job.pipeline, job.id)
    assert commit is not None, f"job {job.name} has no commit"
    return commit


@dataclass(frozen=True, slots=True)
class _Base:
    """The newest earlier result without an error: its files and what is on record of its datums."""

    entries: list[Entry]
    datums: dict[str, BaseDatum]
    tree: int | None


class _JobRun:
    """One job from its inputs to its commit."""

    def __init__(self, store: Store, job: Job, scratch: Path, progress: Progress) -> None:
        self._store = store
        self._records = Records(store)
        self._job = job
        self._progress = progress
        self._spec = self._records.spec(job.pipeline, job.version)
        self._processes = Processes()
        self._base = self._find_base()
        self._context = JobContext(
            spec=self._spec,
            job_id=job.id,
            version=job.version,
            scratch=scratch,
            logs=store.folder / "logs" / job.pipeline / job.id,
            objects=store.objects,
        )

    def run(self) -> Job:
        """Run the job and give it as it ended."""
        broken = self._broken_inputs()
        if broken:
            names = ", ".join(broken)
            self._end(UNRUNNABLE, f"unrunnable because the following upstream pipelines failed: {names}", None, [])
            return self._ended()
        made = self._plan()
        self._records.start_job(self._job, made.total)
        self._job = self._records.job(self._job.pipeline, self._job.id)
        if self._spec.ignored and self._is_first_of_version():
            self._progress.note(f"{self._job.pipeline}: ignored on one machine: {', '.join(self._spec.ignored)}")
        done = len(self._records.datums_done(self._job))
        self._progress.job_started(self._job, len(made.parallel) + len(made.serial) - done, done)
        for phase in (made.parallel, made.serial):
            if not self._run_phase(phase):
                return self._ended()
            if self._failed_reason():
                break
        self._finish(made)
        return self._ended()

    def _ended(self) -> Job:
        job = self._records.job(self._job.pipeline, self._job.id)
        self._progress.job_ended(job, self._records.datums(job.pipeline, job.id))
        return job

    def _find_base(self) -> _Base:
        commit = _output_commit(self._store, self._job)
        parent = self._store.commit(commit.repo, commit.parent) if commit.parent else None
        base = newest_without_error(self._store, parent)
        if base is None:
            return _Base([], {}, None)
        job = self._records.find_job(self._job.pipeline, base.id)
        datums = self._records.base_datums(job) if job else {}
        return _Base(self._store.entries(base.tree), datums, base.tree)

    def _is_first_of_version(self) -> bool:
        same = [each for each in self._records.jobs(self._job.pipeline) if each.version == self._job.version]
        return same[-1].id == self._job.id

    def _broken_inputs(self) -> list[str]:
        """Name the repos whose input commit carries an error."""
        used = self._store.provenance(self._job.pipeline, self._job.id)
        commits = [self._store.commit(repo, id_) for (repo, _), id_ in used.items()]
        return [commit.repo for commit in commits if commit is not None and commit.error is not None]

    def _plan(self) -> Plan:
        used = self._store.provenance(self._job.pipeline, self._job.id)
        listings: dict[tuple[str, str], Listing] = {}

        def listing(source: PfsInput) -> Listing:
            place = source.repo, source.branch
            if place not in listings:
                commit = self._store.commit(source.repo, used[place]) if place in used else None
                listings[place] = Listing(self._store.entries(commit.tree), commit.id) if commit else Listing(())
            return listings[place]

        datums = expand(self._spec.input, listing)
        return plan(datums, self._base.datums, salt=self._spec.salt, every_job=self._spec.every_job)

    def _run_phase(self, phase: list[Todo]) -> bool:
        """Run datums in the pool; tell whether the job is still alive afterwards."""
        done = self._records.datums_done(self._job)
        waiting = [each for each in phase if each.id not in done]
        workers = min(self._spec.workers, os.cpu_count() or 1)
        pool = ThreadPoolExecutor(max_workers=workers)
        try:
            running: dict[Future[Outcome], Todo] = {}
            while waiting or running:
                while waiting and len(running) < workers:
                    todo = waiting.pop(0)
                    running[pool.submit(run_datum, self._context, todo.datum, self._processes)] = todo
                finished, _ = wait(running, timeout=_WATCH_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._save(running.pop(future), future.result())
                if not self._alive():
                    return False
                self._progress.tick(self._job, self._latest_line(running.values()))
        except Interrupted:
            return False
        finally:
            # Also on Ctrl-C: the programs are killed, and what is saved so far is kept for the next run.
            if waiting or running:
                self._processes.stop()
            pool.shutdown(wait=True, cancel_futures=True)
        return True

    def _latest_line(self, running: Iterable[Todo]) -> str:
        """Give the end of the log of a datum that runs, so that a long one shows where it is."""
        for todo in running:
            line = last_line(self._context.logs / f"{todo.id}.log")
            if line:
                return line
        return ""

    def _alive(self) -> bool:
        """Tell whether the job may go on; one that is out of time, or was killed from outside, stops."""
        job = self._records.find_job(self._job.pipeline, self._job.id)
        if job is None or job.ended:
            self._processes.stop()
            return False
        limit = self._spec.job_timeout_s
        if limit and job.started and time.time() - job.started > limit:
            self._processes.stop()
            kill_job(self._store, job.pipeline, job.id, f"stopped after {limit:g} s, the job_timeout")
            return False
        return True

    def _save(self, todo: Todo, outcome: Outcome) -> None:
        record = DatumRecord(
            id=todo.id,
            position=todo.position,
            hash=todo.hash,
            label=todo.datum.label,
            files=_files(todo),
            state=outcome.state,
            why=todo.why,
            reason=outcome.reason,
            seconds=outcome.seconds,
            tries=outcome.tries,
            ran_in=self._job.id,
            ran_version=self._job.version,
        )
        with self._store.transaction():
            if self._records.job(self._job.pipeline, self._job.id).ended:
                return
            self._records.save_datums(self._job, [record])
            if outcome.uploaded:
                self._records.save_outputs(self._job, todo.id, outcome.entries)
        self._progress.datum_ended(self._job, record)

    def _failed_reason(self) -> str:
        failed = self._records.first_failed(self._job)
        return f"datum {failed.label} failed: {failed.reason}" if failed else ""

    def _finish(self, made: Plan) -> None:
        """Write the records of the skipped datums and the output commit, in one transaction."""
        skipped = [(todo.position, self._base.datums[todo.id]) for todo in made.skipped]
        failed = self._failed_reason()
        if failed:
            self._end(FAILURE, failed, None, skipped)
            return
        written = self._records.outputs(self._job)
        if not written and not made.removed and not made.serial:  # the same files: the commits share one tree
            self._end(SUCCESS, "", self._base.tree, skipped)
            return
        ran = [todo.id for todo in (*made.parallel, *made.serial)]
        merged = merge(self._base.entries, {*ran, *made.removed}, written)
        if merged.error:
            self._end(FAILURE, merged.error, None, skipped)
        else:
            self._end(SUCCESS, "", merged.entries, skipped)

    def _end(
        self, state: str, reason: str, files: "list[Entry] | int | None", skipped: Iterable[tuple[int, BaseDatum]]
    ) -> None:
        with self._store.transaction():
            if self._records.job(self._job.pipeline, self._job.id).ended:
                return
            self._records.save_skips(self._job, skipped)
            tree = self._base.tree if files is None else files if isinstance(files, int) else self._store.add_tree()
            if isinstance(files, list) and tree is not None:
                self._store.write_entries(tree, files)
            error = None if state == SUCCESS else reason
            finish_output(self._store, self._job.pipeline, self._job.id, tree=tree, error=error)
            self._records.end_job(self._job, state, reason, self._records.counts(self._job))


def _files(todo: Todo) -> tuple[tuple[str, str, str, str], ...]:
    return tuple((each.source.name, each.source.repo, each.listing.commit, each.path) for each in todo.datum.inputs)
