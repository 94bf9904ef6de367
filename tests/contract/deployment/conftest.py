"""A stand-in for pachd: real gRPC on a loopback port, the SDK's own messages, state in memory, failures on request.

It keeps to what Pachyderm does where our program depends on it: one open commit a branch, files visible in open
commits, jobs of a set made when its commit starts and run when it is closed, errors by their gRPC codes. Jobs do no
work; a test says how they end.
"""

import datetime
import json
import threading
import time
import uuid
from concurrent import futures
from dataclasses import dataclass, field

import betterproto
import betterproto.lib.google.protobuf as google
import grpc
import pytest
from pachyderm_sdk.api import pfs, pps, version

from ambient.deployment.pachd import Pachd, connect
from ambient.deployment.retry import Retry

NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
# method -> (service, kind, request class); kind: unary or stream, first of the request, then of the answer
METHODS = {
    "GetVersion": ("versionpb_v2.API", "unary_unary", google.Empty),
    "CreateRepo": ("pfs_v2.API", "unary_unary", pfs.CreateRepoRequest),
    "InspectRepo": ("pfs_v2.API", "unary_unary", pfs.InspectRepoRequest),
    "DeleteRepo": ("pfs_v2.API", "unary_unary", pfs.DeleteRepoRequest),
    "StartCommit": ("pfs_v2.API", "unary_unary", pfs.StartCommitRequest),
    "FinishCommit": ("pfs_v2.API", "unary_unary", pfs.FinishCommitRequest),
    "InspectCommit": ("pfs_v2.API", "unary_unary", pfs.InspectCommitRequest),
    "ListCommit": ("pfs_v2.API", "unary_stream", pfs.ListCommitRequest),
    "DropCommitSet": ("pfs_v2.API", "unary_unary", pfs.DropCommitSetRequest),
    "ModifyFile": ("pfs_v2.API", "stream_unary", pfs.ModifyFileRequest),
    "WalkFile": ("pfs_v2.API", "unary_stream", pfs.WalkFileRequest),
    "GetFile": ("pfs_v2.API", "unary_stream", pfs.GetFileRequest),
    "CreatePipeline": ("pps_v2.API", "unary_unary", pps.CreatePipelineRequest),
    "CreatePipelineV2": ("pps_v2.API", "unary_unary", pps.CreatePipelineV2Request),
    "InspectPipeline": ("pps_v2.API", "unary_unary", pps.InspectPipelineRequest),
    "DeletePipeline": ("pps_v2.API", "unary_unary", pps.DeletePipelineRequest),
    "InspectJobSet": ("pps_v2.API", "unary_stream", pps.InspectJobSetRequest),
    "ListJob": ("pps_v2.API", "unary_stream", pps.ListJobRequest),
    "ListDatum": ("pps_v2.API", "unary_stream", pps.ListDatumRequest),
    "GetLogs": ("pps_v2.API", "unary_stream", pps.GetLogsRequest),
}


class RefusalError(Exception):
    """An answer with a gRPC status instead of a message."""

    def __init__(self, code, details):
        super().__init__(details)
        self.code = getattr(grpc.StatusCode, code)


@dataclass
class StoredCommit:
    """A commit of one repo and what it holds."""

    repo: str
    id: str
    parent: str
    description: str
    files: dict = field(default_factory=dict)
    closed: bool = False
    error: str = ""


@dataclass
class Fault:
    """What goes wrong: a code instead of an answer, or after some messages of a stream; a number of times."""

    code: str
    details: str
    times: int
    after_messages: int
    after_effect: bool


