import numpy as np
import pytest

from ambient.music_transformer.chords import ChordWatch, places_in_chords


def watched(sizes, new=(), *, apart=50):
    """A primer of chords of these sizes, and new ones after it, so many steps apart."""
    gaps = np.array([gap for size in sizes for gap in [apart, *[0] * (size - 1)]])
    watch = ChordWatch(gaps.cumsum(), gaps)
    now = int(gaps.sum())
    for size in new:
        for gap in [apart, *[0] * (size - 1)]:
            now += gap
            watch.observe(now, gap)
    return watch


def test_a_place_is_how_many_notes_start_before_with_the_same():
    assert places_in_chords(np.array([0, 0, 7, 0, 0, 0, 7, 7])).tolist() == [0, 1, 0, 1, 2, 3, 0, 0]
    assert places_in_chords(np.array([7, *[0] * 20])).max() == 11
    assert places_in_chords(np.zeros(0, dtype=np.int64)).tolist() == []


def test_chords_as_in_the_primer_are_left_alone():
    nats = watched([2, 3] * 10, [2, 3] * 30).nats()
    assert nats.shape == (178,)
    assert nats == pytest.approx(np.zeros(178), abs=0.1)


def test_one_note_more_than_the_primer_s_chords_have_is_held_back_and_none_that_they_have():
    # Triads alone; then chords of four and five.
    watch = watched([3] * 12, [4, 5] * 15)
    held_back = {}
    for place, gap in enumerate([50, 0, 0, 0, 0]):  # a chord in the making
        watch.observe(2150, gap)
        nats = watch.nats()
        held_back[place] = nats[0] - nats[1]
        assert (nats[1:] == nats[1]).all()  # every later start alike
    assert held_back[0] == pytest.approx(0, abs=0.7)
    assert held_back[1] == pytest.approx(0, abs=0.7)
    assert held_back[2] < -5  # a fourth note
    assert held_back[3] < -5


def test_notes_that_came_one_by_one_are_asked_to_start_together_where_the_primer_s_do():
    nats = watched([2] * 20, [1] * 80).nats()
    assert nats[0] > 2
    assert nats[1] < -1


def test_a_dozen_notes_say_something_and_fewer_do_not():
    assert watched([2] * 5).nats() is None
    assert watched([2] * 6).nats() is not None


def test_a_copy_goes_its_own_way():
    watch = watched([3] * 12)
    other = watch.copy()
    before = watch.nats()
    for step in range(40):
        other.observe(600 + step, 0)
    assert (watch.nats() == before).all()
    assert other.nats()[0] < -5
