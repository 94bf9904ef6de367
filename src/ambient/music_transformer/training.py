"""Train the composer: steps, evaluation, early stop, checkpoints; knows no files but its checkpoint.

Conventions: losses are nats per note, the fields of a note added up; ends of pieces count as notes. The learning rate
rises linearly over the warm-up and falls as half a cosine to a hundredth of its peak, over the planned steps or
minutes, whichever end first.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ambient.errors import InputError
from ambient.music_transformer.arithmetic import accelerators, device_rate, step_operations
from ambient.music_transformer.config import TrainingConfig
from ambient.music_transformer.data import BatchesAhead, Crops, Piece, evaluation_batches
from ambient.music_transformer.descriptions import Percentiles
from ambient.music_transformer.model import MusicTransformer, note_loss
from ambient.music_transformer.tensorboard import EventLog

MOST_EVALUATION_CROPS = 96  # of an evaluation between steps; the final figures use every note
LEAST_BETWEEN_EVALUATIONS = 20  # steps; a few songs make an epoch of two, too few to tell a gain from chance
FINAL_RATE = 0.01
BETA_2 = 0.98
ADAM_SHARE = 0.5  # of the learning rate, for what Muon leaves to AdamW: embeddings, norms, the last layers
CHECKPOINT_SECONDS = 300.0
PROGRESS_SECONDS = 15.0
PROGRESS = ("steps", "notes_seen", "seconds", "before", "best", "best_step", "history", "losses")


@dataclass(slots=True)
class TrainingResult:
    """What a run did.

    Attributes:
        steps: Optimizer steps taken.
        notes_seen: Notes trained on.
        seconds: Wall-clock time, earlier parts of a resumed run included.
        stopped_by: `epochs`, `patience` or `minutes`.
        before: Held-out nats per note before the first step.
        best: Lowest held-out nats per note.
        best_step: Step it was reached at; 0 means that training did not improve the model.
        history: One entry an evaluation: step, training loss, held-out loss, seconds.
        losses: Of each step since the last evaluation.
    """

    steps: int = 0
    notes_seen: int = 0
    seconds: float = 0.0
    stopped_by: str = "epochs"
    before: float = math.inf
    best: float = math.inf
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class Trainer:
    """Trains one model on pieces and leaves it with its best weights.

    Args:
        model: The model; changed in place.
        config: How to train.
        training: The corpus.
        held_out: Pieces that decide which weights are best.
        percentiles: Bins of the local descriptions.
        rehearsed: Music of the base model, drawn beside the corpus.
        report: Called with one line for people.
        checkpoint: File to save everything to every few minutes; None saves nothing.
        events: Where TensorBoard finds the course of the training; None writes nothing.
    """

    def __init__(
        self,
        model: MusicTransformer,
        config: TrainingConfig,
        training: Sequence[Piece],
        held_out: Sequence[Piece],
        percentiles: Percentiles,
        *,
        rehearsed: Sequence[Piece] = (),
        report: Callable[[str], None],
        checkpoint: Path | None = None,
        events: EventLog | None = None,
    ) -> None:
        self.model, self.config = model, config
        self.crops = Crops(training, rehearsed, percentiles, config)
        self.held_out = evaluation_batches(held_out, percentiles, config, most_crops=MOST_EVALUATION_CROPS)
        self.report, self.checkpoint, self.events = report, checkpoint, events
        notes = sum(len(piece.fields) for piece in training)
        self.steps_per_epoch = max(1, math.ceil(notes / (config.batch_size * config.accumulate * config.max_seq)))
        self.planned_steps = config.epochs * self.steps_per_epoch
        self.result = TrainingResult()
        self.device_rate = len(accelerators()) * device_rate() if accelerators() else 0.0
        optimizer = make_optimizer(config)
        model.compile(optimizer=optimizer, loss=note_loss, jit_compile=_worth_compiling())
        optimizer.build(model.trainable_variables)
        self.best_weights = [_array(variable) for variable in model.weights]

    def run(self) -> TrainingResult:
        """Train until the ceiling, the deadline, or no improvement; then put the best weights back."""
        result, config = self.result, self.config
        every = config.evaluate_every or max(self.steps_per_epoch, LEAST_BETWEEN_EVALUATIONS)
        started = time.monotonic() - result.seconds
        saved = time.monotonic()
        if not result.history:
            result.before = result.best = evaluate(self.model, self.held_out)
            self.report(f"before training: held-out {result.before:.3f} nats per note")
        reported = time.monotonic()
        batches = BatchesAhead(self.crops, processes=self._helpers())
        with batches:
            while result.steps < self.planned_steps:
                result.seconds = time.monotonic() - started
                if config.minutes and result.seconds >= 60 * config.minutes:
                    result.stopped_by = "minutes"
                    break
                if sum(entry["step"] > result.best_step for entry in result.history) >= config.patience:
                    result.stopped_by = "patience"
                    break
                result.losses.append(self._step(batches))
                result.seconds = time.monotonic() - started
                if result.steps % every == 0 or result.steps == self.planned_steps:
                    self._evaluate()
                    reported = time.monotonic()
                elif time.monotonic() - reported > PROGRESS_SECONDS:
                    self.report(self._progress(result.losses[-1]))
                    reported = time.monotonic()
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = time.monotonic()
        if result.losses:
            self._evaluate()
        self.save()
        self._restore_best()
        return result

    def _helpers(self) -> int:
        """Return how many processes cut crops: an accelerator would wait for one, processor cores have enough to do."""
        return min(8, (os.cpu_count() or 1) - 1) if self.device_rate else 0

    def _step(self, batches: BatchesAhead) -> float:
        rate = self._learning_rate()
        self.model.optimizer.learning_rate = rate
        losses = []
        for part in range(self.config.accumulate):
            inputs, labels = batches(self.result.steps * self.config.accumulate + part)
            losses.append(float(self.model.train_on_batch(inputs, labels)))
            self.result.notes_seen += int((labels[..., 0] >= 0).sum())
        loss = sum(losses) / len(losses)
        if not math.isfinite(loss):
            raise InputError(
                "train", f"the loss became {loss} at step {self.result.steps}", "expected a number", "Lower --l_r"
            )
        self.result.steps += 1
        if self.events:
            self.events.write(self.result.steps, {"loss/step": loss, "learning_rate": rate})
        return loss

    def _learning_rate(self) -> float:
        config, result = self.config, self.result
        warm = min(1.0, (result.steps + 1) / max(config.warmup_steps, 1))
        progress = result.steps / self.planned_steps
        if config.schedule_minutes:  # a run under a mere ceiling of time is to be the same on a slower machine
            progress = max(progress, min(1.0, result.seconds / (60 * config.schedule_minutes)))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return config.learning_rate * warm * (FINAL_RATE + (1 - FINAL_RATE) * cosine)

    def _evaluate(self) -> None:
        result = self.result
        held_out = evaluate(self.model, self.held_out)
        improved = held_out < result.best
        if improved:
            result.best, result.best_step = held_out, result.steps
            self.best_weights = [_array(variable) for variable in self.model.weights]
        loss = float(np.mean(result.losses))
        result.losses = []
        result.history.append(
            {
                "step": result.steps,
                "training": round(loss, 5),
                "held_out": round(held_out, 5),
                "seconds": round(result.seconds, 1),
            }
        )
        if self.events:
            scalars = {"loss/training": loss, "loss/held_out": held_out, "notes_per_s": self._speed()}
            self.events.write(result.steps, scalars)
        self.report(self._progress(loss, f", held-out {held_out:.3f}{' (best so far)' if improved else ''}"))

    def _speed(self) -> float:
        """Return notes a second."""
        return self.result.notes_seen / max(self.result.seconds, 1e-9)

    def _progress(self, loss: float, held_out: str = "") -> str:
        """Return one line: where the training is, the loss, the speed, the time left at most."""
        result, config = self.result, self.config
        left = (self.planned_steps - result.steps) * result.seconds / max(result.steps, 1)
        if config.minutes:
            left = min(left, max(60 * config.minutes - result.seconds, 0.0))
        share = ""
        if self.device_rate:
            operations = step_operations(self.model.config, config.batch_size, config.max_seq) * config.accumulate
            reached = operations * result.steps / max(result.seconds, 1e-9) / self.device_rate
            share = f" ({reached:.0%} of the device's matrix rate)"
        return (
            f"step {result.steps} of at most {self.planned_steps}: training {loss:.3f}{held_out} nats per note; "
            f"{self._speed():.0f} notes/s{share}, {result.seconds:.0f} s, at most {left / 60:.1f} min left"
        )

    def _restore_best(self) -> None:
        for variable, value in zip(self.model.weights, self.best_weights, strict=True):
            variable.assign(value)

    def save(self) -> None:
        """Write everything that a later run needs to go on exactly here; does nothing without a checkpoint path."""
        if self.checkpoint is None:
            return
        tensors = {f"now_{i}": _array(v) for i, v in enumerate(self._state())}
        tensors |= {f"best_{i}": array for i, array in enumerate(self.best_weights)}
        result = self.result
        progress = {name: getattr(result, name) for name in PROGRESS}
        tensors["progress"] = np.array(json.dumps(progress))
        partial = self.checkpoint.with_name(f".partial-{self.checkpoint.name}")
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        np.savez(partial, **tensors, allow_pickle=False)
        partial.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on where the checkpoint was written; does nothing if there is none.

        Raises:
            InputError: the checkpoint belongs to another model or optimizer.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        with np.load(self.checkpoint, allow_pickle=False) as file:
            tensors = dict(file)
        progress = json.loads(str(tensors["progress"]))
        state = self._state()
        shapes = [tuple(variable.shape) for variable in state]
        if shapes != [tensors[f"now_{i}"].shape if f"now_{i}" in tensors else None for i in range(len(state))]:
            raise InputError(
                self.checkpoint,
                "a checkpoint of another model or optimizer",
                "expected this one's",
                "Resume in another folder",
            )
        for index, variable in enumerate(state):
            variable.assign(tensors[f"now_{index}"])
        self.best_weights = [tensors[f"best_{i}"] for i in range(len(self.best_weights))]
        for name in PROGRESS:
            setattr(self.result, name, progress.get(name, []))  # 0.1.0 saved no losses
        self.report(f"resumed at step {self.result.steps}")

    def _state(self) -> list[Any]:
        # Where dropout stands in its random sequence is no weight, but decides how the curve goes on.
        dropout = [variable for variable in self.model.variables if "seed_generator" in variable.path]
        return [*self.model.weights, *self.model.optimizer.variables, *dropout]


class Muon(keras.optimizers.Muon):
    """Muon whose Newton-Schulz iteration is computed in the precision of the model, as in Jordan et al. 2024.

    The iteration only turns a step's direction, so bfloat16 is enough for it.
    """

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return the orthogonal matrix near one or more of [..., rows, columns]."""
        turned = super().zeropower_via_newtonschulz5(
            keras.ops.cast(x, keras.config.dtype_policy().compute_dtype), steps
        )
        return keras.ops.cast(turned, x.dtype)


