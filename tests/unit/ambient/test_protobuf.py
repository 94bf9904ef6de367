"""Fields of every wire type are read as the format defines them; what breaks off is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.protobuf import DamagedBytesError, byte_fields, field, read_fields, read_varint, varint


def test_numbers_and_texts_have_the_bytes_of_the_formats_own_examples():
    # protobuf.dev, Encoding: field 1 with 150, field 2 with "testing"
    assert field(1, 150) == bytes.fromhex("089601")
    assert field(2, "testing") == bytes.fromhex("120774657374696e67")
    assert varint(-2) == bytes.fromhex("feffffffffffffffff01")
    assert field(5, 1.0) == bytes.fromhex("2d0000803f")


def test_every_wire_type_is_read():
    message = field(1, 150) + field(2, b"ab") + field(3, 1.0) + field(4, -0.5, double=True)
    assert list(read_fields(message)) == [(1, 150), (2, b"ab"), (3, 0x3F800000), (4, 0xBFE0000000000000)]


def test_a_message_of_bytes_alone_has_no_numbers():
    assert list(byte_fields(field(2, b"ab") + field(9, ""))) == [(2, b"ab"), (9, b"")]
    with pytest.raises(DamagedBytesError, match="field 1 is a number"):
        list(byte_fields(field(1, 150)))


@pytest.mark.parametrize("message", [b"\x08", b"\x08\x96", b"\x12\x03ab", b"\x2d\0\0\0", b"\x0b", b"\xff" * 11])
def test_what_breaks_off_or_is_of_another_wire_type_is_refused(message):
    with pytest.raises(DamagedBytesError):
        list(read_fields(message))


@given(st.integers(0, 2**64 - 1))
def test_numbers_come_back(value):
    assert read_varint(b"x" + varint(value), 1) == (value, 1 + len(varint(value)))
