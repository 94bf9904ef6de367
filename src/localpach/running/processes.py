"""Which programs run now? Their process groups, to be stopped at once, and those that a killed runner left."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

SCRATCH_VARIABLE = "LOCALPACH_SCRATCH"  # in the environment of every program: which runner's it is
_LONGEST_DEATH_S = 5.0  # a killed program is gone at once, unless the system itself holds it


class Processes:
    """The process groups of one job."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def started(self, group: int) -> None:
        """Take note of a group; one that starts after the stop is killed at once."""
        with self._lock:
            self._groups.add(group)
            if self.stopped:
                kill_group(group)

    def ended(self, group: int) -> None:
        """Kill what is left of a group and forget it."""
        kill_group(group)
        with self._lock:
            self._groups.discard(group)

    def stop(self) -> None:
        """Kill all groups, those that run and those to come."""
        with self._lock:
            self.stopped = True
            for group in self._groups:
                kill_group(group)


def kill_group(group: int) -> None:
    """Send SIGKILL to a process group, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_leftovers(scratch: Path) -> None:
    """Kill the programs that a killed runner left, and wait until they are gone.

    They are known by their environment, which a program has from its first moment on: a note that the runner writes
    could come too late. Where the system has no `/proc`, nothing is found and nothing is killed.
    """
    until = time.monotonic() + _LONGEST_DEATH_S
    while left := _programs_of(scratch):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > until:
            return
        time.sleep(0.01)


def _programs_of(scratch: Path) -> list[int]:
    """List the processes whose environment names this scratch folder; one that has ended shows no environment."""
    mark = f"{SCRATCH_VARIABLE}={scratch}\0".encode()
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            process = int(environment.parent.name)
            if process != os.getpid() and mark in environment.read_bytes():
                found.append(process)
    return found
