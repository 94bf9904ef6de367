"""Where within its bin a time lies: notes start and end together, and rhythms return, to the hundredth of a second.

The network chooses times in bins (`fields.py`); above 400 ms a bin holds several steps. Within it a value is likely to
be one that the music already has: a gap leads to the end of a note or is as long as a gap before; a note ends where
another one ends or is as long as a note before; exactly, or nearly. Each is a guess, and a step is as likely as the
guesses say together. The share of each guess grows with each time that it tells better than the others, and a
little of it comes back each time, since music changes (fixed share: Herbster and Warmuth 1998).

Conventions: steps of 10 ms. Values come from the last `LOOK_BACK` notes (ends) and the last `REMEMBERED` (times).
"""

import numpy as np

from ambient.music_transformer.fields import BIN_WIDTHS, EDGES, Fields, steps_to_bins
from ambient.music_transformer.rows import LOOK_BACK

REMEMBERED = 512
# Of the guesses: any step, an end, a step beside one, a time before, a step beside one. What they come to on held-out
# music (docs/experiments.md).
GAP_SHARES = (0.07, 0.49, 0.14, 0.24, 0.06)
LENGTH_SHARES = (0.03, 0.56, 0.06, 0.30, 0.05)
_COMES_BACK = 0.03
_NEWNESS = 3.0 / (np.arange(REMEMBERED)[::-1] + 3.0)  # a time three notes older than the last counts half as much


class Placement:
    """What the guesses of one kind of times are worth in a piece.

    Args:
        shares: At first, [5]; they add up to 1.
    """

    def __init__(self, shares: tuple[float, ...]) -> None:
        self._first = np.array(shares)
        self._shares = self._first

    def chances(self, time_bin: int, ends: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Return how likely each step of a bin is (`steps_of`), [W].

        Args:
            time_bin: The one that the network chose.
            ends: Times that would lead to the end of a note, [M] with repeats.
            before: Such times before, oldest first, [R].
        """
        guesses, is_made = _guesses(time_bin, ends, before)
        shares = self._shares * is_made
        chances: np.ndarray = shares @ guesses / shares.sum()
        return chances

    def learn(self, steps: int, ends: np.ndarray, before: np.ndarray) -> float:
        """Learn from a time, given what `chances` was given; return what its place cost, nats."""
        steps = min(steps, int(EDGES[-1]) - 1)  # longer times have the last bin, too
        time_bin = int(steps_to_bins(np.array(steps)))
        guesses, is_made = _guesses(time_bin, ends, before)
        told = self._shares * is_made * guesses[:, steps - EDGES[time_bin]]
        chance = told.sum() / self._shares[is_made].sum()
        learned = np.where(is_made, told / chance, self._shares)
        self._shares = (1 - _COMES_BACK) * learned + _COMES_BACK * self._first
        return -float(np.log(chance))


class Placements:
    """What the music so far says of where gaps and lengths lie in their bins."""

    def __init__(self) -> None:
        self.gap, self.length = Placement(GAP_SHARES), Placement(LENGTH_SHARES)

    def learn(self, fields: Fields) -> np.ndarray:
        """Go through a piece, and return what the places of both times of each note cost before it is known, [N] nats.

        The gap of the first note is none.
        """
        nats = np.zeros(len(fields))
        gaps, lengths, ends = np.diff(fields.starts, prepend=fields.starts[:1]), fields.lengths, fields.ends
        widths = BIN_WIDTHS[steps_to_bins(gaps)], BIN_WIDTHS[steps_to_bins(lengths)]
        for note in np.flatnonzero((widths[0] > 1) | (widths[1] > 1)):
            before = slice(max(0, note - REMEMBERED), note)
            last_ends = ends[max(0, note - LOOK_BACK) : note]
            start = fields.starts[note]
            if widths[0][note] > 1:
                known = last_ends - (start - gaps[note]), gaps[1:][max(0, note - 1 - REMEMBERED) : note - 1]
                nats[note] += self.gap.learn(int(gaps[note]), *known)
            if widths[1][note] > 1:
                nats[note] += self.length.learn(int(lengths[note]), last_ends - start, lengths[before])
        return nats


def placement_nats(fields: Fields) -> np.ndarray:
    """Return what the places of both times within their bins cost, [N] nats a note."""
    return Placements().learn(fields)


def steps_of(time_bin: int) -> np.ndarray:
    """Return the steps that a bin holds, [W]."""
    return np.arange(EDGES[time_bin], EDGES[time_bin + 1])


def place(time_bin: int, chances: np.ndarray, rng: np.random.Generator) -> int:
    """Draw the steps of a time.

    Args:
        time_bin: The bin that the network chose.
        chances: Of each step of the bin, [W], up to a factor.
        rng: Draws.
    """
    cumulative = chances.cumsum()
    return int(EDGES[time_bin]) + int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def _guesses(time_bin: int, ends: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each guess says of the steps of a bin, [5, W], and which are made at all, [5] bool."""
    width = int(BIN_WIDTHS[time_bin])
    below = EDGES[time_bin] - 1
    guesses = np.zeros((5, width))
    guesses[0] = 1.0
    for row, values, weights in ((1, ends, None), (3, before, _NEWNESS[len(_NEWNESS) - len(before) :])):
        near = np.flatnonzero((values >= below) & (values < below + width + 2))  # a step beside the bin, too
        if near.size:
            counts = np.bincount(values[near] - below, None if weights is None else weights[near], width + 2)
            guesses[row] = counts[1:-1]
            guesses[row + 1] = 0.25 * counts[:-2] + 0.5 * counts[1:-1] + 0.25 * counts[2:]
    totals = guesses.sum(axis=1)
    is_made = totals > 0
    return guesses / np.maximum(totals, 1e-30)[:, None], is_made
