"""What do people take out of the history? Whole commit sets, from its middle (squash) or from its end (delete).

::

    in@1 ─▶ in@2 ─▶ in@3      squash 2:  in@1 ─▶ in@3, which has the files of 2 as well
    P@1  ─▶ P@2  ─▶ P@3       delete 3:  in@1 ─▶ in@2 is the head again
"""

from localpach.errors import HistoryError, NotFoundError
from localpach.storage.lineage import Lineage, Link
from localpach.storage.store import Commit, Store


def squash_commit_set(store: Store, id_: str) -> None:
    """Remove a commit set whose commits all have a child; the children keep the files.

    Datums that ran in its jobs stay on record for the later jobs that skip them.

    Raises:
        NotFoundError: there is no such set.
        HistoryError: files, or the origin of other commits, would be lost.
    """
    with store.transaction():
        lineage = Lineage(store)
        for commit in _commits(store, id_):
            _check_squashable(lineage, commit)
        lineage.remove_set(id_)


def delete_commit_set(store: Store, id_: str) -> None:
    """Remove a commit set at the end of the history, with its jobs; its branches go back to the commits before.

    Raises:
        NotFoundError: there is no such set.
        HistoryError: a commit has a child, another set was made from it, or it holds a pipeline's spec.
    """
    with store.transaction():
        lineage = Lineage(store)
        for commit in _commits(store, id_):
            children = lineage.children(commit.repo, id_)
            if children:
                raise HistoryError(
                    "delete", _name(commit), f"{_name(children[0])} comes after it; delete that set first"
                )
            if store.repo(commit.repo).type == "spec":
                raise HistoryError("delete", _name(commit), "it holds a version of a pipeline; delete the pipeline")
            _check_unused(lineage, "delete", commit)
        lineage.remove_set(id_)


def _commits(store: Store, id_: str) -> list[Commit]:
    """List the commits of a set, the one that began it first; those of records go wherever their output goes."""
    commits = [commit for commit in store.commits(id_=id_) if store.repo(commit.repo).type != "meta"]
    if not commits:
        raise NotFoundError("commit set", id_, "`localpach list commit` shows those there are")
    return commits[::-1]


def _check_squashable(lineage: Lineage, commit: Commit) -> None:
    if commit.finished is None:
        raise HistoryError("squash", _name(commit), "it is open; finish it first")
    children = lineage.children(commit.repo, commit.id)
    if not children:
        raise HistoryError(
            "squash", _name(commit), "nothing comes after it, so its files would be lost; `delete commit` drops them"
        )
    for child in children:
        if not child.finished:
            raise HistoryError("squash", _name(commit), f"{_name(child)} is based on it and is still open")
        if commit.error is None and not _is_carried_on(lineage, child):
            raise HistoryError(
                "squash",
                _name(commit),
                f"{_name(child)} ended with an error, so nothing would keep the files for later",
            )
    branches = lineage.branches_at(commit.repo, commit.id)
    if branches:
        raise HistoryError("squash", _name(commit), f"branch {branches[0]} is at it; move or delete the branch first")
    _check_unused(lineage, "squash", commit)


def _is_carried_on(lineage: Lineage, child: Link) -> bool:
    """Return whether a commit without error is what its descendants are based on, on every line of them."""
    waiting = [child]
    while waiting:
        link = waiting.pop()
        if link.error is not None:
            below = lineage.children(link.repo, link.id)
            if not below:
                return False
            waiting += below
        elif not link.finished:
            return False
    return True


def _check_unused(lineage: Lineage, verb: str, commit: Commit) -> None:
    users = lineage.made_from(commit.repo, commit.id)
    if users:
        repo, id_ = users[0]
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        raise HistoryError(
            verb, _name(commit), f"{repo}@{id_}{more} of another set was made from it; {verb} that set first"
        )


def _name(commit: Commit | Link) -> str:
    return f"{commit.repo}@{commit.id}"
