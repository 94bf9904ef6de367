"""The glob dialect: what matches, what does not, what groups capture."""

import pytest

from localpach.errors import GlobError
from localpach.globs import Glob


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("?at", "cat", True), ("?at", "at", False),
        ("*/*/*", "a/b/c", True), ("*/*/*", "a/b/c/d", False), ("**/**/**", "a/b/c/d", True),
        ("[!a]*", "this", True), ("[!a]*", "a", False), ("[^a]*", "this", True),
        ("[a-c]x", "bx", True), ("[a-c]x", "dx", False), ("[[:alpha:]]1", "x1", True),
        ("[[:digit:]]x", "ax", False),
        ("[]]", "]", True), ("[!/]", "/", False),
        ("{abc,def}ghi", "defghi", True), ("{abc,def}ghi", "ghi", False), ("{a,{b,c}}d", "cd", True),
        ("*.(a|b)", "x.a", True), ("*.(a|b)", "x.y.b", True), ("*.(a|b)", "x.bb", False), ("*.(a|b)", "x.c", False),
        ("*.+(b|d)", "a.b", True), ("*.+(b|d)", "a.bb", True), ("*.+(b|d)", "a.", False), ("*.+(b|d)", "a.a", False),
        ("*.c?(c)", "file.c", True), ("*.c?(c)", "file.cc", True), ("*.c?(c)", "file.ccc", False),
        ("+([0-7])", "0377", True), ("+([0-7])", "09", False),
        ("*(0|1)", "", True), ("*(0|1)", "0110", True), ("*(0|1)", "2", False),
        ("!(a|b)", "c", True), ("!(a|b)", "a", False), ("!(a|b)", "ab", True), ("!(**)", "anything", False),
        ("!(a).txt", "b.txt", True), ("!(a).txt", "a.txt", False), ("!(a|b)/x", "a/x", False), ("!(a)", "b/c", False),
        ("@(a|b)c", "bc", True), ("a+b@c!", "a+b@c!", True),
        ("a.b", "axb", False), (r"\*", "*", True), (r"\*", "x", False),
        ("*", "", True), ("*", "a/b", False), ("**", "a/b", True),
    ],
)  # fmt: skip
def test_pattern_matches_the_whole_path_or_not(pattern, path, matches):
    assert Glob(pattern, anchored=False).matches(path) is matches


@pytest.mark.parametrize(
    ("pattern", "path", "template", "filled"),
    [
        ("test/a*(a|b)/x.go", "test/aba/x.go", "$1", "ba"),
        ("test/a?(a|b)/x.go", "test/a/x.go", "$1", ""),
        ("test/!(a|b)/x.go", "test/y/x.go", "$1", "y"),
        ("year=(*)/(*).dat", "year=2016/photos.dat", "$2 of $1", "photos of 2016"),
        ("name=(*)", "name=x", "${1}1", "x1"),
        ("name=(*)", "name=x", "$$1", "$1"),
        ("name=(*)", "name=x", "$0", "name=x"),
        ("name=(*)", "name=x", "$2", ""),
        ("name=(*)", "other", "$1", ""),
        ("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", "abcdefghij", "$10$1", "ja"),
        ("{a,b}(*)", "bc", "$1", "c"),
    ],
)
def test_template_is_filled_from_the_groups(pattern, path, template, filled):
    assert Glob(pattern, anchored=False).expand(path, template) == filled


@pytest.mark.parametrize(("pattern", "cleaned"), [("", "/"), ("abc/", "/abc"), ("/a/*", "/a/*"), ("*", "/*")])
def test_pattern_over_paths_starts_with_a_slash_and_ends_without(pattern, cleaned):
    assert Glob(pattern).pattern == cleaned


@pytest.mark.parametrize("pattern", ["(a", "{a,b", "[a", "a\\", "[[:nope:]]"])
def test_pattern_that_cannot_be_read_is_named(pattern):
    with pytest.raises(GlobError, match="glob "):
        Glob(pattern)
