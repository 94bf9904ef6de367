"""onnxruntime makes of the stored weights what Keras makes of them; weights of another model are refused."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from ambient.errors import InputError
from ambient.model_folder import assign_weights, load_config, weights_of
from ambient.onsets_and_frames.config import KIND, MODELS, ModelConfig
from ambient.onsets_and_frames.judge import load_parts
from ambient.onsets_and_frames.model import OnsetsAndFrames
from ambient.onsets_and_frames.network import Network, weight_shapes

ROOT = Path(__file__).resolve().parents[4]
SHIPPED = ROOT / "trained-models" / "onsets-and-frames"


def run_whole(network, spectrogram):
    """Run a network over a spectrogram in one stretch: the four answers of the whole graph by name."""

    def probabilities(name, evidence):
        step = network.step(name, evidence, evidence[::-1], network.start())
        return 1 / (1 + np.exp(-(step.ahead + step.behind[::-1] + network.biases[name])))

    heard = network.acoustic(spectrogram)
    onset, offset = probabilities("onset", heard["onset"]), probabilities("offset", heard["offset"])
    evidence = np.concatenate([onset, heard["activation"], offset], axis=-1).astype(np.float32)
    return {"onset": onset, "offset": offset, "frame": probabilities("frame", evidence), "velocity": heard["velocity"]}


@pytest.mark.parametrize("size", ["tiny", "small", "full", "shipped"])
def test_all_four_heads_answer_as_keras_does(size, sound):
    from ambient.onsets_and_frames.spectrogram import log_mel

    if size == "shipped":
        weights, judge = load_parts(SHIPPED)
        assert judge is not None
        config = ModelConfig.from_json(load_config(SHIPPED, kind=KIND)["model"], source=SHIPPED)
        keras_network = OnsetsAndFrames(config)
        assign_weights(keras_network.full, weights, source=SHIPPED)
    else:
        keras.utils.set_random_seed(3)
        keras_network = OnsetsAndFrames(MODELS[size])
        weights = weights_of(keras_network.full)
        random = np.random.default_rng(8)
        for name in weights:  # a fresh network's statistics and biases are 0 and 1, which would hide where they go
            if name.endswith(("bias", "beta", "moving_mean")):
                weights[name] = random.normal(0, 0.3, weights[name].shape).astype(np.float32)
            elif name.endswith("moving_variance"):
                weights[name] = random.uniform(0.5, 2, weights[name].shape).astype(np.float32)
        assign_weights(keras_network.full, weights, source=size)
    spectrogram = log_mel(sound)
    expected = keras_network.full.predict_on_batch(spectrogram[None, :, :, None])
    found = run_whole(Network(keras_network.config, weights), spectrogram)
    assert found.keys() == expected.keys()
    for name, answer in expected.items():
        assert np.ptp(answer) > 0.01  # a constant answer would prove nothing
        scale = max(1.0, float(np.abs(answer).max()))  # velocities of random weights are not bounded
        np.testing.assert_allclose(found[name], np.asarray(answer)[0], atol=1e-4 * scale, rtol=0)


@pytest.mark.parametrize("size", MODELS)
def test_the_shapes_of_the_weights_are_those_that_keras_trains(size):
    expected = weights_of(OnsetsAndFrames(MODELS[size]).full)
    assert weight_shapes(MODELS[size]) == {name: array.shape for name, array in expected.items()}


def test_one_thread_answers_as_many_do(network, sound):
    from ambient.onsets_and_frames.spectrogram import log_mel

    spectrogram = log_mel(sound)
    one, many = (Network(network.config, weights_of(network.full), threads=threads) for threads in (1, None))
    for name, answer in one.acoustic(spectrogram).items():
        np.testing.assert_allclose(many.acoustic(spectrogram)[name], answer, atol=1e-5)


def test_a_tensor_that_is_missing_left_over_or_of_another_shape_is_named(network):
    weights = weights_of(network.full)
    wrong = {
        r"folder: tensor frame_probs/bias is missing \(1 in all\)": {
            k: v for k, v in weights.items() if k != "frame_probs/bias"
        },
        "tensor more is not part of this model": weights | {"more": np.zeros(3, np.float32)},
        "tensor onset_probs/bias has another shape": weights | {"onset_probs/bias": np.zeros(87, np.float32)},
    }
    for said, given in wrong.items():
        with pytest.raises(InputError, match=said):
            Network(network.config, given, source="folder")


def test_transcribing_loads_no_framework():
    code = (
        "import sys; from ambient.onsets_and_frames.inference import Transcriber; "
        f"Transcriber.from_model({str(SHIPPED)!r}); "
        "print(sorted({'keras', 'tensorflow', 'onnx'} & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
