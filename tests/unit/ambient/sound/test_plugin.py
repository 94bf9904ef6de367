import sys
import types

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.sound.plugin import load_effect


@pytest.fixture
def plugin_file(tmp_path):
    path = tmp_path / "mine.vst3"
    path.touch()
    return path


def stand_in(monkeypatch, load):
    module = types.ModuleType("pedalboard")
    module.load_plugin = load
    monkeypatch.setitem(sys.modules, "pedalboard", module)


class Halves:
    is_effect = True

    def __call__(self, sound, rate_hz, reset):
        return 0.5 * sound[:, 3:] if reset else 0.5 * sound  # latency: fewer samples at first


def test_without_pedalboard_the_way_to_get_it_is_told(monkeypatch, plugin_file):
    monkeypatch.setitem(sys.modules, "pedalboard", None)
    with pytest.raises(InputError, match=r"--plugin: pedalboard is not installed; .*pip install pedalboard"):
        load_effect(plugin_file)


def test_a_plugin_that_does_not_load_is_one_sentence(monkeypatch, plugin_file):
    def load(path):
        raise ImportError("unsupported plugin format.\nand more")

    stand_in(monkeypatch, load)
    with pytest.raises(InputError, match=r"mine\.vst3: does not load \(unsupported plugin format\)"):
        load_effect(plugin_file)


def test_an_instrument_is_no_effect(monkeypatch, plugin_file):
    stand_in(monkeypatch, lambda path: types.SimpleNamespace(is_effect=False))
    with pytest.raises(InputError, match="is an instrument; expected an effect"):
        load_effect(plugin_file)


def test_an_effect_changes_each_block_and_its_latency_is_filled_with_silence(monkeypatch, plugin_file):
    stand_in(monkeypatch, lambda path: Halves())
    effect = load_effect(plugin_file)(48_000)
    sound = np.ones((2, 8), np.float32)
    assert effect(sound, 0).tolist() == [[0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]] * 2
    assert effect(sound, 8).tolist() == [[0.5] * 8] * 2
