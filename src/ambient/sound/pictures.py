"""Draw what people look at beside a piece: its piano roll and its spectrogram. The one door to Pillow.

A plotting library would take longer to import than a piece takes to render; what is drawn here is rectangles, an image
and some words.

Conventions: a picture shows the same seconds from left to right in both parts, and the primer's piano roll to their
left at the same pitches and colours. Boxes are (left, top, right, bottom) in pixels. The same piece gives the same
bytes with the same Pillow.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ambient.notes import Note
from ambient.sound.spectrogram import FLOOR_DB, LOWEST_HZ, highest_hz

_SIZE = (1200, 640)
_LEFT, _RIGHT, _GAP = 72, 1128, 14
_ROLL, _SPECTRUM = (51, 320), (355, 592)  # top and bottom
_KEY_WIDTH = 10
_LEAST_RANGE = 30  # of velocities in the colours: hardly different ones look hardly different
_GROUND, _AREA, _LINE = "#101418", "#181d22", "#2c343c"
_TEXT, _QUIET_TEXT = "#ffffff", "#c8d0d8"
_TICK = 4

# Every sixteenth colour of viridis and magma (Smith and van der Walt, CC0); straight lines between.
_VIRIDIS = (
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 "
    "fde725"
)
_MAGMA = (
    "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 "
    "fcfdbf"
)


def _table(colours: str) -> np.ndarray:
    """Return 256 colours between those that are named: [256, 3] uint8."""
    named = np.array([[int(word[i : i + 2], 16) for i in (0, 2, 4)] for word in colours.split()], np.float64)
    at = np.linspace(0.0, len(named) - 1, 256)
    mixed = [np.interp(at, np.arange(len(named)), named[:, channel]) for channel in range(3)]
    return np.rint(np.stack(mixed, axis=1)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Numbers as colours.

    Attributes:
        table: [256, 3] uint8, dark to light.
        low: The number of the darkest.
        high: The number of the lightest.
    """

    table: np.ndarray
    low: float
    high: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return [..., 3] uint8."""
        share = (np.asarray(values) - self.low) / (self.high - self.low)
        return np.asarray(self.table[np.clip(share * 255, 0, 255).astype(np.uint8)])


def write_picture(
    path: Path,
    *,
    title: str,
    notes: Sequence[Note],
    seconds: float,
    spectrogram: np.ndarray,
    rate_hz: int,
    primer: Sequence[Note] = (),
) -> None:
    """Write the picture of a piece as PNG.

    Args:
        path: The file.
        title: Stands above.
        notes: The piece, as it is played.
        seconds: Length of the sound.
        spectrogram: [rows, columns] dB, as `Spectrogram.picture` gives it.
        rate_hz: Sample rate of the sound.
        primer: What the piece was begun from; shown to its left if it is known.
    """
    image = Image.new("RGB", _SIZE, _GROUND)
    draw = ImageDraw.Draw(image)
    primer_s = max((note.end_s for note in primer), default=0.0)
    share = min(0.3, max(0.1, primer_s / (primer_s + seconds))) if primer else 0.0
    split = round(_LEFT + share * (_RIGHT - _LEFT))
    everything = [*notes, *primer]
    pitches = min(note.pitch for note in everything) - 2, max(note.pitch for note in everything) + 2
    velocities = _velocity_scale([note.velocity for note in everything])

    roll = (split, _ROLL[0], _RIGHT, _ROLL[1])
    _draw_roll(draw, roll, notes, seconds, pitches, velocities, names=not primer)
    _write(draw, ((split + _RIGHT) / 2, _ROLL[0] - 14), title, size=17, colour=_TEXT)
    if primer:
        box = (_LEFT, _ROLL[0], split - _GAP, _ROLL[1])
        _draw_roll(draw, box, primer, primer_s, pitches, velocities, names=True)
        _write(draw, ((box[0] + box[2]) / 2, _ROLL[0] - 13), "primer", size=14)
    _write_upright(image, (33, (_ROLL[0] + _ROLL[1]) // 2), "pitch")
    _draw_key(image, draw, _ROLL, velocities, "velocity")

    spectrum = (split, _SPECTRUM[0], _RIGHT, _SPECTRUM[1])
    levels = _Scale(_table(_MAGMA), -FLOOR_DB, 0.0)
    _draw_spectrogram(image, draw, spectrum, spectrogram, seconds, rate_hz, levels)
    _write_upright(image, (split - 45, (_SPECTRUM[0] + _SPECTRUM[1]) // 2), "Hz")
    _write(draw, ((split + _RIGHT) / 2, _SPECTRUM[1] + 32), "seconds", size=13)
    _draw_key(image, draw, _SPECTRUM, levels, "dB")
    image.save(path, format="png")


def _velocity_scale(velocities: Sequence[int]) -> _Scale:
    low, high = min(velocities), max(velocities)
    more = max(_LEAST_RANGE - (high - low), 0) / 2
    return _Scale(_table(_VIRIDIS), low - more - 4, high + more)  # the darkest colour itself is hard to see


def _draw_roll(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    notes: Sequence[Note],
    seconds: float,
    pitches: tuple[int, int],
    velocities: _Scale,
    *,
    names: bool,
) -> None:
    """Draw notes as bars whose colour is their velocity; a pitch's row has its bar in the lower three quarters."""
    left, top, right, bottom = box
    low, high = pitches
    draw.rectangle((left, top, right - 1, bottom - 1), fill=_AREA)
    row = (bottom - top) / (high - low)
    for pitch in range(0, 128, 12):
        if low <= pitch <= high:
            y = round(bottom - (pitch - low) * row)
            draw.line((left, y, right - 1, y), fill=_LINE)
            draw.line((left - _TICK, y, left - 1, y), fill=_QUIET_TEXT)
            if names:
                _write(draw, (left - _TICK - 4, y), f"C{pitch // 12 - 1}", anchor="rm")
    for note in sorted(notes, key=lambda note: note.velocity):
        begin = left + round(note.start_s / seconds * (right - left))
        end = min(max(left + round(note.end_s / seconds * (right - left)), begin + 2), right)
        base = bottom - (note.pitch - low) * row
        if begin < end:
            colour = tuple(velocities.of(np.array(note.velocity)).tolist())
            draw.rectangle((begin, round(base - 0.75 * row), end - 1, max(round(base) - 1, 0)), fill=colour)
    _mark_seconds(draw, box, seconds)


