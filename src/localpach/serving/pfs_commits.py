"""The calls about commits and commit sets."""

from collections.abc import Iterator
from typing import Any

from localpach.actions import describe, history, repos
from localpach.actions.message import commit_ref
from localpach.errors import NotFoundError
from localpach.serving.call import Call
from localpach.serving.refs import branch_of, commit_address, repo_name
from localpach.serving.wire import Empty, Method, filled, pfs
from localpach.storage.store import Commit


def start_commit(call: Call, request: Any) -> Any:
    """Open a commit."""
    repo, branch = branch_of(request.branch)
    parent = request.parent
    above = commit_address(parent) if parent.id or parent.branch.name else None
    commit = repos.start_commit(call.store, repo, branch, request.description, parent=above)
    return filled(pfs.Commit, commit_ref(commit.repo, commit.id, commit.branch))


def finish_commit(call: Call, request: Any) -> Any:
    """Close a commit."""
    address = commit_address(request.commit)
    repos.finish_commit(call.store, address, description=request.description, error=request.error or None)
    return Empty()


def inspect_commit(call: Call, request: Any) -> Any:
    """Describe a commit, once it has come as far as the client waits for."""
    commit = repos.find_commit(call.store, commit_address(request.commit))
    return _info(call, call.wait_for(lambda: _arrived(call, commit, request.wait)), in_detail=True)


def _info(call: Call, commit: Commit, *, in_detail: bool = False) -> Any:
    return filled(pfs.CommitInfo, describe.commit(call.store, commit, in_detail=in_detail))


def _arrived(call: Call, commit: Commit, state: int) -> Commit | None:
    """Give a commit as it is now, if it has reached a state."""
    now = call.store.commit(commit.repo, commit.id)
    if now is None:
        raise NotFoundError("commit", f"{commit.repo}@{commit.id}", "it was deleted")
    if now.finished is not None or state in (pfs.CommitState.COMMIT_STATE_UNKNOWN, pfs.CommitState.STARTED):
        return now
    if state == pfs.CommitState.READY:
        above = call.store.provenance(commit.repo, commit.id).items()
        found = [call.store.commit(repo, id_) for (repo, _), id_ in above]
        return now if all(each is None or each.finished is not None for each in found) else None
    return None


def list_commit(call: Call, request: Any) -> Iterator[Any]:
    """List commits, newest first: all, those of a repo, or those from one back to another."""
    store = call.store
    repo = repo_name(request.repo) if request.repo.name else None
    if repo is not None:
        store.repo(repo)
    stop = repos.find_commit(store, commit_address(request.from_)) if _is_named(request.from_) else None
    if _is_named(request.to):
        line = repos.ancestry(store, repos.find_commit(store, commit_address(request.to)))
    else:
        line = store.commits(repo)
    if stop is not None:
        line = line[: next((n for n, each in enumerate(line) if each.id == stop.id), len(line))]
    found = [each for each in line if request.origin_kind in (0, pfs.OriginKind.from_string(each.origin))]
    if request.reverse:
        found.reverse()
    for each in found[: request.number or None]:
        yield _info(call, each)


def _is_named(commit: Any) -> bool:
    return bool(commit.id or commit.branch.name)


def subscribe_commit(call: Call, request: Any) -> Iterator[Any]:
    """Give the commits of a repo or branch one after the other, oldest first, until the client leaves."""
    store = call.store
    repo = repo_name(request.repo)
    store.repo(repo)
    known: set[str] = set()
    if _is_named(request.from_):
        last = repos.find_commit(store, commit_address(request.from_))
        known = {each.id for each in repos.ancestry(store, last)}

    def wanted(each: Commit) -> bool:
        kinds = (0, pfs.OriginKind.from_string(each.origin))
        return each.id not in known and request.branch in ("", each.branch) and request.origin_kind in kinds

    def fresh() -> list[Commit] | None:
        return [each for each in reversed(store.commits(repo)) if wanted(each)] or None

    while True:
        for each in call.wait_for(fresh):
            known.add(each.id)
            yield _info(call, _awaited(call, each, request.state))


def _awaited(call: Call, commit: Commit, state: int) -> Commit:
    return call.wait_for(lambda: _arrived(call, commit, state))


def inspect_commit_set(call: Call, request: Any) -> Iterator[Any]:
    """Give the commits of a set, those above first, each once it is finished if the client waits."""
    id_ = request.commit_set.id
    found = call.store.commit_set(id_)
    if not found:
        raise NotFoundError("commit set", id_)
    state = pfs.CommitState.FINISHED if request.wait else pfs.CommitState.STARTED
    for each in reversed(found):
        yield _info(call, _awaited(call, each, state), in_detail=True)


def list_commit_set(call: Call, _request: Any) -> Iterator[Any]:
    """List the commit sets, newest first."""
    for id_ in dict.fromkeys(commit.id for commit in call.store.commits()):
        infos = [_info(call, each) for each in reversed(call.store.commit_set(id_))]
        yield pfs.CommitSetInfo(commit_set=pfs.CommitSet(id=id_), commits=infos)


def squash_commit_set(call: Call, request: Any) -> Any:
    """Take a set out of the middle of the history."""
    history.squash_commit_set(call.store, request.commit_set.id)
    return Empty()


def drop_commit_set(call: Call, request: Any) -> Any:
    """Take a set off the end of the history."""
    history.delete_commit_set(call.store, request.commit_set.id)
    return Empty()


METHODS = {
    "StartCommit": Method(start_commit, pfs.StartCommitRequest),
    "FinishCommit": Method(finish_commit, pfs.FinishCommitRequest),
    "InspectCommit": Method(inspect_commit, pfs.InspectCommitRequest),
    "ListCommit": Method(list_commit, pfs.ListCommitRequest, streams_out=True),
    "SubscribeCommit": Method(subscribe_commit, pfs.SubscribeCommitRequest, streams_out=True),
    "InspectCommitSet": Method(inspect_commit_set, pfs.InspectCommitSetRequest, streams_out=True),
    "ListCommitSet": Method(list_commit_set, pfs.ListCommitSetRequest, streams_out=True),
    "SquashCommitSet": Method(squash_commit_set, pfs.SquashCommitSetRequest),
    "DropCommitSet": Method(drop_commit_set, pfs.DropCommitSetRequest),
}
