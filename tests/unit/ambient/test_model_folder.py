import numpy as np
import pytest

from ambient.errors import InputError
from ambient.model_folder import load_config, load_weights, save_model_folder


@pytest.fixture
def folder(tmp_path):
    weights = {"layer/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_model_folder(tmp_path / "m", kind="toy", config={"size": 3}, weights=weights, training={}, card="# toy\n")
    return tmp_path / "m"


def test_saved_model_reads_back(folder):
    assert load_config(folder, kind="toy") == {"size": 3}
    assert load_weights(folder)["layer/kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_float16_is_handed_out_as_float32(folder):
    save_model_folder(folder, kind="toy", config={}, weights={"a": np.ones(2)}, training={}, card="", float16=True)
    assert load_weights(folder)["a"].dtype == np.float32


def test_model_of_another_kind_is_refused(folder):
    with pytest.raises(InputError, match="a model of kind 'toy'; expected 'music-transformer'"):
        load_config(folder, kind="music-transformer")


def test_damaged_weights_are_named(folder):
    (folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"weights\.safetensors: damaged"):
        load_weights(folder)


def test_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no readable config\.json"):
        load_config(tmp_path, kind="toy")
