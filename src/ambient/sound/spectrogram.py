"""Look at sound while it is made: its power over time and frequency, for the picture beside a piece.

Conventions: sound is [2, samples] float32; rows stand at equal steps of the logarithm of frequency.
"""

import numpy as np

from ambient.sound.filters import spectrum

COLUMNS, ROWS = 900, 180
LOWEST_HZ, HIGHEST_HZ = 30.0, 16_000.0
FLOOR_DB = 70.0  # below the loudest
_SIZE = 8192


def highest_hz(rate_hz: int) -> float:
    """Return the frequency of a spectrogram's last row."""
    return min(HIGHEST_HZ, 0.48 * rate_hz)


class Spectrogram:
    """Collects a picture of the sound while it is made: columns of power on a logarithmic scale of frequency.

    Args:
        rate_hz: Sample rate.
        seconds: About how long the sound will be.
    """

    def __init__(self, rate_hz: int, seconds: float) -> None:
        self.rate_hz = rate_hz
        self._hop = max(_SIZE, int(seconds * rate_hz / COLUMNS))
        self._next = 0
        self._line = np.zeros(_SIZE, np.float32)
        self._columns: list[np.ndarray] = []
        self._window = np.hanning(_SIZE).astype(np.float32)
        edges_hz = np.geomspace(LOWEST_HZ, highest_hz(rate_hz), ROWS)
        self._bins = edges_hz / rate_hz * _SIZE

    def __call__(self, sound: np.ndarray, first: int) -> None:
        """Look at the next block.

        Args:
            sound: [2, samples].
            first: Its first sample.
        """
        # A window may begin in the block before.
        self._line = np.concatenate([self._line[-_SIZE:], sound[0] + sound[1]])
        while self._next + _SIZE <= first + sound.shape[1]:
            at = self._next - first
            frame = self._line[at + _SIZE : at + 2 * _SIZE] * self._window
            power = np.square(np.abs(spectrum(frame)))
            self._columns.append(np.interp(self._bins, np.arange(len(power)), power).astype(np.float32))
            self._next += self._hop

    def picture(self) -> np.ndarray:
        """Return [rows, columns] dB below the loudest, the lowest frequency first."""
        if not self._columns:
            return np.full((ROWS, 1), -FLOOR_DB, np.float32)
        power = np.stack(self._columns, axis=1)
        return np.asarray(10 * np.log10(np.maximum(power / max(float(power.max()), 1e-20), 10 ** (-FLOOR_DB / 10))))
