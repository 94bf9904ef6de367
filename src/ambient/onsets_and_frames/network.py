"""The network of Onsets and Frames as onnxruntime runs it: the graph of `model.py`, built from the stored weights.

Legend: F frames, M mel bins (229), D dense width, U units, K keys (88).

Conventions: weights have the names, shapes and orders of `model.py`, which trains them; a test holds both to the same
answers within 1e-4. BatchNorm is folded into the convolutions. ONNX orders the gates of an LSTM i, o, f, c where Keras
has i, f, c, o, and convolutions' channels before height and width. A minute of audio takes onnxruntime 0.2 s on two
cores and numpy five times as long (docs/experiments.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ambient.model_folder import check_tensors
from ambient.onsets_and_frames.config import KEYS, MEL_BINS, NORM_EPSILON, ModelConfig
from ambient.onsets_and_frames.onnx_graph import OnnxGraph
from ambient.transcribers.onnx_session import OnnxSession

# What the convolution stacks give, and the head that it is for: dense vectors for two heads, answers for the others.
_ANSWERS = {"onset": "onset", "offset": "offset", "activation": "frame", "velocity": "velocity"}
_LSTMS = {"onset": "onsets_lstm", "offset": "offsets_lstm", "frame": "frame_lstm"}
_DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True, slots=True)
class Step:
    """What an LSTM with its dense layer makes of a stretch of frames, in both directions.

    Attributes:
        ahead: [F, K], what the first direction adds to the logits.
        behind: [F, K], the second.
        state: Four arrays of [1, 1, U], to go on from.
    """

    ahead: np.ndarray
    behind: np.ndarray
    state: list[np.ndarray]


class Network:
    """The network, in the parts in which it is run over long recordings; several threads may use one.

    Args:
        config: Sizes.
        weights: By the variable paths of `model.OnsetsAndFrames.full`.
        threads: How many threads share a convolution; by default as many as this process may run on.
        source: Where the weights come from, for errors.

    Attributes:
        columns: How many numbers a frame each answer of `acoustic` has, by its name.
        biases: Of the logits of `onset`, `offset` and `frame`: [K].

    Raises:
        InputError: a tensor is missing, left over or of another shape, or onnxruntime is not installed.
    """

    def __init__(
        self, config: ModelConfig, weights: Mapping[str, np.ndarray], *, threads: int | None = None, source: object = ""
    ) -> None:
        check_tensors(weight_shapes(config), weights, source=source)
        self.columns = {"onset": config.dense, "offset": config.dense, "activation": KEYS, "velocity": KEYS}
        self.biases = {name: weights[f"{name}_probs/bias"] for name in _LSTMS}
        self._units = config.lstm
        self._acoustic = OnnxSession(_acoustic(config, weights), threads=threads)
        # Steps of an LSTM wait for each other: a second thread gains nothing.
        self._lstms = {name: OnnxSession(_stepping(name, config, weights), threads=1) for name in _LSTMS}

    def acoustic(self, spectrogram: np.ndarray) -> dict[str, np.ndarray]:
        """Run the convolution stacks, which see 3 frames to each side.

        Args:
            spectrogram: [F, M] float32, dB.

        Returns:
            The dense vectors of `onset` and `offset`, each [F, D]; `activation` and `velocity`, each [F, K].
        """
        return dict(
            zip(self.columns, self._acoustic.run(list(self.columns), {"spectrogram": spectrogram}), strict=True)
        )

    def start(self) -> list[np.ndarray]:
        """Return the state in which an LSTM begins."""
        return [np.zeros((1, 1, self._units), dtype=np.float32) for _ in range(4)]

    def step(self, name: str, ahead: np.ndarray, behind: np.ndarray, state: list[np.ndarray]) -> Step:
        """Run the LSTM of a head, and the dense layer behind it, over the next stretch in each direction.

        Args:
            name: `onset`, `offset` or `frame`.
            ahead: [F, D], or [F, 3 K] of `frame`: the next frames from the start.
            behind: As many frames, from the end, turned round.
            state: Of the stretch before.
        """
        inputs = {"forward": ahead, "backward": np.ascontiguousarray(behind)}
        inputs |= zip(_STATES, state, strict=True)
        answers = self._lstms[name].run(["forward_logits", "backward_logits", *(f"{s}_end" for s in _STATES)], inputs)
        return Step(answers[0], answers[1], answers[2:])


_STATES = tuple(f"{direction}_{part}" for direction in _DIRECTIONS for part in ("hidden", "cell"))


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by its name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for scope in dict.fromkeys(config.scopes.values()):
        channels = (1, *config.filters)
        for index, filters in enumerate(config.filters):
            shapes[f"{scope}_conv{index}/kernel"] = (3, 3, channels[index], filters)
            for statistic in ("beta", "moving_mean", "moving_variance"):
                shapes[f"{scope}_conv{index}_norm/{statistic}"] = (filters,)
        shapes |= _dense(f"{scope}_fc_end", MEL_BINS // 4 * config.filters[2], config.dense)
    for name, lstm in _LSTMS.items():
        inputs = 3 * KEYS if name == "frame" else config.dense
        for direction in _DIRECTIONS:
            cell = f"{lstm}/{direction}_lstm/lstm_cell"
            shapes |= _dense(cell, inputs, 4 * config.lstm)
            shapes[f"{cell}/recurrent_kernel"] = (config.lstm, 4 * config.lstm)
        shapes |= _dense(f"{name}_probs", 2 * config.lstm, KEYS)
    return shapes | _dense("activation_probs", config.dense, KEYS) | _dense("onset_velocities", config.dense, KEYS)


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _acoustic(config: ModelConfig, weights: Mapping[str, np.ndarray]) -> bytes:
    """Return the convolution stacks as a model: `spectrogram` [F, M] to four answers."""
    graph = OnnxGraph()
    spectrogram = graph.node(
        "Unsqueeze", [graph.input("spectrogram", ["frames", MEL_BINS]), graph.tensor(np.array([0, 1]))]
    )
    scopes = config.scopes
    dense = {scope: _stack(graph, spectrogram, scope, config, weights) for scope in dict.fromkeys(scopes.values())}
    for answer, head in _ANSWERS.items():
        x = dense[scopes[head]]  # [F, D]
        if answer in ("activation", "velocity"):
            layer = "activation_probs" if answer == "activation" else "onset_velocities"
            x = graph.node("MatMul", [x, graph.tensor(weights[f"{layer}/kernel"])])
            x = graph.node("Add", [x, graph.tensor(weights[f"{layer}/bias"])])  # [F, K]
        graph.node("Sigmoid" if answer == "activation" else "Identity", [x], outputs=[answer])
        graph.output(answer, ["frames", KEYS if answer in ("activation", "velocity") else config.dense])
    return graph.to_bytes()


def _stack(
    graph: OnnxGraph, spectrogram: str, scope: str, config: ModelConfig, weights: Mapping[str, np.ndarray]
) -> str:
    """Add a convolution stack to a graph: from the value `spectrogram`, [1, 1, F, M], to the returned one, [F, D]."""
    x = spectrogram
    for index in range(3):
        kernel, bias = _convolution(scope, index, weights)
        window = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
        x = graph.node("Relu", [graph.node("Conv", [x, graph.tensor(kernel), graph.tensor(bias)], attributes=window)])
        if index > 0:
            pool = {"kernel_shape": (1, 2), "strides": (1, 2)}
            x = graph.node("MaxPool", [x], attributes=pool)  # [1, C, F, M / 2], then [1, C, F, M / 4]
    # The dense layer as a convolution that is as wide as the spectrogram: nothing has to be turned round for it.
    kernel = weights[f"{scope}_fc_end/kernel"].reshape(-1, config.filters[2], config.dense)  # [M / 4, C, D]
    across = graph.tensor(kernel.transpose(2, 1, 0)[:, :, None])  # [D, C, 1, M / 4]
    offsets = graph.tensor(weights[f"{scope}_fc_end/bias"])
    width = {"kernel_shape": (1, len(kernel))}
    x = graph.node("Relu", [graph.node("Conv", [x, across, offsets], attributes=width)])  # [1, D, F, 1]
    x = graph.node("Squeeze", [x, graph.tensor(np.array([0, 3]))])  # [D, F]
    return graph.node("Transpose", [x], attributes={"perm": (1, 0)})


def _convolution(scope: str, index: int, weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel [C out, C in, 3, 3] and bias [C out] of a convolution and the BatchNorm after it."""
    norm = f"{scope}_conv{index}_norm"
    scale = 1.0 / np.sqrt(weights[f"{norm}/moving_variance"] + NORM_EPSILON)
    kernel = weights[f"{scope}_conv{index}/kernel"] * scale  # [3, 3, C in, C out]
    return kernel.transpose(3, 2, 0, 1), weights[f"{norm}/beta"] - weights[f"{norm}/moving_mean"] * scale


