"""Starting states that the composer's tests share: the smallest model, its weights, a corpus of a few bars."""

import numpy as np
import pytest

from ambient.model_folder import weights_of
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.tokens import notes_to_tokens
from ambient.notes import Note


@pytest.fixture(scope="session")
def tiny_config():
    """A window and a reach that a test can outgrow."""
    return ModelConfig(layers=2, width=16, heads=2, feed_forward=24, max_distance=6, window=12, dropout=0.1)


@pytest.fixture(scope="session")
def tiny_model(tiny_config):
    """A model whose every weight is random, norms and biases included; do not change it."""
    from ambient.music_transformer.model import build_model

    model = build_model(tiny_config, seed=3)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


@pytest.fixture(scope="session")
def tiny_weights(tiny_model):
    return weights_of(tiny_model)


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_config, tiny_weights, tmp_path_factory):
    from ambient.model_folder import save_model_folder

    folder = tmp_path_factory.mktemp("model")
    save_model_folder(folder, kind=KIND, config=tiny_config.to_json(), weights=tiny_weights, training={}, card="")
    return folder


@pytest.fixture(scope="session")
def bars():
    """Return [T] int16 tokens of an arpeggio: so many notes from such a pitch, four a second."""

    def make(notes, lowest=60, velocity=65):
        steps = [0, 4, 7, 12, 7, 4]
        played = [Note(i / 4, lowest + steps[i % 6], (i + 1) / 4, velocity) for i in range(notes)]
        return np.array(notes_to_tokens(played), dtype=np.int16)

    return make
