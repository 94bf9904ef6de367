import numpy as np
import pytest

from ambient.music_transformer.fields import Fields
from ambient.music_transformer.rows import (
    CHOSEN_OFFSETS,
    CHOSEN_SIZE,
    FIELD_SIZES,
    INPUT_OFFSETS,
    INPUT_SIZE,
    labels_of,
    note_rows,
    start_row,
    wavelengths,
)


def piece(*notes):
    """From (start, pitch, length, velocity) in steps and bins."""
    return Fields(*np.array(notes, dtype=np.int64).reshape(-1, 4).T)


def test_rows_of_a_small_piece():
    rows = note_rows(piece((0, 60, 100, 16), (0, 64, 30, 16), (50, 67, 10, 20), (200, 60, 5, 3)))
    said = [0] * 6  # mark and descriptions
    # 100 steps lie in bin 59 [99, 104), 50 in bin 45 [50, 52), 150 in bin 67 [146, 153); bin 177 says: none.
    assert rows.tolist() == [
        # gap, pitch, length, velocity, first end, next end, sounding
        [0, 60, 59, 16, 59, 177, 1, *said, 0],
        [0, 64, 30, 16, 30, 59, 2, *said, 0],
        [45, 67, 10, 20, 10, 45, 2, *said, 50],  # the note of pitch 64 has ended
        [67, 60, 5, 3, 5, 177, 1, *said, 200],
    ]
    assert rows.dtype == np.int32


def test_a_note_that_ends_where_another_starts_does_not_sound_then():
    rows = note_rows(piece((0, 60, 10, 16), (10, 62, 4, 16)))
    assert rows[1, 4:7].tolist() == [4, 177, 1]


def test_notes_that_end_together_are_one_moment():
    rows = note_rows(piece((0, 60, 20, 16), (0, 64, 20, 16), (0, 67, 30, 16)))
    assert rows[1, 4:7].tolist() == [20, 177, 2]
    assert rows[2, 4:7].tolist() == [20, 30, 3]


def test_more_than_fifteen_sounding_notes_count_as_fifteen():
    rows = note_rows(piece(*((0, 40 + i, 9, 16) for i in range(20))))
    assert rows[:, 6].tolist() == [*range(1, 16), 15, 15, 15, 15, 15]


def test_a_sounding_note_is_remembered_for_sixty_four_notes():
    long = piece((0, 40, 5000, 16), *((10 + 10 * i, 60, 5, 16) for i in range(70)))
    rows = note_rows(long)
    assert rows[63, 6] == 2
    assert rows[64, 6] == 1


def test_no_notes_give_no_rows():
    assert note_rows(piece()).shape == (0, 14)


def test_a_start_row_holds_no_note():
    assert start_row(7).tolist() == [178, 128, 177, 32, 177, 177, 0, 0, 0, 0, 0, 0, 0, 7]


def test_after_an_end_nothing_but_the_end_is_to_be_predicted():
    rows = np.array([[5, 60, 9, 16, 9, 177, 1, *[0] * 6, 0], [177, 60, 9, 16, 9, 177, 1, *[0] * 6, 0]])
    assert labels_of(rows).tolist() == [[5, 60, 9, 16], [177, -1, -1, -1]]
    assert rows[1, 1] == 60


def test_the_four_fields_have_515_choices_and_the_tables_are_laid_out_without_overlap():
    assert FIELD_SIZES == (178, 128, 177, 32)
    assert sum(FIELD_SIZES) == 515
    # gap, pitch, length, velocity, two ends, sounding, mark, five descriptions, pitch class
    sizes = [179, 129, 178, 33, 178, 178, 16, 3, 21, 21, 21, 21, 21, 13]
    assert list(INPUT_OFFSETS) == [sum(sizes[:i]) for i in range(14)]
    assert INPUT_SIZE == sum(sizes) == 1012
    assert (CHOSEN_OFFSETS.tolist(), CHOSEN_SIZE) == ([0, 178, 306], 483)


def test_of_32_pairs_ten_turn_with_order_fourteen_with_time_and_eight_with_pitch():
    order, time, pitch = wavelengths(64)
    assert (len(order), len(time), len(pitch)) == (10, 14, 8)
    assert order.tolist() == pytest.approx([4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048])
    assert (time[0], time[-1]) == pytest.approx((8, 24_000))  # 80 ms, four minutes
    assert pitch[0] == 12
    assert pitch[1] * 7 == pytest.approx(12)  # a fifth is seven semitones


@pytest.mark.parametrize("width", [8, 16, 32, 64, 128])
def test_every_pair_of_columns_of_a_head_turns_with_something(width):
    assert sum(map(len, wavelengths(width))) == width // 2
    assert all(map(len, wavelengths(width)))
