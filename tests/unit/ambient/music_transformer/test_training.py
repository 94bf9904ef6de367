import math
import re
from dataclasses import replace

import keras
import numpy as np
import pytest

from ambient.errors import InputError
from ambient.model_folder import save_model_folder, weights_of
from ambient.music_transformer import training as training_module
from ambient.music_transformer.config import KIND, ModelConfig, TrainingConfig
from ambient.music_transformer.data import Crops, Piece
from ambient.music_transformer.descriptions import Percentiles
from ambient.music_transformer.model import build_model, load_model, use_precision
from ambient.music_transformer.tensorboard import EventLog
from ambient.music_transformer.training import Trainer, evaluate

SHAPE = ModelConfig(layers=1, width=32, heads=2, feed_forward=32, window=48, dropout=0.1)
CONFIG = TrainingConfig(
    epochs=40,
    batch_size=4,
    max_seq=24,
    learning_rate=1e-2,
    warmup_steps=4,
    transpose=0,
    stretch=0.0,
    hands=0.0,
    imitation=0.0,
    patience=99,
    minutes=0.0,  # so that the learning rate does not follow the clock
)
PERCENTILES = Percentiles(np.tile(np.arange(1.0, 10.0), (5, 1)))


@pytest.fixture
def eager():
    """Run steps as they are written: a few are done sooner than compiled."""
    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def song(bars):
    return Piece(bars(90))


@pytest.fixture
def noise(random_piece):
    """Music that nothing can be learned about from the song."""
    return Piece(random_piece(40))


def trainer(config, pieces, held_out, checkpoint=None, lines=None, rehearsed=()):
    lines = lines if lines is not None else []
    return Trainer(
        build_model(SHAPE, seed=1),
        config,
        pieces,
        held_out,
        PERCENTILES,
        rehearsed=rehearsed,
        report=lines.append,
        checkpoint=checkpoint,
    )


def test_the_loss_on_one_repeated_bar_falls_from_nineteen_below_one_nat_a_note_within_a_hundred_steps(song):
    training = trainer(replace(CONFIG, epochs=100), [song], [song])
    result = training.run()
    assert result.steps <= 100
    assert result.before > 17
    assert result.best < 1
    assert evaluate(training.model, training.held_out) == pytest.approx(result.best, abs=1e-5)


def test_equal_seeds_give_equal_weights_to_the_last_bit(song, eager):
    def weights(seed):
        training = trainer(replace(CONFIG, epochs=2, seed=seed), [song], [song])
        training.run()
        return np.concatenate([array.ravel() for array in weights_of(training.model).values()]).tobytes()

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_training_stops_when_the_held_out_part_gains_no_more_and_keeps_the_best_weights(song, noise):
    config = replace(CONFIG, epochs=500, patience=2)
    training = trainer(config, [song], [noise])
    result = training.run()
    assert result.stopped_by == "patience"
    assert len(result.history) == result.best_step // training.steps_per_epoch + 2
    assert evaluate(training.model, training.held_out) == pytest.approx(result.best, abs=1e-5)


def test_weights_that_training_only_makes_worse_are_kept(song, noise, eager):
    training = trainer(replace(CONFIG, epochs=50, learning_rate=0.3, warmup_steps=1, patience=2), [song], [noise])
    before = weights_of(training.model)
    result = training.run()
    assert result.best_step == 0
    for name, array in weights_of(training.model).items():
        assert (array == before[name]).all()


def test_a_killed_and_resumed_run_has_the_curve_of_an_undisturbed_one(song, tmp_path, monkeypatch, eager):
    monkeypatch.setattr(training_module, "CHECKPOINT_SECONDS", 0.0)
    config = replace(CONFIG, epochs=4, evaluate_every=2)
    undisturbed = trainer(config, [song], [song])
    wanted = undisturbed.run()

    killed = trainer(config, [song], [song], tmp_path / "checkpoint.npz")

    def kill(line):
        if line.startswith("step 4 "):
            raise KeyboardInterrupt

    killed.report = kill
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = trainer(config, [song], [song], tmp_path / "checkpoint.npz")
    resumed.resume()
    assert resumed.result.steps == 3  # in the middle between two evaluations
    result = resumed.run()
    curve = [(entry["step"], entry["training"], entry["held_out"]) for entry in result.history]
    assert curve == [(entry["step"], entry["training"], entry["held_out"]) for entry in wanted.history]
    for name, array in weights_of(resumed.model).items():
        assert (array == weights_of(undisturbed.model)[name]).all()


