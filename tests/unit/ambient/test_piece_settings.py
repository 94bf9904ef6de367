import pytest

from ambient.notes import Note
from ambient.piece_settings import (
    file_digest,
    file_with_digest,
    primer_to_text,
    settings_to_text,
    texts_to_primer,
    texts_to_settings,
)


def test_settings_come_back_from_among_other_texts():
    settings = {"seed": 7, "density": "0:20 4:70", "minutes": 2.5}
    assert texts_to_settings(["by hand", settings_to_text(settings)]) == settings


@pytest.mark.parametrize(
    "texts", [[], ["by hand"], ["ambient-music-generation {"], ["ambient-music-generation [1]"], ["ambient-music-gen"]]
)
def test_texts_without_settings_give_none(texts):
    assert texts_to_settings(texts) is None


def test_a_file_is_found_by_its_content_whatever_its_name(tmp_path):
    for name, content in (("a", b"one"), ("b", b"abc")):
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / "a", tmp_path / "b"]
    assert file_digest(tmp_path / "b") == "ba7816bf8f01cfea"  # SHA-256 of abc, FIPS 180-2
    assert file_with_digest(paths, "ba7816bf8f01cfea") == tmp_path / "b"
    assert file_with_digest(paths, "0" * 16) is None


def test_a_primer_comes_back_from_among_other_texts():
    primer = [Note(0.0, 60, 0.5, 64), Note(0.25, 67, 1.125, 50)]
    text = primer_to_text(primer)
    assert text == "ambient-music-generation-primer [[0,60,500,64],[250,67,875,50]]"
    assert texts_to_primer(["by hand", settings_to_text({"seed": 1}), text]) == primer
    assert texts_to_settings([text, settings_to_text({"seed": 1})]) == {"seed": 1}


def test_of_a_long_primer_the_last_minute_is_kept():
    primer = [Note(float(second), 60, second + 1.0, 64) for second in range(200)]
    kept = texts_to_primer([primer_to_text(primer)])
    assert len(kept) == 60
    assert (kept[0].start_s, kept[-1].end_s) == (0.0, 60.0)


def test_a_note_longer_than_the_last_minute_is_kept():
    assert texts_to_primer([primer_to_text([Note(0.0, 60, 90.0, 64)])]) == [Note(0.0, 60, 90.0, 64)]


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "{}",
        "[1]",
        "[[0,60,500]]",
        "[[0,128,500,64]]",
        "[[0,60,0,64]]",
        "[[-1,60,5,64]]",
        "[[0,60,1e9,64]]",
        "[" * 9999,
    ],
)
def test_a_damaged_primer_is_none(rows):
    assert texts_to_primer(["ambient-music-generation-primer " + rows]) == []
