from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.errors import InputError
from ambient.music_transformer.fields import notes_to_fields
from ambient.music_transformer.memorisation import FILE, TrainingNotes
from ambient.notes import Note


def index_of(*named, heard=False):
    """Index notes by name."""
    return TrainingNotes.of([(name, notes_to_fields(notes), heard) for name, notes in named])


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
    return index_of(("a.mid", melody(1)), ("silent.mid", []), ("b.mid", melody(2)))


def test_a_copied_passage_is_found_in_any_key_and_named(corpus):
    piece = [*melody(3, 20), *shifted(melody(2)[10:35], semitones=5, later_s=30)]
    match = corpus.longest_match(piece)
    assert (match.source, match.transposed) == ("b.mid", 5)
    assert match.notes >= 25
    assert match.at_s == pytest.approx(melody(2)[10].start_s + 30)
    # There it is told from the first note on.
    assert match.source_at_s == pytest.approx(melody(2)[10].start_s - melody(2)[0].start_s, abs=0.01)


def test_a_copy_played_a_little_faster_is_still_a_copy(corpus):
    assert corpus.longest_match(shifted(melody(1), faster=1.05)).notes >= 20


def test_new_music_shares_only_a_few_notes(corpus):
    assert corpus.longest_match(melody(9)).notes <= 5


def test_no_passage_leads_from_one_piece_into_the_next(corpus):
    whole = index_of(("one.mid", melody(1)[:30]), ("two.mid", shifted(melody(1)[30:], later_s=-5)))
    assert whole.longest_match(melody(1)).notes == 30


def test_two_notes_that_sound_together_are_no_passage_across_two_pieces():
    # Each piece begins at 0 s, so the step between two pieces looks like that within a chord.
    notes = [Note(0.5 * i, pitch, 0.5 * i + 0.4, 64) for i, pitch in enumerate([60, 67, 62, 69, 64])]
    notes += [Note(2.0 + 0.5 * i, pitch, 2.4 + 0.5 * i, 64) for i, pitch in enumerate([71, 65, 72, 66])]
    assert index_of(("whole.mid", notes)).longest_match(notes).notes == 9
    assert index_of(("one.mid", notes[:5]), ("two.mid", notes[5:])).longest_match(notes).notes == 5


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
    assert index_of(("x", corpus)).longest_match(new).notes == slow + 1


def test_saved_and_loaded_it_finds_the_same(corpus, tmp_path):
    corpus.save(tmp_path)
    loaded = TrainingNotes.load(tmp_path)
    piece = shifted(melody(2)[5:30], semitones=-3)
    assert loaded.longest_match(piece) == corpus.longest_match(piece)
    assert TrainingNotes.load(tmp_path / "elsewhere") is None


def test_joined_indices_hold_both(corpus):
    both = corpus.joined(index_of(("c.mid", melody(5)), heard=True))
    assert [both.longest_match(melody(seed)).source for seed in (1, 2, 5)] == ["a.mid", "b.mid", "c.mid"]
    assert both.longest_match(melody(5)).notes == 60


def test_a_damaged_index_is_one_line(tmp_path):
    (tmp_path / FILE).write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match=r"training-notes\.npz"):
        TrainingNotes.load(tmp_path)


def test_a_piece_of_one_note_has_nothing_to_compare(corpus):
    assert corpus.longest_match(melody(1)[:1]) is None


def columns(fields):
    return [each.tolist() for each in (fields.starts, fields.pitches, fields.lengths, fields.velocities)]


def test_pieces_to_rehearse_come_back_as_they_were_from_their_beginning(corpus, tmp_path):
    both = corpus.joined(index_of(("c.mid", melody(5)), heard=True))
    both.save(tmp_path)
    found = TrainingNotes.load(tmp_path)
    assert found.names == ["a.mid", "b.mid", "c.mid"]
    pieces = found.pieces()
    assert [heard for _, heard in pieces] == [False, False, True]
    for (fields, _), seed in zip(pieces, (1, 2, 5), strict=True):
        starts, *others = columns(notes_to_fields(melody(seed)))
        assert columns(fields) == [[start - starts[0] for start in starts], *others]


def test_a_note_longer_than_five_minutes_is_stored_as_five_minutes(tmp_path):
    index_of(("held.mid", [Note(0, 60, 4000, 64), Note(1, 62, 2, 64)])).save(tmp_path)
    ((fields, _),) = TrainingNotes.load(tmp_path).pieces()
    assert fields.lengths.tolist() == [30_000, 100]


def test_an_index_of_nothing_matches_nothing_and_may_be_joined(corpus, tmp_path):
    nothing = index_of(("silent.mid", []))
    assert nothing.pieces() == []
    assert nothing.longest_match(melody(1)) is None
    nothing.save(tmp_path)
    assert TrainingNotes.load(tmp_path).joined(corpus).longest_match(melody(2)).source == "b.mid"


def test_an_index_of_version_0_1_is_one_line(tmp_path):
    np.savez_compressed(tmp_path / FILE, names=np.array(["a"]), begins=np.array([0, 2]), pitches=np.array([60, 62]))
    with pytest.raises(InputError, match=r"training-notes\.npz: damaged .*Copy the model again"):
        TrainingNotes.load(tmp_path)