def test_a_resumed_run_that_has_lost_patience_takes_no_further_step(song, tmp_path, eager):
    config = replace(CONFIG, patience=2)
    killed = trainer(config, [song], [song], tmp_path / "checkpoint.npz")
    killed.result.steps, killed.result.best_step, killed.result.best = 9, 3, 1.5
    killed.result.history = [{"step": step, "training": 1.0, "held_out": 2.0, "seconds": 1.0} for step in (3, 6, 9)]
    killed.save()
    resumed = trainer(config, [song], [song], tmp_path / "checkpoint.npz")
    resumed.resume()
    result = resumed.run()
    assert (result.stopped_by, result.steps, result.best_step, result.best) == ("patience", 9, 3, 1.5)


def test_accumulated_batches_move_the_weights_as_one_large_batch(song, eager):
    plain = replace(SHAPE, dropout=0.0)
    crops = Crops([song], [], PERCENTILES, CONFIG)
    drawn = (crops.batch(step) for step in range(100))
    halves = [batch for batch in drawn if (batch[1] >= 0).all()][:2]  # else they would not weigh the same
    assert len(halves) == 2
    whole_batch = tuple(np.concatenate(sides) for sides in zip(*halves, strict=True))
    moved = []
    ways = ((2, lambda step: halves[step]), (1, lambda step: whole_batch), (1, lambda step: halves[0]))
    for accumulate, batches in ways:
        model = build_model(plain, seed=1)
        config = replace(CONFIG, accumulate=accumulate)
        training = Trainer(model, config, [song], [song], PERCENTILES, report=print)
        training._step(batches)
        assert training.result.steps == 1
        moved.append(np.concatenate([array.ravel() for array in weights_of(model).values()]))
    only_half = moved.pop()
    start = np.concatenate([array.ravel() for array in weights_of(build_model(plain, seed=1)).values()])
    assert np.abs(moved[0] - start).max() > 1e-3
    # Adam's first step has one size whatever the gradient's, so rounding may turn those that are next to nothing.
    assert np.corrcoef(moved[0] - start, moved[1] - start)[0, 1] > 0.99
    assert np.corrcoef(moved[0] - start, only_half - start)[0, 1] < 0.95


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_muon_turns_the_steps_of_hidden_matrices_alone_into_orthogonal_ones(song, eager, monkeypatch, precision):
    computed_in = []
    newton = keras.optimizers.Muon.zeropower_via_newtonschulz5
    monkeypatch.setattr(
        keras.optimizers.Muon,
        "zeropower_via_newtonschulz5",
        lambda self, x, steps: computed_in.append(keras.backend.standardize_dtype(x.dtype)) or newton(self, x, steps),
    )
    use_precision(precision)
    try:
        check_steps_of_muon(song)
    finally:
        use_precision("float32")
    assert set(computed_in) == {precision}


def check_steps_of_muon(song):
    model = build_model(replace(SHAPE, dropout=0.0), seed=1)
    config = replace(CONFIG, optimizer="muon", weight_decay=0.0, warmup_steps=0)
    training = Trainer(model, config, [song], [song], PERCENTILES, report=print)
    before = weights_of(model)
    training._step(Crops([song], [], PERCENTILES, config).batch)
    moved = {name: array - before[name] for name, array in weights_of(model).items()}

    def spread(name):
        singular = np.linalg.svd(moved[f"music_transformer/{name}"], compute_uv=False)
        return float(singular[0] / singular[3])  # of the few directions that a repeated bar has

    for name in (
        "block_0/attention/qkv/kernel",
        "block_0/attention/out/kernel",
        "block_0/expand/kernel",
        "block_0/contract/kernel",
        "choose_pitch/hidden/kernel",
    ):
        assert spread(name) < 2
    for name in ("embedding/embeddings", "chosen/embeddings", "choose_pitch/to_logits/kernel"):
        assert spread(name) > 3