def make_optimizer(config: TrainingConfig) -> keras.optimizers.Optimizer:
    """Make the optimizer that a configuration names; it decays matrices alone.

    Muon (Jordan et al. 2024, scaled as in Liu et al. 2025, arXiv:2502.16982) turns the step of each hidden matrix into
    an orthogonal one; everything else, the first and the last layer too, goes the way of AdamW.
    """
    shared: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
    }
    if config.optimizer == "muon":
        optimizer = Muon(
            adam_beta_2=BETA_2,
            adam_weight_decay=config.weight_decay,
            adam_lr_ratio=ADAM_SHARE,
            exclude_layers=["to_logits", "embedding", "chosen"],
            **shared,
        )
    else:
        optimizer = keras.optimizers.AdamW(beta_2=BETA_2, **shared)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embedding", "chosen"])
    return optimizer


def _worth_compiling() -> bool:
    """Say whether Keras should compile a step with XLA.

    Without an accelerator XLA needs a fifth more processor time a step than TensorFlow's graph and seconds to compile
    (measured with bfloat16, 4 blocks of width 256, 8 x 512 tokens), and what PyTorch compiles takes minutes to; JAX has
    nothing between it and eager steps.
    """
    return keras.config.backend() == "jax" or bool(accelerators())


def _array(variable: Any) -> np.ndarray:
    return np.array(variable.numpy(), order="C")


def evaluate(model: MusicTransformer, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the mean cross-entropy in nats per note over batches of rows and labels."""
    nats, notes = 0.0, 0
    for rows, labels in batches:
        real = int((labels[..., 0] >= 0).sum())
        nats += float(model.test_on_batch(rows, labels)) * real
        notes += real
    return nats / max(notes, 1)
