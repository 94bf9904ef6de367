"""Two stacks become one without changing what onsets and activations say; the bridges between them begin at 0."""

import numpy as np
import pytest

from ambient.model_folder import assign_weights, weights_of
from ambient.onsets_and_frames.config import MODELS
from ambient.onsets_and_frames.merging import merged, merged_config, mixed
from ambient.onsets_and_frames.model import OnsetsAndFrames


@pytest.fixture(scope="module")
def spectrogram():
    return np.random.default_rng(0).normal(-10, 15, (1, 12, 229, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def wider(network):
    result = OnsetsAndFrames(merged_config(network.config))
    assign_weights(result.full, merged(network.config, weights_of(network.full)), source="merged")
    return result


def test_sizes_double_and_the_heads_share_them():
    assert merged_config(MODELS["tiny"]).filters == (4, 4, 8)
    assert merged_config(MODELS["tiny"]).dense == 32
    assert merged_config(MODELS["tiny"]).lstm == 8
    assert merged_config(MODELS["tiny"]).shared


def test_onsets_and_activations_are_what_they_were(network, wider, spectrogram):
    before, after = network.full.predict_on_batch(spectrogram), wider.full.predict_on_batch(spectrogram)
    assert np.ptp(before["onset"]) > 0.01
    np.testing.assert_allclose(after["onset"], before["onset"], atol=1e-5)
    before, after = network.acoustic.predict_on_batch(spectrogram), wider.acoustic.predict_on_batch(spectrogram)
    np.testing.assert_allclose(after["activation"], before["activation"], atol=1e-5)


def test_nothing_leads_from_one_to_the_other_yet(wider):
    kernel = weights_of(wider.full)["shared_conv1/kernel"]
    assert not kernel[:, :, :2, 2:].any()
    assert not kernel[:, :, 2:, :2].any()
    assert kernel[:, :, :2, :2].all()


def test_what_is_shared_already_is_refused(wider):
    with pytest.raises(ValueError, match="a convolution stack each"):
        merged(wider.config, weights_of(wider.full))


def test_two_trainings_are_mixed_weight_by_weight():
    one = {"bias": np.array([1.0, 3.0], dtype=np.float16), "kernel": np.zeros((2, 2), dtype=np.float16)}
    other = {"bias": np.array([5.0, 3.0], dtype=np.float16), "kernel": np.ones((2, 2), dtype=np.float16)}
    found = mixed(one, other, share=0.25)
    assert found["bias"].tolist() == [4.0, 3.0]
    assert found["kernel"].tolist() == [[0.75, 0.75], [0.75, 0.75]]
