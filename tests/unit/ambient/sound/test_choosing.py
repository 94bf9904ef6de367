import pytest

from ambient.notes import Note
from ambient.sound.choosing import Character, character_of, choose_preset, songs_character


def test_a_piece_is_described_by_four_numbers():
    notes = [Note(0.0, 60, 1.0, 64), Note(0.0, 64, 2.0, 64), Note(4.0, 67, 6.0, 64)]
    found = character_of(notes)
    assert found == Character(pitch=64.0, notes_per_second=0.75, note_s=2.0, polyphony=pytest.approx(5 / 4))


@pytest.mark.parametrize(
    ("character", "name"),
    [
        (Character(pitch=60, notes_per_second=4.5, note_s=0.4, polyphony=3.0), "felt piano"),
        (Character(pitch=84, notes_per_second=4.5, note_s=0.2, polyphony=1.5), "music box"),
        (Character(pitch=52, notes_per_second=0.6, note_s=9.0, polyphony=4.5), "warm pad"),
        (Character(pitch=40, notes_per_second=0.4, note_s=9.0, polyphony=3.0), "deep drone"),
        (Character(pitch=66, notes_per_second=0.7, note_s=0.8, polyphony=1.5), "slow bells"),
    ],
)
def test_auto_takes_what_a_musician_would(character, name):
    preset, why = choose_preset(character)
    assert preset.name == name
    assert why.startswith(f"auto: {name} (")


def test_the_songs_of_the_model_count_too():
    piece = Character(pitch=62, notes_per_second=2.2, note_s=1.35, polyphony=3.5)
    lone, _ = choose_preset(piece)
    songs = Character(pitch=60, notes_per_second=9.0, note_s=0.15, polyphony=3.0)
    together, why = choose_preset(piece, songs)
    assert (lone.name, together.name) == ("tape organ", "felt piano")
    assert "its songs: 9.0 a second of 0.1 s" in why or "its songs: 9.0 a second of 0.2 s" in why


@pytest.mark.parametrize("settings", [{}, {"songs": 3}, {"songs": {"pitch": 60}}, {"songs": {"pitch": "high"}}])
def test_a_piece_that_does_not_tell_of_its_songs_has_none(settings):
    assert songs_character(settings) is None
