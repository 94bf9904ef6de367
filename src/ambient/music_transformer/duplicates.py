"""Which songs of a corpus are nearly the same music? Other editions and keys of one piece, and excerpts, count as such.

Conventions: a figure is nine notes in a row, as steps of pitch and rhythm in any key (`memorisation.py`). Two songs are
nearly the same if half of the shorter one's different figures stand in the other. In the base model's 1,015 pieces 62
are above that; the fourteen least alike are all other editions of one work, or excerpts of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.memorisation import RowHashes, note_steps
from ambient.music_transformer.records import TokenRecord

FIGURE_STEPS = 8
ENOUGH_SHARED = 0.5
LEAST_FIGURES = 32  # different ones; a piece of fewer repeats a pattern that other pieces may have too


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A song that is nearly the same music as a longer one.

    Attributes:
        index: Of the song.
        of: Index of the longer one, which is no duplicate itself.
        shared: 0-1, share of its figures that the longer one has too.
    """

    index: int
    of: int
    shared: float


def near_duplicates(records: Sequence[TokenRecord]) -> list[Duplicate]:
    """Find songs that are nearly the same as a longer one, in order of their index."""
    figures = [_figures(record) for record in records]
    songs = np.repeat(np.arange(len(records)), [each.size for each in figures])
    hashes = np.concatenate([*figures, np.zeros(0, np.uint64)])
    order = np.argsort(hashes, kind="stable")
    hashes, songs = hashes[order], songs[order]

    found = []
    stands = np.zeros(len(records), dtype=bool)  # songs that others are compared with: the longer come first
    first_of: dict[str, int] = {}  # digest -> song
    for index in sorted(range(len(records)), key=lambda i: (-figures[i].size, -records[i].tokens.size, i)):
        shared = np.zeros(len(records))
        if figures[index].size >= LEAST_FIGURES:
            shared = _hits(figures[index], hashes, songs, len(records)) * stands / figures[index].size
        twin = first_of.setdefault(records[index].digest, index)
        of = twin if twin != index else int(np.argmax(shared))
        if twin != index or shared[of] >= ENOUGH_SHARED:
            found.append(Duplicate(index, of, 1.0 if twin != index else float(shared[of])))
        else:
            stands[index] = True
    return sorted(found, key=lambda duplicate: duplicate.index)


def describe(duplicate: Duplicate, records: Sequence[TokenRecord]) -> str:
    """Return one line for people."""
    names = f"{records[duplicate.index].source} and {records[duplicate.of].source}"
    return f"{names} are nearly the same music ({duplicate.shared:.0%} of the shorter one)"


def _figures(record: TokenRecord) -> np.ndarray:
    """Return the hashes of the different figures of a song, [N] uint64."""
    fields = record.fields
    if len(fields) <= FIGURE_STEPS:
        return np.zeros(0, np.uint64)
    steps = note_steps(fields.pitches, fields.starts)
    return np.unique(RowHashes(steps).hashes(FIGURE_STEPS))


def _hits(figures: np.ndarray, hashes: np.ndarray, songs: np.ndarray, count: int) -> np.ndarray:
    """Count how many of the figures each song has, [count]; `hashes` are sorted, `songs` says whose they are."""
    begins, ends = np.searchsorted(hashes, figures, "left"), np.searchsorted(hashes, figures, "right")
    lengths = ends - begins
    places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + np.repeat(begins, lengths)
    return np.bincount(songs[places], minlength=count)
