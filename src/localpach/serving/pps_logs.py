"""The call for what programs wrote: the log files of datums, line by line, and as they grow."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localpach.actions.message_jobs import log_message
from localpach.errors import AddressError, NotFoundError
from localpach.serving.call import Call
from localpach.serving.refs import job_of, pipeline_name
from localpach.serving.wire import Method, filled, pps
from localpach.storage.records import DatumRecord, Job, Records

_LOOK_S = 0.2


def get_logs(call: Call, request: Any) -> Iterator[Any]:
    """Give the lines of a datum, a job, or the newest job of a pipeline that has begun; then those that follow."""
    records = Records(call.store)
    job = _job(records, request)
    lines = list(_written(call, records, job, request))
    yield from lines[-request.tail :] if request.tail else lines
    if request.follow:
        yield from _following(call, records, job, request.datum.id)


def _job(records: Records, request: Any) -> Job:
    if request.datum.id:
        return records.job(*job_of(request.datum.job))
    if request.job.id:
        return records.job(*job_of(request.job))
    if not request.pipeline.name:
        raise AddressError("a request for logs", "a pipeline, a job or a datum")
    name = pipeline_name(request.pipeline)
    records.pipeline(name)
    found = records.jobs(name)
    begun = next((each for each in found if each.started or each.ended), next(iter(found), None))
    if begun is None:
        raise NotFoundError("job of pipeline", name, "it has had none yet")
    return begun


def _written(call: Call, records: Records, job: Job, request: Any) -> Iterator[Any]:
    earliest = time.time() - request.since.total_seconds() if request.since else 0.0
    wanted = {"/" + each.strip("/") for each in request.data_filters}
    for each in records.datums(job.pipeline, job.id):
        if request.datum.id and each.id != request.datum.id:
            continue
        if not wanted <= {path.rstrip("/") or "/" for path in each.paths}:
            continue
        path = _folder(call, job.pipeline, each.ran_in) / f"{each.id}.log"
        if path.exists() and path.stat().st_mtime >= earliest:
            for line in _lines(path.read_bytes()):
                yield _message(job, each, line, path.stat().st_mtime)


def _folder(call: Call, pipeline: str, job: str) -> Path:
    return call.store.folder / "logs" / pipeline / job


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", errors="replace").splitlines()


def _message(job: Job, datum: DatumRecord, line: str, moment: float) -> Any:
    message = filled(pps.LogMessage, log_message(job, datum, line))
    message.ts = datetime.fromtimestamp(moment, UTC)  # of the last line: a log file has no other time
    return message


def _following(call: Call, records: Records, job: Job, datum: str) -> Iterator[Any]:
    """Give what is written from now on, until the job has ended or the client leaves."""
    folder = _folder(call, job.pipeline, job.id)
    given = {path: path.stat().st_size for path in folder.glob("*.log")}
    while True:
        has_ended = records.job(job.pipeline, job.id).ended
        for path in sorted(folder.glob(f"{datum or '*'}.log")):
            text = path.read_bytes()[given.get(path, 0) :]
            whole = text if has_ended else text[: text.rfind(b"\n") + 1]
            given[path] = given.get(path, 0) + len(whole)
            for line in _lines(whole):
                yield _running(job, path.stem, line)
        if has_ended:
            return
        call.check_client()
        time.sleep(_LOOK_S)


def _running(job: Job, datum: str, line: str) -> Any:
    """Make a message of a line of a datum that may have no record yet."""
    message = pps.LogMessage(job_id=job.id, datum_id=datum, user=True, message=line, ts=datetime.now(UTC))
    message.pipeline_name = job.pipeline
    message.project_name = "default"
    return message


METHODS = {"GetLogs": Method(get_logs, pps.GetLogsRequest, streams_out=True)}
