"""Read Magenta's own TF1 checkpoints of Onsets and Frames: the one place that knows the original's variable names.

Conventions: names follow magenta/magenta `onsets_frames_transcription/model.py` at the MAESTRO configuration (78
variables; docs/models.md says where users find one). Convolutions, BatchNorm and dense layers carry over as they are.
An LSTM there is one kernel with the rows of the input, then those of the hidden state, and the columns of the gates
i, c, f, o; Keras keeps the two blocks of rows apart and orders the columns i, f, c, o. A checkpoint of a training also
holds the optimizer's numbers, so variables are read by name and all else is left alone.
"""

import hashlib
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.onsets_and_frames.config import KEYS, MEL_BINS, MODELS, ModelConfig
from ambient.onsets_and_frames.tensor_bundle import read_index, read_tensor
from ambient.protobuf import DamagedBytesError

CONFIG = MODELS["full"]
_SCOPES = ("onsets", "offsets", "velocity", "frame")
_HEADS = {  # scope -> its dense layers
    "onsets": ("onset_probs",),
    "offsets": ("offset_probs",),
    "velocity": ("onset_velocities",),
    "frame": ("activation_probs", "frame_probs"),
}
_WITHOUT_LSTM = ("onset_velocities", "activation_probs")  # these read the dense vector of the stack
_LSTM = "cudnn_lstm/stack_bidirectional_rnn/cell_0/bidirectional_rnn"
_EXPECTED = "expected a TF1 checkpoint of Magenta's onsets_frames (the folder train/ of its zip, the zip, or a prefix)"
_REMEDY = "Unpack or copy it again"
_FULL_PREFIX = re.compile(r"^model_checkpoint_path:\s*\"(.*)\"\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds, in our words.

    Attributes:
        config: Sizes of the network.
        weights: Of `OnsetsAndFrames.full` by variable path.
        digest: 16 hex digits that name the checkpoint: the start of the SHA-256 of its data.
        name: File name of the checkpoint, with its step.
    """

    config: ModelConfig
    weights: dict[str, np.ndarray]
    digest: str
    name: str


def is_checkpoint(path: Path | str) -> bool:
    """Tell whether a path looks like a TF1 checkpoint: a zip, a folder with one, or the prefix of its files."""
    path = Path(path)
    if path.is_dir():
        return any(
            (folder / "checkpoint").is_file() or any(folder.glob("*.index")) for folder in (path, path / "train")
        )
    return path.suffix in (".zip", ".index") or _index_of(path).is_file()


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: The zip as Magenta publishes it, its folder (with or without `train/`), or the prefix `…/model.ckpt-N`.

    Raises:
        InputError: no checkpoint there, a damaged one, or one of another network.
    """
    with _prefix(Path(path)) as prefix:
        names = [prefix.with_name(f"{prefix.name}.index"), *sorted(prefix.parent.glob(f"{prefix.name}.data-*"))]
        if len(names) < 2:
            raise InputError(path, f"{prefix.name}.data-… is missing", _EXPECTED, _REMEDY)
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.read_bytes())
        weights = _renamed(_read_variables(prefix, source=path))
        return Checkpoint(CONFIG, weights, digest.hexdigest()[:16], prefix.name)


