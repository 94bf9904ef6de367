from ambient.notes import Note, PedalEvent, apply_sustain


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
