"""The command line: pachctl's words over the functions of this package. `localpach --help` lists them."""

import argparse
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from localpach import cli_history, cli_pipelines, cli_programs, cli_repos, cli_secrets, cli_watch
from localpach.cli_command import Commands, Session
from localpach.errors import LocalpachError
from localpach.executors import EXECUTOR_VARIABLE, EXECUTORS
from localpach.progress import Console
from localpach.records import SUCCESS, Job, Records

DEFAULT_STATE = ".localpach"
STATE_VARIABLE = "LOCALPACH_STATE"

EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole program."""
    parser = argparse.ArgumentParser(
        prog="localpach",
        description="Run Pachyderm pipeline specs on one machine. The words are pachctl's.",
        epilog="Example: localpach create repo songs; localpach put file songs@master -f a.mp3; "
        "localpach create pipeline -f midi.json",
    )
    parser.add_argument(
        "--state",
        type=Path,
        help=f"state folder (default: ${STATE_VARIABLE}, or {DEFAULT_STATE} in the current folder)",
    )
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        help=f"run programs as processes, or in containers of their image (default: ${EXECUTOR_VARIABLE}, or process)",
    )
    commands = Commands(parser)
    cli_repos.register(commands)
    cli_pipelines.register(commands)
    cli_watch.register(commands)
    cli_history.register(commands)
    cli_programs.register(commands)
    cli_secrets.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done; 1 an error, or a job failed; 130 interrupted. argparse exits with 2 on wrong usage.
    """
    parser = make_parser()
    arguments = parser.parse_args(argv)
    folder = arguments.state or Path(os.environ.get(STATE_VARIABLE) or DEFAULT_STATE)
    progress = Console()
    session = Session(folder, progress, parser.error, may_begin=arguments.may_begin, executor=arguments.executor)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        arguments.run(session, arguments)
        if arguments.runs:
            session.run_jobs()
        elif session.is_open:
            _mention_unfinished(session, progress)
    except LocalpachError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except UnicodeEncodeError as error:
        print(f"error: {error.object[error.start]!a} is no character of UTF-8; leave it out", file=sys.stderr)
        return EXIT_ERROR
    except sqlite3.Error as error:
        print(f"error: the state in {folder} cannot be read or written: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # the reader of a listing, such as `head`, had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except OSError as error:
        print(f"error: {error.filename or folder}: {error.strerror or error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("\nstopped; finished datums are kept, the next change or `localpach wait job` goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
        session.close()
    return _report_failures(session.ended)


def _report_failures(ended: list[Job]) -> int:
    bad = [job for job in ended if job.state != SUCCESS]
    if not bad:
        return EXIT_DONE
    first = bad[0]
    print(
        f"error: {len(bad)} of {len(ended)} jobs did not succeed, first {first.name}: {first.reason}; "
        f"see `localpach logs -j {first.name}`",
        file=sys.stderr,
    )
    return EXIT_ERROR


def _mention_unfinished(session: Session, progress: Console) -> None:
    """Tell, after a command that runs nothing, that an interrupted run is waiting."""
    waiting = [job for job in Records(session.store).unfinished_jobs() if job.started is not None]
    if waiting:
        first = waiting[0]
        progress.note(
            f"note: job {first.name} is unfinished; if no localpach is running it, `localpach wait job {first.name}`"
        )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
