from hypothesis import given
from hypothesis import strategies as st

from ambient.notes import Note, PedalEvent, apply_sustain, cut_at_restrikes


def test_note_held_by_pedal_ends_when_pedal_lifts():
    notes = [Note(0.0, 60, 0.5, 80)]
    assert apply_sustain(notes, [PedalEvent(0.2, True), PedalEvent(2.0, False)]) == [Note(0.0, 60, 2.0, 80)]


def test_restruck_pitch_ends_the_held_note():
    notes = [Note(0.0, 60, 0.5, 80), Note(1.0, 60, 1.2, 70)]
    pedals = [PedalEvent(0.2, True), PedalEvent(2.0, False)]
    assert apply_sustain(notes, pedals) == [Note(0.0, 60, 1.0, 80), Note(1.0, 60, 2.0, 70)]


def test_note_released_after_the_lift_keeps_its_end():
    notes = [Note(0.0, 60, 1.5, 80)]
    assert apply_sustain(notes, [PedalEvent(0.2, True), PedalEvent(1.0, False)]) == notes


def test_second_press_does_not_bring_a_note_back():
    notes = [Note(0.0, 60, 0.5, 80)]
    pedals = [PedalEvent(0.0, True), PedalEvent(1.0, False), PedalEvent(2.0, True), PedalEvent(3.0, False)]
    assert apply_sustain(notes, pedals) == [Note(0.0, 60, 1.0, 80)]


def test_pedal_never_lifted_holds_to_the_last_event():
    notes = [Note(0.0, 60, 0.5, 80), Note(1.0, 64, 4.0, 80)]
    assert apply_sustain(notes, [PedalEvent(0.1, True)])[0] == Note(0.0, 60, 4.0, 80)


def test_overlapping_equal_pitches_keep_their_own_ends():
    notes = [Note(0.0, 60, 2.0, 80), Note(1.0, 60, 3.0, 80)]
    assert apply_sustain(notes, [PedalEvent(5.0, True), PedalEvent(6.0, False)]) == notes


def test_without_pedal_nothing_changes_but_the_order():
    notes = [Note(1.0, 60, 2.0, 80), Note(0.0, 62, 3.0, 80)]
    assert apply_sustain(notes, []) == sorted(notes)


def test_striking_a_key_that_is_still_down_under_the_pedal_ends_the_first_note():
    notes = [Note(0.0, 60, 2.0, 80), Note(1.0, 60, 2.5, 70)]
    assert apply_sustain(notes, [PedalEvent(0.5, True), PedalEvent(3.0, False)]) == [
        Note(0.0, 60, 1.0, 80),
        Note(1.0, 60, 3.0, 70),
    ]


def test_pedal_change_in_one_instant_lifts_first():
    notes = [Note(0.0, 60, 0.5, 80), Note(1.0, 64, 1.5, 80)]
    pedals = [PedalEvent(0.2, True), PedalEvent(1.0, True), PedalEvent(1.0, False), PedalEvent(2.0, False)]
    assert apply_sustain(notes, pedals) == [Note(0.0, 60, 1.0, 80), Note(1.0, 64, 2.0, 80)]


def test_pedal_never_lifted_holds_to_the_end_of_the_piece():
    assert apply_sustain([Note(0.0, 60, 0.5, 80)], [PedalEvent(0.1, True)], piece_end_s=9.0) == [Note(0.0, 60, 9.0, 80)]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(60, 63), st.integers(1, 20)), max_size=20),
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12),
)
def test_no_note_is_lost_doubled_or_emptied_whatever_the_pedal_does(played, pressed):
    notes = [Note(start / 4, pitch, (start + length) / 4, 80) for start, pitch, length in played]
    sustained = apply_sustain(notes, [PedalEvent(time / 4, down) for time, down in pressed])
    assert sorted((n.start_s, n.pitch) for n in sustained) == sorted((n.start_s, n.pitch) for n in notes)
    assert all(n.end_s > n.start_s for n in sustained)


def test_a_note_ends_where_the_same_pitch_starts_again():
    notes = [Note(0.0, 60, 2.0, 50), Note(1.0, 60, 1.5, 60), Note(0.5, 61, 3.0, 70), Note(1.0, 60, 4.0, 80)]
    assert cut_at_restrikes(notes) == [Note(0.0, 60, 1.0, 50), Note(0.5, 61, 3.0, 70), Note(1.0, 60, 4.0, 80)]
    assert cut_at_restrikes([]) == []


def test_a_note_that_a_restrike_leaves_too_short_is_dropped():
    notes = [Note(0.0, 60, 2.0, 64), Note(1.0, 60, 3.0, 64), Note(1.0, 62, 1.003, 64)]
    assert cut_at_restrikes(notes, shortest_s=0.004) == [Note(0.0, 60, 1.0, 64), Note(1.0, 60, 3.0, 64)]
    assert cut_at_restrikes(notes[2:]) == notes[2:]
