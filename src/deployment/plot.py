"""Draws a line chart with logarithmic axes as SVG, without any library: for the one plot in the docs."""

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 50
_COLOURS = ("#0b6e99", "#c2571a", "#2f7d32", "#7b3fa0", "#a02040")


def line_chart(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x_title: str,
    y_title: str,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Return an SVG picture.

    Args:
        lines: Name to points (x, y), all above 0, sorted by x.
        title: Stands above.
        x_title: Stands below the x axis.
        y_title: Stands beside the y axis.
        marks: Name of a line to the x where a ring is drawn on it.
    """
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    across, up = _Axis(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT), _Axis(min(ys), max(ys), _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 22, title, anchor="start", size=14),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_title),
        _text(18, (_TOP + _HEIGHT - _BOTTOM) / 2, y_title, turned=True),
    ]
    for value in _ticks(min(xs), max(xs), base=2):
        parts.append(_rule(across(value), _TOP, across(value), _HEIGHT - _BOTTOM))
        parts.append(_text(across(value), _HEIGHT - _BOTTOM + 18, _number(value)))
    for value in _ticks(min(ys), max(ys), base=10):
        parts.append(_rule(_LEFT, up(value), _WIDTH - _RIGHT, up(value)))
        parts.append(_text(_LEFT - 8, up(value) + 4, _number(value), anchor="end"))
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " L ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        parts.append(f'<path d="M {path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_WIDTH - _RIGHT + 10, up(points[-1][1]) + 4, name, anchor="start", colour=colour))
        if marks and name in marks:
            y = dict(points)[marks[name]]
            ring = f'cx="{across(marks[name]):.1f}" cy="{up(y):.1f}" r="5"'
            parts.append(f'<circle {ring} fill="white" stroke="{colour}" stroke-width="2"/>')
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Maps values to places, logarithmically."""

    def __init__(self, lowest: float, highest: float, start: float, end: float) -> None:
        self._low, self._high = math.log(lowest), math.log(max(highest, lowest * 1.001))
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (math.log(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def _ticks(lowest: float, highest: float, base: int) -> list[float]:
    """Return the powers of the base between two values."""
    first, last = math.ceil(math.log(lowest, base) - 1e-9), math.floor(math.log(highest, base) + 1e-9)
    return [float(base) ** power for power in range(first, last + 1)]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "middle",
    size: int = 12,
    colour: str = "#222222",
    turned: bool = False,
) -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    if turned:
        style += f' transform="rotate(-90 {x:.1f} {y:.1f})"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
