"""Which repos does a pipeline keep beside its output? `P.spec` with its versions and `P.meta` with its records.

::

    in@master ─────┐
    P.spec@master ─┴─▶ P@master       one commit a job, with the files
                       P.meta@master  one commit a job, with the records of its datums (see `meta`)

A commit of `P.spec` holds one file, `/spec`. A commit of `P.meta` holds nothing: its files are the records of the job
in the database, shown as files when they are read, so that a datum costs no more for them.
"""

from localpach.errors import SystemRepoError
from localpach.storage.store import Commit, Edge, Store
from localpach.storage.trees import Entry

SPEC_BRANCH = "master"
SPEC_FILE = "/spec"


def spec_repo(pipeline: str) -> str:
    """Name the repo that holds the versions of a pipeline."""
    return f"{pipeline}.spec"


def meta_repo(pipeline: str) -> str:
    """Name the repo that shows the records of a pipeline's jobs."""
    return f"{pipeline}.meta"


def pipeline_of(system_repo: str) -> str:
    """Name the pipeline of a system repo; no other repo has a dot in its name."""
    return system_repo.rpartition(".")[0]


def require_user_repo(store: Store, repo: str) -> None:
    """Refuse a change by hand to what localpach keeps itself.

    Raises:
        SystemRepoError: the repo is a pipeline's.
    """
    if store.repo(repo).type != "user":
        raise SystemRepoError(repo, pipeline_of(repo))


def save_spec(store: Store, id_: str, pipeline: str, text: str) -> None:
    """Commit a version of a pipeline's spec, making the system repos of a pipeline that has none yet.

    Args:
        store: Must be inside a transaction.
        id_: The ID of the change.
        pipeline: Name of the pipeline.
        text: The spec as JSON.
    """
    for repo, type_ in ((spec_repo(pipeline), "spec"), (meta_repo(pipeline), "meta")):
        if not store.has_repo(repo):
            store.add_repo(repo, f"{type_.capitalize()} repo for pipeline {pipeline}.", type_)
    repo = spec_repo(pipeline)
    branch = store.branch(repo, SPEC_BRANCH)
    tree = store.trees.add()
    store.trees.write(tree, [Entry(SPEC_FILE, *store.objects.add([text.encode()]))])
    store.add_commit(repo, id_, SPEC_BRANCH, branch.head if branch else None, "USER", tree)
    store.finish_commit(repo, id_)


def spec_edge(store: Store, pipeline: str, output_branch: str) -> list[Edge]:
    """Return what makes the output branch follow the spec; nothing for a pipeline made before there were spec repos."""
    if not store.has_repo(spec_repo(pipeline)):
        return []
    return [Edge(pipeline, output_branch, spec_repo(pipeline), SPEC_BRANCH)]


def spec_commit(store: Store, pipeline: str, job: str, version: int) -> str:
    """Return the ID of the commit with the spec that a job runs; its version if it ran before there were spec repos."""
    used = store.provenance(pipeline, job)
    return used.get((spec_repo(pipeline), SPEC_BRANCH), f"{version:032x}")


def add_meta_commit(store: Store, output: Commit) -> None:
    """Open the commit of the records that goes with an output commit."""
    repo = meta_repo(output.repo)
    if store.has_repo(repo):
        branch = store.branch(repo, output.branch)
        before = store.commit(repo, branch.head) if branch and branch.head else None
        tree = before.tree if before else store.trees.add()
        store.add_commit(repo, output.id, output.branch, before.id if before else None, "AUTO", tree)


def finish_output(store: Store, pipeline: str, id_: str, *, tree: int | None = None, error: str | None = None) -> None:
    """Finish the output commit of a job together with that of its records."""
    store.finish_commit(pipeline, id_, tree=tree, error=error)
    store.finish_commit(meta_repo(pipeline), id_, error=error)


def remove_system_repos(store: Store, pipeline: str) -> None:
    """Remove what goes with a pipeline that is deleted."""
    for repo in (spec_repo(pipeline), meta_repo(pipeline)):
        if store.has_repo(repo):
            store.remove_repo(repo)
