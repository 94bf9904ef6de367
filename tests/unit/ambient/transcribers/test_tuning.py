"""The tuning of chords is heard to the cent, drift is followed, and what has no pitch has no tuning."""

import numpy as np
import pytest

from ambient.transcribers.recording import Recording
from ambient.transcribers.tuning import Tuning, constant_tuning, estimate_tuning

RATE_HZ = 16_000
CHORDS = ((48, 64, 67), (45, 57, 60), (50, 62, 69), (43, 59, 62))


def chords(cents, seconds=24.0):
    """Play chords of a few partials, three seconds each; cents may be a number, or one for each sample."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    sharp = 2.0 ** (np.broadcast_to(cents, time_s.shape) / 1200)
    sound = np.zeros(len(time_s))
    for index, chord in enumerate(CHORDS):
        gate = (time_s // 3).astype(int) % len(CHORDS) == index
        decay = np.exp(-0.8 * (time_s % 3))
        for pitch in chord:
            phase = 2 * np.pi * np.cumsum(440 * 2.0 ** ((pitch - 69) / 12) * sharp) / RATE_HZ
            sound += gate * decay * sum(np.sin(partial * phase) / partial**2 for partial in (1, 2, 3, 4))
    return 0.1 * sound


@pytest.fixture
def tuning_of(write_song):
    def estimate(samples):
        with Recording(write_song(samples)) as recording:
            return estimate_tuning(recording)

    return estimate


@pytest.mark.parametrize("cents", [-45, -20, 0, 8, 32, 45])
def test_chords_that_are_out_of_tune_are_heard_to_the_cent(tuning_of, cents):
    tuning = tuning_of(chords(cents))
    assert tuning.mean_cents == pytest.approx(cents, abs=1.5)
    assert tuning.highest_cents - tuning.lowest_cents <= 1


def test_more_than_half_a_semitone_is_the_next_key(tuning_of):
    assert tuning_of(chords(60)).mean_cents == pytest.approx(-40, abs=1.5)
    assert tuning_of(chords(-160)).mean_cents == pytest.approx(40, abs=1.5)


def test_slow_drift_is_followed_beyond_half_a_semitone_too(tuning_of):
    time_s = np.arange(96 * RATE_HZ) / RATE_HZ
    tuning = tuning_of(chords(30 + 25 * np.sin(2 * np.pi * time_s / 96), seconds=96))
    at_s = np.array([10.0, 24.0, 48.0, 72.0, 86.0])
    expected = 30 + 25 * np.sin(2 * np.pi * at_s / 96)
    np.testing.assert_allclose(tuning.at(at_s), expected, atol=6)
    assert tuning.highest_cents > 50


def test_a_short_tone_has_a_tuning_and_is_constant(tuning_of):
    time_s = np.arange(RATE_HZ) / RATE_HZ
    assert tuning_of(0.3 * np.sin(2 * np.pi * 440 * 2 ** (27 / 1200) * time_s)).cents == (27.0,)


@pytest.mark.parametrize("kind", ["silence", "noise", "rumble", "clicks", "nothing"])
def test_what_has_no_pitch_has_no_tuning(tuning_of, kind):
    random = np.random.default_rng(0)
    samples = {
        "silence": np.zeros(100_000),
        "noise": random.uniform(-0.5, 0.5, 400_000),
        "rumble": np.clip(0.01 * np.cumsum(random.normal(size=400_000)), -1, 1),
        "clicks": (random.random(400_000) < 1e-4).astype(float),
        "nothing": np.zeros(0),
    }[kind]
    assert tuning_of(samples) is None


def test_between_steps_it_goes_along_straight_lines():
    tuning = Tuning((10.0, 20.0, 0.0), 2.0)  # in the middle of which are 1, 3 and 5 s
    np.testing.assert_allclose(tuning.at(np.array([0.0, 1.0, 2.0, 3.0, 4.5, 9.0])), [10, 10, 15, 20, 5, 0])
    assert (tuning.mean_cents, tuning.lowest_cents, tuning.highest_cents) == (10.0, 0.0, 20.0)
    np.testing.assert_array_equal(constant_tuning(-7.0).at(np.array([0.0, 99.0])), [-7, -7])
