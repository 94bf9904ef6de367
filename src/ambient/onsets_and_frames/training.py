"""Train the network: losses, validation on whole pieces, resumable checkpoints.

Losses follow magenta/magenta with one difference, `TrainingConfig.onset_weight`. Runs on any Keras backend. Time, not
steps, drives the schedule, so that a training ends at the planned time, however busy the machine.
"""

import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ambient.model_folder import assign_weights, weights_of
from ambient.onsets_and_frames.config import FRAME_S, KEYS, DecodingConfig, ModelConfig, TrainingConfig
from ambient.onsets_and_frames.data import Batch, TakeCache, prefetched
from ambient.onsets_and_frames.decoding import Probabilities, probabilities_to_notes
from ambient.onsets_and_frames.metrics import Scores, mean_scores, score
from ambient.onsets_and_frames.model import OnsetsAndFrames
from ambient.onsets_and_frames.rendering import Take

LOG_EPSILON = 1e-7
ADAM_BETA_2 = 0.99  # 0.999 remembers the large gradients of the first steps for too much of a short training
ADAM_EPSILON = 1e-8  # TensorFlow 1's; gradients of a mean over 88 keys are small
STATE = "state.npz"
PROGRESS = "progress.json"
BEST = "best.npz"
PART_BYTES = 15 << 20  # of a packed checkpoint, for machines that hand back only small files
VALIDATION_FRAMES = 1280  # 41 s: validation takes are cut to this, so that the network is traced once
# How often each label is 1, roughly. The last biases start there (0 in magenta/magenta), which saves the steps in which
# a network only learns that most keys are silent.
EXPECTED_SHARES = {"onset": 0.01, "offset": 0.01, "frame": 0.05}
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def cross_entropy(*, positive_weight: float = 1.0) -> Callable[[Any, Any], Any]:
    """Return the loss of the onset, offset and frame heads: [B, F, K] twice to [B, F], the mean over keys."""

    def loss(labels: Any, probabilities: Any) -> Any:
        hit = labels * ops.log(probabilities + LOG_EPSILON)
        miss = (1.0 - labels) * ops.log(1.0 - probabilities + LOG_EPSILON)
        return -ops.mean(positive_weight * hit + miss, axis=-1)  # [B, F]

    return loss


def velocity_loss(onsets_and_velocities: Any, values: Any) -> Any:
    """Return the velocity loss: squared error where a note starts, summed over keys.

    Args:
        onsets_and_velocities: [B, F, 2 K]: the onset roll, then the velocity roll.
        values: [B, F, K].

    Returns:
        [B, F].
    """
    onsets, velocities = onsets_and_velocities[..., :KEYS], onsets_and_velocities[..., KEYS:]
    return ops.sum(onsets * ops.square(velocities - values), axis=-1)


