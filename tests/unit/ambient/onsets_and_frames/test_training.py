"""Training learns, can be stopped and resumed, and its losses are the original's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ambient.model_folder import load_weights, weights_of
from ambient.onsets_and_frames import training
from ambient.onsets_and_frames.config import MODELS, TrainingConfig
from ambient.onsets_and_frames.data import Batch, TakeCache
from ambient.onsets_and_frames.labels import notes_to_rolls
from ambient.onsets_and_frames.rendering import Take, save_take
from ambient.onsets_and_frames.training import Trainer, cross_entropy, velocity_loss
from scripts.train_onsets_and_frames import main

CONFIG = TrainingConfig(batch=1, crop_frames=24, learning_rate=0.02, warmup_steps=5)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """One for all tests that hold for a network in any state, because compiling it takes seconds."""
    return Trainer(MODELS["tiny"], CONFIG, tmp_path_factory.mktemp("run"), minutes=60, seed=3)


@pytest.fixture
def take(melody):
    """A spectrogram in which each key lights up a band of its own while its note sounds, brighter at first."""
    rolls = notes_to_rolls(melody, 110)
    spectrogram = np.full((110, 229), -40.0)
    spectrogram[:, 20 : 20 + 176] += np.repeat(rolls.frame * 30 + rolls.onset * 30, 2, axis=1)
    return Take(spectrogram.astype(np.float16), melody)


@pytest.fixture
def example(take):
    rolls = notes_to_rolls(take.notes, 24, first_frame=40)
    rolls = type(rolls)(*(array[None] for array in (rolls.onset, rolls.offset, rolls.frame, rolls.velocity)))
    return Batch(take.mel[40:64].astype(np.float32)[None, :, :, None], rolls)


@pytest.fixture
def cache(tmp_path, take):
    save_take_folder = tmp_path / "cache"
    save_take_folder.mkdir()
    save_take(save_take_folder, "melody-0", take, frames=110)
    filled = TakeCache([save_take_folder], shortest_frames=24)
    filled.refresh()
    return filled


def test_losses_of_one_repeated_example_fall_to_a_third_in_60_steps(trainer, example):
    first = trainer.take_step(example)
    for _ in range(60):
        last = trainer.take_step(example)
    for name in ("onset", "frame", "velocity"):
        assert last[name] < first[name] / 3


def test_a_step_moves_every_weight(trainer, example):
    before = {name: weight.copy() for name, weight in weights_of(trainer.network.full).items()}
    trainer.take_step(example)
    assert not [
        name for name, weight in weights_of(trainer.network.full).items() if np.array_equal(weight, before[name])
    ]


def test_losses_are_those_of_one_step_not_means_over_several(trainer, example):
    silent = Batch(np.full_like(example.spectrogram, -40.0), example.rolls)
    trainer.progress.elapsed_s, elapsed_s = trainer.planned_s, trainer.progress.elapsed_s  # nothing is learned any more
    losses = [trainer.take_step(batch)["onset"] for batch in (example, silent, example)]
    trainer.progress.elapsed_s = elapsed_s
    assert losses[2] == pytest.approx(losses[0], rel=1e-4)
    assert losses[1] != pytest.approx(losses[0], rel=0.05)


def test_cross_entropy_equals_its_formula_and_weighs_what_is_there():
    labels = np.array([[[1.0, 0.0, 0.0]]], dtype=np.float32)
    answers = np.array([[[0.8, 0.3, 0.1]]], dtype=np.float32)
    hit, miss = -np.log(0.8), -np.log(0.7) - np.log(0.9)
    assert float(np.asarray(cross_entropy()(labels, answers))[0, 0]) == pytest.approx((hit + miss) / 3, rel=1e-4)
    weighted = float(np.asarray(cross_entropy(positive_weight=4.0)(labels, answers))[0, 0])
    assert weighted == pytest.approx((4 * hit + miss) / 3, rel=1e-4)


def test_velocity_counts_only_where_a_note_starts():
    onsets, velocities, values = np.zeros((3, 1, 2, 88), dtype=np.float32)
    onsets[0, 1, 5], velocities[0, 1, 5], values[0, 1, 5], values[0, 0, :] = 1, 0.8, 0.5, 9.0
    loss = np.asarray(velocity_loss(np.concatenate([onsets, velocities], axis=-1), values))
    np.testing.assert_allclose(loss, [[0.0, 0.09]], atol=1e-6)


def test_training_validates_and_a_resumed_one_goes_on_where_it_stopped(tmp_path, cache, take, monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_FRAMES", 110)
    lines = []
    first = Trainer(MODELS["tiny"], CONFIG, tmp_path / "run", minutes=0.01, seed=3)
    first.train(cache, [take], report=lines.append)
    assert len(first.progress.history) == 1
    assert any(line.startswith("validation at step") for line in lines)
    assert json.loads((tmp_path / "run" / "progress.json").read_text())["step"] == first.progress.step > 0

    second = Trainer(MODELS["tiny"], CONFIG, tmp_path / "run", minutes=0.01, seed=4)
    assert second.load_checkpoint()
    assert replace(second.progress, elapsed_s=0) == replace(first.progress, elapsed_s=0)
    assert 0 < second.progress.elapsed_s <= first.progress.elapsed_s
    for name, weight in weights_of(first.network.full).items():
        np.testing.assert_array_equal(weights_of(second.network.full)[name], weight)
    optimizers = first.network.full.optimizer, second.network.full.optimizer
    assert int(optimizers[0].iterations) == int(optimizers[1].iterations) == first.progress.step
    assert set(first.best_weights()) == set(weights_of(first.network.full))


def test_a_training_from_trained_weights_begins_with_these(tmp_path, trainer):
    second = Trainer(MODELS["tiny"], CONFIG, tmp_path / "run", minutes=0.001, seed=8)
    given = weights_of(trainer.network.full)
    second.start_from(given, source=tmp_path)
    for name, weight in weights_of(second.network.full).items():
        np.testing.assert_array_equal(weight, given[name])


def test_a_run_stopped_early_is_packed_in_parts_and_goes_on_elsewhere(tmp_path, cache, take, monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_FRAMES", 110)
    monkeypatch.setattr(training, "PART_BYTES", 30_000)
    here, there = tmp_path / "here", tmp_path / "there"
    first = Trainer(MODELS["tiny"], CONFIG, here, minutes=60, seed=3)
    first.train(cache, [take], stop_after_s=0.3, report=lambda line: None)
    assert 0.3 <= first.progress.elapsed_s < 600
    first.pack_checkpoint(there)
    parts = sorted(path.name for path in there.iterdir())
    assert parts[0] == "progress.json"
    assert parts[1:] == [f"state.npz.{number:02}" for number in range(len(parts) - 1)]
    assert len(parts) > 2

    second = Trainer(MODELS["tiny"], CONFIG, there, minutes=60, seed=4)
    assert second.load_checkpoint()
    assert second.progress.step == first.progress.step
    assert second.progress.best_f1 == -1.0
    for name, weight in weights_of(first.network.full).items():
        np.testing.assert_allclose(weights_of(second.network.full)[name], weight, rtol=1e-3, atol=1e-4)


def test_when_the_plan_is_over_the_best_weights_are_packed(tmp_path, trainer):
    trainer.progress.elapsed_s, elapsed_s = 3600.0, trainer.progress.elapsed_s
    best = weights_of(trainer.network.full)
    trainer.run_folder.mkdir(exist_ok=True)
    np.savez(trainer.run_folder / "best.npz", allow_pickle=False, **best)
    trainer.pack_checkpoint(tmp_path)
    trainer.progress.elapsed_s = elapsed_s
    training.join_parts(tmp_path / "best.npz")
    with np.load(tmp_path / "best.npz") as packed:
        for name, weight in best.items():
            np.testing.assert_array_equal(packed[name], weight.astype(np.float16))
    assert {path.name for path in tmp_path.iterdir()} == {"best.npz", "progress.json"}


def test_without_a_checkpoint_nothing_is_resumed(trainer):
    assert not trainer.load_checkpoint()


def test_equal_seeds_give_equal_losses(tmp_path, cache):
    curves = []
    for _ in range(2):
        trainer = Trainer(MODELS["tiny"], CONFIG, tmp_path / "run", minutes=60, seed=5)
        curves.append(
            [trainer.take_step(cache.batch(1, 24, np.random.default_rng(step)))["onset"] for step in range(3)]
        )
    assert curves[0] == curves[1]
    assert len(set(curves[0])) == 3


def test_export_writes_the_best_weights_or_those_of_the_last_step(tmp_path, network, take, monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_FRAMES", 110)
    run, valid = tmp_path / "run", tmp_path / "cache" / "valid"
    run.mkdir()
    for folder in (valid, tmp_path / "cache" / "train"):
        folder.mkdir(parents=True)
        save_take(folder, "melody-0", take, frames=110)
    (tmp_path / "card.md").write_text("# Card\n")
    (run / "setup.json").write_text(json.dumps({"size": "tiny"}))
    (run / "progress.json").write_text(json.dumps({"step": 9, "elapsed_s": 1.0, "history": []}))
    best = {name: np.full_like(array, 0.5) for name, array in weights_of(network.full).items()}
    np.savez(run / "best.npz", **best)
    np.savez(run / "state.npz", **{f"weights/{name}": array / 2 for name, array in best.items()}, **{"optimizer/0": 1})
    for flags, value in (([], 0.5), (["--last"], 0.25)):
        model = tmp_path / f"model{value}"
        folders = {"--cache": tmp_path / "cache", "--run": run, "--card": tmp_path / "card.md", "--save_path": model}
        main(["export", *(str(each) for pair in folders.items() for each in pair), *flags])
        assert all((array == value).all() for array in load_weights(model).values())
