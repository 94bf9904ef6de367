"""The composer without a framework: the same function of the same weights as the Keras model, one token at a time.

Conventions: S songs that share one clock, n new tokens a call, m keys in reach, H heads, D head width, E model width,
R rows of the distance table, V vocabulary; float32 throughout. Keys and values of the last `window - 1` tokens are
kept, so memory and time per token are constant at any length, and equal to the Keras model's, whose attention has the
same window. The gain and shift of each norm are folded into the product after it, the scale of the queries too.
Whatever is added to the stream has mean zero (embedding and products are centred beforehand), so no norm centres it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.model_folder import load_config, load_weights
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.tokens import VOCABULARY_SIZE

CHUNK = 256  # tokens a call of the primer; bounds the memory that reading it takes
EPSILON = 1e-5
COLUMNS = 64


class _Memory:
    """One piece of memory for all matrices.

    Each token goes through all of them. For 4 MB and more numpy asks the kernel for large pages, of which the processor
    has to look up few; in pieces of their own most matrices are smaller, and a token takes a tenth longer.
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

    Call: x [N, K] -> [N, M]. Up to 10^6 multiplications OpenBLAS takes a matrix as it stands; of a larger product it
    first copies the matrix into an order of its own, which for few rows takes twice as long as multiplying. So where
    songs grow together the matrix is kept as blocks of columns, the last filled up with zeros.
    """

    def __init__(self, matrix: np.ndarray, bias: np.ndarray | None, memory: _Memory, *, songs: int) -> None:
        self.width, self.bias = matrix.shape[1], bias
        if songs > 1:
            filled = np.pad(matrix, [(0, 0), (0, -self.width % COLUMNS)])
            matrix = filled.reshape(len(matrix), -1, COLUMNS).transpose(1, 0, 2)  # [M / 64, K, 64]
        self.matrix = memory.keep(matrix)

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
        self.qkv = _behind_norm(weights, f"{prefix}/attention_norm", qkv, None, memory, songs=songs)
        self.out = _Product(_centred(weights[f"{prefix}/attention/out/kernel"]), None, memory, songs=songs)
        expand, bias = weights[f"{prefix}/expand/kernel"], weights[f"{prefix}/expand/bias"]
        self.expand = _behind_norm(weights, f"{prefix}/feed_norm", expand, bias, memory, songs=songs)
        kernel, bias = weights[f"{prefix}/contract/kernel"], weights[f"{prefix}/contract/bias"]
        self.contract = _Product(_centred(kernel), _centred(bias), memory, songs=songs)
        distances = weights[f"{prefix}/attention/distances"]  # [H, R, D], far to near
        self.distances = memory.keep(distances.transpose(0, 2, 1))  # [H, D, R]


class Decoder:
    """Logits of the next token, for songs that grow together.

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
        memory = _Memory(weights)
        names = (f"music_transformer/block_{index}" for index in range(config.layers))
        self.blocks = [_Block(config, weights, name, memory, songs) for name in names]
        kernel, bias = weights["music_transformer/to_logits/kernel"], weights["music_transformer/to_logits/bias"]
        self.to_logits = _behind_norm(weights, "music_transformer/norm", kernel, bias, memory, songs=songs)
        room = config.window - 1 + CHUNK
        self.cache = np.zeros((config.layers, 2, songs, config.heads, room, config.head_width), np.float32)
        self.held = 0  # cache entries in use

    def reset(self) -> None:
        """Forget everything heard so far."""
        self.held = 0

    def reorder(self, songs: np.ndarray) -> None:
        """Let song i go on from what song `songs[i]` heard."""
        for each in self.cache:  # [2, S, H, room, D]
            each[..., : self.held, :] = each[:, songs, :, : self.held]

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Hear a stretch that all songs share, and return the logits after its last token.

        Only the part that can still be felt is computed: each block sees `window` tokens.

        Args:
            tokens: [n] at least one.

        Returns:
            [S, V].
        """
        felt = np.asarray(tokens)[-(self.config.layers * (self.config.window - 1) + 1) :]
        for start in range(0, felt.size, CHUNK):
            x = self._hidden(felt[None, start : start + CHUNK])
        heard = self.cache[..., : self.held, :]
        heard[:, :, 1:] = heard[:, :, :1]  # the first song has heard it for all
        return np.repeat(self._logits(x[:, -1]), self.songs, axis=0)

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Hear one token a song; [S] -> logits [S, V]."""
        return self._logits(self._hidden(np.asarray(tokens)[:, None])[:, 0])

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """Hear [S, n] tokens, n up to `CHUNK`, and return the logits after each, [S, n, V]."""
        return self._logits(self._hidden(np.asarray(tokens)))

    def _hidden(self, tokens: np.ndarray) -> np.ndarray:
        count = tokens.shape[1]
        kept = self.config.window - 1
        if self.held + count > kept + CHUNK:  # move the part still in reach to the front
            for each in self.cache:
                each[..., :kept, :] = each[..., self.held - kept : self.held, :].copy()
            self.held = kept
        x = self.embedding[tokens.ravel()]  # [S * n, E]
        for block, cache in zip(self.blocks, self.cache, strict=True):
            x += self._attend(block, cache, block.qkv(_normal(x)), *tokens.shape)
            hidden = block.expand(_normal(x))  # [S * n, F]
            np.maximum(hidden, 0.0, out=hidden)
            x += block.contract(hidden)
        self.held += count
        return x.reshape(*tokens.shape, -1)

    def _attend(self, block: _Block, cache: np.ndarray, qkv: np.ndarray, songs: int, count: int) -> np.ndarray:
        config = self.config
        split = qkv.reshape(songs, count, 3, config.heads, config.head_width).transpose(2, 0, 3, 1, 4)
        query = split[0]  # [S, H, n, D]
        start, end = max(0, self.held - config.window + 1), self.held + count
        cache[:, :songs, :, self.held : end] = split[1:]
        keys, values = cache[:, :songs, :, start:end]  # [S, H, m, D]
        logits = query @ keys.swapaxes(2, 3)  # [S, H, n, m]
        songs_of_heads = query.transpose(1, 0, 2, 3).reshape(config.heads, songs * count, -1)  # [H, S * n, D]
        by_distance = songs_of_heads @ block.distances  # [H, S * n, R], far to near; songs share the table
        by_distance = by_distance.reshape(config.heads, songs, count, -1).transpose(1, 0, 2, 3)  # [S, H, n, R]
        rows = config.max_distance
        if count == 1:
            near = min(rows, end - start)
            logits[..., -near:] += by_distance[..., -near:]
            logits[..., :-near] += by_distance[..., :1]
        else:
            distance = np.arange(self.held, end)[:, None] - np.arange(start, end)[None, :]  # [n, m]
            columns = np.clip(rows - 1 - distance, 0, rows - 1)[None, None]
            logits += np.take_along_axis(by_distance, np.broadcast_to(columns, logits.shape), axis=3)
            logits += np.where((distance >= 0) & (distance < config.window), np.float32(0), np.float32(-1e9))
        logits -= np.maximum.reduce(logits, axis=3, keepdims=True)
        np.exp(logits, out=logits)
        mixed = logits @ values  # [S, H, n, D]
        mixed /= np.add.reduce(logits, axis=3, keepdims=True)
        return block.out(mixed.swapaxes(1, 2).reshape(songs * count, config.width))

    def _logits(self, x: np.ndarray) -> np.ndarray:
        rows = self.to_logits(_normal(x.reshape(-1, x.shape[-1])))
        return rows.reshape(*x.shape[:-1], -1)


