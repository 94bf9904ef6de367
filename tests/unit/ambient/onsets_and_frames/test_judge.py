"""The judge: what it reads around a note, what it adds, and that it learns what a weighted sum cannot say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.onsets_and_frames.calibration import Judged
from ambient.onsets_and_frames.evidence import Stretch, surroundings
from ambient.onsets_and_frames.judge import Judge, split_weights
from ambient.onsets_and_frames.judge_training import fit_judge

EVIDENCE = 122  # pieces; 12 of them are the logistic regression's


def drawn(random):
    sizes = (EVIDENCE, 64, 32, 2)
    members = tuple(
        tuple((random.normal(size=pair), random.normal(size=pair[1])) for pair in pairwise(sizes)) for _ in range(5)
    )
    return Judge(random.normal(size=EVIDENCE), random.uniform(1, 2, EVIDENCE), members)


def test_it_scales_what_it_reads_and_what_is_far_off_says_no_more():
    layers = ((np.array([[1.0, -1.0]]), np.zeros(2)), (np.array([[1.0, 0.5], [1.0, -0.5]]), np.array([0.5, 0.0])))
    nothing = ((np.zeros((1, 2)), np.zeros(2)), (np.zeros((2, 2)), np.zeros(2)))
    judge = Judge(np.array([1.0]), np.array([2.0]), (layers, nothing))  # the mean of two counts
    odds, after_s = judge.look(np.array([[3.0], [-1.0], [1.0], [99.0]]))
    # |x| by two ReLUs: (3 - 1) / 2 = 1, and no more than four deviations; half of x as tenths of a second.
    assert odds.tolist() == [0.75, 0.75, 0.25, 2.25]
    assert after_s.tolist() == pytest.approx([0.025, -0.025, 0.0, 0.1])


def test_its_tensors_lie_among_the_models_weights():
    judge = drawn(np.random.default_rng(0))
    weights = {"shared_conv0/kernel": np.zeros(3)} | judge.to_weights()
    network, found = split_weights(weights, source="model")
    assert list(network) == ["shared_conv0/kernel"]
    evidence = np.random.default_rng(1).normal(size=(5, EVIDENCE))
    assert found is not None
    np.testing.assert_array_equal(found.look(evidence), judge.look(evidence))
    assert split_weights(network, source="model") == (network, None)
    del weights["judge/3/1/bias"]
    with pytest.raises(InputError, match="tensor judge/3/1/bias is missing"):
        split_weights(weights, source="model")


def test_around_a_note_are_its_frames_its_relatives_and_its_harmonics():
    onset, frame, velocity = (np.zeros((100, 88)) for _ in range(3))
    levels = np.full((100, 88, 4), -40.0)
    onset[50, 40], onset[51, 28] = 0.9, 0.6  # a fifth of a second: this one, and a note an octave below
    frame[50:60, 40] = 0.8
    levels[50:, 40] = (0.0, -10.0, -20.0, -30.0)
    found = surroundings(
        Stretch(onset, frame, velocity, levels, levels.mean(axis=-1)), np.array([50]), np.array([40]), np.array([60])
    )
    assert found.shape == (1, EVIDENCE)
    struck, onsets, sounds, rises, frames, related, harmonics, rest = np.split(
        found[0], np.cumsum([12, 20, 20, 20, 7, 26, 12])
    )
    assert struck[1] == 0.6  # an echo of the octave below
    assert struck[4] == pytest.approx(np.log(11))
    assert onsets.tolist() == [0] * 8 + [0.9] + [0] * 11  # from eight frames before
    assert sounds.tolist() == [0] * 8 + [0.8] * 10 + [0] * 2
    assert rises.tolist() == [-2.5] * 8 + [0] * 12  # -15 dB on average, -40 before
    assert frames.tolist() == pytest.approx([0, 0, 0, 0.8, 0.8, 0.8 / 12, 0])
    assert related[4] == 0.6  # 12 semitones below are the third of thirteen relatives, onset first
    assert np.count_nonzero(related) == 1
    assert harmonics.tolist() == pytest.approx([4, 3, 2, 1, 0, 0, 0, 0, 1.5, 0.5, -0.5, -1.5])
    assert rest.tolist() == pytest.approx([0, 0.95 * 2.5, 2, 1, 40 / 88])  # 15 dB under 0 beside 19 keys at -40


def takes(random, count, rule):
    made = []
    for _ in range(count):
        evidence = np.zeros((200, EVIDENCE))
        evidence[:, :8] = random.normal(size=(200, 8))
        made.append(Judged(evidence, np.zeros(200), np.where(rule(evidence), 0.06, np.nan)))
    return made


def test_it_learns_what_no_weighted_sum_says_and_when_notes_start():
    random = np.random.default_rng(0)
    judge = fit_judge(takes(random, 10, lambda e: np.abs(e[:, 3]) > 0.7))
    assert judge is not None
    (other,) = takes(random, 1, lambda e: np.abs(e[:, 3]) > 0.7)
    odds, after_s = judge.look(other.surroundings)
    assert np.mean((odds > 0) == other.right) > 0.8
    assert np.median(after_s[other.right]) == pytest.approx(0.06, abs=0.01)


def test_where_nothing_is_to_be_learned_there_is_none():
    random = np.random.default_rng(0)
    guesses = takes(random, 5, lambda e: random.random(len(e)) < 0.5)
    assert fit_judge([replace(take, after_s=0 * take.after_s) for take in guesses]) is None
    assert fit_judge(takes(random, 1, lambda e: e[:, 0] > 0)) is None
    assert fit_judge([]) is None
