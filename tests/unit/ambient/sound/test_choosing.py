import pytest

from ambient.character import Character, CharacterRange
from ambient.sound.choosing import choose_preset


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
    piece = Character(pitch=60, notes_per_second=3.4, note_s=1.1, polyphony=4.4)
    lone, _ = choose_preset(piece)
    songs = CharacterRange(pitch=(57, 62), notes_per_second=(8.0, 10.0), note_s=(0.12, 0.2), polyphony=(2.5, 3.5))
    together, why = choose_preset(piece, songs)
    assert (lone.name, together.name) == ("tape organ", "felt piano")
    assert why.endswith("; the model's songs: 8.0–10.0 a second of 0.1–0.2 s, around A3–D4)")


def test_the_songs_choose_no_preset_that_does_not_suit_the_piece():
    piece = Character(pitch=40, notes_per_second=0.4, note_s=9.0, polyphony=3.0)
    songs = CharacterRange(pitch=(70, 90), notes_per_second=(3.0, 8.0), note_s=(0.1, 0.3), polyphony=(1.0, 2.0))
    assert choose_preset(piece, songs)[0].name == "deep drone"


def test_songs_that_differ_much_say_little():
    piece = Character(pitch=62, notes_per_second=2.2, note_s=1.35, polyphony=3.5)
    songs = CharacterRange(pitch=(40, 80), notes_per_second=(0.5, 10.0), note_s=(0.1, 5.0), polyphony=(1.5, 6.0))
    assert choose_preset(piece, songs)[0].name == choose_preset(piece)[0].name
