"""Which files of a folder go into which repo, and under what names?"""

import os
from dataclasses import dataclass
from pathlib import Path

from ambient.deployment.errors import DeployError
from ambient.errors import one_line
from ambient.folders import HIDDEN_FILES, files_in
from ambient.names import MIDI_SUFFIXES, is_audio_name, standard_names

RECORDINGS, PRIMERS = "audio-unprocessed", "seeds"


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


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds.

    Args:
        songs: In the order of their names.
        others: Relative paths of the files that are none.
        unreadable: One line for each song or folder that cannot be read, as a link to nothing.
    """

    songs: list[Song]
    others: list[str]
    unreadable: list[str]


def songs_below(folder: Path, repo: str) -> Found:
    """Find the recordings (or the MIDI primers, for the repo `seeds`) below a folder and name them.

    Args:
        folder: Is looked through with its subfolders, each once; links are followed.
        repo: `audio-unprocessed` or `seeds`.

    Raises:
        DeployError: the folder is not there, or holds no song that can be read.
    """
    if not folder.is_dir():
        raise DeployError(f"{folder}: no such folder; expected a folder of songs. Check the path")
    unreadable: list[str] = []

    def report(path: object, error: OSError, expected: str) -> None:
        unreadable.append(one_line(f"{path}: {error.strerror}; expected {expected}. Correct or remove it"))

    originals = files_in(folder, lambda error: report(error.filename, error, "a folder that can be read"))
    wanted = [original for original in originals if _belongs(original, repo)]
    kind = "MIDI files" if repo == PRIMERS else "recordings"
    if not wanted:
        raise DeployError(f"{folder}: 0 {kind}; expected at least 1. Check that their names end like {_ENDINGS[repo]}")
    songs = []
    for original, name in standard_names(wanted).items():
        try:
            songs.append(_song(name, folder / original))
        except OSError as error:
            report(folder / original, error, "a file that can be read")
    if not songs:
        raise DeployError(unreadable[0])
    return Found(
        sorted(songs, key=lambda song: song.name),
        [one_line(name) for name in sorted(set(originals) - set(wanted))],
        unreadable,
    )


_ENDINGS = {RECORDINGS: ".mp3, .wav, .flac", PRIMERS: ".mid, .midi, .kar or .rmi"}


def _belongs(original: str, repo: str) -> bool:
    if repo == PRIMERS:
        name = os.path.basename(original)
        return os.path.splitext(name)[1].lower() in MIDI_SUFFIXES and not name.startswith(HIDDEN_FILES)
    return is_audio_name(original)


def _song(name: str, path: Path) -> Song:
    """Look at a song.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb"):
        stat = path.stat()
    return Song(name, path, stat.st_size, stat.st_mtime_ns)
