"""Where are the bytes? A folder of objects named by their digest, written once, checked when read."""

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from localpach.errors import DamagedObjectError, StateError

CHUNK_BYTES = 1 << 20
_DIGEST_BYTES = 32
_ABANDONED_S = 86_400
_SYNCING_THREADS = 8  # syncs that wait together become one write of the file system's journal


class Objects:
    """A content-addressed folder: `ab/cdef…` holds the bytes whose BLAKE2b-256 digest is `abcdef…`.

    Bytes are written under a temporary name, synced and renamed, so a name never stands for half a file. What was added
    is synced and renamed by `flush`, many files together; a transaction of the store does so before it commits.
    Objects may be added by several threads at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()  # around the two below
        self._pending: dict[str, Path] = {}  # by digest: the temporary files of what is to be flushed
        self._unsynced: set[Path] = (
            set()
        )  # folders in which something was renamed, perhaps by a process that was killed
        self._flushing = threading.Lock()

    def add(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store bytes; return their digest and size."""
        temporary = self._unfinished / os.urandom(16).hex()
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        size = 0
        try:
            with _create(temporary) as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
                if size > CHUNK_BYTES:
                    file.flush()
                    os.fsync(file.fileno())  # by the thread that wrote it: others go on meanwhile
            name = digest.hexdigest()
            if not self._is_stored(name, size, temporary):
                with self._lock:
                    if name not in self._pending:
                        self._pending[name] = temporary
                        return name, size
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        temporary.unlink()
        return name, size

    def add_file(self, path: Path, *, likely_stored: bool = False) -> tuple[str, int]:
        """Store the content of a file, reading it once; return its digest and size.

        Args:
            path: The file.
            likely_stored: Read a large file twice if it has to be written, so that nothing is written if it has not.
        """
        with path.open("rb") as file:
            first = file.read(CHUNK_BYTES) or b""
            if len(first) < CHUNK_BYTES:
                digest = hashlib.blake2b(first, digest_size=_DIGEST_BYTES).hexdigest()
                return (digest, len(first)) if self._is_stored(digest, len(first), first) else self.add([first])
            if likely_stored:
                total = hashlib.blake2b(first, digest_size=_DIGEST_BYTES)
                for chunk in _chunks(file):
                    total.update(chunk)
                if self._is_stored(total.hexdigest(), file.tell(), path):
                    return total.hexdigest(), file.tell()
            file.seek(0)
            return self.add(_chunks(file))

    def flush(self) -> None:
        """Make what was added so far survive a power cut, under its final name.

        Raises:
            StateError: the disk is full or fails.
        """
        with self._flushing:
            with self._lock:
                pending, unsynced = dict(self._pending), set(self._unsynced)
            try:
                _for_all(_sync, pending.values())
                for digest, temporary in pending.items():
                    final = self._path(digest)
                    if not final.parent.exists():
                        final.parent.mkdir(exist_ok=True)
                        unsynced.add(self.folder)
                    unsynced.add(final.parent)
                    temporary.replace(final)
                    with self._lock:
                        self._unsynced.update(unsynced)
                        del self._pending[digest]
                _for_all(_sync, unsynced)
            except OSError as error:
                raise StateError(f"{error.filename or self.folder}: {error.strerror or error}") from error
            with self._lock:
                self._unsynced -= unsynced

    def close(self) -> None:
        """Remove what was added and belongs to no transaction that was committed."""
        with self._lock:
            for temporary in self._pending.values():
                temporary.unlink(missing_ok=True)
            self._pending.clear()

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of an object.

        Raises:
            DamagedObjectError: the object is missing, or its bytes (known after the last chunk) have another digest.
        """
        found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        if digest in self._pending:
            self.flush()
        try:
            with self._path(digest).open("rb") as file:
                for chunk in _chunks(file):
                    found.update(chunk)
                    yield chunk
        except FileNotFoundError:
            raise DamagedObjectError(digest, "is missing") from None
        if found.hexdigest() != digest:
            raise DamagedObjectError(digest, "is damaged: its bytes have another digest")

    def check(self, digest: str) -> None:
        """Read an object for its digest only.

        Raises:
            DamagedObjectError: it is missing or damaged.
        """
        for _ in self.read(digest):
            pass

    def copy_to(self, digest: str, path: Path) -> None:
        """Write the bytes of an object to a new file; a damaged object leaves no file."""
        try:
            with path.open("wb") as file:
                for chunk in self.read(digest):
                    file.write(chunk)
        except DamagedObjectError:
            path.unlink(missing_ok=True)
            raise

    def stored(self) -> Iterator[tuple[str, int]]:
        """Yield the digest and size of everything that lies under a final name."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            for item in os.scandir(folder):
                yield folder.name + item.name, item.stat().st_size

    def remove(self, digest: str) -> None:
        """Remove an object that nothing names."""
        self._path(digest).unlink(missing_ok=True)

    def remove_unfinished(self) -> tuple[int, int]:
        """Remove what was never finished, when nobody is storing; return the number of files and their bytes."""
        sizes = []
        for path in self._unfinished.iterdir():
            sizes.append(path.stat().st_size)
            path.unlink()
        return len(sizes), sum(sizes)

    def discard_unfinished(self) -> None:
        """Remove what killed processes left; younger files may be another process's, which is still writing."""
        for path in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _is_stored(self, digest: str, size: int, content: "bytes | Path") -> bool:
        """Return whether bytes, or those of a file, need not be written: they are there and the same.

        An object that is damaged is not the same, so putting its bytes again repairs it.
        """
        with self._lock:
            if digest in self._pending:
                return True
        path = self._path(digest)
        try:
            if path.stat().st_size != size or not _same(path, content):
                return False
        except FileNotFoundError:
            return False
        with self._lock:
            self._unsynced.add(path.parent)
        return True


def _create(path: Path) -> BinaryIO:
    """Open a new file that nobody writes to afterwards."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444), "wb")


def _same(path: Path, content: "bytes | Path") -> bool:
    with path.open("rb") as stored:
        if isinstance(content, bytes):
            return stored.read(len(content) + 1) == content
        with content.open("rb") as file:
            return all(chunk == file.read(CHUNK_BYTES) for chunk in _chunks(stored)) and not file.read(1)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _for_all(action: Callable[[Path], None], paths: Collection[Path]) -> None:
    if len(paths) < 2:
        for path in paths:
            action(path)
        return
    from concurrent.futures import ThreadPoolExecutor  # listings, which are short, do without it

    with ThreadPoolExecutor(min(_SYNCING_THREADS, len(paths))) as pool:
        for _ in pool.map(action, paths):
            pass


def _sync(path: Path) -> None:
    """Make a file, or the renames in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
