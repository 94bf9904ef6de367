from ambient.music_transformer.choosing import LIKELIHOOD_BAND, best, judge
from ambient.music_transformer.composing import Composition
from ambient.music_transformer.copies import TrainingNotes
from ambient.notes import Note


def line(pitches):
    return [Note(i * 0.5, pitch, i * 0.5 + 0.4, 64) for i, pitch in enumerate(pitches)]


VARIED = line([60, 64, 67, 65, 62, 71, 69, 60, 66, 63, 72, 58, 61, 70, 59, 68])
LOOPING = line([60, 64, 67, 64] * 5)


def song(notes, *, seed=1, nats=2.0, heard=None):
    return judge(Composition([], nats), notes, seed=seed, heard=heard, held_out_nats=2.0)


def test_songs_within_the_band_are_preferred_to_dull_and_odd_ones():
    low, high = LIKELIHOOD_BAND
    fine, dull, odd = song(VARIED, seed=3), song(VARIED, seed=1, nats=1.0), song(VARIED, seed=2, nats=3.0)
    assert fine.outside_band == 0.0
    assert dull.outside_band == 2.0 * low - 1.0
    assert odd.outside_band == 3.0 - 2.0 * high
    assert [each.seed for each in best([dull, odd, fine], 2)] == [3, 1]


def test_variety_is_preferred_to_repetition():
    assert best([song(LOOPING, seed=1), song(VARIED, seed=2)], 1)[0].seed == 2


def test_a_song_that_was_heard_before_comes_last_and_says_where():
    heard = TrainingNotes.of([("heard.mid", VARIED)])
    copied, new = song(VARIED, seed=1, heard=heard), song(line([50, 57, 49, 61, 40, 66, 51]), seed=2, heard=heard)
    assert (copied.copied_notes, copied.match.source) == (16, "heard.mid")
    assert best([copied, new], 2) == [new, copied]


def test_a_song_without_notes_is_the_last_resort():
    assert best([song([], seed=1), song(VARIED, seed=2)], 1)[0].seed == 2
