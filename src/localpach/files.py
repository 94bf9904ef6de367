"""What do people do with files? Put, get, list, delete, copy, glob, diff; a change to a finished head is one commit."""

import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from localpach.addresses import CommitAddress, FileAddress
from localpach.contents import Contents, contents
from localpach.datums import Listing
from localpach.errors import AddressError, CommitStateError, FileNameError, LocalpachError, NotFoundError
from localpach.paths import check_path, clean_path, parents
from localpach.repos import find_commit, finish_commit, start_commit
from localpach.store import Commit, Entry, Store

_CHUNK_BYTES = 1 << 20


class SourceError(LocalpachError):
    """A file that is to be put cannot be read or is no plain file."""

    def __init__(self, source: object, problem: str) -> None:
        super().__init__(f"{source}: {problem}; nothing was put")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file or directory of a commit; the path of a directory ends in `/`."""

    path: str
    size: int
    digest: str = ""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: `+` new, `-` gone, `*` other content."""

    sign: str
    path: str
    size: int


# Putting


def put_files(
    store: Store, address: FileAddress, sources: Iterable[str], *, recursive: bool = False, append: bool = False
) -> Commit:
    """Put files, all in one commit.

    Args:
        store: The state.
        address: Where to; without a path, files keep their base name and directories theirs.
        sources: Files, directories (with `recursive`), or `-` for stdin.
        recursive: Take directories with what is in them.
        append: Add to the end of files that are there, instead of replacing them.

    Returns:
        The commit that holds the files now.

    Raises:
        SourceError, FileNameError: a file cannot be put; then none is.
    """
    pairs = [pair for source in sources for pair in _destinations(address, source, recursive=recursive)]
    if not pairs:
        raise SourceError(" ".join(sources), "no files found")
    if len({path for path, _ in pairs}) != len(pairs):
        raise FileNameError(_first_repeated(path for path, _ in pairs), "two sources would be put there")
    _check_target(store, address.commit)
    with store.lock.storing():
        entries = [Entry(path, *_store_source(store, source)) for path, source in pairs]
        with changed(store, address.commit) as commit:
            if append:
                entries = [_appended(store, commit, entry) for entry in entries]
            store.write_entries(commit.tree, entries)
    return commit


def _destinations(address: FileAddress, source: str, *, recursive: bool) -> Iterator[tuple[str, str]]:
    """Give (repo path, source) for a source and what is below it, by pachctl's rules."""
    base = address.path
    if source == "-":
        if base is None or base.endswith("/"):
            raise AddressError(str(address), "a path after the branch, such as repo@branch:/file, for data from stdin")
        yield check_path(base), source
    elif "://" in source:
        raise SourceError(source, "is a URL; download it first")
    elif Path(source).is_dir():
        if not recursive:
            raise SourceError(source, "is a directory; use -r")
        top = clean_path(base) if base is not None else "/" + Path(source).resolve().name
        for path in _files_below(Path(source)):
            yield check_path(f"{top}/{path.relative_to(source).as_posix()}"), str(path)
    elif base is None or base.endswith("/"):
        yield check_path(f"{base or ''}/{Path(source).name}"), source
    else:
        yield check_path(base), source


def _files_below(folder: Path) -> Iterator[Path]:
    """Walk the files below a folder in path order; a linked file counts as a file, a linked folder is refused."""

    def give_up(error: OSError) -> None:
        raise SourceError(error.filename, error.strerror or str(error)) from error

    for root, folders, names in os.walk(folder, onerror=give_up):
        folders.sort()
        for name in folders:
            if Path(root, name).is_symlink():
                raise SourceError(Path(root, name), "is a link to a directory; put that directory by itself")
        for name in sorted(names):
            yield Path(root, name)


def _store_source(store: Store, source: str) -> tuple[str, int]:
    if source == "-":
        return store.objects.add(iter(lambda: sys.stdin.buffer.read(_CHUNK_BYTES), b""))
    path = Path(source)
    if path.exists() and not path.is_file():
        raise SourceError(source, "is no plain file")
    try:
        return store.objects.add_file(path)
    except OSError as error:
        raise SourceError(source, error.strerror or str(error)) from error


