import keras
import numpy as np
import pytest

from ambient.music_transformer import layers
from ambient.music_transformer.layers import Block, RelativeAttention, skew


def slow_attention(layer, x):
    """Attention written out one query, one key and one distance at a time."""
    kernel = np.asarray(layer.qkv.kernel)
    table = np.asarray(layer.distances)  # [H, R, D], far to near
    batch, length, width = x.shape
    heads, rows, head_width = table.shape
    qkv = (x @ kernel).reshape(batch, length, 3, heads, head_width)
    mixed = np.zeros((batch, length, heads, head_width))
    for b in range(batch):
        for h in range(heads):
            for i in range(length):
                keys = range(max(0, i - layer.window + 1), i + 1)
                logits = []
                for j in keys:
                    row = rows - 1 - min(i - j, rows - 1)
                    query = qkv[b, i, 0, h]
                    logits.append((query @ qkv[b, j, 1, h] + query @ table[h, row]) / head_width**0.5)
                weights = np.exp(np.array(logits) - max(logits))
                weights /= weights.sum()
                mixed[b, i, h] = sum(w * qkv[b, j, 2, h] for w, j in zip(weights, keys, strict=True))
    return mixed.reshape(batch, length, width) @ np.asarray(layer.out.kernel)


def test_skewing_puts_each_distance_at_its_key():
    length = 5
    by_distance = np.broadcast_to(np.arange(length)[::-1], (1, 1, length, length)).astype("float32")
    skewed = np.asarray(skew(keras.ops.convert_to_tensor(by_distance)))[0, 0]
    for i in range(length):
        for j in range(i + 1):
            assert skewed[i, j] == i - j


@pytest.mark.parametrize("at_once", [256, 4])
@pytest.mark.parametrize("length", [2, 3, 6, 7, 20])
def test_relative_attention_equals_the_slow_one_within_and_beyond_its_reach(length, at_once, monkeypatch):
    monkeypatch.setattr(layers, "QUERIES_AT_ONCE", at_once)
    layer = RelativeAttention(width=8, heads=2, max_distance=6, window=12)
    layer.build((None, None, 8))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    x = rng.normal(0, 1, (2, length, 8)).astype("float32")
    assert np.asarray(layer(x)) == pytest.approx(slow_attention(layer, x), abs=1e-5)


@pytest.mark.parametrize(
    "layer",
    [RelativeAttention(8, 2, 6, 12), Block(8, 2, 16, 6, 12, 0.1)],
    ids=["attention", "block"],
)
def test_layers_serialise(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
