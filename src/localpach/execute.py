"""How does one datum run? Its program as a process of its own over a folder that stands for `/pfs`."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from localpach.datums import Datum
from localpach.errors import DamagedObjectError, OutputError
from localpach.objects import Objects
from localpach.plan import FAILED, PROCESSED, RECOVERED
from localpach.processes import SCRATCH_VARIABLE, Processes, kill_leftovers
from localpach.scratch import Scratch, map_pfs
from localpach.spec import PipelineSpec
from localpach.store import Entry

_READERS_GRACE_S = 2.0  # a child that left the process group may keep a pipe open; its output is not waited for longer
_TAIL_BYTES = 4096
_SAFE_PATH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a datum ended.

    Attributes:
        state: success, recovered or failed.
        uploaded: Whether its files go to the output; a datum can be recovered at first and succeed later.
        reason: Why it did not succeed, in one line: the last line of its stderr, or what stopped it.
        entries: Its files in `/pfs/out`.
        tries: How often the command was started.
        seconds: How long all tries took.
    """

    state: str
    uploaded: bool
    reason: str
    tries: int
    seconds: float
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What all datums of a job share."""

    spec: PipelineSpec
    job_id: str
    version: int
    scratch: Path
    logs: Path
    objects: Objects


class Interrupted(Exception):  # noqa: N818  it is no error: the job was stopped on purpose
    """The datum was stopped together with its job; it has no outcome."""


@contextlib.contextmanager
def scratch_root(state: Path) -> Iterator[Path]:
    """Make the folder for scratch folders; its path has no character that a shell would split or expand.

    The path is put into the user's shell commands in place of `/pfs`, so a state folder such as `My Music/.localpach`
    gets a link from the system's folder for temporary files.
    """
    folder = state / "scratch"
    kill_leftovers(folder.resolve())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if set(str(folder)) <= _SAFE_PATH:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="localpach-") as temporary:
        link = Path(temporary) / "scratch"
        link.symlink_to(folder)
        yield link


def run_datum(context: JobContext, datum: Datum, processes: Processes) -> Outcome:
    """Run the program of a pipeline over one datum, with its tries and its recovery.

    Raises:
        Interrupted: the job was stopped meanwhile.
    """
    datum_id = datum.id
    scratch = Scratch(context.scratch / datum_id[:16], datum, context.objects)
    log_path = context.logs / f"{datum_id}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    recovered, reason, tries = False, "", 0
    try:
        with log_path.open("wb", buffering=0) as log:
            while tries < context.spec.datum_tries:
                tries += 1
                scratch.lay_out()
                attempt = _Attempt(context, scratch, datum_id, processes, log)
                reason = attempt.run()
                if processes.stopped:
                    raise Interrupted
                if not reason:
                    entries = scratch.collect()
                    state = RECOVERED if recovered else PROCESSED
                    return Outcome(state, True, "", tries, time.monotonic() - started, entries)
                attempt.note(f"try {tries} of {context.spec.datum_tries} failed: {reason}")
                recovered = attempt.recover() or recovered
                if processes.stopped:
                    raise Interrupted
    except (OutputError, DamagedObjectError, OSError) as error:  # more tries would not help
        reason, recovered = _told(error, scratch), False
        with contextlib.suppress(OSError), log_path.open("ab") as log:  # a full disk must not hide the reason
            log.write(f"localpach: {reason}\n".encode())
    finally:
        shutil.rmtree(scratch.folder, ignore_errors=True)
    return Outcome(RECOVERED if recovered else FAILED, False, reason, tries, time.monotonic() - started)


class _Attempt:
    """One try: the command, and the recovery command that shares its time limit."""

    def __init__(
        self, context: JobContext, scratch: Scratch, datum_id: str, processes: Processes, log: IO[bytes]
    ) -> None:
        self._transform = context.spec.transform
        self._scratch = scratch
        self._processes = processes
        self._log = log
        self._limit_s = context.spec.datum_timeout_s
        self._deadline = time.monotonic() + self._limit_s if self._limit_s else None
        self._environment = _environment(context, scratch, datum_id)
        self._last_line = b""

    def note(self, message: str) -> None:
        """Write a line of our own to the log of the datum."""
        with contextlib.suppress(OSError):  # as in _copy_lines
            self._log.write(f"localpach: {message}\n".encode())

    def run(self) -> str:
        """Run the command; give the reason why it failed, or nothing."""
        return self._run(self._transform.cmd, self._transform.stdin)

    def recover(self) -> bool:
        """Run the recovery command, if there is one and time is left; tell whether it succeeded."""
        if not self._transform.err_cmd or (self._deadline and time.monotonic() >= self._deadline):
            return False
        return not self._run(self._transform.err_cmd, self._transform.err_stdin)

    def _run(self, command: Sequence[str], stdin: Sequence[str]) -> str:
        root = self._scratch.root
        argv = [map_pfs(word, root) for word in command]
        self._last_line = b""
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=map_pfs(self._transform.working_dir, root) or None,
                env=self._environment,
                start_new_session=True,  # its children are stopped with it, and Ctrl-C reaches only the runner
            )
        except (OSError, ValueError) as error:
            return f"{argv[0]}: cannot be started: {error}"
        self._processes.started(process.pid)
        threads = self._pump(process, "".join(map_pfs(line, root) + "\n" for line in stdin).encode())
        try:
            timed_out = self._wait(process)
        finally:
            self._processes.ended(process.pid)
            process.wait()
        _join_all(threads)
        if timed_out:
            return f"stopped after {self._limit_s:g} s, the datum_timeout"
        if process.returncode == 0 or process.returncode in self._transform.accept_return_code:
            return ""
        last = _last_of(self._last_line).replace(str(root), "/pfs")  # the path that the reader of the spec knows
        return last or _describe_exit(process.returncode)

    def _wait(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait for the end of the process; tell whether its time ran out."""
        if self._deadline is None:
            process.wait()
            return False
        try:
            process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return True
        return False

    def _pump(self, process: "subprocess.Popen[bytes]", stdin: bytes) -> list[threading.Thread]:
        """Feed stdin and copy both outputs to the log, each in a thread of its own."""
        assert process.stdout is not None
        assert process.stderr is not None
        jobs = [
            threading.Thread(target=self._copy_lines, args=(process.stdout, False), daemon=True),
            threading.Thread(target=self._copy_lines, args=(process.stderr, True), daemon=True),
        ]
        if process.stdin is not None:
            jobs.append(threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True))
        for job in jobs:
            job.start()
        return jobs

    def _copy_lines(self, pipe: IO[bytes], is_stderr: bool) -> None:
        with pipe:
            for line in pipe:
                # The log is closed when a child outlives its datum. A full disk costs the log, not the datum.
                with contextlib.suppress(ValueError, OSError):
                    self._log.write(line)
                if is_stderr and line.strip():
                    self._last_line = line


