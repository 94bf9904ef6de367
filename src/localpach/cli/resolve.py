"""Which job, which datum does a person mean? `P@ID` or `P` for its newest job; an ID, its beginning, or a path."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from localpach.errors import NotFoundError
from localpach.spec.addresses import is_commit_id, parse_job
from localpach.storage.records import Job, Records


class HasName(Protocol):
    """What a person can name: the record of a datum, or a datum that did not run yet."""

    @property
    def id(self) -> str:
        """The identifier."""

    @property
    def label(self) -> str:
        """The paths, for people."""

    @property
    def paths(self) -> Iterable[str]:
        """The paths of its files."""


Named = TypeVar("Named", bound=HasName)


def find_jobs(records: Records, text: str) -> list[Job]:
    """Find the jobs of a set by its ID, newest first, or the one job that `find_job` finds.

    Raises:
        NotFoundError: there is none.
    """
    if not is_commit_id(text):
        return [find_job(records, text)]
    found = records.jobs(None, text)
    if not found:
        raise NotFoundError("job set", text, "`localpach list job` shows those there are")
    return found


def find_job(records: Records, text: str) -> Job:
    """Find the job `pipeline@id`, or the newest of a pipeline.

    Raises:
        NotFoundError: it is not there, or the pipeline has had none yet.
    """
    if "@" in text:
        return records.job(*parse_job(text))
    records.pipeline(text)
    found = newest_job(records, text)
    if found is None:
        raise NotFoundError("job of pipeline", text, "it has had none yet")
    return found


def newest_job(records: Records, pipeline: str) -> Job | None:
    """Find the newest job of a pipeline, or None if it has had none yet."""
    return next(iter(records.jobs(pipeline)), None)


def find_datum(job: Job, datums: Sequence[Named], text: str) -> Named:
    """Find the datum of an ID, of the beginning of one, or of a file, among those of a job.

    Raises:
        NotFoundError: no datum, or more than one ID begins so.
    """
    path = "/" + text.strip("/")
    by_file = [each for each in datums if text == each.label or path in [one.rstrip("/") or "/" for one in each.paths]]
    found = by_file[:1] or [each for each in datums if text and each.id.startswith(text)]
    if not found:
        raise NotFoundError("datum", text, f"`localpach list datum {job.name}` shows those there are")
    if len(found) > 1:
        raise NotFoundError("datum", text, f"{len(found)} IDs begin so; give more of it")
    return found[0]
