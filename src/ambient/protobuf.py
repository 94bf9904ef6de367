"""Protocol buffers without their library: TFRecords, TensorBoard's logs, ONNX models and TF1 checkpoints hold them.

Conventions: a message is a row of fields, each a key (number and wire type as a varint) and a value. A varint is a
whole number in groups of seven bits, the lowest first, the highest bit of all but the last byte set.
"""

import struct
from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # wire types


class DamagedBytesError(ValueError):
    """Bytes that are not what they should be: they break off, or a checksum does not fit."""


def varint(value: int) -> bytes:
    """Return a whole number as a varint; negative ones take ten bytes, as the format says."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def field(number: int, value: bytes | str | int | float, *, double: bool = False) -> bytes:
    """Return one field: bytes, a text, a whole number, or a float of single or double precision."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return field_head(number, len(value)) + value
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    wire, layout = (EIGHT_BYTES, "<d") if double else (FOUR_BYTES, "<f")
    return varint(number << 3 | wire) + struct.pack(layout, value)


def field_head(number: int, length: int) -> bytes:
    """Return what stands before so many bytes in a field of bytes."""
    return varint(number << 3 | BYTES) + varint(length)


def read_fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Walk over the fields of a message.

    Yields:
        Their numbers and values: bytes, or a whole number from 0 up, which of eight or four bytes are the bits.

    Raises:
        DamagedBytesError: it is no protocol buffer.
    """
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        if key & 7 == VARINT:
            value, at = read_varint(message, at)
            yield key >> 3, value
            continue
        if key & 7 == BYTES:
            length, at = read_varint(message, at)
        elif key & 7 in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if key & 7 == EIGHT_BYTES else 4
        else:
            raise DamagedBytesError(f"field of wire type {key & 7}")
        if at + length > len(message):
            raise DamagedBytesError("field breaks off")
        content = message[at : at + length]
        yield key >> 3, content if key & 7 == BYTES else int.from_bytes(content, "little")
        at += length


def byte_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over the fields of a message that holds only fields of bytes.

    Raises:
        DamagedBytesError: it is no protocol buffer, or holds others.
    """
    for number, value in read_fields(message):
        if isinstance(value, int):
            raise DamagedBytesError(f"field {number} is a number")
        yield number, value


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place, and the place after it.

    Raises:
        DamagedBytesError: it breaks off, or is longer than 64 bits.
    """
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise DamagedBytesError("number breaks off")
