"""The SDK's messages for our plain values, and back. Repos are those of the project `default`, as in the specs."""

import datetime
from typing import Any

from pachyderm_sdk.api import pfs, pps

from ambient.deployment.state import Commit, Job

CREATE_PIPELINE_REQUEST: type = pps.CreatePipelineRequest


def repo_of(name: str) -> Any:
    """Name a repo."""
    return pfs.Repo.from_uri(name)


def pipeline_of(name: str) -> Any:
    """Name a pipeline."""
    return pps.Pipeline(name=name, project=pfs.Project(name="default"))


def job_of(job: Job) -> Any:
    """Name a job."""
    return pps.Job(pipeline=pipeline_of(job.pipeline), id=job.id)


def commit_of(repo: str, commit_id: str) -> Any:
    """Name a commit."""
    # Both places of the repo: servers before 2.7 read it from the branch.
    return pfs.Commit(repo=repo_of(repo), branch=pfs.Branch(repo=repo_of(repo)), id=commit_id)


def to_commit(repo: str, info: Any) -> Commit:
    """Read what a cluster says about a commit."""
    finishing, finished = _time(info.finishing), _time(info.finished)
    return Commit(
        repo=repo,
        id=info.commit.id,
        is_open=finishing is None and finished is None,
        is_finished=finished is not None,
        error=info.error,
        description=info.description,
        parent=info.parent_commit.id if info.parent_commit else "",
    )


def to_job(info: Any) -> Job:
    """Read what a cluster says about a job."""
    started, finished = _time(info.started), _time(info.finished)
    return Job(
        pipeline=info.job.pipeline.name,
        id=info.job.id,
        state=word(pps.JobState, info.state, "JOB_"),
        reason=info.reason,
        processed=info.data_processed,
        skipped=info.data_skipped,
        failed=info.data_failed,
        recovered=info.data_recovered,
        total=info.data_total,
        created=_time(info.created),
        seconds=(finished - started).total_seconds() if started and finished else None,
    )


def _time(value: datetime.datetime | None) -> datetime.datetime | None:
    """Return a time, or None where the message leaves it out: betterproto then gives the epoch."""
    return value if value is not None and value.year > 1970 else None


def word(states: Any, number: int, prefix: str) -> str:
    """Return the name of a state; one that this SDK does not know stays a number."""
    return next((state.name.removeprefix(prefix) for state in states if state == number), str(number))
