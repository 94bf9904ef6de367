"""How does one job run? From its input commits to its output commit, the datums side by side in a pool.

::

    an input has an error? ─yes─▶ unrunnable
              │ no
    expand, plan ─▶ parallel phase ─▶ serial phase ─▶ merge ─▶ finish the commit
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from localpach.errors import EgressError, LocalpachError, NotFoundError
from localpach.planning.changes import Changes
from localpach.planning.datums import Datum
from localpach.planning.job_datums import expand_job
from localpach.planning.plan import CHANGED, Merged, Plan, Todo, merge, plan
from localpach.planning.propagate import newest_without_error
from localpach.planning.triggers import fire
from localpach.running import egress, secrets
from localpach.running.batching import runner
from localpach.running.execute import Interrupted, JobContext, Outcome, last_line
from localpach.running.executors import Executor
from localpach.running.kill import kill_job
from localpach.running.processes import Processes
from localpach.running.recompute import Recomputer
from localpach.running.reporting import Progress
from localpach.storage.records import FAILURE, SUCCESS, UNRUNNABLE, BaseDatum, DatumRecord, Job, Records
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import finish_output, spec_commit
from localpach.storage.trees import Entry

_WATCH_S = 0.2  # how often a running job looks whether it was killed or has run out of time
_SAVED_TOGETHER = 64  # datums; quick ones are saved together, because each save waits for the disk


def _output_commit(store: Store, job: Job) -> Commit:
    commit = store.commit(job.pipeline, job.id)
    if commit is None:
        raise NotFoundError("commit of job", job.name)
    return commit


class NotReadyError(Exception):
    """What a job needs before it starts is not there; the job waits until it is."""

    def __init__(self, reason: LocalpachError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Base:
    """The newest earlier result without an error: what is on record of its datums, and its files."""

    datums: dict[str, BaseDatum]
    tree: int | None


class JobRun:
    """One job from its inputs to its commit."""

    def __init__(self, store: Store, job: Job, scratch: Path, progress: Progress, executor: Executor) -> None:
        self._store = store
        self._records = Records(store)
        self._job = job
        self._progress = progress
        self._spec = self._records.spec(job.pipeline, job.version)
        self._processes = Processes()
        self._recomputer = Recomputer(store, scratch, executor)
        self._made: set[str] = set()
        self._wrote_nothing: list[str] = []  # labels of datums that succeeded so
        self._base = self._find_base()
        self._context = JobContext(
            spec=self._spec,
            job_id=job.id,
            spec_commit=spec_commit(store, job.pipeline, job.id, job.version),
            scratch=scratch,
            logs=store.folder / "logs" / job.pipeline / job.id,
            objects=store.objects,
            executor=executor,
        )

    def run(self) -> Job:
        """Run the job and give it as it ended."""
        broken = self._broken_inputs()
        if broken:
            names = ", ".join(broken)
            self._end(UNRUNNABLE, f"unrunnable because the following upstream pipelines failed: {names}", None, [])
            return self._ended()
        made = self._plan()
        if made.parallel or made.serial:
            try:
                self._context.executor.check(self._spec)
                self._context = replace(self._context, secrets=secrets.given(self._store.folder, self._spec))
            except LocalpachError as error:
                raise NotReadyError(error) from error
        self._records.start_job(self._job, made.total)
        self._job = self._records.job(self._job.pipeline, self._job.id)
        ignored = [each for each in self._spec.ignored if each not in self._context.executor.honours]
        if ignored and self._is_first_of_version():
            self._progress.note(f"{self._job.pipeline}: ignored on one machine: {', '.join(ignored)}")
        if (made.parallel or made.serial) and self._is_first_of_version():
            for doubt in self._context.executor.doubts(self._spec):
                self._progress.note(f"{self._job.pipeline}: WARNING: {doubt}")
        done = len(self._records.datums_done(self._job))
        self._progress.job_started(self._job, len(made.parallel) + len(made.serial) - done, done)
        for phase in (made.parallel, made.serial):
            if not self._run_phase(phase):
                return self._ended()
            if self._failed_reason():
                break
        self._tell_of_silence()
        self._finish(made)
        return self._ended()

    def _tell_of_silence(self) -> None:
        """Tell of datums without a result: they count as done, and are skipped from now on."""
        if self._wrote_nothing:
            count, first = len(self._wrote_nothing), self._wrote_nothing[0]
            what = f"datum {first}" if count == 1 else f"{count} datums, first {first},"
            self._progress.note(f"{self._job.pipeline}: NOTE: {what} succeeded and wrote nothing to /pfs/out")

    def _ended(self) -> Job:
        job = self._records.job(self._job.pipeline, self._job.id)
        self._progress.job_ended(job, self._records.labels_skipped(job))
        return job

    def _find_base(self) -> _Base:
        commit = _output_commit(self._store, self._job)
        parent = self._store.commit(commit.repo, commit.parent) if commit.parent else None
        base = newest_without_error(self._store, parent)
        if base is None:
            return _Base({}, None)
        job = self._records.find_job(self._job.pipeline, base.id)
        datums = self._records.base_datums(job) if job else {}
        return _Base(datums, base.tree)

    def _base_entries(self) -> list[Entry]:
        return [] if self._base.tree is None else self._store.trees.entries(self._base.tree)

    def _is_first_of_version(self) -> bool:
        return self._records.first_of_version(self._job.pipeline, self._job.version) == self._job.id

    def _broken_inputs(self) -> list[str]:
        """Name the repos whose input commit carries an error, or is gone because its repo was deleted by force."""
        used = self._store.provenance(self._job.pipeline, self._job.id)
        commits = {repo: self._store.commit(repo, id_) for (repo, _), id_ in used.items()}
        return [repo for repo, commit in commits.items() if commit is None or commit.error is not None]

    def _plan(self) -> Plan:
        datums = expand_job(self._store, self._job)
        made = plan(datums, self._base.datums, salt=self._spec.salt, every_job=self._spec.every_job)
        changes = Changes(self._store, self._job.pipeline, self._spec.salt)
        for index, todo in enumerate(made.serial):
            if todo.why == CHANGED:
                before = self._records.ran(self._base.datums[todo.id])
                made.serial[index] = replace(todo, why=changes.why(todo.datum, before))
        return made

    def _run_phase(self, phase: list[Todo]) -> bool:
        """Run the datums of a phase that have not run; tell whether the job is still alive afterwards."""
        done = self._records.datums_done(self._job)
        waiting = deque(each for each in phase if each.id not in done)
        with runner(self._context, self._processes) as run:
            return self._run_side_by_side(waiting, run)

    def _run_side_by_side(self, waiting: deque[Todo], run: Callable[[Datum], Outcome]) -> bool:
        """Run datums in the pool; tell whether the job is still alive afterwards."""
        workers = min(self._spec.workers, os.cpu_count() or 1)
        pool = ThreadPoolExecutor(max_workers=workers)
        running: dict[Future[Outcome], Todo] = {}
        ended: list[tuple[Todo, Outcome]] = []
        looked = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:  # some in reserve, while others are saved
                    todo = waiting.popleft()
                    running[pool.submit(run, todo.datum)] = todo
                finished, _ = wait(running, timeout=_WATCH_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    todo, outcome = running.pop(future), future.result()
                    if outcome.damaged and self._is_recomputed(outcome.damaged):
                        waiting.append(todo)
                    else:
                        ended.append((todo, outcome))
                now = time.monotonic()
                if len(ended) >= _SAVED_TOGETHER or now >= looked + _WATCH_S or not (waiting or running):
                    looked = now
                    batch, ended = ended, []
                    self._save(batch)
                    if not self._alive():
                        return False
                    self._progress.tick(self._job, self._latest_line(running.values()))
        except Interrupted:
            return False
        finally:
            # Also on Ctrl-C: the programs are killed, and what has ended so far is kept for the next run.
            if waiting or running:
                self._processes.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            self._save([*ended, *_outcomes(running)])
        return True

    def _is_recomputed(self, digest: str) -> bool:
        """Tell whether a damaged object of an input is whole again, so that the datum can be tried once more."""
        if digest in self._made:
            return False
        self._made.add(digest)
        reason = self._recomputer.recompute(digest)
        told = f"cannot be made again: {reason}" if reason else "was damaged; the datum that wrote it has made it again"
        self._progress.note(f"stored object {digest[:12]}… {told}")
        return not reason

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

    def _save(self, ended: list[tuple[Todo, Outcome]]) -> None:
        """Note how datums ended and what they wrote, in one transaction."""
        if not ended:
            return
        records = [self._record(todo, outcome) for todo, outcome in ended]
        with self._store.transaction():
            if self._records.job(self._job.pipeline, self._job.id).ended:
                return
            self._records.save_datums(self._job, records)
            for todo, outcome in ended:
                if outcome.uploaded:
                    self._records.save_outputs(self._job, todo.id, outcome.entries)
        self._wrote_nothing += [todo.datum.label for todo, outcome in ended if outcome.uploaded and not outcome.entries]
        for record in records:
            self._progress.datum_ended(self._job, record)

    def _record(self, todo: Todo, outcome: Outcome) -> DatumRecord:
        return DatumRecord(
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
            downloaded=sum(entry.size for entry in _laid_out(todo.datum)),
            uploaded=sum(entry.size for entry in outcome.entries),
        )

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
            self._succeed(None, skipped)
            return
        ran = [todo.id for todo in (*made.parallel, *made.serial)]
        merged = merge(self._base_entries(), {*ran, *made.removed}, written)
        if merged.error:
            self._end(FAILURE, merged.error, None, skipped)
        else:
            self._succeed(merged, skipped)

    def _succeed(self, files: Merged | None, skipped: list[tuple[int, BaseDatum]]) -> None:
        """End the job well, once its results are where the spec wants them."""
        if self._spec.egress:
            self._records.egress_job(self._job)
            entries = {each.path: each for each in self._base_entries()}
            if files is not None:
                for path in files.removed:
                    del entries[path]
                entries.update((each.path, each) for each in files.written)
            try:
                egress.push(self._spec.egress, entries.values(), self._store.objects)
            except EgressError as error:
                self._end(FAILURE, str(error), None, skipped)
                return
        self._end(SUCCESS, "", files, skipped)

    def _end(self, state: str, reason: str, files: Merged | None, skipped: Iterable[tuple[int, BaseDatum]]) -> None:
        """End the job and its commit, whose files are those of the base with some changes, if any."""
        with self._store.transaction():
            if self._records.job(self._job.pipeline, self._job.id).ended:
                return
            self._records.save_skips(self._job, skipped)
            tree = self._base.tree
            if files is not None:
                tree = self._store.trees.add(copy_of=tree)
                self._store.trees.remove(tree, files.removed)
                self._store.trees.write(tree, files.written)
            error = None if state == SUCCESS else reason
            finish_output(self._store, self._job.pipeline, self._job.id, tree=tree, error=error)
            fire(self._store, _output_commit(self._store, self._job))
            self._records.end_job(self._job, state, reason, self._records.counts(self._job))


def _laid_out(datum: Datum) -> Iterator[Entry]:
    """Walk the files whose content a datum is given."""
    for each in datum.inputs:
        if not each.source.empty_files:
            yield from each.listing.below(each.path)


def _files(todo: Todo) -> tuple[tuple[str, str, str, str], ...]:
    return tuple((each.source.name, each.source.repo, each.listing.commit, each.path) for each in todo.datum.inputs)


def _outcomes(running: "dict[Future[Outcome], Todo]") -> Iterator[tuple[Todo, Outcome]]:
    """Give those that have ended after all, when the others were stopped."""
    for future, todo in running.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            yield todo, future.result()
