"""Scores are mir_eval's, and defined where there is nothing to score."""

from dataclasses import replace

import pytest

from ambient.notes import Note
from ambient.onsets_and_frames.metrics import mean_scores, score


def test_the_truth_scores_one(melody):
    result = score(melody, melody)
    assert (result.onset, result.onset_150, result.onset_offset, result.frame, result.velocity) == (1, 1, 1, 1, 1)


def test_notes_100_ms_late_count_only_at_150_ms(melody):
    late = [replace(note, start_s=note.start_s + 0.1, end_s=note.end_s + 0.1) for note in melody]
    result = score(melody, late)
    assert (result.onset, result.onset_150) == (0, 1)


def test_onsets_are_scored_against_the_audible_moment_too(melody):
    late_s = [note.start_s + 0.2 for note in melody]
    result = score(melody, melody, audible_s=late_s)
    assert (result.onset, result.audible, result.audible_150) == (1, 0, 0)
    heard = [replace(note, start_s=note.start_s + 0.1, end_s=note.end_s + 0.1) for note in melody]
    result = score(melody, heard, audible_s=late_s)
    assert (result.onset, result.audible, result.audible_150) == (0, 0, 1)
    assert score(melody, melody).audible == 1


def test_length_is_the_median_of_heard_over_played():
    played = [Note(float(second), 60, second + 0.8, 64) for second in range(5)]
    heard = [
        replace(note, end_s=note.start_s + 0.8 * ratio) for note, ratio in zip(played, (0.1, 0.5, 2), strict=False)
    ]
    assert score(played, heard).length == pytest.approx(0.5)
    assert score(played, [replace(note, pitch=61) for note in played]).length == 0


def test_velocities_count_after_a_linear_fit_and_when_they_fit_they_are_right(melody):
    halved = [replace(note, velocity=note.velocity // 2 + 5) for note in melody]
    assert score(melody, halved).velocity == 1
    scrambled = [replace(note, velocity=10 if index % 2 else 120) for index, note in enumerate(melody)]
    assert score(melody, scrambled).velocity < 0.5
    assert score(melody, [replace(note, pitch=note.pitch - 1) for note in melody]).velocity == 0


def test_missing_notes_cost_recall_and_extra_notes_precision(melody):
    result = score(melody, melody[:6])
    assert (result.precision, result.recall) == (1, pytest.approx(6 / 9))
    result = score(melody[:6], melody)
    assert (result.precision, result.recall) == (pytest.approx(6 / 9), 1)


def test_nothing_heard_scores_zero(melody):
    assert score(melody, []).onset == score([], melody).frame == 0


def test_mean_is_over_recordings(melody):
    both = mean_scores([score(melody, melody), score(melody, [])])
    assert both.onset == both.frame == 0.5
