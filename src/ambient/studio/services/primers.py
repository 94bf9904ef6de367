"""What a piece may go on from: a passage of a song, a piece, a sample, a file, or nothing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ambient.errors import InputError
from ambient.notes import Note
from ambient.shipped import SHIPPED_SAMPLES
from ambient.studio.services.notes import Music, moved, read_music, rows
from ambient.studio.services.pieces import Pieces
from ambient.studio.services.songs import Songs
from ambient.studio.services.takes import LONGEST_PRIMER_S, TakeError
from ambient.studio.store import SEEDS, LocalStore

MOST_MIDI_BYTES = 4 << 20
_MOST_NOTES = 20_000


@dataclass(frozen=True, slots=True)
class Primer:
    """Notes from 0 s, what they are for a person, and what their file says of itself."""

    notes: list[Note]
    label: str
    texts: list[str]

    @property
    def seconds(self) -> float:
        """When its last note ends."""
        return max((note.end_s for note in self.notes), default=0.0)


class Primers:
    """Finds primers.

    Args:
        folder: Keeps MIDI files that were sent.
        store: Has the seeds.
        songs: Have transcriptions.
        pieces: Are pieces.
    """

    def __init__(self, folder: Path, store: LocalStore, songs: Songs, pieces: Pieces) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._store, self._songs, self._pieces = folder, store, songs, pieces

    def listed(self) -> list[dict[str, Any]]:
        """Describe the samples: the files of the repo `seeds`, or where it has none those of the project."""
        listed = []
        for id_, (name, path) in self._named_samples().items():
            music = read_music(path, name)
            entry = {"id": id_, "name": name, "notes": rows(music.notes), "seconds": music.seconds}
            listed.append(entry)
        return listed

    def samples(self) -> list[tuple[str, Path]]:
        """Return name and file of each sample."""
        return list(self._named_samples().values())

    def receive(self, name: str, content: bytes) -> dict[str, Any]:
        """Take in a MIDI file.

        Raises:
            InputError: it is none, or has no notes.
        """
        id_ = hashlib.sha256(content).hexdigest()
        path = self._folder / f"{id_}.mid"
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        try:
            music = read_music(partial, name)
            if not 0 < len(music.notes) <= _MOST_NOTES:
                found = f"{len(music.notes)} notes"
                raise InputError(name, found, f"expected 1 to {_MOST_NOTES}", "Choose another file")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return {"id": id_, "name": name, "notes": rows(music.notes), "seconds": music.seconds}

    def find(self, kind: str, id_: str, begin_s: float, end_s: float | None) -> Primer:
        """Find a passage.

        Args:
            kind: `none`, `sample`, `file`, `song` or `piece`.
            id_: Of the music.
            begin_s: Where the passage begins.
            end_s: Where it ends; None for the end of the music.

        Raises:
            TakeError: there is no such music, or no notes in the passage.
        """
        if kind == "none":
            return Primer([], "nothing", [])
        music, name = self._music(kind, id_)
        last_s = music.seconds if end_s is None else end_s
        begin_s = max(begin_s, last_s - LONGEST_PRIMER_S)
        notes = music.between(begin_s, last_s)
        if not notes:
            raise TakeError(f"there are no notes in this passage of {name}; mark a longer one", 422)
        notes = moved(notes, -notes[0].start_s)
        whole = begin_s <= 0.0 and end_s is None
        label = name if whole else f"{name}, {_clock(begin_s)}–{_clock(last_s)}"
        return Primer(notes, label, music.heard_texts)

    def _music(self, kind: str, id_: str) -> tuple[Music, str]:
        if kind == "song":
            music = self._songs.music(id_)
            if music is None:
                raise TakeError("this song has not been transcribed yet; wait for the chain", 422)
            return music, self._songs.file(id_).path
        if kind == "piece":
            return read_music(self._pieces.midi(id_), "piece"), self._pieces.title(id_)
        if kind == "file":
            path = self._folder / f"{id_}.mid"
            if not id_.isalnum() or not path.exists():
                raise TakeError("this MIDI file is not here any more; choose it again", 404)
            return read_music(path, "MIDI file"), "a MIDI file"
        if id_ not in self._named_samples():
            raise TakeError("this sample is not there any more; choose another one", 404)
        name, path = self._named_samples()[id_]
        return read_music(path, name), f"sample {name}"

    def _named_samples(self) -> dict[str, tuple[str, Path]]:
        stored = {
            e.digest: (e.path.removesuffix(".mid"), self._store.place(e.digest)) for e in self._store.files(SEEDS)
        }
        shipped = sorted((SHIPPED_SAMPLES / "midi").glob("*.mid"))
        return stored or {f"shipped-{path.stem}": (path.stem, path) for path in shipped}


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
