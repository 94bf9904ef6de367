import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.music_transformer.fields import EDGES, Fields
from ambient.music_transformer.placement import Placement, place, placement_nats

BIN_59 = 59  # 99 up to, not including, 104 steps
NOTHING = np.zeros(0, dtype=np.int64)
# Any step, an end, a step beside one, a time before, a step beside one.
SHARES = (0.1, 0.4, 0.1, 0.3, 0.1)


def chances(ends=NOTHING, before=NOTHING, shares=SHARES):
    return Placement(shares).chances(BIN_59, np.array(ends), np.array(before))


def test_without_ends_or_times_before_all_steps_of_a_bin_are_alike():
    assert chances() == pytest.approx([0.2] * 5)
    assert chances(ends=[90, 300], before=[20]) == pytest.approx([0.2] * 5)


def test_an_end_is_likely_and_the_steps_beside_it_are_likelier_than_others():
    # Of the shares 0.1, 0.4 and 0.1 are left; beside an end a half is for it, a quarter for each neighbour.
    assert chances(ends=[101]) == pytest.approx(np.array([0.02, 0.045, 0.47, 0.045, 0.02]) / 0.6)
    assert chances(ends=[101, 101, 103])[2] == pytest.approx((0.02 + 0.4 * 2 / 3 + 0.1 * 4 / 11) / 0.6)


def test_an_end_just_outside_the_bin_speaks_for_the_step_beside_it():
    assert chances(ends=[104])[4] == pytest.approx((0.02 + 0.1) / 0.2)


def test_of_the_times_before_the_newer_count_more():
    # The last one counts 1 / 3, the one before 1 / 4.
    found = chances(before=[100, 103], shares=(0.5, 0.0, 0.0, 0.5, 0.0))
    assert found == pytest.approx([0.1, 0.1 + 0.5 * 3 / 7, 0.1, 0.1, 0.1 + 0.5 * 4 / 7])


def test_what_told_better_counts_more_and_comes_back_slowly():
    placement = Placement((0.5, 0.5, 0.0, 0.0, 0.0))
    cost = placement.learn(101, np.array([101]), NOTHING)
    assert cost == pytest.approx(-np.log(0.5 / 5 + 0.5))
    # The end had said 1 and any step 1 / 5: 5 / 6 and 1 / 6, of which three hundredths are as at first.
    end = 0.97 * 5 / 6 + 0.03 / 2
    assert placement.chances(BIN_59, np.array([101]), NOTHING)[2] == pytest.approx(end + (1 - end) / 5)
    assert placement.learn(100, np.array([101]), NOTHING) == pytest.approx(-np.log((1 - end) / 5))


def test_a_piece_pays_for_both_times_of_each_note():
    # A second long each and a second apart, but the last a hundredth longer.
    fields = Fields(np.array([0, 100, 200]), np.array([60, 62, 64]), np.array([100, 100, 101]), np.array([9, 9, 9]))
    first, second, third = placement_nats(fields)
    assert first == pytest.approx(np.log(5))  # no gap; a length in a bin of five, no note before it
    # The gap leads to an end (any 0.07, an end 0.49, beside one 0.14); the length was there before (0.30, beside 0.05).
    gap = (0.07 / 5 + 0.49 + 0.14 / 2) / 0.70
    assert second == pytest.approx(-np.log(gap) - np.log((0.03 / 5 + 0.30 + 0.05 * 0.5) / 0.38))
    assert third > second  # nothing says 101 but what lies beside 100


def test_times_beyond_the_longest_bin_have_a_place_in_it():
    fields = Fields(np.array([0, 90_000]), np.array([60, 62]), np.array([80_000, 400]), np.array([9, 9]))
    nats = placement_nats(fields)
    assert np.isfinite(nats).all()
    assert (nats > 0).all()


def test_times_below_400_ms_need_no_place(bars):
    assert placement_nats(bars(20)).tolist() == [0.0] * 20


@given(
    st.integers(0, 176),
    st.lists(st.integers(-500, 40_000), max_size=20),
    st.lists(st.integers(0, 40_000), max_size=20),
    st.integers(0, 2**32),
)
def test_a_place_is_always_within_the_bin_and_its_chances_add_up(time_bin, ends, before, seed):
    found = Placement(SHARES).chances(time_bin, np.array(ends, dtype=np.int64), np.array(before, dtype=np.int64))
    assert found.sum() == pytest.approx(1)
    assert EDGES[time_bin] <= place(time_bin, found, np.random.default_rng(seed)) < EDGES[time_bin + 1]


def test_steps_are_drawn_as_often_as_their_chances_say():
    rng = np.random.default_rng(0)
    drawn = [place(BIN_59, np.array([0.0, 4.0, 0.0, 1.0, 0.0]), rng) for _ in range(2000)]
    assert set(drawn) == {100, 102}
    assert drawn.count(100) / 2000 == pytest.approx(0.8, abs=0.03)
