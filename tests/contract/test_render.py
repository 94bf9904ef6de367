import json
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ambient.audio import decode_to_wav, find_ffmpeg
from ambient.midi import write_midi
from ambient.notes import Note
from ambient.sound.preset import preset_names
from ambient.stages.render import main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"numpy", "tensorflow", "keras", "ffmpeg", "pretty_midi", "midirenderer", "PIL", "soxr"}
CHORD = [Note(0.0, 43, 1.0, 70), Note(0.0, 55, 1.0, 70), Note(0.5, 64, 1.0, 70)]


@pytest.fixture
def pieces(pfs):
    """Two pieces of one second."""
    write_midi(pfs / "in" / "first.mid", CHORD)
    write_midi(pfs / "in" / "second.mid", [Note(n.start_s, n.pitch + 5, n.end_s, n.velocity) for n in CHORD])
    return pfs / "in"


def render(run_stage, pfs, *flags, **options):
    return run_stage("render", "--input", pfs / "in", "--output", pfs / "out", *flags, **options)


def grid_of(path, rate_hz=48_000):
    """Return the samples of a 24-bit WAV as whole numbers: [samples, 2]."""
    content = path.read_bytes()
    kind = content.index(b"fmt ") + 8
    # WAVE_FORMAT_EXTENSIBLE, as more than 16 bits ask for; the wave module reads it from Python 3.12 on.
    form = struct.unpack_from("<HHIIHH", content, kind)
    assert form == (0xFFFE, 2, rate_hz, rate_hz * 6, 6, 24)
    begin = content.index(b"data", kind) + 8
    packed = np.frombuffer(content[begin : begin + int.from_bytes(content[begin - 4 : begin], "little")], np.uint8)
    packed = packed.reshape(-1, 3)
    wide = np.zeros((len(packed), 4), np.uint8)
    wide[:, 1:] = packed
    return (wide.view("<i4")[:, 0] >> 8).reshape(-1, 2)


def sound_of(path, rate_hz=48_000):
    return grid_of(path, rate_hz) / 8388608


