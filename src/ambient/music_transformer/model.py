"""The composer as a Keras model: tokens in, logits of the next token out.

Decoder-only, pre-norm, relative attention only. Differs from Huang et al. 2018 in that no sinusoid is added: the
relative positions carry all order, and the model runs at any length.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ambient.model_folder import assign_weights, load_config, load_weights
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.layers import Block
from ambient.music_transformer.tokens import PAD, VOCABULARY_SIZE


class MusicTransformer(keras.Model):
    """Call: tokens [B, T] -> logits [B, T, 391], float32; the logits at t see tokens 0..t."""

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "music_transformer")
        super().__init__(**kwargs)
        # === Layers ===
        self.embedding = keras.layers.Embedding(
            VOCABULARY_SIZE,
            config.width,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=seed),
            name="embedding",
        )
        self.embedding_dropout = keras.layers.Dropout(config.dropout)
        self.blocks = [
            Block(
                config.width,
                config.heads,
                config.feed_forward,
                config.max_distance,
                config.window,
                config.dropout,
                name=f"block_{index}",
            )
            for index in range(config.layers)
        ]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        self.to_logits = keras.layers.Dense(VOCABULARY_SIZE, dtype="float32", name="to_logits")
        # === Config ===
        self.config = config

    def build(self, input_shape: tuple) -> None:
        """Build the layers inside."""
        self.embedding.build(input_shape)
        inner = (*input_shape, self.config.width)
        for layer in (*self.blocks, self.norm, self.to_logits):
            layer.build(inner)
        self.built = True

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Return the logits of each next token."""
        x = self.embedding(tokens)  # [B, T, E]
        x = self.embedding_dropout(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)  # [B, T, E]
        return ops.cast(self.to_logits(self.norm(x)), "float32")  # [B, T, V]


def build_model(config: ModelConfig, *, seed: int = 0) -> MusicTransformer:
    """Make a model with fresh weights; the same seed gives the same weights and the same dropout."""
    keras.utils.set_random_seed(seed)
    model = MusicTransformer(config)
    model.build((None, None))
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


def token_loss(labels: Any, logits: Any) -> Any:
    """Return the mean cross-entropy in nats over the labels that are not padding."""
    nats = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)  # [B, T]
    real = ops.cast(ops.not_equal(labels, PAD), nats.dtype)  # [B, T]
    return ops.sum(nats * real) / ops.maximum(ops.sum(real), 1.0)
