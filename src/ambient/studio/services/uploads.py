"""Songs on their way into the store: received, checked, refused with a reason or put, all in one commit.

What is received lies in a folder of its own, under numbers: a name that comes with a file is shown and never a path.
What a killed server leaves there is removed at the next start; the page sends it again. Requests that get no further
than the door are refused by `ambient.studio.security`.
"""

import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ambient.names import is_audio_name
from ambient.studio.store import SET_ASIDE, SONGS, LocalStore, safe_name
from ambient.without_sound import what_it_is

MOST_FILES = 500
MOST_BYTES = 2 << 30  # a file: three hours of stereo WAV
_MOST_BATCHES = 50
_MOST_NAME = 255


class UploadError(Exception):
    """An upload cannot go on; the message says what to do."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Received:
    """One file of a batch.

    Attributes:
        name: As its owner calls it.
        path: As it will be called in the repo.
        bytes: How much of it has come.
        state: `expected`, `ready`, `odd` (not put unless asked for) or `refused`.
        problem: What is odd about it, in a few words.
    """

    name: str
    path: str
    bytes: int = 0
    state: str = "expected"
    problem: str = ""
    digest: str = field(default="", repr=False)


class Uploads:
    """The batches that are being received.

    Args:
        folder: Where they lie meanwhile.
        store: Where they go.
    """

    def __init__(self, folder: Path, store: LocalStore) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder, self._store = folder, store
        self._lock = threading.Lock()
        self._batches: dict[str, list[Received]] = {}

    def begin(self, names: list[str]) -> dict[str, Any]:
        """Begin a batch; what cannot be a recording by its name is refused before a byte is sent.

        Raises:
            UploadError: too many files, or too many batches at once.
        """
        if not 0 < len(names) <= MOST_FILES:
            raise UploadError(f"{len(names)} files; send 1 to {MOST_FILES} at a time", 413)
        files = [_named(name) for name in names]
        _number_equal_paths(files)
        with self._lock:
            if len(self._batches) >= _MOST_BATCHES:
                raise UploadError("too many uploads at once; finish or cancel one first", 429)
            batch = secrets.token_hex(16)
            self._batches[batch] = files
        (self._folder / batch).mkdir()
        return self._shown(batch)

    async def receive(self, batch: str, index: int, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """Take one file in and look at what it is.

        Raises:
            UploadError: there is no such file to come, or it is too large; nothing of it is kept.
        """
        file = self._file(batch, index)
        place = self._place(batch, index)
        partial = place.with_suffix(f".{secrets.token_hex(4)}")
        digest = hashlib.blake2b(digest_size=32)
        size = 0
        try:
            with partial.open("xb") as target:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise UploadError(f"{file.name}: more than {MOST_BYTES >> 30} GiB; cut it into parts", 413)
                    target.write(chunk)
                    digest.update(chunk)
            os.replace(partial, place)
        except OSError as error:
            raise UploadError(f"{file.name}: {error.strerror or error}; free space, then send it again", 507) from error
        finally:
            partial.unlink(missing_ok=True)
        file.bytes, file.digest = size, digest.hexdigest()
        file.state, file.problem = self._look(batch, index)
        return self._shown(batch)

    def put(self, batch: str, indices: list[int]) -> dict[str, Any]:
        """Put chosen files of a batch in one commit, and forget the batch.

        Raises:
            UploadError: one of them has not come, or is refused.
        """
        files = self._files(batch)
        chosen = {index: self._file(batch, index) for index in indices}
        for file in chosen.values():
            if file.state not in ("ready", "odd"):
                raise UploadError(f"{file.name}: {file.problem or 'has not been received yet'}")
        if not chosen:
            raise UploadError("no file was chosen")
        self._store.make_chain()
        names = ", ".join(file.path for file in chosen.values())
        note = f"put {names}" if len(chosen) < 4 else f"put {len(chosen)} songs"
        places: dict[str, Path | bytes] = {file.path: self._place(batch, index) for index, file in chosen.items()}
        commit = self._store.put(SONGS, places, note=note)
        self.cancel(batch)
        return {"commit": commit, "put": len(chosen), "left_out": len(files) - len(chosen)}

    def cancel(self, batch: str) -> None:
        """Forget a batch."""
        with self._lock:
            known = self._batches.pop(batch, None)
        if known is not None:
            shutil.rmtree(self._folder / batch, ignore_errors=True)

    def _look(self, batch: str, index: int) -> tuple[str, str]:
        """Say whether a file may be put, and what is odd about it."""
        files = self._files(batch)
        file = files[index]
        if file.bytes == 0:
            return "refused", "is empty"
        kind = what_it_is(self._place(batch, index))
        if kind:
            return "refused", f"is {kind}, not a recording"
        for other in files[:index]:
            if other.digest == file.digest:
                return "odd", f"is the same recording as {other.name}"
        for repo, where in ((SONGS, ""), (SET_ASIDE, ", which is set aside")):
            same = next((each.path for each in self._store.files(repo) if each.digest == file.digest), None)
            if same:
                return "odd", f"is here already as {same}{where}"
        if any(each.path == file.path for each in self._store.files(SONGS)):
            return "odd", f"replaces the other recording called {file.path}"
        return "ready", ""

    def _shown(self, batch: str) -> dict[str, Any]:
        files = [
            {name: value for name, value in asdict(each).items() if name != "digest"} for each in self._files(batch)
        ]
        return {"id": batch, "files": files}

    def _files(self, batch: str) -> list[Received]:
        files = self._batches.get(batch)
        if files is None:
            raise UploadError("this upload is not known; the server was started anew. Send it again", 404)
        return files

    def _file(self, batch: str, index: int) -> Received:
        files = self._files(batch)
        if not 0 <= index < len(files):
            raise UploadError(f"the upload has no file {index}", 404)
        if files[index].state == "refused" and not files[index].bytes:
            raise UploadError(f"{files[index].name}: {files[index].problem}")
        return files[index]

    def _place(self, batch: str, index: int) -> Path:
        return self._folder / batch / str(index)


def _named(name: str) -> Received:
    shown = name[:_MOST_NAME]
    file = Received(shown, safe_name(shown))
    if not is_audio_name(file.path):
        file.state, file.problem = "refused", "has a name that no recording has (such as .mp3, .wav or .flac)"
    return file


def _number_equal_paths(files: list[Received]) -> None:
    """Keep apart files of one name that come from two folders."""
    seen: set[str] = set()
    for file in files:
        stem, dot, suffix = file.path.rpartition(".")
        number = 2
        while file.path in seen:
            file.path = f"{stem}-{number}{dot}{suffix}"
            number += 1
        seen.add(file.path)
