"""The checksum is the one that TensorFlow writes, for data of any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.checksum import masked_crc32c


def masked(crc):
    """Rotate and add, as TensorFlow does."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def one_bit_at_a_time(data):
    """CRC-32C as its definition has it: polynomial 0x1EDC6F41, bits reversed."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720, B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),  # the usual check value
        (b"", 0),
    ],
)
def test_the_checksum_is_that_of_the_standard(data, crc):
    assert masked_crc32c(data) == masked(crc)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(st.integers((1 << 16) - 2, 90_000), st.integers(0, 99))
def test_long_data_that_are_cut_into_lanes_have_the_checksum_of_one_pass(length, seed):
    data = np.random.default_rng(seed).bytes(length)
    assert masked_crc32c(data) == masked(one_bit_at_a_time(data))


def test_a_flipped_bit_in_long_data_is_seen():
    data = bytearray(200_000)
    before = masked_crc32c(bytes(data))
    data[123_456] ^= 4
    assert masked_crc32c(bytes(data)) != before
