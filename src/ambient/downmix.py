"""Choose how several channels become one: by their mean, unless they would cancel each other out.

Conventions: the recording is looked at second by second. A second is lost by the mean where it has less than a fifth of
the power that unrelated channels would leave in it (two channels of opposite sign leave none, two equal ones twice as
much), and lost by a channel alone where that has less than a fifth of the average power. What loses the fewest seconds
is taken, the mean first. Seconds 40 dB softer than the loudest do not count.
"""

from collections.abc import Iterable

import numpy as np

_LOST = 0.2
_SOFT = 1e-4  # of the power of the loudest second


def choose_channel(pieces: Iterable[np.ndarray], rate_hz: int) -> int | None:
    """Listen to a recording once.

    Args:
        pieces: [samples, channels] each, in order; any scale.
        rate_hz: Their sample rate.

    Returns:
        The channel to be heard alone, from 0; None where the mean of all is right, as it nearly always is.
    """
    powers = np.array([_powers(second) for second in _seconds(pieces, rate_hz)])
    if powers.ndim != 2 or powers.shape[1] < 3:  # no sample, or one channel
        return None
    mean, channels = powers[:, 0], powers[:, 1:]
    average = channels.mean(axis=1)
    sounding = average > _SOFT * average.max()
    lost_by_mean = int((sounding & (mean < _LOST * average / channels.shape[1])).sum())
    lost_by_channel = (sounding[:, None] & (channels < _LOST * average[:, None])).sum(axis=0)
    best = int(lost_by_channel.argmin())
    return best if lost_by_channel[best] < lost_by_mean else None


def _powers(second: np.ndarray) -> np.ndarray:
    """Return the power of the mean, then of each channel."""
    mean = second.mean(axis=1)
    powers = [np.vdot(mean, mean), *np.einsum("sc,sc->c", second, second)]
    return np.asarray(powers, dtype=np.float64) / len(second)


def _seconds(pieces: Iterable[np.ndarray], rate_hz: int) -> Iterable[np.ndarray]:
    """Cut pieces of any length into seconds; the last one is shorter."""
    rest: np.ndarray | None = None
    for piece in pieces:
        whole = piece if rest is None else np.concatenate([rest, piece])
        end = len(whole) // rate_hz * rate_hz
        for first in range(0, end, rate_hz):
            yield whole[first : first + rate_hz]
        rest = whole[end:]
    if rest is not None and len(rest):
        yield rest
