"""Notes to performance tokens and back, in Magenta's vocabulary: what the composer reads and writes.

Conventions: the grid is 10 ms, absolute (`step = floor(100 t + 0.5)`), so that no error adds up. The first 388 ids are
those of note-seq's `PerformanceOneHotEncoding` with 32 velocity bins and 100 steps a second; three specials follow.

    0-127    note_on pitch        with the current velocity
    128-255  note_off pitch       ends the oldest sounding note of this pitch
    256-355  time_shift 1..100    steps of 10 ms
    356-387  velocity bin 0..31   of the notes that follow; bin (v - 1) // 4 stands for velocity 1 + 4 bin
    388 pad, 389 start, 390 end   never written by `notes_to_tokens`
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ambient.notes import Note

STEPS_PER_SECOND = 100
PITCHES = 128
MAX_SHIFT_STEPS = 100
VELOCITY_BINS = 32

NOTE_ON = 0
NOTE_OFF = NOTE_ON + PITCHES
TIME_SHIFT = NOTE_OFF + PITCHES  # id TIME_SHIFT + n - 1 shifts by n steps
VELOCITY = TIME_SHIFT + MAX_SHIFT_STEPS
PAD = VELOCITY + VELOCITY_BINS
START = PAD + 1
END = START + 1
VOCABULARY_SIZE = END + 1

DEFAULT_VELOCITY_BIN = 16  # for streams that start without a velocity


@dataclass(frozen=True, slots=True)
class DecodedTokens:
    """What a token stream says.

    Attributes:
        notes: Sorted by start, then pitch.
        seconds: Sum of all time shifts.
        dropped: Why tokens were left out, and how many: `stray_off`, `zero_length`, `special`, `unknown`.
        closed: Notes that were still sounding at the end and were closed there.
    """

    notes: list[Note]
    seconds: float
    dropped: dict[str, int] = field(default_factory=dict)
    closed: int = 0


def seconds_to_step(seconds: float) -> int:
    """Return the nearest 10 ms step, halves up."""
    return math.floor(seconds * STEPS_PER_SECOND + 0.5)


def velocity_to_bin(velocity: int) -> int:
    """Return the bin 0-31 of a velocity 1-127."""
    return (velocity - 1) * VELOCITY_BINS // 128


def bin_to_velocity(velocity_bin: int) -> int:
    """Return the velocity that a bin 0-31 stands for: 1, 5 … 125."""
    return 1 + velocity_bin * 128 // VELOCITY_BINS


def notes_to_tokens(notes: Iterable[Note]) -> list[int]:
    """Write notes as performance tokens.

    Events are sorted by step, then by the order of the notes (start, pitch), a note's end before its successors'
    starts. A note shorter than a step gets one. A velocity event is written when the bin changes. Shifts longer than a
    second are split, full ones first; nothing follows the last event.
    """
    events: list[tuple[int, int, bool]] = []  # (step, index of the note, is its end)
    ordered = sorted(notes)
    for index, note in enumerate(ordered):
        start = seconds_to_step(note.start_s)
        events.append((start, index, False))
        events.append((max(start + 1, seconds_to_step(note.end_s)), index, True))
    events.sort()

    tokens: list[int] = []
    now = 0
    velocity_bin = -1
    for step, index, is_end in events:
        tokens.extend(shift_tokens(step - now))
        now = step
        note = ordered[index]
        if is_end:
            tokens.append(NOTE_OFF + note.pitch)
            continue
        if velocity_to_bin(note.velocity) != velocity_bin:
            velocity_bin = velocity_to_bin(note.velocity)
            tokens.append(VELOCITY + velocity_bin)
        tokens.append(NOTE_ON + note.pitch)
    return tokens


def shift_tokens(steps: int) -> list[int]:
    """Return the tokens that move time on by so many steps, full seconds first."""
    full, rest = divmod(steps, MAX_SHIFT_STEPS)
    tokens = [TIME_SHIFT + MAX_SHIFT_STEPS - 1] * full
    if rest:
        tokens.append(TIME_SHIFT + rest - 1)
    return tokens


def tokens_to_notes(tokens: Iterable[int]) -> DecodedTokens:
    """Read notes off any stream of integers; what makes no sense is counted and left out.

    Overlapping notes of one pitch end first in, first out. A note of zero length is dropped, a note left open ends at
    the last step. The stream ends at the first end token; other specials are skipped.
    """
    notes: list[Note] = []
    sounding: dict[int, deque[tuple[int, int]]] = {}
    dropped: dict[str, int] = {}
    now = 0
    velocity = bin_to_velocity(DEFAULT_VELOCITY_BIN)

    def close(pitch: int) -> None:
        start, struck = sounding[pitch].popleft()
        if start == now:
            dropped["zero_length"] = dropped.get("zero_length", 0) + 1
        else:
            notes.append(Note(start / STEPS_PER_SECOND, pitch, now / STEPS_PER_SECOND, struck))

    for token in map(int, tokens):
        if 0 <= token < NOTE_OFF:
            sounding.setdefault(token, deque()).append((now, velocity))
        elif NOTE_OFF <= token < TIME_SHIFT:
            if sounding.get(token - NOTE_OFF):
                close(token - NOTE_OFF)
            else:
                dropped["stray_off"] = dropped.get("stray_off", 0) + 1
        elif TIME_SHIFT <= token < VELOCITY:
            now += token - TIME_SHIFT + 1
        elif VELOCITY <= token < PAD:
            velocity = bin_to_velocity(token - VELOCITY)
        elif token == END:
            break
        else:
            reason = "special" if token in (PAD, START) else "unknown"
            dropped[reason] = dropped.get(reason, 0) + 1
    closed = sum(map(len, sounding.values()))
    for pitch in list(sounding):
        while sounding[pitch]:
            close(pitch)
    return DecodedTokens(sorted(notes), now / STEPS_PER_SECOND, dropped, closed)


def transpose_tokens(tokens: np.ndarray, semitones: int) -> np.ndarray | None:
    """Move every note by so many semitones; None if one would leave the range 0-127 (a piece is never clipped)."""
    if not semitones:
        return tokens
    is_note = tokens < TIME_SHIFT
    moved = tokens[is_note] % PITCHES + semitones
    if moved.size and (moved.min() < 0 or moved.max() >= PITCHES):
        return None
    result = tokens.copy()
    result[is_note] += semitones
    return result


def stretch_tokens(tokens: np.ndarray, factor: float) -> np.ndarray:
    """Multiply all times by a factor and put them back on the grid, absolutely.

    Events at different times stay at different times, so that no note becomes empty; a rounding that this moves is
    made up for at the next longer gap. Trailing shifts are dropped.
    """
    is_shift = (tokens >= TIME_SHIFT) & (tokens < VELOCITY)
    steps = np.cumsum(np.where(is_shift, tokens - TIME_SHIFT + 1, 0))
    events, steps = tokens[~is_shift], steps[~is_shift]
    if not events.size:
        return events
    moments, which = np.unique(steps, return_inverse=True)
    rank = np.arange(moments.size)
    rounded = np.floor(moments * factor + 0.5).astype(np.int64)
    rounded = np.maximum.accumulate(rounded - rank) + rank
    gaps = np.diff(rounded[which], prepend=0)
    return _with_gaps(events, gaps)


def _with_gaps(events: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Put shift tokens of `gaps` steps before each event."""
    full, rest = np.divmod(gaps, MAX_SHIFT_STEPS)
    lengths = full + (rest > 0) + 1
    ends = np.cumsum(lengths)
    result = np.full(int(ends[-1]), TIME_SHIFT + MAX_SHIFT_STEPS - 1, dtype=events.dtype)
    result[ends - 1] = events
    with_rest = rest > 0
    result[(ends - 2)[with_rest]] = TIME_SHIFT + rest[with_rest] - 1
    return result


def duration_steps(tokens: Sequence[int] | np.ndarray) -> int:
    """Return the sum of all time shifts, in steps of 10 ms."""
    array = np.asarray(tokens, dtype=np.int64)
    is_shift = (array >= TIME_SHIFT) & (array < VELOCITY)
    return int((array[is_shift] - TIME_SHIFT + 1).sum())
