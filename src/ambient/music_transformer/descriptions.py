"""What the music is like around each note: five local descriptions that the composer reads, and people can change.

Conventions: the description at a note looks ahead, from the note's start over the next 15 s (less where the piece ends,
at least 5 s). Values are given to the network as twenty bins between percentiles of the base model's training music,
each note weighing the time until the next; bin 0 means that nothing is said. Bins are finer towards both ends: ambient
music is sparser, slower and softer than nine tenths of keyboard music, and no less varied.
"""

from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.config import DESCRIPTIONS
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.tokens import STEPS_PER_SECOND

NAMES = tuple(DESCRIPTIONS)
WINDOW_STEPS = 15 * STEPS_PER_SECOND
LEAST_STEPS = 5 * STEPS_PER_SECOND
LEVELS = (1, 2, 4, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 96, 98, 99)  # percentiles between the bins
DESCRIPTION_BINS = len(LEVELS) + 1
UNKNOWN = 0
POSITIONS = np.arange(len(LEVELS)) + 1.5  # of the edges: the bin below goes up to there
TIE = 1e-9  # by which edges that coincide are told apart


def describe(fields: Fields) -> np.ndarray:
    """Measure what follows each note.

    Returns:
        [N, 5] float64: starts a second, mean MIDI pitch, mean number of sounding notes, mean velocity bin, mean length
        of a note as log2 of seconds. Rows within 5 s of the end of the last note are NaN.
    """
    starts, ends = fields.starts, fields.ends
    if not len(fields):
        return np.zeros((0, len(NAMES)))
    closes = np.minimum(starts + WINDOW_STEPS, ends.max())
    first, last = np.searchsorted(starts, starts, side="left"), np.searchsorted(starts, closes, side="left")
    last = np.maximum(last, np.arange(len(starts)) + 1)
    count = last - first
    seconds = np.maximum(closes - starts, 1) / STEPS_PER_SECOND
    sounded = _sounded_before(starts, ends, closes) - _sounded_before(starts, ends, starts)
    columns = (
        count / seconds,
        _mean(fields.pitches, first, last),
        sounded / STEPS_PER_SECOND / seconds,
        _mean(fields.velocities, first, last),
        _mean(np.log2(fields.lengths / STEPS_PER_SECOND), first, last),
    )
    values = np.stack(columns, axis=1)
    values[closes - starts < LEAST_STEPS] = np.nan
    return values


def describe_stretch(fields: Fields, begin: int, end: int) -> np.ndarray:
    """Measure the notes that start from one step up to, not including, another: [5] as in `describe`; NaN of none."""
    seconds = (end - begin) / STEPS_PER_SECOND
    within = (fields.starts >= begin) & (fields.starts < end)
    if not within.any() or seconds <= 0:
        return np.full(len(NAMES), np.nan)
    sounded = np.clip(np.minimum(fields.ends, end) - np.maximum(fields.starts, begin), 0, None).sum()
    return np.array(
        [
            within.sum() / seconds,
            fields.pitches[within].mean(),
            sounded / STEPS_PER_SECOND / seconds,
            fields.velocities[within].mean(),
            np.log2(fields.lengths[within] / STEPS_PER_SECOND).mean(),
        ]
    )


def _mean(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    mean: np.ndarray = (sums[last] - sums[first]) / (last - first)
    return mean


def _sounded_before(starts: np.ndarray, ends: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return how many steps all notes together sounded before each moment, [M]."""
    total = np.zeros(len(moments))
    for edges, sign in ((np.sort(starts), 1.0), (np.sort(ends), -1.0)):
        sums = np.concatenate([[0.0], np.cumsum(edges, dtype=np.float64)])
        before = np.searchsorted(edges, moments, side="right")
        total += sign * (before * moments - sums[before])
    return total


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Where the bins of each description begin in the base model's training music.

    Attributes:
        edges: [5, 19] rising: the percentiles `LEVELS` of each description.
    """

    edges: np.ndarray

    @classmethod
    def of(cls, pieces: list[Fields]) -> "Percentiles":
        """Measure the training music; a second of sparse music counts as much as one of dense music."""
        values = [describe(piece) for piece in pieces]
        weights = [np.diff(piece.starts, append=piece.starts[-1:]) for piece in pieces]
        table, weight = np.concatenate(values), np.concatenate(weights).astype(np.float64)
        known = np.isfinite(table[:, 0])
        table, weight = table[known], np.minimum(weight[known], WINDOW_STEPS)
        wanted = np.array(LEVELS) / 100
        edges = []
        for column in table.T:
            order = np.argsort(column, kind="stable")
            share = np.cumsum(weight[order]) / max(weight.sum(), 1e-9)
            edges.append(column[order][np.minimum(np.searchsorted(share, wanted), len(order) - 1)])
        return cls(np.array(edges))

    def bins(self, values: np.ndarray) -> np.ndarray:
        """Return [N, 5] bins from 1 to 20, `UNKNOWN` where a value is NaN."""
        found = np.stack(
            [np.searchsorted(edge, column, side="right") for edge, column in zip(self.edges, values.T, strict=True)],
            axis=1,
        )
        return np.where(np.isfinite(values), found + 1, UNKNOWN)

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Return [N, 5] bins with where in them a value lies: 2.5 to 3.5 is bin 3; `UNKNOWN` where a value is NaN.

        What lies beyond the outermost edges is at 1 and 20.
        """
        # Edges may coincide (scores have one velocity); a value there is in the highest bin that begins with it.
        rising = self.edges - TIE * np.arange(len(LEVELS))[::-1]
        columns = zip(rising, values.T, strict=True)
        found = np.stack([np.interp(column, edge, POSITIONS, 1, DESCRIPTION_BINS) for edge, column in columns], axis=1)
        return np.where(np.isfinite(values), found, UNKNOWN)

    @staticmethod
    def position_of(percentile: float) -> float:
        """Return the bin, 1 to 20, that a percentile from 0 to 100 falls into, and where in it, as `positions` does."""
        return float(np.interp(percentile, (0, *LEVELS, 100), (1, *POSITIONS, DESCRIPTION_BINS)))
