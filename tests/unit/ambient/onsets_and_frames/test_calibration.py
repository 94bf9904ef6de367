"""Weights that made notes right and wrong are found again, takes count alike, and a confidence of a half is a half."""

import numpy as np
import pytest

from ambient.model_folder import weights_of
from ambient.notes import Note
from ambient.onsets_and_frames.calibration import Judged, calibration_error, fit_confidence, judge
from ambient.onsets_and_frames.config import DecodingConfig
from ambient.onsets_and_frames.decoding import Decoded
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.metrics import right_notes
from ambient.onsets_and_frames.network import Network
from ambient.onsets_and_frames.rendering import Take
from ambient.onsets_and_frames.spectrogram import log_mel


def drawn(random, notes, *, weights=(0.8, 0.3, -2.0), bias=-1.0):
    """Draw evidence, and notes that are right as often as these weights say."""
    odds = random.normal(2.0, 1.5, notes)
    evidence = np.column_stack([odds, np.full(notes, odds.mean()), random.random(notes)])
    likely = 1 / (1 + np.exp(-(bias + evidence @ np.array(weights))))
    return Judged(evidence, random.random(notes) < likely)


def test_the_weights_that_made_the_notes_are_found():
    random = np.random.default_rng(0)
    found = fit_confidence([drawn(random, 400) for _ in range(60)])
    assert (found.onset, found.below) == pytest.approx((0.8, -2.0), abs=0.15)
    judged = [drawn(random, 400) for _ in range(60)]
    sure = [value for take in judged for value in Decoded([], take.evidence).confidences(found)]
    right = np.concatenate([take.right for take in judged])
    assert calibration_error(sure, right) < 0.02
    half = np.abs(np.array(sure) - 0.5) < 0.05
    assert half.sum() > 500
    assert right[half].mean() == pytest.approx(0.5, abs=0.06)


def test_each_take_counts_the_same_however_many_notes_it_has():
    def take(notes, share):
        return Judged(np.zeros((notes, 3)), np.arange(notes) < share * notes)

    found = fit_confidence([take(10_000, 0.9), take(100, 0.1)])
    assert Decoded([], np.zeros((1, 3))).confidences(found) == pytest.approx([0.5], abs=1e-3)


def test_too_few_notes_or_notes_of_one_kind_calibrate_nothing():
    random = np.random.default_rng(0)
    assert fit_confidence([]) is None
    assert fit_confidence([Judged(np.zeros((0, 3)), np.zeros(0, dtype=bool)), drawn(random, 99)]) is None
    assert fit_confidence([Judged(random.normal(size=(200, 3)), np.ones(200, dtype=bool))]) is None


def test_evidence_that_parts_right_from_wrong_gives_weights_that_are_finite():
    evidence = np.column_stack([np.linspace(-5, 5, 200), np.zeros(200), np.zeros(200)])
    found = fit_confidence([Judged(evidence, evidence[:, 0] > 0)])
    assert 0 < found.onset < 1000


def test_the_error_of_a_confidence_is_what_it_is_off_by():
    assert calibration_error([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0)
    assert calibration_error([0.8] * 10 + [0.3] * 10, [True] * 5 + [False] * 15) == pytest.approx(0.3)
    assert calibration_error([], []) == 0


def test_a_note_is_right_if_a_true_one_starts_near_and_none_else_has_it():
    true_notes = [Note(1.0, 60, 2.0, 50), Note(3.0, 62, 4.0, 50)]
    heard = [Note(0.9, 60, 1.0, 50), Note(1.12, 60, 2.0, 50), Note(3.0, 61, 4.0, 50), Note(3.2, 62, 4.0, 50)]
    right = right_notes(true_notes, heard, tolerance_s=0.15)
    assert sum(right[:2]) == 1
    assert right[2:] == [False, False]
    assert right_notes([], heard, tolerance_s=0.15) == [False] * 4
    assert right_notes(true_notes, [], tolerance_s=0.15) == []


def test_a_take_is_judged_by_the_notes_that_it_holds(network, sound):
    transcriber = Transcriber(Network(network.config, weights_of(network.full)), DecodingConfig(onset_threshold=0.52))
    spectrogram = log_mel(sound).astype(np.float16)
    heard = judge(transcriber, Take(spectrogram, []))
    assert len(heard.right) > 20
    assert not heard.right.any()
    notes = transcriber.hear_spectrogram(spectrogram.astype(np.float32))
    from ambient.onsets_and_frames.decoding import probabilities_to_notes

    decoded = probabilities_to_notes(notes, transcriber.decoding)
    again = judge(transcriber, Take(spectrogram, decoded.notes[: len(decoded.notes) // 2]))
    np.testing.assert_array_equal(again.evidence, heard.evidence)
    assert len(decoded.notes) // 2 <= again.right.sum() < len(decoded.notes)