def heard_by_ffmpeg(path):
    """Return integrated loudness and true peak as ffmpeg's own EBU R128 meter measures them."""
    command = [find_ffmpeg(), "-nostats", "-hide_banner", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    return tuple(float(re.search(rf"{name}:\s+(-?[0-9.]+)", said).group(1)) for name in ("I", "Peak"))


def test_each_piece_becomes_one_mp3_that_plays(run_stage, pfs, pieces, contents, tmp_path):
    before = contents(pieces)
    done = render(run_stage, pfs)
    assert (done.returncode, done.stdout) == (0, "")
    assert sorted(path.name for path in (pfs / "out").iterdir()) == ["first.mp3", "second.mp3"]
    assert decode_to_wav(pfs / "out" / "first.mp3", tmp_path / "a.wav").seconds > 2.0
    assert contents(pieces) == before


def test_second_run_gives_the_same_bytes(run_stage, pfs, pieces, contents):
    render(run_stage, pfs)
    first = contents(pfs / "out")
    assert render(run_stage, pfs).returncode == 0
    assert contents(pfs / "out") == first


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_wide_at_the_loudness_of_broadcasts_without_dc_and_ends_softly(pfs, pieces, preset):
    output = pfs / "out" / "first.wav"
    assert main(["--input", str(pieces / "first.mid"), "--output", str(output), "--preset", preset]) == 0
    loudness, peak = heard_by_ffmpeg(output)
    assert -16.5 <= loudness <= -15.5
    assert peak <= -1.0
    sound = sound_of(output)
    assert np.corrcoef(sound.T)[0, 1] < 0.97
    assert np.abs(np.mean(sound, axis=0)).max() < 1e-4
    assert np.abs(sound[:16]).max() < 0.01
    assert np.abs(sound[-480:]).max() < 0.001


@pytest.mark.parametrize("ending", ["mp3", "flac", "ogg", "opus"])
def test_every_format_has_loudness_peak_and_tags(pfs, pieces, ending):
    output = pfs / "out" / f"a song.{ending}"
    arguments = ["--input", str(pieces / "first.mid"), "--output", str(output), "--preset", "felt piano", "--seed", "3"]
    assert main(arguments) == 0
    loudness, peak = heard_by_ffmpeg(output)
    assert -16.5 <= loudness <= -15.5
    assert peak <= -1.0
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", output], capture_output=True, text=True).stderr
    tags = {key.lower(): value for key, value in re.findall(r"^\s+(\w+)\s*: (.+)$", said, re.MULTILINE)}
    assert tags["title"] == "a song"
    assert tags["preset"] == "felt piano"
    assert tags["model"] == "none"
    assert tags["seed"] == "3"
    assert tags["software"] == "Ambient music generation"


@pytest.mark.parametrize("ending", ["mp3", "flac", "wav", "ogg", "opus"])
def test_loudness_and_peak_of_what_is_written_hold_for_loud_clicks_and_a_real_piece(pfs, ending):
    clicks = [Note(9.0 * beat, 60 + beat, 9.0 * beat + 0.1, 127) for beat in range(3)]
    write_midi(pfs / "in" / "clicks.mid", clicks)
    for piece in (pfs / "in" / "clicks.mid", ROOT / "samples" / "midi" / "3.mid"):
        output = pfs / "out" / f"{piece.stem}.{ending}"
        flags = ["--preset", "music box", "--reverb", "0"]
        assert main(["--input", str(piece), "--output", str(output), *flags]) == 0
        loudness, peak = heard_by_ffmpeg(output)
        assert -16.5 <= loudness <= -15.5
        assert peak <= -1.0


def test_the_model_that_made_a_piece_is_named(pfs, capfd):
    text = "ambient-music-generation " + json.dumps({"model": "1e89bc2d64bd658c"})
    write_midi(pfs / "in" / "song.mid", CHORD, texts=[text])
    output = pfs / "out" / "song.wav"
    assert main(["--input", str(pfs / "in" / "song.mid"), "--output", str(output)]) == 0
    said = subprocess.run([find_ffmpeg(), "-hide_banner", "-i", output], capture_output=True, text=True).stderr
    assert "model 1e89bc2d64bd658c; seed 0" in said


def test_sound_flags_change_the_sound(pfs, pieces, contents):
    seen = set()
    variants = (
        [],
        ["--preset", "warm pad"],
        ["--preset", "warm pad", "--seed", "1"],
        ["--preset", "warm pad", "--reverb", "0"],
        ["--preset", "warm pad", "--preset", "glass"],
        ["--preset", "warm pad", "--transpose", "5"],
        ["--preset", "warm pad", "--slower", "1.5"],
        ["--preset", "warm pad", "--hold_s", "0"],
        ["--program", "0"],
        ["--program", "89"],
        ["--program", "89", "--program", "0"],
    )
    for flags in variants:
        # In this process, because starting it many times takes longer than rendering.
        assert main(["--input", str(pieces / "first.mid"), "--output", str(pfs / "out" / "first.wav"), *flags]) == 0
        seen.add(contents(pfs / "out")["first.wav"])
    assert len(seen) == len(variants)


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--preset", "warm pad", "--preset", "glass"], ["1-warm-pad", "2-glass"]),
        (["--preset", "warm pad"], ["low", "middle", "high"]),
    ],
)
def test_stems_add_up_to_the_mix_sample_by_sample(pfs, pieces, flags, names):
    output = pfs / "out" / "mix.wav"
    assert main(["--input", str(pieces / "first.mid"), "--output", str(output), "--stems", *flags]) == 0
    assert sorted(path.name for path in (pfs / "out").iterdir()) == sorted(
        ["mix.wav", *(f"mix.{n}.wav" for n in names)]
    )
    stems = [grid_of(pfs / "out" / f"mix.{name}.wav") for name in names]
    assert sum(np.abs(stem).max() > 1000 for stem in stems) >= 2
    assert np.array_equal(sum(stems), grid_of(output))


