from dataclasses import replace

import numpy as np
import pytest

from ambient.music_transformer import data
from ambient.music_transformer.data import drop_duplicates_of, split_records
from ambient.music_transformer.duplicates import describe, near_duplicates
from ambient.music_transformer.records import make_record
from ambient.music_transformer.tokens import notes_to_tokens
from ambient.notes import Note


def song(seed, notes=200, *, transposed=0, faster=1.0, wrong=0):
    """A random melody; some of its notes may be wrong."""
    rng = np.random.default_rng(seed)
    pitches, gaps = rng.integers(40, 80, 300)[:notes], rng.choice([0.18, 0.36, 0.72], 300)[:notes] / faster
    for place in np.random.default_rng(1).choice(notes, wrong, replace=False):
        pitches[place] += 1
    starts = np.cumsum(gaps)
    played = [Note(float(s), int(p) + transposed, float(s) + 0.1, 65) for s, p in zip(starts, pitches, strict=True)]
    return make_record(notes_to_tokens(played), source=f"{seed}-{notes}-{transposed}-{faster}-{wrong}.mid")


def pairs(records):
    return [(duplicate.index, duplicate.of) for duplicate in near_duplicates(records)]


def test_different_songs_are_no_duplicates():
    assert pairs([song(seed) for seed in range(6)]) == []
    assert pairs([]) == []


@pytest.mark.parametrize(
    "change", [{"transposed": 5}, {"faster": 1.1}, {"wrong": 8}, {"transposed": -3, "wrong": 4, "faster": 0.95}]
)
def test_another_key_tempo_or_edition_of_a_song_is_one(change):
    assert len(pairs([song(0), song(1), song(1, **change)])) == 1


def test_an_excerpt_is_a_duplicate_of_the_longer_one_wherever_it_stands():
    excerpt, longer = song(3, notes=90), song(3, notes=300)
    assert pairs([excerpt, song(0), longer]) == [(0, 2)]
    assert pairs([longer, song(0), excerpt]) == [(2, 0)]


def test_the_same_bytes_twice_are_named_even_if_they_are_short(bars, record_of):
    records = [record_of(bars(12), name) for name in ("a.mid", "b.mid")]
    (duplicate,) = near_duplicates(records)
    line = describe(duplicate, records)
    assert line == "b.mid and a.mid are nearly the same music (100% of the shorter one)"


def test_songs_of_one_repeated_pattern_are_no_duplicates(bars, record_of):
    assert pairs([record_of(bars(60, lowest), str(lowest)) for lowest in (48, 60)]) == []


def names(pieces):
    """Return what tells the music of one piece from that of another."""
    return {piece.fields.pitches.tobytes() for piece in pieces}


@pytest.fixture
def held_out(monkeypatch):
    """Say which songs their hash holds out."""

    def choose(*records):
        digests = {record.digest for record in records}
        monkeypatch.setattr(data, "is_held_out", lambda digest: digest in digests)

    return choose


def test_no_duplicate_of_a_trained_song_is_held_out(held_out):
    alone, copied, copy, other = song(0), song(1), song(1, wrong=6), song(2)
    held_out(alone, copied)
    split = split_records([copied, alone, copy, other], source="x")
    assert split.held_out[0].fields.pitches.tolist() == alone.fields.pitches.tolist()
    assert len(split.training) == 2
    assert [len(piece.fields) for piece in split.held_out] == [len(alone.fields)]
    assert len(split.duplicates) == 1


def test_duplicates_on_the_held_out_side_count_once(held_out):
    first, shorter, other = song(0), song(0, notes=150), song(2)
    held_out(first, shorter)
    split = split_records([shorter, first, other], source="x")
    assert [len(piece.fields) for piece in split.held_out] == [len(first.fields)]


def test_adding_a_duplicate_moves_no_song_to_the_other_side(held_out):
    songs = [song(seed) for seed in range(6)]
    held_out(*songs[:2])
    before = split_records(songs, source="x")
    after = split_records([*songs, song(0, wrong=3), song(4, wrong=3)], source="x")
    assert names(before.training) <= names(after.training)
    assert names(after.held_out) < names(before.held_out)


def test_of_duplicates_only_the_longest_gives_a_passage_where_no_song_can_be_held_out(held_out):
    held_out()
    split = split_records([song(0), song(0, notes=150)], source="x")
    (passage,) = split.held_out
    assert (passage.context, len(passage.fields)) == (90, 110)  # a tenth of 200 notes
    assert [len(piece.fields) for piece in split.training] == [90, 90]  # what lies around it


def test_songs_to_measure_by_are_not_trained_on():
    measured, records = [song(0)], [song(1), replace(song(0, wrong=5), source="again.mid"), song(0, notes=300)]
    kept, lines = drop_duplicates_of(measured, records)
    assert [record.source for record in kept] == [records[0].source]
    assert len(lines) == 2
    assert lines[0] == "again.mid is nearly the same music as a held-out song: left out"