def put_bytes(store: Store, address: FileAddress, content: bytes, *, append: bool = False) -> Commit:
    """Put one file from memory."""
    if address.path is None:
        raise AddressError(str(address), "a path after the branch")
    path = check_path(address.path)
    _check_target(store, address.commit)
    with store.lock.storing():
        entry = Entry(path, *store.objects.add([content]))
        with changed(store, address.commit) as commit:
            store.write_entries(commit.tree, [_appended(store, commit, entry) if append else entry])
    return commit


def _appended(store: Store, commit: Commit, entry: Entry) -> Entry:
    before = store.entry(commit.tree, entry.path)
    if before is None:
        return entry

    def both() -> Iterator[bytes]:
        yield from store.objects.read(before.digest)
        yield from store.objects.read(entry.digest)

    return Entry(entry.path, *store.objects.add(both()))


def delete_files(store: Store, address: FileAddress, *, recursive: bool = False) -> Commit:
    """Delete a file, or a directory with `recursive`, in one commit.

    Raises:
        NotFoundError: nothing is there.
    """
    with changed(store, address.commit) as commit:
        if not store.entries(commit.tree) and address.path in (None, "/"):
            return commit
        found = _select(contents(store, commit), commit, address)
        if any(each.path != _path(address) for each in found) and not recursive:
            raise SourceError(address, "is a directory; use -r")
        store.remove_entries(commit.tree, [each.path for each in found])
    return commit


def copy_files(store: Store, source: FileAddress, target: FileAddress) -> Commit:
    """Copy a file or a directory to another place, another repo too, without copying bytes."""
    with store.lock.storing():
        origin = find_commit(store, source.commit)
        files = contents(store, origin)
        found = _select(files, origin, source)
        top = _path(source)
        to = _path(target if target.path is not None else FileAddress(target.commit, top))
        paths = [check_path(to + "/" + each.path[len(top) :]) for each in found]
        kept = [files.stored(each) for each in found]
        with changed(store, target.commit) as commit:
            store.write_entries(
                commit.tree, [Entry(path, each.digest, each.size) for path, each in zip(paths, kept, strict=True)]
            )
        return commit


@contextmanager
def changed(store: Store, address: CommitAddress) -> Iterator[Commit]:
    """Yield the open commit to change: the head if it is open, otherwise a new one that is finished at the end."""
    with store.transaction():
        head = _check_target(store, address)
        if head is not None and head.finished is None:
            yield head
        else:
            commit = start_commit(store, address.repo, address.name)
            yield commit
            finish_commit(store, CommitAddress(address.repo, commit.id))


def _check_target(store: Store, address: CommitAddress) -> Commit | None:
    """Check that files can go to an address and give the commit that is there.

    Raises:
        CommitStateError: it names a finished commit, not a branch.
    """
    store.repo(address.repo)
    if not address.is_plain_branch:
        commit = find_commit(store, address)
        if commit.finished is not None:
            raise CommitStateError(f"{address} is finished; put files to a branch, such as {address.repo}@master")
        return commit
    branch = store.branch(address.repo, address.name)
    return store.commit(address.repo, branch.head) if branch and branch.head else None


# Reading


def listing(store: Store, address: CommitAddress) -> Listing:
    """Give all files of a commit."""
    commit = find_commit(store, address)
    return Listing(contents(store, commit).entries(), commit.id)


def list_files(store: Store, address: FileAddress) -> list[FileInfo]:
    """List a directory, or name a file, in path order.

    Raises:
        NotFoundError: nothing is there.
    """
    commit = find_commit(store, address.commit)
    top = _path(address)
    files = contents(store, commit).entries() if top == "/" else _select(contents(store, commit), commit, address)
    sizes: dict[str, int] = {}
    digests: dict[str, str] = {}
    for each in files:
        inner = each.path[len(top.rstrip("/")) + 1 :]
        if each.path == top or "/" not in inner:
            sizes[each.path], digests[each.path] = each.size, each.digest
        else:
            shown = f"{top.rstrip('/')}/{inner.split('/')[0]}/"
            sizes[shown] = sizes.get(shown, 0) + each.size
    return [FileInfo(path, size, digests.get(path, "")) for path, size in sorted(sizes.items())]