def test_other_rate_gives_the_same_length_and_pitch(pfs, pieces):
    spectra = []
    for rate in (44_100, 48_000):
        output = pfs / "out" / f"{rate}.wav"
        flags = ["--rate", str(rate), "--preset", "felt piano", "--reverb", "0"]
        assert main(["--input", str(pieces / "first.mid"), "--output", str(output), *flags]) == 0
        sound = sound_of(output, rate)[:rate].sum(axis=1)
        spectra.append(np.abs(np.fft.rfft(sound * np.hanning(rate))))
    # G2, G3 and E4: 98.0, 196.0 and 329.6 Hz; a bin is a hertz.
    for spectrum in spectra:
        assert [int(np.argmax(spectrum[f - 9 : f + 10])) - 9 for f in (98, 196, 330)] == [0, 0, 0]


def test_minutes_fade_a_long_piece_out(pfs):
    write_midi(pfs / "in" / "long.mid", [Note(float(s), 60 + s % 7, s + 1.0, 70) for s in range(60)])
    output = pfs / "out" / "long.wav"
    assert main(["--input", str(pfs / "in" / "long.mid"), "--output", str(output), "--minutes", "0.2"]) == 0
    sound = sound_of(output)
    assert len(sound) == pytest.approx(12 * 48_000, abs=64)
    assert np.abs(sound[-480:]).max() < 0.001
    assert np.abs(sound[5 * 48_000 : 6 * 48_000]).max() > 10 * np.abs(sound[-24_000:]).max()


def test_silence_before_the_first_note_is_left_out(pfs):
    write_midi(pfs / "in" / "late.mid", [Note(note.start_s + 20, note.pitch, note.end_s + 20, 70) for note in CHORD])
    write_midi(pfs / "in" / "soon.mid", CHORD)
    assert main(["--input", str(pfs / "in"), "--output", str(pfs / "out"), "--format", "wav"]) == 0
    assert len(sound_of(pfs / "out" / "late.wav")) == len(sound_of(pfs / "out" / "soon.wav")) < 15 * 48_000


def test_picture_lies_beside_the_piece_and_is_the_same_again(pfs, pieces, contents):
    output = pfs / "out" / "first.mp3"
    seen = []
    for _ in range(2):
        assert main(["--input", str(pieces / "first.mid"), "--output", str(output), "--picture"]) == 0
        assert sorted(contents(pfs / "out")) == ["first.mp3", "first.png"]
        seen.append(contents(pfs / "out"))
    assert (pfs / "out" / "first.png").read_bytes().startswith(b"\x89PNG")
    assert seen[0] == seen[1]


def test_the_primer_that_stands_in_a_piece_is_shown_beside_it(pfs, contents):
    primer = "ambient-music-generation-primer [[0,60,500,64],[500,67,500,64]]"
    seen = set()
    for texts in ([], [primer]):
        write_midi(pfs / "song.mid", CHORD, texts=texts)
        assert main(["--input", str(pfs / "song.mid"), "--output", str(pfs / "out" / "song.mp3"), "--picture"]) == 0
        seen.add(contents(pfs / "out")["song.png"])
    assert len(seen) == 2


def test_auto_says_why(pfs, pieces, capfd):
    assert main(["--input", str(pieces / "first.mid"), "--output", str(pfs / "out")]) == 0
    said = capfd.readouterr().err
    assert re.search(r"auto: [a-z ]+ \(\d+\.\d notes a second of 1\.0 s, around G3, \d\.\d at once\)", said)


