"""Many pianos out of one: another tuning, another decay, strings that answer; drawn alike for the same seed."""

import numpy as np
import pytest

from ambient.notes import Note
from ambient.onsets_and_frames.piano_character import PianoCharacter, answer_of_strings, drawn_character
from ambient.onsets_and_frames.sampled_piano import SampledPiano
from tests.unit.ambient.onsets_and_frames.test_sampled_piano import RATE_HZ, level_at, recordings

__all__ = ["recordings"]  # a fixture
A4 = [Note(0.0, 69, 1.0, 20)]


def test_a_key_played_by_another_ones_recording_keeps_its_pitch(recordings):
    sound = SampledPiano(recordings).play(A4, PianoCharacter(keys_up=3))  # C5, slower
    assert level_at(sound[:RATE_HZ], 440.0) > 20 * level_at(sound[:RATE_HZ], 523.25)


def test_a_brighter_hammer_is_as_loud(recordings):
    piano = SampledPiano(recordings)
    plain, bright = (piano.play(A4, PianoCharacter(velocities_up=up))[: RATE_HZ // 2] for up in (0, 15))
    assert level_at(bright, 880.0) == pytest.approx(0.5 * level_at(bright, 440.0), rel=0.05)
    assert np.sqrt(np.mean(bright**2)) == pytest.approx(np.sqrt(np.mean(plain**2)), rel=0.02)


def test_keys_are_tuned_and_weighed_one_by_one(recordings):
    cents, gains = np.zeros(88), np.ones(88)
    cents[69 - 21], gains[69 - 21] = 50.0, 0.5
    piano = SampledPiano(recordings)
    plain, changed = piano.play(A4), piano.play(A4, PianoCharacter(cents=cents, gains=gains))
    assert level_at(changed[:RATE_HZ], 440.0 * 2 ** (50 / 1200)) == pytest.approx(
        0.5 * level_at(plain[:RATE_HZ], 440.0), rel=0.05
    )


def test_two_strings_beat_and_a_note_falls_faster(recordings):
    piano = SampledPiano(recordings)
    beating = piano.play(A4, PianoCharacter(unison_cents=7.863, unison_share=1.0))  # 442 Hz: silent after 0.25 s
    levels = [np.sqrt(np.mean(beating[first : first + 320] ** 2)) for first in (0, RATE_HZ // 4 - 160, RATE_HZ // 2)]
    assert levels[1] < 0.1 * levels[0]
    assert levels[2] > 0.8 * levels[0]
    falling, plain = piano.play(A4, PianoCharacter(fall_db=20.0)), piano.play(A4)
    later = slice(RATE_HZ // 2, RATE_HZ // 2 + 320)
    assert np.sqrt(np.mean(falling[later] ** 2) / np.mean(plain[later] ** 2)) == pytest.approx(0.316, abs=0.01)


def test_strings_answer_what_meets_their_partials(recordings):
    answer = answer_of_strings(np.random.default_rng(1))
    assert np.sum(answer**2) == pytest.approx(1.0, rel=1e-3)
    assert level_at(answer, 440.0) > 5 * level_at(answer, 453.0)  # between two keys
    piano = SampledPiano(recordings)
    with_answer, plain = piano.play(A4, PianoCharacter(answer=answer)), piano.play(A4)
    assert len(with_answer) == len(plain)
    assert not np.allclose(with_answer, plain)


def test_equal_seeds_draw_equal_pianos_and_others_other_ones():
    one, again, other = (drawn_character(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.cents, again.cents)
    assert not np.array_equal(one.cents, other.cents)
    assert -8 <= one.keys_up <= 8
