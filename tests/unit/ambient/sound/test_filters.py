import numpy as np
import pytest

from ambient.sound.filters import Filter, HalfBand, high_pass
from ambient.sound.loudness import k_weighting


def sample_by_sample(section, signal):
    b0, b1, b2, a1, a2 = section
    result = np.zeros(len(signal))
    x1 = x2 = y1 = y2 = 0.0
    for n, x in enumerate(signal):
        result[n] = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
        x1, x2, y1, y2 = x, x1, result[n], y1
    return result


@pytest.mark.parametrize("blocks", [[40_000], [128, 1, 127, 16_384, 20_000, 360, 3_000]])
def test_blocks_of_any_length_give_what_the_recursion_gives(blocks):
    signal = np.random.default_rng(0).standard_normal((2, 40_000)).astype(np.float32)
    sections = k_weighting(48_000)
    whole = Filter(sections, 2)
    parts = [whole(part) for part in np.split(signal, np.cumsum(blocks)[:-1], axis=1)]
    expected = sample_by_sample(sections[1], sample_by_sample(sections[0], signal[1].astype(float)))
    np.testing.assert_allclose(np.concatenate(parts, axis=1)[1], expected, atol=2e-4)


def test_k_weighting_is_the_standard_s_table_at_48_khz():
    # ITU-R BS.1770-5, tables 1 and 2.
    shelf, rumble = k_weighting(48_000)
    np.testing.assert_allclose(
        shelf, [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585], atol=1e-6
    )
    np.testing.assert_allclose(rumble, [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621], atol=1e-6)


def test_high_pass_is_3_db_down_at_its_corner():
    time_s = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 200 * time_s)[None, :].astype(np.float32)
    passed = Filter([high_pass(200, 48_000)], 1)(tone)[0, 24_000:]
    assert 20 * np.log10(np.sqrt(2 * np.mean(passed**2))) == pytest.approx(-3.01, abs=0.05)


def level_db(sound):
    return 20 * np.log10(np.sqrt(2 * np.mean(np.square(sound[:, 1_000:-1_000]))) + 1e-12)


@pytest.mark.parametrize(("hz", "expected"), [(100, 0.0), (5_000, 0.0), (10_000, 0.0)])
def test_doubling_keeps_a_tone_and_adds_nothing(hz, expected):
    slow = np.tile(np.sin(2 * np.pi * hz * np.arange(12_000) / 24_000), (2, 1)).astype(np.float32)
    half_band = HalfBand()
    fast = np.concatenate([half_band.double(part) for part in np.split(slow, 3, axis=1)], axis=1)
    assert level_db(fast) == pytest.approx(expected, abs=0.05)
    late = np.sin(2 * np.pi * hz * (np.arange(24_000) - 32) / 48_000)
    np.testing.assert_allclose(fast[0, 1_000:], late[1_000:], atol=0.02)


@pytest.mark.parametrize(("hz", "least", "most"), [(1_000, -0.05, 0.05), (10_000, -0.1, 0.05), (15_000, -200, -60)])
def test_halving_keeps_what_the_lower_rate_can_hold_and_stops_the_rest(hz, least, most):
    fast = np.tile(np.sin(2 * np.pi * hz * np.arange(24_000) / 48_000), (2, 1)).astype(np.float32)
    half_band = HalfBand()
    slow = np.concatenate([half_band.halve(part) for part in np.split(fast, 3, axis=1)], axis=1)
    assert least <= level_db(slow) <= most
