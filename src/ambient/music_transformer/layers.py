"""The layers of the composer: relative attention by skewing, and the block around it.

Conventions: B batch, T tokens, H heads, D head width, E model width, R rows of the distance table. Attention follows
Huang et al. 2018, "Music Transformer": the logit of query i and key j is (q_i · k_j + q_i · e(i - j)) / sqrt(D), where
e is learned for each head and each distance below `max_distance`; all farther distances share the farthest row
(tensor2tensor uses zeros there). No other position information exists, so a model runs at any length. A token sees
itself and at most `window - 1` tokens before it.
"""

from typing import Any

import keras
from keras import ops

QUERIES_AT_ONCE = 256  # bounds the memory of attention; keys after the last of them are not looked at


def skew(by_distance: Any) -> Any:
    """Turn logits by distance into logits by key, without a tensor of queries × keys × D.

    Args:
        by_distance: [B, H, Q, K], Q <= K; column r belongs to distance K - 1 - r. The last query stands at the last
            key.

    Returns:
        [B, H, Q, K]; entry (i, j) holds distance K - Q + i - j. Entries of negative distance are rubbish: mask them.
    """
    _, heads, queries, keys = by_distance.shape
    padded = ops.pad(by_distance, [[0, 0], [0, 0], [0, 0], [1, 0]])  # [B, H, Q, K + 1]
    row = ops.reshape(padded, (-1, heads, queries * (keys + 1)))
    return ops.reshape(row[:, :, queries:], (-1, heads, queries, keys))  # [B, H, Q, K]


class RelativeAttention(keras.layers.Layer):
    """Causal self-attention with learned relative positions.

    Call: x [B, T, E] -> [B, T, E]. T must be known when the layer is traced.
    """

    def __init__(self, width: int, heads: int, max_distance: int, window: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # === Layers ===
        self.qkv = keras.layers.Dense(3 * width, use_bias=False, name="qkv")
        self.out = keras.layers.Dense(width, use_bias=False, name="out")
        # === Config ===
        self.width, self.heads = width, heads
        self.max_distance, self.window = max_distance, window
        self.head_width = width // heads

    def build(self, input_shape: tuple) -> None:
        """Make the weights; the distance table runs from far to near."""
        self.qkv.build(input_shape)
        self.out.build((*input_shape[:-1], self.width))
        self.distances = self.add_weight(
            name="distances",
            shape=(self.heads, self.max_distance, self.head_width),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )  # [H, R, D]
        self.built = True

    def call(self, x: Any) -> Any:
        """Attend."""
        length = x.shape[1]
        qkv = ops.reshape(self.qkv(x), (-1, length, 3, self.heads, self.head_width))  # [B, T, 3, H, D]
        query, key, value = (ops.transpose(qkv[:, :, i], (0, 2, 1, 3)) for i in range(3))  # [B, H, T, D]
        query = query / self.head_width**0.5
        mixed = []
        for start in range(0, length, QUERIES_AT_ONCE):
            end = min(start + QUERIES_AT_ONCE, length)
            first = max(0, start - self.window + 1)  # key in reach
            mixed.append(self._mix(query[:, :, start:end], key[:, :, first:end], value[:, :, first:end]))
        joined = mixed[0] if len(mixed) == 1 else ops.concatenate(mixed, axis=2)  # [B, H, T, D]
        return self.out(ops.reshape(ops.transpose(joined, (0, 2, 1, 3)), (-1, length, self.width)))

    def _mix(self, query: Any, key: Any, value: Any) -> Any:
        """Attend with [B, H, Q, D] to [B, H, K, D]; the last query stands at the last key."""
        queries, keys = query.shape[2], key.shape[2]
        near = min(keys, self.max_distance)
        table = self.distances[:, self.max_distance - near :, :]  # [H, min(K, R), D]
        by_distance = ops.einsum("bhtd,hrd->bhtr", query, ops.cast(table, query.dtype))
        if keys > near:  # all farther distances share the farthest row
            far = ops.repeat(by_distance[..., :1], keys - near, axis=-1)
            by_distance = ops.concatenate([far, by_distance], axis=-1)  # [B, H, Q, K]
        logits = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) + skew(by_distance)  # [B, H, Q, K]
        attention = ops.softmax(ops.cast(logits, "float32") + self._mask(queries, keys), axis=-1)  # [B, H, Q, K]
        return ops.matmul(ops.cast(attention, value.dtype), value)  # [B, H, Q, D]

    def _mask(self, queries: int, keys: int) -> Any:
        distance = ops.arange(keys - queries, keys)[:, None] - ops.arange(keys)[None, :]
        visible = ops.logical_and(distance >= 0, distance < self.window)
        return ops.where(visible, 0.0, -1e9)  # [Q, K]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        shape = {"width": self.width, "heads": self.heads}
        return {**super().get_config(), **shape, "max_distance": self.max_distance, "window": self.window}


class Block(keras.layers.Layer):
    """Attention and a feed-forward layer, each behind a norm and added to the stream (pre-norm).

    Call: x [B, T, E] -> [B, T, E].
    """

    def __init__(
        self, width: int, heads: int, feed_forward: int, max_distance: int, window: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        # === Layers ===
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="attention_norm")
        self.attention = RelativeAttention(width, heads, max_distance, window, name="attention")
        self.attention_dropout = keras.layers.Dropout(dropout)
        self.feed_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="feed_norm")
        self.expand = keras.layers.Dense(feed_forward, activation="relu", name="expand")
        self.contract = keras.layers.Dense(width, name="contract")
        self.feed_dropout = keras.layers.Dropout(dropout)
        # === Config ===
        self.width, self.heads, self.feed_forward = width, heads, feed_forward
        self.max_distance, self.window, self.dropout = max_distance, window, dropout

    def build(self, input_shape: tuple) -> None:
        """Build the layers inside."""
        for layer in (self.attention_norm, self.attention, self.feed_norm, self.expand):
            layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.feed_forward))
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Run the block."""
        attended = self.attention(self.attention_norm(x))
        x = x + self.attention_dropout(attended, training=training)
        fed = self.contract(self.expand(self.feed_norm(x)))
        return x + self.feed_dropout(fed, training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        shape = {"width": self.width, "heads": self.heads, "feed_forward": self.feed_forward}
        reach = {"max_distance": self.max_distance, "window": self.window, "dropout": self.dropout}
        return {**super().get_config(), **shape, **reach}
