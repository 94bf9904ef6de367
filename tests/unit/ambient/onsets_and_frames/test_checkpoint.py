"""A TF1 checkpoint is read by the original's names and orders, in every form it comes in; a wrong one is refused."""

import zipfile

import keras
import numpy as np
import pytest

from ambient.errors import InputError
from ambient.model_folder import weights_of
from ambient.onsets_and_frames import checkpoint
from ambient.onsets_and_frames.checkpoint import gates_reordered, is_checkpoint, load_checkpoint, original_shapes
from ambient.onsets_and_frames.config import MODELS
from ambient.onsets_and_frames.inference import Transcriber
from ambient.onsets_and_frames.model import OnsetsAndFrames
from scripts.convert_magenta_checkpoint import main as convert

CELL = "onsets/cudnn_lstm/stack_bidirectional_rnn/cell_0/bidirectional_rnn/{}/cudnn_compatible_lstm_cell/{}"


@pytest.fixture(autouse=True)
def small_original(monkeypatch):
    """Take the original for a tiny network; at its own size a checkpoint has 90 MB."""
    monkeypatch.setattr(checkpoint, "CONFIG", MODELS["tiny"])


@pytest.fixture
def variables():
    """Random values for every variable of the original's graph, and leftovers of its training."""
    random = np.random.default_rng(4)
    values = {
        name: random.normal(0.0, 0.3, shape).astype(np.float32) ** (2 if name.endswith("variance") else 1)
        for name, shape in original_shapes(MODELS["tiny"]).items()
    }
    return values | {"global_step": np.array(1234), "onsets/conv0/weights/Adam": np.ones((3, 3, 1, 2), np.float32)}