def original_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the variables of the original's graph and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for scope in _SCOPES:
        channels = (1, *config.filters)
        for index, filters in enumerate(config.filters):
            shapes[f"{scope}/conv{index}/weights"] = (3, 3, channels[index], filters)
            for statistic in ("beta", "moving_mean", "moving_variance"):
                shapes[f"{scope}/conv{index}/BatchNorm/{statistic}"] = (filters,)
        shapes[f"{scope}/fc_end/weights"] = (MEL_BINS // 4 * config.filters[2], config.dense)
        shapes[f"{scope}/fc_end/biases"] = (config.dense,)
        for head in _HEADS[scope]:
            width = config.dense if head in _WITHOUT_LSTM else 2 * config.lstm
            shapes[f"{scope}/{head}/weights"] = (width, KEYS)
            shapes[f"{scope}/{head}/biases"] = (KEYS,)
        if scope != "velocity":
            inputs = 3 * KEYS if scope == "frame" else config.dense
            for direction in ("fw", "bw"):
                shapes[_cell(scope, direction, "kernel")] = (inputs + config.lstm, 4 * config.lstm)
                shapes[_cell(scope, direction, "bias")] = (4 * config.lstm,)
    return shapes


def _read_variables(prefix: Path, *, source: object) -> dict[str, np.ndarray]:
    """Return the variables of the graph, and no others, by the original's names."""
    try:
        entries = read_index(prefix)
        _check({name: entry.shape for name, entry in entries.items()}, source=source)
        return {name: read_tensor(prefix, entries[name]) for name in original_shapes(CONFIG)}
    except (DamagedBytesError, OSError) as error:
        raise InputError(source, f"cannot be read ({error})", _EXPECTED, _REMEDY) from error


def _renamed(read: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the original's variables under our names and in Keras' orders."""
    weights: dict[str, np.ndarray] = {}
    for scope in _SCOPES:
        for index in range(3):
            weights[f"{scope}_conv{index}/kernel"] = read[f"{scope}/conv{index}/weights"]
            for statistic in ("beta", "moving_mean", "moving_variance"):
                weights[f"{scope}_conv{index}_norm/{statistic}"] = read[f"{scope}/conv{index}/BatchNorm/{statistic}"]
        for theirs, ours in (("fc_end", f"{scope}_fc_end"), *((head, head) for head in _HEADS[scope])):
            weights[f"{ours}/kernel"] = read[f"{scope}/{theirs}/weights"]
            weights[f"{ours}/bias"] = read[f"{scope}/{theirs}/biases"]
        if scope != "velocity":
            for direction, name in (("fw", "forward"), ("bw", "backward")):
                cell = f"{scope}_lstm/{name}_lstm/lstm_cell"
                kernel = gates_reordered(read[_cell(scope, direction, "kernel")])  # [D + U, 4 U]
                units = kernel.shape[1] // 4
                weights[f"{cell}/kernel"] = kernel[:-units]
                weights[f"{cell}/recurrent_kernel"] = kernel[-units:]
                weights[f"{cell}/bias"] = gates_reordered(read[_cell(scope, direction, "bias")])
    return weights


def gates_reordered(columns: np.ndarray) -> np.ndarray:
    """Turn the gate order i, c, f, o along the last axis into i, f, c, o, and back: it is its own inverse."""
    first, second, third, fourth = np.split(columns, 4, axis=-1)
    return np.concatenate([first, third, second, fourth], axis=-1)


def _cell(scope: str, direction: str, variable: str) -> str:
    return f"{scope}/{_LSTM}/{direction}/cudnn_compatible_lstm_cell/{variable}"


def _check(shapes: Mapping[str, Sequence[int]], *, source: object) -> None:
    expected = original_shapes(CONFIG)
    missing = [name for name in expected if name not in shapes]
    if missing:
        raise InputError(source, f"variable {missing[0]} is missing ({len(missing)} in all)", _EXPECTED, _REMEDY)
    for name, shape in expected.items():
        if tuple(shapes[name]) != shape:
            raise InputError(
                source,
                f"variable {name} has the shape {list(shapes[name])}",
                f"expected {list(shape)}, as in Magenta's MAESTRO configuration",
                "Give a checkpoint of that one; the network of 2018 and those of other ports differ",
            )


@contextmanager
def _prefix(path: Path) -> Iterator[Path]:
    """Yield the prefix of the checkpoint's files; a zip is unpacked for as long as it is needed."""
    if path.is_file() and path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as scratch:
            try:
                with zipfile.ZipFile(path) as archive:
                    for member in archive.infolist():
                        name = Path(member.filename).name  # a checkpoint is flat: folders in the zip do not matter
                        if name == "checkpoint" or re.search(r"\.(index|data-\d+-of-\d+)$", name):
                            (Path(scratch) / name).write_bytes(archive.read(member))
            except (zipfile.BadZipFile, EOFError) as error:
                raise InputError(path, f"a damaged zip ({error})", _EXPECTED, "Download it again") from error
            yield _prefix_in(Path(scratch), source=path)
    elif path.is_dir():
        yield _prefix_in(path / "train" if (path / "train").is_dir() else path, source=path)
    else:
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if not _index_of(prefix).is_file():
            raise InputError(path, "no checkpoint", _EXPECTED, "Check the path")
        yield prefix


def _prefix_in(folder: Path, *, source: Path) -> Path:
    """Return the checkpoint that the file `checkpoint` names, else the one with the highest step."""
    record = folder / "checkpoint"
    named = _FULL_PREFIX.search(record.read_text(errors="replace")) if record.is_file() else None
    if named:
        prefix = folder / Path(named[1]).name  # it may have been written with a path of another machine
        if _index_of(prefix).is_file():
            return prefix
    found = sorted(folder.glob("*.index"), key=lambda index: _step(index.stem))
    if not found:
        raise InputError(source, "holds no checkpoint", _EXPECTED, "Check the path")
    return found[-1].with_suffix("")


def _step(name: str) -> int:
    digits = re.search(r"-(\d+)$", name)
    return int(digits[1]) if digits else -1


def _index_of(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")
