"""Fit the judge to notes that are known right or wrong, beside the logistic regression whose odds it corrects.

Each of its networks learns from four fifths of the takes; the other fifth, of each another one, tells when to stop.
Each note counts by the square root of how many its take has, as pianos have ten times the notes of pads.
"""

from collections.abc import Sequence

import keras
import numpy as np

from ambient.onsets_and_frames.calibration import Judged
from ambient.onsets_and_frames.judge import HIDDEN, MEMBERS, MOST, SHIFT_S, Judge, Layers

_BATCH, _ROUNDS, _PATIENCE = 256, 40, 6
_LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 1.5e-3, 0.02, 0.15
_LEAST_DEVIATION = 1e-3
_LEAST_GAIN = 0.005  # nats a note


def fit_judge(takes: Sequence[Judged], *, seed: int = 0) -> Judge | None:
    """Fit a judge.

    Args:
        takes: Notes that may be, in takes that no training used.
        seed: Of the weights and of the order of the notes.

    Returns:
        None where there are fewer takes with notes than networks, or one of these gains nothing on those kept out.
    """
    takes = [take for take in takes if len(take.right)]
    if len(takes) < MEMBERS:
        return None
    evidence = np.concatenate([take.surroundings for take in takes])
    mean, deviation = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), _LEAST_DEVIATION)
    keras.utils.set_random_seed(seed)
    members = []
    for member in range(MEMBERS):
        kept_out = takes[member::MEMBERS]
        others = [take for index, take in enumerate(takes) if index % MEMBERS != member]
        layers = _fitted(others, kept_out, mean, deviation)
        if layers is None:
            return None
        members.append(layers)
    return Judge(mean.astype(np.float32), deviation.astype(np.float32), tuple(members))


def _fitted(
    others: Sequence[Judged], kept_out: Sequence[Judged], mean: np.ndarray, deviation: np.ndarray
) -> Layers | None:
    """Fit one network; None if it gains nothing on the takes kept out."""

    def prepared(part: Sequence[Judged]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        scaled = np.concatenate([np.clip((take.surroundings - mean) / deviation, -MOST, MOST) for take in part])
        odds = np.concatenate([take.odds for take in part])[:, None]
        counts = np.concatenate([np.full(len(take.right), len(take.right) ** -0.5) for take in part])
        counts /= counts.mean()
        right = np.concatenate([take.right for take in part]).astype(np.float32)[:, None]
        shifts = np.concatenate([take.after_s for take in part])[:, None] / SHIFT_S
        return [scaled, odds], [right, np.nan_to_num(shifts)], [counts, counts * right[:, 0]]

    scaled, odds = keras.Input((len(mean),)), keras.Input((1,))
    x = scaled
    layers = [keras.layers.Dense(width, activation="relu") for width in HIDDEN]
    layers.append(keras.layers.Dense(2, kernel_initializer="zeros"))  # it begins with nothing to add
    for layer in layers[:-1]:
        x = keras.layers.Dropout(_DROPOUT)(layer(x))
    said = layers[-1](x)
    network = keras.Model([scaled, odds], [said[:, :1] + odds, said[:, 1:]])
    network.compile(
        optimizer=keras.optimizers.AdamW(_LEARNING_RATE, weight_decay=_WEIGHT_DECAY),
        loss=[keras.losses.BinaryCrossentropy(from_logits=True), keras.losses.MeanAbsoluteError()],
        jit_compile=keras.config.backend() == "jax",
    )
    telling, teaching = prepared(kept_out), prepared(others)
    before = network.evaluate(*telling[:2], sample_weight=telling[2], batch_size=4096, verbose=0)
    stopping = keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)
    fitted = network.fit(
        *teaching[:2],
        sample_weight=teaching[2],
        validation_data=telling,
        batch_size=_BATCH,
        epochs=_ROUNDS,
        callbacks=[stopping],
        verbose=0,
    )
    if min(fitted.history["val_loss"]) > float(np.ravel(before)[0]) - _LEAST_GAIN:
        return None
    return tuple((np.asarray(layer.kernel.numpy()), np.asarray(layer.bias.numpy())) for layer in layers)
