"""The examples of docs/python.md, run one after another as they stand there."""

import re
import shutil
from pathlib import Path

import pytest

from ambient.audio import decode_to_wav
from ambient.midi import read_midi

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_lead_from_a_recording_to_a_new_piece(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "samples" / "songs" / "rain-on-glass.mp3", "song.mp3")
    transcribe, compose, render = EXAMPLES
    for example in (transcribe, compose, render):
        exec(compile(example, "docs/python.md", "exec"), {"__name__": "example"})
    assert len(read_midi("song.mid").notes) > 50
    first, second = read_midi("new-1.mid").notes, read_midi("new-2.mid").notes
    assert first != second
    for notes in (first, second):
        assert notes[0].start_s == 0
        assert max(note.end_s for note in notes) > 15
    lines = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"\d+\.\d\d to \d+\.\d\d s: pitch \d+, velocity \d+", line) for line in lines[:3])
    seconds = float(re.fullmatch(r"(\d+\.\d) s", lines[3])[1])
    assert decode_to_wav(Path("new-1.mp3"), Path("new.wav")).seconds == pytest.approx(seconds, abs=0.2)


def test_examples_need_no_more_than_numpy_beside_ours():
    imported = {
        name.split(".")[0] for example in EXAMPLES for name in re.findall(r"^(?:from|import) (\S+)", example, re.M)
    }
    assert imported == {"ambient", "pathlib"}
