"""Who runs the jobs? One process at a time; the operating system frees the lock when that process dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_runner(state: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the right to run jobs; wait for another process that has it, and say so first.

    Args:
        state: The state folder.
        waiting: Called once with a line for the user if another process has the lock.
    """
    with (state / "runner.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            waiting(f"process {holder} is running jobs in {state}, these too; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
