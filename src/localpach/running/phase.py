"""How do the datums of a job run? Side by side in a pool, each saved soon after its end, until all have ended."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from localpach.planning.datums import Datum
from localpach.planning.plan import Todo
from localpach.running.batching import runner
from localpach.running.execute import Interrupted, JobContext, Outcome, last_line
from localpach.running.kill import kill_job
from localpach.running.processes import Processes
from localpach.running.recompute import Recomputer
from localpach.running.reporting import Progress
from localpach.storage.records import DatumRecord, Job, Records
from localpach.storage.store import Store
from localpach.storage.trees import Entry

_WATCH_S = 0.2  # how often a running job looks whether it was killed or has run out of time
_SAVED_TOGETHER = 64  # datums; quick ones are saved together, because each save waits for the disk

_Running = dict[Future[Outcome], Todo]


class DatumRunner:
    """Runs datums of one job, which has been started.

    Args:
        store: The state.
        job: The job.
        context: What its datums share.
        progress: Shows how they run.

    Attributes:
        wrote_nothing: Labels of datums that succeeded and wrote nothing.
    """

    def __init__(self, store: Store, job: Job, context: JobContext, progress: Progress) -> None:
        self._store = store
        self._records = Records(store)
        self._job = job
        self._context = context
        self._progress = progress
        self._processes = Processes()
        self._recomputer = Recomputer(store, context.scratch, context.executor)
        self._recomputed: set[str] = set()
        self.wrote_nothing: list[str] = []

    def run(self, phase: Iterable[Todo]) -> bool:
        """Run the datums of a phase that have not run; return whether the job is still alive afterwards."""
        done = self._records.datums_done(self._job)
        waiting = deque(each for each in phase if each.id not in done)
        with runner(self._context, self._processes) as run:
            return self._run_side_by_side(waiting, run)

    def _run_side_by_side(self, waiting: deque[Todo], run: Callable[[Datum], Outcome]) -> bool:
        workers = min(self._context.spec.workers, os.cpu_count() or 1)
        pool = ThreadPoolExecutor(max_workers=workers)
        running: _Running = {}
        ended: list[tuple[Todo, Outcome]] = []
        saved = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:  # some in reserve, while others are saved
                    todo = waiting.popleft()
                    running[pool.submit(run, todo.datum)] = todo
                for each in self._next_ended(running, waiting):
                    ended.append(each)  # one by one: those before an interrupted one are saved
                is_last = not (waiting or running)
                if is_last or len(ended) >= _SAVED_TOGETHER or time.monotonic() >= saved + _WATCH_S:
                    saved = time.monotonic()
                    batch, ended = ended, []
                    self._save(batch)
                    if not self._is_alive():
                        return False
                    self._progress.tick(self._job, self._latest_line(running.values()))
        except Interrupted:
            return False
        finally:
            # Also on Ctrl-C: the programs are killed, and what has ended so far is kept for the next run.
            if waiting or running:
                self._processes.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            self._save([*ended, *_ended_after_all(running)])
        return True

    def _next_ended(self, running: _Running, waiting: deque[Todo]) -> Iterator[tuple[Todo, Outcome]]:
        """Wait a moment for datums to end, and take them out of the running ones.

        One whose input was damaged, and is whole again, waits for another run.
        """
        finished, _ = wait(running, timeout=_WATCH_S, return_when=FIRST_COMPLETED)
        for future in finished:
            todo, outcome = running.pop(future), future.result()
            if outcome.damaged and self._is_recomputed(outcome.damaged):
                waiting.append(todo)
            else:
                yield todo, outcome

    def _is_recomputed(self, digest: str) -> bool:
        """Recompute a damaged object of an input; return whether the datum can be tried once more."""
        if digest in self._recomputed:
            return False
        self._recomputed.add(digest)
        reason = self._recomputer.recompute(digest)
        end = f"cannot be made again: {reason}" if reason else "was damaged; the datum that wrote it has made it again"
        self._progress.note(f"stored object {digest[:12]}… {end}")
        return not reason

    def _latest_line(self, running: Iterable[Todo]) -> str:
        """Return the end of the log of a datum that runs, so that a long one shows where it is."""
        for todo in running:
            line = last_line(self._context.logs / f"{todo.id}.log")
            if line:
                return line
        return ""

    def _is_alive(self) -> bool:
        """Return whether the job may go on; one that is out of time, or was killed from outside, stops."""
        job = self._records.find_job(self._job.pipeline, self._job.id)
        if job is None or job.ended:
            self._processes.stop()
            return False
        limit = self._context.spec.job_timeout_s
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
        self.wrote_nothing += [todo.datum.label for todo, outcome in ended if outcome.uploaded and not outcome.entries]
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


def _ended_after_all(running: _Running) -> Iterator[tuple[Todo, Outcome]]:
    """Yield those that have ended after all, when the others were stopped."""
    for future, todo in running.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            yield todo, future.result()


def _laid_out(datum: Datum) -> Iterator[Entry]:
    """Walk the files whose content a datum is given."""
    for each in datum.inputs:
        if not each.source.empty_files:
            yield from each.listing.below(each.path)


def _files(todo: Todo) -> tuple[tuple[str, str, str, str], ...]:
    return tuple((each.source.name, each.source.repo, each.listing.commit, each.path) for each in todo.datum.inputs)
