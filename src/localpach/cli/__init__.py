"""The command line: pachctl's words over the functions of localpach. `localpach --help` lists them."""

import argparse
import gc
import io
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from localpach.cli.command import Commands, Session, add_ignored
from localpach.cli.unsupported import why_unsupported
from localpach.errors import LocalpachError

if TYPE_CHECKING:
    from localpach.storage.records import Job

DEFAULT_STATE = ".localpach"
STATE_VARIABLE = "LOCALPACH_STATE"

EXECUTOR_VARIABLE = "LOCALPACH_EXECUTOR"
EXECUTORS = ("process", "container")

# A listing makes tens of thousands of small objects and ends; walking them again and again took a quarter of its time.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000

_FLAGS_WITH_VALUE = ("--state", "--executor", "--project", "--rpc-timeout")  # those that may stand before the command

EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 130

# What a command is about (empty: a command of one word), its verbs, and the module that has it. Only the modules of
# the words at hand are imported, which is most of the time that a listing takes.
COMMANDS = (
    ("repo", "create update list inspect delete", "repos"),
    ("branch", "create list inspect delete", "branches"),
    ("commit", "start finish list inspect wait subscribe find", "commits"),
    ("commit", "squash delete", "history"),
    ("file", "put get list inspect glob diff copy delete", "files"),
    ("pipeline", "create update validate edit list inspect delete stop start draw", "pipelines"),
    ("pipeline", "rerun", "watch"),
    ("cron", "run", "watch"),
    ("job", "list inspect wait stop delete", "jobs"),
    ("datum", "list inspect restart", "datums"),
    ("datum", "next", "datum_shell"),
    ("secret", "create list inspect delete", "secrets"),
    ("project", "create list inspect", "cluster"),
    ("cluster", "inspect", "cluster"),
    ("all", "delete", "cluster"),
    ("", "version", "cluster"),
    ("", "logs", "logs"),
    ("", "why", "why"),
    ("", "shell", "datum_shell"),
    ("", "watch", "watch"),
    ("", "fsck gc doctor", "maintenance"),
    ("", "serve", "serve"),
    ("", "config", "config"),
)


def make_parser(verb: str = "", noun: str = "") -> argparse.ArgumentParser:
    """Make the parser of the whole program, or of the commands of one verb or one verb and noun."""
    parser = argparse.ArgumentParser(
        prog="localpach",
        usage="localpach [--state DIR] COMMAND [WHAT] …",
        description="Run Pachyderm pipeline specs on one machine. The words are pachctl's.",
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help=f"state folder (default: ${STATE_VARIABLE}, or {DEFAULT_STATE} in the current folder)",
    )
    parser.add_argument(
        "--executor",
        choices=EXECUTORS,
        help=f"run programs as processes, or in containers of their image (default: ${EXECUTOR_VARIABLE}, or process)",
    )
    add_ignored(parser)
    commands = Commands(parser)
    wanted = [module for about, verbs, module in COMMANDS if verb in ("", *verbs.split()) and noun in ("", about)]
    for module in dict.fromkeys(wanted):
        import_module(f"localpach.cli.{module}").register(commands)
    return parser


