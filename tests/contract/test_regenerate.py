import json

import pytest

from ambient.midi import read_midi, write_midi
from ambient.notes import Note
from ambient.stages import generate
from ambient.stages.regenerate import main

PRIMER = [Note(i * 0.5, 60 + i % 5, i * 0.5 + 0.4, 65) for i in range(12)]


@pytest.fixture
def regenerate():
    return main


@pytest.fixture
def primer(tmp_path):
    path = tmp_path / "seeds" / "calm.mid"
    path.parent.mkdir()
    write_midi(path, PRIMER)
    return path


@pytest.fixture
def generated(tiny_composer, tmp_path):
    """Compose with the tiny model; returns the piece."""

    def make(*flags):
        song = tmp_path / "song.mid"
        assert generate.main([*map(str, ["--load_path", tiny_composer, "--save_path", song, *flags])]) == 0
        return song

    return make


@pytest.fixture
def again(regenerate, tiny_composer, tmp_path):
    """Make a piece again with the tiny model; returns exit code and file."""

    def make(song, *flags):
        path = tmp_path / "again.mid"
        command = [song, "--load_path", tiny_composer, "--save_path", path, *flags]
        return regenerate([*map(str, command)]), path

    return make


@pytest.mark.parametrize(
    "flags",
    [
        ["--length", 40, "--seed", 7],
        ["--length", 200, "--density", 80, "--note_length", 12.5],
        ["--length", 200, "--shape", "0:20 0.1:70 0.3:10", "--shape", "register 0:5 1:95"],
        ["--length", 60, "--notes_per_second", 3, "--note_end_rate", 0.5],
        ["--minutes", 0.1, "--keep_primer", "--temperature", 1.1, "--timing_temperature", 0.8, "--program", 4],
        ["--length", 40, "--top_k", 9, "--timing_top_k", 5, "--top_k_offset", 1, "--min_p", 0.02, "--keep_loops"],
        ["--length", 20, "--beam", 2, "--creativity", -0.5],
        ["--length", 200, "--modulation", 0.3],
        ["--length", 200, "--recall", 0.6],
        ["--length", 200, "--open_end"],
    ],
)
def test_a_piece_is_made_again_to_the_same_bytes(generated, again, primer, flags):
    song = generated("--inputs", primer, *flags)
    code, made = again(song, "--inputs", primer.parent)
    assert code == 0
    assert made.read_bytes() == song.read_bytes()


def test_a_piece_of_the_shipped_model_is_made_again_without_naming_it(regenerate, primer, tmp_path):
    song, made = tmp_path / "song.mid", tmp_path / "again.mid"
    assert generate.main(["--inputs", str(primer), "--save_path", str(song), "--length", "40"]) == 0
    assert regenerate([str(song), "--inputs", str(primer.parent), "--save_path", str(made)]) == 0
    assert made.read_bytes() == song.read_bytes()


def test_neither_the_piece_nor_its_primer_is_overwritten(generated, regenerate, primer, tiny_composer, capsys):
    song = generated("--inputs", primer, "--length", 30)
    before = song.read_bytes(), primer.read_bytes()
    for path in (song, primer):
        command = [song, "--load_path", tiny_composer, "--inputs", primer, "--save_path", path]
        assert regenerate([*map(str, command)]) == 1
        assert f"{path}: would be overwritten" in capsys.readouterr().err
    assert (song.read_bytes(), primer.read_bytes()) == before


def test_the_second_best_of_three_songs_is_made_again(generated, again, primer, tmp_path):
    generated("--inputs", primer, "--length", 60, "--songs", 3, "--keep", 2)
    songs = [tmp_path / "song-1.mid", tmp_path / "song-2.mid"]
    assert songs[0].read_bytes() != songs[1].read_bytes()
    assert not (tmp_path / "song-3.mid").exists()
    for song in songs:
        code, made = again(song, "--inputs", primer)
        assert code == 0
        assert made.read_bytes() == song.read_bytes()


def test_a_piece_from_nothing_needs_no_primer(generated, again):
    assert again(generated("--length", 30))[0] == 0


def test_another_primer_is_not_taken_for_the_piece_s_own(generated, again, primer, capsys):
    song = generated("--inputs", primer, "--length", 30)
    write_midi(primer, PRIMER[1:])
    code, made = again(song, "--inputs", primer.parent)
    assert code == 1
    assert "no primer calm.mid (digest" in capsys.readouterr().err
    assert not made.exists()


def test_a_file_of_other_origin_is_one_line(regenerate, primer, tmp_path, capsys):
    assert regenerate([str(primer), "--save_path", str(tmp_path / "again.mid")]) == 1
    assert "calm.mid: no settings of `generate`" in capsys.readouterr().err


def test_another_model_is_named(generated, again, capsys):
    song = generated("--length", 30)
    (text,) = read_midi(song).texts
    mark, settings = text.split(" ", 1)
    changed = json.dumps(json.loads(settings) | {"model": "0123"})
    write_midi(song, read_midi(song).notes, texts=[f"{mark} {changed}"])
    assert again(song)[0] == 1
    assert "was made by 0123" in capsys.readouterr().err
