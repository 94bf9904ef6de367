"""Who may do what at the same time? Locks between processes; the operating system frees them when a process dies.

::

    runner.lock   one process runs jobs, or tidies up
    objects.lock  many processes store bytes (shared), or one removes bytes that nothing names (exclusive)

Bytes are stored before the row that names them, so whoever stores holds the shared lock from the first byte to the end
of the transaction: what lies there without a row while the exclusive lock is held is nobody's.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_runner(state: Path, waiting: Callable[[str], None], doing: str = "running jobs") -> Iterator[None]:
    """Hold the right to run jobs; wait for another process that has it, and say so first.

    Args:
        state: The state folder.
        waiting: Called once with a line for the user if another process has the lock.
        doing: What this process does meanwhile, for the line of another that waits.
    """
    with (state / "runner.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            waiting(f"{file.read().strip() or 'another process is busy'} in {state}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} is {doing}")
        file.flush()
        yield


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
