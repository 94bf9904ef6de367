"""Labels are what note-seq would draw, worked out by hand and by a slow twin."""

import math

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.labels import Rolls, notes_to_rolls, united


def slow_rolls(notes, frames):
    """Ask each frame and key in turn whether the note touches it."""
    rolls = np.zeros((4, frames, 88))
    total_s = max(note.end_s for note in notes)
    loudest = max(note.velocity for note in notes)
    for note in notes:
        after_s = min(note.end_s + 0.032, total_s)
        spans = (
            (note.start_s, min(note.end_s, note.start_s + 0.032)),
            (after_s - 0.032, after_s),
            (note.start_s, note.end_s),
        )
        for which, (start_s, end_s) in enumerate(spans):
            first = math.floor(start_s * 31.25)
            for frame in range(frames):
                if frame == first or first <= frame < math.ceil(end_s * 31.25):
                    rolls[which, frame, note.pitch - 21] = 1
        rolls[3][rolls[0, :, note.pitch - 21] * (np.arange(frames) >= first_of(note)) > 0, note.pitch - 21] = 0
    for note in sorted(notes):
        for frame in range(first_of(note), first_of(note) + 2):
            if frame < frames and rolls[0, frame, note.pitch - 21]:
                rolls[3, frame, note.pitch - 21] = note.velocity / loudest
    return rolls


def first_of(note):
    return math.floor(note.start_s * 31.25)


def test_rolls_equal_slow_version(melody):
    rolls = notes_to_rolls(melody, 110)
    expected = slow_rolls(melody, 110)
    for roll, slow in zip((rolls.onset, rolls.offset, rolls.frame, rolls.velocity), expected, strict=True):
        np.testing.assert_allclose(roll, slow)


def test_one_note_by_hand():
    rolls = notes_to_rolls([Note(0.040, 60, 0.200, 80), Note(0.0, 21, 1.0, 100)], 40)
    assert np.flatnonzero(rolls.frame[:, 39]).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(rolls.onset[:, 39]).tolist() == [1, 2]
    assert np.flatnonzero(rolls.offset[:, 39]).tolist() == [6, 7]
    assert rolls.velocity[1, 39] == np.float32(0.8)
    assert rolls.velocity[3, 39] == 0


def test_a_very_short_note_still_marks_a_frame_of_each_roll():
    rolls = notes_to_rolls([Note(0.5, 60, 0.501, 80), Note(0.0, 21, 1.0, 100)], 40)
    assert rolls.frame[:, 39].sum() == rolls.onset[:, 39].sum() == 1
    assert rolls.offset[:, 39].sum() >= 1


def test_pitches_outside_the_piano_are_left_out_and_length_is_as_asked():
    rolls = notes_to_rolls([Note(0.0, 20, 1.0, 80), Note(0.0, 109, 1.0, 80)], 10)
    assert rolls.frame.shape == (10, 88)
    assert rolls.frame.sum() == 0


def test_a_part_of_a_piece_has_the_rows_of_the_whole(melody):
    whole = notes_to_rolls(melody, 110)
    part = notes_to_rolls(melody, 30, first_frame=40)
    for name in ("onset", "offset", "frame", "velocity"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[40:70])


def test_no_notes_are_empty_rolls():
    assert notes_to_rolls([], 5).frame.sum() == 0


def test_labels_of_a_part_are_that_part_of_the_labels(melody):
    whole = notes_to_rolls(melody, 110)
    for first in range(0, 100, 7):
        part = notes_to_rolls(melody, 10, first_frame=first)
        for name in Rolls.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[first : first + 10])


def test_what_sounds_on_in_one_of_two_stretches_has_not_ended():
    long, short = notes_to_rolls([Note(0.0, 60, 1.0, 64)], 40), notes_to_rolls([Note(0.2, 60, 0.5, 64)], 40)
    both = united(long, short)
    assert set(np.flatnonzero(both.offset[:, 39])) == set(np.flatnonzero(long.offset[:, 39]))
    assert set(np.flatnonzero(both.onset[:, 39])) == {0, 6, 7} | set(np.flatnonzero(long.onset[:, 39]))
    np.testing.assert_array_equal(both.frame, long.frame)
