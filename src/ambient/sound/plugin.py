"""Use a person's own VST3 or Audio Unit: the one door to pedalboard, which is GPL and never installed by this project.

Conventions: sound is [2, samples] float32.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ambient.errors import InputError

Effect = Callable[[np.ndarray, int], np.ndarray]


def load_effect(path: Path) -> Callable[[int], Effect]:
    """Return what makes the plugin ready for a layer of some sample rate, as a function from block to block.

    Args:
        path: A `.vst3` or `.component` file or folder.

    Raises:
        InputError: pedalboard is not installed, or the plugin does not load or is an instrument.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder", "expected a VST3 or Audio Unit", "Check --plugin")
    try:
        pedalboard: Any = importlib.import_module("pedalboard")
    except ImportError as error:
        found, expected = (
            "pedalboard is not installed",
            "expected it beside this project, whose licence it does not share",
        )
        raise InputError("--plugin", found, expected, "Run pip install pedalboard (GPL-3.0)") from error

    def load() -> Any:
        try:
            return pedalboard.load_plugin(str(path))
        except Exception as error:  # pedalboard lets whatever the plugin throws escape
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise InputError(
                path, f"does not load ({reason})", "expected a VST3 or Audio Unit", "Try another"
            ) from error

    if not load().is_effect:
        raise InputError(path, "is an instrument", "expected an effect", "Render stems, or choose an effect")

    def make(rate_hz: int) -> Effect:
        plugin = load()

        def apply(sound: np.ndarray, first: int) -> np.ndarray:
            changed = np.asarray(plugin(sound, rate_hz, reset=first == 0), np.float32)
            result = np.zeros_like(sound)  # a plugin with latency gives fewer samples at first
            result[:, sound.shape[1] - changed.shape[1] :] = changed
            return result

        return apply

    return make
