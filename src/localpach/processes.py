"""Which programs run now? Their process groups, to be stopped at once, also after their runner was killed."""

import contextlib
import os
import signal
import threading
from pathlib import Path

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted after the command's closing parenthesis


class Processes:
    """The process groups of one job.

    Args:
        notes: A folder with one file for each group that runs; a later runner finds there what a killed one left.
    """

    def __init__(self, notes: Path) -> None:
        self._notes = notes
        self._notes.mkdir(parents=True, exist_ok=True)
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False

    def started(self, group: int) -> None:
        """Take note of a group; one that starts after the stop is killed at once."""
        (self._notes / str(group)).write_text(_start_time(group), encoding="ascii")
        with self._lock:
            self._groups.add(group)
            if self.stopped:
                kill_group(group)

    def ended(self, group: int) -> None:
        """Kill what is left of a group and forget it."""
        kill_group(group)
        with self._lock:
            self._groups.discard(group)
        (self._notes / str(group)).unlink(missing_ok=True)

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


def kill_leftovers(notes: Path) -> None:
    """Kill the groups that a killed runner left, told apart by start time from later processes of the same number."""
    if not notes.is_dir():
        return
    for note in notes.iterdir():
        started = note.read_text(encoding="ascii")
        if started and _start_time(int(note.name)) == started:
            kill_group(int(note.name))


def _start_time(process: int) -> str:
    """Give when a process started, in clock ticks since boot; empty where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[_START_TIME_FIELD]
