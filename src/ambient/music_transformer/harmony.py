"""Does new music stay in its primer's harmony? Hears the pitches as they start, and says which ones lead away."""

from collections import deque

import numpy as np

from ambient.music_transformer.tokens import PITCHES, STEPS_PER_SECOND

CLASSES = 12
RECENT_STEPS = 30 * STEPS_PER_SECOND
LEAST_NOTES = 12  # of a primer; fewer name no harmony
UNHEARD = 0.02  # added to all shares: what the primer does not have is rare, not forbidden
STRENGTH = 10.0  # exponent for each distance of 1 beyond what is allowed
MOST_STRENGTH = 1.5


class HarmonyWatch:
    """Compares the pitch classes of the last 30 s, the primer's included, with those of the whole primer.

    Their distance is 1 - the cosine of the two histograms; minutes of real pieces are a median of 0.07 from the 30 s
    before them. Beyond `most` each pitch is drawn by the model's probability times (share of its class in the primer /
    in the last 30 s) to a power that grows with the distance: so the music comes back, and loses no pitch class.

    Args:
        starts: Steps, rising, of the primer's notes.
        pitches: Theirs.
        most: Distance up to which nothing is changed; from 1 on nothing ever is.
    """

    def __init__(self, starts: list[int], pitches: list[int], most: float) -> None:
        self.most = most
        self._shares = np.bincount(np.array(pitches, dtype=np.int64) % CLASSES, minlength=CLASSES).astype(np.float64)
        self._is_on = most < 1 and len(pitches) >= LEAST_NOTES
        self._shares /= max(self._shares.sum(), 1.0)
        self._recent = np.zeros(CLASSES)
        self._notes: deque[tuple[int, int]] = deque()
        for start, pitch in zip(starts, pitches, strict=True):
            self.observe(start, pitch)

    def copy(self) -> "HarmonyWatch":
        """Return an independent copy."""
        other = HarmonyWatch([], [], self.most)
        other._shares, other._is_on = self._shares, self._is_on
        other._recent, other._notes = self._recent.copy(), self._notes.copy()
        return other

    @property
    def distance(self) -> float:
        """How far the last 30 s are from the primer, 0-1; 0 without a primer."""
        lengths = float(np.linalg.norm(self._shares) * np.linalg.norm(self._recent))
        return 1 - float(self._shares @ self._recent) / lengths if lengths else 0.0

    def observe(self, start: int, pitch: int) -> None:
        """Take in the note that came, its start in steps."""
        self._notes.append((start, pitch % CLASSES))
        self._recent[pitch % CLASSES] += 1
        while self._notes[0][0] <= start - RECENT_STEPS:
            self._recent[self._notes.popleft()[1]] -= 1

    def nats(self) -> np.ndarray | None:
        """Return what is to be added to the logits of the pitches, [128]; None while nothing is."""
        if not self._is_on:
            return None
        strength = min(STRENGTH * (self.distance - self.most), MOST_STRENGTH)
        if strength <= 0:
            return None
        recent = self._recent / self._recent.sum()
        by_class = strength * np.log((self._shares + UNHEARD) / (recent + UNHEARD))
        nats: np.ndarray = by_class[np.arange(PITCHES) % CLASSES]
        return nats
