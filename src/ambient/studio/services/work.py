"""Programs that run beside the server, a few at a time: composing, rendering, comparing. Each can be stopped.

They are processes of their own, so that the page stays quick while they work, and a stop is a kill.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGES = str(Path(__file__).resolve().parents[3])  # where ambient lies
_TOGETHER = 2


@dataclass(eq=False)
class Task:
    """One program.

    Attributes:
        words: Its module and arguments, as after `python3 -m`.
        line: Called with each line that it writes on stdout.
        ended: Called at its end with the error in one line, empty if it went well; not called after `stop`.
    """

    words: Sequence[str]
    line: Callable[[str], None]
    ended: Callable[[str], None]
    stopped: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)


class Work:
    """Runs tasks in their order, two at a time."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._running: set[Task] = set()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._main, name=f"studio work {n}", daemon=True) for n in range(_TOGETHER)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, task: Task, *, first: bool = False) -> None:
        """Queue a task; `first` lets it pass those that wait."""
        with self._lock:
            (self._waiting.appendleft if first else self._waiting.append)(task)
            self._lock.notify()

    def stop(self, task: Task) -> None:
        """Stop a task, whether it waits or runs; it reports nothing any more."""
        with self._lock:
            task.stopped = True
            if task in self._waiting:
                self._waiting.remove(task)
            _kill(task)

    def close(self) -> None:
        """Stop all tasks and wait for their ends."""
        with self._lock:
            self._closed = True
            for task in [*self._waiting, *self._running]:
                task.stopped = True
                _kill(task)
            self._waiting.clear()
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    def _main(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                task = self._waiting.popleft()
                self._running.add(task)
            try:
                error = self._run(task)
            except OSError as problem:  # no memory, no more processes
                error = problem.strerror or str(problem)
            with self._lock:
                self._running.discard(task)
            if not task.stopped:
                task.ended(error)

    def _run(self, task: Task) -> str:
        with self._lock:
            if task.stopped:
                return ""
            task.process = subprocess.Popen(
                # -P: a folder of the same name where a person stands is not ours.
                [sys.executable, "-P", "-m", *task.words],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        process, said = task.process, deque[str](maxlen=20)
        assert process.stdout is not None
        assert process.stderr is not None
        reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
        reader.start()
        with process:
            for line in process.stdout:
                if not task.stopped:
                    task.line(line.rstrip("\n"))
            reader.join()
        return "" if process.returncode == 0 else _reason(said, process.returncode)


def _kill(task: Task) -> None:
    """End a program with those that it has started."""
    if task.process and task.process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(task.process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    path = os.pathsep.join([_PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}


def _reason(said: "deque[str]", code: int) -> str:
    lines = [line.strip() for line in said if line.strip()]
    if code < 0:
        return "its process was killed; is there enough memory? Try again"
    return lines[-1].removeprefix("error: ") if lines else f"its program ended with code {code}"
