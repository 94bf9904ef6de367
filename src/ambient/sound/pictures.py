"""Draw what people look at beside a piece: its piano roll and its spectrogram. The one door to matplotlib.

Conventions: a picture shows the same seconds from left to right in both parts. The same piece gives the same bytes with
the same matplotlib.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ambient.notes import Note
from ambient.sound.spectrogram import FLOOR_DB, LOWEST_HZ, highest_hz

_DPI = 100
_LOUDEST = 110  # velocity of the lightest colour


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
    left, right, gap = 0.06, 0.985, 0.012
    split = left + share * (right - left)
    low = min(note.pitch for note in [*notes, *primer]) - 2
    high = max(note.pitch for note in [*notes, *primer]) + 2
    if primer:
        axes = figure.add_axes((left, 0.5, split - left - gap, 0.42))
        _roll(axes, primer, primer_s, low, high)
        axes.set_title("primer", color="#c8d0d8", fontsize=10)
        axes.set_ylabel("pitch", color="#c8d0d8")
    axes = figure.add_axes((split, 0.5, right - split, 0.42))
    _roll(axes, notes, seconds, low, high)
    axes.set_title(title, color="#ffffff", fontsize=12)
    if primer:
        axes.set_yticklabels([])
    else:
        axes.set_ylabel("pitch", color="#c8d0d8")
    axes = figure.add_axes((split, 0.075, right - split, 0.37))
    axes.imshow(
        spectrogram,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0.0, seconds, math.log2(LOWEST_HZ), math.log2(highest_hz(rate_hz))),
        vmin=-FLOOR_DB,
        vmax=0.0,
        interpolation="nearest",
    )
    marks_hz = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000) if hz < highest_hz(rate_hz)]
    axes.set_yticks(
        [math.log2(hz) for hz in marks_hz], [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in marks_hz]
    )
    axes.set_xlabel("seconds", color="#c8d0d8")
    axes.set_ylabel("Hz", color="#c8d0d8")
    _plain(axes)
    figure.savefig(path, format="png", metadata={"Software": None})


def _roll(axes: "object", notes: Sequence[Note], seconds: float, low: int, high: int) -> None:
    """Draw notes as bars whose colour is their velocity."""
    rows, columns = (high - low) * 4, 1600
    image = np.full((rows, columns), np.nan, np.float32)
    for note in sorted(notes, key=lambda note: note.velocity):
        begin = int(note.start_s / seconds * columns)
        end = max(int(note.end_s / seconds * columns), begin + 2)
        row = (note.pitch - low) * 4
        image[row : row + 3, begin:end] = note.velocity
    axes.imshow(  # type: ignore[attr-defined]
        image,
        origin="lower",
        aspect="auto",
        cmap="viridis",
        extent=(0.0, seconds, low, high),
        vmin=20,
        vmax=_LOUDEST,
        interpolation="nearest",
    )
    octaves = [pitch for pitch in range(0, 128, 12) if low <= pitch <= high]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])  # type: ignore[attr-defined]
    for pitch in octaves:
        axes.axhline(pitch, color="#2c343c", linewidth=0.6, zorder=0)  # type: ignore[attr-defined]
    _plain(axes)


def _plain(axes: "object") -> None:
    axes.set_facecolor("#181d22")  # type: ignore[attr-defined]
    axes.tick_params(colors="#c8d0d8", labelsize=8)  # type: ignore[attr-defined]
    for spine in axes.spines.values():  # type: ignore[attr-defined]
        spine.set_visible(False)
