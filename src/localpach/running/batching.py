"""How does one loaded model serve many datums? A program that is started once and asks for each datum in turn.

::

    program                           worker of localpach
    load the model
    `pachctl next datum`  ──ask──▶    lay out the first datum at the same /pfs
                          ◀─answer──
    read /pfs/.env, work
    `pachctl next datum`  ──ask──▶    store /pfs/out: the first is done; lay out the second …
    …                                 after the last datum the program is killed while it waits

The command `pachctl` that the program finds is a few lines of shell, so that it works in any image. Ask and answer go
through two named pipes: unlike a socket's, their paths may be of any length.
"""

import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator

from localpach.errors import LocalpachError
from localpach.planning.datums import Datum
from localpach.running.execute import Attempt, JobContext, Outcome, datum_variables, run_datum, scratch_of, try_datum
from localpach.running.path_mapping import PACHCTL
from localpach.running.processes import Processes
from localpach.running.program import Program
from localpach.running.scratch import remove_tree

NEXT_VARIABLE = "LOCALPACH_NEXT"  # tells the command where the pipes are

_NEXT = "/run/localpach"
_ENDED = "the program ended without asking for its next datum"
_DONE, _FAILED, _GO = "done", "failed ", "go"
_LONGEST_ASK_BYTES = 4096  # what a pipe takes as a whole
_SHIM = f"""#!/bin/sh
# All that a program of a pipeline needs of pachctl, answered by localpach: pachctl next datum [--error TEXT]
said={_DONE}
[ "$1 $2" = 'next datum' ] || {{ echo "pachctl: only 'next datum' is here, found: $*" >&2; exit 1; }}
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --error=*) said="{_FAILED}${{1#--error=}}" ;;
    --error|-e) shift; said="{_FAILED}$1" ;;
    *) echo "pachctl: unknown flag $1" >&2; exit 1 ;;
  esac
  shift
done
printf '%.1000s\\n' "$(printf %s "$said" | tr '\\n' ' ')" > "${NEXT_VARIABLE}/ask"
read -r _ < "${NEXT_VARIABLE}/answer"
"""


@contextlib.contextmanager
def runner(context: JobContext, processes: Processes) -> Iterator[Callable[[Datum], Outcome]]:
    """Yield what runs one datum: programs that ask for their datums live until the end of the phase."""
    if not context.spec.transform.datum_batching:
        yield lambda datum: run_datum(context, datum, processes)
        return
    batch = _Batch(context, processes)
    try:
        yield batch.run
    finally:
        batch.close()


def ask_for_next(error: str | None) -> None:
    """Report the previous datum and wait for the next; for programs that call `localpach next datum`.

    Raises:
        LocalpachError: this is no program of a pipeline with `datum_batching`.
    """
    folder = os.environ.get(NEXT_VARIABLE)
    if not folder:
        raise LocalpachError("`next datum` is for programs of pipelines with transform.datum_batching, run by a job")
    said = _DONE if error is None else _FAILED + " ".join(error.split())
    with open(f"{folder}/ask", "wb") as ask:
        ask.write(said.encode()[: _LONGEST_ASK_BYTES - 1] + b"\n")
    with open(f"{folder}/answer", "rb") as answer:
        answer.readline()


class _Batch:
    """The workers of one phase; each has at most one program, started when it first gets a datum."""

    def __init__(self, context: JobContext, processes: Processes) -> None:
        self._context = context
        self._processes = processes
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def run(self, datum: Datum) -> Outcome:
        """Run one datum in a worker that has nothing to do."""
        with self._lock:
            if not self._idle:
                self._workers.append(_Worker(self._context))
                self._idle.append(self._workers[-1])
            worker = self._idle.pop()
        try:
            return worker.run(datum, self._processes)
        finally:
            with self._lock:
                self._idle.append(worker)

    def close(self) -> None:
        """Kill the programs, which wait for a datum that does not come."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """One `/pfs`, and the program that works there."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._folder = context.scratch / f"batch-{uuid.uuid4().hex[:8]}"
        next_folder = self._folder / "next"
        next_folder.mkdir(parents=True)
        self._pipes = {name: next_folder / name for name in ("ask", "answer")}
        for pipe in self._pipes.values():
            os.mkfifo(pipe)
            pipe.chmod(0o666)
        # Open for both directions: neither end is missing while the other opens, and what is written waits.
        self._ask, self._answer = (os.open(pipe, os.O_RDWR) for pipe in self._pipes.values())
        shim = next_folder / "pachctl"
        shim.write_text(_SHIM, encoding="utf-8")
        shim.chmod(0o755)
        self._places = {_NEXT: next_folder, PACHCTL: shim}
        self._program: Program | None = None
        self._attempt: Attempt | None = None  # the newest; it knows how to end a program

    def run(self, datum: Datum, processes: Processes) -> Outcome:
        """Run one datum with its tries."""
        scratch = scratch_of(self._context, self._folder, datum, self._places)
        return try_datum(self._context, scratch, datum.id, processes, self._hand_over)

    def close(self) -> None:
        """Kill the program and remove the folder."""
        self._stop()
        os.close(self._ask)
        os.close(self._answer)
        remove_tree(self._folder)

    def _hand_over(self, attempt: Attempt) -> str:
        """Hand one datum to the program; return the reason why it failed, or nothing."""
        self._attempt = attempt
        program = self._program or self._start(attempt)
        if isinstance(program, str):
            return program
        attempt.lay_out()
        program.forget_lines()
        os.write(self._answer, f"{_GO}\n".encode())
        event = program.wait(attempt.log, attempt.deadline, asks=self._ask)
        if event == "asked":
            return self._asked()
        code = self._stop()
        if event == "late":
            return attempt.late()
        return attempt.reason_of(program, code) if code else _ENDED

    def _start(self, attempt: Attempt) -> "Program | str":
        """Start the program, without a datum, and wait until it asks; return it, or the reason why it failed."""
        attempt.scratch.make_folders()
        self._empty_pipes()
        variables = {
            **datum_variables(self._context, attempt.scratch),
            NEXT_VARIABLE: attempt.scratch.paths.seen(_NEXT),
        }
        transform = self._context.spec.transform
        program = attempt.start(transform.cmd, transform.stdin, variables)
        if isinstance(program, str):
            return program
        self._program = program
        if program.wait(attempt.log, None, asks=self._ask) == "asked":
            self._asked()  # there is no datum yet that it could report
            return program
        code = self._stop()
        return attempt.reason_of(program, code) if code else _ENDED

    def _asked(self) -> str:
        """Read what the program says of the datum that it had: the reason why it failed, or nothing."""
        said = os.read(self._ask, _LONGEST_ASK_BYTES).decode(errors="replace").strip("\n")
        return (said.removeprefix(_FAILED).strip() or "failed, says the program") if said.startswith("failed") else ""

    def _empty_pipes(self) -> None:
        """Take out what a program that was killed had asked and what it was never sent."""
        for descriptor in (self._ask, self._answer):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, _LONGEST_ASK_BYTES)
            os.set_blocking(descriptor, True)

    def _stop(self) -> int:
        """Kill the program, if it runs; return its exit code."""
        program, self._program = self._program, None
        return self._attempt.end(program, killed=True) if program and self._attempt else 0
