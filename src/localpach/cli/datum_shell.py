"""The commands that stand where a program stands: a shell in a datum's /pfs, and the call for the next datum."""

import argparse
import sys

from localpach.actions.shell import open_shell
from localpach.cli.command import Commands, Session
from localpach.cli.resolve import find_datum, find_job
from localpach.errors import LocalpachError
from localpach.planning.job_datums import expand_job
from localpach.running.batching import ask_for_next
from localpach.storage.records import Records


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
    job = find_job(Records(session.store), arguments.job)
    code = open_shell(
        session.store,
        job,
        find_datum(job, expand_job(session.store, job), arguments.datum),
        session.choose_executor(),
        arguments.command,
        terminal=sys.stdin.isatty(),
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if code and arguments.command:
        raise LocalpachError(f"the command ended with exit code {code}")


def next_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Ask for the next datum."""
    ask_for_next(arguments.error)
