"""What music is like in four numbers: those of a piece, and the range of them over the songs a model has learned from.

`generate` writes the range into each piece; `render` chooses a sound by both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeGuard

import numpy as np

from ambient.notes import Note

_NAMES = ("pitch", "notes_per_second", "note_s", "polyphony")
_PERCENTILES = (10, 90)
_LARGEST = 1e4


@dataclass(frozen=True, slots=True)
class Character:
    """What a piece is like.

    Attributes:
        pitch: Median pitch.
        notes_per_second: Starts a second.
        note_s: Median length of a note.
        polyphony: Mean number of notes that sound at once, while any does.
    """

    pitch: float
    notes_per_second: float
    note_s: float
    polyphony: float


@dataclass(frozen=True, slots=True)
class CharacterRange:
    """Where most of some songs lie: the numbers of `Character` as (10th percentile, 90th percentile)."""

    pitch: tuple[float, float]
    notes_per_second: tuple[float, float]
    note_s: tuple[float, float]
    polyphony: tuple[float, float]


def character_of(notes: Sequence[Note]) -> Character:
    """Describe a piece of at least one note."""
    columns = np.array([(note.start_s, note.end_s, note.pitch) for note in notes], np.float64)
    return character_of_columns(columns[:, 0], columns[:, 1], columns[:, 2])


def character_of_columns(starts_s: np.ndarray, ends_s: np.ndarray, pitches: np.ndarray) -> Character:
    """Describe a piece of at least one note; all [notes], in any order."""
    order = np.argsort(starts_s, kind="stable")
    starts_s, ends_s = starts_s[order], ends_s[order]
    last_end_s = np.maximum.accumulate(ends_s)
    silent_s = np.maximum(starts_s[1:] - last_end_s[:-1], 0.0).sum()
    sounding_s = float(last_end_s[-1] - starts_s[0] - silent_s)
    lengths_s = ends_s - starts_s
    return Character(
        pitch=float(np.median(pitches)),
        notes_per_second=len(starts_s) / max(float(starts_s[-1] - starts_s[0]), 1.0),
        note_s=float(np.median(lengths_s)),
        polyphony=float(lengths_s.sum()) / max(sounding_s, 1e-3),
    )


def character_range(songs: Iterable[Character]) -> CharacterRange:
    """Return the range of at least one song, to two decimal places."""
    table = np.array([[getattr(song, name) for name in _NAMES] for song in songs])
    low, high = np.percentile(table, _PERCENTILES, axis=0).round(2).tolist()
    return CharacterRange(*zip(low, high, strict=True))


def range_to_settings(songs: CharacterRange) -> dict[str, list[float]]:
    """Return JSON values; `settings_to_range` is the inverse."""
    return {name: list(values) for name, values in asdict(songs).items()}


def settings_to_range(settings: object) -> CharacterRange | None:
    """Read a range from JSON values; None if they are something else."""
    if not isinstance(settings, Mapping):
        return None
    found = [settings.get(name) for name in _NAMES]
    ranges = [(float(values[0]), float(values[1])) for values in found if _is_range(values)]
    return CharacterRange(*ranges) if len(ranges) == len(_NAMES) else None


def _is_range(values: object) -> TypeGuard[list[float]]:
    return (
        isinstance(values, list)
        and len(values) == 2
        and all(isinstance(value, int | float) for value in values)
        and 0 <= values[0] <= values[1] <= _LARGEST
    )
