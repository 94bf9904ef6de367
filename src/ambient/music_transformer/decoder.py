"""The composer without a framework: the same function of the same weights as the Keras model, one note at a time.

Conventions: S songs that grow together, n new notes a call, m keys in reach, H heads, D head width, E model width;
float32 throughout, angles in float64. Keys and values of the last `window - 1` notes are kept, so memory and time per
note are constant at any length, and equal to the Keras model's, whose attention has the same window. The gain and shift
of each norm are folded into the product after it, the scale of the queries too. Whatever is added to the stream has
mean zero (embeddings and products are centred beforehand), so no norm centres it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.model_folder import load_config, load_weights
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.rows import (
    CHOSEN_OFFSETS,
    CHOSEN_SIZE,
    FIELD_NAMES,
    FIELD_SIZES,
    INPUT_OFFSETS,
    INPUT_SIZE,
    NO_PITCH,
    TIME,
    wavelengths,
)

CHUNK = 256  # notes a call of the primer; bounds the memory that reading it takes
EPSILON = 1e-5
COLUMNS = 64


class _Memory:
    """One piece of memory for all matrices.

    Each note goes through all of them. For 4 MB and more numpy asks the kernel for large pages, of which the processor
    has to look up few; in pieces of their own most matrices are smaller, and a note takes a tenth longer.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        most = sum(array.size + COLUMNS * len(array) for array in weights.values())  # columns may be filled up
        self._free = np.empty(most, np.float32)

    def keep(self, array: np.ndarray) -> np.ndarray:
        """Return a contiguous copy."""
        kept, self._free = self._free[: array.size].reshape(array.shape), self._free[array.size :]
        kept[...] = array
        return kept


class _Product:
    """Multiplies rows with a matrix and adds a bias.

    Call: x [N, K] -> [N, M]. For one song the longer side of the matrix lies in a row in memory, which takes half as
    long. Up to 10^6 multiplications OpenBLAS takes a matrix as it stands; of a larger product it first copies the
    matrix into an order of its own, which for few rows takes twice as long as multiplying. So where songs grow together
    the matrix is kept as blocks of columns, the last filled up with zeros.
    """

    def __init__(self, matrix: np.ndarray, bias: np.ndarray | None, memory: _Memory, *, songs: int) -> None:
        self.width, self.bias = matrix.shape[1], bias
        if songs > 1:
            filled = np.pad(matrix, [(0, 0), (0, -self.width % COLUMNS)])
            matrix = filled.reshape(len(matrix), -1, COLUMNS).transpose(1, 0, 2)  # [M / 64, K, 64]
        is_tall = songs == 1 and matrix.shape[0] > matrix.shape[1]
        self.matrix = memory.keep(matrix.T).T if is_tall else memory.keep(matrix)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Multiply."""
        product = x @ self.matrix
        if self.matrix.ndim == 3:
            product = product.transpose(1, 0, 2).reshape(len(x), -1)[:, : self.width]
        if self.bias is not None:
            product += self.bias
        return product


class _Block:
    """Weights of one block."""

    def __init__(
        self, config: ModelConfig, weights: Mapping[str, np.ndarray], prefix: str, memory: _Memory, songs: int
    ) -> None:
        qkv = weights[f"{prefix}/attention/qkv/kernel"].copy()
        qkv[:, : config.width] /= np.float32(config.head_width**0.5)
        qkv[:, : 2 * config.width] = _pairs_together(qkv[:, : 2 * config.width], config.head_width)
        self.qkv = _fold_norm(weights, f"{prefix}/attention_norm", qkv, None, memory, songs=songs)
        self.out = _Product(_centred(weights[f"{prefix}/attention/out/kernel"]), None, memory, songs=songs)
        expand, bias = weights[f"{prefix}/expand/kernel"], weights[f"{prefix}/expand/bias"]
        self.expand = _fold_norm(weights, f"{prefix}/feed_norm", expand, bias, memory, songs=songs)
        kernel, bias = weights[f"{prefix}/contract/kernel"], weights[f"{prefix}/contract/bias"]
        self.contract = _Product(_centred(kernel), _centred(bias), memory, songs=songs)


class _Choice:
    """Weights of the head that chooses one field."""

    def __init__(self, weights: Mapping[str, np.ndarray], prefix: str, memory: _Memory, songs: int) -> None:
        kernel, bias = weights[f"{prefix}/hidden/kernel"], weights[f"{prefix}/hidden/bias"]
        self.hidden = _fold_norm(weights, f"{prefix}/norm", kernel, bias, memory, songs=songs)
        kernel, bias = weights[f"{prefix}/to_logits/kernel"], weights[f"{prefix}/to_logits/bias"]
        self.to_logits = _Product(kernel, bias, memory, songs=songs)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return logits [N, choices] of [N, E]."""
        return self.to_logits(_squared_relu(self.hidden(_normal(x))))


