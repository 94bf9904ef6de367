"""The layers of the composer: attention that turns with order, time and pitch, and the block around it.

Conventions: B batch, T notes, H heads, D head width, E model width. Attention is relative in the sense of Huang et
al. 2018 ("Music Transformer", section on relative time and pitch): how much note j matters to note i depends on what
the two are and on how far they stand apart, in notes, in seconds and in semitones, never on where they stand. Instead
of learned tables it uses rotary embeddings (Su et al. 2021, arXiv:2104.09864): pairs of a head's columns are turned
by an angle in proportion to a position, so that the product of query and key depends on the difference. Of 32 pairs
ten turn with the number of the note, fourteen with its start, eight with its pitch; no table for each pair of notes
is needed. A note sees itself and at most `window - 1` notes before it.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from ambient.music_transformer.rows import wavelengths

QUERIES_AT_ONCE = 256  # bounds the memory of attention; keys after the last of them are not looked at


class Angles(keras.layers.Layer):
    """Positions to the cosine and sine by which queries and keys are turned.

    Call: pitches [B, T] int, starts [B, T] int in steps -> [B, 1, T, D / 2] twice, float32.
    """

    def __init__(self, head_width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head_width = head_width
        self.rates = [1 / each for each in wavelengths(head_width)]  # turns a note, a step, a semitone

    def call(self, pitches: Any, starts: Any) -> Any:
        """Turn positions into angles; whole turns are taken off before they cost precision."""
        order = ops.cast(ops.arange(starts.shape[1]), "float32")[None, :, None]
        turns = [
            ops.broadcast_to(order * self.rates[0], (*ops.shape(starts), len(self.rates[0]))),
            ops.cast(starts, "float32")[..., None] * self.rates[1],
            ops.cast(pitches, "float32")[..., None] * self.rates[2],
        ]
        turn = ops.concatenate(turns, axis=-1)  # [B, T, D / 2]
        angle = ((turn - ops.floor(turn)) * np.float32(2 * np.pi))[:, None]
        return ops.cos(angle), ops.sin(angle)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "head_width": self.head_width}


def turned(x: Any, cosine: Any, sine: Any) -> Any:
    """Turn the columns of [B, H, T, D] in pairs: column c goes with column c + D / 2."""
    left, right = ops.split(x, 2, axis=-1)
    return ops.concatenate([left * cosine - right * sine, left * sine + right * cosine], axis=-1)


class RotaryAttention(keras.layers.Layer):
    """Causal self-attention, relative in order, time and pitch.

    Call: x [B, T, E], cosine and sine [B, 1, T, D / 2] -> [B, T, E]. T must be known when the layer is traced.
    """

    def __init__(self, width: int, heads: int, window: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # === Layers ===
        self.qkv = keras.layers.Dense(3 * width, use_bias=False, name="qkv")
        self.out = keras.layers.Dense(width, use_bias=False, name="out")
        # === Config ===
        self.width, self.heads, self.window = width, heads, window
        self.head_width = width // heads

    def build(self, input_shape: tuple, *_: tuple) -> None:
        """Make the weights."""
        self.qkv.build(input_shape)
        self.out.build((*input_shape[:-1], self.width))
        self.built = True

    def call(self, x: Any, cosine: Any, sine: Any) -> Any:
        """Attend."""
        length = x.shape[1]
        # Split, not sliced: TensorFlow's gradient of a slice writes the whole tensor once more for each.
        query, key, value = (self._by_head(part) for part in ops.split(self.qkv(x), 3, axis=-1))  # [B, H, T, D]
        cosine, sine = ops.cast(cosine, query.dtype), ops.cast(sine, query.dtype)
        query = turned(query / self.head_width**0.5, cosine, sine)
        key = turned(key, cosine, sine)
        mixed = []
        starts = list(range(0, length, QUERIES_AT_ONCE))
        parts = ops.split(query, starts[1:], axis=2) if len(starts) > 1 else [query]
        for start, part in zip(starts, parts, strict=True):
            first, end = max(0, start - self.window + 1), min(start + QUERIES_AT_ONCE, length)  # keys in reach
            all_in_reach = first == 0 and end == length
            keys, values = (each if all_in_reach else each[:, :, first:end] for each in (key, value))
            mixed.append(self._mix(part, keys, values))
        joined = mixed[0] if len(mixed) == 1 else ops.concatenate(mixed, axis=2)  # [B, H, T, D]
        return self.out(ops.reshape(ops.transpose(joined, (0, 2, 1, 3)), (-1, length, self.width)))

    def _by_head(self, x: Any) -> Any:
        """Part the columns among the heads: [B, T, E] -> [B, H, T, D]."""
        return ops.transpose(ops.reshape(x, (-1, x.shape[1], self.heads, self.head_width)), (0, 2, 1, 3))

    def _mix(self, query: Any, key: Any, value: Any) -> Any:
        """Attend with [B, H, Q, D] to [B, H, K, D]; the last query stands at the last key."""
        logits = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # [B, H, Q, K]
        logits = ops.cast(logits, "float32") + self._mask(query.shape[2], key.shape[2])
        return ops.matmul(ops.cast(ops.softmax(logits, axis=-1), value.dtype), value)  # [B, H, Q, D]

    def _mask(self, queries: int, keys: int) -> Any:
        distance = np.arange(keys - queries, keys)[:, None] - np.arange(keys)[None, :]
        visible = (distance >= 0) & (distance < self.window)
        return ops.convert_to_tensor(np.where(visible, 0.0, -1e9).astype(np.float32))  # [Q, K]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width, "heads": self.heads, "window": self.window}


class Block(keras.layers.Layer):
    """Attention and a feed-forward layer, each behind a norm and added to the stream (pre-norm).

    Call: x [B, T, E], cosine and sine [B, 1, T, D / 2] -> [B, T, E]. The feed-forward layer squares what its ReLU lets
    through (So et al. 2021, "Primer").
    """

    def __init__(self, width: int, heads: int, feed_forward: int, window: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # === Layers ===
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.attention = RotaryAttention(width, heads, window, name="attention")
        self.attention_dropout = keras.layers.Dropout(dropout)
        self.feed_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="feed_norm")
        self.expand = keras.layers.Dense(feed_forward, name="expand")
        self.contract = keras.layers.Dense(width, name="contract")
        self.feed_dropout = keras.layers.Dropout(dropout)
        # === Config ===
        self.width, self.heads, self.feed_forward = width, heads, feed_forward
        self.window, self.dropout = window, dropout

    def build(self, input_shape: tuple, *_: tuple) -> None:
        """Build the layers inside."""
        for layer in (self.attention_norm, self.attention, self.feed_norm, self.expand):
            layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.feed_forward))
        self.built = True

    def call(self, x: Any, cosine: Any, sine: Any, training: bool = False) -> Any:
        """Run the block."""
        attended = self.attention(self.attention_norm(x), cosine, sine)
        x = x + self.attention_dropout(attended, training=training)
        fed = self.contract(ops.square(ops.relu(self.expand(self.feed_norm(x)))))
        return x + self.feed_dropout(fed, training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        shape = {"width": self.width, "heads": self.heads, "feed_forward": self.feed_forward}
        return {**super().get_config(), **shape, "window": self.window, "dropout": self.dropout}


class FieldChoice(keras.layers.Layer):
    """Logits of one field of the next note.

    Call: x [B, T, E], what is known of the note so far -> [B, T, choices], float32.
    """

    def __init__(self, width: int, choices: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # === Layers ===
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        self.hidden = keras.layers.Dense(width, name="hidden")
        self.to_logits = keras.layers.Dense(choices, dtype="float32", name="to_logits")
        # === Config ===
        self.width, self.choices = width, choices

    def build(self, input_shape: tuple) -> None:
        """Build the layers inside."""
        self.norm.build(input_shape)
        self.hidden.build(input_shape)
        self.to_logits.build((*input_shape[:-1], self.width))
        self.built = True

    def call(self, x: Any) -> Any:
        """Return the logits."""
        return self.to_logits(ops.square(ops.relu(self.hidden(self.norm(x)))))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width, "choices": self.choices}
