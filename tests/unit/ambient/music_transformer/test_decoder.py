import subprocess
import sys

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.music_transformer import decoder as decoder_module
from ambient.music_transformer.composing import primer_rows
from ambient.music_transformer.decoder import Decoder, load_decoder, tensor_shapes

LENGTH = 60  # several times the window


def song(random_piece, length, seed, begin=0):
    piece = random_piece(3 * length, seed)[begin : begin + length]
    described = np.random.default_rng(seed).integers(0, 11, (len(piece), 5))
    return primer_rows(piece, seed % 3, described)


@pytest.fixture
def rows(random_piece):
    """[2, 61, 14]: two songs, several times as long as the window."""
    return np.stack([song(random_piece, LENGTH, seed) for seed in (1, 2)])


def logits_of(decoder, states, following):
    """Return [..., 515] logits of all fields, from states [..., E] and the rows [..., 14] of the notes that came."""
    flat, chosen = states.reshape(-1, states.shape[-1]), following.reshape(-1, 14)
    fields = []
    for field, size in enumerate((178, 128, 177, 32)):
        fields.append(decoder.choose(field, flat))
        if field < 3:
            flat = decoder.add_choice(field, flat, np.minimum(chosen[:, field], size - 1))
    return np.concatenate(fields, axis=1).reshape(*states.shape[:-1], 515)


def test_tensors_have_the_names_and_shapes_of_the_keras_model(tiny_config, tiny_weights):
    assert tensor_shapes(tiny_config) == {name: array.shape for name, array in tiny_weights.items()}


def test_logits_equal_keras_at_every_position_also_when_the_window_slides(
    tiny_config, tiny_model, tiny_weights, rows, monkeypatch
):
    monkeypatch.setattr(decoder_module, "CHUNK", 16)
    wanted = np.asarray(tiny_model(rows))
    decoder = Decoder(tiny_config, tiny_weights, songs=2)
    states = [decoder.states(rows[:, :9]), *(decoder.step(rows[:, t])[:, None] for t in range(9, LENGTH))]
    found = logits_of(decoder, np.concatenate(states, axis=1), rows[:, 1:])
    assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_reading_in_chunks_equals_keras(tiny_config, tiny_model, tiny_weights, rows, chunk, monkeypatch):
    monkeypatch.setattr(decoder_module, "CHUNK", chunk)
    decoder = Decoder(tiny_config, tiny_weights)
    wanted = np.asarray(tiny_model(rows[:1]))[:, -1]
    assert logits_of(decoder, decoder.read(rows[0, :-1])[-1:], rows[:1, -1]) == pytest.approx(wanted, abs=1e-4)


def test_reading_at_once_equals_hearing_note_by_note(tiny_config, tiny_weights, rows):
    at_once, by_note = Decoder(tiny_config, tiny_weights), Decoder(tiny_config, tiny_weights)
    states = np.concatenate([by_note.step(row[None]) for row in rows[0]])
    felt = at_once.read(rows[0])
    assert len(felt) == 2 * 11 + 1  # two blocks that look eleven notes back
    assert felt[-1] == pytest.approx(states[-1], abs=1e-4)  # those before felt more


def test_reading_skips_only_what_cannot_be_felt(tiny_config, tiny_model, tiny_weights, random_piece):
    long = song(random_piece, 500, 5)
    decoder = Decoder(tiny_config, tiny_weights)
    wanted = np.asarray(tiny_model(long[None]))[:, -1]
    assert logits_of(decoder, decoder.read(long[:-1])[-1:], long[None, -1]) == pytest.approx(wanted, abs=2e-3)


def test_songs_that_grow_together_hear_what_each_would_alone(tiny_config, tiny_weights, rows):
    together = Decoder(tiny_config, tiny_weights, songs=2)
    together.read(rows[0, :5])
    both = [together.step(rows[:, t]) for t in range(5, 30)][-1]
    for index in range(2):
        alone = Decoder(tiny_config, tiny_weights)
        alone.read(rows[0, :5])
        state = [alone.step(rows[index : index + 1, t]) for t in range(5, 30)][-1]
        assert both[index] == pytest.approx(state[0], abs=1e-4)


def test_a_piece_may_begin_at_any_time(tiny_config, tiny_weights, rows):
    later = rows[0] + np.array([0] * 13 + [7_654_321])
    wanted = Decoder(tiny_config, tiny_weights).read(rows[0])
    assert Decoder(tiny_config, tiny_weights).read(later) == pytest.approx(wanted, abs=1e-4)


def test_memory_does_not_grow_with_length(tiny_config, tiny_weights, rows):
    decoder = Decoder(tiny_config, tiny_weights)
    before = decoder.cache.shape
    for index in range(600):
        decoder.step(rows[:1, index % LENGTH])
    assert decoder.cache.shape == before
    assert decoder.held <= 11 + 256


def test_after_a_reset_nothing_is_remembered(tiny_config, tiny_weights, rows):
    decoder = Decoder(tiny_config, tiny_weights)
    once = decoder.read(rows[0])
    decoder.reset()
    assert (decoder.read(rows[0]) == once).all()


def test_reordered_songs_go_on_from_each_others_past(tiny_config, tiny_weights, rows):
    decoder = Decoder(tiny_config, tiny_weights, songs=2)
    decoder.states(rows[:, :20])
    decoder.reorder(np.array([1, 1]))
    both = decoder.step(rows[[1, 1], 20])
    alone = Decoder(tiny_config, tiny_weights)
    alone.states(rows[1:, :20])
    assert both[0] == pytest.approx(alone.step(rows[1:, 20])[0], abs=1e-4)
    assert both[1] == pytest.approx(both[0], abs=1e-5)


def test_fewer_songs_than_before_go_on_from_their_past(tiny_config, tiny_weights, rows):
    decoder = Decoder(tiny_config, tiny_weights, songs=2)
    decoder.states(rows[:, :20])
    decoder.reorder(np.array([1]))
    alone = Decoder(tiny_config, tiny_weights)
    alone.states(rows[1:, :20])
    assert decoder.step(rows[1:, 20]) == pytest.approx(alone.step(rows[1:, 20]), abs=1e-4)


def test_a_missing_tensor_is_named(tiny_config, tiny_weights):
    broken = {name: array for name, array in tiny_weights.items() if not name.endswith("block_1/expand/bias")}
    with pytest.raises(InputError, match="block_1/expand/bias is missing"):
        Decoder(tiny_config, broken)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "onsets-and-frames", "format_version": 1}')
    with pytest.raises(InputError, match="onsets-and-frames"):
        load_decoder(tmp_path)


def test_a_loaded_decoder_says_the_same(tiny_config, tiny_weights, tiny_model_folder, rows):
    loaded = load_decoder(tiny_model_folder)
    assert loaded.config == tiny_config
    assert (loaded.read(rows[0]) == Decoder(tiny_config, tiny_weights).read(rows[0])).all()


def test_composing_loads_neither_a_framework_nor_scipy():
    code = (
        "import sys, stages.generate, ambient.midi, ambient.music_transformer.decoder, "
        "ambient.music_transformer.composing, ambient.music_transformer.parallel, "
        "ambient.music_transformer.ranking, ambient.music_transformer.wishes\n"
        "print([name for name in ('tensorflow', 'keras', 'jax', 'torch', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
