"""Repos and pipelines of a cluster."""

import json
from typing import Any

from pachyderm_sdk.api import pps

from ambient.deployment.field_names import snake_case
from ambient.deployment.pachd.connection import Connection
from ambient.deployment.pachd.messages import pipeline_of, repo_of, word


class Repos:
    """The repos of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pfs = connection.client.pfs

    def description(self, repo: str) -> str | None:
        """Return the description of a repo, or None where there is no such repo."""
        info = self._connection.or_none(f"looking for repo {repo}", lambda: self._pfs.inspect_repo(repo=repo_of(repo)))
        return None if info is None else str(info.description)

    def create(self, repo: str, description: str) -> None:
        """Create a repo."""
        self._connection.once(
            f"creating repo {repo}",
            lambda: self._pfs.create_repo(repo=repo_of(repo), description=description),
            "ALREADY_EXISTS",
        )

    def delete(self, repo: str) -> None:
        """Delete a repo with everything in it."""
        self._connection.once(f"deleting repo {repo}", lambda: self._pfs.delete_repo(repo=repo_of(repo)), "NOT_FOUND")


class Pipelines:
    """The pipelines of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pps = connection.client.pps

    def state(self, pipeline: str) -> tuple[str, str] | None:
        """Return state and reason of a pipeline, or None where there is no such pipeline."""
        info = self._connection.or_none(
            f"looking for pipeline {pipeline}",
            lambda: self._pps.inspect_pipeline(pipeline=pipeline_of(pipeline)),
        )
        return None if info is None else (word(pps.PipelineState, info.state, "PIPELINE_"), str(info.reason))

    def create(self, spec: dict[str, Any], name: str, *, update: bool, reprocess: bool) -> None:
        """Create a pipeline, or update it; servers from 2.8 on get the JSON as it is and check it themselves."""
        what = f"{'updating' if update else 'creating'} pipeline {name}"
        text = json.dumps(spec, ensure_ascii=False)
        if self._connection.version >= (2, 8):
            self._connection.once(
                what,
                lambda: self._pps.create_pipeline_v2(
                    create_pipeline_request_json=text, update=update, reprocess=reprocess
                ),
                "ALREADY_EXISTS",
            )
            return
        request = pps.CreatePipelineRequest().from_json(text)
        fields = {key: getattr(request, key) for key in snake_case(spec)}
        self._connection.once(
            what,
            lambda: self._pps.create_pipeline(**fields, update=update, reprocess=reprocess),
            "ALREADY_EXISTS",
        )

    def delete(self, pipeline: str) -> None:
        """Delete a pipeline with its jobs and its output repo."""
        self._connection.once(
            f"deleting pipeline {pipeline}",
            lambda: self._pps.delete_pipeline(pipeline=pipeline_of(pipeline)),
            "NOT_FOUND",
        )
