"""Starting states that the composer's tests share: the smallest model, its weights, pieces of a few bars."""

import numpy as np
import pytest

from ambient.model_folder import weights_of
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.fields import Fields, fields_to_notes
from ambient.music_transformer.records import make_record
from ambient.music_transformer.tokens import notes_to_tokens

# Density 1-9 notes a second, register 45-77, polyphony 0.5-4.5, loudness bins 4-28, note length 1/8 to 2 s.
PERCENTILES = tuple(
    tuple(float(edge) for edge in np.linspace(low, high, 19))
    for low, high in ((1, 9), (45, 77), (0.5, 4.5), (4, 28), (-3, 1))
)


@pytest.fixture(scope="session")
def tiny_config():
    """A window that a test can outgrow."""
    return ModelConfig(
        layers=2,
        width=16,
        heads=2,
        feed_forward=24,
        window=12,
        dropout=0.1,
        percentiles=PERCENTILES,
    )


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
def lively_weights(tiny_weights):
    """The tiny model's, leaning towards short gaps and lengths, as music does."""
    biases = [f"music_transformer/choose_{field}/to_logits/bias" for field in ("gap", "length")]
    leaning = {name: (tiny_weights[name] - 0.1 * np.arange(tiny_weights[name].size)).astype("f") for name in biases}
    return {**tiny_weights, **leaning}


@pytest.fixture(scope="session")
def tiny_model_folder(tiny_config, tiny_weights, tmp_path_factory):
    from ambient.model_folder import save_model_folder

    folder = tmp_path_factory.mktemp("model")
    save_model_folder(folder, kind=KIND, config=tiny_config.to_json(), weights=tiny_weights, training={}, card="")
    return folder


@pytest.fixture(scope="session")
def bars():
    """Return an arpeggio: so many notes from such a pitch, four a second, each as long as a quarter of a second."""

    def make(notes, lowest=60, velocity_bin=16):
        pitches = lowest + np.array([0, 4, 7, 12, 7, 4])[np.arange(notes) % 6]
        return Fields(np.arange(notes) * 25, pitches, np.full(notes, 25), np.full(notes, velocity_bin))

    return make


@pytest.fixture(scope="session")
def random_piece():
    """Return a piece of chords, rests, short and long notes, drawn with a seed."""

    def make(count, seed=0):
        rng = np.random.default_rng(seed)
        starts = np.cumsum(rng.choice([0, 0, 1, 3, 12, 25, 50, 130, 700], count))
        pitches, lengths = rng.integers(30, 100, count), rng.choice([1, 8, 25, 60, 140, 900], count)
        fields = Fields(starts, pitches, lengths, rng.integers(0, 32, count)).sorted()
        doubled = (np.diff(fields.starts, prepend=-1) == 0) & (np.diff(fields.pitches, prepend=-1) == 0)
        return fields[~doubled]

    return make


@pytest.fixture(scope="session")
def record_of():
    """Return the token file's content of a piece."""

    def make(fields, source="song.mid", *, heard=False):
        return make_record(notes_to_tokens(fields_to_notes(fields)), source=source, heard=heard)

    return make
