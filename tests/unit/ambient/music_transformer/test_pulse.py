import numpy as np
import pytest

from ambient.music_transformer.fields import BINS, steps_to_bins
from ambient.music_transformer.pulse import PulseWatch, find_period

STRICT = np.arange(0, 2000, 50)  # 40 notes, one each half second


def played(starts, new=()):
    watch = PulseWatch(np.array(starts))
    for start in new:
        watch.observe(start)
    return watch


def uneven(count, seed=0):
    return np.random.default_rng(seed).uniform(20, 80, count).cumsum().astype(int)


@pytest.mark.parametrize("period", [25, 37.5, 62.7, 147.9])
def test_the_period_of_strict_music_is_found(period):
    starts = np.unique(np.rint(np.arange(0, 3000, period)))
    assert find_period(starts) == pytest.approx(period, rel=1e-3)


def test_the_slowest_pulse_that_fits_counts():
    assert find_period(np.sort(np.concatenate([STRICT, STRICT[::4] + 25]))) == pytest.approx(25, rel=1e-3)
    assert find_period(np.arange(0, 3000, 100)) == pytest.approx(100, rel=1e-3)


def test_players_who_are_a_little_late_and_early_keep_a_pulse():
    starts = np.sort(STRICT + np.random.default_rng(1).normal(0, 2, len(STRICT)).astype(int))
    assert find_period(starts) == pytest.approx(50, rel=1e-3)


def test_of_a_long_primer_the_last_minute_counts():
    assert played([*uneven(200), *range(20_000, 27_000, 50)]).period == pytest.approx(50, rel=1e-3)
    assert played([*range(0, 7_000, 50), *(uneven(200) + 7_000)]).period is None


def test_uneven_few_or_short_music_keeps_none():
    assert find_period(uneven(60)) is None
    assert find_period(np.arange(0, 2000, 200)) is None  # ten notes
    assert find_period(np.arange(0, 400, 20)) is None  # four seconds


def test_moments_suit_by_how_many_of_the_primers_notes_start_at_their_place():
    watch = played(STRICT)
    assert watch.suits(np.array([5000, 5050])) == pytest.approx(watch.suits(np.array([0, 0])), rel=0.05)
    # A twentieth falls anywhere; the others spread by 1.5 steps around one place of 50: 50 / (1.5 sqrt(2 pi)).
    assert watch.suits(np.array([0, 25])) == pytest.approx([0.95 * 13.3 + 0.05, 0.05], rel=0.02)


def test_without_a_pulse_all_moments_suit_alike_and_nothing_is_led():
    watch = played(uneven(60), range(10_000, 11_000, 37))
    assert watch.suits(np.array([3, 4, 99])).tolist() == [1, 1, 1]
    assert watch.strength == 0
    assert watch.nats(10_000, np.zeros(BINS + 1)) is None


def test_music_that_keeps_the_pulse_is_left_alone():
    watch = played(STRICT, range(2000, 6000, 50))
    assert watch.strength == 0
    assert watch.nats(6000, np.zeros(BINS + 1)) is None


def test_music_that_loses_it_is_led_back_to_where_the_primers_notes_start():
    watch = played(STRICT, uneven(100) + 2000)
    assert watch.strength == 1
    now = 50 * round(watch._recent[-1][0] / 50)
    nats = watch.nats(now, np.zeros(BINS + 1))
    beat, between = (int(steps_to_bins(np.array([gap]))[0]) for gap in (50, 25))
    assert nats[beat] > nats[between] + 2


def test_notes_start_together_as_often_as_before():
    watch = played(STRICT, uneven(100) + 2000)
    logits = np.random.default_rng(2).normal(0, 2, BINS + 1)
    before, after = (np.exp(each[:BINS]) for each in (logits, logits + watch.nats(7777, logits)))
    assert after[0] / after.sum() == pytest.approx(before[0] / before.sum())


def test_a_chord_counts_once():
    watch = played(STRICT, [2000, 2000, 2000])
    assert len(watch._recent) == 41


def test_a_copy_goes_its_own_way():
    watch = played(STRICT)
    other = watch.copy()
    for start in uneven(100) + 2000:
        other.observe(int(start))
    assert (watch.strength, other.strength) == (0, 1)
