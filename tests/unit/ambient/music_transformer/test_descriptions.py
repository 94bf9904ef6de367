import math

import numpy as np
import pytest

from ambient.music_transformer.descriptions import Percentiles, describe, describe_stretch
from ambient.music_transformer.fields import Fields


def steady(notes, every, length=50, pitch=60, velocity=16, begin=0):
    starts = begin + np.arange(notes) * every
    return Fields(starts, *(np.full(notes, each) for each in (pitch, length, velocity)))


@pytest.fixture
def rising():
    """A note a second for twenty seconds, each half a second long, pitch and velocity rising by one."""
    count = np.arange(20)
    return Fields(count * 100, 60 + count, np.full(20, 50), 10 + count)


def test_a_note_is_described_by_the_fifteen_seconds_from_its_start(rising):
    # Fifteen notes of pitches 60-74 and velocities 10-24; each sounds half of its second.
    assert describe(rising)[0] == pytest.approx([15 / 15, 67, 0.5, 17, -1])


def test_less_is_ahead_near_the_end_and_below_five_seconds_nothing_is_said(rising):
    values = describe(rising)
    # From 10 s to the last end at 19.5 s: ten notes of pitches 70-79, 5 s of sound in 9.5 s.
    assert values[10] == pytest.approx([10 / 9.5, 74.5, 5 / 9.5, 24.5, -1])
    assert np.isfinite(values[14]).all()
    assert np.isnan(values[15:]).all()


def test_a_held_note_counts_as_sounding_but_not_as_started():
    held = Fields(np.array([0, 1000]), np.array([40, 80]), np.array([3000, 500]), np.array([8, 20]))
    first, second = describe(held)
    assert first == pytest.approx([2 / 15, 60, 20 / 15, 14, (np.log2(30) + np.log2(5)) / 2])
    assert second == pytest.approx([1 / 15, 80, 20 / 15, 20, np.log2(5)])


def test_notes_that_start_together_have_one_description():
    chord = Fields(
        np.array([0, 0, 0, 900]), np.array([60, 64, 67, 72]), np.array([100, 200, 300, 100]), np.array([9, 9, 9, 9])
    )
    values = describe(chord)
    assert values[0].tolist() == values[1].tolist() == values[2].tolist()
    assert values[0, 0] == pytest.approx(4 / 10)


def test_a_description_does_not_depend_on_where_the_clock_stands(rising):
    later = Fields(rising.starts + 123_456, rising.pitches, rising.lengths, rising.velocities)
    assert describe(later) == pytest.approx(describe(rising), nan_ok=True)


def test_no_notes_have_no_descriptions():
    assert describe(steady(0, 100)).shape == (0, 5)


def test_a_stretch_is_described_by_what_starts_in_it_and_sounds_up_to_its_end(rising):
    # Notes of pitch 62 to 65, half a second each; the last one starts where the stretch ends, so it is not in it.
    values = describe_stretch(rising, 200, 600)
    assert values == pytest.approx([1, 63.5, 0.5, 13.5, -1])
    assert np.isnan(describe_stretch(rising, 210, 290)).all()
    # What began before sounds on: 25 of 50 steps for each of two starts, and a quarter second of the one before.
    assert describe_stretch(rising, 225, 425)[2] == pytest.approx((0.25 + 0.5 + 0.25) / 2)


def test_percentiles_weigh_seconds_not_notes():
    # 150 s of one note a second and 50 s of ten: three quarters of the time, but a quarter of the notes, are sparse.
    edges = Percentiles.of([steady(150, 100), steady(500, 10)]).edges
    assert edges.shape == (5, 19)
    assert edges[0, :12] == pytest.approx(1, abs=0.2)  # up to the 70th percentile
    assert edges[0, 12:] == pytest.approx(10, abs=0.5)  # from the 80th


def test_a_long_rest_weighs_fifteen_seconds():
    # Without the bound the hour of silence after the last dense note would be nearly all of the time.
    silence = Fields.joined([steady(200, 10, pitch=50), steady(300, 100, pitch=70, begin=360_000)])
    assert Percentiles.of([silence]).edges[1, 9] == pytest.approx(70)


def test_bins_go_from_one_below_the_first_edge_to_twenty_above_the_last():
    percentiles = Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1)))
    values = np.array([[0.5, 1.0, 4.9, 19.0, 99.0], [np.nan] * 5])
    assert percentiles.bins(values).tolist() == [[1, 2, 5, 20, 20], [0, 0, 0, 0, 0]]


def test_bins_hold_as_much_of_the_training_music_as_their_percentiles_say():
    rng = np.random.default_rng(0)
    pitches = rng.integers(20, 100, 40).repeat(16)
    piece = Fields(np.arange(640) * 100, pitches, np.full(640, 50), np.full(640, 16))
    percentiles = Percentiles.of([piece])
    values = describe(piece)
    bins = percentiles.bins(values)[np.isfinite(values[:, 0]), 1]
    shares = np.bincount(bins, minlength=21)[1:]
    wanted = [1, 1, 2, 3, 3, 5, 5, *[10] * 6, 5, 5, 3, 3, 2, 1, 1]  # percent
    assert 100 * shares / bins.size == pytest.approx(np.array(wanted), abs=2)


@pytest.mark.parametrize(
    ("percentile", "wanted"),
    [(0, 1), (0.9, 1), (1, 2), (9.9, 5), (10, 6), (50, 11), (89.9, 15), (90, 16), (99, 20), (100, 20)],
)
def test_a_percentile_falls_into_its_bin(percentile, wanted):
    assert math.floor(Percentiles.position_of(percentile) + 0.5) == wanted


def test_a_position_says_where_in_its_bin_a_value_lies():
    percentiles = Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1)))
    values = np.array([[0.5, 1.0, 1.5, 18.75, 30.0], [np.nan, 2.0, 2.0, 2.0, 2.0]])
    wanted = [[1, 1.5, 2, 19.25, 20], [0, 2.5, 2.5, 2.5, 2.5]]
    assert percentiles.positions(values) == pytest.approx(np.array(wanted), abs=1e-6)


def test_a_value_on_edges_that_coincide_is_in_the_highest_bin_that_begins_there():
    edges = np.tile(np.arange(1.0, 20.0), (5, 1))
    edges[:, 12:14] = 13.5  # bins 14 and 15 begin at the same value, as at the one velocity of a score
    percentiles = Percentiles(edges)
    values = np.full((1, 5), 13.5)
    assert percentiles.bins(values).tolist() == [[15] * 5]
    assert percentiles.positions(values) == pytest.approx(np.full((1, 5), 14.5), abs=1e-6)
