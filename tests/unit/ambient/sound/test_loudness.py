import numpy as np
import pytest

from ambient.sound.loudness import Meter, gain_curve, integrated_lufs


def tone(seconds, *, db, hz=1_000.0, rate_hz=48_000):
    wave = 10 ** (db / 20) * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)
    return np.stack([wave, wave]).astype(np.float32)


def heard(sound, rate_hz=48_000):
    meter = Meter(rate_hz)
    for at in range(0, sound.shape[1], 16_384):
        meter(sound[:, at : at + 16_384])
    return meter


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
@pytest.mark.parametrize("db", [-23.0, -33.0])
def test_stereo_sine_of_1_khz_measures_its_level(rate_hz, db):
    # EBU Tech 3341, cases 1 and 2: -23 dBFS on both channels is -23.0 LUFS.
    assert heard(tone(5, db=db, rate_hz=rate_hz), rate_hz).loudness_lufs() == pytest.approx(db, abs=0.1)


def test_quiet_parts_are_gated():
    # EBU Tech 3341, case 3: 10 s at -36, 60 s at -23, 10 s at -36 dBFS measure -23.0 LUFS.
    parts = [tone(10, db=-36), tone(60, db=-23), tone(10, db=-36)]
    assert heard(np.concatenate(parts, axis=1)).loudness_lufs() == pytest.approx(-23.0, abs=0.1)


def test_silence_and_less_than_a_block_have_no_loudness():
    assert heard(np.zeros((2, 48_000), np.float32)).loudness_lufs() == -np.inf
    assert integrated_lufs(np.ones(3)) == -np.inf


def brought(sound, **options):
    meter = heard(sound)
    curve = gain_curve(meter, lambda first, count: sound[:, first : first + count], **options)
    at = np.arange(sound.shape[1]) / 64
    return sound * np.interp(at, np.arange(len(curve)), curve), curve


def test_a_steady_tone_gets_one_gain():
    changed, curve = brought(tone(5, db=-30), target_lufs=-16.0)
    assert heard(changed.astype(np.float32)).loudness_lufs() == pytest.approx(-16.0, abs=0.1)
    assert np.ptp(curve) < 1e-6


def test_peaks_are_turned_down_and_the_loudness_is_reached_all_the_same():
    sound = tone(20, db=-30)
    for at in range(48_000, 20 * 48_000, 96_000):
        sound[:, at : at + 400] *= 12.0
    changed, _ = brought(sound, target_lufs=-16.0, ceiling_db=-1.0)
    assert heard(changed.astype(np.float32)).loudness_lufs() == pytest.approx(-16.0, abs=0.3)
    assert np.abs(changed).max() <= 10 ** (-1 / 20) + 1e-6


def test_a_peak_between_two_samples_counts():
    # A quarter of the sample rate at 45 degrees: samples 3 dB below the wave between them.
    wave = 0.9 * np.sin(np.pi / 2 * np.arange(96_000) + np.pi / 4)
    sound = np.stack([wave, wave]).astype(np.float32)
    changed, _ = brought(sound, target_lufs=6.0, ceiling_db=-1.0)
    assert np.abs(changed[:, 9_600:-9_600]).max() == pytest.approx(10 ** (-1 / 20) / np.sqrt(2), rel=0.02)


def test_silence_is_left_alone():
    _, curve = brought(np.zeros((2, 48_000), np.float32))
    assert (curve == 1.0).all()
