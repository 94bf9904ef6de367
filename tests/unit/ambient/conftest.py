"""Stand-ins for libraries that are not installed with the project: small packages that a test puts on the path."""

import sys
import wave

import numpy as np
import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that makes importable what it is given: files by path, versions by package."""
    site = tmp_path / "site"
    real = {name: sys.modules.pop(name) for name in list(sys.modules) if is_stood_in_for(name)}

    def make(files, versions):
        for name, content in files.items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for package, version in versions.items():
            folder = site / f"{package.replace('-', '_')}-{version}.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(str(site))

    yield make
    for name in [name for name in sys.modules if is_stood_in_for(name)]:
        del sys.modules[name]
    sys.modules.update(real)


def is_stood_in_for(module):
    return module.split(".")[0] in ("onnxruntime", "basic_pitch", "torch", "transkun")


@pytest.fixture
def write_song(tmp_path):
    """Write [samples] at 16 kHz as a WAV file and return its path."""

    def write(samples):
        path = tmp_path / "song.wav"
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, 2, 16_000, 0, "NONE", ""))
            writer.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
        return path

    return write
