"""Read the files of a TensorFlow checkpoint without TensorFlow.

Conventions: a checkpoint is an index and data files. The index is a sorted table as LevelDB writes them: blocks of
entries whose keys share their beginnings, then a block that says where those lie, and 48 bytes at the end that say
where that one is. Its values are protocol buffers, `BundleEntryProto` of tensorflow/tensorflow
`core/protobuf/tensor_bundle.proto`: type, shape, and where in which data file the numbers stand. Blocks and tensors
have checksums. TensorFlow writes such tables uncompressed; tensors in slices, as distributed trainings store them,
are not read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ambient.checksum import masked_crc32c
from ambient.protobuf import DamagedBytesError, byte_fields, read_fields, read_varint

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_BYTES = 5  # of a block: how it is compressed, and a checksum
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # DataType of tensorflow


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor stands.

    Attributes:
        shape: Its sizes.
        dtype: How numpy reads its bytes; None if it is of a type that we do not read.
        shard: Which data file holds it, from 0.
        shards: How many data files there are.
        offset: Its first byte there.
        size: Its bytes.
        checksum: Of its bytes.
    """

    shape: tuple[int, ...]
    dtype: str | None
    shard: int
    shards: int
    offset: int
    size: int
    checksum: int


def read_index(prefix: Path) -> dict[str, Entry]:
    """Return what a checkpoint holds, by name.

    Args:
        prefix: Of its files: `…/model.ckpt-N`.

    Raises:
        DamagedBytesError: its index is damaged, or is none.
    """
    table = prefix.with_name(f"{prefix.name}.index").read_bytes()
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise DamagedBytesError("its index is no table")
    _, at = _read_handle(footer, 0)  # of blocks that describe others, which nobody writes
    (first, size), _ = _read_handle(footer, at)
    values: dict[str, bytes] = {}
    for _, handle in _entries(_block(table, first, size)):
        place, _ = _read_handle(handle, 0)
        values |= {key.decode(errors="replace"): value for key, value in _entries(_block(table, *place))}
    shards = _number(dict(read_fields(values.pop("", b""))), 1)
    return {name: _parsed(name, value, shards) for name, value in values.items()}


def read_tensor(prefix: Path, entry: Entry) -> np.ndarray:
    """Return a tensor.

    Args:
        prefix: Of the checkpoint's files.
        entry: From `read_index`.

    Raises:
        DamagedBytesError: its data are damaged or of a type that we do not read.
        OSError: the data file is missing.
    """
    if entry.dtype is None:
        raise DamagedBytesError("a tensor is not of numbers")
    name = f"{prefix.name}.data-{entry.shard:05d}-of-{entry.shards:05d}"
    with prefix.with_name(name).open("rb") as file:
        file.seek(entry.offset)
        content = file.read(entry.size)
    if len(content) < entry.size:
        raise DamagedBytesError(f"{name} breaks off")
    if masked_crc32c(content) != entry.checksum:
        raise DamagedBytesError(f"a checksum in {name} does not fit")
    numbers = np.frombuffer(content, dtype=entry.dtype)
    if numbers.size != np.prod(entry.shape, dtype=np.int64):
        raise DamagedBytesError("a tensor has not the size that the index says")
    return numbers.reshape(entry.shape)


def _parsed(name: str, value: bytes, shards: int) -> Entry:
    """Read a BundleEntryProto."""
    fields = dict(read_fields(value))
    if 7 in fields:
        raise DamagedBytesError(f"{name} is stored in slices")
    shape = fields.get(2, b"")
    if isinstance(shape, int):
        raise DamagedBytesError(f"{name} has no shape")
    sizes = [dict(read_fields(size)) for number, size in byte_fields(shape) if number == 2]
    return Entry(
        shape=tuple(_number(size, 1) for size in sizes),
        dtype=_DTYPES.get(_number(fields, 1)),
        shard=_number(fields, 3),
        shards=shards,
        offset=_number(fields, 4),
        size=_number(fields, 5),
        checksum=_number(fields, 6),
    )


def _number(fields: dict[int, bytes | int], number: int) -> int:
    """Return a field that is a whole number; what is not written is 0."""
    value = fields.get(number, 0)
    if isinstance(value, bytes):
        raise DamagedBytesError(f"field {number} is no number")
    return value


def _read_handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Return where a block stands, its first byte and its size, and the place after that."""
    first, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (first, size), at


def _block(table: bytes, first: int, size: int) -> bytes:
    content = table[first : first + size + 1]
    checksum = table[first + size + 1 : first + size + _TRAILER_BYTES]
    if len(checksum) < 4 or struct.unpack("<I", checksum)[0] != masked_crc32c(content):
        raise DamagedBytesError("a checksum in its index does not fit")
    if content[-1] != 0:
        raise DamagedBytesError("its index is compressed, which TensorFlow does not write")
    return content[:-1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk over keys and values; at the end stand the places where keys begin anew, and how many there are."""
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0] if len(block) >= 4 else -1
    if end < 0:
        raise DamagedBytesError("a block of its index breaks off")
    key, at = b"", 0
    while at < end:
        shared, at = read_varint(block, at)
        own, at = read_varint(block, at)
        size, at = read_varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + size]
        at += own + size
