import numpy as np
import pytest

from ambient.music_transformer import layers
from ambient.music_transformer.layers import Angles, Block, FieldChoice, RotaryAttention, turned
from ambient.music_transformer.rows import wavelengths

HEAD_WIDTH = 8


@pytest.fixture
def attention():
    """Two heads of width eight, every weight random."""
    layer = RotaryAttention(width=16, heads=2, window=12)
    layer.build((None, None, 16))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return layer


def stream(length, seed=0):
    """Values [2, T, 16], pitches and starts [2, T]."""
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.integers(0, 90, (2, length)), axis=1)
    return rng.normal(0, 1, (2, length, 16)).astype("float32"), rng.integers(30, 90, (2, length)), starts


def attended(layer, x, pitches, starts):
    return np.asarray(layer(x, *Angles(HEAD_WIDTH)(pitches, starts)))


def slow_attention(layer, x, pitches, starts):
    """Attention one query and one key at a time: pairs of columns as complex numbers, turned by differences."""
    kernel, heads, width = np.asarray(layer.qkv.kernel), layer.heads, layer.head_width
    batch, length, _ = x.shape
    qkv = (x @ kernel).reshape(batch, length, 3, heads, width)
    pairs = qkv[..., : width // 2] + 1j * qkv[..., width // 2 :]
    by_order, by_time, by_pitch = wavelengths(width)
    mixed = np.zeros((batch, length, heads, width))
    for b in range(batch):
        for h in range(heads):
            for i in range(length):
                keys = range(max(0, i - layer.window + 1), i + 1)
                logits = []
                for j in keys:
                    apart = [
                        *((i - j) / by_order),
                        *((starts[b, i] - starts[b, j]) / by_time),
                        *((pitches[b, i] - pitches[b, j]) / by_pitch),
                    ]
                    product = pairs[b, i, 0, h] * np.conj(pairs[b, j, 1, h]) * np.exp(2j * np.pi * np.array(apart))
                    logits.append(product.real.sum() / width**0.5)
                weights = np.exp(np.array(logits) - max(logits))
                weights /= weights.sum()
                mixed[b, i, h] = sum(w * qkv[b, j, 2, h] for w, j in zip(weights, keys, strict=True))
    return mixed.reshape(batch, length, -1) @ np.asarray(layer.out.kernel)


@pytest.mark.parametrize("at_once", [256, 4])
@pytest.mark.parametrize("length", [2, 11, 12, 13, 30])
def test_attention_equals_the_slow_one_within_and_beyond_its_window(attention, length, at_once, monkeypatch):
    monkeypatch.setattr(layers, "QUERIES_AT_ONCE", at_once)
    x, pitches, starts = stream(length)
    wanted = slow_attention(attention, x, pitches, starts)
    assert attended(attention, x, pitches, starts) == pytest.approx(wanted, abs=5e-4)


def test_attention_knows_how_far_apart_notes_are_never_where_they_are(attention):
    x, pitches, starts = stream(20)
    before = attended(attention, x, pitches, starts)
    assert attended(attention, x, pitches + 7, starts) == pytest.approx(before, abs=1e-4)
    assert attended(attention, x, pitches, starts + 3456) == pytest.approx(before, abs=1e-3)
    cosine, sine = (np.asarray(each) for each in Angles(HEAD_WIDTH)(pitches, starts))
    order = np.exp(2j * np.pi * 5 / wavelengths(HEAD_WIDTH)[0])  # the crop begins five notes later
    turned_on = (cosine + 1j * sine) * np.concatenate([order, np.ones(HEAD_WIDTH // 2 - len(order))])
    later = np.asarray(attention(x, turned_on.real.astype("float32"), turned_on.imag.astype("float32")))
    assert later == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("moved", ["pitch", "start"])
def test_attention_feels_the_pitch_and_the_start_of_a_single_note(attention, moved):
    x, pitches, starts = stream(20)
    before = attended(attention, x, pitches, starts)
    (pitches if moved == "pitch" else starts)[:, 15] += 3
    after = attended(attention, x, pitches, starts)
    assert (before[:, :15] == after[:, :15]).all()
    assert np.abs(before[:, 15:] - after[:, 15:]).max() > 1e-3


def test_attention_feels_the_order_of_notes_that_start_together(attention):
    x, pitches, starts = stream(6)
    pitches[:], starts[:] = 60, 100
    swapped = x[:, [1, 0, 2, 3, 4, 5]]
    before, after = (attended(attention, each, pitches, starts)[:, 2:] for each in (x, swapped))
    assert np.abs(before - after).max() > 1e-3


def test_angles_turn_once_in_a_wavelength():
    cosine, sine = Angles(HEAD_WIDTH)(np.array([[60, 72, 66]]), np.array([[0, 8, 12_000]]))
    angles = np.round(np.angle(np.asarray(cosine) + 1j * np.asarray(sine)) / (2 * np.pi), 5)[0, 0]
    # Columns: order in turns of 4 notes, time of 8 and of 24,000 steps, pitch of 12 semitones.
    assert np.abs(angles[:, 0]).tolist() == [0, 0.25, 0.5]
    assert np.abs(angles[:, 1]).tolist() == [0, 0, 0]
    assert np.abs(angles[:, 2]).tolist() == pytest.approx([0, 8 / 24_000, 0.5], abs=1e-5)
    assert np.abs(angles[:, 3]).tolist() == [0, 0, 0.5]


@pytest.mark.parametrize("head_width", [8, 16, 64, 128])
def test_there_is_an_angle_for_each_pair_of_columns(head_width):
    cosine, sine = Angles(head_width)(np.full((2, 5), 60), np.zeros((2, 5), int))
    assert cosine.shape == sine.shape == (2, 1, 5, head_width // 2)


def test_turning_keeps_lengths_and_pairs_column_c_with_c_plus_half():
    x = np.array([1.0, 0.0, 0.0, 2.0]).reshape(1, 1, 1, 4)
    quarter = np.asarray(turned(x, np.zeros((1, 1, 1, 2)), np.ones((1, 1, 1, 2)))).ravel()
    assert quarter.tolist() == [0.0, -2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "layer",
    [Angles(8), RotaryAttention(8, 2, 12), Block(8, 2, 16, 12, 0.1), FieldChoice(8, 32)],
    ids=["angles", "attention", "block", "choice"],
)
def test_layers_serialise(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
