"""The calls about transactions: changes that are made together, in one commit set, or not at all.

A client sends them all at once, or one by one under the ID of a transaction that it has started. Those are tried when
they come, so that an error is answered at once, and taken back; they are made when the transaction is finished.
"""

import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localpach.errors import NotFoundError, UnsupportedError
from localpach.planning.propagate import one_id
from localpach.serving import pfs_commits, pfs_repos, pps_jobs, pps_pipelines
from localpach.serving.call import Call
from localpach.serving.wire import Empty, Method, is_set, pfs, pps, transaction

METADATA = "pach-transaction"

_RUNS = {
    "create_repo": pfs_repos.create_repo,
    "delete_repo": pfs_repos.delete_repo,
    "start_commit": pfs_commits.start_commit,
    "finish_commit": pfs_commits.finish_commit,
    "squash_commit_set": pfs_commits.squash_commit_set,
    "create_branch": pfs_repos.create_branch,
    "delete_branch": pfs_repos.delete_branch,
    "stop_job": pps_jobs.stop_job,
}
# Methods that may stand in a transaction: the field that holds their request.
FIELDS = {
    "CreateRepo": "create_repo", "DeleteRepo": "delete_repo", "StartCommit": "start_commit",
    "FinishCommit": "finish_commit", "SquashCommitSet": "squash_commit_set", "CreateBranch": "create_branch",
    "DeleteBranch": "delete_branch", "StopJob": "stop_job", "CreatePipelineV2": "create_pipeline_v2",
}  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A transaction that a client has started."""

    started: datetime
    requests: list[Any] = field(default_factory=list)


class Transactions:
    """Those that are open; they end with the server, as nothing of them is in the state yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def methods(self) -> dict[str, Method]:
        """Give the methods of the service."""
        return {
            "BatchTransaction": Method(self.batch, transaction.BatchTransactionRequest),
            "StartTransaction": Method(self.start, transaction.StartTransactionRequest),
            "InspectTransaction": Method(self.inspect, transaction.InspectTransactionRequest),
            "ListTransaction": Method(self.list, transaction.ListTransactionRequest),
            "DeleteTransaction": Method(self.delete, transaction.DeleteTransactionRequest),
            "DeleteAll": Method(self.delete_all, transaction.DeleteAllRequest),
            "FinishTransaction": Method(self.finish, transaction.FinishTransactionRequest),
        }

    def batch(self, call: Call, request: Any) -> Any:
        """Make changes together."""
        id_ = uuid.uuid4().hex
        opened = _Open(datetime.now(UTC), list(request.requests))
        with call.store.transaction():
            answers = _run_all(call, id_, opened.requests)
        return _info(id_, opened, answers)

    def start(self, _call: Call, _request: Any) -> Any:
        """Begin a transaction."""
        id_ = uuid.uuid4().hex
        with self._lock:
            self._open[id_] = _Open(datetime.now(UTC))
        return transaction.Transaction(id=id_)

    def add(self, call: Call, id_: str, name: str, request: Any) -> Any:
        """Try one more change of a transaction, keep it for the end, and give its answer."""
        with self._lock:
            opened = self._find(id_)
            more = transaction.TransactionRequest()
            setattr(more, FIELDS[name], _wrapped(name, request))
            with call.store.dry_run():
                answers = _run_all(call, id_, [*opened.requests, more])
            opened.requests.append(more)
        return answers[-1].commit if name == "StartCommit" else Empty()

    def inspect(self, _call: Call, request: Any) -> Any:
        """Describe an open transaction."""
        with self._lock:
            return _info(request.transaction.id, self._find(request.transaction.id), [])

    def list(self, _call: Call, _request: Any) -> Any:
        """List the open transactions."""
        with self._lock:
            return transaction.TransactionInfos(
                transaction_info=[_info(id_, opened, []) for id_, opened in self._open.items()]
            )

    def delete(self, _call: Call, request: Any) -> Any:
        """Give a transaction up."""
        with self._lock:
            self._find(request.transaction.id)
            del self._open[request.transaction.id]
        return Empty()

    def delete_all(self, _call: Call, _request: Any) -> Any:
        """Give all transactions up."""
        with self._lock:
            self._open.clear()
        return Empty()

    def finish(self, call: Call, request: Any) -> Any:
        """Make the changes of a transaction."""
        id_ = request.transaction.id
        with self._lock:
            opened = self._find(id_)
            with call.store.transaction():
                answers = _run_all(call, id_, opened.requests)
            del self._open[id_]
        return _info(id_, opened, answers)

    def _find(self, id_: str) -> _Open:
        if id_ not in self._open:
            raise NotFoundError("transaction", id_, "it was finished, given up, or the server was started anew")
        return self._open[id_]


def _wrapped(name: str, request: Any) -> Any:
    """Give a request as it stands in a transaction; that of a pipeline has a form of its own there."""
    if name != "CreatePipelineV2":
        return request
    flags = pps.CreatePipelineRequest(update=request.update, reprocess=request.reprocess)
    return pps.CreatePipelineTransaction(user_json=request.create_pipeline_request_json, create_pipeline_request=flags)


def _run_all(call: Call, id_: str, requests: list[Any]) -> list[Any]:
    answers = []
    with one_id(id_):
        for each in requests:
            answers.append(_run(call, each))
    return answers


def _run(call: Call, request: Any) -> Any:
    for name, run in _RUNS.items():
        if is_set(getattr(request, name)):
            answer = run(call, getattr(request, name))
            return transaction.TransactionResponse(commit=answer if isinstance(answer, pfs.Commit) else None)
    if is_set(request.create_pipeline_v2):
        pps_pipelines.create_in_transaction(call, request.create_pipeline_v2)
        return transaction.TransactionResponse()
    raise UnsupportedError("this kind of change in a transaction", "make it by itself")


def _info(id_: str, opened: _Open, answers: list[Any]) -> Any:
    return transaction.TransactionInfo(
        transaction=transaction.Transaction(id=id_),
        requests=opened.requests,
        responses=answers,
        started=opened.started,
    )
