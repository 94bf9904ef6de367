"""Several channels become one without losing what they cancel out."""

import numpy as np
import pytest

from ambient.downmix import choose_channel

RATE_HZ = 1000


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(0, 0.2, (3, 10 * RATE_HZ)).astype(np.float32)


def choice(*channels):
    samples = np.stack(channels, axis=1)
    return choose_channel([samples[first : first + 700] for first in range(0, len(samples), 700)], RATE_HZ)


def test_equal_unrelated_and_one_sided_channels_are_averaged(noise):
    a, b, c = noise
    silence = np.zeros_like(a)
    assert choice(a, a) is None
    assert choice(a, b) is None
    assert choice(a, silence) is None
    assert choice(a, b, c, silence, silence, silence) is None
    assert choice(a) is None
    assert choice(silence, silence) is None
    assert choose_channel([], RATE_HZ) is None


def test_channels_of_opposite_sign_leave_one(noise):
    a, b, _ = noise
    assert choice(a, -a) == 0
    assert choice(0.8 * a, -a) == 0
    assert choice(a + 0.1 * b, -a) == 0
    assert choice(a, -a, 0 * a, 0 * a) == 0


def test_opposite_signs_in_a_part_of_the_recording_are_noticed(noise):
    a = noise[0]
    turned = a.copy()
    turned[8000:] *= -1
    assert choice(a, turned) == 0


def test_the_channel_that_loses_least_is_taken(noise):
    a = noise[0]
    left, right = a.copy(), -a
    left[:4000] = 0  # the right one alone has the beginning
    assert choice(left, right) == 1


def test_seconds_that_are_nearly_silent_do_not_count(noise):
    a = noise[0]
    turned = a.copy()
    turned[5000:] *= -1
    a[5000:] *= 1e-3
    turned[5000:] *= 1e-3
    assert choice(a, turned) is None


def test_a_part_heard_on_one_side_only_is_not_given_up_for_a_shorter_one_that_cancels(noise):
    a, b, _ = noise
    left, right = a.copy(), b.copy()
    right[:2000] = -left[:2000]  # 2 s cancel
    left[2000:6000] = 0  # 4 s are on the right alone
    right[6000:] = 0  # 4 s are on the left alone
    assert choice(left, right) is None