def _told(error: Exception, scratch: Scratch) -> str:
    """Write what stopped a datum from outside its program as one line, with the path that the spec knows."""
    if isinstance(error, OSError):
        place = str(error.filename).replace(str(scratch.root), "/pfs") if error.filename else "state folder"
        return f"{place}: {error.strerror or error}"
    return str(error)


def last_line(log: Path) -> str:
    """Give the last line of a log that is being written; empty if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = [line for line in file.read().split(b"\n") if line.strip()]
    except FileNotFoundError:
        return ""
    return _last_of(lines[-1]) if lines else ""


def _last_of(line: bytes) -> str:
    """Give what is left of a line on a terminal: a progress bar overwrites itself after each carriage return."""
    parts = [part.strip() for part in line.decode(errors="replace").split("\r")]
    return next((part for part in reversed(parts) if part), "")


def _feed(pipe: IO[bytes], text: bytes) -> None:
    """Write stdin; a program need not read it."""
    with contextlib.suppress(BrokenPipeError, OSError):
        pipe.write(text)
    with contextlib.suppress(BrokenPipeError, OSError):
        pipe.close()


def _join_all(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + _READERS_GRACE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def _environment(context: JobContext, scratch: Scratch, datum_id: str) -> dict[str, str]:
    """Give the whole environment of a datum: this process's, the spec's, then Pachyderm's own."""
    spec = context.spec
    own = {
        **scratch.variables(),
        "PACH_DATUM_ID": datum_id,
        "PACH_JOB_ID": context.job_id,
        "PACH_OUTPUT_COMMIT_ID": context.job_id,
        "PACH_IN_WORKER": "true",
        "PPS_PIPELINE_NAME": spec.name,
        "PPS_PROJECT_NAME": "default",
        "PPS_SPEC_COMMIT": f"{context.version:032x}",
        "LOCALPACH_PFS": str(scratch.root),
        SCRATCH_VARIABLE: str(context.scratch.resolve()),
    }
    from_spec = {name: map_pfs(value, scratch.root) for name, value in spec.transform.env.items()}
    everything = {**os.environ, **from_spec, **own}
    # `python3` in a command is the interpreter that runs localpach. Not resolved: a virtual environment's is a link.
    everything["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), everything.get("PATH", os.defpath)])
    scratch.write_environment({**from_spec, **own})
    return everything
