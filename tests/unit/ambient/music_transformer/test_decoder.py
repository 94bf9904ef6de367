import subprocess
import sys

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.music_transformer import decoder as decoder_module
from ambient.music_transformer.decoder import Decoder, load_decoder, tensor_shapes
from ambient.music_transformer.tokens import VOCABULARY_SIZE


@pytest.fixture
def tokens():
    """Two songs, several times as long as the window."""
    return np.random.default_rng(1).integers(0, VOCABULARY_SIZE, (2, 60))


def test_tensors_have_the_names_and_shapes_of_the_keras_model(tiny_config, tiny_weights):
    assert tensor_shapes(tiny_config) == {name: array.shape for name, array in tiny_weights.items()}


def test_logits_equal_keras_at_every_position_also_when_the_window_slides(
    tiny_config, tiny_model, tiny_weights, tokens, monkeypatch
):
    monkeypatch.setattr(decoder_module, "CHUNK", 16)
    wanted = np.asarray(tiny_model(tokens))
    decoder = Decoder(tiny_config, tiny_weights, songs=2)
    first = decoder.logits(tokens[:, :9])
    rest = [decoder.step(tokens[:, t])[:, None] for t in range(9, 60)]
    assert np.concatenate([first, *rest], axis=1) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_reading_in_chunks_equals_keras(tiny_config, tiny_model, tiny_weights, tokens, chunk, monkeypatch):
    monkeypatch.setattr(decoder_module, "CHUNK", chunk)
    decoder = Decoder(tiny_config, tiny_weights)
    wanted = np.asarray(tiny_model(tokens[:1]))[:, -1]
    assert decoder.read(tokens[0]) == pytest.approx(wanted, abs=1e-4)


def test_reading_skips_only_what_cannot_be_felt(tiny_config, tiny_model, tiny_weights):
    long = np.random.default_rng(2).integers(0, VOCABULARY_SIZE, 500)
    read = Decoder(tiny_config, tiny_weights).read(long)
    assert read == pytest.approx(np.asarray(tiny_model(long[None]))[:, -1], abs=1e-4)


def test_memory_does_not_grow_with_length(tiny_config, tiny_weights):
    decoder = Decoder(tiny_config, tiny_weights)
    before = decoder.cache.shape
    for token in range(600):
        decoder.step(np.array([token % VOCABULARY_SIZE]))
    assert decoder.cache.shape == before
    assert decoder.held <= tiny_config.window - 1 + decoder_module.CHUNK


def test_after_a_reset_nothing_is_remembered(tiny_config, tiny_weights, tokens):
    decoder = Decoder(tiny_config, tiny_weights)
    once = decoder.read(tokens[0])
    decoder.reset()
    assert (decoder.read(tokens[0]) == once).all()


def test_reordered_songs_go_on_from_each_others_past(tiny_config, tiny_weights, tokens):
    decoder = Decoder(tiny_config, tiny_weights, songs=2)
    decoder.logits(tokens[:, :20])
    decoder.reorder(np.array([1, 1]))
    both = decoder.step(np.array([5, 5]))
    alone = Decoder(tiny_config, tiny_weights)
    alone.logits(tokens[1:, :20])
    assert both[0] == pytest.approx(alone.step(np.array([5]))[0], abs=1e-5)
    assert both[1] == pytest.approx(both[0], abs=1e-5)


def test_a_missing_tensor_is_named(tiny_config, tiny_weights):
    broken = {name: array for name, array in tiny_weights.items() if not name.endswith("block_1/expand/bias")}
    with pytest.raises(InputError, match="block_1/expand/bias"):
        Decoder(tiny_config, broken)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "onsets-and-frames", "format_version": 1}')
    with pytest.raises(InputError, match="onsets-and-frames"):
        load_decoder(tmp_path)


def test_composing_loads_neither_a_framework_nor_scipy():
    code = (
        "import sys, stages.generate, ambient.midi, ambient.music_transformer.decoder, "
        "ambient.music_transformer.composing\n"
        "print([name for name in ('tensorflow', 'keras', 'jax', 'torch', 'scipy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
