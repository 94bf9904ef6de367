"""Choose one field of the next note: at random within bounds; knows logits and nothing else of the model.

Conventions: logits are [C] float32 of one song and one field. The order is choices allowed, creativity, temperature,
offset, top-k, min-p, top-p, draw. Gap and length are times and have a temperature and a top-k of their own.
"""

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
    """Return the distribution that a field is drawn from, [C] float64.

    Args:
        field: GAP, PITCH, LENGTH or VELOCITY.
        logits: [C].
        allowed: [C] bool, at least one true.
        config: Temperature 0 puts everything on the likeliest choice, the lowest among equals.
    """
    scores = logits.astype(np.float64)
    scores[~(allowed & np.isfinite(logits))] = -np.inf
    if scores.max() == -np.inf:  # broken weights: any allowed choice is as good as another
        scores = np.where(allowed, 0.0, -np.inf)
    if field == GAP and config.creativity:
        scores -= config.creativity * _DOUBLINGS
    is_time = field in (GAP, LENGTH)
    temperature = config.temperature
    if is_time and config.timing_temperature is not None:
        temperature = config.timing_temperature
    if temperature <= 0:
        best = np.zeros(scores.size)
        best[int(np.argmax(scores))] = 1.0
        return best
    weights = np.exp((scores - scores.max()) / max(temperature, _COLDEST))
    possible = weights.nonzero()[0]
    order = possible[(-weights[possible]).argsort(kind="stable")]
    if field == PITCH and config.top_k_offset:
        order = order[min(config.top_k_offset, order.size - 1) :]
    top_k = config.timing_top_k if is_time and config.timing_top_k is not None else config.top_k
    if top_k:
        order = order[:top_k]
    ranked = weights[order]
    if config.min_p > 0:
        ranked = ranked[ranked >= config.min_p * ranked[0]]
    if config.top_p < 1:
        # The choice that crosses the line is kept, so at least one stays.
        cumulative = ranked.cumsum()
        ranked = ranked[: int(cumulative.searchsorted(config.top_p * cumulative[-1])) + 1]
    result = np.zeros(weights.size)
    result[order[: ranked.size]] = ranked / ranked.sum()
    return result


def draw(field: int, logits: np.ndarray, allowed: np.ndarray, config: SamplingConfig, rng: np.random.Generator) -> int:
    """Draw one field of the next note."""
    cumulative = probabilities(field, logits, allowed, config).cumsum()
    return int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of the model's own distribution, before temperature and filters: [..., C] -> float64."""
    wide = logits.astype(np.float64)
    if not np.isfinite(wide).all():
        wide = np.nan_to_num(wide)  # broken weights give numbers all the same
    wide -= wide.max(axis=-1, keepdims=True)
    result: np.ndarray = wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return result
