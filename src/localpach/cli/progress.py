"""What does a person see while jobs run? A line when a job begins and ends, the names of its datums, a live counter."""

import shutil
import sys
import time
from typing import TextIO

from localpach.cli.columns import duration, job_seconds
from localpach.planning.plan import FAILED, PROCESSED, RECOVERED
from localpach.storage.records import SUCCESS, UNRUNNABLE, DatumRecord, Job

_PLAIN_EVERY_S = 30.0  # between counters in a log file
_MAX_NAMES = 4  # of skipped datums; those that ran are all named


class Console:
    """Writes progress to stderr: plain lines, and on a terminal a counter that is overwritten.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._begun = self._shown = 0.0
        self._todo = 0
        self._done = 0

    def note(self, message: str) -> None:
        """Show one line."""
        self.clear()
        print(message, file=self._stream, flush=True)

    def counter(self, line: str) -> None:
        """Overwrite the last line of a terminal; a log file is spared."""
        if self._live:
            width = shutil.get_terminal_size().columns
            print(f"\r\033[K  {line[: width - 3]}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the counter away."""
        if self._live:
            print("\r\033[K", end="", file=self._stream, flush=True)

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """Show that a job begins, or goes on."""
        self._begun = self._shown = time.monotonic()
        self._todo, self._done = todo, 0
        if job.counts.total:
            before = f", {done} done before" if done else ""
            self.note(f"{job.pipeline}: running {todo} of {job.counts.total} datums{before} (job {job.id})")

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """Show which datum ended and, if it did not succeed, why."""
        self._done += 1
        reason = f": {record.reason}" if record.reason else ""
        word = {PROCESSED: "ran", RECOVERED: "recovered" if reason else "ran", FAILED: "FAILED"}[record.state]
        self.note(f"  {word:<9} {record.label}  {duration(record.seconds)}{reason}")

    def tick(self, job: Job, latest: str) -> None:
        """Overwrite the counter; where that cannot be done, print it now and then."""
        now = time.monotonic()
        if self._live or now - self._shown >= _PLAIN_EVERY_S:
            self._shown = now
            elapsed = duration(now - self._begun)
            line = f"{job.pipeline}: {self._done}/{self._todo} datums, {elapsed}  {latest}"
            if self._live:
                self.counter(line)
            else:
                print(f"  {line}".rstrip(), file=self._stream, flush=True)

    def job_ended(self, job: Job, skipped: list[str]) -> None:
        """Show how the job ended, with its counts and its skipped datums."""
        if job.state == UNRUNNABLE:
            self.note(f"{job.pipeline}: {job.reason}")
            return
        if skipped:
            more = " …" if job.counts.skipped > _MAX_NAMES else ""
            self.note(f"  {'skipped':<9} {job.counts.skipped}: {', '.join(skipped[:_MAX_NAMES])}{more}")
        counts = job.counts
        parts = [
            f"{count} {word}"
            for count, word in (
                (counts.processed, "processed"),
                (counts.skipped, "skipped"),
                (counts.recovered, "recovered"),
                (counts.failed, "failed"),
            )
            if count or word in ("processed", "skipped")
        ]
        reason = "" if job.state == SUCCESS else f": {job.reason}"
        spent = duration(job_seconds(job) or 0.0)
        self.note(f"{job.pipeline}: {job.state}, {', '.join(parts)} of {counts.total} in {spent}{reason}")
