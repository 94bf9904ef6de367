import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.names import (
    AUDIO_SUFFIXES,
    MAX_NAME_CHARACTERS,
    is_audio_name,
    standard_names,
    standard_stem,
    transliterate,
)

STANDARD = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*\.[a-z0-9]+")

stems = st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(lambda text: not text.startswith("."))
endings = st.sampled_from(sorted(AUDIO_SUFFIXES)).flatmap(lambda suffix: st.sampled_from([suffix, suffix.upper()]))
file_names = st.builds(str.__add__, stems, endings)
paths = st.lists(stems, max_size=2).flatmap(lambda folders: file_names.map(lambda name: "/".join([*folders, name])))


@pytest.mark.parametrize(
    ("original", "standard"),
    [
        ("Sigur Rós – Ágætis (Live!).MP3", "sigur-ros-agaetis-live.mp3"),
        ("song.mp3", "song.mp3"),
        ("my_song-2.flac", "my_song-2.flac"),
        ("01. Größenwahn & Übermut.WAV", "01-grossenwahn-and-ubermut.wav"),
        ("Łódź Þór Đorđe Œuvre.ogg", "lodz-thor-dorde-oeuvre.ogg"),
        ("Кино - Группа крови.m4a", "kino-gruppa-krovi.m4a"),
        ("Йога ёлка.m4a", "yoga-yolka.m4a"),
        ("Θάλασσα.opus", "thalassa.opus"),
        ("Don't Stop [2x] {a} *?@+^.mp3", "dont-stop-2x-a.mp3"),
        ("ﬁnale ½ ٣.mp3", "finale-1-2-3.mp3"),
        ("東京 night.mp3", "night.mp3"),
        ("Album/CD 1/Song.mp3", "album-cd-1-song.mp3"),
        ("a..b__c - d.mp3", "a-b_c-d.mp3"),
    ],
)
def test_name_becomes_readable_ascii(original, standard):
    assert standard_names([original]) == {original: standard}


def test_composed_and_decomposed_accents_read_the_same():
    assert transliterate("é") == transliterate("e\u0301") == "e"


def test_name_without_any_known_letter_gets_a_stable_stand_in():
    name = standard_names(["東京.mp3"])["東京.mp3"]
    assert re.fullmatch(r"song-[0-9a-f]{8}\.mp3", name)
    assert standard_names(["東京.mp3", "大阪.mp3", "song.mp3"])["東京.mp3"] == name


def test_colliding_names_differ_and_the_standard_one_is_kept():
    names = standard_names(["Song.mp3", "song.mp3", "SONG.mp3"])
    assert names["song.mp3"] == "song.mp3"
    assert all(re.fullmatch(r"song-[0-9a-f]{8}\.mp3", names[other]) for other in ("Song.mp3", "SONG.mp3"))
    assert len(set(names.values())) == 3


def test_same_stem_with_other_ending_gets_another_stem():
    names = standard_names(["song.mp3", "song.flac"])
    assert names["song.flac"] == "song.flac"
    assert re.fullmatch(r"song-[0-9a-f]{8}\.mp3", names["song.mp3"])


def test_name_that_looks_like_a_distinct_one_is_not_taken_twice():
    distinct = standard_names(["Song.mp3", "song.mp3"])["Song.mp3"]
    names = standard_names(["Song.mp3", "song.mp3", distinct])
    assert names[distinct] == distinct
    assert len(set(names.values())) == 3


def test_another_recording_with_another_name_changes_nothing():
    before = standard_names(["Song.mp3", "song.mp3", "Ö.mp3"])
    after = standard_names(["Song.mp3", "song.mp3", "Ö.mp3", "other.mp3", "Zzz.wav"])
    assert before.items() <= after.items()


def test_very_long_name_is_cut():
    long = "Very Long " * 30 + ".mp3"
    names = standard_names([long, long.lower()])
    assert all(len(name) <= MAX_NAME_CHARACTERS for name in names.values())
    assert len(set(names.values())) == 2
    assert all(name.startswith("very-long-very-long") for name in names.values())


@pytest.mark.parametrize(
    "name", ["a.mp3", "a.FLAC", "b/c.Ogg", "x.y.m4a", "...And Justice.mp3", "b/.45.mp3", ".hidden.mp3"]
)
def test_recording_is_known_by_its_ending(name):
    assert is_audio_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "cover.jpg",
        "notes.txt",
        "mp3",
        ".mp3",
        "._song.mp3",
        "a/._song.mp3",
        ".partial-7-song.mp3",
        "a/.DS_Store",
        "song.mp3.part",
    ],
)
def test_other_files_are_no_recordings(name):
    assert not is_audio_name(name)


@given(st.sets(paths, max_size=8))
def test_names_are_valid_and_their_stems_differ(originals):
    names = standard_names(originals)
    assert names.keys() == originals
    assert all(STANDARD.fullmatch(name) and len(name) <= MAX_NAME_CHARACTERS for name in names.values())
    assert len({name.rpartition(".")[0] for name in names.values()}) == len(originals)


@given(file_names)
def test_standard_name_of_a_standard_name_is_itself(original):
    standard = standard_names([original])[original]
    assert standard_names([standard]) == {standard: standard}


@given(st.sets(paths, max_size=5), paths)
def test_another_recording_changes_only_rivals_for_its_stem(originals, added):
    before, after = standard_names(originals), standard_names(originals | {added})
    for original in originals - {added}:
        if standard_stem(original) != standard_stem(added):
            assert after[original] == before[original]
