import pytest

from ambient.music_transformer.composing import Composition
from ambient.music_transformer.fields import notes_to_fields
from ambient.music_transformer.memorisation import TrainingNotes
from ambient.music_transformer.ranking import best, score
from ambient.notes import Note


def line(pitches):
    return [Note(i * 0.5, pitch, i * 0.5 + 0.4, 64) for i, pitch in enumerate(pitches)]


VARIED = line([60, 64, 67, 65, 62, 71, 69, 60, 66, 63, 72, 58, 61, 70, 59, 68])
LOOPING = line([60, 64, 67, 64] * 5)


def song(notes, *, seed=1, nats=2.0, heard=None):
    return score(Composition(notes_to_fields(notes), nats, 0), notes, seed=seed, heard=heard, held_out_nats=2.0)


def test_songs_within_the_band_are_preferred_to_dull_and_odd_ones():
    fine, dull, odd = song(VARIED, seed=3), song(VARIED, seed=1, nats=1.0), song(VARIED, seed=2, nats=3.0)
    # The band goes from 0.6 to 1.1 of the two nats a note that the model needs for music it has not heard.
    assert fine.outside_band == 0.0
    assert dull.outside_band == pytest.approx(1.2 - 1.0)
    assert odd.outside_band == pytest.approx(3.0 - 2.2)
    assert [each.seed for each in best([dull, odd, fine], 2)] == [3, 1]


def test_variety_is_preferred_to_repetition():
    assert best([song(LOOPING, seed=1), song(VARIED, seed=2)], 1)[0].seed == 2


def test_a_song_that_was_heard_before_comes_last_and_says_where():
    heard = TrainingNotes.of([("heard.mid", notes_to_fields(VARIED), False)])
    copied, new = song(VARIED, seed=1, heard=heard), song(line([50, 57, 49, 61, 40, 66, 51]), seed=2, heard=heard)
    assert (copied.copied_notes, copied.match.source) == (16, "heard.mid")
    assert best([copied, new], 2) == [new, copied]


def test_a_song_without_notes_is_the_last_resort():
    assert best([song([], seed=1), song(VARIED, seed=2)], 1)[0].seed == 2


def test_without_a_held_out_figure_no_song_is_dull_or_odd():
    odd = score(Composition(notes_to_fields(VARIED), 9.0, 0), VARIED, seed=1, heard=None, held_out_nats=None)
    assert (odd.outside_band, odd.match, odd.copied_notes) == (0.0, None, 0)


def test_among_equals_the_lower_seed_comes_first():
    assert [each.seed for each in best([song(VARIED, seed=5), song(VARIED, seed=2)], 2)] == [2, 5]
