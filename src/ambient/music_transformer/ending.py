"""Bring a piece to its end, where it would stop in the middle of a phrase.

The network has learned where pieces end. So a piece is cut back to the moment, near its length, at which it finds an
end likeliest. Up to there the music slows down as performers do, and the last chord rings.

Conventions: times are steps of 10 ms.
"""

from collections.abc import Sequence

import numpy as np

from ambient.music_transformer.fields import Fields
from ambient.music_transformer.sounding import ENDING_STEPS
from ambient.music_transformer.tokens import STEPS_PER_SECOND

LOOK_BACK_STEPS = 15 * STEPS_PER_SECOND  # from the last note, for an end ...
LOOK_BACK_SHARE = 1 / 12  # ... or as much of the new music, if that is less
SLOWING_STEPS = 8 * STEPS_PER_SECOND  # at most
LAST_TEMPO = 0.5  # of the tempo before
BRAKING = 3  # q of Friberg and Sundberg
RING_STEPS = 3 * STEPS_PER_SECOND
TOGETHER_STEPS = 3


def ended(new: Fields, begin: int, end_nats: Sequence[float]) -> Fields:
    """End a piece.

    Args:
        new: Its N new notes.
        begin: Where they begin.
        end_nats: [N], how likely the piece ended before each of them, as logarithms.
    """
    reach = min(LOOK_BACK_STEPS, int((new.starts[-1] - begin) * LOOK_BACK_SHARE))
    new = new[: _last_note(new, end_nats, reach) + 1]
    last = int(new.starts[-1])
    chord = new.starts >= last - TOGETHER_STEPS
    rung = max(int(new.ends[chord].max()), last + RING_STEPS)
    # What sounds on under the last chord ends with it, drones too.
    ends = np.where(chord | (new.ends > last + ENDING_STEPS), rung, new.ends)
    slowing = min(SLOWING_STEPS, reach)
    starts, ends = (_slowed(times, last - slowing, last) for times in (new.starts, ends))
    return Fields(starts, new.pitches, ends - starts, new.velocities)


def _last_note(new: Fields, end_nats: Sequence[float], reach: int) -> int:
    """Return which note is to be the last: where an end is likeliest, of those that no other starts together with."""
    stands_apart = np.diff(new.starts) > TOGETHER_STEPS
    is_late = new.starts[:-1] >= new.starts[-1] - reach
    likely = np.where(stands_apart & is_late, end_nats[1:], -np.inf)  # after each note but the last
    return int(likely.argmax()) if np.isfinite(likely).any() else len(new) - 1


def _slowed(times: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return times with those from `first` on drawn out up to `last`, and what comes later moved by as much.

    A final ritardando is like a runner who stops: at x of the way, 0-1, the tempo is (1 + (w^q - 1) x)^(1/q), w the
    last one (Friberg and Sundberg 1999, J. Acoust. Soc. Am. 105, 1469-1484). The integral of its inverse is the time.
    """
    if last <= first:
        return times
    way = np.clip((times - first) / (last - first), 0.0, 1.0)
    fall = LAST_TEMPO**BRAKING - 1
    power = 1 - 1 / BRAKING
    passed = ((1 + fall * way) ** power - 1) / (power * fall)
    slowed = np.where(times > first, first + passed * (last - first) + np.maximum(times - last, 0), times)
    return np.asarray(np.rint(slowed), dtype=np.int64)
