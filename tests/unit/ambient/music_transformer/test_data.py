import numpy as np
import pytest

from ambient.errors import InputError
from ambient.music_transformer.config import TrainingConfig
from ambient.music_transformer.data import (
    BatchesAhead,
    evaluation_batches,
    is_held_out,
    piece_weights,
    split_records,
    training_batch,
    whole,
)
from ambient.music_transformer.records import make_record
from ambient.music_transformer.tokens import END, PAD, START, stretch_tokens, tokens_to_notes

CONFIG = TrainingConfig(batch_size=3, max_seq=40)


@pytest.fixture
def corpus(bars):
    """Forty songs, each of its own length."""
    return [make_record(bars(30 + i), source=f"{i}.mid") for i in range(40)]


def test_whole_songs_are_held_out_and_stand_on_one_side_only(corpus):
    split = split_records(corpus, source="in")
    assert len(split.training) + len(split.held_out) == 40
    assert 1 <= len(split.held_out) <= 10
    held_out = {piece.tobytes() for piece in split.held_out}
    assert not held_out & {piece.tobytes() for piece in split.training}
    assert split.held_out_seconds == pytest.approx(sum(r.seconds for r in corpus if is_held_out(r.digest)))


def test_adding_or_removing_a_song_never_moves_another(corpus):
    before = {piece.tobytes() for piece in split_records(corpus[:30], source="in").held_out}
    after = {piece.tobytes() for piece in split_records(corpus[::-1], source="in").held_out}
    assert before <= after
    assert {whole(r.tokens).tobytes() for r in corpus[:30]} & after == before


def test_one_song_holds_out_its_own_end_and_says_so(bars):
    tokens = bars(100)
    split = split_records([make_record(tokens, source="one.mid")], source="in")
    assert "last tenth" in split.explanation
    (head,), (tail,) = split.training, split.held_out
    assert np.concatenate([head[1:], tail[:-1]]).tolist() == tokens.tolist()
    assert (head[0], tail[-1]) == (START, END)
    assert tail.size == pytest.approx(tokens.size / 10, abs=2)


def test_too_little_music_says_how_much_is_needed_and_how_much_there_is(bars):
    with pytest.raises(InputError, match=r"in: 0\.0 minutes of music in 1 songs .* needs at least 0\.1 minutes"):
        split_records([make_record(bars(10), source="short.mid")], source="in")


def test_labels_are_the_inputs_one_step_on(bars):
    inputs, labels = training_batch([whole(bars(200))], np.ones(1), CONFIG, 0)
    assert inputs.shape == labels.shape == (3, 40)
    assert (inputs[:, 1:] == labels[:, :-1]).all()


def test_a_batch_depends_on_the_seed_and_the_step_alone(bars):
    pieces = [whole(bars(200))]

    def batch(seed, step):
        return training_batch(pieces, np.ones(1), TrainingConfig(batch_size=3, max_seq=40, seed=seed), step)[0].tolist()

    assert batch(1, 5) == batch(1, 5)
    assert batch(1, 5) != batch(1, 6)
    assert batch(1, 5) != batch(2, 5)


def test_batches_drawn_ahead_by_other_processes_are_those_drawn_on_demand(bars):
    config = TrainingConfig(batch_size=2, max_seq=16)
    pieces, weights = [whole(bars(40)), whole(bars(90))], np.array([0.3, 0.7])
    with BatchesAhead(pieces, weights, config, processes=1) as ahead:
        for step in range(4, 8):
            for found, wanted in zip(ahead(step), training_batch(pieces, weights, config, step), strict=True):
                assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("surplus", [-1, 0, 1, 2])
def test_a_piece_as_long_as_a_crop_is_learned_from(bars, surplus):
    config = TrainingConfig(batch_size=8, max_seq=40, transpose=0, stretch=0.0)
    piece = whole(bars(100)[: config.max_seq + 1 + surplus - 2])
    _, labels = training_batch([piece], np.ones(1), config, 0)
    seen = {token for row in labels.tolist() for token in row}
    assert {int(token) for token in piece[1:]} <= seen


def test_a_piece_shorter_than_a_crop_is_padded_at_its_end(bars):
    config = TrainingConfig(batch_size=8, max_seq=400, transpose=0, stretch=0.0)
    piece = whole(bars(10))
    inputs, _ = training_batch([piece], np.ones(1), config, 0)
    for row in inputs.tolist():
        real = [token for token in row if token != PAD]
        assert row == real + [PAD] * (400 - len(real))
        assert real == piece.tolist()[-len(real) :]


def test_crops_are_transposed_and_stretched_within_bounds(bars):
    config = TrainingConfig(batch_size=64, max_seq=40, transpose=2, stretch=0.05)
    piece = whole(bars(300))
    inputs, _ = training_batch([piece], np.ones(1), config, 0)
    lowest = {min(note.pitch for note in tokens_to_notes(row).notes) for row in inputs}
    assert lowest == {58, 59, 60, 61, 62}
    lengths = {round(n.end_s - n.start_s, 2) for row in inputs for n in tokens_to_notes(row).notes[:-2]}
    assert 0.23 <= min(lengths) < max(lengths) <= 0.27


def test_a_transposition_that_leaves_the_range_is_discarded(bars):
    config = TrainingConfig(batch_size=64, max_seq=40, transpose=3, stretch=0.0)
    inputs, _ = training_batch([whole(bars(300, lowest=115))], np.ones(1), config, 0)
    assert {max(note.pitch for note in tokens_to_notes(row).notes) for row in inputs} <= {124, 125, 126, 127}


def test_calm_and_performed_pieces_are_drawn_more_often_when_asked(bars):
    calm, busy = whole(bars(40)), whole(stretch_tokens(bars(400), 0.3))
    plain = piece_weights([calm, busy], TrainingConfig())
    assert plain == pytest.approx([calm.size, busy.size] / np.float64(calm.size + busy.size))
    favoured = piece_weights([calm, busy], TrainingConfig(calm_weight=3))
    assert favoured[0] / favoured[1] == pytest.approx(3 * plain[0] / plain[1])


@pytest.mark.parametrize("length", [39, 40, 41, 42, 80, 81, 82, 200])
def test_evaluation_sees_every_label_once(length):
    piece = np.arange(length, dtype=np.int16)
    batches = evaluation_batches([piece], CONFIG)
    labels = np.concatenate([batch[:, 1:].ravel() for batch in batches])
    assert sorted(labels[labels != PAD].tolist()) == list(range(1, length))
    assert all(batch.shape == (3, 41) for batch in batches)


def test_a_quick_evaluation_spreads_its_crops(bars):
    batches = evaluation_batches([whole(bars(400))], CONFIG, most_crops=3)
    assert [batch.shape for batch in batches] == [(3, 41)]
    assert batches[0][0, 0] == START
    assert END in batches[0][-1]
