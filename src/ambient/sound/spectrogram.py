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
        bins = np.geomspace(LOWEST_HZ, highest_hz(rate_hz), ROWS) / rate_hz * _SIZE
        self._below = bins.astype(np.intp)
        self._share_above = (bins - self._below).astype(np.float32)

    def __call__(self, sound: np.ndarray, first: int) -> None:
        """Look at the next block.

        Args:
            sound: [2, samples] float32, or whole numbers of 24 bits.
            first: Its first sample.
        """
        # A window may begin in the block before.
        line = np.empty(_SIZE + sound.shape[1], np.float32)
        line[:_SIZE] = self._line
        np.add(sound[0], sound[1], out=line[_SIZE:])
        self._line = line[-_SIZE:]
        begins = range(self._next - first + _SIZE, sound.shape[1] + 1, self._hop)
        self._next += len(begins) * self._hop
        if begins:
            lines = spectrum(np.stack([line[at : at + _SIZE] for at in begins]) * self._window)  # [windows, bins]
            below, above = (
                np.square(z.real) + np.square(z.imag) for z in (lines[:, self._below], lines[:, self._below + 1])
            )
            self._columns.extend(below + (above - below) * self._share_above)

    def picture(self) -> np.ndarray:
        """Return [rows, columns] dB below the loudest, the lowest frequency first."""
        if not self._columns:
            return np.full((ROWS, 1), -FLOOR_DB, np.float32)
        power = np.stack(self._columns, axis=1)
        return np.asarray(10 * np.log10(np.maximum(power / max(float(power.max()), 1e-20), 10 ** (-FLOOR_DB / 10))))
