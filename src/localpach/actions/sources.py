"""What is to be put, and where does it land? Files, folders, URLs, tar archives and stdin, by pachctl's rules.

Nothing from outside chooses a place of its own: every path in the repo passes `check_path`, and what is no plain file
(a device, a pipe, a link that leads nowhere, a link to a folder) is refused before anything is read. Only a link that
leads nowhere in a folder may be left out, so that it does not keep the other files of the folder from being put.
"""

import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from localpach.errors import AddressError, SourceError
from localpach.spec.addresses import FileAddress
from localpach.spec.paths import check_path, clean_path

STDIN = "-"
_NOWHERE = "is a link that leads nowhere"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_TAR_ERRORS = (tarfile.TarError, zlib.error, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be put.

    Attributes:
        path: Where in the repo.
        name: What a person calls it.
        file: The file on this machine, if it is one.
        chunks: Reads it, if it is not.
    """

    path: str
    name: str
    file: Path | None = None
    chunks: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How sources are put: the flags of `put file`.

    Attributes:
        state: The state folder, which is never put.
        leave_out: Called for each link in a folder that leads nowhere; without it such a link is refused.
    """

    recursive: bool = False
    full_path: bool = False
    untar: bool = False
    state: Path | None = None
    leave_out: Callable[[str], None] | None = None


def gather(address: FileAddress, sources: Iterable[str], options: PutOptions) -> Iterator[Source]:
    """Yield the files to be put for sources and what is below them.

    A source keeps its base name; with one source, a path in the address takes its place; with several, or a trailing
    slash, it comes before the base name.

    Raises:
        SourceError, FileNameError, AddressError: one of them cannot be put.
    """
    given = list(sources)
    for source in given:
        base = _base_name(source, full_path=options.full_path)
        place = address.path
        if place is None:
            target = base
        elif len(given) > 1 or (options.full_path if options.recursive else place.endswith("/")):
            target = f"{place}/{base}"
        else:
            target = place
        yield from _gather_one(address, source, target, options)


def _gather_one(address: FileAddress, source: str, target: str, options: PutOptions) -> Iterator[Source]:
    if source == STDIN:
        if options.recursive:
            raise SourceError("stdin", "is no directory; leave out -r")
        if address.path is None or address.path.endswith("/"):
            raise AddressError(str(address), "a path after the branch, such as repo@branch:/file, for data from stdin")
        yield Source(check_path(target), "stdin", chunks=_read_stdin)
    elif "://" in source and urlsplit(source).scheme != "file":
        if options.recursive:
            raise SourceError(source, "is a URL, which names one file; leave out -r")
        yield Source(check_path(target), source, chunks=lambda: read_url(source))
    else:
        path = _local(source)
        if _is_open_stream(path):
            yield Source(check_path(target), source, chunks=lambda: _read_stream(path))
        elif path.is_dir():
            if not options.recursive:
                raise SourceError(source, "is a directory; use -r")
            for file in _files_below(path, options.state):
                if options.leave_out is not None and file.is_symlink() and not os.path.exists(file):
                    options.leave_out(f"{file}: {_NOWHERE}")
                    continue
                yield from _gather_file(file, f"{target}/{file.relative_to(path).as_posix()}", options)
        else:
            into = f"{target}/{path.name}" if clean_path(target) == "/" else target
            yield from _gather_file(path, into, options)


def _base_name(source: str, *, full_path: bool) -> str:
    """Return the name of a source in the repo: its last element, or with `--full-path` all of it."""
    text = unquote(urlsplit(source).path) if "://" in source else source
    if full_path:
        return text
    name = PurePosixPath(text).name
    return Path(text).resolve().name if name == ".." else name  # `.` has none: what is in it goes to the top


def _local(source: str) -> Path:
    """Return the path of a source on this machine, `file://` URLs included."""
    if "://" not in source:
        return Path(source)
    parts = urlsplit(source)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(source, "names another machine; expected file:///path")
    return Path(unquote(parts.path))


def _files_below(folder: Path, state: Path | None) -> Iterator[Path]:
    """Walk the files below a folder in path order; a linked file counts as a file, a linked folder is refused.

    The state folder is left out: with `-f .` it would be put into itself.
    """

    def give_up(error: OSError) -> None:
        raise SourceError(error.filename, error.strerror or str(error)) from error

    for root, folders, names in os.walk(folder, onerror=give_up):
        folders[:] = sorted(name for name in folders if Path(root, name).resolve() != state)
        for name in folders:
            if Path(root, name).is_symlink():
                raise SourceError(Path(root, name), "is a link to a directory; put that directory by itself")
        for name in sorted(names):
            yield Path(root, name)


def _gather_file(file: Path, target: str, options: PutOptions) -> Iterator[Source]:
    _check_plain(file)
    if options.untar and file.name.endswith(_TAR_ENDINGS):
        above = clean_path(target).rpartition("/")[0]
        yield from _members(file, above)
    else:
        yield Source(check_path(target), str(file), file=file)


_OPEN_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def _is_open_stream(path: Path) -> bool:
    """Tell whether a source is what the shell gives for `<(command)`, or stdin by its other name, and no plain file."""
    return str(path).startswith(_OPEN_STREAMS) and path.exists() and not path.is_file()


def _read_stream(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _check_plain(file: Path) -> None:
    """Look at a file without opening it: opening a pipe would wait for ever.

    Raises:
        SourceError: it is not there, or no plain file.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        link = _NOWHERE if file.is_symlink() else error.strerror or str(error)
        raise SourceError(file, link) from error
    if not stat.S_ISREG(mode):
        raise SourceError(file, "is no plain file")


def _members(archive: Path, above: str) -> Iterator[Source]:
    """Yield the files of a tar archive; directories are implied, anything but a plain file is refused."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isdir():
                    continue
                name = f"{archive}: member {member.name!r}"
                if not member.isfile():
                    raise SourceError(name, "is a link or a device, not a plain file")
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    raise SourceError(name, "leads out of the archive")
                inner = "/".join(part for part in member.name.split("/") if part != ".")
                yield Source(check_path(f"{above}/{inner}"), name, chunks=_MemberReader(tar, member))
            _check_end(tar)
    except _TAR_ERRORS as error:
        raise SourceError(archive, f"cannot be read as a tar archive: {error}") from error


def _check_end(tar: tarfile.TarFile) -> None:
    """Notice an archive that ends inside a header, which tarfile takes for its end.

    Raises:
        ReadError: it does.
    """
    assert tar.fileobj is not None, "the archive is open"
    tar.fileobj.seek(tar.offset)
    if 0 < len(tar.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off")


class _MemberReader:
    """Reads one member of an archive that is open."""

    def __init__(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._tar = tar
        self._member = member

    def __call__(self) -> Iterator[bytes]:
        try:
            file = self._tar.extractfile(self._member)
            assert file is not None, "only plain files are read"
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        except _TAR_ERRORS as error:
            raise SourceError(self._tar.name, f"cannot be read as a tar archive: {error}") from error


def _read_stdin() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
        yield chunk


def read_url(url: str) -> Iterator[bytes]:
    """Yield what a URL holds; an answer that ends too early is an error."""
    from http.client import HTTPException
    from urllib.request import urlopen  # here, because it takes longer to import than a listing to run

    if urlsplit(url).scheme not in ("http", "https"):
        raise SourceError(url, "is no URL that can be read here; expected http://, https:// or file://")
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as answer:
            length = answer.headers.get("Content-Length")
            count = 0
            while chunk := answer.read(_CHUNK_BYTES):
                count += len(chunk)
                yield chunk
    except (OSError, ValueError, HTTPException) as error:
        raise SourceError(url, f"cannot be read: {getattr(error, 'reason', None) or error}") from error
    if length is not None and count != int(length):
        raise SourceError(url, f"ended after {count} of {length} bytes")


def listed(list_file: str) -> list[str]:
    """Read a list of sources, one a line: a file, a URL, or `-` for stdin.

    Raises:
        SourceError: it cannot be read.
    """
    if list_file == STDIN:
        content = b"".join(_read_stdin())
    elif "://" in list_file and urlsplit(list_file).scheme != "file":
        content = b"".join(read_url(list_file))
    else:
        path = _local(list_file)
        _check_plain(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SourceError(list_file, error.strerror or str(error)) from error
    try:
        return [line for line in content.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise SourceError(list_file, "is no UTF-8 text; expected one file a line") from error