def _overview() -> str:
    width = max(len(about) for about, _, _ in COMMANDS)
    verbs_of: dict[str, str] = {}
    for about, verbs, _ in COMMANDS:
        verbs_of[about] = f"{verbs_of.get(about, '')} {verbs}".strip()
    single = verbs_of.pop("")
    lines = [f"  {about:<{width}}  {verbs}" for about, verbs in verbs_of.items()]
    return "\n".join(
        [
            "commands, such as `localpach list repo` (plurals are understood):",
            *lines,
            f"  {'':<{width}}  {single}",
            "",
            "`localpach COMMAND WHAT --help` lists the flags. Example: localpach create repo songs; localpach put file",
            "songs@master -f a.mp3; localpach create pipeline -f midi.json",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done; 1 an error, or a job failed; 130 interrupted. argparse exits with 2 on wrong usage.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # a terminal that has not all characters shows `\\u2a2f`, and nothing is lost
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = _parse(words)
    folder = arguments.state or Path(os.environ.get(STATE_VARIABLE) or DEFAULT_STATE)
    from localpach.cli.progress import Console

    progress = Console()
    session = Session(
        folder, progress, arguments.usage_error, may_begin=arguments.may_begin, executor=arguments.executor
    )
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.runs:
            session.choose_executor()  # before anything is changed
        arguments.run(session, arguments)
        if arguments.runs:
            session.run_jobs()
        elif session.is_open:
            _mention_unfinished(session)
    except BrokenPipeError:  # the reader of a listing, such as `head`, had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except (LocalpachError, UnicodeEncodeError, sqlite3.Error, OSError) as error:
        print(f"error: {_describe(error, folder)}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("\nstopped; finished datums are kept, the next change or `localpach wait job` goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
        session.close()
    return _report_failures(session.ended)


def _describe(error: Exception, folder: Path) -> str:
    """Write in one line what went wrong."""
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start]!a} is no character of UTF-8; leave it out"
    if isinstance(error, sqlite3.Error):
        return f"the state in {folder} cannot be read or written: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or folder}: {error.strerror or error}"
    return str(error)


def _parse(words: list[str]) -> argparse.Namespace:
    """Read the words with no more of the program loaded than they need; wrong usage ends it."""
    # pachctl's flags without a value may be written `--all=true`.
    words = [word.removesuffix("=true") for word in words if not (word.startswith("--") and word.endswith("=false"))]
    verb, noun = _make_singular(words)
    if verb == "help":  # pachctl's word for it
        words.remove(verb)
        words.append("--help")
        verb, noun = _make_singular(words)
    problem = _unknown(verb, noun)
    parser = make_parser("version") if problem or not verb else make_parser(verb, noun)
    if problem:
        parser.error(problem)
    arguments = parser.parse_args(words)
    if arguments.output and not arguments.raw and not getattr(arguments, "spec", False):
        arguments.usage_error("-o names the format of --raw; give both")
    return arguments


def _nouns(verb: str) -> list[str]:
    return sorted({about for about, verbs, _ in COMMANDS if verb in verbs.split()})


def _make_singular(words: list[str]) -> tuple[str, str]:
    """Find the verb and its noun among the words, and make a plural singular: `list branches`."""
    places = [
        place
        for place, word in enumerate(words)
        if not word.startswith("-") and (place == 0 or words[place - 1] not in _FLAGS_WITH_VALUE)
    ]
    if not places:
        return "", ""
    verb = words[places[0]]
    nouns = _nouns(verb)
    if len(places) < 2 or nouns == [""]:
        return verb, ""
    noun = words[places[1]]
    for singular in (noun.removesuffix("s"), noun.removesuffix("es")):
        if singular in nouns:
            words[places[1]] = noun = singular
    return verb, noun


def _unknown(verb: str, noun: str) -> str:
    """Say what is there in place of words that are no command; empty if they are one."""
    nouns = _nouns(verb)
    if not verb or (nouns and noun in ("", *nouns)):
        return ""
    refused = why_unsupported(verb, noun)
    if refused:
        return refused
    if nouns:
        return f"`{verb} {noun}` is no command; there is {', '.join(f'`{verb} {each}`' for each in nouns)}"
    from difflib import get_close_matches  # here, because only a mistake needs it

    close = get_close_matches(verb, {each for _, verbs, _ in COMMANDS for each in verbs.split()}, 1)
    return f"there is no command `{verb}`; " + (
        f"did you mean `{close[0]}`?" if close else "`localpach --help` lists the commands"
    )


def _report_failures(ended: "list[Job]") -> int:
    bad = [job for job in ended if job.state != "success"]
    if not bad:
        return EXIT_DONE
    first = bad[0]
    print(
        f"error: {len(bad)} of {len(ended)} jobs did not succeed, first {first.name}: {first.reason}; "
        f"see `localpach logs -j {first.name}`",
        file=sys.stderr,
    )
    return EXIT_ERROR


def _mention_unfinished(session: Session) -> None:
    """Say, after a command that runs nothing, that an interrupted run is waiting."""
    from localpach.storage.records import Records

    waiting = [job for job in Records(session.store).unfinished_jobs() if job.started is not None]
    if waiting:
        first = waiting[0]
        session.progress.note(
            f"note: job {first.name} is unfinished; if no localpach is running it, `localpach wait job {first.name}`"
        )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
