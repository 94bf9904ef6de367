"""Which paths does a glob match, and what do its groups capture? Pachyderm's dialect as regular expressions.

| pattern | meaning |
| --- | --- |
| `*`, `**`, `?` | anything in one path element, anything, one character that is not `/` |
| `[abc]`, `[a-c]`, `[!a]`, `[^a]`, `[[:alpha:]]` | one character of, or not of, a list |
| `{a,b}` | alternatives, not captured |
| `(a|b)`, `@(a|b)`, `*(a|b)`, `+(a|b)`, `?(a|b)`, `!(a|b)` | as in ksh, captured |
| `\\c` | the character c |

A pattern is compiled to a small tree first, because `!(…)` must know what follows it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from localpach.errors import GlobError

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
    "word": "\\w",
    "xdigit": "0-9A-Fa-f",
}
_REPEATS = {"*": "*", "+": "+", "?": "?", "@": "", "": ""}


@dataclass(frozen=True, slots=True)
class _Group:
    """Alternatives in parentheses or braces; `kind` is the character before `(`, or `{`."""

    kind: str
    alternatives: "tuple[_Sequence, ...]"


_Sequence = tuple["str | _Group", ...]  # a string is regular expression text


class _Parser:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def sequence(self, stops: str) -> _Sequence:
        """Read until one of the stop characters or the end."""
        parts: list[str | _Group] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in stops:
            parts.append(self.part())
        return tuple(parts)

    def part(self) -> "str | _Group":
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
            return self.character_class()
        if character == "\\":
            if not following:
                raise GlobError(self.pattern, "it ends in a backslash")
            self.at += 2
            return re.escape(following)
        if character == "*" and following == "*":
            self.at += 2
            return ".*"
        self.at += 1
        return {"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character)

    def group(self, kind: str, close: str, separator: str) -> _Group:
        """Read alternatives from the opening character to the closing one."""
        start = self.at
        alternatives = []
        while True:
            self.at += 1
            alternatives.append(self.sequence(separator + close))
            if self.at >= len(self.pattern):
                raise GlobError(self.pattern, f"{self.pattern[start]!r} is never closed by {close!r}")
            if self.pattern[self.at] == close:
                self.at += 1
                return _Group(kind, tuple(alternatives))

    def character_class(self) -> str:
        """Read `[…]`; the first `]` after an optional `!` or `^` is a character of the class."""
        match = re.compile(r"\[([!^]?)(\]?(?:\[:\w+:\]|\\.|[^\]\\])*)\]").match(self.pattern, self.at)
        if match is None:
            raise GlobError(self.pattern, "'[' is never closed by ']'")
        self.at = match.end()
        body = re.sub(r"\[:(\w+):\]|\\(.)|([\[\]&~|^])", self._class_member, match[2])
        if not body:
            raise GlobError(self.pattern, "'[]' holds no character")
        return f"(?!/)[{'^' if match[1] else ''}{body}]"

    def _class_member(self, match: re.Match[str]) -> str:
        if match[1] is None:
            return re.escape(match[2] or match[3])
        if match[1] not in _POSIX_CLASSES:
            raise GlobError(self.pattern, f"[:{match[1]}:] is no class; known are {', '.join(sorted(_POSIX_CLASSES))}")
        return _POSIX_CLASSES[match[1]]


def _expression(sequence: _Sequence, *, capture: bool, tail: str) -> str:
    """Turn a sequence into a regular expression; `tail` is what must follow it up to the end of the path."""
    parts: list[str] = []
    for index, part in enumerate(sequence):
        if isinstance(part, str):
            parts.append(part)
            continue
        rest = _expression(sequence[index + 1 :], capture=False, tail=tail) + tail
        inner = "|".join(_expression(each, capture=capture, tail=rest) for each in part.alternatives)
        opening = "(" if capture and part.kind != "{" else "(?:"
        if part.kind == "!":
            refused = "|".join(_expression(each, capture=False, tail=rest) for each in part.alternatives)
            parts.append(f"{opening}(?!(?:{refused}){rest}\\Z)[^/]*)")
        elif part.kind == "{":
            parts.append(f"(?:{inner})")
        else:
            parts.append(f"{opening}(?:{inner}){_REPEATS[part.kind]})")
    return "".join(parts)


class Glob:
    """A compiled pattern.

    Args:
        pattern: The pattern as written.
        anchored: Make it start with `/` and drop a trailing `/` first, as is done with patterns over repo paths.
    """

    def __init__(self, pattern: str, *, anchored: bool = True) -> None:
        self.pattern = "/" + pattern.strip("/") if anchored else pattern
        parser = _Parser(self.pattern)
        sequence = parser.sequence("")
        self._expression = re.compile(_expression(sequence, capture=True, tail=""), re.DOTALL)

    def matches(self, path: str) -> bool:
        """Tell whether the whole path matches."""
        return self._expression.fullmatch(path) is not None

    def expand(self, path: str, template: str) -> str:
        """Fill `$1`, `${1}`, `$0` and `$$` of a template from a path; empty if the path does not match."""
        match = self._expression.fullmatch(path)
        if match is None:
            return ""

        def value(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            number = int(name) if name.isdigit() else -1
            return (match[number] or "") if 0 <= number <= self._expression.groups else ""

        return re.sub(r"\$(?:\{(\w+)\}|(\w+)|\$)", value, template)


@lru_cache(maxsize=256)
def compile_glob(pattern: str) -> Glob:
    """Compile a pattern over repo paths; the same pattern is compiled once."""
    return Glob(pattern)
