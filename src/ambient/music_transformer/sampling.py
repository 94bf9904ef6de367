"""Choose one field of the next note: at random within bounds; knows logits and nothing else of the model.

Conventions: logits are [S, C], of one field of S songs. The order is choices allowed, creativity, temperature, offset,
top-k, min-p, top-p, draw. Gap and length are times and have a temperature and a top-k of their own.
"""

from collections.abc import Sequence

import numpy as np

from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.fields import BINS, EDGES
from ambient.music_transformer.rows import END, FIELD_SIZES, MOST_PITCH
from ambient.music_transformer.tokens import STEPS_PER_SECOND

GAP, PITCH, LENGTH, VELOCITY = range(4)
_COLDEST = 1e-6  # a temperature that leaves nothing but the likeliest
_UNIT_S = 0.1  # creativity counts how often a gap doubles beyond this
_DOUBLINGS = np.append(np.log2(1 + EDGES[:BINS] / STEPS_PER_SECOND / _UNIT_S), 0.0)  # [BINS + 1]


def allowed_gaps(last_pitch: int | None, soonest_steps: int = 0) -> np.ndarray:
    """Return which gaps may come, [BINS + 1] bool: never the end, and no time too soon for another note.

    Args:
        last_pitch: Of the note before: what starts together with it is higher. None before the first note.
        soonest_steps: A later start is not asked for where the bin reaches beyond this.
    """
    allowed = np.ones(FIELD_SIZES[GAP], dtype=bool)
    allowed[END] = False
    if last_pitch is not None and last_pitch >= MOST_PITCH:
        allowed[0] = False
    if soonest_steps > 0:
        allowed[:BINS] &= EDGES[1:] > soonest_steps
        if not allowed.any():
            allowed[BINS - 1] = True
    return allowed


def allowed_pitches(last_pitch: int | None, *, together: bool, looped: int | None) -> np.ndarray:
    """Return which pitches may come, [128] bool: higher ones within a chord; not one that would carry on a loop."""
    allowed = np.ones(FIELD_SIZES[PITCH], dtype=bool)
    if together and last_pitch is not None:
        allowed[: last_pitch + 1] = False
    if looped is not None and np.count_nonzero(allowed) > 1:
        allowed[looped] = False
    return allowed


def allowed_lengths() -> np.ndarray:
    """Return which lengths may come, [BINS] bool: every one but nothing."""
    allowed = np.ones(FIELD_SIZES[LENGTH], dtype=bool)
    allowed[0] = False
    return allowed


def probabilities(field: int, logits: np.ndarray, allowed: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Return the distributions that a field is drawn from, [S, C] float64.

    Args:
        field: GAP, PITCH, LENGTH or VELOCITY.
        logits: [S, C].
        allowed: [S, C] bool, at least one of each song true.
        config: Temperature 0 puts everything on the likeliest choice, the lowest among equals.
    """
    scores = np.where(allowed & np.isfinite(logits), logits, -np.inf).astype(np.float64)
    broken = scores.max(axis=1) == -np.inf  # weights: any allowed choice is as good as another
    if broken.any():
        scores[broken] = np.where(allowed[broken], 0.0, -np.inf)
    if field == GAP and config.creativity:
        scores -= config.creativity * _DOUBLINGS
    is_time = field in (GAP, LENGTH)
    temperature = config.temperature
    if is_time and config.timing_temperature is not None:
        temperature = config.timing_temperature
    songs = np.arange(len(scores))[:, None]
    result = np.zeros(scores.shape)
    if temperature <= 0:
        result[songs[:, 0], scores.argmax(axis=1)] = 1.0
        return result
    weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / max(temperature, _COLDEST))
    order = (-weights).argsort(axis=1, kind="stable")
    ranked = weights[songs, order]
    place = np.arange(scores.shape[1])
    first = np.zeros((len(scores), 1), dtype=np.int64)  # the likeliest that is kept
    if field == PITCH and config.top_k_offset:
        first = np.minimum(config.top_k_offset, np.count_nonzero(ranked, axis=1, keepdims=True) - 1)
        ranked[place < first] = 0.0
    top_k = config.timing_top_k if is_time and config.timing_top_k is not None else config.top_k
    if top_k:
        ranked[place >= first + top_k] = 0.0
    if config.min_p > 0:
        ranked[ranked < config.min_p * ranked[songs, first]] = 0.0
    if config.top_p < 1:
        # The choice that crosses the line is kept, so at least one stays.
        cumulative = ranked.cumsum(axis=1)
        ranked[:, 1:][cumulative[:, :-1] >= config.top_p * cumulative[:, -1:]] = 0.0
    result[songs, order] = ranked / ranked.sum(axis=1, keepdims=True)
    return result


def draw(
    field: int,
    logits: np.ndarray,
    allowed: np.ndarray,
    config: SamplingConfig,
    chances: Sequence[np.random.Generator],
) -> list[int]:
    """Draw one field of the next note of each song; each song has chances of its own."""
    cumulative = probabilities(field, logits, allowed, config).cumsum(axis=1)
    marks = np.array([each.random() for each in chances])[:, None] * cumulative[:, -1:]
    choices: list[int] = (cumulative <= marks).sum(axis=1).tolist()
    return choices


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the model's own distribution, before temperature and filters: [..., C] -> float64."""
    wide = logits.astype(np.float64)
    if not np.isfinite(wide).all():
        wide = np.nan_to_num(wide)  # broken weights give numbers all the same
    wide -= wide.max(axis=-1, keepdims=True)
    result: np.ndarray = wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return result
