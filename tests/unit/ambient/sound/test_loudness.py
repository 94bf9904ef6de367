import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from ambient.sound import loudness
from ambient.sound.loudness import Fades, Meter, gain_curve, integrated_lufs


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
    values = curve.values(0, curve.steps)
    at = np.arange(sound.shape[1]) / 64
    return sound * np.interp(at, np.arange(len(values)), values), values


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


def music(seconds, rate_hz=48_000):
    """Something with peaks of many heights, loud ones at both ends."""
    random = np.random.default_rng(5)
    sound = random.normal(0, 0.05, (2, seconds * rate_hz)).astype(np.float32)
    for at in (0, 700, *random.integers(0, sound.shape[1] - 300, 40), sound.shape[1] - 300):
        sound[:, at : at + 300] *= random.uniform(2, 12)
    return sound


def whole(curve, meter, fades):
    """The gain of a whole piece from one array, as the limiter is described: the slow twin of `GainCurve.values`."""
    level = fades.values(0, curve.steps)
    for factor in curve._factors:
        level = level * factor
    peaks = np.array(meter.peaks) * np.maximum(level[:-1], level[1:])
    needed = np.minimum(1.0, curve._ceiling / np.maximum(peaks, 1e-12))
    edges = np.minimum(np.append(needed, 1.0), np.append(1.0, needed)).astype(np.float32)
    ahead, behind = round(0.012 * meter.rate_hz / 64), round(0.25 * meter.rate_hz / 64)
    low = np.array([edges[max(0, i - ahead - behind) : i + 2 * ahead + 1].min() for i in range(len(edges))])
    kernel = np.hanning(2 * ahead + 3)[1:-1]
    smooth = np.convolve(np.pad(low, ahead, mode="edge"), (kernel / kernel.sum()).astype(np.float32), mode="valid")
    return level * np.minimum(smooth, 1.0)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_stretches_change_nothing(monkeypatch, rate_hz):
    sound = music(5, rate_hz)
    found = []
    for stretch in (1 << 15, 500, 131):
        monkeypatch.setattr(loudness, "_STRETCH", stretch)
        meter = heard(sound, rate_hz)
        fades = Fades(meter.samples // 64 - 300, 900)
        curve = gain_curve(meter, lambda first, count: sound[:, first : first + count], fades=fades)
        found.append(curve.values(0, curve.steps))
    expected = whole(curve, meter, fades)
    assert expected[:-1200].min() < 0.5 * expected[:-1200].max()  # there is something to limit
    assert np.array_equal(found[0], expected)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    parts = [curve.values(begin, min(begin + 256, curve.steps))[:-1] for begin in range(0, curve.steps, 256)]
    assert np.array_equal(np.concatenate(parts), expected[:-1])


def test_fades_are_full_then_half_way_then_nothing():
    fades = Fades(steps=100, width=20)
    assert fades.values(0, 80).tolist() == [1.0] * 81
    assert fades.values(90, 90) == pytest.approx([0.5])
    assert fades.values(99, 103)[1:].tolist() == [0.0] * 4
    assert Fades(steps=3, width=0).values(0, 5).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_an_hour_is_planned_in_little_memory():
    # As a meter that has heard an hour with a loud moment in every minute.
    seconds = 3600
    peaks = np.full(seconds * 750, 0.1, np.float32)
    peaks[:: 60 * 750] = 0.9
    energies = np.full(seconds * 10, 0.005)
    meter = SimpleNamespace(peaks=peaks, energies=energies, rate_hz=48_000, samples=seconds * 48_000)
    tracemalloc.start()
    curve = gain_curve(meter, lambda _first, count: np.full((2, count), 0.9, np.float32), ceiling_db=-1.0)
    assert curve.values(0, 100).min() < 0.7 * curve.values(5_000, 5_100).min()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20  # one array of gains would be 11 MB, and a dozen of them were held once


def test_true_peaks_that_are_sought_together_are_those_sought_alone():
    sound = music(3)

    def read(first, count):
        return sound[:, first : first + count]

    runs = [(0, 2), *((at, at + 1) for at in range(40, 2_000, 3)), (2_100, 2_400), (2_245, 2_250)]
    together = dict(loudness._true_peaks(read, runs, sound.shape[1]))
    assert len(together) == len(runs)
    for begin, end in runs:
        ((_, alone),) = loudness._true_peaks(read, [(begin, end)], sound.shape[1])
        assert np.array_equal(together[begin], alone)