def save(folder, variables, name="model.ckpt-1234"):
    """Write a checkpoint as TF1's saver did."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(folder / name),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "/elsewhere/{name}"\n')


@pytest.fixture
def official(tmp_path, variables):
    """A folder that holds `train/`, as the official zip unpacks."""
    save(tmp_path / "official" / "train", variables)
    return tmp_path / "official"


def test_the_original_has_78_variables_of_the_sizes_that_magenta_published():
    shapes = original_shapes(MODELS["full"])
    assert len(shapes) == 78
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 22_602_104
    assert shapes["onsets/fc_end/weights"] == (5472, 768)
    assert shapes[CELL.format("fw", "kernel")] == (1024, 1024)
    assert shapes[CELL.replace("onsets", "frame").format("bw", "kernel")] == (520, 1024)


def test_each_weight_of_the_network_gets_its_variable_and_the_optimizers_are_left_alone(official, variables):
    found = load_checkpoint(official)
    expected = weights_of(OnsetsAndFrames(MODELS["tiny"]).full)
    assert {name: array.shape for name, array in found.weights.items()} == {
        name: array.shape for name, array in expected.items()
    }
    for ours, theirs in (
        ("frame_conv1/kernel", "frame/conv1/weights"),
        ("velocity_conv2_norm/moving_variance", "velocity/conv2/BatchNorm/moving_variance"),
        ("offsets_fc_end/bias", "offsets/fc_end/biases"),
        ("activation_probs/kernel", "frame/activation_probs/weights"),
        ("onset_velocities/bias", "velocity/onset_velocities/biases"),
    ):
        np.testing.assert_array_equal(found.weights[ours], variables[theirs])


def test_the_lstm_is_the_originals_step_by_step(official, variables):
    network = OnsetsAndFrames(MODELS["tiny"])
    for name, weight in load_checkpoint(official).weights.items():
        next(variable for variable in network.full.weights if variable.path == name).assign(weight)
    heard = np.random.default_rng(0).normal(0, 1, (1, 9, 16)).astype(np.float32)
    expected = np.concatenate(
        [
            slow_lstm(heard[0], variables[CELL.format("fw", "kernel")], variables[CELL.format("fw", "bias")]),
            slow_lstm(heard[0, ::-1], variables[CELL.format("bw", "kernel")], variables[CELL.format("bw", "bias")])[
                ::-1
            ],
        ],
        axis=1,
    )
    found = keras.ops.convert_to_numpy(network.lstms["onset"](heard))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def slow_lstm(steps, kernel, bias):
    """The original's cell: gate columns i, c, f, o; forget bias 0."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    units = len(bias) // 4
    hidden = cell = np.zeros(units)
    answers = []
    for step in steps:
        gates = np.concatenate([step, hidden]) @ kernel + bias
        i, c, f, o = (gates[n * units : (n + 1) * units] for n in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        answers.append(hidden)
    return np.array(answers)


def test_reordering_gates_twice_changes_nothing():
    np.testing.assert_array_equal(gates_reordered(np.arange(8)), [0, 1, 4, 5, 2, 3, 6, 7])
    np.testing.assert_array_equal(gates_reordered(gates_reordered(np.arange(8))), np.arange(8))


def test_folder_zip_and_prefix_name_the_same_weights(official, tmp_path):
    with zipfile.ZipFile(tmp_path / "maestro_checkpoint.zip", "w") as archive:
        for path in sorted((official / "train").iterdir()):
            archive.write(path, f"train/{path.name}")
    prefix = official / "train" / "model.ckpt-1234"
    forms = [official, official / "train", prefix, f"{prefix}.index", tmp_path / "maestro_checkpoint.zip"]
    assert all(is_checkpoint(form) for form in forms)
    found = [load_checkpoint(form) for form in forms]
    assert {(one.digest, one.name) for one in found} == {(found[0].digest, "model.ckpt-1234")}
    assert len(found[0].digest) == 16


def test_of_several_checkpoints_the_named_one_counts_else_the_last(official, variables):
    save(official / "train", variables | {"onset_probs/biases": np.zeros(88, np.float32)}, name="model.ckpt-99")
    assert load_checkpoint(official).name == "model.ckpt-99"
    (official / "train" / "checkpoint").unlink()
    assert load_checkpoint(official).name == "model.ckpt-1234"


def test_a_transcriber_takes_a_checkpoint_or_a_model_folder_made_from_it(official, sound, write_wav, tmp_path):
    path = write_wav(sound)
    direct = Transcriber.from_model(official)
    assert direct.digest == load_checkpoint(official).digest
    assert (direct.decoding.onset_threshold, direct.decoding.frame_threshold) == (0.5, 0.5)
    expected = direct.transcribe(path)
    assert len(expected.notes) > 10
    assert convert([str(official), str(tmp_path / "ours")]) == 0
    assert Transcriber.from_model(tmp_path / "ours").transcribe(path) == expected
    assert "not under its licence" in (tmp_path / "ours" / "README.md").read_text()
    assert not is_checkpoint(tmp_path / "ours")


def test_a_variable_that_is_missing_or_of_another_shape_is_named(official, variables):
    del variables["frame/fc_end/biases"]
    save(official / "train", variables)
    with pytest.raises(InputError, match=r"variable frame/fc_end/biases is missing \(1 in all\)"):
        load_checkpoint(official)
    save(official / "train", variables | {"frame/fc_end/biases": np.zeros(512, np.float32)})
    with pytest.raises(InputError, match=r"frame/fc_end/biases has the shape \[512\]; expected \[16\]"):
        load_checkpoint(official)


def test_damage_is_one_line(official, tmp_path):
    data = official / "train" / "model.ckpt-1234.data-00000-of-00001"
    content = data.read_bytes()
    for damaged in (content[:1000], bytes(len(content))):
        data.write_bytes(damaged)
        with pytest.raises(InputError, match=r"official: cannot be read \(.*\. Unpack or copy it again") as caught:
            load_checkpoint(official)
        assert "\n" not in str(caught.value)
    data.unlink()
    with pytest.raises(InputError, match=r"data-… is missing"):
        load_checkpoint(official)
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=r"half\.zip: a damaged zip"):
        load_checkpoint(tmp_path / "half.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("holiday.txt", "no checkpoint")
    with pytest.raises(InputError, match=r"other\.zip: holds no checkpoint"):
        load_checkpoint(tmp_path / "other.zip")


def test_the_converter_says_in_one_line_what_is_wrong(tmp_path, capfd):
    assert convert([str(tmp_path / "nowhere"), str(tmp_path / "ours")]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "nowhere: no checkpoint; expected a TF1 checkpoint of Magenta's onsets_frames" in said
    assert not (tmp_path / "ours").exists()
