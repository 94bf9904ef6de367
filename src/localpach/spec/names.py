"""What may repos, branches and inputs be called? Names that are safe as folders, too, wherever they come from."""

import re

REPO_RULE = "use letters, digits, - and _"
BRANCH_RULE = "use letters, digits, - and _, and not the form of a commit ID"
INPUT_RULE = "use letters, digits, -, _ and ., no . first"

_REPO = re.compile(r"[A-Za-z0-9_-]+")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_FORMER_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_INPUT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_COMMIT_ID = re.compile(r"[0-9a-f]{32}")


def is_repo_name(name: str) -> bool:
    """Return whether a repo may have this name."""
    return _REPO.fullmatch(name) is not None


def is_branch_name(name: str) -> bool:
    """Return whether a branch may have this name."""
    return _BRANCH.fullmatch(name) is not None and _COMMIT_ID.fullmatch(name) is None


def was_branch_name(name: str) -> bool:
    """Tell whether a stored spec may have this name of a branch: it could hold dots, which a cluster refuses."""
    return _FORMER_BRANCH.fullmatch(name) is not None and _COMMIT_ID.fullmatch(name) is None


def is_input_name(name: str) -> bool:
    """Return whether an input may have this name: it becomes a folder below /pfs."""
    return _INPUT.fullmatch(name) is not None
