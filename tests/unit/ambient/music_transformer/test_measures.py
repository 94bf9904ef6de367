import math

import pytest

from ambient.music_transformer.measures import measure
from ambient.notes import Note


def line(pitches, *, every_s=1.0, long_s=0.5):
    return [Note(i * every_s, pitch, i * every_s + long_s, 64) for i, pitch in enumerate(pitches)]


def test_a_single_held_note_is_all_sound_and_no_variety():
    held = measure([Note(2.0, 60, 6.0, 64)])
    assert (held.notes_per_second, held.silence, held.polyphony) == (0.25, 0.0, 1.0)
    assert (held.pitch_class_entropy, held.pitch_range, held.self_repetition) == (0.0, 0.0, 0.0)
    assert held.longest_note_s == 4.0


def test_rests_between_notes_are_silence():
    detached = measure(line([60, 62, 64, 65]))
    assert detached.silence == pytest.approx(1.5 / 3.5)
    assert detached.notes_per_second == pytest.approx(4 / 3.5)
    assert detached.median_note_s == pytest.approx(0.5)


def test_notes_that_sound_together_count_as_polyphony_and_once_as_sound():
    chord = [Note(0, 60, 2, 64), Note(0, 64, 2, 64), Note(1, 67, 3, 64)]
    assert measure(chord).polyphony == pytest.approx(6 / 3)
    assert measure(chord).silence == 0.0


def test_a_diatonic_scale_is_consistent_and_the_chromatic_one_is_not():
    diatonic = measure(line([60, 62, 64, 65, 67, 69, 71, 72]))
    assert diatonic.scale_consistency == 1.0
    chromatic = measure(line(range(60, 72)))
    assert chromatic.scale_consistency == pytest.approx(7 / 12)
    assert chromatic.pitch_class_entropy == pytest.approx(math.log2(12))


def test_figures_that_come_again_are_repetition():
    assert measure(line([60, 62, 64, 65] * 2)).self_repetition == pytest.approx(2 / 5)
    assert measure(line([60] * 8)).self_repetition == 1.0
    assert measure(line(range(40, 60))).self_repetition == 0.0
