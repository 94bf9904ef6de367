"""What TensorFlow saves is read without it; damage is found wherever it is."""

import numpy as np
import pytest

from ambient.onsets_and_frames.tensor_bundle import read_index, read_tensor
from ambient.protobuf import DamagedBytesError


@pytest.fixture(scope="module")
def variables():
    """As many tensors as make an index of several blocks with shared beginnings, of several types and shapes."""
    random = np.random.default_rng(1)
    values = {
        f"a/very/long/name/{'x' * 60}/{index}": random.normal(size=(index % 7, 3)).astype(np.float32)
        for index in range(3000)
    }
    return values | {"step": np.array(1234), "long": random.normal(size=(40, 1000)), "words": np.array(b"text")}


@pytest.fixture(scope="module")
def saved(variables, tmp_path_factory):
    import tensorflow as tf

    prefix = tmp_path_factory.mktemp("checkpoint") / "model.ckpt-7"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )
    return prefix


def test_every_tensor_that_tensorflow_saves_comes_back(saved, variables):
    entries = read_index(saved)
    assert entries.keys() == variables.keys()
    for name, expected in variables.items():
        assert entries[name].shape == expected.shape
        if name != "words":
            np.testing.assert_array_equal(read_tensor(saved, entries[name]), expected)
    with pytest.raises(DamagedBytesError, match="not of numbers"):
        read_tensor(saved, entries["words"])


@pytest.fixture
def copied(saved, tmp_path):
    for path in saved.parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / saved.name


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.98])
def test_a_flipped_bit_in_the_index_is_found(copied, place):
    index = copied.with_name("model.ckpt-7.index")
    content = bytearray(index.read_bytes())
    content[int(place * (len(content) - 48))] ^= 8  # in the blocks; the last 48 bytes are filled up with zeros
    index.write_bytes(content)
    with pytest.raises(DamagedBytesError):
        read_index(copied)


@pytest.mark.parametrize("left", [0, 47, 48, 10_000])
def test_an_index_that_breaks_off_is_found(copied, left):
    index = copied.with_name("model.ckpt-7.index")
    index.write_bytes(index.read_bytes()[:left])
    with pytest.raises(DamagedBytesError, match="its index is no table"):
        read_index(copied)


def test_damaged_and_missing_data_are_found(copied):
    entry = read_index(copied)["long"]
    data = copied.with_name("model.ckpt-7.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[entry.offset + 5] ^= 1
    data.write_bytes(content)
    with pytest.raises(DamagedBytesError, match=r"checksum in model\.ckpt-7\.data-00000-of-00001 does not fit"):
        read_tensor(copied, entry)
    data.write_bytes(content[: entry.offset + 5])
    with pytest.raises(DamagedBytesError, match="breaks off"):
        read_tensor(copied, entry)
    data.unlink()
    with pytest.raises(FileNotFoundError):
        read_tensor(copied, entry)
