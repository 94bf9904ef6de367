"""The commands that stand where a program stands: a shell in a datum's /pfs, and the call for the next datum."""

import argparse
import sys

from localpach.addresses import parse_job
from localpach.batching import ask_for_next
from localpach.cli_command import Commands, Session
from localpach.errors import LocalpachError, NotFoundError
from localpach.records import Job, Records
from localpach.shell import find_datum, open_shell


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add("shell", "", shell, "open a shell in a datum's /pfs, or run a command there")
    command.add_argument("job", help="pipeline@id, or a pipeline for its newest job")
    command.add_argument("datum", help="ID of the datum, its beginning, or its path")
    command.add_argument("command", nargs="*", help="after --: run this instead of a shell")
    command = commands.add("next", "datum", next_datum, "for programs with datum_batching: ask for the next datum")
    command.add_argument("--error", metavar="TEXT", help="report the datum before as failed, for this reason")


def shell(session: Session, arguments: argparse.Namespace) -> None:
    """Open a shell."""
    job = _job(Records(session.store), arguments.job)
    code = open_shell(
        session.store,
        job,
        find_datum(session.store, job, arguments.datum),
        session.executor,
        arguments.command,
        terminal=sys.stdin.isatty(),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if code and arguments.command:
        raise LocalpachError(f"the command ended with exit code {code}")


def next_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Ask for the next datum."""
    ask_for_next(arguments.error)


def _job(records: Records, text: str) -> Job:
    """Find the job `pipeline@id`, or the newest of a pipeline."""
    if "@" in text:
        return records.job(*parse_job(text))
    records.pipeline(text)
    newest = records.jobs(text)[:1]
    if not newest:
        raise NotFoundError("job", text, "the pipeline has none yet")
    return newest[0]
