import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ambient.audio import decode_to_wav
from ambient.midi import read_midi
from ambient.names import is_audio_name, standard_names

ROOT = Path(__file__).resolve().parents[2]
SONGS = sorted((ROOT / "samples" / "songs").iterdir())
PRIMERS = sorted((ROOT / "samples" / "midi").iterdir())


@pytest.fixture(scope="module")
def make_samples():
    spec = importlib.util.spec_from_file_location("make_samples", ROOT / "scripts" / "make_samples.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_samples"] = module
    spec.loader.exec_module(module)
    return module


def test_there_are_six_songs_and_seven_primers(make_samples):
    assert [path.name for path in SONGS] == sorted(tune.name for tune in make_samples.SONGS)
    assert [path.name for path in PRIMERS] == [f"{number}.mid" for number in range(1, 8)]
    assert len(SONGS) == 6


def test_songs_have_names_that_pachyderm_takes_and_some_need_renaming():
    names = [path.name for path in SONGS]
    assert all(is_audio_name(name) and name.isascii() and not set(name) & set("*?[]{}!()@+^") for name in names)
    renamed = standard_names(names)
    assert sum(old != new for old, new in renamed.items()) >= 2


@pytest.mark.parametrize("song", SONGS, ids=lambda path: path.stem)
def test_song_is_short_small_and_sounds(song, tmp_path):
    assert song.stat().st_size <= 1_500_000
    decoded = decode_to_wav(song, tmp_path / "a.wav")
    assert 30 <= decoded.seconds <= 90
    assert decoded.complaint == ""
    samples = np.frombuffer((tmp_path / "a.wav").read_bytes()[44:], "<i2") / 32768
    seconds = samples[: len(samples) // 16_000 * 16_000].reshape(-1, 16_000)
    levels_db = 10 * np.log10(np.mean(seconds**2, axis=1) + 1e-12)
    assert np.mean(levels_db > -60) > 0.95
    assert np.abs(samples).max() < 1.0


@pytest.mark.parametrize("primer", PRIMERS, ids=lambda path: path.stem)
def test_primer_is_calm_and_of_the_right_length(primer):
    notes = read_midi(primer).notes
    assert 10 <= max(note.end_s for note in notes) <= 30
    assert 20 <= len(notes) <= 60
    assert all(21 <= note.pitch <= 108 and note.velocity <= 80 for note in notes)


def test_the_script_writes_the_primers_that_are_here(make_samples, tmp_path):
    for tune in make_samples.PRIMERS:
        made = make_samples.write_primer(tune, tmp_path)
        assert made.read_bytes() == (ROOT / "samples" / "midi" / tune.name).read_bytes()


def test_the_script_writes_a_song_with_the_same_bytes_again(make_samples, tmp_path):
    short = replace(make_samples.SONGS[0], chords=(0, 3))
    (tmp_path / "again").mkdir()
    first, again = make_samples.write_song(short, tmp_path), make_samples.write_song(short, tmp_path / "again")
    assert first.read_bytes() == again.read_bytes()


def test_pieces_differ_from_each_other(make_samples):
    everything = [*make_samples.SONGS, *make_samples.PRIMERS]
    assert len({tuple(tune.texture(tune).played()) for tune in everything}) == 13
    songs = make_samples.SONGS
    assert len({(tune.tonic % 12, tune.scale) for tune in songs}) == 6
    assert len({tune.texture for tune in songs}) == 6


def test_no_note_starts_while_its_pitch_sounds(make_samples):
    for tune in (*make_samples.SONGS, *make_samples.PRIMERS):
        sounding_until = {}
        for note in tune.texture(tune).played():
            assert note.start_s >= sounding_until.get(note.pitch, 0.0), tune.name
            sounding_until[note.pitch] = note.end_s
