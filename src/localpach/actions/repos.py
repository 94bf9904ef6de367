"""What do people change in repos? Repos, branches and commits; each function is one action and one transaction."""

from localpach.errors import (
    AlreadyExistsError,
    CommitStateError,
    DependedOnError,
    NameRefusedError,
    NotFoundError,
    OutputBranchError,
    OutputRepoError,
)
from localpach.planning.graph import check_no_cycle
from localpach.planning.propagate import detach_dependents, new_id, newest_without_error, propagate
from localpach.planning.triggers import fire, set_trigger
from localpach.spec.addresses import CommitAddress
from localpach.spec.inputs import Trigger
from localpach.spec.names import BRANCH_RULE, REPO_RULE, is_branch_name, is_repo_name
from localpach.spec.paths import file_and_directory_collision
from localpach.storage.records import Records
from localpach.storage.store import Commit, Edge, Store
from localpach.storage.system_repos import require_user_repo


def create_repo(store: Store, name: str, description: str = "") -> None:
    """Make a repo.

    Raises:
        NameRefusedError: the name has other characters than Pachyderm takes.
        AlreadyExistsError: it is there.
    """
    if not is_repo_name(name):
        raise NameRefusedError("repo", name, REPO_RULE)
    with store.transaction():
        if store.has_repo(name):
            raise AlreadyExistsError("repo", name)
        store.add_repo(name, description)


def update_repo(store: Store, name: str, description: str) -> None:
    """Describe a repo anew."""
    with store.transaction():
        store.repo(name)
        store.set_description(name, description)


def delete_repo(store: Store, name: str, *, force: bool = False) -> None:
    """Remove a repo with all its commits.

    Raises:
        OutputRepoError: a pipeline writes it.
        DependedOnError: pipelines or branches read it and `force` is not given.
    """
    with store.transaction():
        require_user_repo(store, name)
        if Records(store).find_pipeline(name):
            raise OutputRepoError(name)
        needed_by = {edge.repo for edge in store.edges() if edge.up_repo == name and edge.repo != name}
        if needed_by and not force:
            raise DependedOnError("repo", name, sorted(needed_by))
        detach_dependents(store, name)
        store.remove_repo(name)


def find_commit(store: Store, address: CommitAddress) -> Commit:
    """Find the commit that an address names.

    Raises:
        NotFoundError: there is none.
    """
    store.repo(address.repo)
    if address.is_id:
        commit = store.commit(address.repo, address.name)
        if commit is None:  # a set without a commit here: the one it was made from
            used = store.commit_used_in_set(address.repo, address.name)
            commit = store.commit(address.repo, used) if used else None
    else:
        branch = store.branch(address.repo, address.name)
        if branch is None:
            raise NotFoundError("branch", f"{address.repo}@{address.name}", _branches_there(store, address.repo))
        commit = store.commit(address.repo, branch.head) if branch.head else None
    if commit is None:
        raise NotFoundError("commit", str(address), "the branch has no commit yet" if not address.is_id else "")
    return _walk(store, commit, address)


def _branches_there(store: Store, repo: str) -> str:
    names = ", ".join(branch.name for branch in store.branches(repo))
    return f"the repo has {names}" if names else "the repo has no branch yet"


def _walk(store: Store, commit: Commit, address: CommitAddress) -> Commit:
    line = ancestry(store, commit)
    if address.forward is None:
        index = address.back
    elif address.forward > 0:
        index = len(line) - address.forward
    else:
        index = -address.forward
    if not 0 <= index < len(line):
        raise NotFoundError("commit", str(address), f"there are {len(line)}")
    return line[index]


def ancestry(store: Store, commit: Commit) -> list[Commit]:
    """List a commit and its ancestors, newest first."""
    line = [commit]
    while commit.parent:
        parent = store.commit(commit.repo, commit.parent)
        if parent is None:
            break
        line.append(parent)
        commit = parent
    return line


def start_commit(
    store: Store, repo: str, branch: str, description: str = "", *, parent: CommitAddress | None = None
) -> Commit:
    """Open a commit on a branch; what follows the branch gets its commits and jobs at once, and waits.

    Args:
        store: The state.
        repo: The repo of the branch.
        branch: The branch.
        description: What the commit is about.
        parent: The commit whose files it begins with; the head of the branch by default.

    Raises:
        OutputBranchError: the branch has provenance.
        CommitStateError: the head is still open.
    """
    with store.transaction():
        require_user_repo(store, repo)
        _check_branch_name(store, repo, branch)
        if any((edge.repo, edge.branch) == (repo, branch) for edge in store.edges()):
            raise OutputBranchError(repo, branch)
        found = store.branch(repo, branch)
        head = store.commit(repo, found.head) if found and found.head else None
        if head is not None and head.finished is None:
            raise CommitStateError(f"{repo}@{branch} is open already (commit {head.id}); finish it first")
        if parent is not None:
            head = find_commit(store, parent)
            if head.finished is None:
                raise CommitStateError(f"{parent} is open; finish it first")
        base = newest_without_error(store, head)
        tree = store.trees.add(copy_of=base.tree if base else None)
        id_ = new_id()
        commit = store.add_commit(repo, id_, branch, head.id if head else None, "USER", tree)
        store.describe_commit(repo, id_, description)
        propagate(store, id_, [(repo, branch)])
        return commit