def test_auto_says_what_the_songs_of_the_model_are_like(pfs, capfd):
    songs = {"pitch": [57, 62], "notes_per_second": [8, 10.5], "note_s": [0.12, 0.2], "polyphony": [2.5, 3.5]}
    text = "ambient-music-generation " + json.dumps({"model_songs": songs})
    write_midi(pfs / "song.mid", CHORD, texts=[text])
    assert main(["--input", str(pfs / "song.mid"), "--output", str(pfs / "out")]) == 0
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert "at once; the model's songs: 8.0–10.5 a second of 0.1–0.2 s, around A3–D4)" in said[0]


def test_list_prints_each_preset_and_how_it_sounds(run_stage):
    done = run_stage("render", "--preset", "list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line[:14].strip() for line in lines] == preset_names()
    assert all(len(line[14:].strip()) > 20 for line in lines)


def test_a_preset_of_ones_own_needs_no_code(pfs, pieces, tmp_path, capfd):
    (tmp_path / "mine.toml").write_text(
        'description = "d"\nbuilt = "b"\n[[tones]]\nkind = "soundfont"\nprogram = 11\n'
        '[[tones]]\nkind = "struck"\npartials = [[1, 0, 3.0], [2.7, -12, 1.0]]\n'
    )
    flags = ["--preset", str(tmp_path / "mine.toml")]
    assert main(["--input", str(pieces / "first.mid"), "--output", str(pfs / "out" / "a.wav"), *flags]) == 0
    assert "a.wav, " in capfd.readouterr().err


def test_keep_plays_the_programs_of_the_file(run_stage, pfs):
    write_midi(pfs / "in" / "piano.mid", CHORD, program=0)
    write_midi(pfs / "in" / "harp.mid", CHORD, program=46)
    assert render(run_stage, pfs, "--program", "keep", "--format", "wav").returncode == 0
    piano, harp = (sound_of(pfs / "out" / name)[:24_000] for name in ("piano.wav", "harp.wav"))
    assert not np.array_equal(piano, harp)


@pytest.mark.parametrize(
    ("output", "flags", "written"),
    [
        ("song.mp3", (), "song.mp3"),
        ("song.wav", (), "song.wav"),
        ("song.flac", (), "song.flac"),
        ("song.mp3", ("--format", "wav"), "song.wav"),
        ("folder", (), "folder/first.mp3"),
        ("folder", ("--format", "wav"), "folder/first.wav"),
    ],
)
def test_one_piece_goes_to_the_file_or_folder_named(run_stage, pfs, pieces, contents, output, flags, written):
    done = run_stage("render", "--input", pieces / "first.mid", "--output", pfs / "out" / output, *flags)
    assert done.returncode == 0
    assert list(contents(pfs / "out")) == [written]


def test_empty_folder_is_fine(run_stage, pfs):
    assert render(run_stage, pfs).returncode == 0
    assert not list((pfs / "out").iterdir())


def test_bad_pieces_are_named_and_the_others_are_done(run_stage, pfs, pieces):
    (pieces / "broken.mid").write_bytes(b"MThd but no more")
    write_midi(pieces / "silent.mid", [])
    done = render(run_stage, pfs)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "broken.mid: not readable as MIDI" in errors[0]
    assert "silent.mid: 0 notes; expected at least 1" in errors[1]
    assert len(errors) == 3
    assert sorted(path.name for path in (pfs / "out").iterdir()) == ["first.mp3", "second.mp3"]


@pytest.mark.parametrize("preset", ["felt piano", "warm pad"])
def test_notes_at_both_ends_of_the_range_and_of_ten_minutes_are_rendered(pfs, preset):
    write_midi(pfs / "in" / "wide.mid", [Note(0.0, 0, 600.0, 127), Note(1.0, 127, 601.0, 1), Note(2.0, 60, 2.001, 64)])
    output = pfs / "out" / "wide.flac"
    assert main(["--input", str(pfs / "in" / "wide.mid"), "--output", str(output), "--preset", preset]) == 0
    loudness, peak = heard_by_ffmpeg(output)
    assert -16.5 <= loudness <= -15.5
    assert peak <= -1.0


def test_a_damaged_soundfont_is_one_line_a_piece(run_stage, pfs, pieces, tmp_path):
    (tmp_path / "a.sf2").write_bytes(b"RIFF\x04\x00\x00\x00sfbk")
    done = render(run_stage, pfs, "--program", "0", "--soundfont", tmp_path / "a.sf2")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all("a.sf2: cannot be played" in line for line in lines[:2])
    assert not list((pfs / "out").iterdir())


def test_a_plugin_that_does_not_load_is_one_line(run_stage, pfs, pieces, tmp_path):
    (tmp_path / "pedalboard.py").write_text("def load_plugin(path): raise ImportError('no plugin was found')")
    (tmp_path / "a.vst3").write_bytes(b"no plugin")
    paths = os.pathsep.join(map(str, [tmp_path, ROOT, ROOT / "src"]))
    done = render(run_stage, pfs, "--plugin", tmp_path / "a.vst3", env={"PYTHONPATH": paths})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'a.vst3'}: does not load (no plugin was found); expected a VST3")
    assert len(done.stderr.splitlines()) == 1