def test_dropout_in_place_of_the_models_own_reaches_every_layer(tmp_path):
    config = SHAPE.to_json()
    save_model_folder(
        tmp_path, kind=KIND, config=config, weights=weights_of(build_model(SHAPE, seed=1)), training={}, card=""
    )
    for dropout, expected in ((None, SHAPE.dropout), (0.0, 0.0)):
        model = load_model(tmp_path, dropout=dropout)
        assert model.config == replace(SHAPE, dropout=expected)
        assert model.embedding_dropout.rate == expected
        assert {block.feed_dropout.rate for block in model.blocks} == {expected}
        assert {block.attention_dropout.rate for block in model.blocks} == {expected}


def test_the_course_is_written_for_tensorboard(song, tmp_path, eager):
    import tensorflow as tf

    lines = []
    training = trainer(replace(CONFIG, epochs=2, evaluate_every=2), [song], [song], lines=lines)
    training.events = EventLog(tmp_path / "logs")
    result = training.run()
    events = list(tf.compat.v1.train.summary_iterator(str(training.events.path)))
    assert events[0].file_version == "brain.Event:2"
    found = {(e.step, v.tag): v.simple_value for e in events for v in e.summary.value}
    for entry in result.history:
        assert found[entry["step"], "loss/held_out"] == pytest.approx(entry["held_out"], abs=1e-4)
        assert found[entry["step"], "loss/training"] == pytest.approx(entry["training"], abs=1e-4)
    assert {step for step, name in found if name == "loss/step"} == set(range(1, result.steps + 1))


def test_progress_tells_speed_loss_and_time_left(song, monkeypatch, eager):
    monkeypatch.setattr(training_module, "PROGRESS_SECONDS", 0.0)
    lines = []
    trainer(replace(CONFIG, epochs=2, evaluate_every=2), [song], [song], lines=lines).run()
    pattern = r"step 1 of at most \d+: training \d+\.\d+ nats per note; \d+ notes/s, \d+ s, at most \d+\.\d min left"
    assert any(re.fullmatch(pattern, line) for line in lines)
    assert any(", held-out " in line and "(best so far)" in line for line in lines)


def test_a_checkpoint_of_another_model_is_refused(song, tmp_path):
    trainer(CONFIG, [song], [song], tmp_path / "checkpoint.npz").save()
    other = Trainer(
        build_model(replace(SHAPE, layers=2)),
        CONFIG,
        [song],
        [song],
        PERCENTILES,
        report=print,
        checkpoint=tmp_path / "checkpoint.npz",
    )
    with pytest.raises(InputError, match="a checkpoint of another model"):
        other.resume()


def test_the_learning_rate_rises_and_then_falls_to_a_hundredth(song):
    training = trainer(CONFIG, [song], [song])
    rates = []
    for step in range(training.planned_steps + 1):
        training.result.steps = step
        rates.append(training._learning_rate())
    assert rates[0] == pytest.approx(CONFIG.learning_rate / 4, rel=0.01)
    assert max(rates) == pytest.approx(CONFIG.learning_rate, rel=0.05)  # it has begun to fall when it is warm
    assert rates[-1] == pytest.approx(CONFIG.learning_rate / 100)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_wall_clock_ceiling_ends_the_run(song, eager):
    result = trainer(replace(CONFIG, epochs=10_000, minutes=1e-6), [song], [song]).run()
    assert result.stopped_by == "minutes"


def test_a_loss_that_is_no_number_stops_with_advice(song, eager):
    with pytest.raises(InputError, match="Lower --l_r"):
        trainer(replace(CONFIG, learning_rate=math.nan), [song], [song]).run()


def test_rehearsed_music_is_drawn_beside_the_corpus(bars):
    corpus, base = Piece(bars(100, lowest=40)), Piece(bars(100, lowest=80))
    for rehearsal, lowest in ((0.0, 40), (1.0, 80)):
        training = trainer(replace(CONFIG, rehearsal=rehearsal), [corpus], [corpus], rehearsed=[base])
        _, labels = training.crops.batch(0)
        assert labels[..., 1][labels[..., 1] >= 0].min() == lowest
    assert training.steps_per_epoch == 2  # an epoch is of the corpus alone: 100 notes, 4 x 24 a batch


def test_an_epoch_shows_about_as_many_notes_as_the_corpus_has(bars):
    training = trainer(replace(CONFIG, accumulate=2), [Piece(bars(200))], [Piece(bars(20))])
    assert training.steps_per_epoch == 2  # 200 notes, 4 x 24 a batch, two batches a step
    assert training.planned_steps == 80
