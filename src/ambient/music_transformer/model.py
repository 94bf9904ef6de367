"""The composer as a Keras model: rows of notes in, logits of the four fields of each next note out.

Decoder-only and pre-norm over notes; all order, time and pitch is relative (`layers.py`). From what the blocks make of
the music so far, a small head each chooses the time until the next note, its pitch, its length and its velocity, each
head knowing what the ones before it chose.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ambient.model_folder import assign_weights, load_config, load_weights
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.layers import Angles, Block, FieldChoice
from ambient.music_transformer.rows import (
    CHOSEN_OFFSETS,
    CHOSEN_SIZE,
    COLUMNS,
    FIELD_NAMES,
    FIELD_SIZES,
    INPUT_OFFSETS,
    INPUT_SIZE,
    NO_PITCH,
    TIME,
)


class MusicTransformer(keras.Model):
    """Call: rows [B, T + 1, 14] int32 -> logits [B, T, 515], float32.

    The logits at t belong to the note of row t + 1; they see the rows up to t, and of row t + 1 the fields that come
    before the one predicted. The four fields stand side by side in the order of `FIELD_SIZES`.
    """

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "music_transformer")
        super().__init__(**kwargs)
        # === Layers ===
        self.embedding = keras.layers.Embedding(
            INPUT_SIZE,
            config.width,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=seed),
            name="embedding",
        )
        self.chosen = keras.layers.Embedding(
            CHOSEN_SIZE,
            config.width,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=seed + 1),
            name="chosen",
        )
        self.angles = Angles(config.head_width)
        self.embedding_dropout = keras.layers.Dropout(config.dropout)
        self.blocks = [
            Block(config.width, config.heads, config.feed_forward, config.window, config.dropout, name=f"block_{index}")
            for index in range(config.layers)
        ]
        self.choices = [
            FieldChoice(config.width, size, name=f"choose_{name}")
            for name, size in zip(FIELD_NAMES, FIELD_SIZES, strict=True)
        ]
        # === Config ===
        self.config = config

    def build(self, input_shape: tuple) -> None:
        """Build the layers inside."""
        inner = (*input_shape[:2], self.config.width)
        self.embedding.build(input_shape)
        self.chosen.build(input_shape)
        for block in self.blocks:
            block.build(inner)
        for choice in self.choices:
            choice.build(inner)
        self.built = True

    def call(self, rows: Any, training: bool = False) -> Any:
        """Return the logits of each next note."""
        heard, following = rows[:, :-1], rows[:, 1:]
        pitches = heard[..., 1:2]
        classes = ops.where(pitches < NO_PITCH, pitches % 12, 12)
        ids = ops.concatenate([heard[..., :TIME], classes], axis=-1) + INPUT_OFFSETS
        x = ops.sum(self.embedding(ids), axis=2)  # [B, T, E]
        x = self.embedding_dropout(x, training=training)
        cosine, sine = self.angles(heard[..., 1], heard[..., TIME])
        for block in self.blocks:
            x = block(x, cosine, sine, training=training)  # [B, T, E]
        limits = np.array(FIELD_SIZES[:3], np.int32) - 1
        picked = self.chosen(ops.minimum(following[..., :3], limits) + CHOSEN_OFFSETS)  # [B, T, 3, E]
        logits = [self.choices[0](x)]
        for choice, known in zip(self.choices[1:], ops.unstack(picked, axis=2), strict=True):
            x = x + known  # [B, T, E]
            logits.append(choice(x))
        return ops.concatenate([ops.cast(each, "float32") for each in logits], axis=-1)  # [B, T, 515]


def build_model(config: ModelConfig, *, seed: int = 0) -> MusicTransformer:
    """Make a model with fresh weights; the same seed gives the same weights and the same dropout."""
    keras.utils.set_random_seed(seed)
    model = MusicTransformer(config, seed=seed)
    model.build((None, None, COLUMNS))
    return model


def load_model(folder: Path | str, *, dropout: float | None = None) -> MusicTransformer:
    """Rebuild the model that a model folder holds, to be trained on with its own dropout or another.

    Raises:
        InputError: not a composer's folder, or damaged.
    """
    config = ModelConfig.from_json(load_config(folder, kind=KIND), source=folder)
    model = build_model(config if dropout is None else replace(config, dropout=dropout))
    assign_weights(model, load_weights(folder), source=folder)
    return model


def use_precision(name: str) -> None:
    """Compute the matrix products of models made from now on in `float32` or `bfloat16`; weights stay float32."""
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else "float32")


def share_batches() -> int:
    """Split each batch of models made from now on among all devices of the machine; return how many there are.

    The weights stand on each, and gradients are averaged over all (data parallel). Keras can do that with JAX; with
    other backends one device works.
    """
    if keras.config.backend() != "jax":
        return 1
    devices = keras.distribution.list_devices()
    if len(devices) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    return len(devices)


def field_nats(labels: Any, logits: Any) -> tuple[list[Any], list[Any]]:
    """Return the cross-entropy of each field in nats and where it counts: four times [B, T] each.

    Args:
        labels: [B, T, 4] int; -1 where a field does not count.
        logits: [B, T, 515].
    """
    nats, counts = [], []
    fields = ops.split(logits, np.cumsum(FIELD_SIZES[:-1]).tolist(), axis=-1)
    for index, field in enumerate(fields):
        label = labels[..., index]
        real = ops.cast(label >= 0, "float32")
        loss = keras.losses.sparse_categorical_crossentropy(ops.maximum(label, 0), field, from_logits=True)
        nats.append(loss * real)
        counts.append(real)
    return nats, counts


def note_loss(labels: Any, logits: Any) -> Any:
    """Return the mean cross-entropy in nats a note, its fields added up; ends of pieces count as notes."""
    nats, counts = field_nats(labels, logits)
    return ops.sum(sum(nats)) / ops.maximum(ops.sum(counts[0]), 1.0)
