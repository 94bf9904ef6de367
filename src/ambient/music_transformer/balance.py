"""Are the notes of new music spread as those of its primer are? Hears them as they start, and balances them.

Conventions: a *value* is one of the C choices of a field of notes: a bin of gaps, a pitch, a bin of lengths or of
velocities.
"""

from collections import deque
from collections.abc import Sequence
from copy import copy
from functools import cache

import numpy as np

from ambient.music_transformer.tokens import STEPS_PER_SECOND

RECENT_STEPS = 30 * STEPS_PER_SECOND
LEAST_NOTES = 12  # of a primer, and of new music; fewer say little


class Balance:
    """Compares a field of the notes of the last 30 s, the primer's included, with that of all notes of the primer.

    Each value is drawn by the model's probability times (share of the values around it in the primer / in the last 30
    s) to a power. The mean alone would stay where it is while voices wander apart, the bass is lost, chords become
    arpeggios, or all notes become alike.

    Args:
        starts: Steps, rising, of the primer's notes.
        values: Theirs.
        near: [C, C], how much each value speaks for each other (`nearness`).
        unheard: Added to all shares: what the primer does not have is rare, not forbidden.
        strength: The power.
        most: Share of the last 30 s that one value may have, or as much as any has of the primer: what has more is
            drawn less often by as much, so that no piece gets stuck on one note.
    """

    def __init__(
        self,
        starts: Sequence[int],
        values: Sequence[int],
        *,
        near: np.ndarray,
        unheard: float,
        strength: float,
        most: float = 1.0,
    ) -> None:
        self._near, self._unheard, self._strength = near, unheard, strength
        shares = np.bincount(np.array(values, dtype=np.int64), minlength=len(near)) / max(len(values), 1)
        self._is_on = len(values) >= LEAST_NOTES
        self._wanted: np.ndarray = near @ shares
        self._most = max(most, float(shares.max()))
        self._counts = np.zeros(len(near))  # of the last 30 s
        self._around = np.zeros(len(near))  # their counts, spread as `near` says
        self._notes: deque[tuple[int, int]] = deque()
        for start, value in zip(starts, values, strict=True):
            self.observe(start, value)

    def copy(self) -> "Balance":
        """Return an independent copy."""
        other = copy(self)
        other._counts, other._around, other._notes = self._counts.copy(), self._around.copy(), self._notes.copy()
        return other

    def observe(self, start: int, value: int) -> None:
        """Take in the note that came, its start in steps."""
        self._notes.append((start, value))
        self._count(value, 1)
        while self._notes[0][0] <= start - RECENT_STEPS:
            self._count(self._notes.popleft()[1], -1)

    def nats(self) -> np.ndarray | None:
        """Return what is to be added to the logits of the values, [C]; None while there are too few notes."""
        if not self._is_on or len(self._notes) < LEAST_NOTES:
            return None
        around = np.maximum(self._around / len(self._notes), 0.0)  # rounding may leave it just below
        nats: np.ndarray = self._strength * np.log((self._wanted + self._unheard) / (around + self._unheard))
        if self._most < 1:
            nats -= np.log(np.maximum(self._counts / len(self._notes) / self._most, 1.0))
        return nats

    def _count(self, value: int, notes: int) -> None:
        self._counts[value] += notes
        self._around += notes * self._near[:, value]


@cache
def nearness(size: int, spread: float, *, apart: int = 0) -> np.ndarray:
    """Return how much each value speaks for each other, [C, C]; each column adds up to 1.

    Args:
        size: C.
        spread: Standard deviation, in values.
        apart: So many of the first values speak for themselves alone.
    """
    away = np.arange(size)[:, None] - np.arange(size)
    near = np.exp(-0.5 * (away / spread) ** 2)
    near[:apart] = near[:, :apart] = 0.0
    near[range(apart), range(apart)] = 1.0
    near /= near.sum(axis=0)
    near.flags.writeable = False
    return near
