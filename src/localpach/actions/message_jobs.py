"""What do pipelines, jobs and datums look like for programs? Our records as the messages of `pachctl --raw`."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localpach.actions.message import PROJECT, Message, commit_ref, filled, int64, repo_ref, seconds, timestamp

if TYPE_CHECKING:
    from localpach.spec.spec import PipelineSpec
    from localpach.storage.records import DatumRecord, Job, Pipeline

# Enumeration values by our words for them.
JOB_STATES = {
    "": None, "created": "JOB_CREATED", "starting": "JOB_STARTING", "running": "JOB_RUNNING", "failure": "JOB_FAILURE",
    "success": "JOB_SUCCESS", "killed": "JOB_KILLED", "egressing": "JOB_EGRESSING", "finishing": "JOB_FINISHING",
    "unrunnable": "JOB_UNRUNNABLE",
}  # fmt: skip
DATUM_STATES = {
    "success": "SUCCESS", "skipped": "SKIPPED", "recovered": "RECOVERED", "failed": "FAILED", "starting": "STARTING",
}  # fmt: skip
# Fields of a spec that protobuf counts as 64-bit integers.
_INT64 = ("constant", "accept_return_code", "commits", "datum_tries", "internal_port", "external_port", "number")
# Fields of a spec that stand in the details of a pipeline and of a job.
_DETAILS = (
    "transform", "parallelism_spec", "egress", "service", "spout", "resource_requests", "resource_limits",
    "sidecar_resource_limits", "sidecar_resource_requests", "input", "datum_set_spec", "datum_timeout", "job_timeout",
    "datum_tries", "scheduling_spec", "pod_spec", "pod_patch",
)  # fmt: skip
_PIPELINE_DETAILS = (
    "description", "s3_out", "metadata", "reprocess_spec", "autoscaling", "tolerations", "determined",
    "maximum_expected_uptime",
)  # fmt: skip


def pipeline_ref(name: str) -> Message:
    """Name a pipeline."""
    return {"project": PROJECT, "name": name}


def job_ref(pipeline: str, id_: str) -> Message:
    """Name a job."""
    return {"pipeline": pipeline_ref(pipeline), "id": id_}


def pipeline_message(pipeline: "Pipeline", spec: "PipelineSpec", last_job: "Job | None", state: str) -> Message:
    """Describe a pipeline (PipelineInfo)."""
    fields = json.loads(spec.text)
    return filled(
        pipeline=pipeline_ref(pipeline.name),
        version=int64(pipeline.version),
        stopped=pipeline.stopped,
        state=f"PIPELINE_{state.upper()}",
        last_job_state=JOB_STATES[last_job.state] if last_job else None,
        parallelism=int64(spec.workers),
        type="PIPELINE_TYPE_TRANSFORM",
        details=filled(
            **_details(fields, (*_DETAILS, *_PIPELINE_DETAILS)),
            created_at=timestamp(pipeline.created),
            output_branch=spec.output_branch,
            salt=spec.salt,
        ),
        user_spec_json=spec.text,
        effective_spec_json=spec.text,
    )


def job_message(job: "Job", spec: "PipelineSpec | None" = None, *, process_seconds: float | None = None) -> Message:
    """Describe a job (JobInfo); with its spec, in detail."""
    counts = job.counts
    return filled(
        job=job_ref(job.pipeline, job.id),
        pipeline_version=int64(job.version),
        output_commit=commit_ref(job.pipeline, job.id, spec.output_branch if spec else None),
        data_processed=int64(counts.processed),
        data_skipped=int64(counts.skipped),
        data_total=int64(counts.total),
        data_failed=int64(counts.failed),
        data_recovered=int64(counts.recovered),
        stats=_stats(process_seconds, job.downloaded, job.uploaded),
        state=JOB_STATES[job.state],
        reason=job.reason,
        created=timestamp(job.created),
        started=timestamp(job.started),
        finished=timestamp(job.finished),
        details=filled(**_details(json.loads(spec.text), _DETAILS), salt=spec.salt) if spec else None,
    )


def job_set_message(id_: str, jobs: Iterable[Message]) -> Message:
    """Describe the jobs that one change made (JobSetInfo)."""
    return {"job_set": {"id": id_}, "jobs": list(jobs)}


def datum_message(datum: "DatumRecord", pipeline: str, job: str) -> Message:
    """Describe a datum of a job (DatumInfo)."""
    return filled(
        datum={"job": job_ref(pipeline, job), "id": datum.id},
        state=DATUM_STATES.get(datum.state),
        stats=_stats(datum.seconds, datum.downloaded, datum.uploaded),
        data=_data(datum.files),
    )


def preview_message(id_: str, files: Iterable[tuple[str, str, str, str]]) -> Message:
    """Describe a datum that a spec would have (DatumInfo without a job)."""
    return filled(datum={"id": id_}, data=_data(files))


def log_message(job: "Job", datum: "DatumRecord", line: str) -> Message:
    """Describe one line that a program wrote (LogMessage)."""
    return filled(
        project_name=PROJECT["name"],
        pipeline_name=job.pipeline,
        job_id=datum.ran_in,
        datum_id=datum.id,
        data=[{"path": path} for _, _, _, path in datum.files],
        user=True,
        message=line,
    )


def _data(files: Iterable[tuple[str, str, str, str]]) -> list[Message]:
    return [
        {
            "file": {"commit": filled(repo=repo_ref(repo), id=commit), "path": path},
            "file_type": "DIR" if path.endswith("/") else "FILE",
        }
        for _, repo, commit, path in files
    ]


def _stats(process_seconds: float | None, downloaded: int, uploaded: int) -> Message:
    return filled(process_time=seconds(process_seconds), download_bytes=int64(downloaded), upload_bytes=int64(uploaded))


def _details(fields: dict[str, Any], names: Iterable[str]) -> Message:
    details = {name: _spec_value(fields[name], name) for name in names if name in fields}
    if "input" in details:
        details["input"] = input_message(details["input"])
    return details


def input_message(node: dict[str, Any]) -> Message:
    """Fill in what an input of a spec leaves to the cluster: project, branch, name."""
    ((kind, value),) = node.items()
    if kind == "pfs":
        names = {"project": PROJECT["name"], "name": value["repo"], "repo_type": "user", "branch": "master"}
        return {"pfs": {**names, **value}}
    if kind == "cron":
        return {"cron": {"project": PROJECT["name"], **value}}
    return {kind: [input_message(member) for member in value]}


def _spec_value(value: Any, name: str) -> Any:
    """Write the integers of a spec as protobuf does."""
    if isinstance(value, dict):
        return {key: _spec_value(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_spec_value(inner, name) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and name in _INT64:
        return str(value)
    return value
