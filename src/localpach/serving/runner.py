"""Who runs jobs in the background? One thread, the only runner of its state from `start` to `stop`.

::

    start ─▶ the right to run ─▶ run what is due ─▶ wait for a change, or for the clock ─┐
                                     ▲                                                   │
                                     └───────────────────────────────────────────────────┘

A change may come from this process or from another: the command line beside a runner stores its change and waits
until the runner has run its jobs. A runner that is killed leaves what a killed command leaves: the next one goes on.
"""

import sqlite3
import threading
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path

from localpach.actions.timers import fire_due
from localpach.errors import LocalpachError, ServedError
from localpach.running.execute import scratch_root
from localpach.running.executors import Executor, choose
from localpach.running.jobs import run_ready
from localpach.running.reporting import Progress, Silent
from localpach.serving.news import News, Subscription
from localpach.storage.lock import SERVING, only_runner
from localpach.storage.records import DatumRecord, Job, Records
from localpach.storage.store import Store

_CLOCK_S = 1.0  # how often what is due by the clock is looked for
_AGAIN_S = 10.0  # after this time jobs that lack an image or a secret are tried again


class Runner:
    """Runs the jobs of one state in a thread of its own.

    Args:
        state: The state folder; it is made if it is not there.
        executor: Where programs run; by default what the environment says.
        progress: Shows how jobs run. It is called by the runner's threads.

    Attributes:
        news: Tells of changes in the state.
    """

    def __init__(self, state: Path, *, executor: Executor | None = None, progress: Progress | None = None) -> None:
        Store(state).close()
        self._state = state.resolve()
        self._executor = executor or choose()
        self._progress = progress or Silent()
        self.news = News(self._state)
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._refused: ServedError | None = None
        self._thread = threading.Thread(target=self._main, name="localpach runner")

    def start(self) -> None:
        """Begin to run jobs; where another command runs some, they begin when it has ended.

        Raises:
            ServedError: another process serves this state.
        """
        self.news.start()
        self._thread.start()
        self._begun.wait()
        if self._refused:
            self.stop()
            raise self._refused

    def stop(self) -> None:
        """Stop: programs that run are killed, finished datums are kept, unfinished jobs go on at the next start."""
        self._stopping.set()
        self.news.notify()
        if self._thread.ident is not None:
            self._thread.join()
        self.news.stop()

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Hear of every change in the state, of jobs, files and pipelines, whoever makes it.

        Use it as `with runner.subscribe() as changes: while changes.wait(timeout_s): …`; the first wait returns at
        once, so that a reader begins with what there is.
        """
        return self.news.subscribed()

    @property
    def is_alive(self) -> bool:
        """Whether it runs jobs, or waits for the right to; only a fault of its own ends it before `stop`."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def _main(self) -> None:
        store = Store(self._state)
        try:
            with only_runner(self._state, self._wait_for, SERVING, done=self._may_give_up) as has_right:
                self._begun.set()
                if has_right:
                    self._serve(store)
        finally:
            self._begun.set()
            store.close()

    def _wait_for(self, line: str) -> None:
        if f" is {SERVING} in " in line:
            self._refused = ServedError(line.partition(" in ")[0], str(self._state))
        else:
            self._progress.note(line)
            self._begun.set()

    def _may_give_up(self) -> bool:
        return self._refused is not None or self._stopping.is_set()

    def _serve(self, store: Store) -> None:
        with scratch_root(store.folder) as scratch, self.subscribe() as changes, closing(self._executor):
            store.objects.discard_unfinished()
            work = _Work(store, scratch, self._executor, _UntilStopped(self._progress, self._stopping))
            while not self._stopping.is_set():
                try:
                    work.do()
                except _Stopped:
                    return
                changes.wait(_CLOCK_S)


class _Work:
    """What a runner does again and again; nothing that goes wrong with a job ends it."""

    def __init__(self, store: Store, scratch: Path, executor: Executor, progress: "_UntilStopped") -> None:
        self._store = store
        self._scratch = scratch
        self._executor = executor
        self._progress = progress
        self._held: dict[str, LocalpachError] = {}
        self._noted: dict[str, str] = {}
        self._again = 0.0
        self._not_before = 0.0

    def do(self) -> None:
        """Run what is due by now."""
        if time.monotonic() < self._not_before:
            return
        try:
            fire_due(self._store, time.time())
            self._release()
            for _ in run_ready(self._store, self._scratch, self._progress, self._executor, self._held):
                pass
        except (LocalpachError, sqlite3.Error, OSError) as error:  # a full disk, a damaged object: it may pass
            self._not_before = time.monotonic() + _AGAIN_S
            self._note({"": f"{error}; jobs go on in {_AGAIN_S:g} s"})
        else:
            self._note({name: f"{name} waits: {reason}" for name, reason in self._held.items()})

    def _release(self) -> None:
        """Try jobs again that were held: some time after, or when somebody has asked for it."""
        if time.monotonic() >= self._again:
            self._again = time.monotonic() + _AGAIN_S
            self._held.clear()
        if self._held:
            still = {job.name for job in Records(self._store).unfinished_jobs() if job.reason}
            for name in self._held.keys() - still:
                del self._held[name]

    def _note(self, lines: dict[str, str]) -> None:
        """Show a line once, and again when it comes back."""
        for name, line in lines.items():
            if self._noted.get(name) != line:
                self._progress.note(line)
        self._noted = lines


class _Stopped(Exception):  # noqa: N818  it is no error: the runner was asked to stop
    """Ends a job that runs, as Ctrl-C does."""


class _UntilStopped:
    """Shows how jobs run, and ends the one that runs when the runner is asked to stop."""

    def __init__(self, shown: Progress, stopping: threading.Event) -> None:
        self._shown = shown
        self._stopping = stopping

    def note(self, message: str) -> None:
        """Show one line."""
        self._shown.note(message)

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """Show that a job begins."""
        self._check()
        self._shown.job_started(job, todo, done)

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """Show that a datum ended."""
        self._shown.datum_ended(job, record)

    def tick(self, job: Job, latest: str) -> None:
        """Show that time passes."""
        self._check()
        self._shown.tick(job, latest)

    def job_ended(self, job: Job, skipped: list[str]) -> None:
        """Show that a job ended."""
        self._shown.job_ended(job, skipped)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _Stopped