def _draw_spectrogram(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    spectrogram: np.ndarray,
    seconds: float,
    rate_hz: int,
    levels: _Scale,
) -> None:
    left, top, right, bottom = box
    colours = Image.fromarray(np.ascontiguousarray(levels.of(spectrogram[::-1])))
    image.paste(colours.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
    top_hz = highest_hz(rate_hz)
    octaves = math.log2(top_hz / LOWEST_HZ)
    for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000):
        if hz < top_hz:
            y = round(bottom - math.log2(hz / LOWEST_HZ) / octaves * (bottom - top))
            draw.line((left - _TICK, y, left - 1, y), fill=_QUIET_TEXT)
            _write(draw, (left - _TICK - 4, y), f"{hz // 1000}k" if hz >= 1000 else str(hz), anchor="rm")
    _mark_seconds(draw, box, seconds)


def _mark_seconds(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], seconds: float) -> None:
    left, _, right, bottom = box
    for value in _round_numbers(0.0, seconds, most=max(2, (right - left) // 100)):
        x = left + round(value / seconds * (right - 1 - left))
        draw.line((x, bottom, x, bottom + _TICK - 1), fill=_QUIET_TEXT)
        _write(draw, (x, bottom + 14), f"{value:g}")


def _draw_key(image: Image.Image, draw: ImageDraw.ImageDraw, place: tuple[int, int], scale: _Scale, name: str) -> None:
    """Draw what the colours mean, to the right of an image."""
    top, bottom = place
    left = _RIGHT + _GAP
    column = scale.of(np.linspace(scale.high, scale.low, bottom - top))[:, None, :]
    image.paste(Image.fromarray(np.repeat(column, _KEY_WIDTH, axis=1)), (left, top))
    _write(draw, (left + _KEY_WIDTH / 2, top - 12), name, size=10)
    for value in _round_numbers(scale.low, scale.high, most=8):
        y = top + round((scale.high - value) / (scale.high - scale.low) * (bottom - 1 - top))
        draw.line((left + _KEY_WIDTH, y, left + _KEY_WIDTH + 1, y), fill=_QUIET_TEXT)
        _write(draw, (left + _KEY_WIDTH + 5, y), f"{value:g}", size=10, anchor="lm")


def _round_numbers(low: float, high: float, *, most: int) -> Iterable[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten from low to high, as many as there is room for."""
    exact = (high - low) / most
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= exact * (1 - 1e-9))
    return [round(k * step, 9) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    size: int = 12,
    anchor: str = "mm",
    colour: str = _QUIET_TEXT,
) -> None:
    draw.text(at, text, font=ImageFont.load_default(size), fill=colour, anchor=anchor)


def _write_upright(image: Image.Image, middle: tuple[int, int], text: str) -> None:
    """Write from the bottom to the top."""
    words = Image.new("RGB", (80, 20), _GROUND)
    _write(ImageDraw.Draw(words), (40, 10), text, size=13)
    image.paste(words.transpose(Image.Transpose.ROTATE_90), (middle[0] - 10, middle[1] - 40))
