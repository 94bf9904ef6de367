"""Does the composer repeat itself? Follows the pitches as they start and names those that would continue a loop.

`LoopWatch` names the pitch that would carry on a loop; `FigureWatch` says how much likelier or less likely the pitches
that bring back a figure are to be, when fewer or more of them return than in real music.
"""

from collections import Counter, deque

import numpy as np

from ambient.music_transformer.statistics import FIGURE_NOTES
from ambient.music_transformer.tokens import STEPS_PER_SECOND

LONGEST_PERIOD = 32  # notes
REPEATS = 3  # a figure may be heard so often; ostinati of short figures until LEAST_NOTES
LEAST_NOTES = 16


class LoopWatch:
    """Follows how long the pitches have repeated themselves, for each period at once.

    A loop is a figure of 1 to 32 notes whose pitches have come `REPEATS` times on end, over at least `LEAST_NOTES`
    notes; rhythm and velocity do not matter, because a model that is stuck still varies them.
    """

    def __init__(self) -> None:
        self._pitches: deque[int] = deque([-1] * LONGEST_PERIOD, maxlen=LONGEST_PERIOD)  # oldest first
        self._matches = np.zeros(LONGEST_PERIOD, dtype=np.int64)  # [P]; notes in a row equal to the one P before
        periods = np.arange(1, LONGEST_PERIOD + 1)
        self._enough = np.maximum((REPEATS - 1) * periods, LEAST_NOTES - periods)

    def copy(self) -> "LoopWatch":
        """Return an independent copy."""
        other = LoopWatch()
        other._pitches, other._matches = self._pitches.copy(), self._matches.copy()
        return other

    def observe(self, pitch: int) -> None:
        """Take in the pitch of the note that came."""
        before = np.array(self._pitches)[::-1]
        self._matches = np.where(before == pitch, self._matches + 1, 0)
        self._pitches.append(pitch)

    @property
    def next_pitch(self) -> int | None:
        """The pitch that would carry on the shortest loop; None while there is no loop."""
        stuck = np.flatnonzero(self._matches >= self._enough)
        return self._pitches[-1 - int(stuck[0])] if stuck.size else None


FIGURES_STEPS = 60 * STEPS_PER_SECOND
LEAST_RETURNING = 0.38  # share of figures that return within a minute: the median of real music
RETURNING = 0.5  # the most of them, whatever the primer has; a tenth of real minutes have more than 0.63
LEAST_FIGURES = 24  # a share of fewer says little
NATS = 10.0  # for each share of 1 beyond or below these


class FigureWatch:
    """Follows which figures of four pitches return within a minute, and what share of the minute's figures they are.

    A model that hears its own music wanders on without a thought that returns, or goes round in ever fewer figures. A
    share beyond `RETURNING` makes figures that were heard in the last minute less likely, one below `LEAST_RETURNING`
    makes them likelier.
    """

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=FIGURE_NOTES)
        self._heard: deque[tuple[int, tuple[int, ...]]] = deque()  # start and pitches of each figure, oldest first
        self._counts: Counter[tuple[int, ...]] = Counter()
        self._after: dict[tuple[int, ...], set[int]] = {}  # what followed three pitches
        self._returning = 0

    def copy(self) -> "FigureWatch":
        """Return an independent copy."""
        other = FigureWatch()
        other._last, other._heard = self._last.copy(), self._heard.copy()
        other._counts, other._returning = self._counts.copy(), self._returning
        other._after = {key: set(pitches) for key, pitches in self._after.items()}
        return other

    @property
    def share(self) -> float:
        """Share of the last minute's figures that come more than once in it, 0-1."""
        return self._returning / len(self._heard) if self._heard else 0.0

    def observe(self, start: int, pitch: int) -> None:
        """Take in the note that came, its start in steps."""
        self._last.append(pitch)
        if len(self._last) == FIGURE_NOTES:
            self._add(start, tuple(self._last))
        while self._heard and self._heard[0][0] <= start - FIGURES_STEPS:
            self._forget(self._heard.popleft()[1])

    def led(self) -> tuple[list[int], float]:
        """Return the pitches that would bring back a figure, and the nats that each of them is to win, or to lose."""
        nats = NATS * (max(LEAST_RETURNING - self.share, 0.0) - max(self.share - RETURNING, 0.0))
        if nats == 0 or len(self._heard) < LEAST_FIGURES:
            return [], 0.0
        return sorted(self._after.get(tuple(self._last)[1 - FIGURE_NOTES :], ())), nats

    def _add(self, start: int, figure: tuple[int, ...]) -> None:
        self._heard.append((start, figure))
        self._counts[figure] += 1
        self._returning += {1: 0, 2: 2}.get(self._counts[figure], 1)
        self._after.setdefault(figure[:-1], set()).add(figure[-1])

    def _forget(self, figure: tuple[int, ...]) -> None:
        self._counts[figure] -= 1
        self._returning -= {0: 0, 1: 2}.get(self._counts[figure], 1)
        if not self._counts[figure]:
            del self._counts[figure]
            followers = self._after[figure[:-1]]
            followers.discard(figure[-1])
            if not followers:  # or an hour of music would keep every three pitches it ever had
                del self._after[figure[:-1]]
