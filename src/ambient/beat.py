"""Find the beat of a piece, where it has one, and bring its notes onto it.

Composed and transcribed music carries times, no bars. Onsets that keep a pulse add up at the pulse's frequency: the
length of the sum of exp(2πi·onset/period), divided by the number of onsets, is 1 for a machine, about 0.9 for a
player who is late and early by 40 ms at half a second, and for onsets at random at most about
sqrt(ln(periods tried)/onsets), 0.2 for two minutes of music. Only a pulse that stands far above that counts. Its
phase is then followed through the piece, so that a beat that is early or late for a while is followed too.

Conventions: times in seconds; a *step* is a quarter of a beat.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.notes import Note

STEPS = 4  # a beat
LEAST_ONSETS = 12
CLEAR = 0.6  # of the greatest sum that is possible
_ABOVE_CHANCE = 1.5  # times what onsets at random reach
_AS_CLEAR = 0.05
_NEAR = 0.75  # so near to steps must onsets lie on average; at random it is 1
_SHORTEST_S, _LONGEST_S = 0.125, 1.0  # periods tried
_BEAT_S = (0.4, 0.85)  # 70 to 150 a minute: the pulse is doubled or halved into it
_FOLLOWED_S = 6.0  # standard deviation of the window in which the phase is taken
_CHORD_S = 0.03
_CLEARLY = 1.08  # so much stronger must the accents of three beats be than those of four


@dataclass(frozen=True, slots=True)
class Beat:
    """The beat of a piece.

    Attributes:
        seconds: The mean length of a beat.
        clearness: 0-1, see above.
        bar: Beats in a bar, 3 or 4.
        times: [steps] when each step is, from the first bar line on; the last one is after the last onset.
    """

    seconds: float
    clearness: float
    bar: int
    times: np.ndarray

    @property
    def per_minute(self) -> float:
        """Beats a minute."""
        return 60.0 / self.seconds

    def step(self, at_s: float) -> int:
        """Return the step that is nearest to a moment; after the last one steps go on evenly."""
        if at_s > self.times[-1]:
            return len(self.times) - 1 + round((at_s - float(self.times[-1])) / self.seconds * STEPS)
        after = int(np.searchsorted(self.times, at_s))
        if after == 0:
            return 0
        return after if self.times[after] - at_s < at_s - self.times[after - 1] else after - 1


def find_beat(notes: Sequence[Note]) -> Beat | None:
    """Find the beat; None where none is clear."""
    onsets = _chords(sorted(note.start_s for note in notes))
    if len(onsets) < LEAST_ONSETS or onsets[-1] - onsets[0] < 4.0:
        return None
    pulse = find_pulse(onsets, shortest=_SHORTEST_S, longest=_LONGEST_S)
    if pulse is None:
        return None
    pulse_s, clearness = pulse
    beat_s = pulse_s
    while beat_s < _BEAT_S[0]:
        beat_s *= 2
    while beat_s > _BEAT_S[1]:
        beat_s /= 2
    grid = _followed(onsets, pulse_s, beat_s)
    away = np.array([np.abs(grid - onset).min() for onset in onsets])
    if away.mean() > _NEAR * beat_s / STEPS / 4:
        return None
    bar, first = _bar(notes, grid)
    return Beat(beat_s, clearness, bar, grid[first:])


def find_pulse(moments: np.ndarray, *, shortest: float, longest: float) -> tuple[float, float] | None:
    """Find the slowest pulse that different moments [N], rising, keep.

    Args:
        moments: At least two, in any unit.
        shortest: Period to try, in the same unit.
        longest: Likewise.

    Returns:
        Its period, and how clear it is, 0-1; None where none is clear.
    """
    span = float(moments[-1] - moments[0])
    frequencies = np.arange(1 / longest, 1 / shortest, 0.1 / span)
    sums = clearness_of(frequencies, moments)
    # Halves and thirds of the pulse fit as well as it does: the slowest one counts.
    best = int(np.flatnonzero(sums >= sums.max() - _AS_CLEAR)[0])
    while best + 1 < len(sums) and sums[best + 1] > sums[best]:
        best += 1
    chance = math.sqrt(math.log(span / shortest) / len(moments))
    if sums[best] < max(CLEAR, _ABOVE_CHANCE * chance):
        return None
    return float(1 / frequencies[best]), float(sums[best])


def clearness_of(frequencies: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return how clearly moments [N] keep pulses of these frequencies [F], 0-1 each."""
    return np.array([abs(np.exp(2j * np.pi * frequency * moments).sum()) for frequency in frequencies]) / len(moments)


def _chords(starts: Sequence[float]) -> np.ndarray:
    """Return one onset for notes that are struck together."""
    onsets: list[float] = []
    for start in starts:
        if not onsets or start - onsets[-1] > _CHORD_S:
            onsets.append(start)
    return np.array(onsets)


def _followed(onsets: np.ndarray, pulse_s: float, beat_s: float) -> np.ndarray:
    """Return the time of each step, from two bars before the first onset to after the last."""
    begin, end = onsets[0] - 0.5 * pulse_s, onsets[-1] + beat_s
    moments = np.arange(begin, end + pulse_s, pulse_s)
    phases = np.empty(len(moments))
    turns = np.exp(2j * np.pi * onsets / pulse_s)
    for index, moment in enumerate(moments):
        near = np.exp(-0.5 * ((onsets - moment) / _FOLLOWED_S) ** 2)
        phases[index] = np.angle((turns * near).sum())
    phases = np.unwrap(phases)
    pulses = moments / pulse_s - phases / (2 * math.pi)  # which pulse each moment is; it is at a whole number
    numbers = np.arange(math.ceil(pulses[0]), math.floor(pulses[-1]) + 1)
    times = np.interp(numbers, pulses, moments)
    steps_a_pulse = round(STEPS * pulse_s / beat_s)
    parts = np.arange((len(times) - 1) * steps_a_pulse + 1) / steps_a_pulse
    grid = np.interp(parts, np.arange(len(times)), times)
    first = STEPS * 8  # two bars of four before, so that an upbeat has a bar
    before = grid[0] - np.arange(first, 0, -1) * beat_s / STEPS
    after = grid[-1] + np.arange(1, STEPS + 1) * beat_s / STEPS
    return np.concatenate([before, grid, after])


def _bar(notes: Sequence[Note], grid: np.ndarray) -> tuple[int, int]:
    """Find how many beats a bar has, and the step at which the bar of the first note begins: accents, low notes."""
    weights = np.zeros(len(grid))
    for note in notes:
        step = min(len(grid) - 1, int(np.abs(grid - note.start_s).argmin()))
        weights[step] += note.velocity / 127 * (2.0 if note.pitch < 55 else 1.0)
    first = int(np.flatnonzero(weights)[0])
    found = {}
    for bar in (4, 3):
        length = bar * STEPS
        sums = [weights[shift::length].sum() / max(1, len(weights[shift::length])) for shift in range(length)]
        found[bar] = max(sums) / max(1e-9, float(np.mean(sums))) / length, int(np.argmax(sums))
    bar = 3 if found[3][0] > _CLEARLY * found[4][0] else 4
    shift, length = found[bar][1], bar * STEPS
    return bar, first - (first - shift) % length
