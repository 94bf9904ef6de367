"""Choose the next event: only legal ones, at random within bounds; knows logits and nothing else of the model.

Conventions: logits are [V] float32 of one song. The order is ends of held notes, legal events, creativity, temperature,
top-k, min-p, top-p, draw. Notes (with offs and velocities) and timing (time shifts) have temperatures and top-k of
their own.
"""

from collections import deque

import numpy as np

from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.tokens import (
    DEFAULT_VELOCITY_BIN,
    END,
    MAX_SHIFT_STEPS,
    NOTE_OFF,
    NOTE_ON,
    PAD,
    PITCHES,
    STEPS_PER_SECOND,
    TIME_SHIFT,
    VELOCITY,
    VOCABULARY_SIZE,
)

# Of the notes in the base model's data one in a thousand is longer than 4.3 s, and one event in a hundred has more than
# nine notes sounding: what lies far beyond is a forgotten off, not music.
LONGEST_NOTE_STEPS = 8 * STEPS_PER_SECOND
# What has lasted two seconds lasts, in the calm pieces of that data, another second in the mean.
HELD_STEPS = 2 * STEPS_PER_SECOND
MOST_SOUNDING = 10
LONGEST_SILENCE_STEPS = 5 * STEPS_PER_SECOND

_COLDEST = 1e-6  # a temperature that leaves nothing but the likeliest
_IDS = np.arange(VOCABULARY_SIZE)
_TIMING = slice(TIME_SHIFT, VELOCITY)
_IS_TIMING = (_IDS >= TIME_SHIFT) & (_IDS < VELOCITY)
_STARTS = _IDS < NOTE_OFF
_SHIFT_S = (np.arange(MAX_SHIFT_STEPS) + 1) / STEPS_PER_SECOND


class LegalEvents:
    """Which events may come next, so that any weights give a valid piece.

    - An off only for a sounding note, and not at the step it started; an on only for a silent pitch.
    - A velocity only if it changes, and only right before an on.
    - Time shifts as `notes_to_tokens` writes them: full seconds first, then at most one shorter shift.
    - A note that has sounded for eight seconds ends; at most ten sound at once; after five seconds of silence a note
      starts.
    - At most `notes_per_second` notes start within a second; time then moves on until another may.
    - Never padding or a start; an end only if asked for.
    """

    def __init__(self, *, notes_per_second: int = 0) -> None:
        self.notes_per_second = notes_per_second
        self.now = 0
        self.velocity_bin = -1
        self._sounding: dict[int, deque[int]] = {}  # pitch -> start steps, oldest first
        self._starts: deque[int] = deque(maxlen=notes_per_second or 1)  # steps of the latest starts
        self._silent_since = 0
        self._last = END

    @property
    def sounding(self) -> list[int]:
        """Pitches that have not ended, lowest first."""
        return sorted(self._sounding)

    def copy(self) -> "LegalEvents":
        """Return an independent copy."""
        other = LegalEvents(notes_per_second=self.notes_per_second)
        other.now, other.velocity_bin = self.now, self.velocity_bin
        other._silent_since, other._last = self._silent_since, self._last
        other._starts.extend(self._starts)
        other._sounding = {pitch: deque(starts) for pitch, starts in self._sounding.items()}
        return other

    def observe(self, token: int) -> None:
        """Note that this event happened; illegal ones, as a primer may hold, are taken as the decoder takes them."""
        self._last = token
        if token < NOTE_OFF:
            self._sounding.setdefault(token - NOTE_ON, deque()).append(self.now)
            self._starts.append(self.now)
        elif token < TIME_SHIFT:
            starts = self._sounding.get(token - NOTE_OFF)
            if starts:
                starts.popleft()
                if not starts:
                    del self._sounding[token - NOTE_OFF]
                    self._silent_since = self.now
        elif token < VELOCITY:
            self.now += token - TIME_SHIFT + 1
        elif token < PAD:
            self.velocity_bin = token - VELOCITY

    def mask(self, *, may_end: bool = False) -> np.ndarray:
        """Return which events may come next, [V] bool; at least one may."""
        allowed = np.zeros(VOCABULARY_SIZE, dtype=bool)
        overdue = [pitch for pitch, starts in self._sounding.items() if self.now - starts[0] >= LONGEST_NOTE_STEPS]
        after_velocity = VELOCITY <= self._last < PAD
        if overdue and not after_velocity:
            for pitch in overdue:
                allowed[NOTE_OFF + pitch] = True
            return allowed
        room = len(self._sounding) < MOST_SOUNDING and not self._wait_steps()
        if room:
            allowed[NOTE_ON : NOTE_ON + PITCHES] = True
            for pitch in self._sounding:
                allowed[NOTE_ON + pitch] = False
        if after_velocity:
            return allowed
        for pitch, starts in self._sounding.items():
            if starts[0] < self.now:
                allowed[NOTE_OFF + pitch] = True
        if room:
            allowed[VELOCITY:PAD] = True
            if self.velocity_bin >= 0:
                allowed[VELOCITY + self.velocity_bin] = False
        after_shift = TIME_SHIFT <= self._last < VELOCITY
        too_silent = not self._sounding and self.now - self._silent_since >= LONGEST_SILENCE_STEPS
        if not too_silent and (not after_shift or self._last == TIME_SHIFT + MAX_SHIFT_STEPS - 1):
            # No shorter than the wait: at its end nothing but an off would be legal, and notes would be cut short.
            allowed[TIME_SHIFT + max(self._wait_steps() - 1, 0) : VELOCITY] = True
        allowed[END] = may_end and not self._sounding
        if not allowed.any():  # silent, and too soon for another note
            allowed[TIME_SHIFT:VELOCITY] = True
        return allowed

    def held(self) -> list[int]:
        """Return the pitches that have sounded for two seconds and more."""
        return [pitch for pitch, starts in self._sounding.items() if self.now - starts[0] >= HELD_STEPS]

    def _wait_steps(self) -> int:
        """Return how long it takes until another note may start; 0 if it may now."""
        if not self.notes_per_second or len(self._starts) < self.notes_per_second:
            return 0
        return max(0, self._starts[0] + STEPS_PER_SECOND - self.now)

    def closing_tokens(self) -> list[int]:
        """Return the events that end every sounding note, a step later where one has only just started."""
        pending = sorted((pitch, start) for pitch, starts in self._sounding.items() for start in starts)
        if not pending:
            return []
        shift = [TIME_SHIFT] if any(start == self.now for _, start in pending) else []
        return shift + [NOTE_OFF + pitch for pitch, _ in pending]


