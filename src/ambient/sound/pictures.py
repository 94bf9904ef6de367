"""Draw what people look at beside a piece: its piano roll and its spectrogram. The one door to matplotlib.

Conventions: a picture shows the same seconds from left to right in both parts, and the primer's piano roll to their
left at the same pitches and colours. The same piece gives the same bytes with the same matplotlib.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ambient.notes import Note
from ambient.sound.spectrogram import FLOOR_DB, LOWEST_HZ, highest_hz

_DPI = 100
_LEFT, _RIGHT, _GAP = 0.06, 0.94, 0.012
_ROLL, _SPECTRUM = (0.5, 0.42), (0.075, 0.37)  # bottom and height
_TITLE_Y = 1.0  # said, because looking for the place takes a fifth of the drawing
_LEAST_RANGE = 30  # of velocities in the colours: hardly different ones look hardly different
_TEXT, _QUIET_TEXT = "#ffffff", "#c8d0d8"


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
    figure = Figure(figsize=(12, 6.4), dpi=_DPI, facecolor="#101418")
    FigureCanvasAgg(figure)
    primer_s = max((note.end_s for note in primer), default=0.0)
    share = min(0.3, max(0.1, primer_s / (primer_s + seconds))) if primer else 0.0
    split = _LEFT + share * (_RIGHT - _LEFT)
    everything = [*notes, *primer]
    pitches = min(note.pitch for note in everything) - 2, max(note.pitch for note in everything) + 2
    colours = _colours([note.velocity for note in everything])
    roll = figure.add_axes((split, _ROLL[0], _RIGHT - split, _ROLL[1]))
    image = _roll(roll, notes, seconds, pitches, colours)
    roll.set_title(title, color=_TEXT, fontsize=12, y=_TITLE_Y)
    first = roll
    if primer:
        first = figure.add_axes((_LEFT, _ROLL[0], split - _LEFT - _GAP, _ROLL[1]))
        _roll(first, primer, primer_s, pitches, colours)
        first.set_title("primer", color=_QUIET_TEXT, fontsize=10, y=_TITLE_Y)
        roll.set_yticklabels([])
    first.set_ylabel("pitch", color=_QUIET_TEXT)
    _key(figure, image, _ROLL, "velocity")
    axes = figure.add_axes((split, _SPECTRUM[0], _RIGHT - split, _SPECTRUM[1]))
    _key(figure, _spectrogram(axes, spectrogram, seconds, rate_hz), _SPECTRUM, "dB")
    figure.savefig(path, format="png", metadata={"Software": None})


def _colours(velocities: Sequence[int]) -> tuple[float, float]:
    """Return the velocities of the darkest and the lightest colour."""
    low, high = min(velocities), max(velocities)
    more = max(_LEAST_RANGE - (high - low), 0) / 2
    return low - more - 4, high + more  # the darkest colour itself is hard to see


def _roll(
    axes: Any, notes: Sequence[Note], seconds: float, pitches: tuple[int, int], colours: tuple[float, float]
) -> Any:
    """Draw notes as bars whose colour is their velocity."""
    low, high = pitches
    rows, columns = (high - low) * 4, 1600
    image = np.full((rows, columns), np.nan, np.float32)
    for note in sorted(notes, key=lambda note: note.velocity):
        begin = int(note.start_s / seconds * columns)
        end = max(int(note.end_s / seconds * columns), begin + 2)
        row = (note.pitch - low) * 4
        image[row : row + 3, begin:end] = note.velocity
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    for pitch in octaves:
        axes.axhline(pitch, color="#2c343c", linewidth=0.6, zorder=0)
    _plain(axes)
    return _image(axes, image, (0.0, seconds, low, high), "viridis", colours)


def _spectrogram(axes: Any, spectrogram: np.ndarray, seconds: float, rate_hz: int) -> Any:
    top_hz = highest_hz(rate_hz)
    marks_hz = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000) if hz < top_hz]
    names = [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in marks_hz]
    axes.set_yticks([math.log2(hz) for hz in marks_hz], names)
    axes.set_xlabel("seconds", color=_QUIET_TEXT)
    axes.set_ylabel("Hz", color=_QUIET_TEXT)
    _plain(axes)
    return _image(axes, spectrogram, (0.0, seconds, math.log2(LOWEST_HZ), math.log2(top_hz)), "magma", (-FLOOR_DB, 0.0))


def _image(axes: Any, image: np.ndarray, extent: tuple[float, ...], colours: str, limits: tuple[float, float]) -> Any:
    return axes.imshow(
        image,
        origin="lower",
        aspect="auto",
        cmap=colours,
        extent=extent,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
    )


def _key(figure: Any, image: Any, place: tuple[float, float], name: str) -> None:
    """Draw what the colours mean, to the right of an image."""
    bottom, height = place
    bar = figure.colorbar(image, cax=figure.add_axes((_RIGHT + _GAP, bottom, 0.008, height)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_QUIET_TEXT, labelsize=7, length=2)
    bar.ax.set_title(name, color=_QUIET_TEXT, fontsize=7, y=_TITLE_Y)


def _plain(axes: Any) -> None:
    axes.set_facecolor("#181d22")
    axes.tick_params(colors=_QUIET_TEXT, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)
