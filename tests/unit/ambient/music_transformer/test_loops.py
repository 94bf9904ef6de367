import numpy as np
import pytest

from ambient.music_transformer.loops import FigureWatch, LoopWatch
from ambient.music_transformer.statistics import self_repetition


def heard(pitches):
    watch = LoopWatch()
    for pitch in pitches:
        watch.observe(pitch)
    return watch


# A figure is a loop when it has come three times, and at least sixteen notes have gone by.
@pytest.mark.parametrize(("period", "enough"), [(1, 16), (2, 16), (5, 16), (6, 18), (8, 24), (32, 96)])
def test_a_loop_is_noticed_when_its_figure_has_come_often_enough(period, enough):
    endless = [40 + i % period for i in range(200)]
    assert heard(endless[: enough - 1]).next_pitch is None
    assert heard(endless[:enough]).next_pitch == endless[enough]


def test_a_figure_of_more_than_32_notes_is_no_loop():
    assert heard([40 + i % 33 for i in range(400)]).next_pitch is None


def test_a_figure_that_changes_is_no_loop():
    assert heard([60, 62, 64, 65] * 3 + [60, 62, 64, 67]).next_pitch is None
    assert heard(list(range(30, 90))).next_pitch is None


def test_a_loop_is_over_with_the_first_other_note():
    assert heard([60] * 16 + [61]).next_pitch is None


def test_a_copy_goes_its_own_way():
    watch = heard([60] * 15)
    other = watch.copy()
    other.observe(60)
    assert (watch.next_pitch, other.next_pitch) == (None, 60)


# === Figures that return ===


def watched(pitches, gap_steps=50):
    watch = FigureWatch()
    for index, pitch in enumerate(pitches):
        watch.observe(index * gap_steps, pitch)
    return watch


@pytest.mark.parametrize("seed", range(5))
def test_the_share_of_returning_figures_is_that_of_the_last_minute(seed):
    pitches = np.random.default_rng(seed).integers(60, 64, 400).tolist()
    # Two notes a second: figures whose last note is among the newest 120.
    assert watched(pitches).share == pytest.approx(self_repetition(pitches[-123:]))


def test_nothing_is_led_while_as_many_figures_return_as_in_real_music():
    returning = [60, 62, 64, 65] * 8 + [*range(21, 57), 60, 62, 64]  # 29 of 68 figures: 0.43
    assert watched(returning).share == pytest.approx(29 / 68)
    assert watched(returning).led() == ([], 0.0)
    assert watched([]).led() == ([], 0.0)
    assert watched([60] * 26).led() == ([], 0.0)  # 23 figures are too few to say
    assert watched([60] * 27).led() == ([60], -5.0)


def test_of_too_few_returning_figures_one_is_likelier_to_return_by_ten_nats_for_each_share_of_one():
    wandering = [60, 62, 64, 65, *range(21, 57), 60, 62, 64]  # none returns; the last three did, with 65 after them
    followers, nats = watched(wandering).led()
    assert followers == [65]
    assert nats == pytest.approx(3.8)
    assert watched([*wandering, 70]).led()[0] == []  # nothing that was heard goes on from here


def test_of_too_many_returning_figures_the_next_one_is_less_likely_by_ten_nats_for_each_share_of_one():
    # 60 62 64 65 over and over, once 60 62 64 67: 0.97 of the figures return.
    pitches = [60, 62, 64, 65] * 16 + [60, 62, 64, 67] + [60, 62, 64, 65] * 4 + [60, 62, 64]
    watch = watched(pitches)
    followers, nats = watch.led()
    assert followers == [65, 67]
    assert nats == pytest.approx(-10 * (self_repetition(pitches) - 0.5))


def test_what_was_heard_longer_ago_than_a_minute_is_new_again():
    watch = watched([60, 62, 64, 65] * 30)
    assert watch.share == 1.0
    watch.observe(30 * 4 * 50 + 6000, 60)
    assert watch.led() == ([], 0.0)


def test_a_copy_of_the_figures_goes_its_own_way():
    watch = watched([60, 62, 64, 65] * 10)
    other = watch.copy()
    for index in range(20):
        other.observe(2000 + 50 * index, 80 + index)
    assert (watch.share, watch.led()[0]) == (1.0, [60])
    assert other.share < 0.7
