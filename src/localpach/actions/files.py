"""What do people do with files? Put, list, read, delete, copy, glob; a change to a finished head is one commit."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from localpach.actions.commit_files import CommitFiles, commit_files
from localpach.actions.repos import find_commit, finish_commit, start_commit
from localpach.errors import (
    AddressError,
    CommitStateError,
    DirectoryError,
    FileNameError,
    NotFoundError,
    OutputBranchError,
    SourceError,
)
from localpach.planning.datums import Listing
from localpach.spec.addresses import CommitAddress, FileAddress
from localpach.spec.paths import check_path, clean_path, parents
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import require_user_repo
from localpach.storage.trees import Entry

if TYPE_CHECKING:
    from localpach.actions.sources import Source

_READERS = 4  # files that are read and hashed side by side
_BATCH = 512  # files that wait for them
Report = Callable[[int, int, int], None]  # files done, files in all, bytes done


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


# Putting


def put_files(
    store: Store,
    address: FileAddress,
    sources: Iterable[str],
    *,
    recursive: bool = False,
    append: bool = False,
    full_path: bool = False,
    untar: bool = False,
    report: Report | None = None,
    leave_out: Callable[[str], None] | None = None,
) -> Commit:
    """Put files, all in one commit.

    Args:
        store: The state.
        address: Where to; without a path, files keep their base name and directories theirs.
        sources: Files, URLs, directories (with `recursive`), or `-` for stdin.
        recursive: Take directories with what is in them.
        append: Add to the end of files that are there, instead of replacing them.
        full_path: Keep the path of a source as it was given, not only its base name.
        untar: Put what is in tar archives instead of these.
        report: Called with how far it is.
        leave_out: Called for each link in a directory that leads nowhere; without it such a link is refused.

    Returns:
        The commit that holds the files now.

    Raises:
        SourceError, FileNameError: a file cannot be put; then none is.
    """
    from localpach.actions.sources import PutOptions, gather  # here, because tar and URLs take longer than a listing

    given = list(sources)
    check_target(store, address.commit)
    options = PutOptions(recursive, full_path, untar, store.folder, leave_out)
    with store.lock.storing():
        entries = _stored(store, gather(address, given, options), report)
        if not entries:
            raise SourceError(" ".join(given), "no files found")
        with changed(store, address.commit) as commit:
            if append:
                entries = [_appended(store, commit, entry) for entry in entries]
            store.trees.write(commit.tree, entries)
    return commit


def _stored(store: Store, sources: "Iterable[Source]", report: Report | None) -> list[Entry]:
    """Store the bytes of all sources; archives and streams in their order, plain files several at a time."""
    from concurrent.futures import ThreadPoolExecutor

    paths: set[str] = set()
    entries: list[Entry] = []
    plain: list[Source] = []
    for source in sources:
        if source.path in paths:
            raise FileNameError(source.path, "two sources would be put there")
        paths.add(source.path)
        if source.chunks is None:
            plain.append(source)
        else:
            entries.append(Entry(source.path, *store.objects.add(source.chunks())))
    size = sum(entry.size for entry in entries)
    store_file = partial(_store_file, store, store.trees.large_sizes())
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(plain), _BATCH):
            batch = plain[start : start + _BATCH]
            for source, stored in zip(batch, pool.map(store_file, batch), strict=True):
                entries.append(Entry(source.path, *stored))
                size += stored[1]
                if report is not None:
                    report(len(entries), len(paths), size)
    return entries


def _store_file(store: Store, large_sizes: Collection[int], source: "Source") -> tuple[str, int]:
    assert source.file is not None, "a stream is read where it is found"
    try:
        return store.objects.add_file(source.file, likely_stored=source.file.stat().st_size in large_sizes)
    except OSError as error:
        raise SourceError(source.file, error.strerror or str(error)) from error


def put_bytes(store: Store, address: FileAddress, content: bytes, *, append: bool = False) -> Commit:
    """Put one file from memory."""
    if address.path is None:
        raise AddressError(str(address), "a path after the branch")
    path = check_path(address.path)
    check_target(store, address.commit)
    with store.lock.storing():
        entry = Entry(path, *store.objects.add([content]))
        with changed(store, address.commit) as commit:
            store.trees.write(commit.tree, [_appended(store, commit, entry) if append else entry])
    return commit


def _appended(store: Store, commit: Commit, entry: Entry) -> Entry:
    before = store.trees.entry(commit.tree, entry.path)
    if before is None:
        return entry

    def both() -> Iterator[bytes]:
        yield from store.objects.read(before.digest)
        yield from store.objects.read(entry.digest)

    return Entry(entry.path, *store.objects.add(both()))


def delete_files(store: Store, address: FileAddress, *, recursive: bool = False) -> Commit:
    """Delete a file, or a directory with `recursive`, in one commit; what is not there is no error.

    Raises:
        DirectoryError: it is a directory, and `recursive` is not given.
    """
    with changed(store, address.commit) as commit:
        found = entries_below(store, commit, address)
        if any(each.path != _path(address) for each in found) and not recursive:
            raise DirectoryError(address, "use -r")
        store.trees.remove(commit.tree, [each.path for each in found])
    return commit


def copy_files(store: Store, source: FileAddress, target: FileAddress, *, append: bool = False) -> Commit:
    """Copy a file or a directory to another place, another repo too, without copying bytes; or append it there."""
    with store.lock.storing():
        origin = find_commit(store, source.commit)
        files = commit_files(store, origin)
        found = _select(files, origin, source)
        top = _path(source)
        to = _path(target if target.path is not None else FileAddress(target.commit, top))
        paths = [check_path(to + "/" + each.path[len(top) :]) for each in found]
        kept = [files.stored(each) for each in found]
        with changed(store, target.commit) as commit:
            entries = [Entry(path, each.digest, each.size) for path, each in zip(paths, kept, strict=True)]
            if append:
                entries = [_appended(store, commit, entry) for entry in entries]
            store.trees.write(commit.tree, entries)
        return commit


@contextmanager
def changed(store: Store, address: CommitAddress) -> Iterator[Commit]:
    """Yield the open commit to change: the head if it is open, otherwise a new one that is finished at the end."""
    with store.transaction():
        head = check_target(store, address)
        if head is not None and head.finished is None:
            yield head
        else:
            commit = start_commit(store, address.repo, address.name)
            yield commit
            finish_commit(store, CommitAddress(address.repo, commit.id))


def check_target(store: Store, address: CommitAddress) -> Commit | None:
    """Check that files can go to an address and give the commit that is there.

    Raises:
        CommitStateError: it names a finished commit, not a branch.
        OutputBranchError: a job fills the commit; until it ends, the files there are those of the commit before.
    """
    require_user_repo(store, address.repo)
    if address.is_plain_branch:
        branch = store.branch(address.repo, address.name)
        commit = store.commit(address.repo, branch.head) if branch and branch.head else None
    else:
        commit = find_commit(store, address)
        if commit.finished is not None:
            raise CommitStateError(f"{address} is finished; put files to a branch, such as {address.repo}@master")
    if commit is not None and commit.finished is None and store.provenance(commit.repo, commit.id):
        raise OutputBranchError(commit.repo, commit.branch)
    return commit


# Reading


def listing(store: Store, address: CommitAddress) -> Listing:
    """Return all files of a commit."""
    commit = find_commit(store, address)
    return Listing(commit_files(store, commit).entries(), commit.id)


def list_files(store: Store, address: FileAddress) -> list[FileInfo]:
    """List a directory, or name a file, in path order.

    Raises:
        NotFoundError: nothing is there.
    """
    commit = find_commit(store, address.commit)
    top = _path(address)
    files = (
        commit_files(store, commit).entries() if top == "/" else _select(commit_files(store, commit), commit, address)
    )
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
    found = _select(commit_files(store, commit), commit, address)
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
    files = commit_files(store, commit)
    entry = files.entry(_path(address))
    if entry is None:
        if entries_below(store, commit, address):
            raise DirectoryError(address, "use -r and -o")
        raise NotFoundError("file", str(address), _hint(files, commit, _path(address)))
    for _ in files.read(entry):
        pass
    return files.read(entry)


def read_files(store: Store, address: FileAddress) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Walk the file at an address, or all below a directory: (path, its bytes); the top of an empty commit has none."""
    commit = find_commit(store, address.commit)
    files = commit_files(store, commit)
    for each in files.entries() if _path(address) == "/" else _select(files, commit, address):
        yield each.path, files.read(each)


