"""How does one program run? A process group whose output goes to a log, pumped by the thread that waits for it.

No thread is started for a pipe: the thread that waits polls both outputs, the end of the process, and, for programs
that ask for their datums, the pipe on which they ask.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from localpach.running.processes import Processes

Event = Literal["ended", "late", "asked"]

_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 4096
_LAST_READS = 32  # a child that left the process group may go on writing for ever; what it wrote until now is 2 MiB
_CONTROL = re.compile("[\x00-\x1f\x7f]+")  # a program may write anything; the reason is a line for people
_LOOK_S = 0.02  # how often to look for the end of a process where the system cannot tell


class Log:
    """What a program writes, in a file that is made when there is something to write.

    Args:
        path: The file; one that an earlier run left goes. None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self._path = None
        if self._file is not None:
            self._file.close()

    def write(self, text: bytes) -> None:
        """Add text; a full disk costs the log, not the datum, and what comes after the end is nobody's."""
        if not text or self._path is None:
            return
        with contextlib.suppress(OSError):
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb", buffering=0)
            self._file.write(text)


@dataclass(frozen=True, slots=True)
class Call:
    """What this machine is asked to start.

    Attributes:
        argv: The command.
        environment: All of its environment.
        folder: Where it starts; empty for here.
        container: Name of the container that it starts, if any.
        enter: Gives the words that start it in a place of its own; it stands in its folder there.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: str = ""
    container: str = ""
    enter: "Callable[[Call], AbstractContextManager[Sequence[str]]] | None" = None

    @contextlib.contextmanager
    def ready(self) -> "Iterator[tuple[Sequence[str], str | None]]":
        """Give what the system is to start, and where; the place that it is started in lasts for the block.

        Raises:
            OSError: the program, or its folder, is not there.
        """
        if self.enter is None:
            yield self.argv, self.folder or None
            return
        with self.enter(self) as words:
            yield words, None


class Program:
    """A program that runs.

    Args:
        call: What to start.
        stdin: The file it may read.
        processes: Those that are killed when the job is stopped.

    Raises:
        OSError: it cannot be started.
        ValueError: its command cannot be passed to the system.
    """

    def __init__(self, call: Call, stdin: Path | None, processes: Processes) -> None:
        self.call = call
        with contextlib.ExitStack() as place, contextlib.ExitStack() as opened:
            argv, folder = place.enter_context(call.ready())
            self._process = subprocess.Popen(
                argv,
                stdin=opened.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=call.environment,
                start_new_session=True,  # its children are stopped with it, and Ctrl-C reaches only the runner
                bufsize=0,
            )
            self._place = place.pop_all()
        self._processes = processes
        processes.started(self._process.pid)
        self._outputs = [_Output(self._process.stdout), _Output(self._process.stderr)]
        self._pidfd = _open_pidfd(self._process.pid)
        self._ended = False

    @property
    def last_line(self) -> str:
        """The last line of its stderr that is not blank, as a terminal would show it."""
        return shown_last(self._outputs[1].tail)

    def forget_lines(self) -> None:
        """Begin anew: what it wrote until now was about another datum."""
        self._outputs[1].tail = b""

    def wait(self, log: Log, deadline: float | None, asks: int | None = None) -> Event:
        """Copy output to a log until the program ends, its time runs out, or it asks for a datum.

        Args:
            log: Where its output goes.
            deadline: Time of `time.monotonic` at which it is late.
            asks: A pipe that becomes readable when it asks.
        """
        poll = select.poll()
        by_descriptor = {output.descriptor: output for output in self._outputs if output.is_open}
        watched = [each for each in (self._pidfd, asks) if each is not None]
        for descriptor in (*by_descriptor, *watched):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(deadline, self._pidfd is None))}
            for descriptor in ready & by_descriptor.keys():
                if not by_descriptor[descriptor].copy(log):
                    poll.unregister(descriptor)
                    del by_descriptor[descriptor]
            if self._has_ended(ready):
                return "ended"
            if asks is not None and asks in ready:
                self._drain(log)  # what it wrote before it asked is in the pipes, and belongs to this log
                return "asked"
            if deadline is not None and time.monotonic() >= deadline:
                return "late"

    def end(self, log: Log) -> int:
        """Kill what is left of the program, take what it wrote, and give its exit code."""
        self._processes.ended(self._process.pid)
        self._process.wait()
        self._place.close()
        self._drain(log)
        for output in self._outputs:
            output.close(log)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return self._process.returncode

    def _has_ended(self, ready: set[int]) -> bool:
        return self._pidfd in ready if self._pidfd is not None else self._process.poll() is not None

    def _drain(self, log: Log) -> None:
        """Take what is in the pipes now; a child outside the group may keep them open, and is not waited for."""
        for output in self._outputs:
            poll = select.poll()
            poll.register(output.descriptor, select.POLLIN)
            for _ in range(_LAST_READS):
                if not (output.is_open and poll.poll(0) and output.copy(log)):
                    break


class _Output:
    """One of the two outputs: whole lines to the log, the last bytes kept."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self.descriptor = pipe.fileno()
        self.tail = b""
        self._begun = b""

    @property
    def is_open(self) -> bool:
        return not self._pipe.closed

    def copy(self, log: Log) -> bool:
        """Copy what is there; return whether more may come."""
        chunk = os.read(self.descriptor, _CHUNK_BYTES)
        if not chunk:
            self.close(log)
            return False
        self.tail = _tail(self.tail, chunk)
        whole = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1  # a progress bar ends its lines with the latter
        if whole:
            log.write(self._begun + chunk[:whole])
            self._begun = b""
        self._begun += chunk[whole:]
        if len(self._begun) > _CHUNK_BYTES:
            log.write(self._begun)
            self._begun = b""
        return True

    def close(self, log: Log) -> None:
        log.write(self._begun)
        self._begun = b""
        self._pipe.close()


def _tail(before: bytes, chunk: bytes) -> bytes:
    """Keep the end of a stream; blank text after it does not push it out."""
    return (before + chunk)[-_TAIL_BYTES:] if chunk.strip() else before


def shown_last(text: bytes) -> str:
    """Return the last line that is not blank; a progress bar overwrites itself after each carriage return."""
    for line in reversed(text.split(b"\n")):
        parts = [_CONTROL.sub(" ", part).strip() for part in line.decode(errors="replace").split("\r")]
        found = next((part for part in reversed(parts) if part), "")
        if found:
            return found
    return ""


def describe_exit(code: int) -> str:
    """Say how a program ended."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def _milliseconds(deadline: float | None, must_look: bool) -> int | None:
    """Return how long to wait at most."""
    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    if must_look:
        left = _LOOK_S if left is None else min(left, _LOOK_S)
    return None if left is None else int(left * 1000) + 1


def _open_pidfd(process: int) -> int | None:
    """Open what becomes readable at the end of a process, where the system has it (Linux 5.3)."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(process)
    return None
