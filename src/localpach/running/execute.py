"""How does one datum run? Laid out, tried as often as its spec says, its outputs stored, its end recorded."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localpach.errors import DamagedObjectError, OutputError
from localpach.planning.datums import Datum
from localpach.planning.plan import FAILED, PROCESSED, RECOVERED
from localpach.running.container import remove_leftovers
from localpach.running.executors import Executor, ProcessExecutor
from localpach.running.path_mapping import PFS
from localpach.running.processes import Processes, kill_leftovers
from localpach.running.program import Call, Log, Program, describe_exit, shown_last
from localpach.running.scratch import Scratch, remove_tree
from localpach.running.secrets import GivenSecrets
from localpach.running.variables import DATUM_ID, job_variables
from localpach.spec.spec import PipelineSpec
from localpach.storage.objects import Objects
from localpach.storage.trees import Entry

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
        damaged: Digest of the input object that could not be read, if that is the reason.
    """

    state: str
    uploaded: bool
    reason: str
    tries: int
    seconds: float
    entries: list[Entry] = field(default_factory=list)
    damaged: str = ""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What all datums of a job share."""

    spec: PipelineSpec
    job_id: str
    spec_commit: str
    scratch: Path
    logs: Path
    objects: Objects
    executor: Executor = field(default_factory=ProcessExecutor)
    secrets: GivenSecrets = field(default_factory=GivenSecrets)


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
    remove_leftovers(folder.resolve())
    remove_tree(folder)
    folder.mkdir(parents=True, exist_ok=True)
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
    scratch = scratch_of(context, context.scratch / datum.id[:16], datum)
    try:
        return try_datum(context, scratch, datum.id, processes, _run_alone)
    finally:
        remove_tree(scratch.folder)


def scratch_of(context: JobContext, folder: Path, datum: Datum, more: dict[str, Path] | None = None) -> Scratch:
    """Return the scratch folder of a datum, with further places that its program finds."""
    return Scratch(
        folder,
        datum,
        context.objects,
        inside=context.executor.inside,
        mounted=context.executor.mounts,
        secrets=context.secrets.mounted,
        more=more,
    )


def _run_alone(attempt: "Attempt") -> str:
    attempt.lay_out()
    return attempt.run()


def try_datum(
    context: JobContext, scratch: Scratch, datum_id: str, processes: Processes, run: "Callable[[Attempt], str]"
) -> Outcome:
    """Try a datum as often as its spec says.

    Args:
        context: The job.
        scratch: Where the datum is laid out.
        datum_id: Its identifier.
        processes: Those of the job.
        run: Makes one try; gives the reason why it failed, or nothing.

    Raises:
        Interrupted: the job was stopped meanwhile.
    """
    started = time.monotonic()
    recovered, reason, tries, damaged = False, "", 0, ""
    with Log(context.logs / f"{datum_id}.log") as log:
        try:
            while tries < context.spec.datum_tries:
                tries += 1
                attempt = Attempt(context, scratch, datum_id, processes, log)
                reason = context.secrets.hide(run(attempt))
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
            reason, recovered = _describe(error, scratch), False
            damaged = error.digest if isinstance(error, DamagedObjectError) else ""
            log.write(f"localpach: {reason}\n".encode())
    state = RECOVERED if recovered else FAILED
    return Outcome(state, False, reason, tries, time.monotonic() - started, damaged=damaged)


class Attempt:
    """One try: the command, and the recovery command that shares its time limit."""

    def __init__(self, context: JobContext, scratch: Scratch, datum_id: str, processes: Processes, log: Log) -> None:
        self.scratch = scratch
        self.log = log
        self.limit_s = context.spec.datum_timeout_s
        self.deadline: float | None = None
        self._context = context
        self._transform = context.spec.transform
        self._processes = processes
        self._datum_id = datum_id

    def lay_out(self) -> None:
        """Write the inputs anew, an empty `out` and the variables; the time of the try begins."""
        self.scratch.lay_out()
        found = self.variables()
        self.scratch.write_environment(
            {name: found[name] for name in found if name not in self._context.secrets.variables}
        )
        self._context.executor.laid_out(self._context.spec, self.scratch)
        self.deadline = time.monotonic() + self.limit_s if self.limit_s else None

    def variables(self) -> dict[str, str]:
        """Return the variables that the program gets: the spec's, its secrets', then Pachyderm's own."""
        own = datum_variables(self._context, self.scratch)
        return {**own, **self.scratch.variables(), DATUM_ID: self._datum_id}

    def note(self, message: str) -> None:
        """Write a line of our own to the log of the datum."""
        self.log.write(f"localpach: {message}\n".encode())

    def run(self) -> str:
        """Run the command; return the reason why it failed, or nothing."""
        return self._run(self._transform.cmd, self._transform.stdin)

    def recover(self) -> bool:
        """Run the recovery command, if there is one and time is left; return whether it succeeded."""
        if not self._transform.err_cmd or (self.deadline and time.monotonic() >= self.deadline):
            return False
        return not self._run(self._transform.err_cmd, self._transform.err_stdin)

    def start(self, command: Sequence[str], stdin: Sequence[str], variables: dict[str, str]) -> "Program | str":
        """Start a program; return it, or the reason why it cannot be started."""
        call = self._context.executor.call(self._context.spec, self.scratch, command, variables)
        text = write_stdin(self.scratch, stdin)
        try:
            return Program(call, text, self._processes)
        except (OSError, ValueError) as error:
            return f"{call.argv[0]}: cannot be started: {_why_not_started(error, call, self.scratch)}"

    def end(self, program: Program, *, killed: bool) -> int:
        """End a program and what is left of it; return its exit code."""
        code = program.end(self.log)
        if killed or self._processes.stopped:
            self._context.executor.end(program.call)
        return code

    def late(self) -> str:
        """Return the reason of a try whose time ran out."""
        return f"stopped after {self.limit_s:g} s, the datum_timeout"

    def reason_of(self, program: Program, code: int) -> str:
        """Return the reason of a program that failed."""
        return self.scratch.paths.from_host(program.last_line) or describe_exit(code)

    def _run(self, command: Sequence[str], stdin: Sequence[str]) -> str:
        program = self.start(command, stdin, self.variables())
        if isinstance(program, str):
            return program
        event = "ended"
        try:
            event = program.wait(self.log, self.deadline)
        finally:
            code = self.end(program, killed=event == "late")
        if event == "late":
            return self.late()
        return "" if code == 0 or code in self._transform.accept_return_code else self.reason_of(program, code)


