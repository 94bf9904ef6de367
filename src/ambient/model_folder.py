"""Save and load a trained model as a folder that is safe to open and explains itself.

    config.json         kind of model, architecture, vocabulary, format version
    weights.safetensors every tensor by name; no code is run when it is read
    training.json       command, data digest, history, date, seconds
    README.md           the model card

Weights may be stored as float16 to halve the folder; they are always handed out as float32.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ambient.errors import InputError

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
TRAINING = "training.json"
CARD = "README.md"
FORMAT_VERSION = 1


def save_model_folder(
    folder: Path,
    *,
    kind: str,
    config: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    training: Mapping[str, Any],
    card: str,
    float16: bool = False,
) -> None:
    """Write a model folder; each file under a temporary name first, `config.json` last.

    Args:
        folder: Made if missing.
        kind: What the model is, for instance `music-transformer`; checked when loading.
        config: JSON values that rebuild the model.
        weights: Tensor name to array.
        training: JSON values that say how the weights came about.
        card: Text of the model card, Markdown.
        float16: Store the weights in half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder, weights, float16=float16)
    for name, content in ((TRAINING, _json(training)), (CARD, card.encode())):
        _write(folder / name, content)
    save_config(folder, kind=kind, config=config)


def save_weights(folder: Path, weights: Mapping[str, np.ndarray], *, float16: bool = False) -> None:
    """Write a model's tensors, by name; `load_weights` is the inverse but for what half precision loses."""
    kind = np.float16 if float16 else np.float32
    stored = {name: np.ascontiguousarray(array, dtype=kind) for name, array in weights.items()}
    _write(folder / WEIGHTS, save(stored))


def save_config(folder: Path, *, kind: str, config: Mapping[str, Any]) -> None:
    """Write `config.json` anew, for instance with other thresholds; `load_config` is the inverse.

    Args:
        folder: Of the model.
        kind: What the model is.
        config: JSON values that rebuild the model.
    """
    _write(folder / CONFIG, _json({"kind": kind, "format_version": FORMAT_VERSION, **config}))


def load_config(folder: Path | str, *, kind: str) -> dict[str, Any]:
    """Read `config.json` and check that the folder holds a model of this kind and format.

    Raises:
        InputError: no model there, another kind of model, or a newer format.
    """
    path = Path(folder) / CONFIG
    remedy = f"Give a model folder of kind {kind}, such as those in trained-models/"
    try:
        config = json.loads(path.read_text())
    except (OSError, NotADirectoryError) as error:
        raise InputError(folder, f"no readable {CONFIG}", "expected a model folder", remedy) from error
    except ValueError as error:
        raise InputError(path, f"not JSON ({error})", "expected a model's configuration", remedy) from error
    found = config.get("kind") if isinstance(config, dict) else None
    if found != kind:
        raise InputError(folder, f"a model of kind {found!r}", f"expected {kind!r}", remedy)
    if config.get("format_version") != FORMAT_VERSION:
        version = config.get("format_version")
        raise InputError(
            folder, f"format version {version!r}", f"expected {FORMAT_VERSION}", "Use the release that wrote this model"
        )
    return {key: value for key, value in config.items() if key not in ("kind", "format_version")}


def load_weights(folder: Path | str) -> dict[str, np.ndarray]:
    """Read every tensor as float32.

    Raises:
        InputError: the weights are missing or damaged.
    """
    path = Path(folder) / WEIGHTS
    try:
        tensors = load(path.read_bytes())
    except OSError as error:
        raise InputError(
            path, "missing or unreadable", "expected the model's weights", "Copy the whole folder"
        ) from error
    except SafetensorError as error:
        raise InputError(path, f"damaged ({error})", "expected a safetensors file", "Copy the folder again") from error
    return {name: array.astype(np.float32) for name, array in tensors.items()}


def load_training(folder: Path | str) -> dict[str, Any]:
    """Read the record of training; empty where a model has none.

    Raises:
        InputError: it is damaged.
    """
    path = Path(folder) / TRAINING
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(path, f"not readable ({error})", "expected the record of training", "Copy it again") from error
    return record if isinstance(record, dict) else {}


def model_digest(folder: Path | str) -> str:
    """Return 16 hex digits that name the weights: the start of the SHA-256 of the weights file."""
    return hashlib.sha256((Path(folder) / WEIGHTS).read_bytes()).hexdigest()[:16]


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """Return a Keras model's weights by variable path, as numpy arrays, whatever the backend."""
    return {variable.path: np.asarray(variable.numpy()) for variable in model.weights if _is_stored(variable)}


def assign_weights(model: Any, weights: Mapping[str, np.ndarray], *, source: object) -> None:
    """Set a Keras model's weights by variable path.

    Raises:
        InputError: a tensor is missing, left over, or of another shape.
    """
    variables = {variable.path: variable for variable in model.weights if _is_stored(variable)}
    check_tensors({name: tuple(variable.shape) for name, variable in variables.items()}, weights, source=source)
    for name, variable in variables.items():
        variable.assign(weights[name])


def check_tensors(shapes: Mapping[str, tuple[int, ...]], weights: Mapping[str, np.ndarray], *, source: object) -> None:
    """See that weights are those of a model.

    Args:
        shapes: Of the model's tensors, by name.
        weights: By name.
        source: Where they come from.

    Raises:
        InputError: a tensor is missing, left over, or of another shape.
    """
    missing, unknown = sorted(shapes.keys() - weights.keys()), sorted(weights.keys() - shapes.keys())
    wrong = sorted(name for name in shapes.keys() & weights.keys() if shapes[name] != weights[name].shape)
    for names, found in ((missing, "is missing"), (unknown, "is not part of this model"), (wrong, "has another shape")):
        if names:
            raise InputError(
                source,
                f"tensor {names[0]} {found} ({len(names)} in all)",
                "expected this model's tensors",
                "Retrain it",
            )


def _is_stored(variable: Any) -> bool:
    return "seed_generator" not in variable.path


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
