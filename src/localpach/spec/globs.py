"""Which paths does a glob match, and what do its groups capture? Pachyderm's dialect, and no pattern that can hang.

| pattern | meaning |
| --- | --- |
| `*`, `**`, `?` | anything in one path element, anything, one character that is not `/` |
| `[abc]`, `[a-c]`, `[!a]`, `[^a]`, `[[:alpha:]]` | one character of, or not of, a list |
| `{a,b}` | alternatives, not captured |
| `(a|b)`, `@(a|b)`, `*(a|b)`, `+(a|b)`, `?(a|b)`, `!(a|b)` | as in ksh, captured |
| `\\c` | the character c |

A pattern is read into a small tree. Trees with few choices, which is what people write, become regular expressions;
those could go through every combination of choices of the others, which `glob_machine` matches in bounded time.
"""

import re
from functools import lru_cache

from localpach.errors import GlobError
from localpach.spec.glob_machine import AnyNumber, Character, Group, Machine, Part, Parts

_POSIX_CLASSES = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "word": "A-Za-z0-9_",
    "xdigit": "0-9A-Fa-f",
}
_REPEATS = {"?": "?", "@": "", "": ""}
_MOST_GROUPS = 100
_FEW_CHOICES = 3  # matching goes through about length ** choices combinations at most
_MANY = 1_000
_SLASH = Character("/")


