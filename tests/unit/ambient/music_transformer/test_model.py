import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ambient.errors import InputError
from ambient.model_folder import weights_of
from ambient.music_transformer.composing import primer_rows
from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.model import build_model, field_nats, load_model, note_loss
from ambient.music_transformer.records import write_record
from ambient.music_transformer.rows import labels_of

LENGTH = 20
START_COLUMN = 13


@pytest.fixture
def rows(random_piece):
    """[2, 21, 14]: the beginnings of two pieces, everything said."""
    return rows_of(random_piece, LENGTH)


def rows_of(random_piece, length, songs=2):
    pieces = [random_piece(2 * length + 20, seed)[:length] for seed in range(songs)]
    described = np.random.default_rng(0).integers(0, 11, (length, 5))
    return np.stack([primer_rows(piece, seed + 1, described) for seed, piece in enumerate(pieces)])


def logits_of(model, rows):
    return np.asarray(model(rows, training=False))


def test_changing_a_note_leaves_what_was_predicted_before_it_unchanged(tiny_model, rows):
    changed = rows.copy()
    changed[:, 9] += np.array([2, 1, -1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1]) * (rows[:, 9] > 1)
    before, after = logits_of(tiny_model, rows), logits_of(tiny_model, changed)
    assert before.shape == (2, LENGTH, 515)
    assert (before[:, :8] == after[:, :8]).all()  # logits at 8 predict the note of row 9
    assert (before[:, 8, :178] == after[:, 8, :178]).all()  # and its gap knows nothing of it
    assert (np.abs(before[:, 9:] - after[:, 9:]).max(axis=(0, 2)) > 0).all()


def test_a_field_of_the_next_note_is_known_to_the_fields_after_it_alone(tiny_model, rows):
    changed = np.repeat(rows[:1], 4, axis=0)  # each song has another field of its last note changed
    for column in range(4):
        changed[column, -1, column] = (changed[column, -1, column] + 1) % 32
    apart = np.abs(logits_of(tiny_model, changed) - logits_of(tiny_model, rows[:1]))
    for column, first_felt in enumerate((178, 306, 483, 515)):
        assert apart[column, :-1].max() < 1e-5
        assert apart[column, -1, :first_felt].max() < 1e-5
        assert first_felt == 515 or apart[column, -1, first_felt:].max() > 1e-3


def test_every_column_of_a_row_is_felt(tiny_model, rows):
    changed = np.repeat(rows[:1], 14, axis=0)  # each song has another column changed
    for column in range(14):
        changed[column, 5, column] = (changed[column, 5, column] + 1) % (3 if column == 7 else 11)
    apart = np.abs(logits_of(tiny_model, changed) - logits_of(tiny_model, rows[:1]))
    assert apart[:, :4].max() < 1e-5
    assert (apart[:, 5:].max(axis=(1, 2)) > 1e-4).all()


def test_a_piece_may_begin_at_any_time(tiny_model, rows):
    later = rows.copy()
    later[..., START_COLUMN] += 4321
    assert logits_of(tiny_model, later) == pytest.approx(logits_of(tiny_model, rows), abs=1e-3)


def test_padding_does_not_change_real_positions(tiny_model, rows):
    padded = np.concatenate([rows, np.zeros((2, 7, 14), np.int32)], axis=1)
    assert logits_of(tiny_model, padded)[:, :LENGTH] == pytest.approx(logits_of(tiny_model, rows), abs=1e-5)


def test_a_note_beyond_every_blocks_window_is_forgotten(tiny_model, tiny_config, random_piece):
    reach = tiny_config.layers * (tiny_config.window - 1) + 1
    rows = rows_of(random_piece, reach + 5, songs=1)
    changed = rows.copy()
    changed[:, :5, 1] = 7
    last = -1  # the note of the last row is predicted from the one before it
    assert logits_of(tiny_model, rows)[:, last] == pytest.approx(logits_of(tiny_model, changed)[:, last], abs=1e-5)
    changed[:, 5, 1] = 7
    assert np.abs(logits_of(tiny_model, rows) - logits_of(tiny_model, changed))[:, last].max() > 1e-7


def test_loss_is_the_sum_over_fields_and_the_mean_over_notes_that_count():
    logits = np.random.default_rng(0).normal(size=(1, 4, 515)).astype("float32")
    labels = np.array([[[3, 5, 7, 9], [177, -1, -1, -1], [-1] * 4, [-1] * 4]])

    def nats(position, first, size, label):
        row = logits[0, position, first : first + size]
        return float(np.log(np.exp(row).sum()) - row[label])

    first_note = nats(0, 0, 178, 3) + nats(0, 178, 128, 5) + nats(0, 306, 177, 7) + nats(0, 483, 32, 9)
    wanted = (first_note + nats(1, 0, 178, 177)) / 2  # a note and an end
    assert float(note_loss(labels, keras.ops.convert_to_tensor(logits))) == pytest.approx(wanted, abs=1e-5)
    fields, counts = field_nats(labels, keras.ops.convert_to_tensor(logits))
    assert np.asarray(fields[3])[0].tolist() == pytest.approx([nats(0, 483, 32, 9), 0, 0, 0], abs=1e-5)
    assert [float(np.asarray(count).sum()) for count in counts] == [2, 1, 1, 1]


