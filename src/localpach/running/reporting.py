"""What is shown while jobs run? The interface of whoever shows it, and one that shows nothing."""

from typing import Protocol

from localpach.storage.records import DatumRecord, Job


class Progress(Protocol):
    """What a person is shown while jobs run."""

    def note(self, message: str) -> None:
        """Show one line."""

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """A job begins; `todo` datums will run, `done` have run before it was interrupted."""

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """A datum ended."""

    def tick(self, job: Job, latest: str) -> None:
        """Time passes while datums run; `latest` is the last line that one of them wrote."""

    def job_ended(self, job: Job, skipped: list[str]) -> None:
        """A job reached its end; `skipped` are the labels of the first few datums that it skipped."""


class Silent:
    """Shows nothing."""

    def note(self, message: str) -> None:
        """Show nothing."""

    def job_started(self, job: Job, todo: int, done: int) -> None:
        """Show nothing."""

    def datum_ended(self, job: Job, record: DatumRecord) -> None:
        """Show nothing."""

    def tick(self, job: Job, latest: str) -> None:
        """Show nothing."""

    def job_ended(self, job: Job, skipped: list[str]) -> None:
        """Show nothing."""