def datum_variables(context: JobContext, scratch: Scratch) -> dict[str, str]:
    """Return the variables that all datums of a job share."""
    spec = context.spec
    return {
        **{name: scratch.paths.to_host(value) for name, value in spec.transform.env.items()},
        **context.secrets.variables,
        **job_variables(spec.name, context.job_id, context.spec_commit),
        "LOCALPACH_PFS": scratch.paths.seen(PFS),
    }


def _why_not_started(error: Exception, call: Call, scratch: Scratch) -> str:
    if not isinstance(error, OSError):
        return str(error)
    if call.folder and error.filename == call.folder:
        return f"working_dir {scratch.paths.from_host(call.folder)}: {error.strerror}"
    return error.strerror or str(error)


def write_stdin(scratch: Scratch, lines: Sequence[str]) -> Path | None:
    """Write what a program finds on its stdin to a file: a program need not read it, and no thread has to feed it."""
    if not lines:
        return None
    path = scratch.folder / "stdin"
    path.write_text("".join(scratch.paths.to_host(line) + "\n" for line in lines), encoding="utf-8", newline="")
    return path


def _describe(error: Exception, scratch: Scratch) -> str:
    """Describe what stopped a datum from outside its program as one line, with the path that the spec knows."""
    if isinstance(error, OSError):
        place = str(error.filename).replace(str(scratch.root), PFS) if error.filename else "state folder"
        return f"{place}: {error.strerror or error}"
    return str(error)


def last_line(log: Path) -> str:
    """Return the last line of a log that is being written; empty if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return shown_last(file.read())
    except FileNotFoundError:
        return ""
