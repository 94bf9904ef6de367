"""How do files of a repo come to this machine? Written under a temporary name and renamed, never outside the target."""

import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from localpach.actions.files import read_file, read_files
from localpach.errors import LocalpachError
from localpach.spec.addresses import FileAddress
from localpach.spec.paths import check_path, clean_path
from localpach.storage.store import Store


class TargetError(LocalpachError):
    """Files cannot be written to a place."""

    def __init__(self, target: Path, problem: str) -> None:
        super().__init__(f"{target}: {problem}")


def get_files(store: Store, address: FileAddress, target: Path, *, recursive: bool = False) -> list[Path]:
    """Write a file to `target`, or with `recursive` what is below a directory into the folder `target`.

    Returns:
        The files written.

    Raises:
        TargetError: a symbolic link in the folder leads elsewhere.
    """
    if not recursive:
        name = PurePosixPath(clean_path(address.path or "/")).name
        destination = target / name if target.is_dir() else target
        get_bytes(destination, read_file(store, address))
        return [destination]
    top = clean_path(address.path or "/").rstrip("/")
    written = []
    for path, chunks in read_files(store, address):
        below = path[len(top) :].lstrip("/") or PurePosixPath(path).name
        destination = _make_way(target, check_path(below))
        _replace(destination, chunks)
        written.append(destination)
    return written


def get_bytes(destination: Path, chunks: Iterable[bytes]) -> None:
    """Write a file; a device or a pipe, such as `/dev/stdout`, is written to, not replaced."""
    if destination.exists() and not destination.is_file():
        with destination.open("wb") as file:
            file.writelines(chunks)
    else:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _replace(destination, chunks)


def get_rest(store: Store, address: FileAddress, target: Path) -> None:
    """Append to a file what it lacks of one in a repo, after a `get file` that was cut off."""
    if not target.is_file():
        get_files(store, address, target)
        return
    with target.open("ab") as file:
        file.writelines(after(read_file(store, address), target.stat().st_size))


def after(chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """Leave out the first bytes."""
    for chunk in chunks:
        yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _make_way(folder: Path, path: str) -> Path:
    """Make the folders above a path below a folder, none of which may be a link that leads elsewhere."""
    here = folder
    here.mkdir(parents=True, exist_ok=True)
    *above, name = path.strip("/").split("/")
    for element in above:
        here /= element
        if here.is_symlink():
            raise TargetError(
                here, "is a symbolic link, and nothing is written through it; remove it or use another -o"
            )
        here.mkdir(exist_ok=True)
    return here / name


def _replace(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file under a temporary name and rename it, so that damaged bytes leave nothing; a link is replaced."""
    partial = path.with_name(f".partial-{uuid.uuid4().hex}")
    try:
        with partial.open("xb") as file:
            file.writelines(chunks)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
