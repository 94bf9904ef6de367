"""Does the primer keep a pulse, and where in it do its notes start? New music keeps it then.

Starts that keep a pulse add up at its frequency: the length of the mean of exp(2πi·start/period) is 1 for a machine and
small for starts that know nothing of the period. Where it is large, the primer's starts are counted by where in the
period they fall, and new notes start there too: on the beat, off it, on its thirds, as the primer does. Without it a
model that learned from many players' time smears a strict primer's within seconds.

Conventions: times are steps of 10 ms on the primer's clock; bins are those of `fields.py`.
"""

from collections import deque
from copy import copy

import numpy as np

from ambient.beat import clearness_of, find_pulse
from ambient.music_transformer.fields import BINS, EDGES
from ambient.music_transformer.tokens import STEPS_PER_SECOND

PRIMER_STEPS = 60 * STEPS_PER_SECOND  # of a primer's end; over longer times few players keep one pulse
SHORTEST, LONGEST = 12.0, 400.0  # steps: periods tried
LEAST_STARTS = 12  # different ones, of a primer and of new music
PLACES = 256  # of a period
SPREAD = 1.5  # steps, standard deviation: how exactly a start speaks for a place
ANYWHERE = 0.05  # share of the starts that may fall anywhere
RECENT_STEPS = 30 * STEPS_PER_SECOND
STRENGTH = 2.0  # exponent for each nat by which starts suit less than the primer's ...
ALLOWED = 0.1  # ... beyond this; at most 1
_FARTHEST = 1000  # steps; for longer gaps a bin holds most of a period
_AFTER = np.arange(_FARTHEST)
_REACHED = np.minimum(EDGES, _FARTHEST)
_WHOLE = EDGES[1:] <= _FARTHEST  # [BINS]


class PulseWatch:
    """Follows how well the starts of the last 30 s, the primer's included, suit the primer's pulse, and leads to it.

    A moment suits by how much denser the primer's starts are at its place of the period than anywhere; the mean
    logarithm of that says how strictly music keeps the pulse. When the last 30 s keep it less strictly than the primer,
    gaps are drawn by the model's probability times what suits, to a power that grows with what is missing.

    Args:
        starts: [N] steps, rising, of the primer's notes.
    """

    def __init__(self, starts: np.ndarray) -> None:
        moments = np.unique(starts)
        moments = moments[moments > moments[-1:] - PRIMER_STEPS]
        self.period = find_period(moments)  # steps; None where no pulse is clear
        if self.period is None:
            return
        self._places_a_step = PLACES / self.period
        away = (np.arange(PLACES)[:, None] / PLACES - moments / self.period) % 1.0
        away = np.minimum(away, 1 - away) * self.period
        near = np.exp(-0.5 * (away / SPREAD) ** 2).sum(axis=1)
        self._density = (1 - ANYWHERE) * near / near.mean() + ANYWHERE  # [PLACES], mean 1
        self._kept = float(np.log(self.suits(moments)).mean())
        self._recent: deque[tuple[int, float]] = deque()
        self._sum = 0.0  # of the logarithms of the last 30 s
        for moment in moments:
            self.observe(int(moment))

    def copy(self) -> "PulseWatch":
        """Return an independent copy."""
        other = copy(self)
        if self.period is not None:
            other._recent = self._recent.copy()
        return other

    def suits(self, moments: np.ndarray) -> np.ndarray:
        """Return how much denser starts are at moments, [...] steps, than anywhere; 1 without a pulse."""
        if self.period is None:
            return np.ones(moments.shape)
        density: np.ndarray = self._density[self._places(moments)]
        return density

    def _places(self, moments: np.ndarray) -> np.ndarray:
        """Return where in the period moments lie, 0 to `PLACES` - 1."""
        places: np.ndarray = np.rint(moments * self._places_a_step).astype(np.int64) % PLACES
        return places

    def observe(self, start: int) -> None:
        """Take in the note that came, its start in steps; those that start together count once."""
        if self.period is None or (self._recent and self._recent[-1][0] == start):
            return
        self._recent.append((start, float(np.log(self.suits(np.array(start))))))
        self._sum += self._recent[-1][1]
        while self._recent[0][0] <= start - RECENT_STEPS:
            self._sum -= self._recent.popleft()[1]

    @property
    def strength(self) -> float:
        """How strongly new starts are led, 0-1."""
        if self.period is None or len(self._recent) < LEAST_STARTS:
            return 0.0
        return min(max(STRENGTH * (self._kept - self._sum / len(self._recent) - ALLOWED), 0.0), 1.0)

    def nats(self, now: int, logits: np.ndarray) -> np.ndarray | None:
        """Return what is to be added to the logits of the gap after a moment, [BINS + 1]; None while nothing is.

        A note starts together with the one at that moment as often as without it.
        """
        strength = self.strength
        if strength <= 0:
            return None
        sums = np.concatenate([[0.0], (self._density**strength)[self._places(now + _AFTER)].cumsum()])
        factors = np.ones(BINS)
        factors[_WHOLE] = np.diff(sums[_REACHED])[_WHOLE] / np.diff(_REACHED)[_WHOLE]
        weights = np.exp(logits[1:BINS] - logits[1:BINS].max())
        factors[0] = (weights * factors[1:]).sum() / weights.sum()
        return np.append(np.log(factors), 0.0)


def find_period(moments: np.ndarray) -> float | None:
    """Return the period, in steps, that different starts [N] keep; None where none is clear."""
    if len(moments) < LEAST_STARTS or moments[-1] - moments[0] < 2 * LONGEST:
        return None
    pulse = find_pulse(moments, shortest=SHORTEST, longest=LONGEST)
    if pulse is None:
        return None
    # Frequencies were tried at this distance; minutes ask for a finer one.
    apart = 0.1 / float(moments[-1] - moments[0])
    nearby = 1 / pulse[0] + np.linspace(-apart, apart, 201)
    return float(1 / nearby[clearness_of(nearby, moments).argmax()])