def inspect_file(store: Store, address: FileAddress) -> FileInfo:
    """Describe one file or directory."""
    commit = find_commit(store, address.commit)
    found = _select(contents(store, commit), commit, address)
    if len(found) == 1 and found[0].path == _path(address):
        return FileInfo(found[0].path, found[0].size, found[0].digest)
    return FileInfo(_path(address).rstrip("/") + "/", sum(each.size for each in found))


def glob_files(store: Store, address: CommitAddress, pattern: str) -> list[FileInfo]:
    """List the files and directories that match a glob."""
    files = listing(store, address)
    found = []
    for path in files.glob(pattern):
        below = files.below(path)
        digest = "" if path.endswith("/") else below[0].digest
        found.append(FileInfo(path, sum(each.size for each in below), digest))
    return found


def read_file(store: Store, address: FileAddress) -> Iterator[bytes]:
    """Yield the bytes of one file; they are checked before the first is given.

    Raises:
        NotFoundError: there is no such file.
        DamagedObjectError: its bytes are not those that were stored.
    """
    commit = find_commit(store, address.commit)
    files = contents(store, commit)
    entry = files.entry(_path(address))
    if entry is None:
        raise NotFoundError("file", str(address), _hint(files, commit, _path(address)))
    for _ in files.read(entry):
        pass
    return files.read(entry)


def get_files(store: Store, address: FileAddress, target: Path, *, recursive: bool = False) -> list[Path]:
    """Write a file to `target`, or with `recursive` what is below a directory into the folder `target`.

    Returns:
        The files written.
    """
    if not recursive:
        destination = target / PurePosixPath(_path(address)).name if target.is_dir() else target
        _write(destination, read_file(store, address))
        return [destination]
    commit = find_commit(store, address.commit)
    top = _path(address)
    files = contents(store, commit)
    found = files.entries() if top == "/" else _select(files, commit, address)
    written = []
    for each in found:
        below = each.path[len(top.rstrip("/")) :].lstrip("/") or PurePosixPath(each.path).name
        _write(target / below, files.read(each))
        written.append(target / below)
    return written


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file under a temporary name and rename it, so that damaged bytes leave nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def diff_files(store: Store, new: FileAddress, old: FileAddress | None = None) -> list[Change]:
    """Compare a place in two commits; `old` defaults to the parent commit."""
    commit = find_commit(store, new.commit)
    below_new = _by_path(contents(store, commit).entries(), _path(new))
    if old is not None:
        earlier: Commit | None = find_commit(store, old.commit)
    else:
        earlier = store.commit(commit.repo, commit.parent) if commit.parent else None
    below_old = _by_path(contents(store, earlier).entries(), _path(old or new)) if earlier else {}
    changes = []
    for path in sorted(below_new.keys() | below_old.keys()):
        after, before = below_new.get(path), below_old.get(path)
        if after is None and before is not None:
            changes.append(Change("-", path, before.size))
        elif after is not None and (before is None or before.digest != after.digest):
            changes.append(Change("*" if before else "+", path, after.size))
    return changes


def _by_path(entries: Iterable[Entry], top: str) -> dict[str, Entry]:
    prefix = top.rstrip("/") + "/"
    return {each.path: each for each in entries if each.path == top or each.path.startswith(prefix)}


def _select(files: Contents, commit: Commit, address: FileAddress) -> list[Entry]:
    """Give the file at an address, or all files below the directory there."""
    path = _path(address)
    found = list(_by_path(files.entries(), path).values())
    if not found:
        raise NotFoundError("file", str(address), _hint(files, commit, path))
    return found


def _hint(files: Contents, commit: Commit, path: str) -> str:
    """Name the directory that is there, so that a wrong name is easily put right."""
    entries = files.entries()
    if not entries:
        return "the commit has no files"
    if any(each.path.startswith(path.rstrip("/") + "/") for each in entries):
        return "it is a directory; use -r and -o"
    above = [parent for parent in parents(path) if any(each.path.startswith(parent + "/") for each in entries)]
    return f"`localpach list file {commit.repo}@{commit.branch}:{above[-1] if above else '/'}` shows what is there"


def _path(address: FileAddress) -> str:
    return clean_path(address.path or "/")


def _first_repeated(paths: Iterable[str]) -> str:
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            return path
        seen.add(path)
    return ""
