"""Read WAV files piece by piece as mono float samples.

Conventions: 16-bit samples are divided by 32767, as magenta's reader does, other integers by their largest number.
Channels are averaged, or one is heard alone where they would cancel each other out. Samples that are no numbers count
as silence.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ambient.downmix import choose_channel
from ambient.errors import InputError
from ambient.transcribers.level import BLOCK_SAMPLES, Loudness, measure_loudness
from ambient.wav_header import NotWavError, Stored, WavHeader, read_wav_header, stored_as

SAMPLE_RATE_HZ = 16_000  # what stages.to_wav writes and the transcribers are given
_EXPECTED = "expected 16 kHz WAV"
_REMEDY = "Convert it with ambient to-wav, or python3 -m stages.to_wav"
_SAMPLES_A_PIECE = 1024 * BLOCK_SAMPLES


class Recording:
    """An open WAV file of 16 kHz; a context manager.

    A file that ends before its header says is read as far as it goes; `missing_samples` says how much is not there.

    Args:
        path: PCM of 8 to 32 bits or float of 32 or 64, any number of channels, plain or extensible header, RIFF, RF64,
            BW64 or W64.

    Raises:
        InputError: not such a WAV file, or of another rate.
    """

    rate_hz = SAMPLE_RATE_HZ

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise InputError(path, f"not readable ({error.strerror})", _EXPECTED, "Check the path") from error
        try:
            self._header, self._stored = _understood(self._file, path)
            self._file_bytes = self._file.seek(0, 2)
        except BaseException:
            self._file.close()
            raise
        encoding = self._header.encoding
        self._channels, self._block_bytes = encoding.channels, encoding.block_bytes
        self._samples = self._header.present_bytes(self._file_bytes) // self._block_bytes
        announced = self._header.announced_bytes
        self.missing_samples = 0 if announced is None else announced // self._block_bytes - self._samples

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._samples

    @property
    def seconds(self) -> float:
        """Length of what is there."""
        return self._samples / SAMPLE_RATE_HZ

    @property
    def missing_seconds(self) -> float:
        """How much shorter the file is than its header says."""
        return self.missing_samples / SAMPLE_RATE_HZ

    @cached_property
    def channel(self) -> int | None:
        """The channel that is heard alone, from 0; None where all are averaged. Reads the file once."""
        return None if self._channels == 1 else choose_channel(self._pieces(self._read_channels), SAMPLE_RATE_HZ)

    def read(self, first: int, count: int) -> np.ndarray:
        """Return samples `first` to `first + count`, not included, as [count] float32 mono, about -1 to 1."""
        samples = self._read_channels(first, count)
        mono = samples.mean(axis=1) if self.channel is None else samples[:, self.channel]
        return np.asarray(mono, dtype=np.float32)

    def read_clean(self, first: int, count: int) -> np.ndarray:
        """Return the same without clicks, and with nothing beyond the level."""
        if not len(self._loudness.clicks):
            return self.read(first, count)
        begin = max(first - BLOCK_SAMPLES, 0)  # so that a click is taken out alike wherever a piece of it is read
        samples = self._loudness.without_clicks(self.read(begin, first + count + BLOCK_SAMPLES - begin), begin)
        return np.clip(samples[first - begin : first - begin + count], -self.level, self.level)

    @property
    def level(self) -> float:
        """The largest absolute sample, clicks aside; 0 where there is nothing but dither."""
        return self._loudness.level

    @cached_property
    def _loudness(self) -> Loudness:
        """How loud the recording is; reads the file once."""
        return measure_loudness(self._pieces(self.read))

    def _read_channels(self, first: int, count: int) -> np.ndarray:
        """Return [count, channels] float64, every sample a number."""
        count = max(min(count, self._samples - first), 0)
        self._file.seek(self._header.offset + first * self._block_bytes)
        raw = self._file.read(count * self._block_bytes)
        samples = _decode(raw, self._stored).reshape(-1, self._channels)
        return samples if np.isfinite(samples).all() else np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)

    def _pieces(self, read: Callable[[int, int], np.ndarray]) -> Iterator[np.ndarray]:
        for first in range(0, len(self), _SAMPLES_A_PIECE):
            yield read(first, min(_SAMPLES_A_PIECE, len(self) - first))


def _understood(file: BinaryIO, path: Path | str) -> tuple[WavHeader, Stored]:
    """Read a header, and make sure that its samples are of a kind that we read.

    Raises:
        InputError: they are not, or there is no header.
    """
    try:
        header = read_wav_header(file)
    except NotWavError as error:
        raise InputError(path, f"not a WAV file ({error})", _EXPECTED, _REMEDY) from error
    encoding = header.encoding
    stored = stored_as(file, header)
    if stored is None or encoding.channels == 0:
        found = f"WAV of kind {encoding.kind}, {encoding.valid_bits} bits, {encoding.channels} channels"
        raise InputError(path, found, _EXPECTED, _REMEDY)
    if encoding.rate_hz != SAMPLE_RATE_HZ:
        raise InputError(path, f"{encoding.rate_hz} Hz, {encoding.valid_bits} bits", _EXPECTED, _REMEDY)
    return header, stored


def _decode(raw: bytes, stored: Stored) -> np.ndarray:
    """Return interleaved samples as float64; 8 bits are unsigned, 24 bits are three little-endian bytes."""
    if stored.dtype == "i3":
        padded = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] >> 8) / stored.full_scale
    samples = np.frombuffer(raw, dtype=stored.dtype)
    if stored.shift_bits:
        samples = samples << stored.shift_bits
    if stored.dtype == "u1":
        return (samples.astype(np.float64) - 128.0) / stored.full_scale
    return samples.astype(np.float64) / stored.full_scale