def test_pieces_that_would_overwrite_each_other_are_refused(run_stage, pfs, pieces):
    write_midi(pieces / "first.midi", CHORD)
    done = render(run_stage, pfs)
    assert done.returncode == 1
    assert "first.midi: would be written to the same first.mp3 as first.mid" in done.stderr
    assert [path.name for path in (pfs / "out").iterdir()] == ["second.mp3"]


def test_piece_with_a_note_hours_away_is_one_error(run_stage, pfs):
    write_midi(pfs / "in" / "far.mid", [*CHORD, Note(28_800.0, 60, 28_801.0, 64)])
    done = render(run_stage, pfs)
    assert done.returncode == 1
    assert "far.mid: lasts 8.0 hours; expected at most 4" in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--soundfont", "none.sf2"), "none.sf2: No such file"),
        (("--input", "nowhere"), "nowhere: no such file or folder"),
        (("--preset", "wram pad"), "--preset 'wram pad': no such preset; expected 'warm pad'"),
        (("--preset", "none.toml"), "none.toml: No such file"),
        (("--plugin", "none.vst3"), "none.vst3: no such file or folder"),
    ],
)
def test_missing_file_is_one_error(run_stage, pfs, pieces, flags, message):
    done = render(run_stage, pfs, *flags)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("--what",),
        ("--program", "128"),
        ("--program", "pad"),
        ("--program", "keep", "--program", "0"),
        ("--reverb", "1.5"),
        ("--reverb", "nan"),
        ("--hold_s", "-1"),
        ("--seed", "-1"),
        ("--format", "aiff"),
        ("--rate", "22050"),
        ("--minutes", "0"),
        ("--slower", "0"),
        ("--transpose", "x"),
        ("--program", "keep", "--preset", "glass"),
    ],
)
def test_wrong_flag_is_wrong_usage(run_stage, pfs, flags):
    assert render(run_stage, pfs, *flags).returncode == 2


def test_help_imports_nothing_heavy(help_imports):
    assert not HEAVY & help_imports("render")


def test_killed_stage_leaves_no_half_file(run_stage, pfs, pieces, deadly_ffmpeg):
    (pieces / "second.mid").unlink()  # two would be rendered by processes of their own
    assert render(run_stage, pfs, env=deadly_ffmpeg).returncode == -signal.SIGKILL
    assert all(path.name.startswith(".partial-") for path in (pfs / "out").iterdir())


def test_output_that_cannot_be_written_is_one_line(run_stage, pfs, pieces, tmp_path):
    (tmp_path / "file").touch()
    piece = min(pieces.iterdir())
    done = run_stage("render", "--input", piece, "--output", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "not a directory" in done.stderr
