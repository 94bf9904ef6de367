import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.music_transformer.fields import (
    BIN_WIDTHS,
    BINS,
    EDGES,
    Fields,
    fields_to_notes,
    notes_to_fields,
    steps_to_bins,
    tokens_to_fields,
)
from ambient.music_transformer.tokens import notes_to_tokens
from ambient.notes import Note

on_the_grid = st.builds(
    lambda start, pitch, length, velocity: Note(start / 100, pitch, (start + length) / 100, 1 + 4 * velocity),
    st.integers(0, 3000),
    st.integers(0, 127),
    st.integers(1, 2000),
    st.integers(0, 31),
)


@given(st.lists(on_the_grid, max_size=40))
def test_notes_on_the_grid_come_back_as_they_were(notes):
    assert fields_to_notes(notes_to_fields(notes)) == sorted(notes)


def test_times_go_to_the_nearest_step_halves_up_and_no_note_becomes_empty():
    fields = notes_to_fields([Note(1.0049, 60, 2.005, 64), Note(0.005, 61, 0.006, 127), Note(3.0, 62, 3.004, 1)])
    assert fields.starts.tolist() == [1, 100, 300]
    assert fields.lengths.tolist() == [1, 101, 1]
    assert fields.ends.tolist() == [2, 201, 301]
    assert fields.velocities.tolist() == [31, 15, 0]


def test_notes_are_sorted_by_start_then_pitch_then_length():
    notes = [Note(1, 60, 3, 65), Note(1, 60, 2, 65), Note(1, 55, 2, 65), Note(0, 99, 1, 65)]
    fields = notes_to_fields(notes)
    assert list(zip(fields.starts, fields.pitches, fields.lengths, strict=True)) == [
        (0, 99, 100),
        (100, 55, 100),
        (100, 60, 100),
        (100, 60, 200),
    ]


def test_no_notes_are_a_piece_of_no_seconds():
    nothing = notes_to_fields([])
    assert (len(nothing), nothing.seconds, fields_to_notes(nothing)) == (0, 0.0, [])


def test_a_piece_is_as_long_as_from_its_first_start_to_its_last_end():
    assert notes_to_fields([Note(2, 60, 9, 65), Note(3, 64, 4, 65)]).seconds == 7.0


def test_performance_tokens_say_the_same_notes():
    notes = [Note(0.0, 60, 1.5, 65), Note(0.0, 64, 0.5, 65), Note(0.5, 67, 2.0, 101)]
    fields = tokens_to_fields(np.array(notes_to_tokens(notes), dtype=np.int16))
    assert fields_to_notes(fields) == notes


def test_parts_are_joined_in_their_order():
    one, other = notes_to_fields([Note(5, 60, 6, 65)]), notes_to_fields([Note(0, 70, 1, 65), Note(1, 71, 2, 65)])
    assert Fields.joined([one, other]).pitches.tolist() == [60, 70, 71]


def test_each_step_below_400_ms_is_a_bin_of_its_own():
    assert steps_to_bins(np.arange(40)).tolist() == list(range(40))
    assert BIN_WIDTHS[:40].tolist() == [1] * 40


def test_from_400_ms_on_bins_grow_by_a_twentieth():
    # 40 x 1.05 = 42, 42 x 1.05 = 44.1, ... 52 x 1.05 = 54.6, 55 x 1.05 = 57.75, each rounded.
    assert EDGES[40:51].tolist() == [40, 42, 44, 46, 48, 50, 52, 55, 58, 61, 64]
    assert steps_to_bins(np.array([40, 41, 42, 43, 44, 99, 103, 104])).tolist() == [40, 40, 41, 41, 42, 59, 59, 60]
    assert EDGES[61:] / EDGES[60:-1] == pytest.approx(1.05, abs=0.005)


def test_the_last_bin_reaches_five_minutes_and_takes_all_that_is_longer():
    assert (BINS, EDGES[-2], EDGES[-1]) == (177, 29_552, 31_030)
    assert steps_to_bins(np.array([29_551, 29_552, 30_000, 31_030, 10**9])).tolist() == [175, 176, 176, 176, 176]


@given(st.integers(0, 31_029))
def test_a_step_lies_within_its_bin(step):
    (found,) = steps_to_bins(np.array([step]))
    assert EDGES[found] <= step < EDGES[found + 1]
    assert EDGES[found + 1] - EDGES[found] == BIN_WIDTHS[found]