def _stepping(name: str, config: ModelConfig, weights: Mapping[str, np.ndarray]) -> bytes:
    """Return an LSTM in both directions, and its share of the dense layer for each, as a model."""
    graph = OnnxGraph()
    shape = [1, 1, config.lstm]
    logits = np.split(weights[f"{name}_probs/kernel"], 2)  # [U, K] for each direction
    for direction, kernel in zip(_DIRECTIONS, logits, strict=True):
        cell = f"{_LSTMS[name]}/{direction}_lstm/lstm_cell"
        x = graph.input(direction, ["frames", len(weights[f"{cell}/kernel"])])
        state = [graph.input(f"{direction}_{part}", shape) for part in ("hidden", "cell")]
        bias = _gates(weights[f"{cell}/bias"])
        parameters = [
            graph.tensor(array[None])
            for array in (
                _gates(weights[f"{cell}/kernel"]).T,  # [1, 4 U, D]
                _gates(weights[f"{cell}/recurrent_kernel"]).T,  # [1, 4 U, U]
                np.concatenate([bias, np.zeros_like(bias)]),  # ONNX has one for each of the two
            )
        ]
        ends = [f"{direction}_{part}_end" for part in ("hidden", "cell")]
        y = graph.node(
            "LSTM",
            [graph.node("Unsqueeze", [x, graph.tensor(np.array([1]))]), *parameters, "", *state],  # [F, 1, D]
            outputs=[f"{direction}_heard", *ends],
            attributes={"hidden_size": config.lstm},
        )  # [F, 1, 1, U]
        y = graph.node("Squeeze", [y, graph.tensor(np.array([1, 2]))])  # [F, U]
        graph.node("MatMul", [y, graph.tensor(kernel)], outputs=[f"{direction}_logits"])  # [F, K]
        graph.output(f"{direction}_logits", ["frames", KEYS])
        for end in ends:
            graph.output(end, shape)
    return graph.to_bytes()


def _gates(columns: np.ndarray) -> np.ndarray:
    """Turn Keras' order of gates, i, f, c, o, along the last axis into that of ONNX, i, o, f, c."""
    i, f, c, o = np.split(columns, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)
