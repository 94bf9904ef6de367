"""Which job, which datum does a person mean? `P@ID` or `P` for its newest job; an ID, its beginning, or a path."""

from collections.abc import Sequence

from localpach.addresses import parse_job
from localpach.errors import NotFoundError
from localpach.records import DatumRecord, Job, Records


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


def find_datum(datums: Sequence[DatumRecord], text: str) -> DatumRecord:
    """Find the datum of an ID, of the beginning of one, or of a file.

    Raises:
        NotFoundError: no datum, or more than one ID begins so.
    """
    path = "/" + text.strip("/")
    by_file = [
        each for each in datums if text == each.label or path in [found.rstrip("/") or "/" for *_, found in each.files]
    ]
    found = by_file[:1] or [each for each in datums if each.id.startswith(text)]
    if not found:
        raise NotFoundError("datum", text, "`localpach list datum` shows those there are")
    if len(found) > 1:
        raise NotFoundError("datum", text, f"{len(found)} IDs begin so; give more of it")
    return found[0]
