"""The one door to pachyderm-sdk: the few calls we make to a Pachyderm cluster, in plain values and one-line errors.

Every call is tried again while the cluster is away (`deployment.retry`) and is safe to repeat: what an earlier try
has done already counts as done. Repos are those of the project `default`, as in the specs.
"""

import datetime
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from deployment.errors import DeployError, NoClusterError, OldServerError, TokenRefusedError, WentAwayError
from deployment.field_names import snake_case
from deployment.retry import Retry, TransientError
from deployment.state import Commit, Datum, Job

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log lines would stand between ours
try:
    import grpc
    from pachyderm_sdk import Client, constants
    from pachyderm_sdk.api import pfs, pps
except ModuleNotFoundError as missing:
    raise DeployError(
        f"{missing.name}: not installed; expected pachyderm-sdk, to talk to a cluster. Run pip install '.[deploy]' "
        "or make test's environment, or work on this machine with --address localpach"
    ) from None

Result = TypeVar("Result")
CREATE_PIPELINE_REQUEST: type = pps.CreatePipelineRequest
NEWEST_TRIED = (2, 12)
# The SDK's callbacks raise in gRPC's threads, which logs what we report in one line anyway.
logging.getLogger("grpc").addHandler(logging.NullHandler())
# As pachctl does: notice within 40 s that the other side is gone, and come back soon when it is there again.
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_MESSAGE_BYTES = 2**20  # below the 4 MB that a gRPC server takes if nobody says otherwise; pachd takes 20
_PASSING = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "CANCELLED")


