"""The training music of a model: how much of a piece was in it already, and what to rehearse when fine-tuning.

A match is the longest passage of equal pitch and rhythm, in any key.

Conventions: a piece is a row of steps from one note start to the next, in order of start, then pitch. A step is the
difference in pitch and the class of the gap in time: together (under 30 ms), then one class for each doubling. Equal
rows of steps are equal music, whatever the key, the velocity and small changes of tempo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.music_transformer.fields import LONGEST_STEPS, Fields, notes_to_fields
from ambient.music_transformer.tokens import STEPS_PER_SECOND, seconds_to_step
from ambient.notes import Note

FILE = "training-notes.npz"  # in a model folder, written by training
TOGETHER_STEPS = 3
_GAP_CLASSES = 16
# Of each gap in steps, up to the first of the last class.
_CLASSES = np.searchsorted(TOGETHER_STEPS << np.arange(_GAP_CLASSES - 1), np.arange(50_000), side="right")
_USUAL_STEPS = 8  # with which the search for the longest passage begins: of most pieces it is not twice as long
_FILTER_BITS = 20
_FILTER = np.uint64((1 << _FILTER_BITS) - 1)
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no power of it is zero in 64 bits


@dataclass(frozen=True, slots=True)
class Match:
    """The longest passage of a piece that the training music has too.

    Attributes:
        notes: How many notes it has; 1 where nothing matches.
        seconds: How long it is in the piece.
        at_s: Where it begins in the piece.
        source: Name of the training piece.
        source_at_s: Where it begins there.
        transposed: Semitones from there to here.
    """

    notes: int
    seconds: float
    at_s: float
    source: str
    source_at_s: float
    transposed: int


class TrainingNotes:
    """The notes of the training music, to be searched and to be rehearsed.

    Args:
        names: P pieces.
        begins: [P + 1] int; notes of piece p are `begins[p]` up to, not including, `begins[p + 1]`.
        notes: All pieces one after the other, starts from the beginning of each.
        heard: [P] bool, whether a transcriber wrote the piece.
    """

    def __init__(self, names: Sequence[str], begins: np.ndarray, notes: Fields, heard: np.ndarray) -> None:
        self.names = list(names)
        self.begins, self.notes, self.heard = begins.astype(np.int64), notes, heard.astype(bool)

    @cached_property
    def _rows(self) -> "RowHashes":
        """Hashes of its steps, made when something is looked for: training only keeps the notes."""
        steps = note_steps(self.notes.pitches, self.notes.starts)
        # A step that leads from one piece into the next is like no other: no passage goes across.
        steps[self.begins[1:-1] - 1] = -2 - np.arange(max(len(self.names) - 1, 0))
        return RowHashes(steps)

    @classmethod
    def of(cls, pieces: Sequence[tuple[str, Fields, bool]]) -> "TrainingNotes":
        """Make the index of named pieces, each with whether it was heard; those without notes are left out."""
        kept = [(name, fields, heard) for name, fields, heard in pieces if len(fields)]
        parts = [Fields(f.starts - f.starts[0], f.pitches, f.lengths, f.velocities) for _, f, _ in kept]
        begins = np.cumsum([0, *(len(part) for part in parts)])
        heard = np.array([heard for _, _, heard in kept], dtype=bool)
        return cls([name for name, _, _ in kept], begins, Fields.joined([notes_to_fields([]), *parts]), heard)

    def joined(self, other: "TrainingNotes") -> "TrainingNotes":
        """Return an index of both; a fine-tuned model has heard the base model's music too."""
        return TrainingNotes(
            [*self.names, *other.names],
            np.concatenate([self.begins, other.begins[1:] + self.begins[-1]]),
            Fields.joined([self.notes, other.notes]),
            np.concatenate([self.heard, other.heard]),
        )

    def pieces(self) -> list[tuple[Fields, bool]]:
        """Return the notes of each piece, and whether it was heard."""
        bounds = zip(self.begins[:-1], self.begins[1:], self.heard, strict=True)
        return [(self.notes[begin:end], bool(heard)) for begin, end, heard in bounds]

    def longest_match(self, notes: Sequence[Note]) -> Match | None:
        """Find the longest passage that the training music has too; None if there are no two notes to compare."""
        piece = sorted(notes)
        if len(piece) < 2 or self._rows.steps.size == 0:
            return None
        pitches = np.array([note.pitch for note in piece], np.int64)
        rows = RowHashes(note_steps(pitches, np.array([seconds_to_step(note.start_s) for note in piece])))
        shortest, longest = 0, min(rows.steps.size, self._rows.steps.size)
        found, places = (0, 0), None
        while shortest < longest:  # a passage of n steps matches only where one of n - 1 does
            length = min((shortest + longest + 1) // 2, max(2 * shortest, _USUAL_STEPS))
            likely = self._likely(rows, length, places)
            at = self._shared(rows, length, likely)
            if at is None:
                longest = length - 1
            else:
                shortest, found, places = length, at, likely
        here, there = found
        source = int(np.searchsorted(self.begins, there, side="right")) - 1
        return Match(
            notes=shortest + 1,
            seconds=piece[here + shortest].start_s - piece[here].start_s,
            at_s=piece[here].start_s,
            source=self.names[source],
            source_at_s=float(self.notes.starts[there]) / STEPS_PER_SECOND,
            transposed=piece[here].pitch - int(self.notes.pitches[there]),
        )

    def _likely(self, rows: "RowHashes", length: int, places: np.ndarray | None) -> np.ndarray:
        """Return where in the index a row of so many steps may begin that is here too, sorted.

        Args:
            rows: Of the piece.
            length: Steps.
            places: Where it may begin at most; None for anywhere.
        """
        # Few of the index' rows can be equal: those whose lowest bits some row here has too.
        seen = np.zeros(1 << _FILTER_BITS, dtype=bool)
        seen[rows.hashes(length) & _FILTER] = True
        if places is None:
            return np.flatnonzero(seen[self._rows.hashes(length) & _FILTER])
        places = places[places + length <= self._rows.steps.size]
        return places[seen[self._rows.hashes(length, places) & _FILTER]]

    def _shared(self, rows: "RowHashes", length: int, places: np.ndarray) -> tuple[int, int] | None:
        """Find a row of so many steps in both: where it begins here and, at one of these places, there; or None."""
        here = rows.hashes(length)
        for index, hashed in zip(places.tolist(), self._rows.hashes(length, places), strict=True):
            for other in np.flatnonzero(here == hashed):  # equal hashes need not be equal rows
                if np.array_equal(rows.steps[other : other + length], self._rows.steps[index : index + length]):
                    return int(other), index
        return None

    def save(self, folder: Path) -> None:
        """Write the index into a model folder."""
        partial = folder / f".{FILE}.partial"
        with open(partial, "wb") as file:
            np.savez_compressed(
                file,
                names=np.array(self.names),
                begins=self.begins,
                heard=self.heard,
                pitches=self.notes.pitches.astype(np.uint8),
                starts=np.diff(self.notes.starts, prepend=0).astype(np.int32),
                lengths=np.minimum(self.notes.lengths, LONGEST_STEPS).astype(np.uint16),
                velocities=self.notes.velocities.astype(np.uint8),
            )
        partial.replace(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> "TrainingNotes | None":
        """Read the index of a model folder; None if it has none.

        Raises:
            InputError: it is damaged.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                starts = np.cumsum(stored["starts"], dtype=np.int64)
                columns = (stored[name].astype(np.int64) for name in ("pitches", "lengths", "velocities"))
                return cls(stored["names"].tolist(), stored["begins"], Fields(starts, *columns), stored["heard"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(path, f"damaged ({error})", "expected training's index", "Copy the model again") from error


def note_steps(pitches: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Turn notes, [N] pitches and [N] starts in steps of 10 ms, into [N - 1] steps, int64 from 0 up."""
    steps: np.ndarray = np.diff(pitches)
    steps += 128
    steps *= _GAP_CLASSES
    steps += _CLASSES[np.clip(np.diff(starts), 0, len(_CLASSES) - 1)]
    return steps


class RowHashes:
    """Hashes of all rows of steps of any one length, by prefix sums modulo 2^64 (Karp and Rabin, 1987).

    Args:
        steps: [N] int64.
    """

    def __init__(self, steps: np.ndarray) -> None:
        self.steps = steps
        spread = (steps.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
        spread ^= spread >> np.uint64(32)
        powers = np.cumprod(np.full(steps.size, _BASE, np.uint64))  # wraps on purpose
        self._prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum(spread * powers, dtype=np.uint64)])
        inverse = np.uint64(pow(int(_BASE), -1, 1 << 64))
        self._back = np.cumprod(np.full(steps.size, inverse, np.uint64))  # brings a row to the power of the first
        self._all: dict[int, np.ndarray] = {}  # of the lengths that were asked for; every piece begins with the same

    def hashes(self, length: int, places: np.ndarray | None = None) -> np.ndarray:
        """Hash rows of `length` steps, uint64; equal rows are equal wherever they stand.

        Args:
            length: Steps.
            places: [n], where the rows begin; by default all rows, [N - length + 1].
        """
        if places is None:
            if length not in self._all:
                rows = self._prefix[length:] - self._prefix[:-length]
                self._all[length] = rows * self._back[: rows.size]
            return self._all[length]
        rows = self._prefix[places + length] - self._prefix[places]
        return rows * self._back[places]
