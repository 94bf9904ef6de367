"""The calls about pipelines and their secrets."""

import json
import time
from collections.abc import Iterator
from typing import Any

from localpach.actions import describe, pipelines
from localpach.actions.message import secret_message
from localpach.actions.timers import run_cron
from localpach.errors import SpecError
from localpach.running import secrets
from localpach.serving.call import Call
from localpach.serving.refs import PROJECT, pipeline_name
from localpach.serving.wire import Empty, Method, as_fields, filled, pfs, pps
from localpach.spec import spec
from localpach.storage.records import Pipeline, Records

_OF_THE_CALL = ("update", "reprocess", "dry_run", "spec_commit")  # fields of the request that are not the spec's
_ALL_VERSIONS = -1


def create_pipeline(call: Call, request: Any) -> Any:
    """Create or update a pipeline from a message, as clients before 2.8 do."""
    fields = as_fields(request)
    for name in _OF_THE_CALL:
        fields.pop(name, None)
    if "url" in fields.get("egress", {}):
        fields["egress"]["URL"] = fields["egress"].pop("url")  # as it is spelt in a spec
    _create(call, json.dumps(fields), update=request.update, reprocess=request.reprocess, dry_run=request.dry_run)
    return Empty()


def create_pipeline_v2(call: Call, request: Any) -> Any:
    """Create or update a pipeline from the JSON of its spec."""
    text = request.create_pipeline_request_json
    made = _create(call, text, update=request.update, reprocess=request.reprocess, dry_run=request.dry_run)
    return pps.CreatePipelineV2Response(effective_create_pipeline_request_json=made)


def create_in_transaction(call: Call, request: Any) -> None:
    """Create or update a pipeline as a part of a transaction."""
    flags = request.create_pipeline_request
    _create(call, request.user_json, update=flags.update, reprocess=flags.reprocess, dry_run=False)


def _create(call: Call, text: str, *, update: bool, reprocess: bool, dry_run: bool) -> str:
    found = spec.parse(text)
    if len(found) != 1:
        raise SpecError("$", f"expected one spec, found {len(found)}")
    with call.store.dry_run() if dry_run else call.store.transaction():
        if update:
            pipelines.update_pipelines(call.store, found, reprocess=reprocess)
        else:
            pipelines.create_pipelines(call.store, found)
    return found[0].text


def inspect_pipeline(call: Call, request: Any) -> Any:
    """Describe a pipeline."""
    found = Records(call.store).pipeline(pipeline_name(request.pipeline))
    return _info(call, found, in_detail=request.details)


def _info(call: Call, found: Pipeline, *, in_detail: bool) -> Any:
    fields = describe.pipeline(call.store, found)
    if not in_detail:
        fields.pop("details", None)
    return filled(pps.PipelineInfo, fields)


def list_pipeline(call: Call, request: Any) -> Iterator[Any]:
    """List pipelines, newest first, with earlier versions if they are asked for."""
    records = Records(call.store)
    if request.projects and PROJECT not in [each.name for each in request.projects]:
        return
    only = pipeline_name(request.pipeline) if request.pipeline.name else None
    if only is not None:
        records.pipeline(only)
    for each in records.pipelines():
        if only in (None, each.name):
            oldest = 1 if request.history == _ALL_VERSIONS else max(1, each.version - request.history)
            for version in range(each.version, oldest - 1, -1):
                old = Pipeline(each.name, version, each.stopped, each.created, each.salt)
                yield _info(call, old, in_detail=request.details)


def delete_pipeline(call: Call, request: Any) -> Any:
    """Delete a pipeline, or all."""
    if request.all:
        _delete_all(call, keep_repo=request.keep_repo)
    else:
        name = pipeline_name(request.pipeline)
        pipelines.delete_pipeline(call.store, name, force=request.force, keep_repo=request.keep_repo)
    return Empty()


def delete_pipelines(call: Call, request: Any) -> Any:
    """Delete all pipelines of some projects."""
    names = []
    if request.all or PROJECT in [each.name for each in request.projects]:
        names = _delete_all(call, keep_repo=request.keep_repo)
    project = pfs.Project(name=PROJECT)
    return pps.DeletePipelinesResponse(pipelines=[pps.Pipeline(name=name, project=project) for name in names])


def delete_all(call: Call, _request: Any) -> Any:
    """Delete all pipelines, as scripts do before they begin."""
    _delete_all(call, keep_repo=False)
    return Empty()


def _delete_all(call: Call, *, keep_repo: bool) -> list[str]:
    with call.store.transaction():
        names = [each.name for each in Records(call.store).pipelines()]
        for name in names:
            pipelines.delete_pipeline(call.store, name, force=True, keep_repo=keep_repo)
    return names


def start_pipeline(call: Call, request: Any) -> Any:
    """Start a stopped pipeline."""
    pipelines.start_pipeline(call.store, pipeline_name(request.pipeline))
    return Empty()


def stop_pipeline(call: Call, request: Any) -> Any:
    """Stop a pipeline."""
    pipelines.stop_pipeline(call.store, pipeline_name(request.pipeline))
    return Empty()


def rerun_pipeline(call: Call, request: Any) -> Any:
    """Run a pipeline once more over its inputs."""
    pipelines.rerun_pipeline(call.store, pipeline_name(request.pipeline), reprocess=request.reprocess)
    return Empty()


def make_tick(call: Call, request: Any) -> Any:
    """Make a tick of a pipeline's cron inputs now."""
    run_cron(call.store, pipeline_name(request.pipeline), time.time())
    return Empty()


def create_secret(call: Call, request: Any) -> Any:
    """Store a secret."""
    secrets.store_secret(call.store.folder, request.file, "the secret")
    return Empty()


def list_secret(call: Call, _request: Any) -> Any:
    """List the secrets, without their values."""
    found = secrets.list_secrets(call.store.folder)
    return pps.SecretInfos(secret_info=[filled(pps.SecretInfo, secret_message(each)) for each in found])


def inspect_secret(call: Call, request: Any) -> Any:
    """Describe a secret, without its values."""
    return filled(pps.SecretInfo, secret_message(secrets.secret(call.store.folder, request.secret.name)))


def delete_secret(call: Call, request: Any) -> Any:
    """Delete a secret."""
    secrets.delete_secret(call.store.folder, request.secret.name)
    return Empty()


METHODS = {
    "CreatePipeline": Method(create_pipeline, pps.CreatePipelineRequest),
    "CreatePipelineV2": Method(create_pipeline_v2, pps.CreatePipelineV2Request),
    "InspectPipeline": Method(inspect_pipeline, pps.InspectPipelineRequest),
    "ListPipeline": Method(list_pipeline, pps.ListPipelineRequest, streams_out=True),
    "DeletePipeline": Method(delete_pipeline, pps.DeletePipelineRequest),
    "DeletePipelines": Method(delete_pipelines, pps.DeletePipelinesRequest),
    "DeleteAll": Method(delete_all, Empty),
    "StartPipeline": Method(start_pipeline, pps.StartPipelineRequest),
    "StopPipeline": Method(stop_pipeline, pps.StopPipelineRequest),
    "RerunPipeline": Method(rerun_pipeline, pps.RerunPipelineRequest),
    "RunCron": Method(make_tick, pps.RunCronRequest),
    "CreateSecret": Method(create_secret, pps.CreateSecretRequest),
    "ListSecret": Method(list_secret, Empty),
    "InspectSecret": Method(inspect_secret, pps.InspectSecretRequest),
    "DeleteSecret": Method(delete_secret, pps.DeleteSecretRequest),
}
