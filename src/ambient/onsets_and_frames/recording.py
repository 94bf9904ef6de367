"""Read WAV files piece by piece as mono float samples: the one door to their bytes.

Conventions: 16-bit samples are divided by 32767, as magenta's reader does; the whole recording's level is set later, so
the scale of the other widths does not matter. Channels are averaged.
"""

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from ambient.errors import InputError
from ambient.onsets_and_frames.config import SAMPLE_RATE_HZ

_REMEDY = "Convert it with python3 -m stages.to_wav"
_SAMPLES_A_PIECE = 1 << 19
_RIFF_BYTES = 8  # wave counts from after the outermost chunk's name and length
_FULL_SCALE = {1: 127.0, 2: 32767.0, 3: 8388607.0, 4: 2147483647.0}  # by bytes a sample


@dataclass(frozen=True, slots=True)
class _Shape:
    channels: int
    width: int
    samples: int  # that are really there


class Recording:
    """An open WAV file of 16 kHz; a context manager.

    A file that ends before its header says is read as far as it goes; `missing_samples` tells how much is not there.

    Args:
        path: PCM of 8, 16, 24 or 32 bits, any number of channels.

    Raises:
        InputError: not a PCM WAV file, or of another rate.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._reader = wave.open(str(path), "rb")  # noqa: SIM115 - closed by __exit__
        except (wave.Error, EOFError, OSError) as error:
            reason = str(error) or "it ends within its header"
            raise InputError(path, f"not a PCM WAV file ({reason})", "expected 16 kHz PCM WAV", _REMEDY) from error
        width, rate_hz = self._reader.getsampwidth(), self._reader.getframerate()
        if rate_hz != SAMPLE_RATE_HZ or width not in _FULL_SCALE:
            self._reader.close()
            raise InputError(path, f"{rate_hz} Hz, {8 * width} bits", "expected 16 kHz PCM WAV", _REMEDY)
        announced = self._reader.getnframes()
        present = self._present(width * self._reader.getnchannels())
        self._shape = _Shape(self._reader.getnchannels(), width, min(announced, present))
        self.missing_samples = announced - self._shape.samples

    def _present(self, sample_bytes: int) -> int:
        """Return how many samples the file can hold after its header, at whose end the reader stands."""
        header = self._reader.getfp().tell() + _RIFF_BYTES  # type: ignore[union-attr]
        return max(Path(self.path).stat().st_size - header, 0) // sample_bytes

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def __len__(self) -> int:
        return self._shape.samples

    def read(self, first: int, count: int) -> np.ndarray:
        """Return samples `first` to `first + count`, not included, as [count] float32 mono, about -1 to 1."""
        if count <= 0:
            return np.zeros(0, dtype=np.float32)
        self._reader.setpos(first)
        raw = self._reader.readframes(count)
        samples = _pcm(raw, self._shape.width).reshape(-1, self._shape.channels)
        return np.asarray(samples.mean(axis=1), dtype=np.float32)

    def peak(self) -> float:
        """Return the largest absolute sample, reading the file once."""
        return max((float(np.max(np.abs(piece))) for piece in self._pieces()), default=0.0)

    def _pieces(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), _SAMPLES_A_PIECE):
            yield self.read(first, min(_SAMPLES_A_PIECE, len(self) - first))


def _pcm(raw: bytes, width: int) -> np.ndarray:
    """Return interleaved samples as float64; 8 bits are unsigned, 24 bits are three little-endian bytes."""
    if width == 1:
        return (np.frombuffer(raw, dtype=np.uint8).astype(np.float64) - 128.0) / _FULL_SCALE[1]
    if width == 3:
        padded = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] >> 8).astype(np.float64) / _FULL_SCALE[3]
    return np.frombuffer(raw, dtype=f"<i{width}").astype(np.float64) / _FULL_SCALE[width]
