"""Basic Pitch's network gets its windows, its answers become notes in their time, and it says when it is not there.

The network here is a stand-in that hears a note wherever it is loud; docs/experiments.md has a run of the real one.
"""

import sys

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.transcribers.basic_pitch import RATE_HZ, BasicPitch, frame_s

ONNXRUNTIME = """
from pathlib import Path
import numpy as np

shapes = []

class SessionOptions:
    def add_session_config_entry(self, name, value):
        pass

class Input:
    name = "samples"

class InferenceSession:
    def __init__(self, path, sess_options, providers):
        assert Path(path).read_text() == "weights"
        assert providers == ["CPUExecutionProvider"]

    def get_inputs(self):
        return [Input()]

    def run(self, names, inputs):
        assert names == ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
        windows = inputs["samples"]
        shapes.append(windows.shape)
        assert windows.dtype == np.float32 and windows.shape[1:] == (43844, 1)
        padded = np.pad(windows[:, :, 0], ((0, 0), (0, 188)))  # 172 frames of 256
        loud = np.abs(padded.reshape(-1, 172, 256)).max(axis=2) > 0.1
        frame, onset = np.zeros((2, len(windows), 172, 88), np.float32)
        frame[:, :, 48] = 0.8 * loud
        onset[:, 1:, 48] = 0.9 * (loud[:, 1:] & ~loud[:, :-1])
        return [frame, onset]
"""


@pytest.fixture
def basic_pitch(install):
    install(
        {
            "onnxruntime.py": ONNXRUNTIME,
            "basic_pitch/__init__.py": "raise AssertionError('the package itself is never imported')",
            "basic_pitch/saved_models/icassp_2022/nmp.onnx": "weights",
        },
        {"basic-pitch": "0.4.0"},
    )
    return BasicPitch()


def bursts(*spans_s, seconds=25.0):
    time_s = np.arange(int(seconds * 16_000)) / 16_000
    gate = sum(((start_s <= time_s) & (time_s < end_s)).astype(float) for start_s, end_s in spans_s)
    return 0.5 * gate * np.sin(2 * np.pi * 440 * time_s)


def test_notes_come_at_their_time_in_every_window_and_across_their_borders(basic_pitch, write_song):
    spans_s = [(0.5, 1.0), (1.4, 2.3), (7.9, 8.5), (16.0, 18.0), (22.0, 22.4)]
    heard = basic_pitch.transcribe(write_song(bursts(*spans_s)))
    assert [note.pitch for note in heard.notes] == [69] * 5
    for note, (start_s, end_s) in zip(heard.notes, spans_s, strict=True):
        assert note.start_s == pytest.approx(start_s, abs=0.025)
        assert note.end_s == pytest.approx(end_s, abs=0.025)
        assert note.velocity == round(127 * 0.8)
    assert heard.confidence == pytest.approx(0.8)
    assert (heard.seconds, heard.missing_seconds) == (25.0, 0.0)
    assert [shape[0] for shape in sys.modules["onnxruntime"].shapes] == [8, 8]  # 16 windows of 1.64 s


def test_it_is_named_with_its_version(basic_pitch):
    assert basic_pitch.name == "basic-pitch 0.4.0"


def test_silence_and_less_than_a_frame_are_no_notes(basic_pitch, write_song):
    for samples in (np.zeros(20_000), np.zeros(0), np.full(100, 0.5)):
        heard = basic_pitch.transcribe(write_song(samples))
        assert (heard.notes, heard.confidence) == ([], 0.0)


def test_frames_follow_each_other_in_time():
    times_s = np.array([frame_s(frame) for frame in range(1000)])
    assert times_s[0] == 0
    steps = np.diff(times_s)
    assert steps.min() > 0.2 * 256 / RATE_HZ
    assert steps.max() <= 256 / RATE_HZ + 1e-9
    assert frame_s(142) == pytest.approx(36_164 / RATE_HZ)


def test_without_the_package_or_onnxruntime_the_line_says_what_to_install(install):
    with pytest.raises(InputError, match=r"basic-pitch: not installed; .*pip install --no-deps basic-pitch"):
        BasicPitch()
    broken = "raise ImportError('no onnxruntime')"
    install({"onnxruntime.py": broken, "basic_pitch/saved_models/icassp_2022/nmp.onnx": "weights"}, {})
    with pytest.raises(InputError, match=r"onnxruntime: not installed; .*pip install onnxruntime"):
        BasicPitch()
