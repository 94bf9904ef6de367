"""Varied spectrograms stay what their labels say: in time, at their pitch, nothing taken away."""

import numpy as np
import pytest

from ambient.onsets_and_frames.spectrogram import log_mel
from ambient.onsets_and_frames.spectrogram_augmentation import (
    detuned,
    filter_db,
    mixed,
    noisy,
    reverberant,
    varied_spectrogram,
)


@pytest.fixture
def click():
    """A band that lights up for one frame in silence: [60, 229]."""
    spectrogram = np.full((60, 229), -45.0, dtype=np.float32)
    spectrogram[20, 100:104] = 25.0
    return spectrogram


def test_a_varied_spectrogram_keeps_its_click_in_its_place_and_seeds_decide(click):
    for seed in range(30):
        varied = varied_spectrogram(click, np.random.default_rng(seed))
        assert varied.shape == click.shape
        assert varied.dtype == np.float32
        assert np.argmax(varied[:, 100:104].mean(axis=1)) == 20
        np.testing.assert_array_equal(varied, varied_spectrogram(click, np.random.default_rng(seed)))
    assert click[20, 100] == 25.0
    assert click[21, 100] == -45.0


def test_detuning_by_a_semitone_equals_a_tone_a_semitone_higher():
    time_s = np.arange(16_000) / 16_000
    low, high = (log_mel(np.sin(2 * np.pi * hz * time_s).astype(np.float32)) for hz in (880.0, 880.0 * 2 ** (1 / 12)))
    np.testing.assert_array_equal(detuned(low, 0.0), low)
    assert np.argmax(low[15]) != np.argmax(high[15])
    assert abs(int(np.argmax(detuned(low, 100.0)[15])) - int(np.argmax(high[15]))) <= 1


def test_reverberation_lingers_falls_and_lets_the_past_alone(click):
    heard = reverberant(click, seconds=1.0, below_db=10.0, random=np.random.default_rng(0))
    assert np.abs(heard[:20] - click[:20]).mean() < 1.0  # the silence's own answer, 10 dB under it
    assert heard[20, 101] == pytest.approx(25.0, abs=0.5)
    assert heard[21, 100:104].mean() == pytest.approx(15.0, abs=4.0)
    assert heard[36, 100:104].mean() == pytest.approx(15.0 - 15 / 31.25 * 60, abs=4.0)


def test_noise_lifts_what_is_silent_and_leaves_what_is_loud(click):
    heard = noisy(click, -10.0, np.random.default_rng(0))
    assert heard[20, 101] == pytest.approx(25.0, abs=0.5)
    assert np.delete(heard, 20, axis=0).mean() == pytest.approx(-10.0, abs=2.0)


def test_two_spectrograms_together_add_their_power(click):
    np.testing.assert_allclose(mixed(click, click), click + 10 * np.log10(2), atol=1e-4)
    np.testing.assert_allclose(mixed(click, np.full_like(click, -200.0)), click, atol=1e-4)


def test_a_filter_is_a_curve_over_the_bins():
    curve = filter_db(np.random.default_rng(1))
    assert curve.shape == (229,)
    assert 1.0 < np.std(curve) < 20.0
