"""A note can be heard from a tenth of its largest energy."""

import numpy as np
import pytest

from ambient.notes import Note
from ambient.onsets_and_frames.audible import audible_after_s, audible_starts_s

RATE_HZ = 8000


def swelling(notes, *, attack_s=1.0, release_s=0.5):
    """Play tones whose amplitude rises along a line for a second and falls along one after the key is released."""
    end_s = max(note.end_s for note in notes) + release_s
    sound = np.zeros(int(end_s * RATE_HZ) + 1)
    for note in notes:
        time_s = np.arange(len(sound)) / RATE_HZ - note.start_s
        held_s = note.end_s - note.start_s
        rise = np.clip(time_s, 0, min(held_s, attack_s)) / attack_s
        fall = np.clip(1 - (time_s - held_s) / release_s, 0, 1)
        sound += rise * fall * (time_s > 0) * np.sin(2 * np.pi * 440 * time_s) * note.velocity / 127
    return sound


def test_a_swelling_tone_can_be_heard_from_a_tenth_of_its_energy():
    sound = swelling([Note(0.0, 60, 2.0, 100)])
    # Energy goes with the square of the amplitude.
    assert audible_after_s(sound, RATE_HZ) == pytest.approx(np.sqrt(0.1), abs=0.01)


def test_a_click_can_be_heard_at_once_and_silence_never():
    click = np.zeros(RATE_HZ)
    click[:80] = 1
    assert audible_after_s(click, RATE_HZ) == 0.0
    assert audible_after_s(np.zeros((RATE_HZ, 2)), RATE_HZ) == 0.0


def test_each_note_is_measured_alone_however_they_overlap():
    notes = [Note(1.0, 60, 3.0, 100), Note(1.2, 64, 3.2, 60), Note(5.0, 60, 5.4, 100), Note(6.0, 67, 6.05, 100)]
    starts_s = audible_starts_s(notes, swelling, RATE_HZ)
    late_s = np.sqrt(0.1)
    assert starts_s[:2] == pytest.approx([1.0 + late_s, 1.2 + late_s], abs=0.02)
    assert starts_s[2] == pytest.approx(5.0 + 0.4 * late_s, abs=0.02)  # it is loudest when its key is released
    assert all(note.start_s <= start_s < note.end_s for note, start_s in zip(notes, starts_s, strict=True))


def test_notes_of_a_kind_are_played_once():
    played = []

    def play(notes):
        played.extend(notes)
        return swelling(notes)

    audible_starts_s([Note(float(second), 60, second + 0.5, 64) for second in range(20)], play, RATE_HZ)
    assert len(played) == 1
    assert audible_starts_s([], play, RATE_HZ) == []
