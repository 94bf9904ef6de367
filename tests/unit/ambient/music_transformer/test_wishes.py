import numpy as np
import pytest

from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.descriptions import Percentiles
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.wishes import (
    Steering,
    Wishes,
    as_bins,
    make_primer,
    make_wishes,
    read_curve,
    without_fade,
)

DENSITY, REGISTER = 0, 1


def steady(notes, every, velocity=16, begin=0):
    return Fields(begin + np.arange(notes) * every, *(np.full(notes, each) for each in (60, 50, velocity)))


def test_a_percentile_is_a_constant_and_pairs_are_a_curve():
    assert read_curve("30") == ((0.0, 30.0),)
    assert read_curve("0:20 4:70 8.5:10") == ((0.0, 20.0), (4.0, 70.0), (8.5, 10.0))
    assert read_curve("0:20, 4:70") == ((0.0, 20.0), (4.0, 70.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "could not convert"),
        ("loud", "could not convert"),
        ("x:3", "could not convert"),
        ("1:2:3", "could not convert"),
        ("101", "percentiles go from 0 to 100"),
        ("-1", "percentiles go from 0 to 100"),
        ("nan", "percentiles go from 0 to 100"),
        ("0:20 4:170", "percentiles go from 0 to 100"),
        ("0:20 0:30", "minutes must rise"),
        ("4:20 2:30", "minutes must rise"),
        ("nan:20 1:30", "minutes must rise"),
    ],
)
def test_what_is_no_curve_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_curve(text)


def test_a_wish_follows_straight_lines_between_its_points_and_holds_the_last():
    wishes = Wishes(curves=(("density", ((1.0, 20.0), (5.0, 70.0))),))
    # Seven bins begin below 20 or at it, nine up to 45 (at 3 min), twelve up to 70 (from 5 min on).
    got = [float(wishes(60 * minute)[DENSITY]) for minute in (0, 1, 3, 5, 60)]
    assert got == [7.5, 7.5, 10, 12.5, 12.5]
    assert as_bins(np.array(got)).tolist() == [8, 8, 10, 13, 13]


def test_nothing_wished_is_nothing_said_and_what_is_typical_stands_beside_a_curve():
    assert Wishes()(10.0).tolist() == [0, 0, 0, 0, 0]
    wishes = Wishes((4, 5, 6, 7, 8), (("register", ((0.0, 95.0),)),))
    assert wishes(10.0).tolist() == pytest.approx([4, 17 + 1 / 6, 6, 7, 8])  # 95 lies between the edges 93 and 96


@pytest.mark.parametrize(("heard", "mark"), [(False, 1), (True, 2)])
def test_a_primer_is_marked_as_clean_or_heard(tiny_config, bars, heard, mark):
    assert make_primer(bars(8), tiny_config, heard=heard).mark == mark


def test_a_primer_is_described_note_by_note_and_as_a_whole(tiny_config):
    # Two notes a second of pitch 60, velocity bin 16 and half a second: 19 edges go from 1 to 9 for the density,
    # 45 to 77 for the pitch, 0.5 to 4.5 for the polyphony, 4 to 28 for velocities, -3 to 1 for lengths.
    primer = make_primer(steady(80, 50), tiny_config, heard=False)
    assert primer.described.shape == (80, 5)
    assert primer.described[0].tolist() == [4, 10, 4, 11, 11]
    assert primer.described[-1].tolist() == [0] * 5  # nothing lies ahead
    assert as_bins(primer.typical).tolist() == [4, 10, 4, 11, 11]
    assert primer.typical[1] == pytest.approx(9 + 15 / 16)  # 60 between the edges 58 2/9 and 60
    assert as_bins(make_wishes(primer, {})(0.0)).tolist() == [4, 10, 4, 11, 11]
    assert as_bins(make_wishes(primer, {"register": ((0.0, 1.5),)})(0.0)).tolist() == [4, 2, 4, 11, 11]


def test_notes_are_as_long_as_the_primers_unless_there_are_to_be_more_or_fewer_of_them(tiny_config):
    primer = make_primer(steady(80, 50), tiny_config, heard=False)
    length = make_wishes(primer, {})(0.0)[4]
    assert round(length) == 11
    assert make_wishes(primer, {"density": ((0.0, 90.0),)})(0.0)[4] == 0  # not said
    assert make_wishes(primer, {"polyphony": ((0.0, 90.0),)})(0.0)[4] == length
    both = {"density": ((0.0, 90.0),), "note_length": ((0.0, 1.5),)}
    assert as_bins(make_wishes(primer, both)(0.0))[4] == 2


def test_a_primer_too_short_to_describe_or_a_model_without_percentiles_says_nothing(tiny_config):
    short = make_primer(steady(8, 50), tiny_config, heard=False)
    untold = make_primer(steady(80, 50), ModelConfig(), heard=False)
    for primer in (short, untold):
        assert primer.described.shape == (len(primer.fields), 5)
        assert not primer.described.any()
        assert primer.typical.tolist() == [0] * 5


def test_music_from_nothing_is_asked_to_be_calm_and_as_it_is_wished(tiny_config):
    primer = make_primer(steady(0, 50), tiny_config, heard=False)
    assert primer.described.shape == (0, 5)
    assert primer.percentiles is not None
    # Percentile 30 is the edge between bins 8 and 9 for the density, 60 that between 11 and 12 for the note length.
    assert make_wishes(primer, {})(0.0).tolist() == [8.5, 0, 0, 0, 11.5]
    assert make_wishes(primer, {"density": ((0.0, 0.0),)})(0.0)[0] == 1


