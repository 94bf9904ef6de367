"""Starting states that the contract tests share: a stage run as a program, a folder laid out like `/pfs`, a tone."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORTS_OF_HELP = """
import json, runpy, sys
sys.argv = ["stage", "--help"]
try:
    runpy.run_module(MODULE, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def run_stage(tmp_path):
    """Run `python3 -m stages.NAME ARGUMENTS` in a scratch folder, as a container would."""

    def run(name, *arguments, env=None):
        command = [sys.executable, "-m", f"stages.{name}", *map(str, arguments)]
        paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | paths | (env or {}), capture_output=True, text=True, timeout=300
        )

    return run


@pytest.fixture
def help_imports():
    """Return the modules that `python3 -m stages.NAME --help` has imported when it ends."""

    def imports(name):
        code = IMPORTS_OF_HELP.replace("MODULE", repr(f"stages.{name}"))
        paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | paths, capture_output=True, text=True, check=True
        )
        return set(json.loads(done.stdout.splitlines()[-1]))

    return imports


@pytest.fixture
def pfs(tmp_path):
    """Make a scratch folder like `/pfs`: an empty input `in` and an empty `out`."""
    folder = tmp_path / "pfs"
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    return folder


@pytest.fixture
def contents():
    """Return what a folder holds: relative path to SHA-256, so that two states can be compared."""

    def of(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return of


@pytest.fixture
def tone():
    """One second of 440 Hz in stereo at 44.1 kHz: [samples, 2] float32."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    return np.stack([wave, wave], axis=1).astype(np.float32)


@pytest.fixture
def deadly_ffmpeg(tmp_path):
    """Make an ffmpeg that writes half a file and kills the stage; returns the environment that finds it first."""
    folder = tmp_path / "deadly"
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(
        "#!/bin/bash\n"
        'for argument in "$@"; do [[ "$argument" == file:* ]] && target=${argument#file:}; done\n'
        'echo half >"$target"\n'
        "kill -9 $PPID\n"
    )
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def tiny_composer(tmp_path):
    """A composer of random weights that lean towards short times: what comes out is valid, or a stage is wrong."""
    # Here, because these tests also run in images that have no safetensors.
    from ambient.model_folder import save_model_folder
    from ambient.music_transformer.config import KIND, ModelConfig
    from ambient.music_transformer.decoder import tensor_shapes

    # Density 1-9 notes a second, register 45-77, polyphony 0.5-4.5, loudness bins 4-28, note length 1/8 to 2 s.
    ranges = ((1, 9), (45, 77), (0.5, 4.5), (4, 28), (-3, 1))
    percentiles = tuple(tuple(float(edge) for edge in np.linspace(low, high, 19)) for low, high in ranges)
    config = ModelConfig(layers=1, width=16, heads=2, feed_forward=16, window=32, percentiles=percentiles)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.3, shape) for name, shape in tensor_shapes(config).items()}
    for field in ("gap", "length"):
        bias = weights[f"music_transformer/choose_{field}/to_logits/bias"]
        bias -= 0.1 * np.arange(bias.size)
    folder = tmp_path / "composer"
    save_model_folder(folder, kind=KIND, config=config.to_json(), weights=weights, training={}, card="", float16=True)
    return folder