class Pachd:
    """A connection to a cluster.

    Args:
        client: The SDK's client.
        address: Where it is, for messages.
        retry: How long to try again.
    """

    def __init__(self, client: Client, address: str, retry: Retry) -> None:
        self._client = client
        self.address = address
        self.retry = retry
        self.version = (0, 0, 0)

    def _attempt(self, what: str, call: Callable[[], Result]) -> Result:
        """Make a call with retries, and describe its failure in our words."""

        def translated() -> Result:
            try:
                return call()
            except (grpc.RpcError, ConnectionError) as error:
                raise self._explained(what, error) from error

        try:
            return self.retry.call(what, translated)
        except TransientError as error:
            raise WentAwayError(self.address, what, str(error)) from error

    def _explained(self, what: str, error: Exception) -> Exception:
        code = error.code().name if isinstance(error, grpc.RpcError) else "UNAVAILABLE"
        details = " ".join(str(error.details() if isinstance(error, grpc.RpcError) else "no connection").split())
        broken = code in ("INTERNAL", "UNKNOWN") and ("RST_STREAM" in details or "transport" in details.lower())
        if code in _PASSING or broken:
            return TransientError(_shortened(details))
        if (
            code in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            or "not authorized to" in details
            or "auth token" in details
        ):
            return TokenRefusedError(self.address, _shortened(details))
        if code == "UNIMPLEMENTED":
            return OldServerError(self.address, f"{what}: the server does not know this call")
        return DeployError(f"{self.address}: {what}: {_shortened(details)}")

    # -- repos and pipelines

    def repo_description(self, repo: str) -> str | None:
        """Return the description of a repo, or None where there is no such repo."""
        info = self._or_none(f"looking for repo {repo}", lambda: self._client.pfs.inspect_repo(repo=_repo(repo)))
        return None if info is None else str(info.description)

    def create_repo(self, repo: str, description: str) -> None:
        """Create a repo."""
        self._once(
            f"creating repo {repo}",
            lambda: self._client.pfs.create_repo(repo=_repo(repo), description=description),
            "ALREADY_EXISTS",
        )

    def delete_repo(self, repo: str) -> None:
        """Delete a repo with everything in it."""
        self._once(f"deleting repo {repo}", lambda: self._client.pfs.delete_repo(repo=_repo(repo)), "NOT_FOUND")

    def pipeline_state(self, pipeline: str) -> tuple[str, str] | None:
        """Return state and reason of a pipeline, or None where there is no such pipeline."""
        info = self._or_none(
            f"looking for pipeline {pipeline}", lambda: self._client.pps.inspect_pipeline(pipeline=_pipeline(pipeline))
        )
        return None if info is None else (_word(pps.PipelineState, info.state, "PIPELINE_"), str(info.reason))

    def create_pipeline(self, spec: dict[str, Any], name: str, *, update: bool, reprocess: bool) -> None:
        """Create a pipeline, or update it; servers from 2.8 on get the JSON as it is and check it themselves."""
        what = f"{'updating' if update else 'creating'} pipeline {name}"
        text = json.dumps(spec, ensure_ascii=False)
        if self.version >= (2, 8):
            self._once(
                what,
                lambda: self._client.pps.create_pipeline_v2(
                    create_pipeline_request_json=text, update=update, reprocess=reprocess
                ),
                "ALREADY_EXISTS",
            )
            return
        request = pps.CreatePipelineRequest().from_json(text)
        fields = {key: getattr(request, key) for key in snake_case(spec)}
        self._once(
            what,
            lambda: self._client.pps.create_pipeline(**fields, update=update, reprocess=reprocess),
            "ALREADY_EXISTS",
        )

    def delete_pipeline(self, pipeline: str) -> None:
        """Delete a pipeline with its jobs and its output repo."""
        self._once(
            f"deleting pipeline {pipeline}",
            lambda: self._client.pps.delete_pipeline(pipeline=_pipeline(pipeline)),
            "NOT_FOUND",
        )

    # -- commits and files

    def head(self, repo: str, branch: str = "master") -> Commit | None:
        """Return the head commit of a branch, or None where there is none yet."""
        info = self._or_none(
            f"looking at {repo}@{branch}",
            lambda: self._client.pfs.inspect_commit(commit=pfs.Commit.from_uri(f"{repo}@{branch}")),
        )
        return None if info is None else _commit(repo, info)

    def commits(self, repo: str, number: int) -> list[Commit]:
        """Return the newest commits of a repo, newest first."""
        infos = self._attempt(
            f"listing the commits of {repo}",
            lambda: list(self._client.pfs.list_commit(repo=_repo(repo), number=number)),
        )
        return [_commit(repo, info) for info in infos]

    def start_commit(self, repo: str, description: str) -> Commit:
        """Start a commit on `master`; a try whose answer was lost is found by its description, which must be unique."""

        branch = pfs.Branch.from_uri(f"{repo}@master")

        def look() -> Any:
            return self._client.pfs.inspect_commit(commit=pfs.Commit.from_uri(f"{repo}@master"))

        def start() -> Commit:
            try:
                started = look().description == description
            except grpc.RpcError as error:
                started = False
                if not _is_not_found(error):
                    raise
            if not started:
                self._client.pfs.start_commit(branch=branch, description=description)
            return _commit(repo, look())

        return self._attempt(f"starting a commit in {repo}", start)

    def commit(self, repo: str, commit_id: str) -> Commit:
        """Look at a commit again."""
        info = self._attempt(
            f"looking at {repo}@{commit_id}",
            lambda: self._client.pfs.inspect_commit(commit=_commit_of(repo, commit_id)),
        )
        return _commit(repo, info)

    def finish_commit(self, repo: str, commit_id: str) -> None:
        """Close a commit, which starts what follows it."""

        def finish() -> None:
            if _commit(repo, self._client.pfs.inspect_commit(commit=_commit_of(repo, commit_id))).is_open:
                self._client.pfs.finish_commit(commit=_commit_of(repo, commit_id))

        self._attempt(f"finishing {repo}@{commit_id}", finish)

    def drop_commit(self, repo: str, commit_id: str) -> None:
        """Take an open commit back, and everything that waits for it."""
        self._once(
            f"dropping {repo}@{commit_id}",
            lambda: self._client.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit_id)),
            "NOT_FOUND",
        )

    def files(self, repo: str, commit_id: str) -> dict[str, int]:
        """Return what a commit holds: path without its first slash, and size in bytes."""

        def walk() -> dict[str, int]:
            root = pfs.File(commit=_commit_of(repo, commit_id), path="/")
            infos = self._client.pfs.walk_file(file=root)
            return {i.file.path.lstrip("/"): i.size_bytes for i in infos if i.file_type == pfs.FileType.FILE}

        try:
            return self._attempt(f"listing {repo}@{commit_id}", walk)
        except DeployError as error:
            if _is_not_found(error.__cause__):
                return {}  # an empty commit has no root
            raise

    def put_file(self, repo: str, commit_id: str, name: str, source: Path, moved: Callable[[int], None]) -> None:
        """Put one file into an open commit; what stood under its name is replaced.

        Args:
            repo: Its repo.
            commit_id: The open commit.
            name: The name in the repo.
            source: The file here.
            moved: Called with the bytes sent so far of this try.
        """

        def put() -> None:
            with source.open("rb") as stream:
                self._client.pfs.modify_file(_modifications(_commit_of(repo, commit_id), name, stream, moved))

        self._attempt(f"uploading {name}", put)

    def get_file(self, repo: str, commit_id: str, name: str, target: BinaryIO, moved: Callable[[int], None]) -> None:
        """Append a file's content to an open file; a broken download goes on where it stopped."""

        def get() -> None:
            file = pfs.File(commit=_commit_of(repo, commit_id), path=f"/{name}")
            for chunk in self._client.pfs.get_file(file=file, offset=target.tell()):
                target.write(chunk.value)
                moved(target.tell())

        self._attempt(f"downloading {name}", get)

    # -- jobs

    def newest_job(self, pipeline: str) -> Job | None:
        """Return the newest job of a pipeline, if it has one."""

        def newest() -> Job | None:
            infos = self._client.pps.list_job(pipeline=_pipeline(pipeline), number=1)
            return next((_job(info) for info in infos), None)

        return self._attempt(f"looking for jobs of {pipeline}", newest)

    def job_set(self, job_set_id: str) -> list[Job]:
        """Return all jobs of a set as they are now, upstream first."""
        return self._attempt(
            f"looking at job set {job_set_id}",
            lambda: [_job(i) for i in self._client.pps.inspect_job_set(job_set=pps.JobSet(id=job_set_id), wait=False)],
        )

    def datums(self, job: Job, state: str, most: int) -> list[Datum]:
        """Return some datums of a job that ended in a state (`FAILED`, `RECOVERED`)."""
        wanted = pps.ListDatumRequestFilter(state=[pps.DatumState.from_string(state)])

        def found() -> list[Datum]:
            infos = self._client.pps.list_datum(job=_job_of(job), filter=wanted)
            chosen = [
                info for info, _ in zip((i for i in infos if i.state == wanted.state[0]), range(most), strict=False)
            ]
            return [Datum(i.datum.id, tuple(each.file.path for each in i.data)) for i in chosen]

        return self._attempt(f"listing datums of {job.pipeline}", found)

    def log(self, job: Job, datum_id: str, lines: int) -> list[str]:
        """Return the last lines that a datum's program wrote; empty where the cluster keeps no logs."""
        datum = pps.Datum(job=_job_of(job), id=datum_id)
        try:
            messages = [m.message.rstrip() for m in self._client.pps.get_logs(datum=datum, tail=lines) if m.user]
        except (grpc.RpcError, ConnectionError):
            return []  # logs need Loki, which not every cluster has
        return messages[-lines:]

    # -- answers that mean "done already" or "not there"

    def _once(self, what: str, call: Callable[[], Any], done: str) -> None:
        """Make a call whose repetition the server refuses; only after a lost answer that refusal means success."""
        tries = 0

        def counted() -> None:
            nonlocal tries
            tries += 1
            try:
                call()
            except grpc.RpcError as error:
                if tries == 1 or not _says(error, done):
                    raise

        self._attempt(what, counted)

    def _or_none(self, what: str, call: Callable[[], Result]) -> Result | None:
        try:
            return self._attempt(what, call)
        except DeployError as error:
            if _is_not_found(error.__cause__):
                return None
            raise