@dataclass(slots=True)
class Progress:
    """Where a training stands; what a resumed one needs to know beside the weights.

    Attributes:
        step: Steps done.
        elapsed_s: Time spent training, over all runs.
        best_f1: Best validation score so far: the mean of onset F1 and frame F1.
        history: One entry a validation.
    """

    step: int = 0
    elapsed_s: float = 0.0
    best_f1: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Train one network on a cache of takes.

    Args:
        model_config: Sizes.
        config: Recipe.
        run_folder: For checkpoints; made if missing.
        minutes: Planned time; the learning rate reaches 0 when it is over.
        seed: Of weights and batches.
    """

    def __init__(
        self, model_config: ModelConfig, config: TrainingConfig, run_folder: Path, *, minutes: float, seed: int
    ) -> None:
        keras.utils.set_random_seed(seed)
        self.config = config
        self.network = OnsetsAndFrames(model_config)
        for name, share in EXPECTED_SHARES.items():
            bias = self.network.probabilities[name].bias
            bias.assign(np.full(bias.shape, math.log(share / (1.0 - share)), dtype=np.float32))
        self.run_folder = run_folder
        self.planned_s = minutes * 60.0
        self.seed = seed
        self.progress = Progress()
        # XLA on a CPU makes LSTMs and convolutions of this size nearly twice as slow; JAX knows nothing else.
        self.network.full.compile(
            optimizer=keras.optimizers.Adam(
                config.learning_rate, beta_2=ADAM_BETA_2, epsilon=ADAM_EPSILON, global_clipnorm=config.clip_norm
            ),
            loss={
                "onset": cross_entropy(positive_weight=config.onset_weight),
                "offset": cross_entropy(),
                "frame": cross_entropy(),
                "velocity": velocity_loss,
            },
            loss_weights=dict(config.loss_weights),
            jit_compile=keras.config.backend() == "jax",
        )
        self._optimizer = self.network.full.optimizer
        self._optimizer.build(self.network.full.trainable_variables)

    def train(
        self,
        cache: TakeCache,
        validation: list[Take],
        *,
        validate_every_s: float = 420.0,
        stop_after_s: float = math.inf,
        workers: int = 1,
        report: Callable[[str], None],
    ) -> None:
        """Train until the planned time is over; validate, keep the best weights and a checkpoint on the way.

        Args:
            cache: Takes to train on.
            validation: Takes to choose by.
            validate_every_s: Time between validations.
            stop_after_s: Stop there, validated and checkpointed, although the plan is not over.
            workers: Processes that draw batches.
            report: Gets a line now and then.
        """
        progress = self.progress
        batches = prefetched(
            cache,
            size=self.config.batch,
            frames=self.config.crop_frames,
            seed=self.seed,
            first_step=progress.step,
            workers=workers,
        )
        losses: dict[str, float] = {}
        began_s, before_s = time.monotonic(), progress.elapsed_s
        end_s = min(self.planned_s, before_s + stop_after_s)
        next_validation_s = before_s + validate_every_s
        while progress.elapsed_s < end_s:
            for name, value in self.take_step(next(batches)).items():
                losses[name] = 0.98 * losses[name] + 0.02 * value if name in losses else value
            progress.step += 1
            progress.elapsed_s = before_s + time.monotonic() - began_s
            if progress.step % 100 == 0:
                shown = ", ".join(f"{name} {value:.5f}" for name, value in losses.items())
                report(f"step {progress.step}, {progress.elapsed_s / 60:.1f} min, {len(cache.takes)} takes: {shown}")
            if progress.elapsed_s >= min(next_validation_s, end_s):
                self.validate(validation, losses, report)
                self.save_checkpoint()
                progress.elapsed_s = before_s + time.monotonic() - began_s
                next_validation_s = progress.elapsed_s + validate_every_s
        batches.close()  # type: ignore[attr-defined]

    def take_step(self, batch: Batch) -> dict[str, float]:
        """Train on one batch and return the loss of each head."""
        self._optimizer.learning_rate.assign(self._learning_rate())
        rolls = batch.rolls
        labels = {
            "onset": rolls.onset,
            "offset": rolls.offset,
            "frame": rolls.frame,
            "velocity": np.concatenate([rolls.onset, rolls.velocity], axis=-1),
        }
        logs = self.network.full.train_on_batch(batch.spectrogram, labels, return_dict=True)
        # Keras reports means since they were last reset.
        self.network.full.reset_metrics()
        return {name: float(logs[f"{name}_loss"]) for name in labels}

    def _learning_rate(self) -> float:
        """Rise from 0, then fall along a cosine over the planned time."""
        done = min(self.progress.elapsed_s / self.planned_s, 1.0)
        warm = min((int(self._optimizer.iterations) + 1) / self.config.warmup_steps, 1.0)
        return self.config.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * done))

    def validate(self, takes: list[Take], losses: dict[str, float], report: Callable[[str], None]) -> None:
        """Score whole takes at the thresholds that suit them, and keep the weights if they are the best yet."""
        decoding, scores = best_decoding([(self.listen(take), take) for take in takes])
        progress = self.progress
        entry = {
            "step": progress.step,
            "minutes": round(progress.elapsed_s / 60, 2),
            "onset_threshold": decoding.onset_threshold,
            "frame_threshold": decoding.frame_threshold,
            "losses": {name: round(value, 6) for name, value in losses.items()},
            "scores": {name: round(value, 4) for name, value in asdict(scores).items()},
        }
        progress.history.append(entry)
        report(f"validation at step {progress.step}: {json.dumps(entry)}")
        if (f1 := (scores.onset + scores.frame) / 2) >= progress.best_f1:
            progress.best_f1 = f1
            _write_arrays(self.run_folder / BEST, weights_of(self.network.full))

    def start_from(self, weights: dict[str, np.ndarray], *, source: Path) -> None:
        """Start from trained weights, from a rate that rises once more.

        Args:
            weights: Of a network of the same size.
            source: Where they come from, for messages.

        Raises:
            InputError: they do not fit.
        """
        assign_weights(self.network.full, weights, source=source)

    def listen(self, take: Take) -> Probabilities:
        """Run the network over the beginning of a take."""
        return listen(self.network, take)

    def save_checkpoint(self) -> None:
        """Write weights, optimizer states and progress; the progress last, as it says that the rest is complete."""
        self.run_folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"weights/{name}": array for name, array in weights_of(self.network.full).items()}
        for index, variable in enumerate(self._optimizer.variables):
            arrays[f"optimizer/{index}"] = np.asarray(variable.numpy())
        _write_arrays(self.run_folder / STATE, arrays)
        partial = self.run_folder / f".{PROGRESS}"
        partial.write_text(json.dumps(asdict(self.progress), indent=1) + "\n")
        partial.replace(self.run_folder / PROGRESS)

    def pack_checkpoint(self, folder: Path) -> None:
        """Write what another machine needs, weights as float16 in parts, without optimizer states.

        While the plan is not over: a checkpoint from which training goes on. After that: the best weights.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.progress.elapsed_s >= self.planned_s:
            name, weights = BEST, self.best_weights()
        else:
            name = STATE
            weights = {f"weights/{key}": array for key, array in weights_of(self.network.full).items()}
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **{k: array.astype(np.float16) for k, array in weights.items()})
        packed = stream.getvalue()
        for number, first in enumerate(range(0, len(packed), PART_BYTES)):
            (folder / f"{name}.{number:02}").write_bytes(packed[first : first + PART_BYTES])
        # The best weights so far stay behind, so the next validation sets the mark again.
        progress = asdict(self.progress) | {"best_f1": -1.0}
        (folder / PROGRESS).write_text(json.dumps(progress, indent=1) + "\n")

    def load_checkpoint(self) -> bool:
        """Go back to the last checkpoint of the run folder; False if there is none."""
        path = self.run_folder / PROGRESS
        if not path.exists():
            return False
        join_parts(self.run_folder / STATE)
        self.progress = Progress(**json.loads(path.read_text()))
        with np.load(self.run_folder / STATE) as stored:
            arrays = dict(stored)
        weights = {
            name.removeprefix("weights/"): array for name, array in arrays.items() if name.startswith("weights/")
        }
        assign_weights(self.network.full, weights, source=self.run_folder / STATE)
        for index, variable in enumerate(self._optimizer.variables):
            if f"optimizer/{index}" in arrays:  # a packed checkpoint has none; the rate then rises once more
                variable.assign(arrays[f"optimizer/{index}"])
        return True

    def best_weights(self) -> dict[str, np.ndarray]:
        """Return the weights of the best validation so far."""
        with np.load(self.run_folder / BEST) as stored:
            return dict(stored)