def test_a_batch_of_nothing_but_padding_costs_nothing():
    assert float(note_loss(np.full((1, 3, 4), -1), np.zeros((1, 3, 515), "float32"))) == 0.0


def test_a_fresh_model_is_as_surprised_as_a_uniform_one(tiny_config, rows):
    model = build_model(tiny_config, seed=1)
    loss = float(note_loss(labels_of(rows[:, 1:]), model(rows)))
    assert loss == pytest.approx(np.log(178) + np.log(128) + np.log(177) + np.log(32), abs=1.2)


def test_the_same_seed_makes_the_same_weights_and_another_seed_others(tiny_config):
    once, again, other = (weights_of(build_model(tiny_config, seed=s)) for s in (1, 1, 2))
    for name, array in once.items():
        assert (array == again[name]).all()
        assert (array != other[name]).any() or not array.any() or (array == 1).all()


def test_a_gradient_reaches_every_weight(tiny_config, rows):
    model = build_model(tiny_config, seed=1)
    before = [np.array(variable.numpy()) for variable in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=note_loss, jit_compile=False)
    model.train_on_batch(rows, labels_of(rows[:, 1:]))
    assert len(before) == 2 + 2 * 10 + 4 * 6
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert (old != variable.numpy()).any(), variable.path


def test_a_loaded_model_gives_the_same_logits(tiny_model, tiny_model_folder, rows):
    assert (logits_of(load_model(tiny_model_folder), rows) == logits_of(tiny_model, rows)).all()


def test_a_loaded_model_knows_its_percentiles(tiny_config, tiny_model_folder):
    assert load_model(tiny_model_folder).config == tiny_config


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("vocabulary", "performance-388+3", "vocabulary 'performance-388\\+3'; expected 'notes-2'"),
        ("layers", 3, "is missing"),
        ("heads", 3, "heads must divide width"),
        ("layers", "x", "layers must be a whole number from 1 up"),
        ("width", 0, "width must be a whole number from 1 up"),
        ("shape", 3, "unexpected fields \\(shape\\)"),
        ("percentiles", 3, "impossible configuration"),
    ],
)
def test_a_model_folder_of_another_vocabulary_or_shape_is_refused(
    tiny_config, tiny_model_folder, tmp_path, field, value, found
):
    config = {"kind": "music-transformer", "format_version": 1, **tiny_config.to_json(), field: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "weights.safetensors").write_bytes((tiny_model_folder / "weights.safetensors").read_bytes())
    with pytest.raises(InputError, match=found):
        load_model(tmp_path)


def test_a_folder_that_still_has_the_alignment_of_times_loads(tiny_config):
    older = {**tiny_config.to_json(), "alignment": [0.93, 0.9]}
    assert ModelConfig.from_json(older, source="config.json") == tiny_config


def test_a_model_folder_of_version_0_1_is_refused_in_one_line(tmp_path):
    config = {"layers": 4, "width": 256, "heads": 4, "feed_forward": 1024, "window": 1024, "dropout": 0.0}
    old = {"kind": "music-transformer", "format_version": 1, **config, "max_distance": 256}
    (tmp_path / "config.json").write_text(json.dumps(old | {"vocabulary": "performance-388+3"}))
    with pytest.raises(InputError, match=r"unexpected fields \(max_distance\).*Use the release that wrote this model"):
        load_model(tmp_path)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads must divide width"):
        ModelConfig(width=10, heads=3)


@pytest.mark.oracle  # in an environment that has the backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_weights_give_the_same_logits_on_another_backend(backend, tiny_model, tiny_model_folder, rows):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = (
        "import json, sys, keras, numpy as np\n"
        "from ambient.music_transformer.model import load_model\n"
        "rows = np.array(json.loads(sys.argv[2]), dtype=np.int32)\n"
        "print(keras.ops.convert_to_numpy(load_model(sys.argv[1])(rows, training=False)).tolist())\n"
    )
    command = [sys.executable, "-c", code, str(tiny_model_folder), str(rows.tolist())]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.array(json.loads(done.stdout)) == pytest.approx(logits_of(tiny_model, rows), abs=1e-4)


@pytest.mark.oracle  # in an environment that has JAX
def test_two_devices_that_share_each_batch_train_as_one_does(tiny_model_folder, bars, record_of, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    (tmp_path / "in").mkdir()
    write_record(tmp_path / "in" / "song.tfrecord", record_of(bars(120)))
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
    assert np.array(curves[1]) == pytest.approx(np.array(curves[0]), rel=1e-2)


@pytest.mark.oracle  # in an environment that has the backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_composer_is_trained_on_another_backend(backend, tiny_model_folder, bars, record_of, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    (tmp_path / "in").mkdir()
    write_record(tmp_path / "in" / "song.tfrecord", record_of(bars(120)))
    flags = ["--load_path", tiny_model_folder, "--batch_size", 2, "--max_seq", 8, "--epochs", 3, "--optimizer", "muon"]
    paths = ["--input_path", tmp_path / "in", "--save_path", tmp_path / "out"]
    command = [sys.executable, "-m", "stages.train", *map(str, [*paths, *flags])]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held_out = json.loads((tmp_path / "out" / "training.json").read_text())["held_out"]
    assert held_out["nats_per_note"] < held_out["nats_per_note_before"]
