"""Notes as rows of whole numbers and back: the unit that the composer reads and writes.

Conventions: a piece is a `Fields` of N notes sorted by start, then pitch. Times are steps of 10 ms on an absolute grid
(`step = floor(100 t + 0.5)`), velocities are the 32 bins of note-seq's performance encoding. The network sees times
as bins: each step below 400 ms is a bin of its own, from there on a bin is 5 % wider than the one before, up to five
minutes. What lies within a bin is chosen by `placement.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.tokens import (
    STEPS_PER_SECOND,
    bin_to_velocity,
    seconds_to_step,
    tokens_to_notes,
    velocity_to_bin,
)
from ambient.notes import Note

EXACT_STEPS = 40
GROWTH = 1.05
LONGEST_STEPS = 300 * STEPS_PER_SECOND


def _bin_edges() -> np.ndarray:
    edges = list(range(EXACT_STEPS + 1))
    while edges[-1] <= LONGEST_STEPS:
        edges.append(max(edges[-1] + 1, round(edges[-1] * GROWTH)))
    return np.array(edges, dtype=np.int64)


EDGES = _bin_edges()  # [BINS + 1]; bin b holds the steps from EDGES[b] up to, not including, EDGES[b + 1]
BINS = len(EDGES) - 1
BIN_WIDTHS = np.diff(EDGES)  # [BINS], steps


@dataclass(frozen=True, slots=True)
class Fields:
    """The notes of a piece as columns.

    Attributes:
        starts: [N] int64, steps, never falling.
        pitches: [N] int64, 0-127; rising among notes that start together.
        lengths: [N] int64, steps, from 1 up.
        velocities: [N] int64, bins 0-31.
    """

    starts: np.ndarray
    pitches: np.ndarray
    lengths: np.ndarray
    velocities: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, part: slice | np.ndarray) -> "Fields":
        return Fields(self.starts[part], self.pitches[part], self.lengths[part], self.velocities[part])

    @property
    def ends(self) -> np.ndarray:
        """[N] steps."""
        ends: np.ndarray = self.starts + self.lengths
        return ends

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return float(self.ends.max() - self.starts[0]) / STEPS_PER_SECOND if len(self) else 0.0

    def sorted(self) -> "Fields":
        """Return the notes sorted by start, then pitch, then length."""
        return self[np.lexsort((self.lengths, self.pitches, self.starts))]

    @classmethod
    def joined(cls, parts: "Sequence[Fields]") -> "Fields":
        """Return all notes of several parts, in their order."""
        return cls(*(np.concatenate(columns) for columns in zip(*map(_columns, parts), strict=True)))


def _columns(fields: Fields) -> tuple[np.ndarray, ...]:
    return fields.starts, fields.pitches, fields.lengths, fields.velocities


def notes_to_fields(notes: Iterable[Note]) -> Fields:
    """Put notes on the grid; a note shorter than a step gets one."""
    rows = []
    for note in notes:
        start = seconds_to_step(note.start_s)
        length = max(1, seconds_to_step(note.end_s) - start)
        rows.append((start, note.pitch, length, velocity_to_bin(note.velocity)))
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Fields(*table.T.copy()).sorted()


def fields_to_notes(fields: Fields) -> list[Note]:
    """Return the notes, sorted by start, then pitch; the inverse of `notes_to_fields` on the grid."""
    columns = zip(fields.starts, fields.pitches, fields.ends, fields.velocities, strict=True)
    return sorted(
        Note(int(start) / STEPS_PER_SECOND, int(pitch), int(end) / STEPS_PER_SECOND, bin_to_velocity(int(velocity)))
        for start, pitch, end, velocity in columns
    )


def tokens_to_fields(tokens: np.ndarray) -> Fields:
    """Read the notes off performance tokens, as TFRecords hold them."""
    return notes_to_fields(tokens_to_notes(tokens.tolist()).notes)


def steps_to_bins(steps: np.ndarray) -> np.ndarray:
    """Return the bin of each step count; what is longer than five minutes falls into the last bin."""
    bins: np.ndarray = np.searchsorted(EDGES[1:-1], steps, side="right")
    return bins
