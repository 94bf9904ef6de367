import signal
import wave

import numpy as np
import pytest

from ambient.audio import decode_to_wav
from ambient.midi import write_midi
from ambient.notes import Note
from stages.render import main

HEAVY = {"numpy", "tensorflow", "keras", "ffmpeg", "pretty_midi", "midirenderer"}
CHORD = [Note(0.0, 48, 1.0, 70), Note(0.0, 55, 1.0, 70), Note(0.5, 64, 1.0, 70)]


@pytest.fixture
def pieces(pfs):
    """Two pieces of one second."""
    write_midi(pfs / "in" / "first.mid", CHORD)
    write_midi(pfs / "in" / "second.mid", [Note(n.start_s, n.pitch + 5, n.end_s, n.velocity) for n in CHORD])
    return pfs / "in"


def render(run_stage, pfs, *flags, **options):
    return run_stage("render", "--input", pfs / "in", "--output", pfs / "out", *flags, **options)


def sound_of(path):
    with wave.open(str(path)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (48_000, 2, 2)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").reshape(-1, 2) / 32768


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


def test_sound_is_wide_loud_enough_not_clipped_and_ends_softly(run_stage, pfs, pieces):
    assert render(run_stage, pfs, "--format", "wav").returncode == 0
    sound = sound_of(pfs / "out" / "first.wav")
    assert 0.05 < np.abs(sound).max() <= 10 ** (-1 / 20) + 1e-3
    assert -24 < 10 * np.log10(np.mean(sound[: 2 * 48_000] ** 2)) < -15
    assert np.corrcoef(sound.T)[0, 1] < 0.9
    assert np.abs(sound[-480:]).max() < 0.001


def test_program_and_reverb_and_seed_change_the_sound(pfs, pieces, contents):
    seen = set()
    for flags in ([], ["--program", "0"], ["--program", "89", "--program", "0"], ["--reverb", "0"], ["--seed", "1"]):
        # In this process, because starting it five times takes longer than rendering.
        assert main(["--input", str(pieces / "first.mid"), "--output", str(pfs / "out" / "first.wav"), *flags]) == 0
        seen.add(contents(pfs / "out")["first.wav"])
    assert len(seen) == 5


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


def test_pieces_that_would_overwrite_each_other_are_refused(run_stage, pfs, pieces):
    write_midi(pieces / "first.midi", CHORD)
    done = render(run_stage, pfs)
    assert done.returncode == 1
    assert "first.midi: would be written to the same first.mp3 as first.mid" in done.stderr
    assert [path.name for path in (pfs / "out").iterdir()] == ["second.mp3"]


def test_piece_with_a_note_hours_away_is_one_error(run_stage, pfs):
    write_midi(pfs / "in" / "far.mid", [*CHORD, Note(7_200.0, 60, 7_201.0, 64)])
    done = render(run_stage, pfs)
    assert done.returncode == 1
    assert "far.mid: lasts 2.0 hours; expected at most 1" in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--soundfont", "none.sf2"), "none.sf2: No such file"),
        (("--input", "nowhere"), "nowhere: no such file or folder"),
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
        ("--format", "ogg"),
    ],
)
def test_wrong_flag_is_wrong_usage(run_stage, pfs, flags):
    assert render(run_stage, pfs, *flags).returncode == 2


def test_help_imports_nothing_heavy(help_imports):
    assert not HEAVY & help_imports("render")


def test_killed_stage_leaves_no_half_file(run_stage, pfs, pieces, deadly_ffmpeg):
    assert render(run_stage, pfs, env=deadly_ffmpeg).returncode == -signal.SIGKILL
    assert all(path.name.startswith(".partial-") for path in (pfs / "out").iterdir())


def test_output_that_cannot_be_written_is_one_line(run_stage, pfs, pieces, tmp_path):
    (tmp_path / "file").touch()
    piece = min(pieces.iterdir())
    done = run_stage("render", "--input", piece, "--output", tmp_path / "file" / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "not a directory" in done.stderr