def test_a_primer_that_thins_out_goes_on_from_where_it_was_full():
    music, fade = steady(240, 25), steady(5, 300, begin=6200)
    kept = without_fade(Fields.joined([music, fade]))
    # 24 notes in six seconds are typical; with the last of the music there are fewer than 12 from 3 s later on.
    assert len(kept) in (240, 241)
    assert kept.starts[-1] <= 6200


def test_a_primer_that_grows_soft_goes_on_from_where_it_was_loud():
    music, fade = steady(240, 25, velocity=20), steady(60, 25, velocity=2, begin=6000)
    kept = without_fade(Fields.joined([music, fade]))
    # Six seconds half as loud as 21: 24 notes of 21 and 3, of which at least 10 are loud.
    assert 240 <= len(kept) <= 240 + 15


@pytest.mark.parametrize(
    "fields",
    [
        steady(240, 25),
        Fields.joined([steady(240, 25), steady(120, 12, begin=6000)]),  # grows fuller
        steady(7, 25),
        Fields.joined([steady(60, 25), steady(2, 200, begin=1500)]),  # too short to say what is typical
        Fields.joined([steady(50, 12), steady(60, 150, begin=1000)]),  # sparse for most of it
        steady(0, 1),
    ],
    ids=["even", "fuller", "few", "short", "sparse", "empty"],
)
def test_a_primer_that_does_not_fade_is_kept_whole(fields):
    assert len(without_fade(fields)) == len(fields)


def test_a_fade_longer_than_two_fifths_of_the_notes_is_the_music():
    music, rest = steady(240, 25, velocity=30), steady(200, 25, velocity=2, begin=6000)
    assert len(without_fade(Fields.joined([music, rest]))) == 440


# === Holding the music to it ===
def test_what_there_is_too_little_of_is_asked_for_more_from_second_to_second():
    # Edges 1 to 19: two notes a second lie where bin 3 begins. The others are as they are wished, or nearly.
    percentiles = Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1)))
    wished = np.array([9, 20, 1.6, 16.6, 0])
    steering = Steering(percentiles, begin=0)
    assert steering(wished).tolist() == [9, 20, 2, 17, 0]
    steering.measure(steady(21, 50), wished)  # ten seconds count as five, 6.5 bins missing: 0.05 x 5 x 6.5 bins
    assert steering(wished).tolist() == [11, 20, 2, 17, 0]
    for seconds in range(11, 80):
        steering.measure(steady(2 * seconds + 1, 50), wished)
    assert steering(wished).tolist() == [19, 20, 2, 17, 0]  # never more than ten bins beyond what is wished


def test_what_there_is_too_much_of_is_asked_for_less():
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=0)
    wished = np.array([0, 20, 0, 0, 0])
    wished[DENSITY] = 1
    steering.measure(steady(200, 10), wished)
    assert steering(np.array([8, 20, 0, 0, 0]))[DENSITY] < 8
    assert steering(wished)[DENSITY] == 1


def test_new_music_is_measured_once_a_second_and_not_before_there_are_five():
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=1000)
    assert not steering.is_due(1499)
    assert steering.is_due(1500)
    steering.measure(steady(31, 50), np.array([9, 0, 0, 0, 0]))
    assert steering.measured == 1500
    assert not steering.is_due(1599)
    assert steering.is_due(1600)


def test_while_music_is_too_soft_louder_velocities_become_likelier_by_themselves():
    # Edges 1 to 19: velocity bin 10 lies where bin 11 begins, at 10.5.
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=0)
    assert not steering.velocity_nats().any()
    steering.measure(steady(21, 50, velocity=10), np.array([0, 0, 0, 14.5, 0]))  # four bins are missing
    assert steering.velocity_nats() == pytest.approx(4 * 0.1 * np.arange(32))
    steering.measure(steady(41, 50, velocity=18), np.array([0, 0, 0, 3, 0]))
    assert (np.diff(steering.velocity_nats()) < 0).all()


def test_velocities_are_led_by_the_last_five_seconds_and_by_nothing_that_has_added_up():
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=0)
    wished = np.array([0, 0, 0, 14.5, 0])
    for seconds in range(10, 60):
        steering.measure(steady(2 * seconds + 1, 50, velocity=10), wished)
    assert steering.velocity_nats() == pytest.approx(4 * 0.1 * np.arange(32))
    soft, right = steady(121, 50, velocity=10), steady(11, 50, velocity=14, begin=6050)
    steering.measure(Fields.joined([soft, right]), wished)
    assert steering.velocity_nats() == pytest.approx(np.zeros(32), abs=1e-6)


def test_velocities_are_led_no_further_than_by_ten_bins():
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=0)
    steering.measure(steady(21, 50, velocity=0), np.array([0, 0, 0, 20, 0]))
    assert steering.velocity_nats() == pytest.approx(10 * 0.1 * np.arange(32))


def test_while_notes_are_too_short_longer_ones_become_likelier_by_themselves():
    # Edges 1 to 19: notes of half a second, -1 as log2 of seconds, lie in bin 1.
    steering = Steering(Percentiles(np.tile(np.arange(1.0, 20.0), (5, 1))), begin=0)
    assert not steering.length_nats().any()
    steering.measure(steady(21, 50), np.array([0, 0, 0, 0, 4]))  # three bins are missing
    nats = steering.length_nats()
    assert nats[[1, 16, 32]] == pytest.approx([0, 3 * 0.15 * 4, 3 * 0.15 * 5])  # lengths of 1, 16 and 32 steps
    assert (np.diff(nats[1:]) > 0).all()
    steering.measure(steady(41, 50), np.array([0, 0, 0, 0, 1]))
    assert not steering.length_nats().any()