class StandIn:
    """The state of the stand-in and its server; `calls` lists the methods in the order they came."""

    def __init__(self):
        self.version = (2, 11, 6)
        self.token = None
        self.codes_in_words_only = False  # as some of pachd's own refusals come
        self.repos, self.branches, self.commits, self.pipelines = {}, {}, {}, {}
        self.jobs = {}  # job set ID -> list of pps.JobInfo, changed by tests
        self.datums = {}  # (pipeline, job set ID) -> list of pps.DatumInfo
        self.logs = {}  # datum ID -> list of lines
        self.calls, self.faults = [], {}
        self.on_poll = lambda: None  # called at each InspectJobSet, so that a test can let time pass
        self.chunk_bytes, self.chunk_pause_s = 10, 0.0
        self.port = 0
        self.server = None

    @property
    def address(self):
        return f"grpc://127.0.0.1:{self.port}"

    def start(self):
        self.server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        services = {}
        for name, (service, kind, request) in METHODS.items():
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            handler = make(
                self._handler(name, kind), request_deserializer=request.FromString, response_serializer=bytes
            )
            services.setdefault(service, {})[name] = handler
        for service, handlers in services.items():
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def stop(self):
        self.server.stop(0).wait()

    def goes_away_for(self, seconds):
        """Break every connection now, and come back on the same port with the same state."""
        self.stop()
        threading.Timer(seconds, self.start).start()

    def fail(self, method, code="UNAVAILABLE", details="injected", *, times=1, after_messages=0, after_effect=False):
        """Let a method fail: at once, after some messages of its stream, or after having done its work."""
        self.faults[method] = Fault(code, details, times, after_messages, after_effect)

    def _handler(self, name, kind):
        def handle(request, context):
            self.calls.append(name)
            try:
                if self.token is not None and dict(context.invocation_metadata()).get("authn-token") != self.token:
                    raise RefusalError("UNAUTHENTICATED", "provided auth token is corrupted or has expired")
                fault = self._due(name)
                if fault and not fault.after_effect and not fault.after_messages:
                    raise RefusalError(fault.code, fault.details)
                if kind.startswith("stream") and fault and fault.after_messages:
                    request = broken(request, fault)
                answer = getattr(self, name)(request)
                if fault and fault.after_effect:
                    raise RefusalError(fault.code, fault.details)
                return answer
            except RefusalError as refusal:
                self._refuse(context, refusal)

        def stream(request, context):
            self.calls.append(name)
            try:
                fault = self._due(name)
                messages = getattr(self, name)(request)
                yield from broken(messages, fault) if fault else messages
            except RefusalError as refusal:
                self._refuse(context, refusal)

        def broken(messages, fault):
            for number, message in enumerate(messages):
                if number == fault.after_messages:
                    raise RefusalError(fault.code, fault.details)
                yield message

        return stream if kind.endswith("stream") else handle

    def _refuse(self, context, refusal):
        said = refusal.code.name.replace("_", " ").lower()
        worded = self.codes_in_words_only and said in str(refusal)
        context.abort(grpc.StatusCode.UNKNOWN if worded else refusal.code, str(refusal))

    def _due(self, name):
        fault = self.faults.get(name)
        if fault is None or fault.times == 0:
            return None
        fault.times -= 1
        return fault

    # -- what a test asks for

    def held(self, repo):
        """Return what the newest closed commit of a repo holds."""
        closed = [commit for commit in self.commits[repo] if commit.closed]
        return closed[-1].files if closed else {}

    def add_commit(self, repo, files=(), *, closed=True, error="", description=""):
        """Put a commit on `master` as somebody else would."""
        parents = self.commits.setdefault(repo, [])
        self.repos.setdefault(repo, "")
        parent = parents[-1].id if parents else ""
        commit = StoredCommit(repo, uuid.uuid4().hex, parent, description, dict(files), closed, error)
        parents.append(commit)
        return commit

    def add_job(self, pipeline, state, *, job_set="5" * 32, reason="", counts=(1, 0, 0, 0)):
        """Put a job into a set; counts are processed, skipped, failed, recovered."""
        processed, skipped, failed, recovered = counts
        ended = state in ("SUCCESS", "FAILURE", "KILLED", "UNRUNNABLE")
        job = pps.JobInfo(
            job=pps.Job(pipeline=pps.Pipeline(name=pipeline, project=pfs.Project(name="default")), id=job_set),
            state=pps.JobState.from_string(f"JOB_{state}"),
            reason=reason,
            data_processed=processed,
            data_skipped=skipped,
            data_failed=failed,
            data_recovered=recovered,
            data_total=sum(counts),
            created=NOW,
            started=NOW,
        )
        if ended:
            job.finished = NOW + datetime.timedelta(seconds=12)
        self.jobs.setdefault(job_set, []).append(job)
        self.pipelines.setdefault(pipeline, pps.PipelineState.PIPELINE_RUNNING)
        return job

    def add_datum(self, pipeline, path, state, lines, job_set="5" * 32):
        """Put a datum into a job, with what its program wrote."""
        datum_id = uuid.uuid4().hex
        info = pps.DatumInfo(
            datum=pps.Datum(job=pps.Job(pipeline=pps.Pipeline(name=pipeline), id=job_set), id=datum_id),
            state=pps.DatumState.from_string(state),
            data=[pfs.FileInfo(file=pfs.File(path=path))],
        )
        self.datums.setdefault((pipeline, job_set), []).append(info)
        self.logs[datum_id] = lines

    # -- the services

    def GetVersion(self, request):
        return version.Version(*self.version)

    def CreateRepo(self, request):
        if request.repo.name in self.repos:
            raise RefusalError("ALREADY_EXISTS", f"repo {request.repo.name} already exists")
        self.repos[request.repo.name] = request.description
        self.commits[request.repo.name] = []
        return google.Empty()

    def InspectRepo(self, request):
        self._known(request.repo.name)
        return pfs.RepoInfo(repo=request.repo, description=self.repos[request.repo.name])

    def DeleteRepo(self, request):
        self._known(request.repo.name)
        del self.repos[request.repo.name], self.commits[request.repo.name]
        return pfs.DeleteRepoResponse(deleted=True)

    def StartCommit(self, request):
        repo = request.branch.repo.name
        self._known(repo)
        commits = self.commits[repo]
        if commits and not commits[-1].closed:
            raise RefusalError("UNKNOWN", f"parent commit {repo}@{commits[-1].id} has not been finished")
        commit = self.add_commit(repo, commits[-1].files if commits else {}, closed=False)
        commit.description = request.description
        return pfs.Commit(repo=request.branch.repo, branch=request.branch, id=commit.id)

    def FinishCommit(self, request):
        commit = self._commit(request.commit)
        if commit.closed:
            raise RefusalError("UNKNOWN", f"commit {commit.id} has already been finished")
        commit.closed = True
        return google.Empty()

    def InspectCommit(self, request):
        return self._info(self._commit(request.commit))

    def ListCommit(self, request):
        self._known(request.repo.name)
        for commit in list(reversed(self.commits[request.repo.name]))[: request.number or None]:
            yield self._info(commit)

    def DropCommitSet(self, request):
        for commits in self.commits.values():
            commits[:] = [commit for commit in commits if commit.id != request.commit_set.id]
        return google.Empty()

    def ModifyFile(self, requests):
        commit, changed = None, {}
        for request in requests:
            kind, value = betterproto.which_one_of(request, "body")
            if kind == "set_commit":
                commit = self._commit(value)
                if commit.closed:
                    raise RefusalError("UNKNOWN", f"commit {commit.id} is finished")
                changed = dict(commit.files)
            elif kind == "delete_file":
                changed.pop(value.path, None)
            else:
                changed[value.path] = changed.get(value.path, b"") + (value.raw or b"")
        commit.files = changed  # a stream that breaks changes nothing
        return google.Empty()

    def WalkFile(self, request):
        commit = self._commit(request.file.commit)
        if not commit.files:
            raise RefusalError("NOT_FOUND", f"file / not found in repo {commit.repo} at commit {commit.id}")
        yield pfs.FileInfo(file=pfs.File(path="/"), file_type=pfs.FileType.DIR)
        for path, content in sorted(commit.files.items()):
            yield pfs.FileInfo(file=pfs.File(path=path), file_type=pfs.FileType.FILE, size_bytes=len(content))

    def GetFile(self, request):
        content = self._commit(request.file.commit).files[request.file.path][request.offset :]
        for start in range(0, len(content), self.chunk_bytes):
            time.sleep(self.chunk_pause_s)
            yield google.BytesValue(value=content[start : start + self.chunk_bytes])

    def CreatePipeline(self, request):
        return self._create(json.loads(request.to_json()), request.update)

    def CreatePipelineV2(self, request):
        if self.version < (2, 8):
            raise RefusalError("UNIMPLEMENTED", "unknown method CreatePipelineV2 for service pps_v2.API")
        self._create(json.loads(request.create_pipeline_request_json), request.update, request.reprocess)
        return pps.CreatePipelineV2Response()

    def _create(self, spec, update, reprocess=False):
        name = spec["pipeline"]["name"]
        if name in self.pipelines and not update:
            raise RefusalError("ALREADY_EXISTS", f"pipeline {name} already exists")
        missing = {repo for repo in inputs_of(spec["input"]) if repo not in self.repos}
        if missing:
            raise RefusalError("NOT_FOUND", f"repo {missing} not found")
        self.pipelines[name] = pps.PipelineState.PIPELINE_RUNNING
        self.repos.setdefault(name, f"Output repo for pipeline {name}.")
        self.commits.setdefault(name, [])
        self.specs = {**getattr(self, "specs", {}), name: spec}
        self.reprocessed = [*getattr(self, "reprocessed", []), *([name] if reprocess else [])]
        return google.Empty()

    def InspectPipeline(self, request):
        name = request.pipeline.name
        if name not in self.pipelines:
            raise RefusalError("NOT_FOUND", f"pipeline {name} not found")
        reason = getattr(self, "pipeline_reason", "")
        return pps.PipelineInfo(pipeline=request.pipeline, state=self.pipelines[name], reason=reason)

    def DeletePipeline(self, request):
        name = request.pipeline.name
        if name not in self.pipelines:
            raise RefusalError("NOT_FOUND", f"pipeline {name} not found")
        del self.pipelines[name], self.repos[name], self.commits[name]
        return google.Empty()

    def InspectJobSet(self, request):
        self.on_poll()
        yield from self.jobs.get(request.job_set.id, [])

    def ListJob(self, request):
        found = [job for jobs in self.jobs.values() for job in jobs if job.job.pipeline.name == request.pipeline.name]
        yield from found[-1:]

    def ListDatum(self, request):
        wanted = request.filter.state
        for info in self.datums.get((request.job.pipeline.name, request.job.id), []):
            if info.state in wanted:
                yield info

    def GetLogs(self, request):
        for text in self.logs[request.datum.id][-(request.tail or 0) :]:
            yield pps.LogMessage(message=text + "\n", user=True)

    def _known(self, repo):
        if repo not in self.repos:
            raise RefusalError("NOT_FOUND", f"repo {repo} not found")

    def _commit(self, commit):
        repo = (commit.repo or commit.branch.repo).name
        self._known(repo)
        if not self.commits[repo]:
            raise RefusalError("NOT_FOUND", f"branch master not found in repo {repo}")
        if not commit.id:
            return self.commits[repo][-1]
        for stored in self.commits[repo]:
            if stored.id == commit.id:
                return stored
        raise RefusalError("NOT_FOUND", f"commit {commit.id} not found in repo {repo}")

    def _info(self, commit):
        repo = pfs.Repo(name=commit.repo)
        info = pfs.CommitInfo(
            commit=pfs.Commit(repo=repo, branch=pfs.Branch(repo=repo, name="master"), id=commit.id),
            description=commit.description,
            error=commit.error,
            started=NOW,
        )
        if commit.parent:
            info.parent_commit = pfs.Commit(repo=repo, id=commit.parent)
        if commit.closed:
            info.finishing = info.finished = NOW
        return info


def inputs_of(node):
    if node.get("pfs"):
        return {node["pfs"]["repo"]}
    return {
        repo
        for kind in ("cross", "union", "join", "group")
        for each in node.get(kind) or []
        for repo in inputs_of(each)
    }


@pytest.fixture
def server():
    """Start the stand-in on a free port of the loopback interface."""
    stand_in = StandIn()
    stand_in.start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def reported():
    """Collect the lines that a person would read."""
    return []


@pytest.fixture
def pachd(server, reported) -> Pachd:
    """Connect the real client to the stand-in, with pauses that tests can wait for."""
    retry = Retry(tries=8, first_pause_s=0.05, longest_pause_s=0.3, report=reported.append)
    return connect(server.address, None, retry)


@pytest.fixture
def music(tmp_path):
    """Make a folder of three recordings with unruly names, and a text file."""
    folder = tmp_path / "music"
    (folder / "Live").mkdir(parents=True)
    (folder / "Sigur Rós (Remix)!.MP3").write_bytes(b"r" * 100)
    (folder / "a.wav").write_bytes(b"a" * 50)
    (folder / "Live" / "b.flac").write_bytes(b"b" * 30)
    (folder / "cover.txt").write_text("no song")
    return folder
