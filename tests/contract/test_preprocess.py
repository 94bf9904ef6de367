import json
import subprocess
import sys

import numpy as np
import pytest

from ambient.midi import write_midi
from ambient.notes import Note
from ambient.stages import preprocess

NOTES = [Note(i * 0.5, 60 + i, i * 0.5 + 0.4, 65) for i in range(8)]


@pytest.fixture
def midi_folder(pfs):
    """Two pieces of the same base name in two folders, one with the other suffix, one file that is no MIDI at all."""
    folder = pfs / "in"
    write_midi(folder / "song.mid", NOTES)
    (folder / "b").mkdir()
    write_midi(folder / "b" / "song.mid", NOTES[:4])
    write_midi(folder / "b" / "Other.MIDI", NOTES[2:])
    (folder / "notes.txt").write_text("left alone")
    return folder


@pytest.fixture
def preprocess_in(pfs, capsys):
    """Run the stage in this process on `in`; returns exit code and what it said."""

    def run(*flags):
        code = preprocess.main([str(pfs / "in"), str(pfs / "out"), *flags])
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err

    return run


def tokens_of(path):
    from ambient.music_transformer.records import read_record

    return read_record(path).tokens.tolist()


def test_each_piece_becomes_one_token_file_and_a_report_in_the_same_folder(
    run_stage, preprocess_in, pfs, midi_folder, contents
):
    before = contents(midi_folder)
    done = run_stage("preprocess", midi_folder, pfs / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert sorted(contents(pfs / "out")) == [
        "b/Other.MIDI.report.json",
        "b/Other.MIDI.tfrecord",
        "b/song.report.json",
        "b/song.tfrecord",
        "song.report.json",
        "song.tfrecord",
    ]
    assert contents(midi_folder) == before
    assert tokens_of(pfs / "out" / "song.tfrecord") != tokens_of(pfs / "out" / "b" / "song.tfrecord")
    report = json.loads((pfs / "out" / "song.report.json").read_text())
    assert (report["notes"], report["source"], report["dropped"]) == (8, "song.mid", {})
    assert report["seconds"] == pytest.approx(3.9)

    first = contents(pfs / "out")
    assert preprocess_in()[0] == 0
    assert contents(pfs / "out") == first


def test_transcriptions_that_are_not_sure_enough_are_left_out_with_one_line_each(preprocess_in, pfs, contents):
    for name, texts in (("sure", ["confidence: 0.9000"]), ("unsure", ["confidence: 0.4100"]), ("silent", [])):
        write_midi(pfs / "in" / f"{name}.mid", NOTES, texts=["transcriber: x", *texts])
    code, said = preprocess_in("--min_confidence", "0.5")
    assert code == 0
    assert "[3/3] unsure.mid: left out: confidence 0.41 is below --min_confidence 0.5" in said
    assert sorted(name for name in contents(pfs / "out") if name.endswith(".tfrecord")) == [
        "silent.tfrecord",
        "sure.tfrecord",
    ]
    assert preprocess_in()[0] == 0
    assert "unsure.tfrecord" in contents(pfs / "out")


def test_notes_that_are_not_sure_enough_are_left_out_and_counted(preprocess_in, pfs, contents):
    said_by = {
        "half": "note confidences, percent: 90 40 49 50 100 0 95 12",
        "none": "note confidences, percent: 1 2 3 4 5 6 7 8",
        "edited": "note confidences, percent: 1 2 3",  # of other notes than these eight
        "silent": "transcriber: x",
    }
    for name, text in said_by.items():
        write_midi(pfs / "in" / f"{name}.mid", NOTES, texts=[text])
    code, said = preprocess_in("--min_note_confidence", "0.5")
    assert code == 1
    assert "none.mid: all 8 notes are less sure than 0.5; needs at least 1. Give a lower --min_note_confidence" in said
    assert "half.mid: 4 notes, " in said
    assert "; left out: 4 unsure notes" in said
    report = json.loads((pfs / "out" / "half.report.json").read_text())
    assert (report["notes"], report["dropped"]) == (4, {"unsure_notes": 4})
    for name in ("edited", "silent"):
        assert json.loads((pfs / "out" / f"{name}.report.json").read_text())["notes"] == 8
    tokens = tokens_of(pfs / "out" / "half.tfrecord")
    assert [token for token in tokens if token < 128] == [60, 63, 64, 66]  # MIDI pitches of the notes that start
    assert preprocess_in()[0] == 0


@pytest.mark.parametrize("flag", ["--min_confidence", "--min_note_confidence"])
def test_a_threshold_above_one_is_wrong_usage(preprocess_in, flag):
    with pytest.raises(SystemExit, match="2"):
        preprocess_in(flag, "40")


def test_drums_are_left_out_and_the_report_says_so(preprocess_in, pfs):
    notes = [f"00 90{40 + i:02x}50 8360 80{40 + i:02x}40" for i in range(3)]
    drums = [f"00 99{40 + i:02x}50 8360 89{40 + i:02x}40" for i in range(5)]  # the tenth channel
    (pfs / "in" / "band.mid").write_bytes(smf(" ".join(notes + drums)))
    _, said = preprocess_in()
    assert "3 notes" in said
    assert "left out: 5 drum notes" in said
    assert json.loads((pfs / "out" / "band.report.json").read_text())["dropped"] == {"drum_notes": 5}


def smf(events, *, kind=0, tracks=1):
    """Return a MIDI file of 480 ticks a quarter note: time since the last event and the event, in hexadecimal."""
    content = bytes.fromhex(events + "00ff2f00")
    track = b"MTrk" + len(content).to_bytes(4, "big") + content
    return bytes.fromhex(f"4d54686400000006 {kind:04x} {tracks:04x} 01e0") + track * tracks


# Middle C for half a second; one that never ends, the next pitch of no length, the lowest of all.
ODD = "00 903c50 8360 803c40  00 903e50  00 904050 00 804040  00 900050 8360 800040"


def test_the_report_counts_the_notes_that_are_left_out_and_those_that_are_odd(preprocess_in, pfs):
    (pfs / "in" / "odd.mid").write_bytes(smf(ODD))
    code, said = preprocess_in()
    assert code == 0
    assert said.endswith("left out: 1 zero length notes; kept: 1 hanging notes, 1 notes outside the piano\n")
    report = json.loads((pfs / "out" / "odd.report.json").read_text())
    assert report["notes"] == 3
    assert report["dropped"] == {"zero_length_notes": 1}
    assert report["kept"] == {"hanging_notes": 1, "notes_outside_the_piano": 1}
    assert report["warnings"] == []


def test_an_odd_file_is_read_with_one_warning_line_that_the_report_repeats(preprocess_in, pfs):
    (pfs / "in" / "odd.mid").write_bytes(smf("00 ff5103 000000  00 b007a8  00 903c50 8360 803c40")[:-4])
    code, said = preprocess_in()
    assert code == 0
    warnings = ["a track breaks off", "data bytes above 127", "tempo changes that say none"]
    assert said.splitlines()[0] == f"warning: {pfs / 'in' / 'odd.mid'}: {'; '.join(warnings)}"
    assert json.loads((pfs / "out" / "odd.report.json").read_text())["warnings"] == warnings


def test_a_file_of_notes_that_all_vanish_says_why_it_has_none(preprocess_in, pfs):
    (pfs / "in" / "short.mid").write_bytes(smf("00 903c50 00 803c40  00 992450 00 892440"))
    code, said = preprocess_in()
    assert code == 1
    assert "short.mid: 0 notes (left out: 1 drum notes, 1 zero length notes); needs at least 1" in said


def test_several_songs_in_one_file_are_one_line_and_the_next_file_is_done(preprocess_in, pfs, contents):
    song = "00 903c50 8360 803c40"
    (pfs / "in" / "album.mid").write_bytes(smf(song, kind=2, tracks=2))
    (pfs / "in" / "single.mid").write_bytes(smf(song))
    code, said = preprocess_in()
    assert code == 1
    assert "album.mid: holds 2 separate songs (MIDI format 2); expected one piece of music." in said
    assert sorted(contents(pfs / "out")) == ["single.report.json", "single.tfrecord"]


def test_karaoke_files_and_midi_in_riff_are_found_in_a_folder(preprocess_in, pfs, contents):
    song = smf("00 903c50 8360 803c40")
    (pfs / "in" / "a.kar").write_bytes(song)
    sizes = [(len(song) + more).to_bytes(4, "little") for more in (12, 0)]
    (pfs / "in" / "b.RMI").write_bytes(b"RIFF" + sizes[0] + b"RMIDdata" + sizes[1] + song)
    code, said = preprocess_in()
    assert (code, said.count("1 notes, 4 tokens, 0.5 s")) == (0, 2)
    assert sorted(name for name in contents(pfs / "out") if name.endswith(".tfrecord")) == [
        "a.kar.tfrecord",
        "b.RMI.tfrecord",
    ]


def test_a_corrupt_file_is_named_and_takes_no_other_with_it_and_gets_no_tokens(
    preprocess_in, pfs, midi_folder, contents
):
    (midi_folder / "a-first.mid").write_bytes(b"not MIDI")
    code, said = preprocess_in()
    assert code == 1
    assert "a-first.mid: not readable as MIDI" in said
    assert "Traceback" not in said
    assert not [name for name in contents(pfs / "out") if "a-first" in name]
    assert len(contents(pfs / "out")) == 6


def test_a_file_without_notes_is_one_clear_line(preprocess_in, pfs, contents):
    write_midi(pfs / "in" / "silence.mid", [])
    code, said = preprocess_in()
    assert code == 1
    assert said.splitlines()[-1].startswith("error: ")
    assert "silence.mid: 0 notes; needs at least 1" in said
    assert contents(pfs / "out") == {}


def test_an_empty_folder_gives_an_empty_folder(preprocess_in, pfs, contents):
    assert preprocess_in()[0] == 0
    assert contents(pfs / "out") == {}


def test_an_unknown_flag_is_wrong_usage(preprocess_in, pfs):
    with pytest.raises(SystemExit) as end:
        preprocess.main([str(pfs / "in"), str(pfs / "out"), "--fast"])
    assert end.value.code == 2


def test_help_loads_no_framework(help_imports):
    assert not help_imports("preprocess") & {"tensorflow", "keras", "numpy", "pretty_midi"}


def test_preprocessing_loads_no_framework(midi_folder, pfs):
    program = "import sys; from ambient.stages.preprocess import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", program, str(midi_folder), str(pfs / "out")]
    modules = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "ambient.music_transformer.records" in modules
    assert not {"keras", "tensorflow"} & set(modules)


def test_a_stage_killed_while_writing_leaves_no_half_file(pfs, midi_folder, monkeypatch):
    from ambient.music_transformer import records

    def die(path, record):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "write_record", die)
    assert preprocess.main([str(midi_folder), str(pfs / "out")]) == 130
    assert [path.name for path in (pfs / "out").rglob("*") if path.is_file()] == ["Other.MIDI.report.json"]


def test_velocities_and_times_survive_the_whole_way(preprocess_in, pfs):
    from ambient.music_transformer.tokens import tokens_to_notes

    notes = [Note(float(i), 40 + i, i + 0.75, 1 + 4 * i) for i in range(30)]
    write_midi(pfs / "in" / "song.mid", notes)
    assert preprocess_in()[0] == 0
    again = tokens_to_notes(tokens_of(pfs / "out" / "song.tfrecord")).notes
    assert [(n.pitch, n.velocity) for n in again] == [(n.pitch, n.velocity) for n in notes]
    assert np.allclose([n.start_s for n in again], [n.start_s for n in notes], atol=0.006)
