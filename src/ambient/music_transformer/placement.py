"""Where within its bin a time lies: notes start and end together, and rhythms return, to the hundredth of a second.

The network chooses times in bins (`fields.py`); above 400 ms a bin holds several steps. Within it a value is likely to
be one that the music already has: a gap leads to the end of a sounding note or is as long as a gap before; a note ends
where a sounding note ends or is as long as a note before. Such values are candidates. With the chance `alignment` a
value is one of the candidates in its bin, each as likely as it is frequent among them; otherwise, and where there are
none, all steps of the bin are alike. The chance is measured on the training music.

Conventions: steps of 10 ms. Candidates come from the last `LOOK_BACK` notes (ends) and the last `REMEMBERED` (values).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.fields import BIN_WIDTHS, EDGES, Fields, steps_to_bins
from ambient.music_transformer.rows import LOOK_BACK

REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Alignment:
    """How often a time is one that the music already has, where its bin holds such: 0-1 for gaps and for lengths."""

    gap: float = 0.5
    length: float = 0.5

    @classmethod
    def of(cls, pieces: Sequence[Fields]) -> "Alignment":
        """Measure it on the training music."""
        shares = []
        for index in range(2):
            matched = total = 0
            for piece in pieces:
                hits, candidates = _matches(piece)[index]
                matched += int((hits[candidates > 0] > 0).sum())
                total += int((candidates > 0).sum())
            shares.append(round(matched / max(total, 1), 4))
        return cls(*shares)


def placement_nats(fields: Fields, alignment: Alignment) -> np.ndarray:
    """Return what the places of both times within their bins cost, [N] nats a note."""
    nats = np.zeros(len(fields))
    for share, (hits, candidates), steps in zip(
        (alignment.gap, alignment.length), _matches(fields), (_gaps(fields), fields.lengths), strict=True
    ):
        width = BIN_WIDTHS[steps_to_bins(steps)]
        with_candidates = share * hits / np.maximum(candidates, 1) + (1 - share) / width
        chance = np.where(candidates > 0, with_candidates, 1 / width)
        nats += np.where(width > 1, -np.log(np.maximum(chance, 1e-9)), 0.0)
    return nats


def steps_of(time_bin: int) -> np.ndarray:
    """Return the steps that a bin holds."""
    return np.arange(EDGES[time_bin], EDGES[time_bin + 1])


def place(
    time_bin: int,
    candidates: np.ndarray,
    alignment: float,
    rng: np.random.Generator,
    suits: np.ndarray | None = None,
) -> int:
    """Draw the steps of a time.

    Args:
        time_bin: The bin that the network chose.
        candidates: Steps that the music suggests, [M] with repeats.
        alignment: 0-1, how often one of them is taken where there are any in the bin.
        rng: Draws.
        suits: How well each step of the bin (`steps_of`) suits, above 0; None if all do alike.
    """
    low, high = int(EDGES[time_bin]), int(EDGES[time_bin + 1])
    if high - low == 1:
        return low
    fitting = candidates[(candidates >= low) & (candidates < high)]
    chances = np.full(high - low, (1 - alignment if fitting.size else 1.0) / (high - low))
    if fitting.size:
        chances += alignment * np.bincount(fitting - low, minlength=high - low) / fitting.size
    if suits is not None:
        chances *= suits
    cumulative = chances.cumsum()
    return low + int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def _gaps(fields: Fields) -> np.ndarray:
    return np.diff(fields.starts, prepend=fields.starts[:1])


def _matches(fields: Fields) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for gaps and lengths how many candidates in the bin equal the value, and how many there are: [N] each."""
    count = len(fields)
    gaps = _gaps(fields)
    back = np.arange(count)[:, None] - 1 - np.arange(LOOK_BACK)[None, :]  # [N, L] the notes before
    ends = np.where(back >= 0, fields.ends[np.maximum(back, 0)], -1)
    before = fields.starts - gaps  # start of the note before
    results = []
    for values, origin in ((gaps, before), (fields.lengths, fields.starts)):
        from_ends = ends - origin[:, None]
        recent = np.where(back[:, :REMEMBERED] >= 0, values[np.maximum(back[:, :REMEMBERED], 0)], -1)
        candidates = np.concatenate([from_ends, recent], axis=1)  # [N, L + R]
        bins = steps_to_bins(values)
        low, high = EDGES[bins][:, None], EDGES[bins + 1][:, None]
        fitting = (candidates > 0) & (candidates >= low) & (candidates < high) & (high - low > 1)
        results.append((((candidates == values[:, None]) & fitting).sum(axis=1), fitting.sum(axis=1)))
    return results
