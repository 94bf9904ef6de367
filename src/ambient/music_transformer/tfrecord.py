"""TFRecord files and protocol buffers without TensorFlow: token files and TensorBoard's logs are both.

Conventions: a record is its length (8 bytes), the checksum of the length, the payload, the checksum of the payload.
The checksum is CRC-32C (Castagnoli), rotated and shifted as TensorFlow masks it. A protocol buffer is a row of fields,
each a key (number and wire type as a varint) and a value; only the wire types that we write are read.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # wire types
_POLYNOMIAL = 0x82F63B78  # CRC-32C, bits reversed


def _crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_CRC = _crc_table()


class DamagedRecordError(ValueError):
    """Bytes that are no TFRecord, or no protocol buffer of ours."""


def masked_crc32c(data: bytes) -> int:
    """Return the checksum that TensorFlow stores beside data."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Return a record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(payload))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, payload)]
    return length + checksums[0] + payload + checksums[1]


def read_payloads(path: Path) -> list[bytes]:
    """Return the payloads of a TFRecord file.

    Raises:
        DamagedRecordError: it breaks off, or a checksum does not fit.
    """
    data, payloads = path.read_bytes(), []
    at = 0
    while at < len(data):
        (length,) = struct.unpack("<Q", _checked(data, at, 8))
        payloads.append(_checked(data, at + 12, length))
        at += 16 + length
    return payloads


def _checked(data: bytes, at: int, length: int) -> bytes:
    part, checksum = data[at : at + length], data[at + length : at + length + 4]
    if len(checksum) < 4:
        raise DamagedRecordError("breaks off")
    if struct.unpack("<I", checksum)[0] != masked_crc32c(part):
        raise DamagedRecordError("checksum does not fit")
    return part


def varint(value: int) -> bytes:
    """Return a whole number from 0 up in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def field(number: int, value: bytes | int | float, *, double: bool = False) -> bytes:
    """Return one field: bytes, a whole number, or a float of single or double precision."""
    if isinstance(value, bytes):
        return varint(number << 3 | BYTES) + varint(len(value)) + value
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    wire, layout = (EIGHT_BYTES, "<d") if double else (FOUR_BYTES, "<f")
    return varint(number << 3 | wire) + struct.pack(layout, value)


def read_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over the fields of a message that are bytes: number and content.

    Raises:
        DamagedRecordError: it is no protocol buffer, or holds fields of another wire type.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key & 7 != BYTES:
            raise DamagedRecordError(f"field of wire type {key & 7}")
        length, at = _read_varint(message, at)
        if at + length > len(message):
            raise DamagedRecordError("field breaks off")
        yield key >> 3, message[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise DamagedRecordError("number breaks off")


Feature = bytes | float | Sequence[int]


def write_example(features: Mapping[str, Feature]) -> bytes:
    """Return a `tf.train.Example`, features in order of their names as TensorFlow's deterministic mode has them.

    Args:
        features: Bytes, a float, or whole numbers from 0 up, each a list feature of its kind.
    """
    entries = b""
    for name, value in sorted(features.items()):
        if isinstance(value, bytes):
            feature = field(1, field(1, value))
        elif isinstance(value, float):
            feature = field(2, field(1, struct.pack("<f", value)))
        else:
            numbers = b"".join(map(varint, value))
            feature = field(3, field(1, numbers) if numbers else b"")
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def read_example(payload: bytes) -> dict[str, bytes | float | np.ndarray]:
    """Return the features of a `tf.train.Example` of one text, one float or a list of whole numbers each.

    Raises:
        DamagedRecordError: it is none.
    """
    features = {}
    for _, entries in read_fields(payload):
        for _, entry in read_fields(entries):
            parts = dict(read_fields(entry))
            for kind, content in read_fields(parts.get(2, b"")):
                values = b"".join(value for _, value in read_fields(content))
                features[parts.get(1, b"").decode(errors="replace")] = _feature(kind, values)
    return features


def _feature(kind: int, values: bytes) -> bytes | float | np.ndarray:
    if kind == 1:
        return values
    if kind == 2:
        if len(values) != 4:
            raise DamagedRecordError("not one float")
        return float(struct.unpack("<f", values)[0])
    return read_varints(values)


def read_varints(data: bytes) -> np.ndarray:
    """Return the whole numbers that stand one after the other in data, [N] int64.

    Raises:
        DamagedRecordError: the last one breaks off, or one needs more than 63 bits.
    """
    groups = np.frombuffer(data, np.uint8)
    last = groups < 0x80
    if not groups.size:
        return np.zeros(0, np.int64)
    if not last[-1]:
        raise DamagedRecordError("number breaks off")
    begins = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    lengths = np.diff(begins, append=groups.size)
    if lengths.max() > 9:
        raise DamagedRecordError("number too large")
    places = np.arange(groups.size) - np.repeat(begins, lengths)
    numbers: np.ndarray = np.add.reduceat((groups & 0x7F).astype(np.int64) << 7 * places, begins)
    return numbers
