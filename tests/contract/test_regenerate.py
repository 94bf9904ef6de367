import importlib.util
import json
from pathlib import Path

import pytest

from ambient.midi import read_midi, write_midi
from ambient.notes import Note
from stages import generate

PRIMER = [Note(i * 0.5, 60 + i % 5, i * 0.5 + 0.4, 65) for i in range(12)]
PROGRAM = Path(__file__).parents[2] / "scripts" / "regenerate.py"


@pytest.fixture
def regenerate():
    spec = importlib.util.spec_from_file_location("regenerate", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def primer(tmp_path):
    path = tmp_path / "seeds" / "calm.mid"
    path.parent.mkdir()
    write_midi(path, PRIMER)
    return path


@pytest.mark.parametrize(
    "flags",
    [
        ["--length", 40, "--seed", 7],
        ["--minutes", 0.1, "--keep_primer", "--temperature", 1.1, "--timing_temperature", 0.8, "--program", 4],
        ["--length", 40, "--top_k", 9, "--timing_top_k", 5, "--top_k_offset", 1, "--min_p", 0.02, "--keep_loops"],
        ["--length", 20, "--beam", 2, "--creativity", -0.5],
    ],
)
def test_a_piece_is_made_again_to_the_same_bytes(regenerate, primer, tmp_path, flags):
    song, again = tmp_path / "song.mid", tmp_path / "again.mid"
    assert generate.main([*map(str, ["--inputs", primer, "--save_path", song, *flags])]) == 0
    assert regenerate([str(song), "--inputs", str(primer.parent), "--save_path", str(again)]) == 0
    assert again.read_bytes() == song.read_bytes()


def test_the_second_best_of_three_songs_is_made_again(regenerate, primer, tmp_path):
    flags = ["--length", "60", "--songs", "3", "--keep", "2"]
    assert generate.main(["--inputs", str(primer), "--save_path", str(tmp_path / "song.mid"), *flags]) == 0
    songs = [tmp_path / "song-1.mid", tmp_path / "song-2.mid"]
    assert songs[0].read_bytes() != songs[1].read_bytes()
    assert not (tmp_path / "song-3.mid").exists()
    for song in songs:
        assert regenerate([str(song), "--inputs", str(primer), "--save_path", str(tmp_path / "again.mid")]) == 0


def test_a_piece_from_nothing_needs_no_primer(regenerate, tmp_path):
    song, again = tmp_path / "song.mid", tmp_path / "again.mid"
    assert generate.main(["--save_path", str(song), "--length", "30"]) == 0
    assert regenerate([str(song), "--save_path", str(again)]) == 0


def test_another_primer_is_not_taken_for_the_piece_s_own(regenerate, primer, tmp_path, capsys):
    song = tmp_path / "song.mid"
    assert generate.main(["--inputs", str(primer), "--save_path", str(song), "--length", "30"]) == 0
    write_midi(primer, PRIMER[1:])
    assert regenerate([str(song), "--inputs", str(primer.parent), "--save_path", str(tmp_path / "again.mid")]) == 1
    assert "no primer calm.mid (digest" in capsys.readouterr().err
    assert not (tmp_path / "again.mid").exists()


def test_a_file_of_other_origin_is_one_line(regenerate, primer, tmp_path, capsys):
    assert regenerate([str(primer), "--save_path", str(tmp_path / "again.mid")]) == 1
    assert "calm.mid: no settings of `generate`" in capsys.readouterr().err


def test_another_model_is_named(regenerate, tmp_path, capsys):
    song = tmp_path / "song.mid"
    assert generate.main(["--save_path", str(song), "--length", "30"]) == 0
    (text,) = read_midi(song).texts
    mark, settings = text.split(" ", 1)
    changed = json.dumps(json.loads(settings) | {"model": "0123"})
    write_midi(song, read_midi(song).notes, texts=[f"{mark} {changed}"])
    assert regenerate([str(song), "--save_path", str(tmp_path / "again.mid")]) == 1
    assert "was made by 0123" in capsys.readouterr().err
