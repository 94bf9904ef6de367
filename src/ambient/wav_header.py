"""Read the header of a WAV file of any make: how its samples are stored, where they lie, how many there should be.

Conventions: RIFF; RF64 and BW64, whose 64-bit sizes lie in `ds64` (EBU Tech 3306, ITU-R BS.2088); and Sony's W64, whose
chunks have 16 bytes of name and 64-bit sizes. A size that a program could not know when it began to write (0, or the
largest number, or a page or a header less) says nothing: the samples then go to the end of the file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

PCM, FLOAT = 1, 3
_EXTENSIBLE = 0xFFFE
_W64_TAIL = (
    b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # ends the name of every chunk of a W64 file but the first
)
_W64_HEAD = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_SLACK = 0x1100  # placeholders are 2^31 or 2^32, less a page and a header at most: 0x7FFFF000, 0x7FFFFFFF - 36, …
_PROBED_BYTES = 1 << 16
_MOST = 0.75  # of the samples


class NotWavError(ValueError):
    """What is there is no WAV file; the message says why not."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How samples are stored.

    Attributes:
        kind: 1 integers, 3 floats; others are compressed.
        channels: At least 0, as the file says.
        rate_hz: Sample rate.
        valid_bits: Of a sample; the bytes that hold it can have more.
        block_bytes: Of one sample of every channel.
    """

    kind: int
    channels: int
    rate_hz: int
    valid_bits: int
    block_bytes: int

    @property
    def sample_bytes(self) -> int:
        """Bytes that hold one sample of one channel; 0 where the file makes no sense."""
        return self.block_bytes // self.channels if self.channels else 0


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What a WAV file says of its samples.

    Attributes:
        encoding: How they are stored.
        offset: Where they begin, in bytes.
        announced_bytes: How many bytes there should be; None where the file does not say.
        is_w64: Whether it is a W64 file, not RIFF or its kin.
    """

    encoding: Encoding
    offset: int
    announced_bytes: int | None
    is_w64: bool

    def present_bytes(self, file_bytes: int) -> int:
        """Return how many bytes of samples a file of this length holds."""
        there = max(file_bytes - self.offset, 0)
        return there if self.announced_bytes is None else min(there, self.announced_bytes)

    def missing_bytes(self, file_bytes: int) -> int:
        """Return how many bytes of samples a file of this length lacks."""
        return 0 if self.announced_bytes is None else self.announced_bytes - self.present_bytes(file_bytes)


def read_wav_header(file: BinaryIO) -> WavHeader:
    """Walk over the chunks of a file up to its samples.

    Args:
        file: Open, anywhere; it is left anywhere.

    Raises:
        NotWavError: what is there is no WAV file.
    """
    file_bytes = file.seek(0, 2)
    file.seek(0)
    head = file.read(40)
    is_w64 = head[:16] == _W64_HEAD and head[24:40] == b"wave" + _W64_TAIL
    if is_w64:
        chunks = _w64_chunks(file)
    elif head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        chunks = _riff_chunks(file)
    else:
        raise NotWavError("it does not begin as one")
    encoding: Encoding | None = None
    long_size: int | None = None
    for name, size, at in chunks:
        if name == b"ds64":
            long_size = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        elif name == b"fmt ":
            encoding = _parsed_encoding(file.read(min(size, 64)))
        elif name == b"data":
            if encoding is None:
                raise NotWavError("its samples come before their format")
            announced = long_size if long_size is not None and size == 0xFFFFFFFF else size
            unknown = is_placeholder(announced) or (announced == 0 and not _is_followed_by_chunks(file, at, file_bytes))
            return WavHeader(encoding, at, None if unknown else announced, is_w64)
    raise NotWavError("it ends within its header")


