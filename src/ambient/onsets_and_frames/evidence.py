"""What speaks for a note besides its onset: how long and how surely it is framed, and the energy at its harmonics.

Legend: F frames, K keys, H harmonics, N notes. A *struck* note has an onset that fires. A *faded* note has none: pads,
strings and choirs come out of nothing, and the frame head alone says that they sound. Each kind has a logistic
regression, whose weights `calibration` fits to takes that no training used; of struck ones `judge` also looks at what
is around. Everything lies within `BEFORE` frames before a note's start and `AHEAD` frames after it, so that a recording
can be read piece by piece.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ambient.onsets_and_frames.config import KEYS, LOWEST_PITCH, MEL_BINS, EvidenceConfig
from ambient.onsets_and_frames.decoding import OVERTONES, echoes
from ambient.onsets_and_frames.spectrogram import mel_band

HARMONICS = 4
BEFORE = 32  # frames, 1 s
AHEAD = 64
_ODDS_BOUND = 1e-4
_HIGHEST_HZ = 7600.0
_START_FRAMES = 10  # by which a note must sound
_FADE_FRAMES = 30
_FALL_FRAMES = 8  # in which the level of a released key falls: a quarter of a second
_STAYS_FRAMES = 12  # after these, in which it does not rise again ...
_STAYS_SHARE = 0.7  # ... to within this share of the fall
_UNSURE_FRAMES = 24
RELEASE_FRAMES = 3  # after the frame from which the level falls: where the note ends
_SOUNDS = 0.3  # of the frame head
_START_SPAN = (-8, 12)  # frames
_FRAME_SPANS = ((-24, -8), (-8, -2), (-2, 0), (0, 3), (3, 9), (9, 21), (21, 41))
_RELATED = (-24, -19, -12, -7, -5, -1, 1, 5, 7, 12, 19, 24, 28)  # semitones
_LOUD_KEYS = 20
STRUCK = 12  # pieces of evidence of a struck note
SURROUNDINGS = (
    STRUCK + 3 * (_START_SPAN[1] - _START_SPAN[0]) + len(_FRAME_SPANS) + 2 * len(_RELATED) + 3 * HARMONICS + 5
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive frames of a recording.

    Attributes:
        onset: [F, K], 0-1.
        frame: [F, K], 0-1.
        velocity: [F, K].
        levels: [F, K, H] dB at the harmonics of each key.
        level: [F, K] dB, their means.
    """

    onset: np.ndarray
    frame: np.ndarray
    velocity: np.ndarray
    levels: np.ndarray
    level: np.ndarray


@lru_cache(maxsize=1)
def _bands() -> np.ndarray:
    """Return the mel band of each key's harmonics, [K, H]; above the last band that there is, the one below again."""
    fundamental_hz = 440.0 * 2.0 ** ((np.arange(KEYS) + LOWEST_PITCH - 69) / 12)
    partials_hz = np.minimum(fundamental_hz[:, None] * np.arange(1, HARMONICS + 1), _HIGHEST_HZ)
    return np.clip(np.round(mel_band(partials_hz)), 0, MEL_BINS - 1).astype(int)


def harmonic_levels(spectrogram: np.ndarray) -> np.ndarray:
    """Return how loud the harmonics of each key are: [F, M] dB to [F, K, H]."""
    return spectrogram[:, _bands()]


def odds_of(probability: np.ndarray | float) -> np.ndarray:
    """Return the log-odds of probabilities, within those of 0.0001 and 0.9999."""
    bounded = np.clip(probability, _ODDS_BOUND, 1 - _ODDS_BOUND)
    return np.asarray(np.log(bounded / (1 - bounded)))


