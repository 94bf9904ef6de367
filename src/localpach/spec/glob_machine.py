"""How is a glob matched that has many choices? By a machine that is never twice in the same state at the same place.

A regular expression engine goes back to each choice in turn, and `*(a|*b)*(a|*b)…` gives it more combinations than
there is time. This machine walks the same choices in the same order, but remembers where it has been: what failed from
a state at a place will fail there again. So a match takes at most (size of the pattern) × (length of the path) steps,
and that again for each `!(…)`, which asks whether what it refuses could be followed by the rest of the pattern::

    !(a|b)/x     at the group: would `a/x` or `b/x` match what is left of the path? If not, take any path element.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_ELEMENT = "[^/]"


@dataclass(frozen=True, slots=True)
class Character:
    """One character; `one` is a regular expression for it."""

    one: str


@dataclass(frozen=True, slots=True)
class AnyNumber:
    """Any number of characters; `one` is a regular expression for each."""

    one: str


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives in parentheses or braces.

    Attributes:
        kind: The character before `(`, or `{`.
        alternatives: Each a tuple of parts.
        number: Of the capture, from 1; 0 for braces, which capture nothing.
    """

    kind: str
    alternatives: "tuple[Parts, ...]"
    number: int = 0


Part = Character | AnyNumber | Group
Parts = tuple[Part, ...]


@dataclass(slots=True, eq=False)
class _State:
    """One state: what it tests, and the states after it in the order in which they are tried.

    Attributes:
        one: A character that must come next, as a regular expression; empty for none.
        after: The states to go on with.
        saves: The number of a capture that begins (positive) or ends (negative) here; 0 for none.
        refused: States from which no match may lead to the end, for `!(…)`.
        is_end: Whether the pattern ends here.
    """

    one: str = ""
    after: "tuple[_State, ...]" = ()
    saves: int = 0
    refused: "tuple[_State, ...]" = ()
    is_end: bool = False


_Saved = tuple[int, int, "_Saved | None"]  # signed number of a capture, place, and what was saved before


class Machine:
    """A compiled tree.

    Args:
        tree: The whole pattern.
    """

    def __init__(self, tree: Parts) -> None:
        self._start = _compile(tree, _State(is_end=True))

    def match(self, path: str) -> dict[int, str] | None:
        """Return the path (0) and what each group captured, by number; None if the whole path does not match."""
        saved = _Match(path).search(self._start, 0)
        if saved is None:
            return None
        ends: dict[int, int] = {}
        found = {0: path}
        for number, place in saved:  # the newest first, so the last run of a repeated group counts
            if number < 0:
                ends.setdefault(-number, place)
            elif number not in found:
                found[number] = path[place : ends[number]]
        return found


class _Match:
    """One path and what is known of it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fails: set[tuple[_State, int]] = set()  # there is no way to the end from here
        self._leads: dict[tuple[_State, int], bool] = {}

    def search(self, start: _State, place: int) -> list[tuple[int, int]] | None:
        """Find the first way to the end in the order of the choices; return what it saved, newest first."""
        been: set[tuple[_State, int]] = set()
        waiting: list[tuple[_State, int, _Saved | None]] = [(start, place, None)]
        while waiting:
            state, at, saved = waiting.pop()
            if (state, at) in been or (state, at) in self._fails:
                continue
            been.add((state, at))
            if state.is_end and at == len(self._path):
                return _unlink(saved)
            if state.one:
                if at == len(self._path) or not _compiled(state.one).match(self._path, at):
                    continue
                at += 1
            if any(self._leads_to_end(each, at) for each in state.refused):
                continue
            if state.saves:
                saved = (state.saves, at, saved)
            waiting.extend((each, at, saved) for each in reversed(state.after))
        self._fails |= been
        return None

    def _leads_to_end(self, state: _State, place: int) -> bool:
        key = state, place
        if key not in self._leads:
            self._leads[key] = False  # should it ask for itself: a way that leads back here is none
            self._leads[key] = self.search(state, place) is not None
        return self._leads[key]


def _unlink(saved: "_Saved | None") -> list[tuple[int, int]]:
    found = []
    while saved is not None:
        number, place, saved = saved
        found.append((number, place))
    return found


def _compile(parts: Parts, after: _State) -> _State:
    """Return the state at which the parts begin, when `after` follows it."""
    for part in reversed(parts):
        if isinstance(part, Character):
            after = _State(one=part.one, after=(after,))
        elif isinstance(part, AnyNumber):
            after = _repeated(part.one, after)
        else:
            after = _compile_group(part, after)
    return after


def _repeated(one: str, after: _State) -> _State:
    loop = _State()
    loop.after = (_State(one=one, after=(loop,)), after)
    return loop


def _compile_group(group: Group, after: _State) -> _State:
    rest = after
    if group.number:
        after = _State(saves=-group.number, after=(after,))
    if group.kind == "!":
        inner = _State(
            refused=tuple(_compile(each, rest) for each in group.alternatives), after=(_repeated(_ELEMENT, after),)
        )
    elif group.kind in ("*", "+"):
        loop = _State()
        begin = _State(after=tuple(_compile(each, loop) for each in group.alternatives))
        loop.after = (begin, after)
        inner = loop if group.kind == "*" else begin
    else:
        ways = tuple(_compile(each, after) for each in group.alternatives)
        inner = _State(after=(*ways, after) if group.kind == "?" else ways)
    return _State(saves=group.number, after=(inner,)) if group.number else inner


@lru_cache(maxsize=1024)
def _compiled(one: str) -> re.Pattern[str]:
    return re.compile(one, re.DOTALL)
