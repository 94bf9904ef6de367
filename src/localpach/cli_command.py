"""What is a command made of? A verb, a noun, flags, a function; and what every command is given."""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from localpach import columns
from localpach.errors import StateError
from localpach.executors import Executor, choose
from localpach.jobs import Progress, run_jobs
from localpach.records import Job, Records
from localpach.store import Store
from localpach.timers import fire_due

Run = Callable[["Session", argparse.Namespace], None]


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
        progress: Progress,
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
    def store(self) -> Store:
        """The state."""
        if self._store is None:
            if not self._may_begin and not (self.folder / "state.sqlite").exists():
                raise StateError(
                    f"no state in {self.folder}; begin with `localpach create repo NAME`, or name another --state"
                )
            self._store = Store(self.folder)
        return self._store

    @property
    def executor(self) -> Executor:
        """Where programs run."""
        return choose(self._executor or "")

    @property
    def is_open(self) -> bool:
        """Whether the state was needed."""
        return self._store is not None

    def run_jobs(self) -> None:
        """Run all jobs that can run, in the foreground, and what the clock made due before.

        Those that another process ran meanwhile count as well.
        """
        fire_due(self.store, time.time())
        records = Records(self.store)
        waiting = records.unfinished_jobs()
        ran = run_jobs(self.store, self.progress, self.executor)
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
        self._verbs = parser.add_subparsers(metavar="COMMAND", required=True)
        self._nouns: dict[str, Any] = {}

    def add(
        self, verb: str, noun: str, run: Run, text: str, *, raw: bool = False, runs: bool = False
    ) -> argparse.ArgumentParser:
        """Add a command.

        Args:
            verb: First word.
            noun: Second word; empty for a command of one word.
            run: Does the work.
            text: One line of help.
            raw: It can print JSON.
            runs: It causes work, so unfinished jobs are run after it.
        """
        if noun:
            if verb not in self._nouns:
                parser = self._verbs.add_parser(verb, help=f"{verb} …", description=f"{verb} one of these")
                self._nouns[verb] = parser.add_subparsers(metavar="WHAT", required=True)
            command: argparse.ArgumentParser = self._nouns[verb].add_parser(noun, help=text, description=text)
        else:
            command = self._verbs.add_parser(verb, help=text, description=text)
        command.set_defaults(run=run, runs=runs, may_begin=verb in ("create", "update"))
        if raw:
            command.add_argument("--raw", action="store_true", help="print JSON")
            command.add_argument("-o", "--output", choices=["json"], default="json", help="format of --raw")
        return command


def show(
    arguments: argparse.Namespace,
    value: object,
    header: Sequence[str] = (),
    rows: Sequence[Sequence[object]] = (),
    lines: Sequence[str] = (),
) -> None:
    """Print a result: as JSON with `--raw`, else as a table or as lines."""
    if arguments.raw:
        print(columns.as_json(value))
    else:
        print(columns.table(header, rows) if header else "\n".join(lines))
