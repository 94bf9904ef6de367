"""Fit the judge to notes that are known right or wrong, beside the logistic regression whose odds it corrects.

Every fifth take tells when to stop. Takes count alike whatever they hold; more exactly each note by the square root of
how many its take has, as pianos have ten times the notes of pads.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ambient.onsets_and_frames.calibration import Judged
from ambient.onsets_and_frames.judge import HIDDEN, MOST, Judge

_BATCH, _ROUNDS, _PATIENCE = 256, 40, 6
_LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 1.5e-3, 0.02, 0.15
_LEAST_DEVIATION = 1e-3
_KEPT_OUT = 5  # every fifth take
_LEAST_GAIN = 0.005  # nats a note


def fit_judge(takes: Sequence[Judged], *, seed: int = 0) -> Judge | None:
    """Fit a judge.

    Args:
        takes: Notes that may be, in takes that no training used.
        seed: Of the weights and of the order of the notes.

    Returns:
        None where there are fewer than two takes with notes, or nothing is gained on those kept out.
    """
    keras.utils.set_random_seed(seed)
    kept_out = [take for index, take in enumerate(takes) if index % _KEPT_OUT == 0 and len(take.right)]
    others = [take for index, take in enumerate(takes) if index % _KEPT_OUT and len(take.right)]
    if not kept_out or not others:
        return None
    evidence = np.concatenate([take.surroundings for take in others])
    mean, deviation = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), _LEAST_DEVIATION)

    def prepared(part: Sequence[Judged]) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
        scaled = np.concatenate([np.clip((take.surroundings - mean) / deviation, -MOST, MOST) for take in part])
        odds = np.concatenate([take.odds for take in part])[:, None]
        counts = np.concatenate([np.full(len(take.right), len(take.right) ** -0.5) for take in part])
        right = np.concatenate([take.right for take in part]).astype(np.float32)[:, None]
        return (scaled, odds), right, counts / counts.mean()

    scaled, odds = keras.Input((evidence.shape[1],)), keras.Input((1,))
    x = scaled
    layers = [keras.layers.Dense(width, activation="relu") for width in HIDDEN]
    layers.append(keras.layers.Dense(1, kernel_initializer="zeros"))  # it begins with nothing to add
    for layer in layers[:-1]:
        x = keras.layers.Dropout(_DROPOUT)(layer(x))
    network = keras.Model([scaled, odds], ops.add(layers[-1](x), odds))
    network.compile(
        optimizer=keras.optimizers.AdamW(_LEARNING_RATE, weight_decay=_WEIGHT_DECAY),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.config.backend() == "jax",
    )
    inputs, right, counts = prepared(kept_out)
    before = float(network.evaluate(inputs, right, sample_weight=counts, batch_size=4096, verbose=0))
    stopping = keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)
    others_inputs, others_right, others_counts = prepared(others)
    fitted = network.fit(
        others_inputs,
        others_right,
        sample_weight=others_counts,
        validation_data=(inputs, right, counts),
        batch_size=_BATCH,
        epochs=_ROUNDS,
        callbacks=[stopping],
        verbose=0,
    )
    if min(fitted.history["val_loss"]) > before - _LEAST_GAIN:
        return None
    weights = [(np.asarray(layer.kernel.numpy()), np.asarray(layer.bias.numpy())) for layer in layers]
    return Judge(mean.astype(np.float32), deviation.astype(np.float32), tuple(weights))
