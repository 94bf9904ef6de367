"""A piece ends where an end is likeliest, slows down, and its last chord rings."""

import numpy as np
import pytest

from ambient.music_transformer.ending import ended
from ambient.music_transformer.fields import Fields

BEGIN = 5_000


def every_second(count=181, *, length=80):
    """Notes a second apart from `BEGIN` on."""
    starts = BEGIN + 100 * np.arange(count)
    return Fields(starts, np.full(count, 60), np.full(count, length), np.full(count, 16))


def nats(count, **likely):
    """Log-probabilities of an end before each note, so after none, after the first, and so on."""
    return [likely.get(f"after_{note}", -14.0) for note in range(count)]


def test_a_piece_is_cut_back_to_where_an_end_is_likeliest():
    made = ended(every_second(), BEGIN, nats(181, after_171=-2.0, after_176=-4.0, after_90=-0.1))
    assert len(made) == 171  # 90 lies more than 15 s before the last note


def test_of_a_short_piece_only_a_twelfth_is_looked_at():
    made = ended(every_second(25), BEGIN, nats(25, after_20=-0.1, after_24=-3.0))
    assert len(made) == 24  # the twelfth of 24 s is 2 s


def test_an_end_does_not_part_notes_that_start_together():
    new = every_second()
    starts = new.starts.copy()
    starts[171] = starts[170] + 2  # a chord, heard 20 ms apart
    new = Fields(starts, new.pitches, new.lengths, new.velocities)
    made = ended(new, BEGIN, nats(181, after_171=-0.1, after_172=-3.0))
    assert len(made) == 172


def test_a_piece_keeps_its_notes_where_it_can_end_nowhere():
    assert len(ended(every_second(), BEGIN, [-np.inf] * 181)) == 181
    assert len(ended(every_second(1), BEGIN, [-14.0])) == 1


def test_it_slows_down_to_half_its_tempo_over_the_last_eight_seconds():
    made = ended(every_second(), BEGIN, nats(181, after_171=-2.0))
    gaps = np.diff(made.starts) / 100
    assert gaps[:162] == pytest.approx(1.0)
    assert (np.diff(gaps[162:]) > 0).all()
    # 8 s take 8 * (1 - 0.125 ** (2/3)) / (2/3 * 0.875) = 10.29 s; the last tempo alone would double a second.
    assert gaps[162:].sum() == pytest.approx(10.29, abs=0.02)
    assert 1.6 < gaps[-1] < 2.0


def test_the_last_chord_rings_and_what_sounds_on_ends_with_it():
    starts = np.array([BEGIN, BEGIN, BEGIN + 20_000, BEGIN + 20_500, BEGIN + 20_500])
    for lengths, rings in (([80, 90_000, 700, 30, 500], 500), ([80, 90_000, 700, 30, 20], 300)):
        new = Fields(starts, np.array([50, 30, 36, 60, 64]), np.array(lengths), np.full(5, 16))
        made = ended(new, BEGIN, [-np.inf] * 5)
        assert made.lengths[0] == 80
        # As long as its longest note, 3 s at least; the bass below and a drone of a quarter of an hour too.
        assert (made.ends[1:] - made.starts[-1]).tolist() == [rings] * 4


def test_chords_stay_together_and_nothing_moves_before_the_slowing():
    new = every_second()
    made = ended(new, BEGIN, nats(181, after_171=-2.0))
    assert (made.starts[:162] == new.starts[:162]).all()
    assert (made.lengths > 0).all()
    assert (np.diff(made.starts) >= 0).all()