def connect(address: str | None, config: Path | None, retry: Retry) -> Pachd:
    """Open a connection, and see that a Pachyderm of the right age answers.

    Args:
        address: `grpc://HOST:PORT`, `HOST:PORT` or `grpcs://…`; None takes the active context of `config`.
        config: pachctl's configuration file.
        retry: For the calls that follow; the first contact is made twice at most.

    Raises:
        NoClusterError: nothing answers, or not Pachyderm.
        OldServerError: it is older than the specs.
    """
    for option in _CHANNEL_OPTIONS:
        if option not in constants.GRPC_CHANNEL_OPTIONS:
            constants.GRPC_CHANNEL_OPTIONS.append(option)
    shown = address or f"the cluster of {config}"
    try:
        client = Client.from_pachd_address(address) if address else Client.from_config(config)
        shown = address or f"{client.address} (from {config})"
    except (grpc.RpcError, ConnectionError) as error:
        raise NoClusterError(shown, "no answer") from error
    except Exception as error:  # the SDK reads address and file with whatever they raise
        raise DeployError(f"{shown}: {error}; expected grpc://HOST:PORT. Correct the address") from error
    pachd = Pachd(client, shown, replace(retry, tries=2))
    try:
        version = pachd._attempt("asking for the version", client.get_version)
    except WentAwayError as error:
        raise NoClusterError(shown, f"no answer ({error.__cause__})") from error
    except OldServerError as error:
        raise NoClusterError(shown, "something answers that is not Pachyderm") from error
    pachd.version = (version.major, version.minor, version.micro)
    if pachd.version < (2, 6):
        raise OldServerError(shown, f"runs Pachyderm {'.'.join(map(str, pachd.version))}")
    pachd.retry = retry
    return pachd


