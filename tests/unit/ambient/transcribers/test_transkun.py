"""Transkun gets its parts, its pedal is folded into the notes, and it says when it is not there.

The network here is a stand-in that hears a note at every click; docs/experiments.md has a run of the real one.
"""

import json
import math

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.transcribers import transkun
from ambient.transcribers.transkun import Transkun, parts

TORCH = """
from contextlib import nullcontext as no_grad

def load(path, map_location, weights_only):
    assert weights_only
    return {"best_state_dict": path.read_text()}

def from_numpy(samples):
    return samples
"""
MODEL = """
import numpy as np

class Config:
    fs = 1

class Found:
    def __init__(self, start, end, pitch, velocity):
        self.start, self.end, self.pitch, self.velocity = start, end, pitch, velocity

class TransKun:
    lengths = []

    def __init__(self, conf):
        self.fs = conf.fs

    def load_state_dict(self, weights, strict):
        assert weights == "weights" and not strict

    def eval(self):
        pass

    def transcribe(self, samples):
        assert samples.dtype == np.float32 and samples.shape[1] == 1
        self.lengths.append(len(samples) / self.fs)
        loud = np.abs(samples[:, 0]) > 0.3
        starts = np.flatnonzero(loud & ~np.concatenate([np.zeros(400, bool), loud[:-400]])) / self.fs
        firsts = [s for i, s in enumerate(starts) if i == 0 or s - starts[i - 1] > 0.05]
        return [Found(s, s + 0.1, 60, 200) for s in firsts] + [Found(s, s + 1.0, -64, 127) for s in firsts[:1]]
"""


@pytest.fixture
def heard_lengths(install):
    install(
        {
            "torch.py": TORCH,
            "transkun/__init__.py": "",
            "transkun/ModelTransformer.py": MODEL,
            "transkun/pretrained/2.0.conf": json.dumps({"Model": {"config": {"fs": 44_100}}}),
            "transkun/pretrained/2.0.pt": "weights",
        },
        {"transkun": "2.0.1"},
    )

    def lengths():
        import transkun.ModelTransformer

        return transkun.ModelTransformer.TransKun.lengths

    return lengths


def clicks(*times_s, seconds):
    samples = np.zeros(int(seconds * 16_000))
    for time_s in times_s:
        samples[int(time_s * 16_000) : int(time_s * 16_000) + 160] = 0.9
    return samples


def test_notes_are_safe_and_the_pedal_holds_them(heard_lengths, write_song):
    heard = Transkun().transcribe(write_song(clicks(0.5, 3.0, seconds=4.0)))
    first, second = heard.notes
    assert (first.pitch, first.velocity) == (60, 127)
    assert first.start_s == pytest.approx(0.5, abs=0.01)
    assert first.end_s - first.start_s == pytest.approx(1.0, abs=1e-6)  # by the pedal; the key was up after 0.1 s
    assert second.end_s - second.start_s == pytest.approx(0.1, abs=1e-6)
    assert (heard.confidence, heard.seconds) == (None, 4.0)


def test_a_long_recording_is_heard_in_parts_that_give_each_note_once(heard_lengths, write_song, monkeypatch):
    monkeypatch.setattr(transkun, "PART_S", 4.0)
    monkeypatch.setattr(transkun, "MARGIN_S", 1.0)
    times_s = [0.2, 3.4, 3.6, 6.9, 7.2, 9.9]
    heard = Transkun().transcribe(write_song(clicks(*times_s, seconds=10.5)))
    assert [note.start_s for note in heard.notes] == pytest.approx(times_s, abs=0.01)
    assert max(heard_lengths()) <= 4.0 + 2 * 1.0
    assert len(heard_lengths()) == 3


def test_silence_is_no_notes_and_the_name_has_the_version(heard_lengths, write_song):
    opened = Transkun()
    assert opened.name == "transkun 2.0.1"
    assert opened.transcribe(write_song(np.zeros(20_000))).notes == []


def test_parts_cover_everything_once():
    assert parts(0.0) == [(0.0, math.inf)]
    assert parts(240.0) == [(0.0, math.inf)]
    assert parts(500.0) == [(0.0, pytest.approx(500 / 3)), (pytest.approx(500 / 3), pytest.approx(1000 / 3)),
                            (pytest.approx(1000 / 3), math.inf)]  # fmt: skip


def test_without_the_package_the_line_says_what_to_install(install):
    install({"torch.py": "raise OSError('libcudart.so: cannot open\\nshared object')"}, {})
    with pytest.raises(InputError, match=r"transkun: not installed \(libcudart.*\); .*pip install transkun") as caught:
        Transkun()
    assert "\n" not in str(caught.value)