def is_placeholder(size: int) -> bool:
    """Tell whether a size is one that a program writes before it knows the right one."""
    return any(0 <= largest - size <= _SLACK for largest in (1 << 31, 1 << 32, 1 << 63, 1 << 64))


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Give the name, the size and the place of the content of each chunk; they begin at even bytes."""
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack("<4sI", head)
        yield name, size, at + 8
        at += 8 + size + size % 2


def _w64_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Give the same for a W64 file; its sizes count the head of the chunk, and chunks begin at multiples of 8."""
    at = 40
    while True:
        file.seek(at)
        head = file.read(24)
        if len(head) < 24:
            return
        size = struct.unpack("<Q", head[16:])[0]
        yield head[:4] if head[4:16] == _W64_TAIL else b"", max(size - 24, 0), at + 24
        at += max(size + -size % 8, 24)


def _parsed_encoding(chunk: bytes) -> Encoding:
    if len(chunk) < 16:
        raise NotWavError("its format is cut short")
    kind, channels, rate_hz, _, block_bytes, container_bits = struct.unpack("<HHIIHH", chunk[:16])
    bits = container_bits
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        valid_bits, kind = struct.unpack("<H4xH", chunk[18:26])  # the kind: the first two bytes of its long name
        bits = valid_bits if 0 < valid_bits < bits else bits
    packed_bytes = channels * -(-container_bits // 8)
    if not (kind == PCM and -(-bits // 8) == 3 and block_bytes == 4 * channels):  # 24 bits in 4 bytes, whatever it says
        block_bytes = packed_bytes
    return Encoding(kind, channels, rate_hz, bits, block_bytes)


def _is_followed_by_chunks(file: BinaryIO, at: int, file_bytes: int) -> bool:
    """Tell whether only whole chunks follow, up to the end: then a size of 0 is meant."""
    while at + 8 <= file_bytes:
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8))
        if not (name.isascii() and name.decode("ascii", "replace").isprintable()):
            return False
        at += 8 + size + size % 2
    return at in (file_bytes, file_bytes + 1)  # the last chunk may lack its padding


@dataclass(frozen=True, slots=True)
class Stored:
    """How the bytes of an uncompressed sample become a number.

    Attributes:
        dtype: numpy's type; integers of three bytes have none and are `i3`.
        full_scale: What stands for 1.
        shift_bits: How far an integer is moved up first.
    """

    dtype: str
    full_scale: float
    shift_bits: int = 0


_STORED = {
    (PCM, 1): Stored("u1", 127.0),
    (PCM, 2): Stored("<i2", 32767.0),
    (PCM, 3): Stored("i3", 8388607.0),
    (PCM, 4): Stored("<i4", 2147483647.0),
    (FLOAT, 4): Stored("<f4", 1.0),
    (FLOAT, 8): Stored("<f8", 1.0),
}
LOWER_24_OF_32 = Stored("<i4", 2147483647.0, shift_bits=8)
FLOAT_OF_16_BITS = Stored("<f4", 32768.0)


def stored_as(file: BinaryIO, header: WavHeader) -> Stored | None:
    """Find out how the samples of a file are stored.

    24 bits in 4 bytes stand in the upper three (extensible WAV), or in the lower three (ALSA's S24_LE), or are floats
    of up to 32768 (Cool Edit), and some headers do not say which: the first samples that are not silent do.

    Returns:
        None for a kind that we do not read: compressed, or of another width.
    """
    encoding = header.encoding
    stored = _STORED.get((encoding.kind, encoding.sample_bytes))
    if stored is None or (encoding.kind, encoding.valid_bits, encoding.sample_bytes) != (PCM, 24, 4):
        return stored
    words = np.frombuffer(_first_sound(file, header), "<u4")
    words = words[words != 0]
    upper, lower = words >> 24, words & 0xFF
    exponent = upper & 0x7F
    if len(words) and np.mean((exponent >= 0x43) & (exponent <= 0x4B)) > _MOST:
        return FLOAT_OF_16_BITS  # between 128 and 2^24
    if lower.any() and np.isin(upper, (0x00, 0xFF)).all():
        return LOWER_24_OF_32
    return stored


def _first_sound(file: BinaryIO, header: WavHeader) -> bytes:
    """Read the first samples that are not silent: whole words, at most 64 KiB; none if all are silent."""
    file.seek(header.offset)
    while piece := file.read(_PROBED_BYTES):
        if piece.strip(b"\0"):
            return piece[: len(piece) // 4 * 4]
    return b""
