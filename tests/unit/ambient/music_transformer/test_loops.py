import pytest

from ambient.music_transformer.loops import LoopWatch


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
