"""The calls about files."""

import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from localpach.actions import files
from localpach.actions.differences import compare
from localpach.actions.downloads import after
from localpach.actions.files import FileInfo
from localpach.actions.message import change_message, file_message
from localpach.actions.repos import find_commit
from localpach.errors import AddressError, NotFoundError, UnsupportedError
from localpach.serving.call import Call
from localpach.serving.modify import modify_file
from localpach.serving.refs import commit_address, file_address
from localpach.serving.wire import BytesValue, Method, filled, is_set, pfs
from localpach.spec.addresses import CommitAddress, FileAddress
from localpach.spec.paths import REFUSED_CHARACTERS, clean_path, parents
from localpach.storage.store import Commit

_CHUNK_BYTES = 1 << 20


def _info(each: FileInfo, commit: Commit) -> Any:
    return filled(pfs.FileInfo, file_message(each, commit))


def inspect_file(call: Call, request: Any) -> Any:
    """Describe a file or directory."""
    address = file_address(request.file)
    return _info(files.inspect_file(call.store, address), find_commit(call.store, address.commit))


def list_file(call: Call, request: Any) -> Iterator[Any]:
    """List a directory, or the directories that a glob matches."""
    address = file_address(request.file)
    commit = find_commit(call.store, address.commit)
    for each in _page(files.list_files(call.store, address), request):
        yield _info(each, commit)


def walk_file(call: Call, request: Any) -> Iterator[Any]:
    """List a file, or a directory with all that is below it, directories before what is in them."""
    address = file_address(request.file)
    commit = find_commit(call.store, address.commit)
    top = clean_path(address.path or "/")
    found = files.entries_below(call.store, commit, address)
    if not found and top != "/":
        raise NotFoundError("file", str(address))
    sizes: dict[str, FileInfo] = {}
    for entry in found:
        for above in ["/", *(f"{parent}/" for parent in parents(entry.path))]:
            if above.rstrip("/") == top.rstrip("/") or above.startswith(top.rstrip("/") + "/"):
                before = sizes.get(above)
                sizes[above] = FileInfo(above, entry.size + (before.size if before else 0))
        sizes[entry.path] = FileInfo(entry.path, entry.size, entry.digest)
    for each in _page([sizes[path] for path in sorted(sizes)], request):
        yield _info(each, commit)


def _page(found: Iterable[FileInfo], request: Any) -> list[FileInfo]:
    """Choose the part of a listing that the client asks for."""
    shown = sorted(found, key=lambda each: each.path, reverse=request.reverse)
    if is_set(request.pagination_marker):
        mark = request.pagination_marker.path
        shown = [each for each in shown if (each.path < mark if request.reverse else each.path > mark)]
    return shown[: request.number or None]


def glob_file(call: Call, request: Any) -> Iterator[Any]:
    """List the files and directories that match a glob."""
    address = commit_address(request.commit)
    commit = find_commit(call.store, address)
    lower, upper = request.path_range.lower, request.path_range.upper
    for each in files.glob_files(call.store, address, request.pattern):
        if lower <= each.path and (not upper or each.path < upper):
            yield _info(each, commit)


def diff_file(call: Call, request: Any) -> Iterator[Any]:
    """Compare a place in two commits, by default with the parent."""
    old = file_address(request.old_file) if is_set(request.old_file) and is_set(request.old_file.commit) else None
    found = compare(call.store, file_address(request.new_file), old, shallow=request.shallow)
    for each in found.changes:
        yield filled(pfs.DiffFileResponse, change_message(each, found.new, found.old))


def get_file(call: Call, request: Any) -> Iterator[Any]:
    """Give the bytes of one file, which a glob may name."""
    if request.url:
        raise UnsupportedError("GetFile to a URL", "get the file, then copy it there")
    address = _only_match(call, file_address(request.file))
    for chunk in after(files.read_file(call.store, address), request.offset):
        yield BytesValue(value=chunk)


def _has_glob(path: str) -> bool:
    return not REFUSED_CHARACTERS.isdisjoint(path)


def _only_match(call: Call, address: FileAddress) -> FileAddress:
    if not _has_glob(address.path or ""):
        return address
    found = files.glob_files(call.store, address.commit, address.path or "")
    if not found:
        raise NotFoundError("file", str(address))
    if len(found) > 1:
        raise AddressError(str(address), f"a pattern that matches one file, not {len(found)}")
    return FileAddress(address.commit, found[0].path)


def get_file_tar(call: Call, request: Any) -> Iterator[Any]:
    """Give a file, a directory, or what a glob matches, as a tar archive with the full paths in it."""
    if request.url:
        raise UnsupportedError("GetFileTAR to a URL", "get the files, then copy them there")
    address = file_address(request.file)
    commit = find_commit(call.store, address.commit)
    exact = CommitAddress(commit.repo, commit.id)
    path = address.path or "/"
    tops = [each.path for each in files.glob_files(call.store, exact, path)] if _has_glob(path) else [path]
    if not tops:
        raise NotFoundError("file", str(address))
    found = [pair for top in tops for pair in files.read_files(call.store, FileAddress(exact, top))]
    sizes = {
        each.path: each.size
        for top in tops
        for each in files.entries_below(call.store, commit, FileAddress(exact, top))
    }
    for chunk in _in_chunks(_archive(found, sizes.__getitem__)):
        yield BytesValue(value=chunk)


def _archive(found: Iterable[tuple[str, Iterator[bytes]]], size: Callable[[str], int]) -> Iterator[bytes]:
    """Write a tar archive."""
    directories: dict[str, None] = {}
    for path, content in found:
        for above in parents(path):
            if above not in directories:
                directories[above] = None
                yield _header(f"{above}/", 0)
        yield _header(path, size(path))
        yield from content
        yield bytes(-size(path) % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size
    info.type = tarfile.DIRTYPE if path.endswith("/") else tarfile.REGTYPE
    info.mode = 0o700 if path.endswith("/") else 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _in_chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Gather small parts, so that a message is worth sending."""
    gathered = bytearray()
    for part in parts:
        gathered += part
        if len(gathered) >= _CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


METHODS = {
    "ModifyFile": Method(modify_file, pfs.ModifyFileRequest, streams_in=True, streams_out=True),
    "GetFile": Method(get_file, pfs.GetFileRequest, streams_out=True),
    "GetFileTAR": Method(get_file_tar, pfs.GetFileRequest, streams_out=True),
    "InspectFile": Method(inspect_file, pfs.InspectFileRequest),
    "ListFile": Method(list_file, pfs.ListFileRequest, streams_out=True),
    "WalkFile": Method(walk_file, pfs.WalkFileRequest, streams_out=True),
    "GlobFile": Method(glob_file, pfs.GlobFileRequest, streams_out=True),
    "DiffFile": Method(diff_file, pfs.DiffFileRequest, streams_out=True),
}
