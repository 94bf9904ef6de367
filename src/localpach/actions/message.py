"""What do repos, commits and files look like for programs? Our records as the messages that `pachctl --raw` prints.

Conventions of protobuf's JSON, as pachctl uses it: field names in snake_case, fields without a value left out, 64-bit
integers as strings, enums by name, times in RFC 3339, bytes in base64.
"""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localpach.actions.differences import Change
    from localpach.actions.files import FileInfo
    from localpach.running.secrets import StoredSecret
    from localpach.storage.store import Branch, Commit, Repo

Message = dict[str, Any]

PROJECT: Message = {"name": "default"}


def filled(**fields: object) -> Message:
    """Keep the fields that have a value; a message inside counts as one even if it is empty."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", 0, [])}


def timestamp(moment: float | None) -> str | None:
    """Write seconds since the epoch as RFC 3339 in UTC."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(length: float | None) -> str | None:
    """Write a length of time: `1.500s`; none is no value."""
    return f"{length:.3f}s" if length else None


def int64(number: int) -> str | None:
    """Write a 64-bit integer; zero is no value."""
    return str(number) if number else None


def repo_ref(name: str) -> Message:
    """Name a repo; those of the system have their type after a dot."""
    own, _, type_ = name.partition(".")
    return {"name": own, "type": type_ or "user", "project": PROJECT}


def branch_ref(repo: str, name: str) -> Message:
    """Name a branch."""
    return {"repo": repo_ref(repo), "name": name}


def commit_ref(repo: str, id_: str, branch: str | None = None) -> Message:
    """Name a commit."""
    return filled(repo=repo_ref(repo), id=id_, branch=branch_ref(repo, branch) if branch else None)


def repo_message(repo: "Repo", branches: Iterable[str], size: int) -> Message:
    """Describe a repo (RepoInfo); the size is that of its master branch."""
    return filled(
        repo=repo_ref(repo.name),
        created=timestamp(repo.created),
        size_bytes_upper_bound=int64(size),
        description=repo.description,
        branches=[branch_ref(repo.name, name) for name in branches],
        details=filled(size_bytes=int64(size)),
    )


def branch_message(
    branch: "Branch", above: Iterable[tuple[str, str]], all_above: Iterable[tuple[str, str]], trigger: Message | None
) -> Message:
    """Describe a branch (BranchInfo); `above` are the (repo, branch) pairs that it follows itself."""
    return filled(
        branch=branch_ref(branch.repo, branch.name),
        head=commit_ref(branch.repo, branch.head, branch.name) if branch.head else None,
        provenance=[branch_ref(*each) for each in all_above],
        direct_provenance=[branch_ref(*each) for each in above],
        trigger=trigger,
        created_at=timestamp(branch.created),
    )


def commit_message(
    commit: "Commit", size: int, *, above: Iterable[tuple[str, str]] = (), children: Iterable[str] = ()
) -> Message:
    """Describe a commit (CommitInfo).

    Args:
        commit: The commit.
        size: Bytes of its files; exact once it is finished.
        above: (repo, ID) of the commits it was made from.
        children: IDs of the commits that follow it in its repo.
    """
    return filled(
        commit=commit_ref(commit.repo, commit.id, commit.branch),
        origin={"kind": commit.origin},
        description=commit.description,
        parent_commit=commit_ref(commit.repo, commit.parent) if commit.parent else None,
        child_commits=[commit_ref(commit.repo, id_) for id_ in children],
        started=timestamp(commit.started),
        finishing=timestamp(commit.finished),
        finished=timestamp(commit.finished),
        direct_provenance=[commit_ref(repo, id_) for repo, id_ in above],
        error=commit.error,
        size_bytes_upper_bound=int64(size),
        details=filled(size_bytes=int64(size)) if commit.finished is not None else None,
    )


def commit_set_message(id_: str, commits: Iterable[Message]) -> Message:
    """Describe the commits that one change made (CommitSetInfo)."""
    return {"commit_set": {"id": id_}, "commits": list(commits)}


def file_message(file: "FileInfo", commit: "Commit") -> Message:
    """Describe a file or directory of a commit (FileInfo)."""
    return filled(
        file={"commit": commit_ref(commit.repo, commit.id, commit.branch), "path": file.path},
        file_type="DIR" if file.is_directory else "FILE",
        committed=timestamp(commit.finished),
        size_bytes=int64(file.size),
        hash=base64.b64encode(bytes.fromhex(file.digest)).decode() if file.digest else None,
    )


def change_message(change: "Change", new: "Commit", old: "Commit | None") -> Message:
    """Describe a difference between two commits (DiffFileResponse)."""
    return filled(
        new_file=file_message(change.new, new) if change.new else None,
        old_file=file_message(change.old, old) if change.old and old else None,
    )


def secret_message(secret: "StoredSecret") -> Message:
    """Describe a secret, without its values (SecretInfo)."""
    return filled(secret={"name": secret.name}, type=secret.type, creation_timestamp=timestamp(secret.created))


def project_message() -> Message:
    """Describe the one project (ProjectInfo)."""
    return {"project": PROJECT}
