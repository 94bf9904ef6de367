"""Which commits and jobs does a change cause? One commit on each branch downstream, all under the ID of the change."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from localpach.planning.graph import Place, downstream
from localpach.storage.records import Records
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import add_meta_commit

_shared_id: ContextVar[str | None] = ContextVar("_shared_id", default=None)


def new_id() -> str:
    """Make the ID of a change: of its commits and its jobs."""
    return _shared_id.get() or uuid.uuid4().hex


@contextmanager
def one_id(id_: str) -> Iterator[None]:
    """Give all changes inside the block one ID, so that they are one commit set; they must be one transaction."""
    token = _shared_id.set(id_)
    try:
        yield
    finally:
        _shared_id.reset(token)


def propagate(store: Store, id_: str, moved: Iterable[Place], also: Iterable[Place] = ()) -> None:
    """Give every branch downstream of the moved ones a commit of this ID, and its pipeline a job.

    Args:
        store: Must be inside a transaction.
        id_: The ID of the change.
        moved: Branches whose head has moved.
        also: Branches that get a commit themselves, such as that of a new pipeline.
    """
    edges = store.edges()
    wanted = list(also)
    affected = set(downstream(edges, [*moved, *wanted])) | set(wanted)
    everywhere = downstream(edges, {(edge.up_repo, edge.up_branch) for edge in edges} | affected)
    in_order = [place for place in everywhere if place in affected] + [
        place for place in wanted if place not in everywhere
    ]
    for repo, branch in in_order:
        if store.commit(repo, id_) is None:
            _add_output_commit(store, id_, repo, branch)
        else:  # of an earlier change of the same transaction
            _follow_heads(store, id_, repo, branch)


def _add_output_commit(store: Store, id_: str, repo: str, branch: str) -> None:
    records = Records(store)
    found = store.branch(repo, branch)
    head = store.commit(repo, found.head) if found and found.head else None
    base = newest_without_error(store, head)
    pipeline = records.find_pipeline(repo)
    is_output = pipeline is not None and records.spec(repo, pipeline.version).output_branch == branch
    # The job writes the tree when it ends; until then the commit shares that of its base.
    tree = base.tree if base else store.trees.add()
    commit = store.add_commit(repo, id_, branch, head.id if head else None, "AUTO", tree)
    _follow_heads(store, id_, repo, branch)
    if pipeline is not None and is_output:
        records.add_job(repo, id_, pipeline.version)
        add_meta_commit(store, commit)
    else:
        store.finish_commit(repo, id_)


def _follow_heads(store: Store, id_: str, repo: str, branch: str) -> None:
    """Note that a commit is made from the present heads of what its branch follows."""
    for edge in store.edges():
        if (edge.repo, edge.branch) == (repo, branch):
            above = store.branch(edge.up_repo, edge.up_branch)
            if above is not None and above.head is not None:
                store.add_provenance(repo, id_, edge.up_repo, edge.up_branch, above.head)


def newest_without_error(store: Store, commit: Commit | None) -> Commit | None:
    """Walk from a commit to its ancestors until one carries no error; an open one counts."""
    while commit is not None and commit.error is not None:
        commit = store.commit(commit.repo, commit.parent) if commit.parent else None
    return commit


def detach_dependents(store: Store, repo: str, branch: str | None = None) -> None:
    """Detach the pipelines that read a repo, or one of its branches, which is about to be removed by force.

    They would go on with an input fewer, and a cross would lose its datums and so all its files. Detached, they keep
    their output and get no new jobs until the input is back and they are started again. Must be inside a transaction.
    """
    records = Records(store)
    for edge in store.edges():
        if edge.up_repo == repo and branch in (None, edge.up_branch) and edge.repo != repo:
            pipeline = records.find_pipeline(edge.repo)
            if pipeline and records.spec(edge.repo, pipeline.version).output_branch == edge.branch:
                store.set_provenance(edge.repo, edge.branch, [])
