"""How loud a recording is: what counts, what does not, and what is silence."""

import numpy as np
import pytest

from ambient.transcribers.level import measure_loudness

RATE_HZ = 16_000
BIT = 1 / 32767  # one step of 16 bits


def tone(amplitude, seconds=4.0, hz=220.0):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


def level_of(samples):
    return measure_loudness([np.asarray(samples, dtype=np.float32)]).level


def test_without_clicks_it_is_the_largest_sample_to_the_last_digit():
    samples = np.random.default_rng(0).normal(0, 0.1, 50_000).astype(np.float32)
    assert measure_loudness([samples]).level == np.abs(samples).max()


@pytest.mark.parametrize("click", [[1.0], [1.0, -1.0], [-0.6], [0.3, 1.0, 0.9, -0.5, -0.8], np.linspace(1, -1, 100)])
@pytest.mark.parametrize("at", [0, 9, 20_000, 20_991, 63_990])  # the ends and the border of two blocks too
def test_one_click_does_not_count(click, at):
    samples = tone(0.005)
    samples[at : at + len(click)] = click[: len(samples) - at]
    assert level_of(samples) == pytest.approx(0.005, rel=0.01)


def test_many_clicks_do_not_count_while_they_are_few():
    samples = tone(0.01, seconds=60)
    samples[8000::16_000] = 0.9
    assert level_of(samples) == pytest.approx(0.01, rel=0.01)


def test_a_train_of_pulses_is_what_was_recorded():
    samples = np.zeros(32_000)
    samples[::400] = 0.5
    assert level_of(samples) == 0.5


@pytest.mark.parametrize("milliseconds", [20, 100, 300])
def test_the_driest_note_counts(milliseconds):
    samples = tone(0.001)
    length = milliseconds * 16
    samples[30_000 : 30_000 + length] = tone(0.7, hz=440)[:length]
    assert level_of(samples) == pytest.approx(0.7, rel=0.01)


def test_a_note_at_the_very_start_or_end_counts():
    for place in (slice(0, 2000), slice(-2000, None)):
        samples = np.zeros(40_000)
        samples[place] = tone(0.5)[:2000]
        assert level_of(samples) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_dither_of_one_bit_is_silence(seed):
    random = np.random.default_rng(seed)
    for dither in (
        random.integers(-1, 2, 80_000),
        random.integers(0, 2, 80_000),
        np.round(random.uniform(-1, 1, 80_000) + random.uniform(-1, 1, 80_000)),
    ):
        assert level_of(dither * BIT) == 0.0
        clicked = dither * BIT
        clicked[40_000] = 1.0
        assert level_of(clicked) == 0.0
        assert level_of(dither * BIT + 0.25) == 0.0  # a constant is no sound


def test_a_tone_of_sixty_decibels_under_full_scale_is_no_silence():
    assert level_of(np.round(tone(0.001) / BIT) * BIT) == pytest.approx(0.001, rel=0.02)


@pytest.mark.parametrize("samples", [[], [0.0], np.zeros(5000), np.full(5000, 0.5)])
def test_nothing_is_silence(samples):
    assert level_of(samples) == 0.0
    assert measure_loudness([]).level == 0.0


def test_pieces_give_what_the_whole_gives():
    samples = tone(0.02, seconds=3)
    samples[[10_000, 30_000]] = 1.0
    whole = measure_loudness([samples])
    pieces = measure_loudness([samples[first : first + 5120] for first in range(0, len(samples), 5120)])
    assert pieces.level == whole.level
    assert pieces.clicks.tolist() == whole.clicks.tolist() == [19, 58]


def test_clicks_become_a_straight_line_and_nothing_else_changes():
    samples = 0.1 + tone(0.01, seconds=3)
    clicked = samples.copy()
    clicked[20_000:20_003] = 1.0, -1.0, 0.7
    clean = measure_loudness([clicked]).without_clicks(clicked, 0)
    changed = np.flatnonzero(clean != clicked)
    assert set(changed) == {20_000, 20_001, 20_002}
    between = np.interp(changed, [19_999, 20_003], samples[[19_999, 20_003]])
    np.testing.assert_allclose(clean[changed], between, atol=1e-9)
