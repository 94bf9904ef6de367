"""How do two commits differ? Which files are new, gone or other, and line by line what is in them."""

import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from localpach.actions.downloads import get_bytes
from localpach.actions.files import FileInfo, entries_below, read_file
from localpach.actions.repos import find_commit
from localpach.spec.addresses import CommitAddress, FileAddress
from localpach.spec.paths import clean_path, parents
from localpach.storage.store import Commit, Store

_MAX_BYTES = 1 << 20  # larger files are compared as a whole only
_NOTHING = "/dev/null"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `new` is None for what is gone, `old` for what was not there."""

    path: str
    new: FileInfo | None
    old: FileInfo | None


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between a commit and an earlier one, in path order; `old` is None for the first commit."""

    new: Commit
    old: Commit | None
    changes: list[Change]


def compare(store: Store, new: FileAddress, old: FileAddress | None = None, *, shallow: bool = False) -> Differences:
    """Compare a place in two commits.

    Args:
        store: The state.
        new: The place.
        old: What to compare it with; the same place in the parent commit by default.
        shallow: Do not go into directories; one in which something differs is one change.
    """
    commit = find_commit(store, new.commit)
    if old is not None:
        earlier: Commit | None = find_commit(store, old.commit)
    else:
        earlier = store.commit(commit.repo, commit.parent) if commit.parent else None
    after = _below(store, commit, new)
    before = _below(store, earlier, old or new) if earlier else {}
    differing = sorted(
        path
        for path in after.keys() | before.keys()
        if path not in after or path not in before or after[path].digest != before[path].digest
    )
    if shallow:
        after, before = _one_level(after), _one_level(before)
        differing = list(dict.fromkeys(_first_step(path) for path in differing))
    else:  # the directories above what differs do so too
        above = {each for path in differing for each in _directories(path)}
        for side in (after, before):
            side.update(_sums(side, above, _top(new)))
        differing = sorted({*differing, *above})
    top = _top(new)
    return Differences(commit, earlier, [Change(top + path, after.get(path), before.get(path)) for path in differing])


def _top(address: FileAddress) -> str:
    return clean_path(address.path or "/").rstrip("/")


def _below(store: Store, commit: Commit, address: FileAddress) -> dict[str, FileInfo]:
    """Return the files at or below an address by the rest of their path."""
    start = len(_top(address))
    found = entries_below(store, commit, address)
    return {each.path[start:]: FileInfo(each.path, each.size, each.digest) for each in found}


def _directories(path: str) -> list[str]:
    """List the directories above a file, each with a slash at its end; of a file that was named itself, none."""
    return ["/", *(f"{each}/" for each in parents(path))] if path else []


def _sums(files: dict[str, FileInfo], directories: Collection[str], top: str) -> dict[str, FileInfo]:
    """Give the directories that some files have, with the size of what is below them."""
    sizes: dict[str, int] = {}
    for path, each in files.items():
        for directory in _directories(path):
            if directory in directories:
                sizes[directory] = sizes.get(directory, 0) + each.size
    return {directory: FileInfo(f"{top}{directory}", size) for directory, size in sizes.items()}


def _first_step(path: str) -> str:
    """Return the directory at the top of a path, with a slash at its end, or the file itself."""
    return path[: path.index("/", 1) + 1] if "/" in path[1:] else path


def _one_level(files: dict[str, FileInfo]) -> dict[str, FileInfo]:
    """Sum up what is below each directory."""
    level: dict[str, FileInfo] = {}
    for path, each in files.items():
        step = _first_step(path)
        if step == path:
            level[path] = each
        else:
            before = level.get(step)
            directory = each.path[: len(each.path) - len(path)] + step
            level[step] = FileInfo(directory, each.size + (before.size if before else 0))
    return level


def _of_files(found: Differences) -> Iterator[Change]:
    return (each for each in found.changes if not each.path.endswith("/"))


def text(store: Store, found: Differences) -> Iterator[str]:
    """Write each change line by line; large files, and those that are no text, only as a whole."""
    for each in _of_files(found):
        old, new = _lines(store, found.old, each.old), _lines(store, found.new, each.new)
        names = [side.path if side else _NOTHING for side in (each.old, each.new)]
        if old is None or new is None:
            yield f"Files {names[0]} and {names[1]} differ\n"
            continue
        for line in unified_diff(old, new, names[0], names[1]):
            yield line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n"


def _lines(store: Store, commit: Commit | None, side: FileInfo | None) -> list[str] | None:
    """Return the lines of a file, none for one that is not there; None if it cannot be compared by lines."""
    if side is None or commit is None:
        return []
    if side.size > _MAX_BYTES:
        return None
    content = b"".join(_read(store, commit, side))
    try:
        return None if b"\0" in content else content.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def _read(store: Store, commit: Commit, side: FileInfo) -> Iterator[bytes]:
    return read_file(store, FileAddress(CommitAddress(commit.repo, commit.id), side.path))


def run_program(store: Store, found: Differences, command: Sequence[str]) -> None:
    """Let a program compare the two versions of each file; it exits with 1 where they differ."""
    with tempfile.TemporaryDirectory(prefix="localpach-diff-") as folder:
        for each in _of_files(found):
            places = []
            for name, commit, side in (("old", found.old, each.old), ("new", found.new, each.new)):
                place = Path(folder, name)
                place.unlink(missing_ok=True)
                if side is not None and commit is not None:
                    get_bytes(place, _read(store, commit, side))
                places.append(str(place) if place.exists() else _NOTHING)
            subprocess.run([*command, *places], check=False)