def entries_below(store: Store, commit: Commit, address: FileAddress) -> list[Entry]:
    """Return the file at an address, or all below the directory there, in path order; none if nothing is there."""
    return list(_by_path(commit_files(store, commit).entries(), _path(address)).values())


def _by_path(entries: Iterable[Entry], top: str) -> dict[str, Entry]:
    prefix = top.rstrip("/") + "/"
    return {each.path: each for each in entries if each.path == top or each.path.startswith(prefix)}


def _select(files: CommitFiles, commit: Commit, address: FileAddress) -> list[Entry]:
    """Return the file at an address, or all files below the directory there."""
    path = _path(address)
    found = list(_by_path(files.entries(), path).values())
    if not found:
        raise NotFoundError("file", str(address), _hint(files, commit, path))
    return found


def _hint(files: CommitFiles, commit: Commit, path: str) -> str:
    """Name the directory that is there, so that a wrong name is easily put right."""
    entries = files.entries()
    if not entries:
        return "the commit has no files"
    above = [parent for parent in parents(path) if any(each.path.startswith(parent + "/") for each in entries)]
    return f"`localpach list file {commit.repo}@{commit.branch}:{above[-1] if above else '/'}` shows what is there"


def _path(address: FileAddress) -> str:
    return clean_path(address.path or "/")
