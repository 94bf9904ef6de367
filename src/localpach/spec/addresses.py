"""What does `repo@branch^2:/path` name? Text to its parts, as pachctl reads it."""

import re
from dataclasses import dataclass

from localpach.errors import AddressError
from localpach.spec.paths import clean_path

DEFAULT_BRANCH = "master"

_ANCESTRY = re.compile(r"^(?P<name>.*?)(?:(?P<back>(?:[\^~]\d*)+)|\.(?P<forward>-?\d+))?$")
_ID = re.compile(r"^[0-9a-f]{32}$")


@dataclass(frozen=True, slots=True)
class CommitAddress:
    """A commit by branch or ID, perhaps some steps away.

    Attributes:
        repo: Name of the repo.
        name: Branch name or commit ID.
        back: Steps towards older commits (`^`, `^^`, `^2`, or with `~`).
        forward: n-th commit of the branch from 1 (`.1`), or from the end when negative or zero (`.-1`); None without.
    """

    repo: str
    name: str = DEFAULT_BRANCH
    back: int = 0
    forward: int | None = None

    @property
    def is_id(self) -> bool:
        """Whether the commit is named by its ID and not by a branch."""
        return is_commit_id(self.name)

    @property
    def is_plain_branch(self) -> bool:
        """Whether it is a branch itself, so that a new commit can go there."""
        return not self.is_id and not self.back and self.forward is None

    def __str__(self) -> str:
        steps = f"^{self.back}" if self.back else "" if self.forward is None else f".{self.forward}"
        return f"{self.repo}@{self.name}{steps}"


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A path in a commit; `path` is None when none was given, which `put file` tells apart from `/`."""

    commit: CommitAddress
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.commit}:{self.path or '/'}"


def is_commit_id(text: str) -> bool:
    """Return whether the text has the form of a commit ID: 32 hex digits."""
    return _ID.match(text) is not None


def parse_commit(text: str) -> CommitAddress:
    """Read `repo`, `repo@branch`, `repo@id`, each perhaps with `^`, `^2` or `.1`; the branch defaults to master."""
    repo, separator, commit = text.partition("@")
    match = _ANCESTRY.match(commit)
    if not repo or ":" in text or match is None or (separator and not match["name"]):
        raise AddressError(text, "repo@branch or repo@commit")
    steps = re.findall(r"[\^~](\d*)", match["back"] or "")
    forward = int(match["forward"]) if match["forward"] is not None else None
    return CommitAddress(repo, match["name"] or DEFAULT_BRANCH, sum(int(step or 1) for step in steps), forward)


def parse_file(text: str) -> FileAddress:
    """Read `repo@branch[:path]`; a trailing slash of the path is kept, because `put file` gives it a meaning."""
    commit, separator, path = text.partition(":")
    if not commit:
        raise AddressError(text, "repo@branch:/path")
    if not separator:
        return FileAddress(parse_commit(commit))
    trailing = "/" if path.endswith("/") and clean_path(path) != "/" else ""
    return FileAddress(parse_commit(commit), _absolute(path) + trailing)


def parse_job(text: str) -> tuple[str, str]:
    """Read `pipeline@job` into its two parts.

    Raises:
        AddressError: one of them is missing.
    """
    pipeline, _, job = text.partition("@")
    if not pipeline or not job:
        raise AddressError(text, "pipeline@job")
    return pipeline, job


def _absolute(path: str) -> str:
    return clean_path(path)
