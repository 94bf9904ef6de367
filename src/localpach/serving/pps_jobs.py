"""The calls about jobs and datums."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from localpach.actions import describe, pipelines
from localpach.actions.message_jobs import datum_message, preview_message
from localpach.actions.repos import find_commit
from localpach.errors import NotFoundError
from localpach.planning.datums import Datum
from localpach.running.kill import kill_job
from localpach.serving.call import Call
from localpach.serving.refs import PROJECT, commit_address, job_of, pipeline_name
from localpach.serving.wire import Empty, Method, as_fields, filled, is_set, pps
from localpach.spec import spec
from localpach.storage.records import DatumRecord, Job, Records

_ALL_VERSIONS = -1
_DATUMS_AT_A_TIME = 100  # where a client names no number


def _info(call: Call, job: Job, *, in_detail: bool) -> Any:
    return filled(pps.JobInfo, describe.job(call.store, job, in_detail=in_detail))


def _ended(call: Call, job: Job) -> Job:
    """Wait for the end of a job."""

    def look() -> Job | None:
        now = Records(call.store).job(job.pipeline, job.id)
        return now if now.ended else None

    return call.wait_for(look)


def inspect_job(call: Call, request: Any) -> Any:
    """Describe a job, once it has ended if the client waits."""
    job = Records(call.store).job(*job_of(request.job))
    return _info(call, _ended(call, job) if request.wait else job, in_detail=request.details)


def inspect_job_set(call: Call, request: Any) -> Iterator[Any]:
    """Give the jobs of a set, those above first, each once it has ended if the client waits."""
    found = Records(call.store).jobs(None, request.job_set.id)
    if not found:
        raise NotFoundError("job set", request.job_set.id)
    for job in reversed(found):
        yield _info(call, _ended(call, job) if request.wait else job, in_detail=request.details)


def list_job(call: Call, request: Any) -> Iterator[Any]:
    """List jobs, newest first: those of the present version of each pipeline, and of earlier ones if asked for."""
    records = Records(call.store)
    only = pipeline_name(request.pipeline) if request.pipeline.name else None
    if only is not None:
        records.pipeline(only)
    if request.projects and PROJECT not in [each.name for each in request.projects]:
        return
    newest = {each.name: each.version for each in records.pipelines()}
    read = [find_commit(call.store, commit_address(each)) for each in request.input_commit]
    found = [
        job
        for job in records.jobs(only)
        if request.history == _ALL_VERSIONS or newest.get(job.pipeline, 0) - job.version <= request.history
        if all(_has_read(call, job, commit.repo, commit.id) for commit in read)
    ]
    if request.reverse:
        found.reverse()
    for job in found[: request.number or None]:
        yield _info(call, job, in_detail=request.details)


def _has_read(call: Call, job: Job, repo: str, id_: str) -> bool:
    used = call.store.provenance(job.pipeline, job.id).items()
    return any(name == repo and used_id == id_ for (name, _), used_id in used)


def list_job_set(call: Call, request: Any) -> Iterator[Any]:
    """List the job sets, newest first."""
    sets: dict[str, list[Job]] = {}
    for job in Records(call.store).jobs():
        sets.setdefault(job.id, []).append(job)
    ids = list(reversed(sets)) if request.reverse else list(sets)
    for id_ in ids[: request.number or None]:
        infos = [_info(call, job, in_detail=request.details) for job in reversed(sets[id_])]
        yield pps.JobSetInfo(job_set=pps.JobSet(id=id_), jobs=infos)


def subscribe_job(call: Call, request: Any) -> Iterator[Any]:
    """Give the jobs of a pipeline that have not ended, and each new one, until the client leaves."""
    records = Records(call.store)
    name = pipeline_name(request.pipeline)
    records.pipeline(name)
    known = {job.id for job in records.jobs(name) if job.ended}

    def fresh() -> list[Job] | None:
        return [job for job in reversed(records.jobs(name)) if job.id not in known] or None

    while True:
        for job in call.wait_for(fresh):
            known.add(job.id)
            yield _info(call, job, in_detail=request.details)


def stop_job(call: Call, request: Any) -> Any:
    """Stop a job."""
    pipeline, id_ = job_of(request.job)
    kill_job(call.store, pipeline, id_, request.reason or "stopped by hand")
    return Empty()


def delete_job(call: Call, request: Any) -> Any:
    """Take a job out of all lists."""
    pipelines.delete_job(call.store, *job_of(request.job))
    return Empty()


def list_datum(call: Call, request: Any) -> Iterator[Any]:
    """List the datums of a job, or those that an input would have."""
    if is_set(request.input):
        infos = [_preview(each) for each in _datums_of(call, request.input)]
    else:
        pipeline, id_ = job_of(request.job)
        infos = [_datum(each, pipeline, id_) for each in Records(call.store).datums(pipeline, id_)]
        if request.filter.state:
            infos = [each for each in infos if each.state in request.filter.state]
    yield from _page(infos, request)


def _page(infos: list[Any], request: Any) -> Iterable[Any]:
    if request.reverse:
        infos.reverse()
    if request.pagination_marker:
        ids = [each.datum.id for each in infos]
        infos = infos[ids.index(request.pagination_marker) + 1 :] if request.pagination_marker in ids else []
    return infos[: request.number or None]


def _datums_of(call: Call, given: Any) -> list[Datum]:
    """Expand an input over the present heads."""
    fields = {"pipeline": {"name": "preview"}, "transform": {"cmd": ["true"]}, "input": as_fields(given)}
    (found,) = spec.parse(json.dumps(fields))
    return pipelines.preview_datums(call.store, found)


def _preview(datum: Datum) -> Any:
    files = [(each.source.name, each.source.repo, each.listing.commit, each.path) for each in datum.inputs]
    return filled(pps.DatumInfo, preview_message(datum.id, files))


def _datum(record: DatumRecord, pipeline: str, job: str) -> Any:
    return filled(pps.DatumInfo, datum_message(record, pipeline, job))


def create_datum(call: Call, requests: Iterator[Any]) -> Iterator[Any]:
    """Give the datums that an input would have, as many at a time as the client asks for."""
    waiting: Iterator[Datum] = iter(())
    for request in requests:
        if is_set(request.start):
            waiting = iter(_datums_of(call, request.start.input))
            number = request.start.number
        else:
            number = request.continue_.number
        batch = list(islice(waiting, number or _DATUMS_AT_A_TIME))
        yield from map(_preview, batch)
        if len(batch) < (number or _DATUMS_AT_A_TIME):  # the client waits for the others, or for the end
            return


def inspect_datum(call: Call, request: Any) -> Any:
    """Describe a datum."""
    pipeline, id_ = job_of(request.datum.job)
    for each in Records(call.store).datums(pipeline, id_):
        if each.id == request.datum.id:
            return _datum(each, pipeline, id_)
    raise NotFoundError("datum", request.datum.id, f"job {pipeline}@{id_} has none of this ID")


def restart_datum(call: Call, request: Any) -> Any:
    """Process the datums of a job that have certain files again, in a job of their own."""
    pipeline, id_ = job_of(request.job)
    records = Records(call.store)
    records.job(pipeline, id_)
    wanted = {"/" + each.strip("/") for each in request.data_filters}
    found = [
        each.id
        for each in records.datums(pipeline, id_)
        if f"/{each.id}" in wanted or wanted <= {path.rstrip("/") or "/" for path in each.paths}
    ]
    if not found:
        raise NotFoundError("datum", ", ".join(request.data_filters), f"job {pipeline}@{id_} has none with these files")
    pipelines.restart_datums(call.store, pipeline, found)
    return Empty()


METHODS = {
    "InspectJob": Method(inspect_job, pps.InspectJobRequest),
    "InspectJobSet": Method(inspect_job_set, pps.InspectJobSetRequest, streams_out=True),
    "ListJob": Method(list_job, pps.ListJobRequest, streams_out=True),
    "ListJobSet": Method(list_job_set, pps.ListJobSetRequest, streams_out=True),
    "SubscribeJob": Method(subscribe_job, pps.SubscribeJobRequest, streams_out=True),
    "StopJob": Method(stop_job, pps.StopJobRequest),
    "DeleteJob": Method(delete_job, pps.DeleteJobRequest),
    "ListDatum": Method(list_datum, pps.ListDatumRequest, streams_out=True),
    "CreateDatum": Method(create_datum, pps.CreateDatumRequest, streams_in=True, streams_out=True),
    "InspectDatum": Method(inspect_datum, pps.InspectDatumRequest),
    "RestartDatum": Method(restart_datum, pps.RestartDatumRequest),
}
