"""Which files of a watched folder are left alone: hidden ones, downloads that go on, files that a program still writes.

Conventions: a name that begins with a dot is hidden, unless it ends like a recording (`.45.mp3`, `...And Justice.mp3`);
`._song.mp3` is always hidden. The endings are those of `ambient.names`, which nothing here imports; a test compares.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

_RECORDINGS = """
    mp3 mp2 mp1 mpga wav wave w64 rf64 bwf flac ogg oga opus spx m4a m4b m4r mp4 aac adts alac wma asf aiff aif aifc ape
    wv mka mkv weba webm mov avi 3gp 3ga 3g2 amr awb ac3 eac3 dts caf au snd mpc mpp tta tak dsf dff shn ra rm voc gsm
    ofr oma aa3
"""
RECORDINGS = frozenset(f".{ending}" for ending in _RECORDINGS.split())
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".aria2", ".tmp", ".temp")
_WRITING = os.O_WRONLY | os.O_RDWR


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden."""
    if not name.startswith("."):
        return False
    if name.startswith(("._", ".partial-")):
        return True
    return os.path.splitext(name)[1].lower() not in RECORDINGS and not name.startswith("..") and not name[1:2].isdigit()


def is_unfinished(name: str, beside: Collection[str]) -> bool:
    """Return whether a download goes on, by its name: its own, or what a browser puts beside it (`song.mp3.part`).

    Args:
        name: Of a file.
        beside: Names in the same folder.
    """
    return name.lower().endswith(UNFINISHED) or any(name + ending in beside for ending in UNFINISHED)


def written_now(paths: Iterable[Path]) -> set[Path]:
    """Return the files that some program has open to write to.

    Looks into `/proc`, so only on Linux, and only at programs that we may look at; elsewhere the answer is none.
    """
    asked = {identity: path for path in paths if (identity := _identity(path)) is not None}
    if not asked:
        return set()
    return {
        asked[identity]
        for place in _open_files()
        if (identity := _identity(place)) is not None and identity in asked and _is_for_writing(place)
    }


def _open_files() -> Iterable[Path]:
    try:
        programs = [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return
    for program in programs:
        folder = Path("/proc", program, "fd")
        try:
            numbers = os.listdir(folder)
        except OSError:
            continue  # it has ended, or is somebody else's
        yield from (folder / number for number in numbers)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_for_writing(place: Path) -> bool:
    try:
        text = (place.parent.parent / "fdinfo" / place.name).read_text()
    except OSError:
        return False
    flags = next((line.split()[1] for line in text.splitlines() if line.startswith("flags:")), "0")
    return bool(int(flags, 8) & _WRITING)
