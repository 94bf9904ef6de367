"""The graph is Magenta's: counts, shapes, wiring, and what the gradient reaches."""

from contextlib import nullcontext
from dataclasses import replace

import keras
import numpy as np
import pytest

from ambient.model_folder import assign_weights, load_config, load_weights, save_model_folder, weights_of
from ambient.onsets_and_frames.config import KIND, MODELS, ModelConfig
from ambient.onsets_and_frames.model import OUTPUTS, OnsetsAndFrames


@pytest.fixture
def spectrogram():
    return np.random.default_rng(0).normal(-10, 15, (2, 12, 229, 1)).astype(np.float32)


@pytest.fixture
def fresh():
    keras.utils.set_random_seed(1)
    return OnsetsAndFrames(MODELS["tiny"])


def run(model, *inputs):
    return keras.tree.map_structure(np.asarray, model.predict_on_batch(list(inputs) if len(inputs) > 1 else inputs[0]))


def test_full_size_has_magentas_number_of_weights():
    network = OnsetsAndFrames(MODELS["full"])
    trainable = sum(int(np.prod(weight.shape)) for weight in network.full.trainable_weights)
    assert trainable == 22_600_568
    assert network.full.count_params() == 22_602_104
    onset = keras.Model(network.full.input, network.full.output["onset"])
    assert sum(int(np.prod(weight.shape)) for weight in onset.trainable_weights) == 6_410_440


def test_weights_have_stable_names_that_map_to_the_originals_scopes(network):
    names = set(weights_of(network.full))
    assert len(names) == 78 + 6  # of each LSTM direction Keras keeps the recurrent rows of the kernel apart
    for scope in ("onsets", "offsets", "velocity", "frame"):
        for index in range(3):
            assert f"{scope}_conv{index}/kernel" in names
            assert f"{scope}_conv{index}_norm/beta" in names
            assert f"{scope}_conv{index}_norm/gamma" not in names
        assert f"{scope}_fc_end/bias" in names
    assert "frame_lstm/backward_lstm/lstm_cell/recurrent_kernel" in names
    assert {f"{name}/kernel" for name in ("onset_probs", "activation_probs", "onset_velocities")} <= names


def test_four_outputs_of_one_column_a_key(network, spectrogram):
    answers = run(network.full, spectrogram)
    assert set(answers) == set(OUTPUTS)
    assert {answer.shape for answer in answers.values()} == {(2, 12, 88)}
    for name in ("onset", "offset", "frame"):
        assert answers[name].min() >= 0
        assert answers[name].max() <= 1


def test_where_the_heads_share_a_stack_there_is_one_and_each_loss_reaches_it(spectrogram):
    network = OnsetsAndFrames(replace(MODELS["tiny"], shared=True))
    kernels = [name for name in weights_of(network.full) if "_conv" in name and name.endswith("kernel")]
    assert kernels == ["shared_conv0/kernel", "shared_conv1/kernel", "shared_conv2/kernel"]
    for name in OUTPUTS:
        head = keras.Model(network.full.input, network.full.output[name])
        head.compile(keras.optimizers.SGD(0.5), "mean_squared_error", jit_compile=False)
        before = weights_of(network.full)["shared_conv0/kernel"].copy()
        with pytest.warns(UserWarning, match="Gradients do not exist") if name == "frame" else nullcontext():
            head.train_on_batch(spectrogram, np.random.default_rng(1).random((2, 12, 88)).astype(np.float32))
        assert not np.array_equal(weights_of(network.full)["shared_conv0/kernel"], before)


def test_flatten_is_frequency_major(network):
    flatten = network.stacks["onsets"].flatten
    pooled = np.arange(57 * 4, dtype=np.float32).reshape(1, 1, 57, 4)  # [B, F, M / 4, C]
    np.testing.assert_array_equal(np.asarray(flatten(pooled))[0, 0], np.arange(57 * 4))


def test_evidence_of_the_frame_head_is_onset_then_activation_then_offset(fresh, spectrogram):
    def frames_with_onset_bias(value):
        bias = fresh.probabilities["onset"].bias
        bias.assign(np.full(bias.shape, value, np.float32))
        return run(fresh.full, spectrogram)["frame"]

    assert not np.allclose(frames_with_onset_bias(-3.0), frames_with_onset_bias(3.0))
    for layer in (fresh.lstms["frame"].forward_layer, fresh.lstms["frame"].backward_layer):
        kernel = layer.cell.kernel.numpy().copy()
        kernel[:88] = 0  # rows of the onsets
        layer.cell.kernel.assign(kernel)
    np.testing.assert_array_equal(frames_with_onset_bias(-3.0), frames_with_onset_bias(3.0))


@pytest.mark.parametrize(
    ("output", "reached"),
    [
        ("onset", {"onsets", "onset"}),
        ("offset", {"offsets", "offset"}),
        ("velocity", {"velocity", "onset_velocities"}),
        ("frame", {"frame", "activation"}),
    ],
)
def test_each_loss_reaches_every_weight_of_its_own_head_and_no_other(fresh, spectrogram, output, reached):
    head = keras.Model(fresh.full.input, fresh.full.output[output])
    head.compile(keras.optimizers.SGD(0.5), "mean_squared_error", jit_compile=False)
    before = {name: weight.copy() for name, weight in weights_of(fresh.full).items()}
    with pytest.warns(UserWarning, match="Gradients do not exist") if output == "frame" else nullcontext():
        head.train_on_batch(spectrogram, np.random.default_rng(1).random((2, 12, 88)).astype(np.float32))
    moved = {
        name
        for name, weight in weights_of(fresh.full).items()
        if "moving" not in name and not np.array_equal(weight, before[name])
    }
    own = {name for name in before if "moving" not in name and belongs(name, output)}
    assert moved == own
    assert {name.split("/")[0].split("_")[0] for name in own} <= {name.split("_")[0] for name in reached}


def belongs(name, output):
    """Whether a weight is part of the head with this output."""
    prefixes = {
        "onset": ("onsets_", "onset_probs"),
        "offset": ("offsets_", "offset_probs"),
        "velocity": ("velocity_", "onset_velocities"),
        "frame": ("frame_", "activation_probs"),
    }
    return name.startswith(prefixes[output])


def test_convolutions_see_three_frames_to_each_side(network, spectrogram):
    changed = spectrogram.copy()
    changed[:, 6] += 5
    before, after = run(network.acoustic, spectrogram), run(network.acoustic, changed)
    for name in before:
        differs = np.any(before[name] != after[name], axis=(0, 2))
        assert not differs[:3].any()
        assert not differs[10:].any()


def test_lstms_start_with_forget_bias_zero(fresh):
    assert float(np.abs(np.asarray(fresh.lstms["onset"].forward_layer.cell.bias)).max()) == 0


def test_saved_and_loaded_it_answers_the_same(network, spectrogram, tmp_path):
    save_model_folder(
        tmp_path,
        kind=KIND,
        config={"model": network.config.to_json()},
        weights=weights_of(network.full),
        training={},
        card="# test\n",
    )
    config = ModelConfig.from_json(load_config(tmp_path, kind=KIND)["model"], source=tmp_path)
    assert config == network.config
    other = OnsetsAndFrames(config)
    assign_weights(other.full, load_weights(tmp_path), source=tmp_path)
    expected, found = run(network.full, spectrogram), run(other.full, spectrogram)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