def _modifications(commit: Any, name: str, stream: BinaryIO, moved: Callable[[int], None]) -> Iterator[Any]:
    """Yield the messages that replace a file: where, delete, add empty, add its bytes."""
    yield pfs.ModifyFileRequest(set_commit=commit)
    yield pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=f"/{name}"))
    yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{name}", raw=b""))
    sent = 0
    while data := stream.read(_MESSAGE_BYTES):
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{name}", raw=data))
        sent += len(data)
        moved(sent)


def _repo(name: str) -> Any:
    return pfs.Repo.from_uri(name)


def _pipeline(name: str) -> Any:
    return pps.Pipeline(name=name, project=pfs.Project(name="default"))


def _job_of(job: Job) -> Any:
    return pps.Job(pipeline=_pipeline(job.pipeline), id=job.id)


def _commit_of(repo: str, commit_id: str) -> Any:
    # Both places of the repo: servers before 2.7 read it from the branch.
    return pfs.Commit(repo=_repo(repo), branch=pfs.Branch(repo=_repo(repo)), id=commit_id)


def _commit(repo: str, info: Any) -> Commit:
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


def _job(info: Any) -> Job:
    started, finished = _time(info.started), _time(info.finished)
    return Job(
        pipeline=info.job.pipeline.name,
        id=info.job.id,
        state=_word(pps.JobState, info.state, "JOB_"),
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


def _word(states: Any, number: int, prefix: str) -> str:
    """Return the name of a state; one that this SDK does not know stays a number."""
    return next((state.name.removeprefix(prefix) for state in states if state == number), str(number))


def _is_not_found(error: BaseException | None) -> bool:
    return isinstance(error, grpc.RpcError) and _says(error, "NOT_FOUND")


def _says(error: Any, code: str) -> bool:
    """Whether an answer has a code; some of pachd's refusals have it in their words only."""
    name = error.code().name
    return bool(name == code or (name == "UNKNOWN" and code.replace("_", " ").lower() in str(error.details())))


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
