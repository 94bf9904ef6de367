import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ambient.beat import Beat
from ambient.errors import InputError
from ambient.midi import write_midi
from ambient.notes import Note
from ambient.studio.services.score import Sounding, bars_of, staff_voices, write_score

EVEN = Beat(0.5, 1.0, 4, np.arange(200) * 0.125)  # a step is an eighth of a second


def test_notes_that_begin_and_end_together_are_one_chord():
    [voice] = staff_voices([Note(0.0, 60, 0.5, 70), Note(0.01, 64, 0.49, 70), Note(0.5, 67, 1.0, 70)], EVEN)
    assert voice == [Sounding(0, 4, [60, 64]), Sounding(4, 8, [67])]


def test_note_over_a_held_one_has_a_voice_of_its_own():
    voices = staff_voices([Note(0.0, 60, 2.0, 70), Note(0.5, 72, 1.0, 70)], EVEN)
    assert voices == [[Sounding(0, 16, [60])], [Sounding(4, 8, [72])]]


def test_third_voice_ends_the_note_that_has_sounded_longest():
    voices = staff_voices([Note(0.0, 60, 4.0, 70), Note(0.5, 64, 4.0, 70), Note(1.0, 67, 4.0, 70)], EVEN)
    assert voices == [[Sounding(0, 8, [60]), Sounding(8, 32, [67])], [Sounding(4, 32, [64])]]


def test_note_that_ends_a_moment_before_the_next_reaches_to_it():
    [voice] = staff_voices([Note(0.0, 60, 0.4, 70), Note(0.5, 62, 0.75, 70), Note(1.0, 64, 1.2, 70)], EVEN)
    assert [(each.begin, each.end) for each in voice] == [(0, 4), (4, 6), (8, 10)]


def test_voice_is_cut_at_bar_lines_with_ties_and_filled_with_rests():
    bars = bars_of([Sounding(14, 20, [60])], 16, 2)
    assert bars == [[(0, 14, [], ""), (14, 2, [60], "start")], [(0, 4, [60], "stop"), (4, 12, [], "")]]


def test_every_bar_of_every_voice_is_full():
    random = np.random.default_rng(7)
    notes = [Note(t, int(random.integers(40, 90)), t + random.uniform(0.1, 3), 70) for t in random.uniform(0, 20, 90)]
    for voice in staff_voices(sorted(notes), EVEN):
        for bar in bars_of(voice, 16, 13):
            assert sum(length for _, length, _, _ in bar) == 16


def test_score_is_musicxml_with_two_staves_and_a_title_that_is_text(tmp_path):
    notes = [Note(1 + i * 0.5, 72 + i % 5, 1 + i * 0.5 + 0.45, 100 if i % 4 == 0 else 60) for i in range(32)]
    notes += [Note(1 + i * 2.0, 48, 1 + i * 2.0 + 1.9, 80) for i in range(8)]
    beat = write_score(sorted(notes), tmp_path / "a.musicxml", "<b>&", "a")
    assert beat.per_minute == pytest.approx(120, abs=0.2)
    root = ET.parse(tmp_path / "a.musicxml").getroot()
    assert root.tag == "score-partwise"
    assert root.findtext("movement-title") == "<b>&"
    assert root.findtext(".//time/beats") == "4"
    assert {each.text for each in root.iter("staff")} == {"1", "2"}
    assert root.find(".//sound").get("tempo") == "120"
    first = root.find(".//measure")
    upper = [n for n in first.iter("note") if n.findtext("staff") == "1" and n.find("rest") is None]
    assert [n.findtext("type") for n in upper] == ["quarter"] * 4
    [lower] = [n for n in first.iter("note") if n.findtext("staff") == "2"]
    assert [lower.findtext(each) for each in ("type", "pitch/step", "pitch/octave")] == ["whole", "C", "3"]


def test_music_without_a_beat_has_no_score_and_says_so_in_one_line(tmp_path):
    random = np.random.default_rng(1)
    notes = [Note(t, 60, t + 0.2, 70) for t in sorted(random.uniform(0, 60, 80))]
    with pytest.raises(InputError, match="no steady beat"):
        write_score(notes, tmp_path / "a.musicxml", "a", "a")
    assert not (tmp_path / "a.musicxml").exists()
    write_midi(tmp_path / "a.mid", notes)
    words = ["score", str(tmp_path / "a.mid"), str(tmp_path / "a.musicxml"), "--odd title"]
    done = subprocess.run([sys.executable, "-m", "ambient.studio.worker", *words], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no steady beat" in done.stderr
