"""The spectrogram equals its definition, sample by sample, and does not depend on how the file is read."""

import numpy as np
import pytest

from ambient.onsets_and_frames.spectrogram import (
    floored,
    frame_count,
    log_mel,
    mel_db_between,
    mel_filters,
    normalised,
)
from ambient.transcribers.tuning import Tuning, constant_tuning


def slow_mel_filters():
    """Triangles from their definition: HTK spacing, each divided by half its width in Hz."""

    def hz_of(mel):
        return 700 * (10 ** (mel / 2595) - 1)

    low, high = (2595 * np.log10(1 + hz / 700) for hz in (30, 8000))
    edges_hz = [hz_of(low + (high - low) * i / 230) for i in range(231)]
    filters = np.zeros((1025, 229))
    for band in range(229):
        left, centre, right = edges_hz[band : band + 3]
        for index in range(1025):
            hz = index * 16_000 / 2048
            height = min((hz - left) / (centre - left), (right - hz) / (right - centre))
            filters[index, band] = max(height, 0) * 2 / (right - left)
    return filters


def slow_log_mel(samples):
    """One frame after the other in double precision; only the cut to 16 bits is in single, as in the original."""
    peak = np.max(np.abs(samples))
    level = np.trunc(samples / peak * np.float32(32767)).astype(np.float64) / 32767
    padded = np.concatenate([np.zeros(1024), level, np.zeros(1024)])
    window = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / 2048) for n in range(2048)])
    filters = slow_mel_filters()
    rows = []
    for frame in range(int(len(samples) / 16_000 * 31.25)):
        spectrum = np.fft.fft(padded[frame * 512 : frame * 512 + 2048] * window)[:1025]
        rows.append(10 * np.log10(np.maximum(np.abs(spectrum) ** 2 @ filters, 1e-10)))
    rows = np.array(rows)
    return np.maximum(rows, rows.max() - 80)


def test_spectrogram_equals_slow_version_within_a_thousandth_of_a_decibel(sound):
    assert np.max(np.abs(log_mel(sound) - slow_log_mel(sound))) < 1e-3


def test_filters_equal_their_definition():
    np.testing.assert_allclose(mel_filters(), slow_mel_filters(), atol=1e-6)


def test_one_frame_for_each_512_samples_and_no_more():
    assert [frame_count(samples) for samples in (0, 511, 512, 16_000, 60 * 16_000)] == [0, 0, 1, 31, 1875]


def test_a_recording_read_in_pieces_has_the_same_spectrogram(sound):
    level = normalised(sound, float(np.max(np.abs(sound))))
    whole = log_mel(sound)
    pieces = [
        mel_db_between(lambda start, count: level[start : start + count], first, min(first + 17, 93), len(level))
        for first in range(0, 93, 17)
    ]
    stitched = np.concatenate(pieces)
    np.testing.assert_allclose(floored(stitched, float(stitched.max())), whole, atol=1e-3)


def test_level_does_not_matter(sound):
    np.testing.assert_allclose(log_mel(sound * 0.25), log_mel(sound), atol=0.5)


def test_quiet_passages_are_floored_80_db_below_the_loudest_bin(sound):
    sound[24_000:] = 0
    spectrogram = log_mel(sound)
    assert spectrogram.min() == pytest.approx(spectrogram.max() - 80, abs=1e-3)


def test_silence_is_a_constant_spectrogram_and_no_samples_are_no_frames():
    assert np.ptp(log_mel(np.zeros(5000, dtype=np.float32))) == 0
    assert log_mel(np.zeros(100, dtype=np.float32)).shape == (0, 229)


@pytest.mark.parametrize("cents", [-40, 15, 50])
def test_the_spectrogram_of_a_sound_out_of_tune_is_that_of_the_sound_in_tune(cents):
    def tones(sharp):
        time_s = np.arange(32_000) / 16_000
        return sum(0.2 * np.sin(2 * np.pi * hz * sharp * time_s + hz) for hz in (523.25, 1318.5, 2637.0))

    def spectrogram(samples, tuning):
        level = normalised(samples, 1.0)
        return mel_db_between(lambda start, count: level[start : start + count], 10, 50, len(level), tuning)

    in_tune, sharp = tones(1.0), tones(2 ** (cents / 1200))
    expected, found = spectrogram(in_tune, None), spectrogram(sharp, constant_tuning(cents))
    loud = expected > expected.max() - 10
    assert loud.sum() >= 40 * 5
    corrected, left = (float(np.abs(other - expected)[loud].mean()) for other in (found, spectrogram(sharp, None)))
    assert corrected < 0.6  # dB
    assert left > 5 * corrected


def test_bands_follow_a_tuning_that_drifts():
    samples = np.random.default_rng(0).uniform(-1, 1, 40_000).astype(np.float32)
    drifting = Tuning((-20.0, 30.0), 1.0)  # the line between them runs from 0.5 to 1.5 s

    def spectrogram(first, last, tuning):
        return mel_db_between(lambda start, count: samples[start : start + count], first, last, len(samples), tuning)

    whole = spectrogram(0, 70, drifting)
    np.testing.assert_allclose(whole[:15], spectrogram(0, 15, constant_tuning(-20.0)), atol=1e-3)
    np.testing.assert_allclose(whole[31], spectrogram(31, 32, constant_tuning(5.0))[0], atol=1e-3)  # 0.992 s: 4.6 cents
    np.testing.assert_allclose(whole[48:], spectrogram(48, 70, constant_tuning(30.0)), atol=1e-3)
    np.testing.assert_allclose(
        np.vstack([spectrogram(0, 33, drifting), spectrogram(33, 70, drifting)]), whole, atol=1e-3
    )
