"""The checksum that TensorFlow stores beside data, in its records and in its checkpoints.

Conventions: CRC-32C (Castagnoli, RFC 3720), rotated and shifted as TensorFlow masks it. The state after some bytes is a
linear function, over bits, of the state before them and of the bytes; so long data are cut into lanes that numpy takes
forward side by side, and the states of neighbouring lanes are joined.
"""

from functools import lru_cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # bits reversed
_LANES = 4096
_WORTH_LANES = 1 << 16  # bytes; fewer are quicker one by one


def _table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_CRC = _table()
_CRC_ARRAY = np.array(_CRC, dtype=np.uint32)


def masked_crc32c(data: bytes | memoryview) -> int:
    """Return the checksum of data as TensorFlow writes it."""
    crc = 0xFFFFFFFF
    if len(data) < _WORTH_LANES:
        for byte in data:
            crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    else:
        crc = int(_after(_zeros(len(data)), np.array([crc], dtype=np.uint32))[0]) ^ _state_from_zero(data)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _state_from_zero(data: bytes | memoryview) -> int:
    """Return the state after data if it is 0 before; zeros in front of the data then change nothing."""
    width = -(-len(data) // _LANES)
    padded = np.zeros(_LANES * width, dtype=np.uint8)
    padded[len(padded) - len(data) :] = np.frombuffer(data, dtype=np.uint8)
    states = np.zeros(_LANES, dtype=np.uint32)
    for column in np.ascontiguousarray(padded.reshape(_LANES, width).T):
        states = _CRC_ARRAY[(states ^ column) & 0xFF] ^ states >> 8
    while len(states) > 1:
        states = _after(_zeros(width), states[::2]) ^ states[1::2]
        width *= 2
    return int(states[0])


def _after(function: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Apply a linear function of 32 bits, given as what each single bit becomes: [32], to states: [N]."""
    bits = states[:, None] >> np.arange(32, dtype=np.uint32) & 1  # [N, 32]
    return np.bitwise_xor.reduce(bits * function, axis=1)


@lru_cache(maxsize=64)
def _zeros(count: int) -> np.ndarray:
    """Return what so many bytes of zeros make of a state, as a linear function."""
    if count == 0:
        return np.uint32(1) << np.arange(32, dtype=np.uint32)  # nothing
    half = _zeros(count // 2)
    function = _after(half, half)
    return _CRC_ARRAY[function & 0xFF] ^ function >> 8 if count % 2 else function
