"""The network of Onsets and Frames in Keras 3, to train it: Magenta's graph, layer by layer.

Legend: B batch, F frames, M mel bins (229), C channels, D dense width, K keys (88).

Four convolution stacks that share nothing (onsets, offsets, velocity, frame); an LSTM in both directions for onsets,
offsets and frames. Onset and offset probabilities enter the frame head with the gradient stopped, so each head is a
model of its own, unless all share one convolution stack (`ModelConfig.shared`). Layer names are the original's variable
scopes (`onsets/conv0/weights` is here `onsets_conv0/kernel`). Follows magenta/magenta
`onsets_frames_transcription/model.py` (Hawthorne et al., ICLR 2019); gate columns of Keras LSTMs are ordered i, f, c, o
where the original has i, c, f, o.
"""

import keras
from keras import ops

from ambient.onsets_and_frames.config import KEYS, MEL_BINS, NORM_EPSILON, ModelConfig

OUTPUTS = ("onset", "offset", "frame", "velocity")
NORM_MOMENTUM = 0.99  # 0.999 in the original, which trains a hundred times longer


class ConvStack:
    """From the spectrogram to one dense vector a frame: [B, F, M, 1] to [B, F, D].

    Args:
        config: Sizes.
        scope: Prefix of the layer names.
    """

    def __init__(self, config: ModelConfig, scope: str) -> None:
        self.convolutions = [
            keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, kernel_initializer=_scaled(), name=f"{scope}_conv{index}"
            )
            for index, filters in enumerate(config.filters)
        ]
        self.norms = [
            keras.layers.BatchNormalization(
                scale=False, epsilon=NORM_EPSILON, momentum=NORM_MOMENTUM, name=f"{scope}_conv{index}_norm"
            )
            for index in range(len(config.filters))
        ]
        self.dropouts = [
            keras.layers.Dropout(rate, name=f"{scope}_dropout{index}") for index, rate in enumerate(config.dropout)
        ]
        self.pools = [keras.layers.MaxPooling2D((1, 2), name=f"{scope}_pool{index}") for index in (1, 2)]
        self.flatten = keras.layers.Reshape((-1, MEL_BINS // 4 * config.filters[2]), name=f"{scope}_flatten")
        self.dense = keras.layers.Dense(
            config.dense, activation="relu", kernel_initializer=_scaled(), name=f"{scope}_fc_end"
        )

    def __call__(self, spectrogram: keras.KerasTensor) -> keras.KerasTensor:
        """Apply the stack to [B, F, M, 1]."""
        x = spectrogram
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = ops.relu(norm(convolution(x)))  # [B, F, M, C]
            if index > 0:
                x = self.dropouts[index - 1](self.pools[index - 1](x))  # [B, F, M / 2, C], then [B, F, M / 4, C]
        x = self.dense(self.flatten(x))  # frequency-major, as in the original: [B, F, M / 4 * C], then [B, F, D]
        return self.dropouts[2](x)


class OnsetsAndFrames:
    """The network, whole and in the part that needs the spectrogram; both share their weights.

    Args:
        config: Sizes.

    Attributes:
        full: [B, F, M, 1] to a dictionary of four [B, F, K] named as `OUTPUTS`. Velocity is linear, the others are
            probabilities. It owns every weight.
        acoustic: What of the network needs the spectrogram: [B, F, M, 1] to a dictionary of the dense vectors of
            `onset` and `offset` [B, F, D], `activation` and `velocity` [B, F, K]. Sees 3 frames to each side.
        lstms: The LSTM in both directions of `onset`, `offset` and `frame`.
        probabilities: The dense layer that ends the head of `onset`, `offset` and `frame`.
        stacks: The convolution stacks by scope.
    """

    def __init__(self, config: ModelConfig) -> None:
        # === Layers ===
        self.config = config
        scopes = config.scopes
        self.stacks = {scope: ConvStack(config, scope) for scope in dict.fromkeys(scopes.values())}
        self.lstms = {
            "onset": _both_directions(config.lstm, "onsets_lstm"),
            "offset": _both_directions(config.lstm, "offsets_lstm"),
            "frame": _both_directions(config.lstm, "frame_lstm"),
        }
        self.probabilities = {
            "onset": keras.layers.Dense(KEYS, activation="sigmoid", dtype="float32", name="onset_probs"),
            "offset": keras.layers.Dense(KEYS, activation="sigmoid", dtype="float32", name="offset_probs"),
            "frame": keras.layers.Dense(KEYS, activation="sigmoid", dtype="float32", name="frame_probs"),
        }
        activation_probs = keras.layers.Dense(KEYS, activation="sigmoid", name="activation_probs")
        onset_velocities = keras.layers.Dense(KEYS, dtype="float32", name="onset_velocities")

        # === Graphs ===
        spectrogram = keras.Input((None, MEL_BINS, 1), name="spectrogram")
        dense = {scope: stack(spectrogram) for scope, stack in self.stacks.items()}  # each [B, F, D]
        onset_dense, offset_dense = dense[scopes["onset"]], dense[scopes["offset"]]
        activation = activation_probs(dense[scopes["frame"]])  # [B, F, K]
        velocity = onset_velocities(dense[scopes["velocity"]])  # [B, F, K]
        onset = self._head("onset", onset_dense)
        offset = self._head("offset", offset_dense)

        evidence = [ops.stop_gradient(onset), activation, ops.stop_gradient(offset)]
        frame = self._head("frame", ops.concatenate(evidence, axis=-1))  # from [B, F, 3 K]
        self.full = keras.Model(
            spectrogram,
            {"onset": onset, "offset": offset, "frame": frame, "velocity": velocity},
            name="onsets_and_frames",
        )
        self.acoustic = keras.Model(
            spectrogram,
            {"onset": onset_dense, "offset": offset_dense, "activation": activation, "velocity": velocity},
            name="acoustic",
        )

    def _head(self, name: str, dense: keras.KerasTensor) -> keras.KerasTensor:
        return self.probabilities[name](self.lstms[name](dense))  # [B, F, K]


def _both_directions(units: int, name: str) -> keras.layers.Bidirectional:
    lstm = keras.layers.LSTM(
        units, return_sequences=True, unit_forget_bias=False, recurrent_initializer="glorot_uniform", name="lstm"
    )
    return keras.layers.Bidirectional(lstm, name=name)


def _scaled() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform")
