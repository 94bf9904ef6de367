import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ambient.errors import InputError
from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.model import build_model, load_model, token_loss
from ambient.music_transformer.records import make_record, write_record
from ambient.music_transformer.tokens import PAD, VOCABULARY_SIZE


@pytest.fixture
def tokens():
    return np.random.default_rng(1).integers(0, VOCABULARY_SIZE, (2, 20))


def logits_of(model, tokens):
    return np.asarray(model(tokens, training=False))


def test_changing_a_token_leaves_the_logits_before_it_unchanged(tiny_model, tokens):
    changed = tokens.copy()
    changed[:, 9] = (changed[:, 9] + 1) % VOCABULARY_SIZE
    before, after = logits_of(tiny_model, tokens), logits_of(tiny_model, changed)
    assert (before[:, :9] == after[:, :9]).all()
    assert (np.abs(before[:, 9:] - after[:, 9:]).max(axis=(0, 2)) > 0).all()


def test_padding_does_not_change_real_positions(tiny_model, tokens):
    padded = np.concatenate([tokens, np.full((2, 7), PAD)], axis=1)
    assert logits_of(tiny_model, padded)[:, :20] == pytest.approx(logits_of(tiny_model, tokens), abs=1e-5)


def test_a_token_beyond_every_blocks_window_is_forgotten(tiny_model, tiny_config):
    reach = tiny_config.layers * (tiny_config.window - 1) + 1
    tokens = np.random.default_rng(2).integers(0, PAD, (1, reach + 5))
    changed = tokens.copy()
    changed[:, :5] = 7
    assert logits_of(tiny_model, tokens)[:, -1] == pytest.approx(logits_of(tiny_model, changed)[:, -1], abs=1e-5)
    changed[:, 5] = (changed[:, 5] + 1) % PAD
    assert np.abs(logits_of(tiny_model, tokens) - logits_of(tiny_model, changed))[:, -1].max() > 1e-7


def test_loss_is_the_mean_over_labels_that_are_not_padding():
    logits = np.random.default_rng(0).normal(size=(1, 4, VOCABULARY_SIZE)).astype("float32")
    labels = np.array([[3, 5, PAD, PAD]])
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = -(log_probabilities[0, 0, 3] + log_probabilities[0, 1, 5]) / 2
    assert float(token_loss(labels, keras.ops.convert_to_tensor(logits))) == pytest.approx(wanted, abs=1e-5)


def test_a_fresh_model_is_as_surprised_as_a_uniform_one(tiny_config, tokens):
    model = build_model(tiny_config, seed=1)
    loss = float(token_loss(tokens[:, 1:], model(tokens[:, :-1])))
    assert loss == pytest.approx(np.log(VOCABULARY_SIZE), abs=0.7)


def test_the_same_seed_makes_the_same_weights_and_another_seed_others(tiny_config, tokens):
    once, again, other = (logits_of(build_model(tiny_config, seed=s), tokens) for s in (1, 1, 2))
    assert (once == again).all()
    assert (once != other).any()


def test_one_step_moves_every_weight(tiny_config):
    # Longer than the reach of the distance table, so that its farthest row is used.
    tokens = np.random.default_rng(4).integers(0, PAD, (4, 30))
    model = build_model(tiny_config, seed=1)
    before = [np.array(variable.numpy()) for variable in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=token_loss, jit_compile=False)
    model.train_on_batch(tokens[:, :-1], tokens[:, 1:])
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert (old != variable.numpy()).any(), variable.path


def test_a_loaded_model_gives_the_same_logits(tiny_model, tiny_model_folder, tokens):
    assert (logits_of(load_model(tiny_model_folder), tokens) == logits_of(tiny_model, tokens)).all()


def test_a_model_folder_of_another_vocabulary_or_shape_is_refused(tiny_config, tiny_model_folder, tmp_path):
    for field, value, found in (
        ("vocabulary", "remi-1", "vocabulary 'remi-1'"),
        ("layers", 3, "is missing"),
        ("heads", 3, "heads must divide width"),
        ("layers", "x", "layers must be a whole number from 1 up"),
        ("width", 0, "width must be a whole number from 1 up"),
        ("shape", 3, "unexpected fields \\(shape\\)"),
    ):
        config = {"kind": "music-transformer", "format_version": 1, **tiny_config.to_json(), field: value}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "weights.safetensors").write_bytes((tiny_model_folder / "weights.safetensors").read_bytes())
        with pytest.raises(InputError, match=found):
            load_model(tmp_path)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads must divide width"):
        ModelConfig(width=10, heads=3)


@pytest.mark.oracle  # in an environment that has the backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_weights_give_the_same_logits_on_another_backend(backend, tiny_model, tiny_model_folder, tokens):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = (
        "import json, sys, numpy as np\n"
        "from ambient.music_transformer.model import load_model\n"
        "tokens = np.array(json.loads(sys.argv[2]))\n"
        "print(np.asarray(load_model(sys.argv[1])(tokens, training=False)).tolist())\n"
    )
    command = [sys.executable, "-c", code, str(tiny_model_folder), str(tokens.tolist())]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.array(json.loads(done.stdout)) == pytest.approx(logits_of(tiny_model, tokens), abs=1e-4)


@pytest.mark.oracle  # in an environment that has JAX
def test_two_devices_that_share_each_batch_train_as_one_does(tiny_model_folder, bars, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    (tmp_path / "in").mkdir()
    write_record(tmp_path / "in" / "song.tfrecord", make_record(bars(120), source="song.mid"))
    curves = []
    for devices in (1, 2):
        environment = {"KERAS_BACKEND": "jax", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
        flags = ["--load_path", tiny_model_folder, "--batch_size", 2, "--max_seq", 8, "--epochs", 1]
        paths = ["--input_path", tmp_path / "in", "--save_path", tmp_path / str(devices)]
        command = [sys.executable, "-m", "stages.train", *map(str, [*paths, *flags])]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ("on 2 devices" in done.stderr) == (devices == 2)
        training = json.loads((tmp_path / str(devices) / "training.json").read_text())
        curves.append([(entry["step"], entry["training"], entry["held_out"]) for entry in training["history"]])
    assert np.array(curves[1]) == pytest.approx(np.array(curves[0]), abs=2e-2)