def join_parts(path: Path) -> None:
    """Make a file that was packed in parts whole again; without parts, leave it as it is."""
    if parts := sorted(path.parent.glob(f"{path.name}.*")):
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()


def listen(network: OnsetsAndFrames, take: Take) -> Probabilities:
    """Run a network over the beginning of a take."""
    spectrogram = take.mel[:VALIDATION_FRAMES].astype(np.float32)
    frames = len(spectrogram)
    padding = ((0, VALIDATION_FRAMES - frames), (0, 0))
    padded = np.pad(spectrogram, padding, constant_values=float(spectrogram.min()))
    answers = network.full.predict_on_batch(padded[None, :, :, None])
    return Probabilities(**{name: np.asarray(answer)[0, :frames] for name, answer in answers.items()})


def best_decoding(heard: list[tuple[Probabilities, Take]]) -> tuple[DecodingConfig, Scores]:
    """Return the onset threshold with the best mean onset F1, then the frame threshold with the best frame F1."""
    results = [(config, scores_at(config, heard)) for config in (DecodingConfig(onset_threshold=t) for t in THRESHOLDS)]
    onset_threshold = max(results, key=lambda result: result[1].onset)[0].onset_threshold
    configs = [DecodingConfig(onset_threshold=onset_threshold, frame_threshold=value) for value in THRESHOLDS]
    return max(((config, scores_at(config, heard)) for config in configs), key=lambda result: result[1].frame)


def scores_at(config: DecodingConfig, heard: list[tuple[Probabilities, Take]]) -> Scores:
    """Return the mean scores of takes at these thresholds; notes that start where the take is cut do not count."""
    scores = []
    for probabilities, take in heard:
        end_s = (len(probabilities.onset) - 2) * FRAME_S
        true_notes = [note for note in take.notes if note.start_s < end_s]
        scores.append(score(true_notes, probabilities_to_notes(probabilities, config).notes))
    return mean_scores(scores)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    partial.replace(path)
