"""Where are the bytes? A folder of objects named by their digest, written once, checked when read."""

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from localpach.errors import DamagedObjectError

_CHUNK_BYTES = 1 << 20
_DIGEST_BYTES = 32
_ABANDONED_S = 86_400


class Objects:
    """A content-addressed folder: `ab/cdef…` holds the bytes whose BLAKE2b-256 digest is `abcdef…`.

    Bytes are written under a temporary name, synced and renamed, so a name never stands for half a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)

    def add(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store bytes; give their digest and size."""
        temporary = self._unfinished / uuid.uuid4().hex
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        size = 0
        try:
            with temporary.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
                name = digest.hexdigest()
                final = self._path(name)
                if not self._is_whole(name, size):  # bytes that are there already are not written again
                    file.flush()
                    os.fsync(file.fileno())
                    final.parent.mkdir(exist_ok=True)
                    temporary.chmod(0o444)
                    temporary.replace(final)
                    _sync_folder(final.parent)
            return name, size
        finally:
            temporary.unlink(missing_ok=True)

    def add_file(self, path: Path) -> tuple[str, int]:
        """Store the content of a file; one that is stored already is read but not written."""
        with path.open("rb") as file:
            digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
            size = 0
            for chunk in _chunks(file):
                digest.update(chunk)
                size += len(chunk)
            if self._is_whole(digest.hexdigest(), size):
                return digest.hexdigest(), size
            file.seek(0)
            return self.add(_chunks(file))

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of an object.

        Raises:
            DamagedObjectError: the object is missing, or its bytes (known after the last chunk) have another digest.
        """
        found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
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

    def discard_unfinished(self) -> None:
        """Remove what killed processes left; younger files may be another process's, which is still writing."""
        for path in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _is_whole(self, digest: str, size: int) -> bool:
        """Tell whether an object is there and undamaged; one that is not is written again, which repairs it."""
        try:
            if self._path(digest).stat().st_size != size:
                return False
            self.check(digest)
        except (FileNotFoundError, DamagedObjectError):
            return False
        return True


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