def struck_evidence(heard: Stretch, rows: np.ndarray, keys: np.ndarray, lasts: np.ndarray) -> np.ndarray:
    """Return what speaks for notes whose onset fires: [N, 12], in the order of `config.StruckWeights` after its bias.

    Args:
        heard: From at least `BEFORE` frames before the notes on, or from the recording's first.
        rows: [N], where the onsets begin to fire.
        keys: [N], 0-87.
        lasts: [N], one past the last row in which each sounds, at most `AHEAD` rows on.
    """
    onset = odds_of(_window(heard.onset, rows, keys, 0, 3).max(axis=1))
    before = _window(heard.frame, rows, keys, -3, -1).mean(axis=1)
    restrike = (before > _SOUNDS).astype(np.float64)
    ahead = np.arange(AHEAD)
    sounds = _window(heard.frame, rows, keys, 0, AHEAD)
    counts = ahead < np.maximum(lasts - rows, 1)[:, None]
    near = _clipped(heard, rows[:, None] + np.arange(_START_FRAMES))
    above_neighbours, below_loudest = _standing(heard.level[near].mean(axis=1), keys)
    return np.stack(
        [
            onset,
            echoes(heard.onset, rows, keys),
            odds_of(_window(heard.frame, rows, keys, 0, _START_FRAMES).mean(axis=1)),
            odds_of((sounds * counts).sum(axis=1) / counts.sum(axis=1)),
            np.log(lasts - rows + 1.0),
            _rise_db(_window(heard.levels, rows, keys, -4, -1), _window(heard.levels, rows, keys, 0, 5)) / 10,
            before,
            restrike,
            onset * restrike,
            above_neighbours,
            below_loudest,
            np.clip(heard.velocity[rows, keys], 0.0, 1.5),
        ],
        axis=1,
    )


def surroundings(heard: Stretch, rows: np.ndarray, keys: np.ndarray, lasts: np.ndarray) -> np.ndarray:
    """Return what is around notes whose onset may have fired, for `judge.Judge`: [N, `SURROUNDINGS`].

    What speaks for each (`struck_evidence`); the onset head, the frame head and the level of its harmonics frame by
    frame; the frame head before and after; both at the keys of which it may be a partial or that may be its own, and at
    those beside it; how its harmonics rise, fall and stand to each other; how much starts and sounds with it; and where
    on the keyboard it lies.

    Args:
        heard: From at least `BEFORE` frames before the notes on, or from the recording's first.
        rows: [N], where the onsets begin to fire.
        keys: [N], 0-87.
        lasts: [N], one past the last row in which each sounds, at most `AHEAD` rows on.
    """
    onsets, sounds = (_window(values, rows, keys, *_START_SPAN) for values in (heard.onset, heard.frame))
    levels = _window(heard.level, rows, keys, *_START_SPAN)
    levels = (levels - levels[:, -_START_SPAN[0], None]) / 10  # tens of dB over that of the row itself
    frames = [_window(heard.frame, rows, keys, first, last).mean(axis=1) for first, last in _FRAME_SPANS]
    related = []
    for interval in _RELATED:
        others = keys + interval
        there = (others >= 0) & (others < KEYS)
        others = np.clip(others, 0, KEYS - 1)
        related.append(_window(heard.onset, rows, others, -2, 4).max(axis=1) * there)
        related.append(_window(heard.frame, rows, others, 0, 12).mean(axis=1) * there)
    before = _window(heard.levels, rows, keys, -6, -1).mean(axis=1)  # [N, H]
    peak = _window(heard.levels, rows, keys, 0, 5).max(axis=1)
    after = _window(heard.levels, rows, keys, 10, 16).mean(axis=1)
    near = _clipped(heard, rows[:, None] + np.arange(5))
    loudest = heard.level[near].max(axis=1)  # [N, K]
    level = loudest[np.arange(len(rows)), keys]
    starting = (heard.onset[_clipped(heard, rows[:, None] + np.arange(-1, 3))] > _SOUNDS).any(axis=1).sum(axis=1)
    return np.column_stack(
        [
            struck_evidence(heard, rows, keys, lasts),
            onsets,
            sounds,
            levels,
            *frames,
            *related,
            np.clip(peak - before, -10.0, 40.0) / 10,
            np.clip(peak - after, -20.0, 60.0) / 10,
            (peak - peak.mean(axis=1, keepdims=True)) / 10,
            (level - loudest.max(axis=1)) / 10,
            (level - np.sort(loudest, axis=1)[:, -_LOUD_KEYS:].mean(axis=1)) / 10,
            starting,
            (heard.frame[rows] > 0.5).sum(axis=1),
            keys / KEYS,
        ]
    )


