"""Weights that made notes right and wrong are found again, takes count alike, and a confidence of a half is a half."""

import shutil

import numpy as np
import pytest

from ambient.model_folder import weights_of
from ambient.notes import Note
from ambient.onsets_and_frames.calibration import (
    Labelled,
    calibration_error,
    fit_confidence,
    fit_evidence,
    label,
)
from ambient.onsets_and_frames.config import DecodingConfig, EvidenceConfig
from ambient.onsets_and_frames.decoding import Decoded, Probabilities, probabilities_to_notes
from ambient.onsets_and_frames.fading import EvidenceReader
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.metrics import right_notes
from ambient.onsets_and_frames.network import Network
from ambient.onsets_and_frames.rendering import Take, save_take
from ambient.onsets_and_frames.spectrogram import log_mel
from ambient.shipped import SHIPPED_MODELS
from scripts.train_onsets_and_frames import main


def drawn(random, notes, *, weights=(0.8, 0.3, -2.0), bias=-1.0):
    """Draw evidence, and notes that are right as often as these weights say."""
    odds = random.normal(2.0, 1.5, notes)
    evidence = np.column_stack([odds, np.full(notes, odds.mean()), random.random(notes)])
    likely = 1 / (1 + np.exp(-(bias + evidence @ np.array(weights))))
    return Labelled(evidence, random.random(notes) < likely)


def test_the_weights_that_made_the_notes_are_found():
    random = np.random.default_rng(0)
    found = fit_confidence([drawn(random, 400) for _ in range(60)])
    assert (found.onset, found.below) == pytest.approx((0.8, -2.0), abs=0.15)
    labelled = [drawn(random, 400) for _ in range(60)]
    sure = [value for take in labelled for value in Decoded([], take.evidence).confidences(found)]
    right = np.concatenate([take.right for take in labelled])
    assert calibration_error(sure, right) < 0.02
    half = np.abs(np.array(sure) - 0.5) < 0.05
    assert half.sum() > 500
    assert right[half].mean() == pytest.approx(0.5, abs=0.06)


def test_each_take_counts_the_same_however_many_notes_it_has():
    def take(notes, share):
        return Labelled(np.zeros((notes, 3)), np.arange(notes) < share * notes)

    found = fit_confidence([take(10_000, 0.9), take(100, 0.1)])
    assert Decoded([], np.zeros((1, 3))).confidences(found) == pytest.approx([0.5], abs=1e-3)


def test_too_few_notes_or_notes_of_one_kind_calibrate_nothing():
    random = np.random.default_rng(0)
    assert fit_confidence([]) is None
    assert fit_confidence([Labelled(np.zeros((0, 3)), np.zeros(0, dtype=bool)), drawn(random, 99)]) is None
    assert fit_confidence([Labelled(random.normal(size=(200, 3)), np.ones(200, dtype=bool))]) is None


def test_evidence_that_parts_right_from_wrong_gives_weights_that_are_finite():
    evidence = np.column_stack([np.linspace(-5, 5, 200), np.zeros(200), np.zeros(200)])
    found = fit_confidence([Labelled(evidence, evidence[:, 0] > 0)])
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
    probabilities = transcriber.hear_spectrogram(spectrogram.astype(np.float32))
    heard = label(transcriber, probabilities, Take(spectrogram, []))
    assert len(heard.right) > 20
    assert not heard.right.any()
    decoded = probabilities_to_notes(probabilities, transcriber.decoding)
    again = label(transcriber, probabilities, Take(spectrogram, decoded.notes[: len(decoded.notes) // 2]))
    np.testing.assert_array_equal(again.evidence, heard.evidence)
    assert len(decoded.notes) // 2 <= again.right.sum() < len(decoded.notes)


@pytest.fixture
def pads_and_pianos():
    """Takes in which struck notes are right if their frame head is sure, and faded ones if nothing sounds below."""
    random, heard = np.random.default_rng(0), []
    for _ in range(12):
        probabilities = Probabilities(*(np.zeros((1000, 88), dtype=np.float32) for _ in range(4)))
        notes = []
        for index, frame in enumerate(range(10, 960, 32)):
            key = int(random.integers(30, 80))
            right = bool(random.random() < 0.5)
            late_s = 0.02 if index % 4 < 2 else 0.0
            struck = index % 2 == 0
            if struck:
                probabilities.onset[frame : frame + 2, key] = (0.8, 0.9) if late_s else (0.9, 0.8)
            probabilities.frame[frame : frame + 16, key] = (0.95 if right else 0.5) if struck else 0.9
            if not struck and not right:
                probabilities.frame[frame : frame + 16, key - 12] = 0.4
            if right:
                notes.append(Note(frame * 0.032 + late_s, key + 21, frame * 0.032 + 0.5, 64))
        heard.append((probabilities, Take(np.full((1000, 229), -40, dtype=np.float16), notes)))
    return heard


def test_what_makes_notes_right_is_found_for_both_kinds(pads_and_pianos):
    fitted, judge = fit_evidence(pads_and_pianos, EvidenceConfig(join_db=2.0))
    assert judge is None  # unless one is asked for
    assert fitted.struck.start + fitted.struck.sounds > 0.3
    assert fitted.faded.below < -0.5
    assert (fitted.join_db, fitted.least_struck) == (2.0, EvidenceConfig().least_struck)
    right = wrong = 0
    for probabilities, take in pads_and_pianos:
        reader = EvidenceReader(fitted)
        reader.feed(probabilities, take.mel.astype(np.float32))
        marks = right_notes(take.notes, reader.finish().notes, tolerance_s=0.05)
        right, wrong = right + sum(marks), wrong + len(marks) - sum(marks)
    assert right > 0.9 * sum(len(take.notes) for _, take in pads_and_pianos)
    assert wrong < 0.1 * right


def test_too_few_candidates_fit_nothing(pads_and_pianos):
    assert fit_evidence(pads_and_pianos[:2], EvidenceConfig()) is None
    assert fit_evidence([], EvidenceConfig()) is None


def test_a_model_that_cannot_be_calibrated_stays_as_it_is(tmp_path, capsys):
    model = shutil.copytree(SHIPPED_MODELS / "onsets-and-frames", tmp_path / "model")
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    (tmp_path / "cache" / "valid").mkdir(parents=True)
    take = Take(np.full((100, 229), -40, dtype=np.float16), [Note(1.0, 60, 2.0, 50)])
    save_take(tmp_path / "cache" / "valid", "quiet", take, frames=100)
    assert main(["calibrate", "--cache", str(tmp_path / "cache"), "--model", str(model)]) == 1
    assert "too few notes to calibrate by" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
