"""Does the music go round in circles? Hears the pitches as they start and names the one that would carry on a loop."""

from collections import deque

import numpy as np

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
