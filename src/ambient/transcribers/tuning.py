"""Hear how far a recording lies from A = 440 Hz, and how that drifts, so that a transcriber can listen in tune with it.

Conventions: S steps of about two seconds, 100 cents a semitone. The peaks of a long spectrum between 60 and 1000 Hz
are counted by how many cents they lie above the nearest note of equal temperament, louder ones for more; below 1000 Hz
because the partials of strings above are sharp. A path through these counts follows the densest place from step to step
and pays for each cent that it moves, so a recording that does not drift gets one number (docs/experiments.md). Whole
semitones cannot be told from another key: what is found lies between -52 and 48 cents.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ambient.transcribers.recording import Recording

_WINDOW_SAMPLES = 8192  # half a second: semitones at 60 Hz lie two bins apart
_WINDOWS_A_STEP = 4
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 1000.0
_RANGE_DB = 40.0  # below the loudest peak of a window nothing counts: the window's own side lobes lie there
_BLUR_CENTS = 5.0
_COST_A_CENT = 0.3  # of moving, where what is gained by a step lies between 1 (noise) and 5 (a synthesiser)
_MOST_CENTS_A_STEP = 4
_SURE = 1.4  # of the mean gain; noise and clicks reach 0.9 to 1.1, pianos in a room 2.4 and more
_LOWEST_CENTS = -52.0  # pianos that were recorded lie some cents low rather than high: eight of MAPS -6 to 0
_QUIET_SHARE = 0.1  # of the mean loudness: steps below hardly count


@dataclass(frozen=True, slots=True)
class Tuning:
    """How sharp a recording is.

    Attributes:
        cents: For each of S steps, above the nearest semitone of A = 440 Hz.
        step_s: Seconds a step.
    """

    cents: tuple[float, ...]
    step_s: float

    @property
    def mean_cents(self) -> float:
        """The mean over the recording."""
        return sum(self.cents) / len(self.cents)

    @property
    def lowest_cents(self) -> float:
        """Where it is flattest."""
        return min(self.cents)

    @property
    def highest_cents(self) -> float:
        """Where it is sharpest."""
        return max(self.cents)

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the cents at these times, between the middles of the steps along straight lines."""
        middles_s = (np.arange(len(self.cents)) + 0.5) * self.step_s
        return np.interp(times_s, middles_s, self.cents)


def constant_tuning(cents: float) -> Tuning:
    """Return the tuning of a recording that is known to be so sharp from its beginning to its end."""
    return Tuning((cents,), 1.0)


def estimate_tuning(recording: Recording) -> Tuning | None:
    """Estimate the tuning of a recording; memory grows by 25 kB a minute.

    Args:
        recording: Open.

    Returns:
        None if what is heard has no pitch that says so, as noise and silence.
    """
    counts = np.array(list(_counts(recording)))  # [S, 100]
    if not counts.any():
        return None
    path, gain = _densest_path(_gains(counts))
    if gain < _SURE:
        return None
    # The path runs on through the semitones; as a whole it belongs to the nearest one.
    path -= 100.0 * np.floor((path.mean() - _LOWEST_CENTS) / 100.0)
    return Tuning(tuple(path.tolist()), _WINDOWS_A_STEP * _WINDOW_SAMPLES / recording.rate_hz)


def _counts(recording: Recording) -> Iterator[np.ndarray]:
    """Yield for each step how loud what lies so many cents above a semitone is: [100]."""
    step_samples = _WINDOWS_A_STEP * _WINDOW_SAMPLES
    shape = np.hanning(_WINDOW_SAMPLES + 1)[:-1].astype(np.float32)
    first_bin, last_bin = (int(hz * _WINDOW_SAMPLES / recording.rate_hz) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    for first in range(0, len(recording), step_samples):
        samples = recording.read_clean(first, min(step_samples, len(recording) - first))
        windows = np.pad(samples, (0, -len(samples) % _WINDOW_SAMPLES)).reshape(-1, _WINDOW_SAMPLES)
        spectrum = np.abs(np.fft.rfft(windows * shape, axis=1))[:, first_bin - 1 : last_bin + 2]
        level = np.log(spectrum + 1e-9)
        middle = level[:, 1:-1]
        loud = middle > middle.max(axis=1, keepdims=True) - _RANGE_DB / 8.686  # dB a neper
        rows, bins = np.nonzero((middle > level[:, :-2]) & (middle >= level[:, 2:]) & loud)
        left, peak, right = (level[rows, bins + offset] for offset in range(3))
        between = 0.5 * (left - right) / (left - 2 * peak + right)  # the top of a parabola through three bins
        hz = (bins + first_bin + between) * recording.rate_hz / _WINDOW_SAMPLES
        cents = np.round(1200.0 * np.log2(hz / 440.0)).astype(int) % 100
        yield np.bincount(cents, weights=np.exp(peak), minlength=100)


def _gains(counts: np.ndarray) -> np.ndarray:
    """Return how dense each place is, 1 where all are alike, less in quiet steps: [S, 100]."""
    distance = (np.arange(100) + 50) % 100 - 50
    blur = np.exp(-0.5 * (distance / _BLUR_CENTS) ** 2)
    dense = np.fft.irfft(np.fft.rfft(counts, axis=1) * np.fft.rfft(blur / blur.sum()), n=100, axis=1)
    loudness = counts.sum(axis=1, keepdims=True)
    return 100.0 * dense / (loudness + _QUIET_SHARE * loudness.mean())


def _densest_path(gains: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the path of the highest gain, less what its moves cost.

    Returns:
        The path, [S] in cents, not kept within a semitone, and its mean gain a step.
    """
    moves = np.arange(-_MOST_CENTS_A_STEP, _MOST_CENTS_A_STEP + 1)
    best = gains[0]
    came_by = np.zeros(gains.shape, dtype=np.int8)
    for step in range(1, len(gains)):
        options = np.stack([np.roll(best, move) - _COST_A_CENT * abs(move) for move in moves])  # [moves, 100]
        chosen = options.argmax(axis=0)
        came_by[step] = moves[chosen]
        best = options.max(axis=0) + gains[step]
    path = np.empty(len(gains))
    path[-1] = best.argmax()
    for step in range(len(gains) - 1, 0, -1):
        path[step - 1] = path[step] - came_by[step, int(path[step]) % 100]
    return path, float(best.max()) / len(gains)
