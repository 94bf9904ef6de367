"""The glob dialect: what matches, what does not, what groups capture."""

import re

import pytest

from localpach.errors import GlobError
from localpach.spec import glob_machine
from localpach.spec.glob_machine import Machine
from localpach.spec.globs import Glob, choices, parse_glob, to_expression

MATCHES = [
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
    # lists, ranges and classes
    ("[[:upper:][:digit:]_]x", "Zx", True), ("[[:upper:][:digit:]_]x", "_x", True), ("[[:upper:]]x", "zx", False),
    ("[^[:space:]]", "a", True), ("[^[:space:]]", " ", False), ("[[:xdigit:]]", "F", True), ("[[:punct:]]", "-", True),
    ("[[:punct:]]", "a", False), ("[[:word:]]", "_", True), ("[[:alnum:]]", "_", False), ("[[:lower:]]", "q", True),
    ("[[:blank:]]", " ", True), ("[[:cntrl:]]", "a", False), ("[[:graph:]]", " ", False), ("[[:print:]]", " ", True),
    ("[[:ascii:]]", "~", True), ("[[:space:]]", " ", True),
    ("[a-]", "-", True), ("[-a]", "-", True), ("[a-c-e]", "-", True), ("[a-c-e]", "d", False),
    (r"[\]]", "]", True), (r"[a\-c]", "b", False), (r"[a\-c]", "-", True), ("[&&]", "&", True), ("[[a]", "[", True),
    # no class has the slash: not one that is negated, nor a range or a named class around it
    ("[!b]", "/", False), ("a[!b]c", "a/c", False), ("a[^b]c", "a/c", False), ("a[+-9]c", "a/c", False),
    ("a[/]c", "a/c", False), ("a[[:punct:]]c", "a/c", False), ("a[![:alpha:]]c", "a/c", False),
    ("a*([!b])c", "a/c", False), ("a!([!b])c", "a/c", False),
    ("[!]]", "]", False), ("[!]]", "a", True), ("[^!]", "!", False), ("[!!]", "!", False), ("[a^]", "^", True),
    # what is literal outside its place
    ("a)b", "a)b", True), ("a|b", "a|b", True), ("a,b}", "a,b}", True),
    ("(a,b)", "a,b", True), ("{a|b,c}", "a|b", True),
    ("a]", "a]", True), ("$^.", "$^.", True), ("a!", "a!", True), (r"\(a\)", "(a)", True), (r"a\/b", "a/b", True),
    # groups inside groups, and what repeats
    ("*(a|b(c|d))e", "abcade", False), ("*(a|b(c|d))e", "abcabde", True), ("+(?(a)b)", "abbab", True),
    ("+(?(a)b)", "aab", False), ("{(a),b{c,d}}", "bd", True), ("@({a,b}|c)", "b", True), ("*(a*)", "abcab", True),
    ("*(**/)x", "a/b/x", True), ("+(*/)x", "a/b/x", True), ("+(*/)x", "x", False),
    ("(|a)b", "b", True), ("()", "", True),
    ("?(a|)b", "b", True), ("*(|a)", "aaa", True), ("*()", "", True), ("+(a|aa)", "aaa", True),
    # negation looks at what follows it, and stays inside one path element
    ("!(a)", "", True), ("!(*)", "a", False), ("!(*)", "", False), ("!(a)b", "ab", False), ("!(a)b", "aab", True),
    ("!(a)b", "b", True), ("x!(a|b)y", "xay", False), ("x!(a|b)y", "xcy", True), ("x!(a|b)y", "xy", True),
    ("x/!(a)/y", "x/a/y", False), ("x/!(a)/y", "x/b/y", True), ("x/!(a)/y", "x/b/c/y", False), ("!(a/b)", "a", True),
    ("!(!(a))", "a", True), ("!(!(a))", "b", False), ("!(a)!(b)", "ab", True), ("!(a*)c", "abc", False),
    ("!(*.mp3)", "a.wav", True), ("!(*.mp3)", "a.mp3", False), ("*.!(mp3|wav)", "a.ogg", True), ("**", "", True),
    ("*.!(mp3|wav)", "a.mp3", False), ("*(!(a))b", "ab", False), ("!(**)", "", False), ("/!(**)", "/n1", False),
]  # fmt: skip
TEMPLATES = [
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
    ("/n(?)(?)", "/n47", "$2$1", "74"),
    ("test/a*(a|b)", "test/a", "[$1]", "[]"),
    ("a+(b|c)d", "abcbd", "$1", "bcb"),
    ("(a(b)(c))d", "abcd", "$3$2$1", "cbabc"),
    ("*(x(?))", "x1x2", "$1 $2", "x1x2 2"),
    ("{(a),(b)}(*)", "bc", "[$1][$2][$3]", "[][b][c]"),
    ("!(a(b))(?)", "xy", "[$1][$2][$3]", "[x][][y]"),
    ("(*)(*)", "ab", "[$1][$2]", "[ab][]"),
    ("(*)-(*)", "a-b-c", "[$1][$2]", "[a-b][c]"),
    ("(*)-(*)-(**)", "a-b-c-d/e", "[$1][$2][$3]", "[a-b][c][d/e]"),
    ("name=(*)", "name=x", "$1a", ""),
    ("name=(*)", "name=x", "${no}$-$", "$-$"),
    ("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)", "abcdefghijkl", "${10}$11-$12", "jk-l"),
    ("*(a)*(b)*(c)", "aabc", "$1.$2.$3", "aa.b.c"),
]


