"""Where do results go besides their repo? To the folder of a `file://` URL, after each job that succeeds."""

import hashlib
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from localpach.errors import DamagedObjectError, EgressError
from localpach.storage.objects import Objects
from localpach.storage.trees import Entry

_TRIES = 3
_PAUSE_S = 0.2
_CHUNK_BYTES = 1 << 20


def push(url: str, entries: Iterable[Entry], objects: Objects) -> None:
    """Write files to the folder of a URL; each appears there whole, and what is there besides stays.

    Raises:
        EgressError: a file cannot be written, at the third try either, or its bytes are damaged.
    """
    folder = folder_of(url)
    for entry in entries:
        for tries_left in reversed(range(_TRIES)):
            try:
                _write(entry, folder, objects)
                break
            except DamagedObjectError as error:
                raise EgressError(url, f"{entry.path}: {error}") from error
            except OSError as error:
                if not tries_left:
                    raise EgressError(url, f"{error.filename or entry.path}: {error.strerror or error}") from error
                time.sleep(_PAUSE_S)


def folder_of(url: str) -> Path:
    """Return the folder of a URL such as `file:///home/me/results`."""
    return Path(unquote(urlsplit(url).path))


def _write(entry: Entry, folder: Path, objects: Objects) -> None:
    path = folder / entry.path[1:]
    if _is_there(path, entry):  # a run that was interrupted does not write all again
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        objects.copy_to(entry.digest, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_there(path: Path, entry: Entry) -> bool:
    """Return whether a file holds these bytes already."""
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    found = hashlib.blake2b(digest_size=len(entry.digest) // 2)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest() == entry.digest
