import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.music_transformer.fields import EDGES, Fields
from ambient.music_transformer.placement import Alignment, place, placement_nats

BIN_59 = 59  # 99 up to, not including, 104 steps
NOTHING = np.zeros(0, dtype=np.int64)


@pytest.fixture
def three_notes():
    """A second long each and a second apart, but the last a hundredth longer."""
    return Fields(np.array([0, 100, 200]), np.array([60, 62, 64]), np.array([100, 100, 101]), np.array([9, 9, 9]))


def test_places_cost_what_their_chances_say(three_notes):
    nats = placement_nats(three_notes, Alignment(gap=0.6, length=0.3))
    wanted = [
        np.log(5),  # gap of a step; a length in a bin of five, no note before it
        -np.log(0.6 + 0.4 / 5) - np.log(0.3 + 0.7 / 5),  # the gap leads to an end; the length was there before
        -np.log(0.6 + 0.4 / 5) - np.log(0.7 / 5),  # an end and a gap before agree; both candidates for the length fail
    ]
    assert nats == pytest.approx(wanted)


def test_candidates_share_the_chance_by_how_often_they_stand():
    # The gap of the last note: ends at 100 and 102 and the gap 100 lie in its bin, two of three are right.
    fields = Fields(np.array([0, 100, 100, 200]), np.array([60, 60, 64, 60]), np.array([9, 100, 102, 9]), np.zeros(4))
    assert placement_nats(fields, Alignment(gap=0.9, length=0.5))[3] == pytest.approx(-np.log(0.9 * 2 / 3 + 0.1 / 5))


def test_times_below_400_ms_need_no_place(bars):
    assert placement_nats(bars(20), Alignment(0.5, 0.5)).tolist() == [0.0] * 20


def test_alignment_is_the_share_that_was_there_before_where_anything_fits(three_notes):
    assert Alignment.of([three_notes]) == Alignment(gap=1.0, length=0.5)
    assert Alignment.of([three_notes, three_notes]) == Alignment(gap=1.0, length=0.5)
    assert Alignment.of([]) == Alignment(0.0, 0.0)


@given(
    st.integers(0, 176),
    st.lists(st.integers(-500, 40_000), max_size=20),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_a_place_is_always_within_the_bin(time_bin, candidates, alignment, seed):
    steps = place(time_bin, np.array(candidates, dtype=np.int64), alignment, np.random.default_rng(seed))
    assert EDGES[time_bin] <= steps < EDGES[time_bin + 1]


def test_with_alignment_one_a_candidate_is_taken_as_often_as_it_stands():
    rng, candidates = np.random.default_rng(0), np.array([100, 300, 100, 103, -4])
    drawn = [place(BIN_59, candidates, 1.0, rng) for _ in range(900)]
    assert set(drawn) == {100, 103}
    assert drawn.count(100) / 900 == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize(("candidates", "alignment"), [(np.array([100]), 0.0), (NOTHING, 1.0), (np.array([104]), 1.0)])
def test_without_alignment_or_candidates_all_steps_of_the_bin_are_alike(candidates, alignment):
    rng = np.random.default_rng(0)
    drawn = [place(BIN_59, candidates, alignment, rng) for _ in range(1000)]
    assert [drawn.count(step) / 1000 for step in range(99, 104)] == pytest.approx([0.2] * 5, abs=0.05)


def test_half_of_the_time_is_half_of_the_time():
    rng = np.random.default_rng(0)
    drawn = [place(BIN_59, np.array([101]), 0.5, rng) for _ in range(2000)]
    assert drawn.count(101) / 2000 == pytest.approx(0.5 + 0.5 / 5, abs=0.04)
