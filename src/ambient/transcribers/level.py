"""Measure how loud a recording is, clicks aside, and take the clicks out; where there is only dither, it is silence.

Conventions: the transcriber was trained on recordings divided by their largest sample. It hears as well where that is
taken two to eight times too large, loses notes beyond, and loses them at once where it is taken too small
(docs/experiments.md). So clicks must not count, and everything else must. Sound is looked at in blocks of 32 ms. A
block is a click where it is four times as loud as what stands before and after it, its next neighbours left out, and
loud for less than 10 ms: the driest note lasts longer. What is louder than those surroundings is then replaced by a
straight line.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BLOCK_SAMPLES = 512  # 32 ms at 16 kHz
SILENCE = 4 / 32767  # what stays within four steps of 16 bits to each side is dither, or nothing
_CLICK = 4.0  # times as loud as its surroundings
_CLICK_SAMPLES = 160  # that are louder than a quarter of it: 10 ms
_SURROUNDINGS = (2, 3, 4, 5)  # blocks to each side
_MOST_CLICKS = 0.1  # of all blocks, or 2 of a few; where more would be clicks, they are what was recorded


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a recording is.

    Attributes:
        level: Its largest absolute sample, 0 to about 1, clicks aside; 0 for silence.
        clicks: [n], numbers of the blocks with clicks, rising.
        lowest: [n], what the samples of such a block should not be below.
        highest: [n], what they should not be above.
    """

    level: float
    clicks: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    def without_clicks(self, samples: np.ndarray, first: int) -> np.ndarray:
        """Replace clicks by straight lines.

        Args:
            samples: [samples], of the recording.
            first: Where in the recording they begin.
        """
        bad = np.zeros(len(samples), dtype=bool)
        near = slice(
            *np.searchsorted(self.clicks, [first // BLOCK_SAMPLES, -(-(first + len(samples)) // BLOCK_SAMPLES)])
        )
        for block, lowest, highest in zip(self.clicks[near], self.lowest[near], self.highest[near], strict=True):
            begin = int(block) * BLOCK_SAMPLES - first
            inside = slice(max(begin, 0), begin + BLOCK_SAMPLES)
            bad[inside] = (samples[inside] < lowest) | (samples[inside] > highest)
        if not bad.any() or bad.all():
            return np.where(bad, 0, samples)
        places = np.arange(len(samples))
        return np.asarray(np.where(bad, np.interp(places, places[~bad], samples[~bad]), samples), dtype=samples.dtype)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of sound.

    Attributes:
        peaks: [blocks], largest absolute sample.
        means: [blocks].
        swings: [blocks], farthest that a sample is from the mean: a constant does not count.
        loud: [blocks], how many samples are more than a quarter as far.
    """

    peaks: np.ndarray
    means: np.ndarray
    swings: np.ndarray
    loud: np.ndarray

    @classmethod
    def of(cls, samples: np.ndarray) -> "_Blocks":
        padded = np.pad(samples, (0, -len(samples) % BLOCK_SAMPLES), mode="edge") if len(samples) else samples
        blocks = padded.reshape(-1, BLOCK_SAMPLES)
        means = blocks.mean(axis=1)
        distance = np.abs(blocks - means[:, None])
        swings = distance.max(axis=1, initial=0)
        loud = (distance > swings[:, None] / _CLICK).sum(axis=1)
        return cls(np.abs(blocks).max(axis=1, initial=0), means, swings, loud)


def measure_loudness(pieces: Iterable[np.ndarray]) -> Loudness:
    """Listen to a recording once.

    Args:
        pieces: [samples] each, in order, about -1 to 1, at 16 kHz; all but the last a multiple of 512 samples long.

    Returns:
        How loud it is. Dither, a constant, and clicks alone are silence.
    """
    parts = [_Blocks.of(piece) for piece in pieces] or [_Blocks.of(np.zeros(0))]
    blocks = _Blocks(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Blocks.__slots__))
    around = _surroundings(blocks.swings)
    is_click = (blocks.swings > _CLICK * around) & (blocks.loud < _CLICK_SAMPLES)
    if is_click.sum() > max(2, _MOST_CLICKS * len(is_click)):
        is_click[:] = False
    is_music = ~is_click
    silent = blocks.swings[is_music].max(initial=0) <= SILENCE
    level = 0.0 if silent else float(blocks.peaks[is_music].max())
    # The mean of a block with a click is shifted by the click; the blocks beside it show where the middle is.
    middle, click = _surroundings(blocks.means, signed=True), np.flatnonzero(is_click)
    return Loudness(level, click, (middle - around)[click], (middle + around)[click])


def _surroundings(values: np.ndarray, *, signed: bool = False) -> np.ndarray:
    """Return for each block the larger of the medians before and after it, or their mean: [blocks]."""
    count, reach = len(values), max(_SURROUNDINGS)
    padded = np.pad(values, reach)
    before, after = (
        np.median([padded[reach + step : reach + step + count] for step in steps], axis=0)
        for steps in ([-step for step in _SURROUNDINGS], _SURROUNDINGS)
    )
    return np.asarray((before + after) / 2 if signed else np.maximum(before, after))