def finish_commit(store: Store, address: CommitAddress, *, description: str = "", error: str | None = None) -> Commit:
    """Close an open commit; a file and a directory of one name make it a commit with an error.

    Raises:
        CommitStateError: it is finished, or a job will finish it.
    """
    with store.transaction():
        commit = find_commit(store, address)
        if commit.finished is not None:
            raise CommitStateError(f"{address} is finished; start a new commit to change files")
        require_user_repo(store, commit.repo)
        if store.provenance(commit.repo, commit.id):
            raise OutputBranchError(commit.repo, commit.branch)
        collision = file_and_directory_collision({entry.path for entry in store.trees.entries(commit.tree)})
        if collision and error is None:
            error = f"{collision} is both a file and a directory"
        if description:
            store.describe_commit(commit.repo, commit.id, description)
        store.finish_commit(commit.repo, commit.id, error=error)
        found = store.commit(commit.repo, commit.id)
        assert found is not None
        fire(store, found)
        return found


def create_branch(
    store: Store,
    repo: str,
    name: str,
    *,
    head: CommitAddress | None = None,
    provenance: list[tuple[str, str]] | None = None,
    trigger: Trigger | None = None,
) -> None:
    """Make a branch, or move one; what follows it gets new commits and jobs. One without a head begins empty.

    Args:
        store: The state.
        repo: The repo of the branch.
        name: The branch.
        head: The commit to point at: of the same repo, by branch or ID.
        provenance: (repo, branch) pairs to follow.
        trigger: Moves the branch by itself from now on.

    Raises:
        OutputBranchError: a head is given for a branch that a pipeline fills.
        CycleError: the branch would follow itself.
        TriggerError: it has provenance, or would trigger itself.
    """
    with store.transaction():
        require_user_repo(store, repo)
        _check_branch_name(store, repo, name)
        before = store.branch(repo, name)
        has_provenance = any((edge.repo, edge.branch) == (repo, name) for edge in store.edges())
        if head is not None and (has_provenance or provenance):
            raise OutputBranchError(repo, name)
        target = find_commit(store, head).id if head else before.head if before else None
        store.set_head(repo, name, target)
        id_ = new_id()
        if provenance:
            for up_repo, up_branch in provenance:
                ensure_branch(store, up_repo, up_branch)
            store.set_provenance(
                repo, name, [Edge(repo, name, up_repo, up_branch) for up_repo, up_branch in provenance]
            )
            check_no_cycle(store.edges())
            propagate(store, id_, [], also=[(repo, name)])
        elif target != (before.head if before else None):
            propagate(store, id_, [(repo, name)])
        ensure_branch(store, repo, name)
        if trigger:
            set_trigger(store, repo, name, trigger)


def delete_branch(store: Store, repo: str, name: str, *, force: bool = False) -> None:
    """Remove a branch; its commits stay.

    Raises:
        OutputRepoError: a pipeline writes it.
        DependedOnError: pipelines or branches follow it and `force` is not given.
    """
    with store.transaction():
        require_user_repo(store, repo)
        if store.branch(repo, name) is None:
            raise NotFoundError("branch", f"{repo}@{name}", _branches_there(store, repo))
        needed_by = [
            f"{edge.repo}@{edge.branch}" for edge in store.edges() if (edge.up_repo, edge.up_branch) == (repo, name)
        ]
        pipeline = Records(store).find_pipeline(repo)
        if pipeline and Records(store).spec(repo, pipeline.version).output_branch == name:
            raise OutputRepoError(repo)
        if needed_by and not force:
            raise DependedOnError("branch", f"{repo}@{name}", needed_by)
        detach_dependents(store, repo, name)
        store.remove_branch(repo, name)


def ensure_branch(store: Store, repo: str, name: str) -> None:
    """Make a branch with an empty commit if it is not there, as a pipeline's input branch must have a head.

    A branch that follows others gets its commits from them. Must be called inside a transaction.
    """
    store.repo(repo)
    if any((edge.repo, edge.branch) == (repo, name) for edge in store.edges()):
        return
    branch = store.branch(repo, name)
    if branch is None or branch.head is None:
        id_ = new_id()
        store.add_commit(repo, id_, name, None, "AUTO", store.trees.add())
        store.finish_commit(repo, id_)


def _check_branch_name(store: Store, repo: str, name: str) -> None:
    """Refuse the name of a new branch; one that an earlier localpach took stays in use."""
    if store.branch(repo, name) is None and not is_branch_name(name):
        raise NameRefusedError("branch", name, BRANCH_RULE)