def load_decoder(folder: Path | str, *, songs: int = 1) -> Decoder:
    """Read a model folder.

    Raises:
        InputError: not a composer's folder, or damaged.
    """
    config = ModelConfig.from_json(load_config(folder, kind=KIND), source=folder)
    return Decoder(config, load_weights(folder), songs=songs, source=folder)


def _normal(x: np.ndarray) -> np.ndarray:
    """Bring rows of mean 0 to variance 1; gain and shift are folded into the next product."""
    variance = np.einsum("ne,ne->n", x, x)[:, None]
    variance /= np.float32(x.shape[1])
    variance += np.float32(EPSILON)
    result: np.ndarray = x / np.sqrt(variance, out=variance)
    return result


def _centred(rows: np.ndarray) -> np.ndarray:
    """Take the mean from each row."""
    wide = rows.astype(np.float64)
    return (wide - wide.mean(axis=-1, keepdims=True)).astype(np.float32)


def _behind_norm(
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
    shapes: dict[str, tuple[int, ...]] = {"embedding/embeddings": (VOCABULARY_SIZE, width)}
    for block in (f"block_{index}" for index in range(config.layers)):
        for norm in ("attention_norm", "feed_norm"):
            shapes |= {f"{block}/{norm}/gamma": (width,), f"{block}/{norm}/beta": (width,)}
        shapes[f"{block}/attention/distances"] = (config.heads, config.max_distance, config.head_width)
        shapes |= {f"{block}/attention/qkv/kernel": (width, 3 * width), f"{block}/attention/out/kernel": (width, width)}
        shapes |= {f"{block}/expand/kernel": (width, hidden), f"{block}/expand/bias": (hidden,)}
        shapes |= {f"{block}/contract/kernel": (hidden, width), f"{block}/contract/bias": (width,)}
    shapes |= {"norm/gamma": (width,), "norm/beta": (width,)}
    shapes |= {"to_logits/kernel": (width, VOCABULARY_SIZE), "to_logits/bias": (VOCABULARY_SIZE,)}
    return {f"music_transformer/{name}": shape for name, shape in shapes.items()}


def _check(config: ModelConfig, weights: Mapping[str, np.ndarray], source: object) -> None:
    for name, shape in tensor_shapes(config).items():
        found = f"has shape {weights[name].shape}" if name in weights else "is missing"
        if name not in weights or weights[name].shape != shape:
            raise InputError(source, f"tensor {name} {found}", f"expected {shape}", "Copy the whole model folder again")
