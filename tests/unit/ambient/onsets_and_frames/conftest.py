"""Starting states for the transcriber's tests: a tiny network with random weights, some notes, some sound."""

import keras
import numpy as np
import pytest

from ambient.notes import Note
from ambient.onsets_and_frames.config import MODELS
from ambient.onsets_and_frames.model import OnsetsAndFrames


@pytest.fixture(scope="session")
def network():
    """A tiny network whose weights are random; tests do not change it."""
    keras.utils.set_random_seed(7)
    return OnsetsAndFrames(MODELS["tiny"])


@pytest.fixture
def melody():
    """Nine notes with gaps, a repeated pitch and a chord, on no grid."""
    starts_s = (0.01, 0.5, 0.93, 1.4, 1.4, 1.41, 2.05, 2.5, 3.0)
    pitches = (60, 62, 62, 48, 64, 67, 21, 108, 60)
    return [
        Note(start_s, pitch, start_s + 0.3 + 0.02 * index, 40 + 5 * index)
        for index, (start_s, pitch) in enumerate(zip(starts_s, pitches, strict=True))
    ]


@pytest.fixture
def sound():
    """Three seconds of decaying tones at 16 kHz, with a little noise: [samples] float32."""
    random = np.random.default_rng(3)
    time_s = np.arange(48_000 + 77) / 16_000
    tones = sum(
        np.sin(2 * np.pi * hz * time_s) * np.exp(-3 * np.maximum(time_s - at_s, 0)) * (time_s >= at_s)
        for at_s, hz in ((0.2, 440.0), (1.0, 262.0), (1.9, 1760.0))
    )
    return (0.2 * tones + 0.001 * random.standard_normal(len(time_s))).astype(np.float32)


@pytest.fixture
def write_wav(tmp_path):
    """Write samples as a WAV file and return its path."""
    import wave

    def write(samples, *, name="song.wav", width=2, rate_hz=16_000):
        scaled = np.round(np.asarray(samples, dtype=np.float64) * (2 ** (8 * width - 1) - 1)).astype("<i4")
        if width == 1:
            scaled = scaled + 128
        raw = scaled.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
        path = tmp_path / name
        with wave.open(str(path), "wb") as writer:
            writer.setnchannels(1 if np.ndim(samples) == 1 else np.shape(samples)[1])
            writer.setsampwidth(width)
            writer.setframerate(rate_hz)
            writer.writeframes(raw)
        return path

    return write
