"""Read WAV files piece by piece as mono float samples: the one place that knows their bytes.

Conventions: 16-bit samples are divided by 32767, as magenta's reader does; the whole recording's level is set later, so
the scale of the other widths does not matter. Channels are averaged. Samples that are no numbers count as silence.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ambient.errors import InputError

SAMPLE_RATE_HZ = 16_000  # what stages.to_wav writes and the transcribers are given
_EXPECTED = "expected 16 kHz WAV"
_REMEDY = "Convert it with python3 -m stages.to_wav"
_SAMPLES_A_PIECE = 1 << 19
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_LENGTH = 0xFFFFFFFF  # written by programs that stream; the data then go to the end of the file
_DTYPES = {  # (kind, bits) -> how the bytes of a sample are read; 24 bits take a way of their own
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}
_FULL_SCALE = {8: 127.0, 16: 32767.0, 24: 8388607.0, 32: 2147483647.0}


@dataclass(frozen=True, slots=True)
class _Format:
    kind: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def sample_bytes(self) -> int:
        return self.channels * self.bits // 8


@dataclass(frozen=True, slots=True)
class _Data:
    offset: int
    announced_bytes: int


class Recording:
    """An open WAV file of 16 kHz; a context manager.

    A file that ends before its header says is read as far as it goes; `missing_samples` tells how much is not there.

    Args:
        path: PCM of 8, 16, 24 or 32 bits or float of 32 or 64, any number of channels, plain or extensible header.

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
            self._format, self._data = _read_header(self._file, path)
        except BaseException:
            self._file.close()
            raise
        present_bytes = max(Path(path).stat().st_size - self._data.offset, 0)
        announced = present_bytes if self._data.announced_bytes == _UNKNOWN_LENGTH else self._data.announced_bytes
        self._samples = min(announced, present_bytes) // self._format.sample_bytes
        self.missing_samples = announced // self._format.sample_bytes - self._samples

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

    def read(self, first: int, count: int) -> np.ndarray:
        """Return samples `first` to `first + count`, not included, as [count] float32 mono, about -1 to 1."""
        if count <= 0:
            return np.zeros(0, dtype=np.float32)
        self._file.seek(self._data.offset + first * self._format.sample_bytes)
        raw = self._file.read(min(count, self._samples - first) * self._format.sample_bytes)
        samples = _decode(raw, self._format).reshape(-1, self._format.channels)
        mono = np.asarray(samples.mean(axis=1), dtype=np.float32)
        return mono if np.isfinite(mono).all() else np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)

    def peak(self) -> float:
        """Return the largest absolute sample, reading the file once."""
        return max((float(np.max(np.abs(piece))) for piece in self._pieces()), default=0.0)

    def _pieces(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), _SAMPLES_A_PIECE):
            yield self.read(first, min(_SAMPLES_A_PIECE, len(self) - first))


def _read_header(file: BinaryIO, path: Path | str) -> tuple[_Format, _Data]:
    """Walk over the chunks up to the samples.

    Raises:
        InputError: what is there is no WAV file that we read.
    """
    riff, _, wave = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if riff not in (b"RIFF", b"RF64") or wave != b"WAVE":
        raise InputError(path, "not a WAV file (it does not begin as one)", _EXPECTED, _REMEDY)
    found: _Format | None = None
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            if found is None:
                raise InputError(path, "not a WAV file (its samples come before their format)", _EXPECTED, _REMEDY)
            return found, _Data(file.tell(), size)
        following = file.tell() + size + size % 2  # chunks begin at even bytes
        if name == b"fmt ":
            found = _parsed_format(file.read(min(size, 64)), path)
        file.seek(following)
    raise InputError(path, "not a WAV file (it ends within its header)", _EXPECTED, _REMEDY)


def _parsed_format(chunk: bytes, path: Path | str) -> _Format:
    if len(chunk) < 16:
        raise InputError(path, "not a WAV file (its format is cut short)", _EXPECTED, _REMEDY)
    kind, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack("<H", chunk[24:26])[0]  # the first two bytes of the long name of the kind
    found = _Format(kind, channels, rate_hz, bits)
    if (kind, bits) not in _DTYPES or channels == 0:
        raise InputError(path, f"WAV of kind {kind}, {bits} bits, {channels} channels", _EXPECTED, _REMEDY)
    if rate_hz != SAMPLE_RATE_HZ:
        raise InputError(path, f"{rate_hz} Hz, {bits} bits", _EXPECTED, _REMEDY)
    return found


def _decode(raw: bytes, form: _Format) -> np.ndarray:
    """Return interleaved samples as float64; 8 bits are unsigned, 24 bits are three little-endian bytes."""
    if form.bits == 24:
        padded = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] >> 8).astype(np.float64) / _FULL_SCALE[24]
    samples = np.frombuffer(raw, dtype=_DTYPES[form.kind, form.bits]).astype(np.float64)
    if form.kind == _FLOAT:
        return samples
    return (samples - 128.0 if form.bits == 8 else samples) / _FULL_SCALE[form.bits]
