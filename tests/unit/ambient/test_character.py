import pytest

from ambient.character import (
    Character,
    CharacterRange,
    character_of,
    character_range,
    range_to_settings,
    settings_to_range,
)
from ambient.notes import Note


def test_a_piece_is_described_by_four_numbers():
    notes = [Note(0.0, 60, 1.0, 64), Note(0.0, 64, 2.0, 64), Note(4.0, 67, 6.0, 64)]
    wanted = Character(pitch=64.0, notes_per_second=0.75, note_s=2.0, polyphony=pytest.approx(5 / 4))
    assert character_of(notes) == character_of(notes[::-1]) == wanted


def test_a_note_within_another_s_time_does_not_end_it():
    notes = [Note(0.0, 60, 10.0, 64), Note(1.0, 64, 2.0, 64), Note(5.0, 64, 6.0, 64)]
    assert character_of(notes).polyphony == pytest.approx(12 / 10)


def test_one_note_has_a_character():
    assert character_of([Note(3.0, 60, 4.0, 64)]) == Character(60.0, 1.0, 1.0, 1.0)


def test_songs_range_from_the_tenth_to_the_ninetieth_percentile():
    songs = [Character(pitch, 2.0, 0.5, 3.0) for pitch in (10, *range(51, 60), 120)]
    assert character_range(songs) == CharacterRange((51.0, 59.0), (2.0, 2.0), (0.5, 0.5), (3.0, 3.0))


def test_a_range_comes_back_from_json_values():
    songs = CharacterRange((60.0, 64.5), (1.25, 2.0), (0.5, 0.75), (3.0, 3.0))
    assert settings_to_range(range_to_settings(songs)) == songs


@pytest.mark.parametrize(
    "change",
    [
        {"pitch": 60},
        {"pitch": [60]},
        {"pitch": ["a", "b"]},
        {"pitch": [64, 60]},
        {"note_s": [0, 10**400]},
        {"polyphony": None},
    ],
)
def test_other_values_are_no_range(change):
    assert settings_to_range(range_to_settings(CharacterRange((1, 2), (1, 2), (1, 2), (1, 2))) | change) is None


@pytest.mark.parametrize("settings", [None, 3, [], {}])
def test_other_settings_are_no_range(settings):
    assert settings_to_range(settings) is None