class _Parser:
    """Reads one pattern from left to right; groups are numbered by their opening parenthesis."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = 0  # with braces
        self.captures = 0

    def parts(self, stops: str) -> Parts:
        """Read until one of the stop characters or the end."""
        parts: list[Part] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            parts.append(self.part())
        return tuple(parts)

    def part(self) -> Part:
        """Read one element of the pattern."""
        character = self.pattern[self.at]
        following = self.pattern[self.at + 1 : self.at + 2]
        if character in "*+?@!" and following == "(":
            self.at += 1
            return self.group(character, ")", "|")
        if character == "(":
            return self.group("", ")", "|")
        if character == "{":
            return self.group("{", "}", ",")
        if character == "[":
            return Character(self.character_class())
        if character == "\\":
            return Character(re.escape(self.character()))
        if character == "*":
            self.at += 2 if following == "*" else 1
            return AnyNumber("." if following == "*" else "[^/]")
        self.at += 1
        return Character("[^/]" if character == "?" else re.escape(character))

    def group(self, kind: str, close: str, separator: str) -> Group:
        """Read alternatives from the opening character to the closing one."""
        start = self.at
        self.groups += 1
        if self.groups > _MOST_GROUPS:
            raise GlobError(self.pattern, f"it has more than {_MOST_GROUPS} groups")
        number = 0
        if kind != "{":
            self.captures += 1
            number = self.captures
        alternatives = []
        while True:
            self.at += 1
            alternatives.append(self.parts(separator + close))
            if self.at >= len(self.pattern):
                raise GlobError(self.pattern, f"{self.pattern[start]!r} is never closed by {close!r}")
            if self.pattern[self.at] == close:
                self.at += 1
                return Group(kind, tuple(alternatives), number)

    def character(self) -> str:
        """Read one character, or the one behind a backslash."""
        if self.pattern[self.at] == "\\":
            self.at += 1
            if self.at == len(self.pattern):
                raise GlobError(self.pattern, "it ends in a backslash")
        self.at += 1
        return self.pattern[self.at - 1]

    def character_class(self) -> str:
        """Read `[…]`; the first `]` after an optional `!` or `^` is a character of the class."""
        self.at += 1
        negated = self.pattern[self.at : self.at + 1] in ("!", "^")
        self.at += negated
        members: list[str] = []
        while not members or self.pattern[self.at : self.at + 1] != "]":
            if self.at >= len(self.pattern):
                raise GlobError(self.pattern, "'[' is never closed by ']'")
            members.append(self.class_member())
        self.at += 1
        return f"(?!/)[{'^' if negated else ''}{''.join(members)}]"

    def class_member(self) -> str:
        """Read a character, a range, or a class such as `[:alpha:]`."""
        named = re.compile(r"\[:(\w+):\]").match(self.pattern, self.at)
        if named:
            self.at = named.end()
            if named[1] not in _POSIX_CLASSES:
                known = ", ".join(sorted(_POSIX_CLASSES))
                raise GlobError(self.pattern, f"[:{named[1]}:] is no class; known are {known}")
            return _POSIX_CLASSES[named[1]]
        first = self.character()
        if not re.compile(r"-[^\]]").match(self.pattern, self.at):
            return _exactly(first)
        self.at += 1
        last = self.character()
        if last < first:
            raise GlobError(self.pattern, f"the range {first}-{last} ends before it begins")
        return f"{_exactly(first)}-{_exactly(last)}"


def _exactly(character: str) -> str:
    """Write a character so that it means only itself inside a class."""
    return f"\\U{ord(character):08x}"


def parse_glob(pattern: str) -> Parts:
    """Read a pattern into its tree.

    Raises:
        GlobError: a group or class is not closed, or the pattern is too large.
    """
    return _Parser(pattern).parts("")


def choices(parts: Parts) -> int:
    """Count the places at which a match could go on in several ways, within one path element if it has no `**`."""
    counts = [0]
    negations = 0
    for part in parts:
        if part == _SLASH:
            counts.append(0)
        elif isinstance(part, Group) and part.kind == "!":
            negations += 1  # a second one would write out what follows it twice as often
            counts[-1] += 1 + _choices_inside(part)
        else:
            counts[-1] += _choices_of(part)
    if negations > 1:
        return _MANY
    return sum(counts) if _crosses_elements(parts) else max(counts)


def _choices_of(part: Part) -> int:
    if isinstance(part, Character):
        return 0
    if isinstance(part, AnyNumber):
        return 1
    if part.kind in ("*", "+", "!"):
        return _MANY
    return _choices_inside(part) + (part.kind == "?")


def _choices_inside(group: Group) -> int:
    inner = sum(_choices_of(each) for alternative in group.alternatives for each in alternative)
    return inner + (len(group.alternatives) > 1)


def _crosses_elements(parts: Parts) -> bool:
    """Return whether a part other than a plain `/` can match a `/`."""
    for part in parts:
        if isinstance(part, AnyNumber) and part.one == ".":
            return True
        if isinstance(part, Group) and any(_SLASH in each or _crosses_elements(each) for each in part.alternatives):
            return True
    return False


def to_expression(parts: Parts, *, capture: bool = True) -> str:
    """Turn a tree with few choices into a regular expression."""
    texts: list[str] = []
    opening = "(" if capture else "(?:"
    for index, part in enumerate(parts):
        if isinstance(part, Character):
            texts.append(part.one)
            continue
        if isinstance(part, AnyNumber):
            texts.append(f"{part.one}*")
            continue
        inner = "|".join(to_expression(each, capture=capture) for each in part.alternatives)
        if part.kind == "{":
            texts.append(f"(?:{inner})")
        elif part.kind == "!":
            rest = to_expression(parts[index + 1 :], capture=False)
            texts.append(f"{opening}(?!(?:{inner}){rest}\\Z)[^/]*)")
        else:
            texts.append(f"{opening}(?:{inner}){_REPEATS[part.kind]})")
    return "".join(texts)


class Glob:
    """A compiled pattern.

    Args:
        pattern: The pattern as written.
        anchored: Make it start with `/` and drop a trailing `/` first, as is done with patterns over repo paths.
    """

    def __init__(self, pattern: str, *, anchored: bool = True) -> None:
        self.pattern = _cleaned(pattern) if anchored else pattern
        tree = parse_glob(self.pattern)
        self._machine = Machine(tree) if choices(tree) > _FEW_CHOICES else None
        self._expression = None if self._machine else re.compile(to_expression(tree), re.DOTALL)

    def matches(self, path: str) -> bool:
        """Return whether the whole path matches."""
        return self.captured(path) is not None

    def captured(self, path: str) -> dict[int, str] | None:
        """Return the path (0) and what each group captured, by number; None if the path does not match."""
        if self._machine:
            return self._machine.match(path)
        assert self._expression is not None
        match = self._expression.fullmatch(path)
        return match and {number: match[number] or "" for number in range(self._expression.groups + 1)}

    def expand(self, path: str, template: str) -> str:
        """Fill `$1`, `${1}`, `$0` and `$$` of a template from a path; empty if the path does not match."""
        captured = self.captured(path)
        if captured is None:
            return ""

        def value(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            return captured.get(int(name), "") if name.isdigit() else ""

        return re.sub(r"\$(?:\{(\w+)\}|(\w+)|\$)", value, template, flags=re.ASCII)


def _cleaned(pattern: str) -> str:
    """Write a pattern as a path from the root, without double slashes and `.` elements; a class may hold a slash."""
    plain = re.sub(r"(?:^|(?<=/))(?:\./)+", "", pattern)
    return "/" + re.sub(r"/{2,}", "/", plain).strip("/").removesuffix("/.")


@lru_cache(maxsize=256)
def compile_glob(pattern: str) -> Glob:
    """Compile a pattern over repo paths; the same pattern is compiled once."""
    return Glob(pattern)