def with_note_ends(logits: np.ndarray, held: list[int], rate: float) -> np.ndarray:
    """Return logits under which held notes end at a rate of at least so many a second.

    A model that has once not drawn an off where it was due takes it as drawn, and hardly offers it again. So the off of
    a held note gets at least the probability that time moves on, times the rate and how far it is expected to move.

    Args:
        logits: [V].
        held: Pitches.
        rate: Ends a second; 0 changes nothing.
    """
    shifts = logits[_TIMING].astype(np.float64)
    if not held or not rate or not np.isfinite(shifts).all():
        return logits
    most = shifts.max()
    least = most + np.log(rate * (np.exp(shifts - most) * _SHIFT_S).sum())
    changed = logits.copy()
    offs = [NOTE_OFF + pitch for pitch in held]
    changed[offs] = np.maximum(changed[offs], least)
    return changed


def token_probabilities(logits: np.ndarray, allowed: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Return the distribution that the next event is drawn from, [V] float64.

    Args:
        logits: [V].
        allowed: [V] bool, at least one true.
        config: Temperature 0 puts everything on the likeliest event, the lowest id among equals.
    """
    scores = logits.astype(np.float64)
    scores[~(allowed & np.isfinite(logits))] = -np.inf
    if scores.max() == -np.inf:  # broken weights: any legal event is as good as another
        scores = np.where(allowed, 0.0, -np.inf)
    if config.creativity:
        scores[_TIMING] -= config.creativity
    if config.temperature <= 0:
        best = np.zeros(scores.size)
        best[int(np.argmax(scores))] = 1.0
        return best
    scores -= scores.max()
    timing = config.temperature if config.timing_temperature is None else config.timing_temperature
    scores[_TIMING] *= config.temperature / max(timing, _COLDEST)
    scores /= config.temperature
    weights = _likeliest(np.exp(scores), config)
    possible = weights.nonzero()[0]
    order = possible[(-weights[possible]).argsort(kind="stable")]
    ranked = weights[order]
    if config.min_p > 0:
        ranked = ranked[ranked >= config.min_p * ranked[0]]
    if config.top_p < 1:
        # The event that crosses the line is kept, so at least one stays.
        cumulative = ranked.cumsum()
        ranked = ranked[: int(cumulative.searchsorted(config.top_p * cumulative[-1])) + 1]
    probabilities = np.zeros(weights.size)
    probabilities[order[: ranked.size]] = ranked / ranked.sum()
    return probabilities


def _likeliest(weights: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """Apply the offset to the notes that start, then top-k to notes and timing together or apart, [V] -> [V]."""
    if not (config.top_k_offset or config.top_k or config.timing_top_k):
        return weights
    kept = weights.copy()
    if config.top_k_offset:
        obvious = _ranked(kept, _STARTS)
        kept[obvious[: min(config.top_k_offset, max(obvious.size - 1, 0))]] = 0.0
    if config.timing_top_k is None:
        families = [(_IDS >= 0, config.top_k)]
    else:
        families = [(~_IS_TIMING, config.top_k), (_IS_TIMING, config.timing_top_k)]
    for family, k in families:
        if k:
            kept[_ranked(kept, family)[k:]] = 0.0
    return kept


def _ranked(weights: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Return the events of a family that may come, the likeliest first."""
    members = np.flatnonzero(family & (weights > 0))
    return members[np.argsort(-weights[members], kind="stable")]


def draw_token(logits: np.ndarray, allowed: np.ndarray, config: SamplingConfig, rng: np.random.Generator) -> int:
    """Draw the next event."""
    cumulative = token_probabilities(logits, allowed, config).cumsum()
    return int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


def velocity_or_default(velocity_bin: int) -> int:
    """Return the token that restates the current velocity."""
    return VELOCITY + (velocity_bin if velocity_bin >= 0 else DEFAULT_VELOCITY_BIN)
