"""TFRecord files without TensorFlow: token files and TensorBoard's logs are such files.

Conventions: a record is its length (8 bytes), the checksum of the length, the payload, the checksum of the payload.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ambient.checksum import masked_crc32c
from ambient.protobuf import DamagedBytesError, byte_fields, field, varint


def frame(payload: bytes) -> bytes:
    """Return a record as it stands in a TFRecord file."""
    length = struct.pack("<Q", len(payload))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, payload)]
    return length + checksums[0] + payload + checksums[1]


def read_payloads(path: Path) -> list[bytes]:
    """Return the payloads of a TFRecord file.

    Raises:
        DamagedBytesError: it breaks off, or a checksum does not fit.
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
        raise DamagedBytesError("breaks off")
    if struct.unpack("<I", checksum)[0] != masked_crc32c(part):
        raise DamagedBytesError("checksum does not fit")
    return part


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
        DamagedBytesError: it is none.
    """
    features = {}
    for _, entries in byte_fields(payload):
        for _, entry in byte_fields(entries):
            parts = dict(byte_fields(entry))
            for kind, content in byte_fields(parts.get(2, b"")):
                values = b"".join(value for _, value in byte_fields(content))
                features[parts.get(1, b"").decode(errors="replace")] = _feature(kind, values)
    return features


def _feature(kind: int, values: bytes) -> bytes | float | np.ndarray:
    if kind == 1:
        return values
    if kind == 2:
        if len(values) != 4:
            raise DamagedBytesError("not one float")
        return float(struct.unpack("<f", values)[0])
    return read_varints(values)


def read_varints(data: bytes) -> np.ndarray:
    """Return the whole numbers that stand one after the other in data, [N] int64.

    Raises:
        DamagedBytesError: the last one breaks off, or one needs more than 63 bits.
    """
    groups = np.frombuffer(data, np.uint8)
    last = groups < 0x80
    if not groups.size:
        return np.zeros(0, np.int64)
    if not last[-1]:
        raise DamagedBytesError("number breaks off")
    begins = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    lengths = np.diff(begins, append=groups.size)
    if lengths.max() > 9:
        raise DamagedBytesError("number too large")
    places = np.arange(groups.size) - np.repeat(begins, lengths)
    numbers: np.ndarray = np.add.reduceat((groups & 0x7F).astype(np.int64) << 7 * places, begins)
    return numbers
