"""What is a command made of? A verb, a noun, flags, a function; and what every command is given."""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from localpach.errors import CommitStateError, StateError

if TYPE_CHECKING:  # a listing starts in half the time without what runs jobs
    from localpach.cli.progress import Console
    from localpach.running.executors import Executor
    from localpach.storage.records import Job
    from localpach.storage.store import Commit, Store

Run = Callable[["Session", argparse.Namespace], None]

_OUTPUTS = ("json", "yaml")


class Session:
    """One call of the program: its state, opened when first needed, and its progress display.

    Args:
        folder: The state folder.
        progress: Shows how jobs run.
        usage_error: Ends the program because of wrong usage.
        may_begin: Whether a new state may be made; a listing in the wrong folder should rather say so.
        executor: Where programs run: the name, or nothing for what the environment says.
    """

    def __init__(
        self,
        folder: Path,
        progress: "Console",
        usage_error: Callable[[str], NoReturn],
        *,
        may_begin: bool = True,
        executor: str | None = None,
    ) -> None:
        self._may_begin = may_begin
        self.folder = folder
        self.progress = progress
        self.usage_error = usage_error
        self.ended: list[Job] = []
        self._store: Store | None = None
        self._executor = executor

    @property
    def store(self) -> "Store":
        """The state."""
        if self._store is None:
            from localpach.storage.store import Store

            if not self._may_begin and not self.has_state:
                raise StateError(
                    f"no state in {self.folder}; begin with `localpach create repo NAME`, or name another --state"
                )
            self._store = Store(self.folder)
        return self._store

    def choose_executor(self) -> "Executor":
        """Choose where programs run.

        Raises:
            ExecutorError: the name that was given is not known.
        """
        from localpach.running.executors import choose

        return choose(self._executor or "")

    @property
    def has_state(self) -> bool:
        """Whether there is a state, which a dry run must not make."""
        return (self.folder / "state.sqlite").exists()

    @property
    def is_open(self) -> bool:
        """Whether the state was needed."""
        return self._store is not None

    def run_jobs(self) -> None:
        """Run all jobs that can run, in the foreground, and what the clock made due before.

        Those that another process ran meanwhile count as well.
        """
        from localpach.actions.timers import fire_due
        from localpach.running.jobs import run_jobs
        from localpach.storage.records import Records

        fire_due(self.store, time.time())
        records = Records(self.store)
        waiting = records.unfinished_jobs()
        ran = run_jobs(self.store, self.progress, self.choose_executor())
        names = {job.name for job in ran}
        found = [records.find_job(job.pipeline, job.id) for job in waiting if job.name not in names]
        elsewhere = [job for job in found if job is not None and job.ended]
        for job in elsewhere:
            self.progress.job_ended(job, records.labels_skipped(job))
        self.ended += [*elsewhere, *ran]

    def close(self) -> None:
        """Close the state."""
        if self._store is not None:
            self._store.close()


class Commands:
    """Collects commands as `verb noun`, as pachctl has them."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(metavar="COMMAND", help=argparse.SUPPRESS, required=True)
        self._nouns: dict[str, Any] = {}
        self.words: dict[str, list[str]] = {}

    def add(
        self,
        verb: str,
        noun: str,
        run: Run,
        text: str,
        *,
        raw: bool = False,
        times: bool = False,
        runs: bool = False,
        example: str = "",
    ) -> argparse.ArgumentParser:
        """Add a command.

        Args:
            verb: First word.
            noun: Second word; empty for a command of one word.
            run: Does the work.
            text: One line of help.
            raw: It can print JSON.
            times: It shows times, so it takes `--full-timestamps`.
            runs: It causes work, so unfinished jobs are run after it.
            example: A call, shown below the help.
        """
        self.words.setdefault(verb, []).append(noun)
        family = self._verbs
        if noun:
            if verb not in self._nouns:
                parser = self._verbs.add_parser(verb, prog=f"localpach {verb}", description=f"{verb} one of these")
                self._nouns[verb] = parser.add_subparsers(metavar="WHAT", required=True)
            family = self._nouns[verb]
        epilog = f"example: localpach {example}" if example else None
        command: argparse.ArgumentParser = family.add_parser(
            noun or verb, prog=f"localpach {verb} {noun}".strip(), help=text, description=text, epilog=epilog
        )
        command.set_defaults(
            run=run, usage_error=command.error, runs=runs, raw=False, full_timestamps=False, output=None
        )
        command.set_defaults(may_begin=verb in ("create", "update"))
        if raw:
            command.add_argument("--raw", action="store_true", help="print JSON, shaped like pachctl's")
            command.add_argument("-o", "--output", choices=_OUTPUTS, help="format of --raw (default: json)")
        if times:
            command.add_argument("--full-timestamps", action="store_true", help="show times, not ages")
        add_ignored(command)
        return command


def report_error(session: Session, commit: "Commit") -> None:
    """Report a change whose commit is finished with an error, after the jobs that it caused, which do not say why."""
    found = session.store.commit(commit.repo, commit.id)
    if found is not None and found.error:
        session.run_jobs()
        raise CommitStateError(f"commit {commit.repo}@{commit.id} is finished with an error: {found.error}")


def history_depth(session: Session, text: str) -> int | None:
    """Read `--history`: how many versions back, None for all."""
    if text in ("all", "none"):
        return None if text == "all" else 0
    if not text.lstrip("-").isdigit():
        session.usage_error("--history takes a number, all or none")
    return int(text) if int(text) >= 0 else None


def add_ignored(command: argparse.ArgumentParser) -> None:
    """Take the flags that pachctl has everywhere and that mean nothing on one machine."""
    for flag in (("-v", "--verbose"), ("--no-color",), ("--no-pager",), ("-A", "--all-projects")):
        command.add_argument(*flag, action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--project", choices=["default"], help=argparse.SUPPRESS)
    command.add_argument("--rpc-timeout", metavar="TIME", help=argparse.SUPPRESS)


def show(
    arguments: argparse.Namespace,
    messages: Iterable[object],
    header: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
    lines: Sequence[str] = (),
) -> None:
    """Print a result: with `--raw` one JSON document each message, else a table or lines.

    Both may be generators, so that only the one that is wanted is made.
    """
    from localpach.cli import columns

    if arguments.raw:
        for text in columns.documents(messages, arguments.output or "json"):
            print(text)
    else:
        print(columns.table(header, rows) if header else "\n".join(lines))
