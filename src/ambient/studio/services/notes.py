"""Notes as the page wants them: rows of numbers, and what a MIDI file says about itself.

Conventions: a row is [start_s, pitch, end_s, velocity], sorted by start, then pitch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ambient.midi import smf_to_piece, write_midi
from ambient.notes import Note
from ambient.piece_settings import texts_to_primer, texts_to_settings

Row = list[float]


@dataclass(frozen=True, slots=True)
class Music:
    """A MIDI file.

    Attributes:
        notes: Its notes.
        texts: Its text events.
    """

    notes: list[Note]
    texts: list[str]

    @property
    def seconds(self) -> float:
        """When its last note ends."""
        return max((note.end_s for note in self.notes), default=0.0)

    @property
    def settings(self) -> dict[str, Any]:
        """How it was composed; empty if it does not say so."""
        return texts_to_settings(self.texts) or {}

    @property
    def primer(self) -> list[Note]:
        """The end of the primer it goes on from, if it carries it."""
        return texts_to_primer(self.texts)

    @property
    def confidence(self) -> float | None:
        """How sure its transcriber was, 0-1."""
        from ambient.transcribers.transcription import texts_to_confidence  # here, because numpy comes with it

        return texts_to_confidence(self.texts)

    @property
    def confidences(self) -> list[float] | None:
        """The same for each note."""
        from ambient.transcribers.transcription import texts_to_note_confidences  # here, because numpy comes with it

        return texts_to_note_confidences(self.texts, len(self.notes))

    @property
    def heard_texts(self) -> list[str]:
        """The text events that say that it was transcribed."""
        from ambient.transcribers.transcription import is_transcription  # here, because numpy comes with it

        return [text for text in self.texts if is_transcription([text])]

    def between(self, begin_s: float, end_s: float) -> list[Note]:
        """Return the notes that start in a passage, moved so that the passage begins at 0."""
        inside = [note for note in self.notes if begin_s <= note.start_s < end_s]
        return moved(inside, -begin_s)


def read_music(path: Path, name: str) -> Music:
    """Read a MIDI file.

    Args:
        path: The file.
        name: What it is called in an error.

    Raises:
        InputError: it is no MIDI file.
    """
    piece = smf_to_piece(path.read_bytes(), source=name)
    return Music(piece.notes, piece.texts)


def rows(notes: Iterable[Note]) -> list[Row]:
    """Write notes as rows, to the millisecond."""
    return [[round(n.start_s, 3), n.pitch, round(n.end_s, 3), n.velocity] for n in notes]


def notes_of(table: Iterable[Sequence[float]]) -> list[Note]:
    """Read rows; the inverse of `rows`."""
    return [Note(start, int(pitch), end, int(velocity)) for start, pitch, end, velocity in table]


def moved(notes: Iterable[Note], by_s: float) -> list[Note]:
    """Move notes in time."""
    return [Note(max(0.0, n.start_s + by_s), n.pitch, n.end_s + by_s, n.velocity) for n in notes]


def midi_of(notes: Sequence[Note]) -> bytes:
    """Return notes as a MIDI file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "notes.mid"
        write_midi(path, list(notes), program=0, texts=[])
        return path.read_bytes()


def save(path: Path, notes: Sequence[Note], texts: Sequence[str] = ()) -> None:
    """Write a MIDI file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    write_midi(partial, list(notes), program=0, texts=list(texts))
    partial.replace(path)
