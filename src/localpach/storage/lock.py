"""Who may do what at the same time? Locks between processes; the operating system frees them when a process dies.

::

    runner.lock   one process runs jobs, or tidies up
    objects.lock  many processes store bytes (shared), or one removes bytes that nothing names (exclusive)

Bytes are stored before the row that names them, so whoever stores holds the shared lock from the first byte to the end
of the transaction: what lies there without a row while the exclusive lock is held is nobody's.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from localpach.errors import ServedError

SERVING = "serving"  # what a process does that runs jobs for as long as it lives
_LOOK_S = 0.1  # how often a process that waits looks again
_LONGEST_BIRTH_S = 10.0  # of a child, on a machine that has much to do


@contextmanager
def only_runner(
    state: Path,
    waiting: Callable[[str], None],
    doing: str = "running jobs",
    *,
    done: Callable[[], bool] | None = None,
) -> Iterator[bool]:
    """Hold the right to run jobs; wait for another process that has it, and say so first.

    Args:
        state: The state folder.
        waiting: Called once with a line for the user if another process has the lock.
        doing: What this process does meanwhile, for the line of another that waits.
        done: Asked now and then while another process has the lock: whether there is nothing to wait for any more.

    Yields:
        Whether this process has the right; it has not only if `done` has ended the wait.

    Raises:
        ServedError: a server has it, which keeps it for as long as it lives, and there is no `done`.
    """
    with (state / "runner.lock").open("a+", encoding="utf-8") as file:
        if not _taken(file) and not _taken_from_the_dead(file):
            holder = _holder(file)
            if done is None and holder.endswith(SERVING):
                raise ServedError(holder, str(state))
            waiting(f"{holder} in {state}; waiting for it")
            if not _taken_in_time(file, done):
                yield False
                return
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} is {doing}")
        file.flush()
        yield True


def _holder(file: IO[str]) -> str:
    """Return the line of the process that has the lock."""
    file.seek(0)
    return file.read().strip() or "another process is busy"


def _taken_from_the_dead(file: IO[str]) -> bool:
    """Take the lock if the process that wrote its line is dead, and only a child still has it.

    Between its birth and the start of its program a child shares the locks of its parent.
    """
    deadline = time.monotonic() + _LONGEST_BIRTH_S
    while not _is_alive(_holder(file)) and time.monotonic() < deadline:
        if _taken(file):
            return True
        time.sleep(_LOOK_S)
    return False


def _is_alive(holder: str) -> bool:
    """Return whether the process that wrote a line lives; whoever cannot be asked does."""
    try:
        os.kill(int(holder.split()[1]), 0)
    except ProcessLookupError:
        return False
    except (IndexError, ValueError, PermissionError):
        return True
    return True


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _taken_in_time(file: IO[str], done: Callable[[], bool] | None) -> bool:
    if done is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    while not done():
        if _taken(file):
            return True
        time.sleep(_LOOK_S)
    return False


class ObjectsLock:
    """The lock around storing and removing bytes, held by one user of the state; inner blocks join the outer one.

    Args:
        state: The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "objects.lock"
        self._held_already = False

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Keep what is stored inside the block from being removed before a row names it."""
        with self._held(fcntl.LOCK_SH, lambda _: None):
            yield

    @contextmanager
    def removing(self, waiting: Callable[[str], None]) -> Iterator[None]:
        """Wait until nobody stores, say so first, and keep others from it.

        Args:
            waiting: Called once with a line for the user if another process is storing bytes.
        """
        assert not self._held_already, "who stores cannot remove"
        with self._held(fcntl.LOCK_EX, waiting):
            yield

    @contextmanager
    def _held(self, kind: int, waiting: Callable[[str], None]) -> Iterator[None]:
        if self._held_already:
            yield
            return
        with self._path.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting(f"another process stores or removes files in {self._path.parent}; waiting for it")
                fcntl.flock(file, kind)
            self._held_already = True
            try:
                yield
            finally:
                self._held_already = False
