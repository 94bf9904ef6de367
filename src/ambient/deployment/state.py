"""What a cluster says about its commits, jobs and datums, in plain values."""

import datetime
from dataclasses import dataclass

_END_STATES = ("SUCCESS", "FAILURE", "KILLED", "UNRUNNABLE")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of one repo.

    Args:
        repo: Its repo.
        id: 32 hex digits, shared by all commits and jobs that it causes.
        is_open: Files can still be put into it.
        is_finished: Its content is settled and checked.
        error: Why it is no good; empty if it is.
        description: What its author said.
        parent: ID of the commit before; empty for the first.
    """

    repo: str
    id: str
    is_open: bool
    is_finished: bool
    error: str
    description: str
    parent: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job of one pipeline; counts are of datums."""

    pipeline: str
    id: str
    state: str
    reason: str
    processed: int
    skipped: int
    failed: int
    recovered: int
    total: int
    created: datetime.datetime | None
    seconds: float | None

    @property
    def has_ended(self) -> bool:
        """Whether the job is in one of the states that it does not leave."""
        return self.state in _END_STATES


@dataclass(frozen=True, slots=True)
class Datum:
    """A datum that failed or was recovered."""

    id: str
    paths: tuple[str, ...]