class Decoder:
    """What the music so far says of the next note, for songs that grow together.

    Hearing notes gives a state; `choose` reads a field's logits off it, `add_choice` adds the choice to it.

    Args:
        config: Shape of the model.
        weights: Tensors by the names that the Keras model gives them.
        songs: How many songs S grow together; they share the work of reading the weights.
        source: Where the weights came from, for the message if they do not fit.

    Raises:
        InputError: a tensor is missing or of another shape.
    """

    def __init__(
        self, config: ModelConfig, weights: Mapping[str, np.ndarray], *, songs: int = 1, source: object = "weights"
    ) -> None:
        _check(config, weights, source)
        self.config, self.songs = config, songs
        self.embedding = _centred(weights["music_transformer/embedding/embeddings"])
        self.chosen = _centred(weights["music_transformer/chosen/embeddings"])
        memory = _Memory(weights)
        names = (f"music_transformer/block_{index}" for index in range(config.layers))
        self.blocks = [_Block(config, weights, name, memory, songs) for name in names]
        self.choices = [_Choice(weights, f"music_transformer/choose_{name}", memory, songs) for name in FIELD_NAMES]
        self.rates = [1 / each for each in wavelengths(config.head_width)]
        room = config.window - 1 + CHUNK
        self.cache = np.zeros((config.layers, 2, songs, config.heads, room, config.head_width), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self.held = 0  # cache entries in use
        self.count = 0  # notes heard

    def reorder(self, songs: np.ndarray) -> None:
        """Let song i go on from what song `songs[i]` heard; with fewer than S, the later ones are not stepped on."""
        for each in self.cache:  # [2, S, H, room, D]
            each[:, : len(songs), :, : self.held] = each[:, songs, :, : self.held]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Hear a stretch that all songs share, and return the state after each of its notes that can still be felt.

        Only that part is computed: each block sees `window` notes.

        Args:
            rows: [n, 14] at least one.

        Returns:
            [up to n, E], the last ones.
        """
        felt = np.asarray(rows)[-(self.config.layers * (self.config.window - 1) + 1) :]
        states = [self._hidden(felt[None, start : start + CHUNK])[0] for start in range(0, len(felt), CHUNK)]
        heard = self.cache[..., : self.held, :]
        heard[:, :, 1:] = heard[:, :, :1]  # the first song has heard it for all
        return np.concatenate(states)

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Hear one note for each of the first songs; up to [S, 14] -> state, as many times [E]."""
        return self._hidden(np.asarray(rows)[:, None])[:, 0]

    def states(self, rows: np.ndarray) -> np.ndarray:
        """Hear [S, n, 14] rows, n up to `CHUNK`, and return the state after each, [S, n, E]."""
        return self._hidden(np.asarray(rows))

    def choose(self, field: int, state: np.ndarray) -> np.ndarray:
        """Return the logits of a field, 0 the gap to 3 the velocity: [N, E] -> [N, choices]."""
        return self.choices[field](state)

    def add_choice(self, field: int, state: np.ndarray, choices: np.ndarray) -> np.ndarray:
        """Return the state [N, E] that knows what was chosen, [N], of field 0, 1 or 2."""
        after: np.ndarray = state + self.chosen[choices + CHOSEN_OFFSETS[field]]
        return after

    def _hidden(self, rows: np.ndarray) -> np.ndarray:
        songs, count = rows.shape[:2]
        kept = self.config.window - 1
        if self.held + count > kept + CHUNK:  # move the part still in reach to the front
            for each in self.cache:
                each[..., :kept, :] = each[..., self.held - kept : self.held, :].copy()
            self.held = kept
        pitches = rows[..., 1:2]
        ids = np.concatenate([rows[..., :TIME], np.where(pitches < NO_PITCH, pitches % 12, 12)], axis=-1)
        embedded = self.embedding[ids + INPUT_OFFSETS]  # [S, n, 14, E]
        x = embedded.sum(axis=2).reshape(songs * count, -1)  # [S * n, E]
        turns = self._turns(rows)
        for block, cache in zip(self.blocks, self.cache, strict=True):
            x += self._attend(block, cache, block.qkv(_normal(x)), turns)
            x += block.contract(_squared_relu(block.expand(_normal(x))))
        self.held += count
        self.count += count
        return x.reshape(songs, count, -1)

    def _turns(self, rows: np.ndarray) -> np.ndarray:
        """Return by what each pair of columns is turned, [S, 1, n, D / 2] complex64."""
        order = np.broadcast_to(self.count + np.arange(rows.shape[1]), rows.shape[:2])
        positions = (order, rows[..., TIME], rows[..., 1])
        turns = [place[..., None] * rate for place, rate in zip(positions, self.rates, strict=True)]
        return np.exp(2j * np.pi * np.concatenate(turns, axis=-1)[:, None]).astype(np.complex64)

    def _attend(self, block: _Block, cache: np.ndarray, qkv: np.ndarray, turns: np.ndarray) -> np.ndarray:
        config = self.config
        songs, count = turns.shape[0], turns.shape[2]
        split = qkv.reshape(songs, count, 3, config.heads, config.head_width).transpose(2, 0, 3, 1, 4)
        query, key = (split[:2].view(np.complex64) * turns).view(np.float32)  # [S, H, n, D]
        start, end = max(0, self.held - config.window + 1), self.held + count
        cache[0, :songs, :, self.held : end] = key
        cache[1, :songs, :, self.held : end] = split[2]
        keys, values = cache[:, :songs, :, start:end]  # [S, H, m, D]
        logits = query @ keys.swapaxes(2, 3)  # [S, H, n, m]
        if count > 1:
            distance = np.arange(self.held, end)[:, None] - np.arange(start, end)[None, :]  # [n, m]
            logits += np.where((distance >= 0) & (distance < config.window), np.float32(0), np.float32(-1e9))
        logits -= np.maximum.reduce(logits, axis=3, keepdims=True)
        np.exp(logits, out=logits)
        mixed = logits @ values  # [S, H, n, D]
        mixed /= np.add.reduce(logits, axis=3, keepdims=True)
        return block.out(mixed.swapaxes(1, 2).reshape(songs * count, config.width))


def load_decoder(folder: Path | str, *, songs: int = 1) -> Decoder:
    """Read a model folder.

    Raises:
        InputError: not a composer's folder, or damaged.
    """
    config = ModelConfig.from_json(load_config(folder, kind=KIND), source=folder)
    return Decoder(config, load_weights(folder), songs=songs, source=folder)


def _pairs_together(kernel: np.ndarray, head_width: int) -> np.ndarray:
    """Reorder the columns of all heads: those that are turned together, c and c + D / 2, come next to each other."""
    heads = kernel.reshape(len(kernel), -1, 2, head_width // 2)
    return heads.swapaxes(2, 3).reshape(kernel.shape)


def _squared_relu(x: np.ndarray) -> np.ndarray:
    """Square what is above zero, in place."""
    np.maximum(x, 0.0, out=x)
    x *= x
    return x


def _normal(x: np.ndarray) -> np.ndarray:
    """Bring rows of mean 0 to variance 1; gain and shift are folded into the next product."""
    variance = np.vecdot(x, x)
    variance /= x.shape[1]
    variance += EPSILON
    result: np.ndarray = x / np.sqrt(variance)[:, None]
    return result


def _centred(rows: np.ndarray) -> np.ndarray:
    """Take the mean from each row."""
    wide = rows.astype(np.float64)
    return (wide - wide.mean(axis=-1, keepdims=True)).astype(np.float32)


def _fold_norm(
    weights: Mapping[str, np.ndarray],
    norm: str,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    memory: _Memory,
    *,
    songs: int,
) -> _Product:
    """Fold gain and shift of a norm into the product behind it."""
    shift = weights[f"{norm}/beta"] @ kernel
    bias = (shift if bias is None else shift + bias).astype(np.float32)
    return _Product(weights[f"{norm}/gamma"][:, None] * kernel, bias, memory, songs=songs)


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return every tensor's name and shape, as the Keras model has them."""
    width, hidden = config.width, config.feed_forward
    shapes: dict[str, tuple[int, ...]] = {
        "embedding/embeddings": (INPUT_SIZE, width),
        "chosen/embeddings": (CHOSEN_SIZE, width),
    }
    for block in (f"block_{index}" for index in range(config.layers)):
        for norm in ("attention_norm", "feed_norm"):
            shapes |= {f"{block}/{norm}/gamma": (width,), f"{block}/{norm}/beta": (width,)}
        shapes |= {f"{block}/attention/qkv/kernel": (width, 3 * width), f"{block}/attention/out/kernel": (width, width)}
        shapes |= {f"{block}/expand/kernel": (width, hidden), f"{block}/expand/bias": (hidden,)}
        shapes |= {f"{block}/contract/kernel": (hidden, width), f"{block}/contract/bias": (width,)}
    for name, size in zip(FIELD_NAMES, FIELD_SIZES, strict=True):
        head = f"choose_{name}"
        shapes |= {f"{head}/norm/gamma": (width,), f"{head}/norm/beta": (width,)}
        shapes |= {f"{head}/hidden/kernel": (width, width), f"{head}/hidden/bias": (width,)}
        shapes |= {f"{head}/to_logits/kernel": (width, size), f"{head}/to_logits/bias": (size,)}
    return {f"music_transformer/{name}": shape for name, shape in shapes.items()}


def _check(config: ModelConfig, weights: Mapping[str, np.ndarray], source: object) -> None:
    for name, shape in tensor_shapes(config).items():
        found = f"has shape {weights[name].shape}" if name in weights else "is missing"
        if name not in weights or weights[name].shape != shape:
            raise InputError(source, f"tensor {name} {found}", f"expected {shape}", "Copy the whole model folder again")
