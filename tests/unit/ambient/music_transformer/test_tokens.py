from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.music_transformer.tokens import (
    END,
    MAX_SHIFT_STEPS,
    NOTE_OFF,
    NOTE_ON,
    PAD,
    START,
    TIME_SHIFT,
    VELOCITY,
    VOCABULARY_SIZE,
    bin_to_velocity,
    duration_steps,
    notes_to_tokens,
    stretch_tokens,
    tokens_to_notes,
    transpose_tokens,
    velocity_to_bin,
)
from ambient.notes import Note, PedalEvent, apply_sustain


def on(pitch):
    return NOTE_ON + pitch


def off(pitch):
    return NOTE_OFF + pitch


def shift(steps):
    return TIME_SHIFT + steps - 1


def velocity(value):
    return VELOCITY + velocity_to_bin(value)


@st.composite
def pieces_on_the_grid(draw):
    """Notes on the 10 ms and velocity grid; those of one pitch do not overlap, but may touch."""
    notes = []
    for pitch in draw(st.lists(st.integers(0, 127), unique=True, max_size=5)):
        step = draw(st.integers(0, 500))
        for _ in range(draw(st.integers(1, 4))):
            end = step + draw(st.integers(1, 700))
            notes.append(Note(step / 100, pitch, end / 100, bin_to_velocity(draw(st.integers(0, 31)))))
            step = end + draw(st.integers(0, 300))
    return sorted(notes)


@st.composite
def any_notes(draw):
    """Notes at any time, overlapping at will."""
    size = draw(st.integers(0, 12))
    times = st.floats(0, 30, allow_nan=False)
    return [
        Note(start, draw(st.integers(0, 127)), start + draw(st.floats(0.001, 8)), draw(st.integers(1, 127)))
        for start in [draw(times) for _ in range(size)]
    ]


def test_table_has_magentas_388_events_and_three_specials():
    assert (TIME_SHIFT, VELOCITY, PAD, START, END, VOCABULARY_SIZE) == (256, 356, 388, 389, 390, 391)


def test_every_velocity_has_a_bin_and_none_comes_back_silent():
    for value in range(1, 128):
        assert velocity_to_bin(value) == (value - 1) // 4
        assert 1 <= bin_to_velocity(velocity_to_bin(value)) <= value


def test_a_chord_and_a_repeat_give_the_tokens_counted_by_hand():
    notes = [Note(0.0, 60, 0.5, 64), Note(0.0, 64, 0.5, 64), Note(0.5, 60, 3.0, 100)]
    assert notes_to_tokens(notes) == [
        *(velocity(64), on(60), on(64), shift(50)),
        *(off(60), off(64), velocity(100), on(60)),
        *(shift(100), shift(100), shift(50), off(60)),
    ]


def test_velocity_is_written_only_when_its_bin_changes():
    notes = [Note(i, 60 + i, i + 0.5, v) for i, v in enumerate([61, 64, 65, 66, 64])]
    written = [token for token in notes_to_tokens(notes) if VELOCITY <= token < PAD]
    assert written == [velocity(61), velocity(65), velocity(61)]


def test_a_note_shorter_than_a_step_gets_one():
    assert tokens_to_notes(notes_to_tokens([Note(1.0, 60, 1.001, 65)])).notes == [Note(1.0, 60, 1.01, 65)]


def test_nothing_follows_the_last_event_and_silence_costs_one_token_a_second():
    tokens = notes_to_tokens([Note(60.0, 60, 61.0, 65)])
    assert tokens == [*[shift(100)] * 60, velocity(65), on(60), shift(100), off(60)]


def test_no_drift_over_an_hour_of_uneven_gaps():
    notes = [Note(i * 0.333333, 60, i * 0.333333 + 0.1, 65) for i in range(10_800)]
    starts = np.array([note.start_s for note in tokens_to_notes(notes_to_tokens(notes)).notes])
    assert np.abs(starts - [note.start_s for note in notes]).max() <= 0.005 + 1e-9


@given(st.lists(st.floats(0.011, 4.0), min_size=1, max_size=60), st.floats(0.02, 300.0))
def test_every_gap_and_every_length_lands_on_its_nearest_step_whatever_came_before(gaps, length_s):
    notes = [Note(start_s, 60 + i, start_s + length_s, 65) for i, start_s in enumerate(np.cumsum(gaps).tolist())]
    decoded = tokens_to_notes(notes_to_tokens(notes)).notes
    for note, found in zip(notes, decoded, strict=True):
        assert found.pitch == note.pitch
        assert found.start_s == pytest.approx(note.start_s, abs=0.005 + 1e-9)
        assert found.end_s == pytest.approx(note.end_s, abs=0.005 + 1e-9)


@given(any_notes())
def test_every_note_is_audible_and_as_loud_as_its_bin(notes):
    decoded = tokens_to_notes(notes_to_tokens(notes)).notes
    assert all(note.velocity >= 1 for note in decoded)
    assert sorted(n.velocity for n in decoded) == sorted(bin_to_velocity(velocity_to_bin(n.velocity)) for n in notes)


@given(any_notes())
def test_a_velocity_is_never_said_twice_in_a_row(notes):
    said = [token for token in notes_to_tokens(notes) if token >= VELOCITY]
    assert all(first != second for first, second in pairwise(said))
    assert len(said) <= len(notes)


@given(pieces_on_the_grid())
def test_notes_on_the_grid_come_back_as_they_were(notes):
    decoded = tokens_to_notes(notes_to_tokens(notes))
    assert decoded.notes == notes
    assert not decoded.dropped
    assert not decoded.closed


