"""Scores are mir_eval's, and defined where there is nothing to score."""

from dataclasses import replace

import pytest

from ambient.onsets_and_frames.metrics import mean_scores, score


def test_the_truth_scores_one(melody):
    result = score(melody, melody)
    assert (result.onset, result.onset_150, result.onset_offset, result.frame) == (1, 1, 1, 1)


def test_notes_100_ms_late_count_only_at_150_ms(melody):
    late = [replace(note, start_s=note.start_s + 0.1, end_s=note.end_s + 0.1) for note in melody]
    result = score(melody, late)
    assert (result.onset, result.onset_150) == (0, 1)


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