@pytest.mark.parametrize(("pattern", "path", "matches"), MATCHES)
def test_pattern_matches_the_whole_path_or_not(pattern, path, matches):
    assert Glob(pattern, anchored=False).matches(path) is matches


@pytest.mark.parametrize(("pattern", "path", "template", "filled"), TEMPLATES)
def test_template_is_filled_from_the_groups(pattern, path, template, filled):
    assert Glob(pattern, anchored=False).expand(path, template) == filled


def test_many_groups_give_no_more_work_than_few():
    pattern = "".join(f"(a{n})" for n in range(60))
    assert Glob(pattern, anchored=False).expand("".join(f"a{n}" for n in range(60)), "$60") == "a59"


FEW = sorted({pattern for pattern, *_ in (*MATCHES, *TEMPLATES) if choices(parse_glob(pattern)) < 5})


@pytest.mark.parametrize("pattern", FEW)
def test_expression_and_machine_say_the_same(pattern):
    tree = parse_glob(pattern)
    expression, machine = re.compile(to_expression(tree), re.DOTALL), Machine(tree)
    paths = {path for _, path, *_ in (*MATCHES, *TEMPLATES)}
    for path in paths:
        match, captured = expression.fullmatch(path), machine.match(path)
        assert (match is None) is (captured is None), path
        if match and captured:
            expected = {number: match[number] or "" for number in range(expression.groups + 1)}
            assert {number: captured.get(number, "") for number in expected} == expected, path


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 250),
        ("**a**a**a**a**a**a**b", "a/" * 120),
        ("*(*(*(*(*(a)))))b", "a" * 250),
        ("+(+(+(a|aa)|a*)|*)b", "a" * 250),
        ("{a,aa}" * 30 + "b", "a" * 45),
        ("{*,**}" * 10 + "b", "a" * 100),
        ("!(*(a)*(a)*(a))!(*(a)*(a))b", "a" * 100),
        ("*(!(a)|!(b))!(c)!(d)!(e)x", "a" * 60),
    ],
)
def test_no_pattern_goes_through_every_combination(pattern, path, monkeypatch):
    tested = []
    monkeypatch.setattr(glob_machine, "_compiled", lambda one: tested.append(one) or re.compile(one, re.DOTALL))
    assert not Glob(pattern, anchored=False).matches(path)
    assert 0 < len(tested) <= (len(pattern) * len(path)) * (1 + pattern.count("!") * len(path))


@pytest.mark.parametrize(("pattern", "cleaned"), [("", "/"), ("abc/", "/abc"), ("/a/*", "/a/*"), ("*", "/*")])
def test_pattern_over_paths_starts_with_a_slash_and_ends_without(pattern, cleaned):
    assert Glob(pattern).pattern == cleaned


@pytest.mark.parametrize(
    "pattern",
    ["(a", "{a,b", "[a", "[", "[!", "[]", "[a\\", "a\\", "[[:nope:]]", "[z-a]", "[a--]", "(" * 10_000, "(a)" * 101],
)
def test_pattern_that_cannot_be_read_is_named(pattern):
    with pytest.raises(GlobError, match="glob "):
        Glob(pattern)
