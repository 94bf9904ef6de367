"""Which names a repo takes, and what a person is told of one that it does not take."""

import pytest

from localpach.errors import FileNameError
from localpach.spec.paths import REFUSED_CHARACTERS, check_path, safe_path

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


@pytest.mark.parametrize("character", [each for each in PRINTABLE if each not in "/" and each not in "*?[]{}!()@+^"])
def test_printable_character_is_taken(character):
    assert check_path(f"/a{character}b") == f"/a{character}b"


@pytest.mark.parametrize(
    "character", [*"*?[]{}!()@+^", "\0", "\x1f", "\x7f", "\x0b", "\n", "ó", "…", "\U0001f3b5", "\udcff"]
)
def test_other_character_is_refused_by_name_and_with_a_name_that_is_taken(character):
    with pytest.raises(FileNameError, match="Rename the file, to '/a") as refused:
        check_path(f"/a{character}b.mp3")
    assert f"it holds {character!a}" in str(refused.value)
    assert str(refused.value).isascii()
    assert check_path(safe_path(f"/a{character}b.mp3")) == safe_path(f"/a{character}b.mp3")


def test_the_refused_characters_are_those_of_pachyderm():
    assert frozenset("*?[]{}!()@+^") == REFUSED_CHARACTERS


@pytest.mark.parametrize(
    ("path", "problem", "safe"),
    [
        ("/a/../b", r"it has the element '\.\.'", "/a/b"),
        ("../../etc/passwd", r"it has the element '\.\.'", "/etc/passwd"),
        ("./a", r"it has the element '\.'", "/a"),
        ("/", "it is empty", None),
        ("", "it is empty", None),
        ("/" + "x" * 300, "an element has 300 characters, more than 255", "/" + "x" * 255),
        ("/a/" + "x" * 300 + ".mp3", "an element has 304 characters", "/a/" + "x" * 251 + ".mp3"),
    ],
)
def test_path_that_leaves_the_repo_or_is_too_long_is_refused(path, problem, safe):
    with pytest.raises(FileNameError, match=problem) as refused:
        check_path(path)
    if safe:
        assert f"to {safe!r} for example" in str(refused.value)
        assert check_path(safe) == safe


def test_name_of_255_characters_is_taken():
    assert check_path("x" * 255) == "/" + "x" * 255


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/Sigur Rós (Live)?.mp3", "/Sigur Ros _Live__.mp3"),
        ("/音楽.mp3", "/__.mp3"),
        ("/..", "/file"),
        ("/ﬁnale", "/finale"),
    ],
)
def test_suggested_name_still_reads_like_the_refused_one(path, safe):
    assert safe_path(path) == safe
