"""Which files of a folder go into which repo, and under what names?"""

import os
from dataclasses import dataclass
from pathlib import Path

from ambient.names import is_audio_name, standard_names
from deployment.errors import DeployError

RECORDINGS, PRIMERS = "audio-unprocessed", "seeds"
_MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


@dataclass(frozen=True, slots=True)
class Song:
    """A file to upload.

    Args:
        name: Its standard name, which is its name in the repo.
        path: Where it is here.
        size_bytes: How large it is.
        changed_ns: When it was changed last.
    """

    name: str
    path: Path
    size_bytes: int
    changed_ns: int


def songs_below(folder: Path, repo: str) -> tuple[list[Song], list[str]]:
    """Find the recordings (or the MIDI primers, for the repo `seeds`) below a folder and name them.

    Args:
        folder: Is looked through with its subfolders; links are followed.
        repo: `audio-unprocessed` or `seeds`.

    Returns:
        Songs in the order of their names, and the relative paths of the files that are none.

    Raises:
        DeployError: the folder is not there, holds no song, or one cannot be read.
    """
    if not folder.is_dir():
        raise DeployError(f"{folder}: no such folder; expected a folder of songs. Check the path")
    originals = _files(folder)
    wanted = [original for original in originals if _belongs(original, repo)]
    kind = "MIDI files" if repo == PRIMERS else "recordings"
    if not wanted:
        raise DeployError(f"{folder}: 0 {kind}; expected at least 1. Check that their names end like {_ENDINGS[repo]}")
    songs = [_song(name, folder / original) for original, name in standard_names(wanted).items()]
    return sorted(songs, key=lambda song: song.name), sorted(set(originals) - set(wanted))


_ENDINGS = {RECORDINGS: ".mp3, .wav, .flac", PRIMERS: ".mid, .midi, .kar or .rmi"}


def _belongs(original: str, repo: str) -> bool:
    if repo == PRIMERS:
        return original.lower().endswith(_MIDI_SUFFIXES) and not os.path.basename(original).startswith(".")
    return is_audio_name(original)


def _song(name: str, path: Path) -> Song:
    try:
        with path.open("rb"):
            stat = path.stat()
    except OSError as error:
        raise DeployError(f"{path}: {error.strerror}; expected a file that can be read. Correct or remove it") from None
    return Song(name, path, stat.st_size, stat.st_mtime_ns)


def _files(folder: Path) -> list[str]:
    """List all files below a folder as relative paths, sorted; a locked folder is an error."""

    def give_up(error: OSError) -> None:
        raise DeployError(f"{error.filename}: {error.strerror}; expected a folder that can be read. Correct its rights")

    seen: set[tuple[int, int]] = set()
    found: list[str] = []
    for root, folders, names in os.walk(folder, followlinks=True, onerror=give_up):
        stat = os.stat(root)
        if (stat.st_dev, stat.st_ino) in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        found.extend(Path(root, name).relative_to(folder).as_posix() for name in names)
    return sorted(found)