@given(any_notes())
def test_no_note_is_lost_or_doubled_however_notes_overlap(notes):
    decoded = tokens_to_notes(notes_to_tokens(notes))
    assert not decoded.dropped
    wanted, found = defaultdict(list), defaultdict(list)
    for note in notes:
        wanted[note.pitch].append((note.start_s, note.end_s))
    for note in decoded.notes:
        found[note.pitch].append((note.start_s, note.end_s))
    assert wanted.keys() == found.keys()
    for pitch, spans in wanted.items():
        for side in (0, 1):  # first in, first out: starts and ends keep their places, their pairing may not
            times = sorted(span[side] for span in spans)
            assert sorted(span[side] for span in found[pitch]) == pytest.approx(times, abs=0.0151)


@given(st.lists(st.integers(-5, 400), max_size=80))
def test_any_stream_of_integers_decodes_and_what_was_dropped_is_counted(tokens):
    decoded = tokens_to_notes(tokens)
    read = tokens[: tokens.index(END)] if END in tokens else tokens
    starts = sum(0 <= token < NOTE_OFF for token in read)
    assert len(decoded.notes) == starts - decoded.dropped.get("zero_length", 0)
    assert all(note.start_s < note.end_s <= decoded.seconds for note in decoded.notes)
    assert decoded.dropped.get("special", 0) == sum(token in (PAD, START) for token in read)
    assert decoded.dropped.get("unknown", 0) == sum(token < 0 or token > END for token in read)


def test_overlapping_notes_of_one_pitch_end_first_in_first_out():
    notes = [Note(0.0, 60, 2.0, 65), Note(1.0, 60, 3.0, 65)]
    assert tokens_to_notes(notes_to_tokens(notes)).notes == notes


def test_a_stray_off_is_ignored_and_a_note_without_an_end_is_closed_at_the_end():
    decoded = tokens_to_notes([off(50), velocity(65), on(60), shift(100), off(50), shift(20)])
    assert decoded.notes == [Note(0.0, 60, 1.2, 65)]
    assert decoded.dropped == {"stray_off": 2}
    assert decoded.closed == 1


def test_pad_and_start_in_a_stream_cost_nothing_and_end_stops_it():
    decoded = tokens_to_notes([START, velocity(65), PAD, on(60), shift(10), off(60), END, on(61), shift(10)])
    assert decoded.notes == [Note(0.0, 60, 0.1, 65)]
    assert decoded.dropped == {"special": 2}


def test_velocities_one_to_three_stay_audible():
    notes = [Note(i, 60, i + 0.5, i + 1) for i in range(7)]
    decoded = tokens_to_notes(notes_to_tokens(notes)).notes
    assert [note.velocity for note in decoded] == [1, 1, 1, 1, 5, 5, 5]


def test_a_file_without_pedal_and_notes_after_the_last_pedal_up_are_kept():
    notes = [Note(i, 60 + i, i + 0.5, 65) for i in range(4)]
    pedals = [PedalEvent(0.1, True), PedalEvent(1.2, False)]
    assert len(tokens_to_notes(notes_to_tokens(apply_sustain(notes, []))).notes) == 4
    assert len(tokens_to_notes(notes_to_tokens(apply_sustain(notes, pedals))).notes) == 4


@given(any_notes(), st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=8))
def test_no_pedal_pattern_loses_or_doubles_a_note(notes, pedals):
    held = apply_sustain(notes, [PedalEvent(time_s, down) for time_s, down in pedals])
    decoded = tokens_to_notes(notes_to_tokens(held))
    assert sorted(note.pitch for note in decoded.notes) == sorted(note.pitch for note in notes)


def test_transposing_moves_notes_only_and_discards_what_leaves_the_range():
    tokens = np.array(notes_to_tokens([Note(0.0, 60, 1.0, 65), Note(0.5, 127, 2.0, 9)]), dtype=np.int16)
    down = transpose_tokens(tokens, -3)
    assert [(n.pitch, n.velocity) for n in tokens_to_notes(down).notes] == [(57, 65), (124, 9)]
    assert duration_steps(down) == duration_steps(tokens)
    assert transpose_tokens(tokens, 1) is None


@settings(deadline=None)
@given(pieces_on_the_grid().filter(bool), st.floats(0.9, 1.1))
def test_stretching_keeps_every_note_and_multiplies_the_times(notes, factor):
    tokens = np.array(notes_to_tokens(notes), dtype=np.int16)
    stretched = tokens_to_notes(stretch_tokens(tokens, factor))
    assert not stretched.dropped
    assert sorted((n.pitch, n.velocity) for n in stretched.notes) == sorted((n.pitch, n.velocity) for n in notes)
    moments = len({time for note in notes for time in (note.start_s, note.end_s)})
    end = max(note.end_s for note in notes) * factor
    assert max(note.end_s for note in stretched.notes) == pytest.approx(end, abs=0.006 + 0.01 * moments)


def test_stretching_by_one_changes_nothing():
    notes = [Note(0.0, 60, 0.5, 64), Note(0.0, 64, 0.5, 64), Note(0.5, 60, 3.0, 100)]
    tokens = np.array(notes_to_tokens(notes), dtype=np.int16)
    assert stretch_tokens(tokens, 1.0).tolist() == tokens.tolist()
    assert max(tokens[(tokens >= TIME_SHIFT) & (tokens < VELOCITY)]) == TIME_SHIFT + MAX_SHIFT_STEPS - 1


def test_a_stream_without_a_velocity_begins_with_that_of_bin_16():
    note_on, one_second, note_off = 60, 355, 188
    assert tokens_to_notes([note_on, one_second, note_off]).notes == [Note(0.0, 60, 1.0, 65)]