def faded_evidence(heard: Stretch, row: int, key: int, last: int) -> list[float]:
    """Return what speaks for a note that no onset starts, in the order of `config.FadedWeights` after its bias.

    Args:
        heard: From at least `BEFORE` frames before the note on, or from the recording's first.
        row: Where the frame head is sure of it.
        key: 0-87.
        last: One past the last row in which it sounds, at most `AHEAD` rows on.
    """
    span = slice(row, min(last, row + _FADE_FRAMES))
    frames = heard.frame[span]
    below = [key - interval for interval in OVERTONES if key >= interval]
    above = [key + interval for interval in OVERTONES if key + interval < KEYS]
    earlier = slice(max(row - 25, 0), max(row - 12, 1))
    return [
        min(float(heard.onset[max(row - 15, 0) : row + 10, key].sum()), 3.0),
        float(odds_of(frames[:_START_FRAMES, key].mean())),
        float(_rise_db(heard.levels[earlier, key], heard.levels[span, key])) / 10,
        *(float(each[0]) for each in _standing(heard.level[span].mean(axis=0)[None], np.array([key]))),
        float(frames[:, below].mean(axis=0).max()) if below else 0.0,
        float(frames[:, above].mean(axis=0).max()) if above else 0.0,
        float(heard.frame[max(row - 31, 0) : max(row - 6, 1), key].max()),
    ]


def releases(config: EvidenceConfig, heard: Stretch) -> np.ndarray:
    """Return where a key that sounds is released, [F, K] bool: from there its level falls faster, and for good.

    What sounds on after that is the room, or the release of a pad, which the frame head goes on hearing.
    """
    frames = len(heard.frame)
    if not frames:
        return np.zeros((0, KEYS), dtype=bool)
    level = heard.level
    ahead = np.pad(level, ((0, _FALL_FRAMES + _STAYS_FRAMES), (0, 0)), mode="edge")[_FALL_FRAMES:]
    later = sliding_window_view(ahead, _STAYS_FRAMES, axis=0)[:frames].max(axis=-1)
    before = np.pad(level, ((_FALL_FRAMES, 0), (0, 0)), mode="edge")[:frames]
    faster = level - ahead[:frames] - np.maximum(before - level, 0.0)  # than what is struck dies away by itself
    falls = (faster >= config.release_db) & (level - later >= _STAYS_SHARE * config.release_db)
    sounds = np.pad(heard.frame, ((0, RELEASE_FRAMES + _UNSURE_FRAMES), (0, 0)), mode="edge")[RELEASE_FRAMES:]
    unsure = sliding_window_view(sounds, _UNSURE_FRAMES, axis=0)[:frames].mean(axis=-1) < config.release_frame
    return np.asarray(falls & unsure)


def _clipped(heard: Stretch, rows: np.ndarray) -> np.ndarray:
    """Return rows, those before the first and after the last as these."""
    return np.clip(rows, 0, len(heard.onset) - 1)


def _window(values: np.ndarray, rows: np.ndarray, keys: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return [N, last - first, ...] of [F, K, ...]: what lies so many rows from each note's, the edges repeated."""
    place = np.clip(rows[:, None] + np.arange(first, last), 0, len(values) - 1)
    return np.asarray(values[place, keys[:, None]], dtype=np.float64)


def _rise_db(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much harmonics rise, on average: levels of [..., frames, H] twice to [...]."""
    return np.asarray(np.clip(after.max(axis=-2) - before.mean(axis=-2), -5.0, 20.0).mean(axis=-1))


def _standing(levels: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many tens of dB keys stand out from their neighbours, and from the loudest key (below 0).

    Args:
        levels: [N, K] dB.
        keys: [N], 0-87.
    """
    each = np.arange(len(keys))
    beside = (levels[each, np.maximum(keys - 1, 0)] + levels[each, np.minimum(keys + 1, KEYS - 1)]) / 2
    own = levels[each, keys]
    return (own - beside) / 10, (own - levels.max(axis=1)) / 10


def struck_odds(config: EvidenceConfig, evidence: np.ndarray) -> np.ndarray:
    """Return the log-odds that struck notes are right, by the logistic regression: [N, 12] to [N]."""
    bias, *weights = astuple(config.struck)
    return np.asarray(bias + evidence @ np.array(weights))


def faded_odds(config: EvidenceConfig, evidence: Sequence[float]) -> float:
    """Return the log-odds that a faded note is right."""
    bias, *weights = astuple(config.faded)
    return float(bias + np.dot(weights, evidence))
