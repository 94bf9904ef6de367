"""Read a recording at another rate, piece by piece: for transcribers that listen to more than 16 kHz.

Conventions: windowed sinc over 32 samples of the slower of the two rates, Kaiser window of 9: passes up to 90 % of what
the slower rate can hold within 0.1 dB and stops what it cannot hold by 80 dB. Beyond its ends a recording is silent.
"""

import math
from functools import lru_cache

import numpy as np

from ambient.transcribers.recording import Recording

_HALF_WIDTH = 16  # zero crossings of the sinc to each side
_KAISER_BETA = 9.0
_SAMPLES_A_PIECE = 1 << 16


class Resampled:
    """A recording as it would be at another rate.

    Args:
        recording: Open.
        rate_hz: The rate to read it at.
    """

    def __init__(self, recording: Recording, rate_hz: int) -> None:
        divisor = math.gcd(recording.rate_hz, rate_hz)
        self._recording = recording
        self._up, self._down = rate_hz // divisor, recording.rate_hz // divisor
        self._taps = _filters(self._up, self._down)  # [up, taps]

    def __len__(self) -> int:
        return -(-len(self._recording) * self._up // self._down)

    def read(self, first: int, count: int) -> np.ndarray:
        """Return samples `first` to `first + count`, not included, as [count] float32; beyond the ends zeros."""
        pieces = [
            self._read(start, min(_SAMPLES_A_PIECE, first + count - start))
            for start in range(first, first + count, _SAMPLES_A_PIECE)
        ]
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)

    def _read(self, first: int, count: int) -> np.ndarray:
        at = np.arange(first, first + count, dtype=np.int64) * self._down
        nearest, phase = at // self._up, at % self._up
        width = self._taps.shape[1]
        begin, end = int(nearest[0]) - width // 2 + 1, int(nearest[-1]) + width // 2 + 1
        inside_begin, inside_end = max(begin, 0), min(end, len(self._recording))
        if inside_begin >= inside_end:
            return np.zeros(count, dtype=np.float32)
        samples = self._recording.read(inside_begin, inside_end - inside_begin)
        padded = np.pad(samples, (inside_begin - begin, end - inside_end))
        windows = np.lib.stride_tricks.sliding_window_view(padded, width)[nearest - nearest[0]]  # [count, taps]
        return np.einsum("nt,nt->n", windows, self._taps[phase])


@lru_cache(maxsize=4)
def _filters(up: int, down: int) -> np.ndarray:
    """Return for each phase what the samples around it contribute: [up, taps] float32."""
    cutoff = min(1.0, up / down)  # of the rate that is read
    half = math.ceil(_HALF_WIDTH / cutoff)
    offsets = np.arange(-half + 1, half + 1)  # of the samples, from the nearest one before
    distance = offsets[None, :] - np.arange(up)[:, None] / up  # [up, taps]
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (distance / half) ** 2))) / np.i0(_KAISER_BETA)
    taps = cutoff * np.sinc(cutoff * distance) * window
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
