"""What is written to a array comes back, in whatever stretches, and nothing stays on the disk."""

import numpy as np
import pytest

from ambient.onsets_and_frames.disk_array import DiskArray


def test_rows_come_back_in_other_stretches_than_they_were_written_in(tmp_path):
    rows = np.random.default_rng(0).random((23, 5)).astype(np.float32)
    with DiskArray(5, folder=tmp_path) as array:
        for first in (10, 0, 20):  # in any order
            array.write(first, rows[first : first + 10])
        for first, last in ((0, 23), (7, 12), (22, 23), (4, 4)):
            np.testing.assert_array_equal(array.read(first, last), rows[first:last])


def test_turned_rows_and_other_kinds_of_numbers_are_stored_as_they_are_seen(tmp_path):
    rows = np.arange(12, dtype=np.float64).reshape(6, 2)
    with DiskArray(2, folder=tmp_path) as array:
        array.write(0, rows[::-1])
        np.testing.assert_array_equal(array.read(0, 6), rows[::-1].astype(np.float32))


def test_a_tape_has_no_name_on_the_disk(tmp_path):
    with DiskArray(2, folder=tmp_path) as array:
        array.write(0, np.zeros((3, 2), dtype=np.float32))
        assert list(tmp_path.iterdir()) == []


def test_rows_that_were_not_written_and_rows_of_another_width_are_a_mistake_of_ours(tmp_path):
    with DiskArray(2, folder=tmp_path) as array:
        with pytest.raises(AssertionError, match="were not written"):
            array.read(0, 1)
        with pytest.raises(AssertionError, match="expected 2 columns"):
            array.write(0, np.zeros((1, 3), dtype=np.float32))


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        DiskArray(2, folder=tmp_path / "nowhere")
