import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.music_transformer.tfrecord import (
    frame,
    read_example,
    read_payloads,
    read_varints,
    write_example,
)
from ambient.protobuf import DamagedBytesError, varint

NUMBERS = st.integers(0, 2**63 - 1)


def tensorflows_example(features):
    """Build the same example with TensorFlow's own classes."""
    message = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, bytes):
            message.features.feature[name].bytes_list.value.append(value)
        elif isinstance(value, float):
            message.features.feature[name].float_list.value.append(value)
        else:
            message.features.feature[name].int64_list.value.extend(value)
    return message.SerializeToString(deterministic=True)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.floats(width=32, allow_nan=False), st.lists(NUMBERS, max_size=60))
def test_an_example_has_the_bytes_of_tensorflow_and_comes_back(text, number, numbers):
    features = {"source": text, "seconds": number, "tokens": numbers or [1]}
    payload = write_example(features)
    assert payload == tensorflows_example(features)
    read = read_example(payload)
    assert (read["source"], read["seconds"]) == (text, number)
    assert read["tokens"].tolist() == features["tokens"]


def test_tensorflow_reads_our_files_and_we_read_those_of_tensorflow(tmp_path):
    payloads = [b"", b"a", bytes(range(256)) * 9]
    (tmp_path / "ours").write_bytes(b"".join(map(frame, payloads)))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert read_payloads(tmp_path / "theirs") == payloads
    assert [item.numpy() for item in tf.data.TFRecordDataset(str(tmp_path / "ours"))] == payloads


@pytest.mark.parametrize("place", range(24))
def test_every_flipped_byte_is_found(tmp_path, place):
    content = bytearray(frame(b"a piece!"))
    content[place] ^= 0x10
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DamagedBytesError):
        read_payloads(tmp_path / "x")


@pytest.mark.parametrize("left", [1, 7, 8, 11, 12, 15, 23])
def test_a_file_that_breaks_off_is_found(tmp_path, left):
    (tmp_path / "x").write_bytes(frame(b"a piece!")[:left])
    with pytest.raises((DamagedBytesError, struct.error)) as found:
        read_payloads(tmp_path / "x")
    assert found.type is DamagedBytesError


@given(st.lists(NUMBERS))
def test_rows_of_numbers_come_back(numbers):
    assert read_varints(b"".join(map(varint, numbers))).tolist() == numbers


@pytest.mark.parametrize("data", [b"\x80", b"\x05\xff", b"\xff" * 9 + b"\x01"])
def test_numbers_that_break_off_or_are_negative_are_refused(data):
    with pytest.raises(DamagedBytesError):
        read_varints(data)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_example_or_refused(payload):
    try:
        features = read_example(payload)
    except DamagedBytesError:
        return
    assert all(isinstance(value, bytes | float | np.ndarray) for value in features.values())
