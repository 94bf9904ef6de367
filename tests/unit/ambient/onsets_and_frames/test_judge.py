"""The judge: what it reads around a note, what it adds, and that it learns what a weighted sum cannot say."""

from itertools import pairwise

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.onsets_and_frames.calibration import Judged
from ambient.onsets_and_frames.evidence import Stretch, surroundings
from ambient.onsets_and_frames.judge import Judge, split_weights
from ambient.onsets_and_frames.judge_training import fit_judge

EVIDENCE = 71  # pieces; 12 of them are the logistic regression's


def drawn(random):
    sizes = (EVIDENCE, 64, 32, 1)
    layers = tuple((random.normal(size=pair), random.normal(size=pair[1])) for pair in pairwise(sizes))
    return Judge(random.normal(size=EVIDENCE), random.uniform(1, 2, EVIDENCE), layers)


def test_it_scales_what_it_reads_and_what_is_far_off_says_no_more():
    judge = Judge(
        np.array([1.0]), np.array([2.0]), ((np.array([[1.0, -1.0]]), np.zeros(2)), (np.ones((2, 1)), np.array([0.5])))
    )
    # |x| by two ReLUs: (3 - 1) / 2 = 1, and no more than four deviations.
    assert judge.odds(np.array([[3.0], [-1.0], [1.0], [99.0]])).tolist() == [1.5, 1.5, 0.5, 4.5]


def test_its_tensors_lie_among_the_models_weights():
    judge = drawn(np.random.default_rng(0))
    weights = {"shared_conv0/kernel": np.zeros(3)} | judge.to_weights()
    network, found = split_weights(weights, evidence=EVIDENCE, source="model")
    assert list(network) == ["shared_conv0/kernel"]
    evidence = np.random.default_rng(1).normal(size=(5, EVIDENCE))
    assert found is not None
    np.testing.assert_array_equal(found.odds(evidence), judge.odds(evidence))
    assert split_weights(network, evidence=EVIDENCE, source="model") == (network, None)
    del weights["judge/1/bias"]
    with pytest.raises(InputError, match="tensor judge/1/bias is missing"):
        split_weights(weights, evidence=EVIDENCE, source="model")


def test_around_a_note_are_its_frames_its_relatives_and_its_harmonics():
    onset, frame, velocity = (np.zeros((100, 88)) for _ in range(3))
    levels = np.full((100, 88, 4), -40.0)
    onset[50, 40], onset[51, 28] = 0.9, 0.6  # a fifth of a second: this one, and a note an octave below
    frame[50:60, 40] = 0.8
    levels[50:, 40] = (0.0, -10.0, -20.0, -30.0)
    found = surroundings(Stretch(onset, frame, velocity, levels), np.array([50]), np.array([40]), np.array([60]))
    assert found.shape == (1, EVIDENCE)
    struck, onsets, frames, related, harmonics, rest = np.split(found[0], np.cumsum([12, 9, 7, 26, 12]))
    assert struck[1] == 0.6  # an echo of the octave below
    assert struck[4] == pytest.approx(np.log(11))
    assert onsets.tolist() == [0, 0, 0, 0.9, 0, 0, 0, 0, 0]
    assert frames.tolist() == pytest.approx([0, 0, 0, 0.8, 0.8, 0.8 / 12, 0])
    assert related[4] == 0.6  # 12 semitones below are the third of thirteen relatives, onset first
    assert np.count_nonzero(related) == 1
    assert harmonics.tolist() == pytest.approx([4, 3, 2, 1, 0, 0, 0, 0, 1.5, 0.5, -0.5, -1.5])
    assert rest.tolist() == pytest.approx([0, 0.95 * 2.5, 2, 1, 40 / 88])  # 15 dB under 0 beside 19 keys at -40


def takes(random, count, rule):
    made = []
    for _ in range(count):
        evidence = random.normal(size=(200, EVIDENCE))
        made.append(Judged(evidence, np.zeros(200), rule(evidence)))
    return made


def test_it_learns_what_no_weighted_sum_says():
    random = np.random.default_rng(0)
    judge = fit_judge(takes(random, 30, lambda e: e[:, 3] * e[:, 7] > 0))
    assert judge is not None
    (other,) = takes(random, 1, lambda e: e[:, 3] * e[:, 7] > 0)
    assert np.mean((judge.odds(other.surroundings) > 0) == other.right) > 0.8


def test_where_nothing_is_to_be_learned_there_is_none():
    random = np.random.default_rng(0)
    assert fit_judge(takes(random, 10, lambda e: random.random(len(e)) < 0.5)) is None
    assert fit_judge(takes(random, 1, lambda e: e[:, 0] > 0)) is None
    assert fit_judge([]) is None
