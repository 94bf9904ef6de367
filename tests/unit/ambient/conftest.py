"""Stand-ins for libraries that are not installed, and small files: WAV, and MIDI event by event."""

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


@pytest.fixture
def write_smf(tmp_path):
    """Return a function that writes a Standard MIDI File from tracks, and returns its path.

    A track is a list of events, each a time in ticks since the one before and its bytes in hexadecimal, or the whole
    chunk as bytes. By default there are 480 ticks a quarter note, so 960 a second.
    """

    def write(*tracks, kind=1, division=480, count=None, name="a.mid", before=b""):
        chunks = [track if isinstance(track, bytes) else _track_chunk(track) for track in tracks]
        header = b"MThd\0\0\0\6" + b"".join(
            number.to_bytes(2, "big") for number in (kind, len(chunks) if count is None else count, division)
        )
        path = tmp_path / name
        path.write_bytes(before + header + b"".join(chunks))
        return path

    return write


def _track_chunk(events):
    content = b"".join(_delta(ticks) + bytes.fromhex(event) for ticks, event in [*events, (0, "ff2f00")])
    return b"MTrk" + len(content).to_bytes(4, "big") + content


def _delta(ticks):
    digits = [ticks & 127]
    while ticks := ticks >> 7:
        digits.insert(0, ticks & 127 | 128)
    return bytes(digits)
