import pytest

from ambient.piece_settings import file_digest, file_with_digest, settings_to_text, texts_to_settings


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
