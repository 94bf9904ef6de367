"""What a note is, and what the sustain pedal does to it: the common currency of every other module.

Conventions: times are seconds from the start of the piece, pitches are MIDI numbers 0-127, velocities 1-127.
Lists of notes are sorted by start, then pitch, then end, then velocity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

SUSTAIN_CONTROLLER = 64
SUSTAIN_DOWN = 64  # controller values from here up hold the pedal down (MIDI 1.0)


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One sounding note; `start_s < end_s`, pitch 0-127, velocity 1-127."""

    start_s: float
    pitch: int
    end_s: float
    velocity: int


@dataclass(frozen=True, slots=True, order=True)
class PedalEvent:
    """The sustain pedal goes down or up at `time_s`."""

    time_s: float
    down: bool


def apply_sustain(notes: Iterable[Note], pedals: Sequence[PedalEvent]) -> list[Note]:
    """Fold the sustain pedal into note ends.

    A note whose key is released while the pedal is down sounds on until the pedal lifts, or until the same pitch is
    struck again, as in note-seq's `apply_sustain_control_changes`. A note still held by the pedal at the end of the
    piece ends with the last event.

    Args:
        notes: Notes with key-release ends, any order.
        pedals: Pedal events, any order; at equal times a lift acts before a press.

    Returns:
        Notes sorted by start, then pitch.
    """
    ordered = sorted(notes)
    if not pedals or not ordered:
        return ordered
    spans = pedal_spans(pedals, end_s=max(max(n.end_s for n in ordered), max(p.time_s for p in pedals)))
    following = _next_onset_of_pitch(ordered)
    sustained = []
    span = 0
    lifted = {}
    # Key releases in time order, so that the pedal spans are walked once.
    for index in sorted(range(len(ordered)), key=lambda i: ordered[i].end_s):
        end_s = ordered[index].end_s
        while span < len(spans) and spans[span][1] <= end_s:
            span += 1
        held = span < len(spans) and spans[span][0] <= end_s
        lifted[index] = spans[span][1] if held else end_s
    for index, note in enumerate(ordered):
        end_s = lifted[index]
        restruck_s = following[index]
        if end_s > note.end_s and restruck_s is not None and restruck_s < end_s:
            end_s = max(note.end_s, restruck_s)
        sustained.append(replace(note, end_s=end_s))
    return sorted(sustained)


def pedal_spans(pedals: Sequence[PedalEvent], *, end_s: float) -> list[tuple[float, float]]:
    """Return the intervals `(down_s, up_s)` in which the pedal is down, in time order; an open one ends at `end_s`."""
    spans: list[tuple[float, float]] = []
    down_s: float | None = None
    for event in sorted(pedals):
        if event.down and down_s is None:
            down_s = event.time_s
        elif not event.down and down_s is not None:
            spans.append((down_s, event.time_s))
            down_s = None
    if down_s is not None:
        spans.append((down_s, max(end_s, down_s)))
    return spans


def _next_onset_of_pitch(ordered: Sequence[Note]) -> list[float | None]:
    """For each note, when its pitch is struck next (strictly later), or None."""
    following: list[float | None] = [None] * len(ordered)
    latest: dict[int, tuple[float, float | None]] = {}  # pitch -> (its next onset, the one after that)
    for index in range(len(ordered) - 1, -1, -1):
        note = ordered[index]
        next_s, after_s = latest.get(note.pitch, (None, None))
        if next_s is not None and next_s > note.start_s:
            following[index] = next_s
            latest[note.pitch] = (note.start_s, next_s)
        else:  # struck twice at the same instant: both look past each other
            following[index] = after_s
            latest[note.pitch] = (note.start_s, after_s)
    return following
