"""How new music should be: what a primer is like, what a person turns, and how both change over time.

Conventions: percentiles are those of the base model's training music, 0-100; time is minutes of new music.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.descriptions import (
    DESCRIPTION_BINS,
    LEAST_STEPS,
    NAMES,
    UNKNOWN,
    WINDOW_STEPS,
    Percentiles,
    describe,
    describe_stretch,
)
from ambient.music_transformer.fields import EDGES, Fields
from ambient.music_transformer.rows import CLEAN, HEARD
from ambient.music_transformer.tokens import STEPS_PER_SECOND, VELOCITY_BINS

LOUDNESS, NOTE_LENGTH = map(NAMES.index, ("loudness", "note_length"))
FADE_WINDOW_STEPS = 6 * STEPS_PER_SECOND
FADED = 0.5  # of the typical number of notes in a window, or of their velocity
STEERING = 0.05  # bins a second for each bin that is missing
FORGETTING = 0.02  # a second; so that what was asked for long ago does not make the music swing
MOST_STEERING = 10.0  # bins
VELOCITY_NATS = 0.1  # for each bin of loudness that is missing and each velocity bin
LENGTH_NATS = 0.15  # for each bin of note length that is missing and each doubling of a length
OCTAVES = np.log2(np.maximum(EDGES[:-1], 1))  # [BINS], of a length in steps
LONGEST_STEP_S = 5.0  # a rest counts for no more
MOST_FADE = 0.4  # of a primer; what is sparse for longer is the music
# What the primer is like in one thing gives way where another is turned: many more notes cannot all be as long.
GIVES_WAY = {"density": "note_length"}
CALM = {"density": 30.0, "note_length": 60.0}  # percentiles of music from nothing, unless another wish is turned


@dataclass(frozen=True, slots=True)
class Primer:
    """What a piece goes on from.

    Attributes:
        fields: Its notes up to where they fade out; may be empty.
        mark: `rows.CLEAN` or `rows.HEARD`.
        described: [N, 5] bins of its own descriptions, 0 where they are not said.
        typical: [5] positions (`Percentiles.positions`) of its descriptions as a whole, 0 where it is too short to say.
        percentiles: Bins of the model's descriptions; None if it has none.
    """

    fields: Fields
    mark: int
    described: np.ndarray
    typical: np.ndarray
    percentiles: Percentiles | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """How each description should be over time.

    Call: seconds of new music -> [5] positions (`Percentiles.positions`), 0 where nothing is said.

    Attributes:
        typical: [5] positions where nothing else is wished.
        curves: Name of a description to rising (minute, percentile) points; straight lines between them.
        percentiles: Bins of the descriptions, to hold the music to what is wished; None only says it.
    """

    typical: tuple[float, ...] = (UNKNOWN,) * len(NAMES)
    curves: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    percentiles: Percentiles | None = None

    def __call__(self, seconds: float) -> np.ndarray:
        """Return what is wished at a moment."""
        positions = np.array(self.typical, dtype=np.float64)
        for name, points in self.curves:
            minutes, values = zip(*points, strict=True)
            positions[NAMES.index(name)] = Percentiles.position_of(float(np.interp(seconds / 60, minutes, values)))
        return positions

    def turn(self, *names: str) -> bool:
        """Say whether a person turned one of these descriptions."""
        return any(name in names for name, _ in self.curves)


class Steering:
    """Holds new music to what is wished: asks for more of what it has had too little of, and the other way round.

    The network follows a description loosely, and a piece drifts. So what was got over the last seconds is measured,
    and the difference is added up and asked for (an integral controller). Velocities and lengths are led besides, and
    obey at once: in proportion to what the last five seconds lack. Led by what had added up, velocities swing from the
    softest to the loudest and back.

    Call: wished positions [5] -> bins to ask for, [5].

    Args:
        percentiles: Bins of the descriptions.
        begin: Step at which the new music begins.
    """

    def __init__(self, percentiles: Percentiles, begin: int) -> None:
        self.percentiles, self.begin = percentiles, begin
        self.offsets = np.zeros(len(NAMES))  # bins
        self.lately_missing = np.zeros(len(NAMES))  # bins, over the last `LEAST_STEPS`
        self.measured = begin

    def __call__(self, wished: np.ndarray) -> np.ndarray:
        """Return the bins to ask for; what is not wished is not asked for."""
        return as_bins(np.where(wished == UNKNOWN, UNKNOWN, np.clip(wished + self.offsets, 1, DESCRIPTION_BINS)))

    def velocity_nats(self) -> np.ndarray:
        """Return what is to be added to the logits of the velocities, [32].

        Scores have one velocity, and after them the network takes a wish for another loudness less seriously than what
        it hears: so louder choices become likelier by themselves while loudness is missing, softer ones otherwise.
        """
        nats: np.ndarray = VELOCITY_NATS * self.lately_missing[LOUDNESS] * np.arange(VELOCITY_BINS)
        return nats

    def length_nats(self) -> np.ndarray:
        """Return what is to be added to the logits of the lengths, [BINS]: longer ones while notes are too short."""
        nats: np.ndarray = LENGTH_NATS * self.lately_missing[NOTE_LENGTH] * OCTAVES
        return nats

    def is_due(self, now: int) -> bool:
        """Say whether there is enough new music to measure again."""
        return now - self.measured >= STEPS_PER_SECOND and now - self.begin >= LEAST_STEPS

    def measure(self, fields: Fields, wished: np.ndarray) -> None:
        """Compare the last notes up to the newest start with what was wished."""
        now = int(fields.starts[-1])
        seconds = min((now - self.measured) / STEPS_PER_SECOND, LONGEST_STEP_S)
        missing = self._missing(fields, now - WINDOW_STEPS, now, wished)
        kept = self.offsets * np.exp(-FORGETTING * seconds)
        self.offsets = np.clip(kept + STEERING * seconds * missing, -MOST_STEERING, MOST_STEERING)
        lately = self._missing(fields, now - LEAST_STEPS, now, wished)
        self.lately_missing = np.clip(lately, -MOST_STEERING, MOST_STEERING)
        self.measured = now

    def _missing(self, fields: Fields, begin: int, end: int, wished: np.ndarray) -> np.ndarray:
        """Return by how many bins the new music between two steps falls short of what is wished, [5]."""
        got = self.percentiles.positions(describe_stretch(fields, max(self.begin, begin), end)[None])[0]
        return np.where((wished == UNKNOWN) | (got == UNKNOWN), 0, wished - got)


def as_bins(positions: np.ndarray) -> np.ndarray:
    """Return the bins that positions lie in."""
    bins: np.ndarray = np.floor(positions + 0.5).astype(np.int32)
    return bins


def make_primer(fields: Fields, config: ModelConfig, *, heard: bool) -> Primer:
    """Prepare a primer: without its fade-out, described.

    Args:
        fields: All of its notes.
        config: Of the model that goes on from it; knows the percentiles.
        heard: Whether a transcriber wrote it.
    """
    music = without_fade(fields)
    mark = HEARD if heard else CLEAN
    if not config.percentiles:
        return Primer(music, mark, np.zeros((len(music), len(NAMES)), dtype=np.int32), np.zeros(len(NAMES)))
    percentiles = Percentiles(np.array(config.percentiles))
    if not len(music):
        calm = np.array([Percentiles.position_of(CALM[name]) if name in CALM else UNKNOWN for name in NAMES])
        return Primer(music, mark, np.zeros((0, len(NAMES)), dtype=np.int32), calm, percentiles)
    values = describe(music)
    known = np.isfinite(values[:, 0])
    typical = np.full((1, len(NAMES)), np.nan)
    if known.any():
        weights = np.diff(music.starts, append=music.starts[-1:])[known] + 1
        typical = np.average(values[known], axis=0, weights=weights)[None]
    return Primer(music, mark, percentiles.bins(values), percentiles.positions(typical)[0], percentiles)


def without_fade(fields: Fields) -> Fields:
    """Leave out the end of a primer where it thins out or grows soft, so that its music goes on, not its silence.

    The end is taken off note by note while the last six seconds hold less than half as many notes as is typical of the
    primer, or notes less than half as loud.
    """
    if len(fields) < 8 or fields.starts[-1] - fields.starts[0] < 3 * FADE_WINDOW_STEPS:
        return fields
    first = np.searchsorted(fields.starts, fields.starts - FADE_WINDOW_STEPS, side="right")
    counts = np.arange(len(fields)) + 1 - first
    sums = np.concatenate([[0.0], np.cumsum(fields.velocities + 1.0)])
    loudness = (sums[1:] - sums[first]) / counts
    complete = fields.starts - fields.starts[0] >= FADE_WINDOW_STEPS
    enough = (counts >= FADED * np.median(counts[complete])) & (loudness >= FADED * np.median(loudness[complete]))
    last = int(np.flatnonzero(enough)[-1]) + 1
    return fields[:last] if last >= (1 - MOST_FADE) * len(fields) else fields


def read_curve(text: str) -> tuple[tuple[float, float], ...]:
    """Read `0:20 4:70 8:10` as points of a curve, or `30` as a constant.

    Raises:
        ValueError: it is neither, a percentile is outside 0-100, or the minutes do not rise.
    """
    points = [(0.0, float(text))] if ":" not in text else [_point(word) for word in text.replace(",", " ").split()]
    if not points or any(not 0 <= value <= 100 for _, value in points):
        raise ValueError("percentiles go from 0 to 100")
    if any(not math.isfinite(minute) for minute, _ in points):
        raise ValueError("minutes must rise")
    if any(later <= earlier for (earlier, _), (later, _) in itertools.pairwise(points)):
        raise ValueError("minutes must rise")
    return tuple(points)


def _point(word: str) -> tuple[float, float]:
    minute, _, value = word.partition(":")
    return float(minute), float(value)


def make_wishes(primer: Primer, turned: Mapping[str, tuple[tuple[float, float], ...]]) -> Wishes:
    """Return the primer's own descriptions, and in their place what a person turned."""
    left = {GIVES_WAY[name] for name in turned if name in GIVES_WAY} if len(primer.fields) else set()
    typical = [UNKNOWN if name in left else float(each) for name, each in zip(NAMES, primer.typical, strict=True)]
    return Wishes(tuple(typical), tuple(sorted(turned.items())), primer.percentiles)
