"""How loud a rendering is over time, and what it is made of: for the picture below the notes of a piece.

Loudness follows EBU Tech 3341: short-term is over the three seconds around a moment, integrated is gated.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from ambient.audio import decoded_blocks
from ambient.sound.loudness import Meter
from ambient.sound.spectrogram import FLOOR_DB, HIGHEST_HZ, LOWEST_HZ, Spectrogram

RATE_HZ = 48_000
STEP_S = 0.5
_STEPS = 10  # of the meter, a second
_QUIETEST_LUFS = -70.0
_COLUMNS, _ROWS = 450, 60


def listen(sound: Path) -> dict[str, Any]:
    """Measure a recording.

    Returns:
        `lufs` and `peak_db`, None for silence; `short_term` every `step_s` seconds; `spectrum` with a row for each
        column of time, as hexadecimal digits 0-f from the lowest frequency up.

    Raises:
        InputError: there is no sound in it.
    """
    meter = Meter(RATE_HZ)
    picture = Spectrogram(RATE_HZ, 0.0)
    rest, at = np.zeros((2, 0), np.float32), 0
    for block in decoded_blocks(sound, rate_hz=RATE_HZ, channels=2):
        line = np.concatenate([rest, block], axis=1)
        whole = line.shape[1] // 64 * 64
        if whole:
            meter(line[:, :whole])
            picture(line[:, :whole], at)
            at += whole
        rest = line[:, whole:]
    if rest.shape[1]:
        meter(rest)
    loudness = meter.loudness_lufs()
    peak = float(meter.peaks.max(initial=0.0))
    return {
        "seconds": meter.samples / RATE_HZ,
        "lufs": None if loudness == -math.inf else round(loudness, 1),
        "peak_db": None if peak <= 0 else round(20 * math.log10(peak), 1),
        "step_s": STEP_S,
        "short_term": short_term_lufs(meter.energies).round(1).tolist(),
        "spectrum": _digits(picture.picture()),
        "lowest_hz": LOWEST_HZ,
        "highest_hz": HIGHEST_HZ,
    }


def short_term_lufs(energies: np.ndarray) -> np.ndarray:
    """Return the loudness of the three seconds around each half second, at least -70: [half seconds]."""
    total = np.concatenate([[0.0], np.cumsum(energies)])
    middles = np.arange(0, len(energies), round(STEP_S * _STEPS))
    begin, end = np.maximum(0, middles - 15), np.minimum(len(energies), middles + 15)
    means = (total[end] - total[begin]) / np.maximum(1, end - begin)
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(means, 10 ** ((_QUIETEST_LUFS + 0.691) / 10))))


def _digits(power_db: np.ndarray) -> list[str]:
    """Write a picture [rows, columns] of dB below the loudest as one line of digits a column, fewer of both."""
    rows, columns = power_db.shape
    wide, tall = max(1, -(-columns // _COLUMNS)), max(1, rows // _ROWS)
    cut = power_db[: rows // tall * tall, : max(1, columns // wide) * wide]
    small = cut.reshape(cut.shape[0] // tall, tall, -1, wide).max(axis=(1, 3))
    levels = np.clip(np.rint(15 * (1 + small / FLOOR_DB)), 0, 15).astype(int)
    return ["".join(f"{level:x}" for level in column) for column in levels.T]
