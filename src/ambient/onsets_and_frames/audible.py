"""From when a note can be heard: from when its own sound first has a tenth of its largest energy.

A pad's key goes down long before there is anything to hear. What is heard is what a network can learn, and what a score
may ask of it. Each note is played alone, as it is played in the piece. Notes of one pitch, of about the same loudness
and about the same length are played once.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from ambient.notes import Note

AUDIBLE_SHARE = 0.1  # of the largest energy: 10 dB
_WINDOW_S = 0.02  # over which energy is measured
_STEP_S = 0.005
_VELOCITY_STEP = 16  # notes nearer than that in loudness, and nearer in length than the ratio, rise alike
_LENGTH_RATIO = 1.2
_LENGTHS_S = (0.05, 8.0)  # that are told apart; a held sound has reached its largest energy after 8 s
_SHORTEST_S = 0.03  # that is left of a note whose audible moment comes late
_GAP_S = 3.0  # between two notes that are played to be measured; releases of soundfonts last 2.5 s
_TOGETHER = 40  # notes that are played at once, one after the other: a large soundfont takes 0.4 s to open


def audible_after_s(samples: np.ndarray, rate_hz: float) -> float:
    """Return how long after its start a note can be heard.

    Args:
        samples: [samples] or [samples, channels], the note alone, its start at the first sample.
        rate_hz: Sample rate.

    Returns:
        Seconds; 0 for silence.
    """
    power = np.square(samples, dtype=np.float64).reshape(len(samples), -1).sum(axis=1)
    window, step = round(_WINDOW_S * rate_hz), round(_STEP_S * rate_hz)
    total = np.concatenate([np.zeros(window // 2 + 1), power, np.zeros(window)]).cumsum()
    energy = (total[window:] - total[:-window])[::step]  # centred on each step
    return float(np.argmax(energy >= AUDIBLE_SHARE * energy.max()) * step / rate_hz)


def audible_starts_s(
    notes: Sequence[Note], play: Callable[[Sequence[Note]], np.ndarray], rate_hz: float
) -> list[float]:
    """Return from when each note can be heard, in seconds.

    Args:
        notes: As they are played.
        play: Returns the sound of notes, [samples] or [samples, channels], from time 0 on.
        rate_hz: Of what `play` returns.

    Returns:
        Between the note's own start and shortly before its end.
    """
    after_s: dict[tuple[int, int, int], float] = {}
    kinds = [_kind(note) for note in notes]
    waiting = sorted(set(kinds))
    for first in range(0, len(waiting), _TOGETHER):
        group = waiting[first : first + _TOGETHER]
        after_s |= zip(group, _measured([_of_kind(kind) for kind in group], play, rate_hz), strict=True)
    return [
        max(min(note.start_s + after_s[kind], note.end_s - _SHORTEST_S), note.start_s)
        for note, kind in zip(notes, kinds, strict=True)
    ]


def _kind(note: Note) -> tuple[int, int, int]:
    """Return pitch, class of velocity and class of length."""
    shortest_s, longest_s = _LENGTHS_S
    length_s = min(max(note.end_s - note.start_s, shortest_s), longest_s)
    return note.pitch, note.velocity // _VELOCITY_STEP, round(math.log(length_s / shortest_s, _LENGTH_RATIO))


def _of_kind(kind: tuple[int, int, int]) -> Note:
    pitch, velocity, length = kind
    middle = min(velocity * _VELOCITY_STEP + _VELOCITY_STEP // 2, 127)
    return Note(0.0, pitch, _LENGTHS_S[0] * _LENGTH_RATIO**length, middle)


def _measured(notes: Sequence[Note], play: Callable[[Sequence[Note]], np.ndarray], rate_hz: float) -> list[float]:
    """Play the notes, all of which start at 0, one after the other and measure each."""
    edges_s = [0.0]
    for note in notes:
        edges_s.append(edges_s[-1] + note.end_s + _GAP_S)
    sound = play(
        [
            Note(start_s, note.pitch, start_s + note.end_s, note.velocity)
            for note, start_s in zip(notes, edges_s, strict=False)
        ]
    )
    edges = [round(edge_s * rate_hz) for edge_s in edges_s]
    return [audible_after_s(sound[first:last], rate_hz) for first, last in pairwise(edges)]
