from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.errors import InputError
from ambient.music_transformer.copies import FILE, TrainingNotes
from ambient.notes import Note


def melody(seed, count=60):
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.choice([0.1, 0.2, 0.4, 0.8], count))
    return [
        Note(float(s), int(p), float(s) + 0.3, 70) for s, p in zip(starts, rng.integers(40, 80, count), strict=True)
    ]


def shifted(notes, *, semitones=0, later_s=0.0, faster=1.0):
    return [
        Note(n.start_s / faster + later_s, n.pitch + semitones, n.end_s / faster + later_s, n.velocity) for n in notes
    ]


@pytest.fixture
def corpus():
    return TrainingNotes.of([("a.mid", melody(1)), ("silent.mid", []), ("b.mid", melody(2))])


def test_a_copied_passage_is_found_in_any_key_and_named(corpus):
    piece = [*melody(3, 20), *shifted(melody(2)[10:35], semitones=5, later_s=30)]
    match = corpus.longest_match(piece)
    assert (match.source, match.transposed) == ("b.mid", 5)
    assert match.notes >= 25
    assert match.at_s == pytest.approx(melody(2)[10].start_s + 30)
    assert match.source_at_s == pytest.approx(melody(2)[10].start_s, abs=0.01)


def test_a_copy_played_a_little_faster_is_still_a_copy(corpus):
    assert corpus.longest_match(shifted(melody(1), faster=1.05)).notes >= 20


def test_new_music_shares_only_a_few_notes(corpus):
    assert corpus.longest_match(melody(9)).notes <= 5


def test_no_passage_leads_from_one_piece_into_the_next(corpus):
    whole = TrainingNotes.of([("one.mid", melody(1)[:30]), ("two.mid", shifted(melody(1)[30:], later_s=-5))])
    assert whole.longest_match(melody(1)).notes == 30


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=20), st.integers(0, 50))
def test_the_longest_match_equals_a_slow_search(figure, seed):
    rng = np.random.default_rng(seed)

    def piece(steps):
        starts = np.cumsum([0.05 * 2**gap for _, gap in steps])
        return [Note(float(s), 60 + pitch, float(s) + 1, 60) for s, (pitch, _) in zip(starts, steps, strict=True)]

    corpus, new = piece([tuple(row) for row in rng.integers(0, 3, (25, 2))]), piece(figure)

    def slow_steps(notes):
        return [(b.pitch - a.pitch, round(np.log2((b.start_s - a.start_s) / 0.05))) for a, b in pairwise(notes)]

    ours, theirs = slow_steps(new), slow_steps(corpus)
    slow = max(
        length
        for length in range(len(ours) + 1)
        for i in range(len(ours) - length + 1)
        for j in range(len(theirs) - length + 1)
        if ours[i : i + length] == theirs[j : j + length]
    )
    assert TrainingNotes.of([("x", corpus)]).longest_match(new).notes == slow + 1


def test_saved_and_loaded_it_finds_the_same(corpus, tmp_path):
    corpus.save(tmp_path)
    loaded = TrainingNotes.load(tmp_path)
    piece = shifted(melody(2)[5:30], semitones=-3)
    assert loaded.longest_match(piece) == corpus.longest_match(piece)
    assert TrainingNotes.load(tmp_path / "elsewhere") is None


def test_joined_indices_hold_both(corpus):
    both = corpus.joined(TrainingNotes.of([("c.mid", melody(5))]))
    assert [both.longest_match(melody(seed)).source for seed in (1, 2, 5)] == ["a.mid", "b.mid", "c.mid"]
    assert both.longest_match(melody(5)).notes == 60


def test_a_damaged_index_is_one_line(tmp_path):
    (tmp_path / FILE).write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"training-notes\.npz"):
        TrainingNotes.load(tmp_path)


def test_a_piece_of_one_note_has_nothing_to_compare(corpus):
    assert corpus.longest_match(melody(1)[:1]) is None
