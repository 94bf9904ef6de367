import pytest

from ambient.music_transformer.loops import LEAST_NOTES, LONGEST_PERIOD, REPEATS, LoopWatch
from ambient.music_transformer.tokens import TIME_SHIFT, VELOCITY


def heard(pitches):
    watch = LoopWatch()
    for pitch in pitches:
        for token in (VELOCITY + pitch % 7, pitch, TIME_SHIFT + pitch, 128 + pitch):
            watch.observe(token)
    return watch


@pytest.mark.parametrize("period", [1, 2, 5, 8, LONGEST_PERIOD])
def test_a_loop_is_noticed_when_its_figure_has_come_often_enough(period):
    figure = list(range(40, 40 + period))
    enough = max(REPEATS * period, LEAST_NOTES)
    notes = (figure * 2 * LEAST_NOTES)[:enough]
    assert heard(notes[:-1]).next_pitch is None
    assert heard(notes).next_pitch == (figure * 2 * LEAST_NOTES)[enough]


def test_a_figure_that_changes_is_no_loop():
    assert heard([60, 62, 64, 65] * 3 + [60, 62, 64, 67]).next_pitch is None
    assert heard(list(range(30, 90))).next_pitch is None


def test_a_loop_is_over_with_the_first_other_note():
    assert heard([60] * LEAST_NOTES + [61]).next_pitch is None


def test_a_copy_goes_its_own_way():
    watch = heard([60] * (LEAST_NOTES - 1))
    other = watch.copy()
    other.observe(60)
    assert (watch.next_pitch, other.next_pitch) == (None, 60)
