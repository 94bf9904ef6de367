"""Turn notes into what the network should answer: four rolls of one column a piano key.

Conventions: F frames, K keys (MIDI pitch 21-108, lowest first). Frame k stands for the time from k * 32 ms up to, not
including, (k + 1) * 32 ms. Follows note-seq's `sequence_to_pianoroll` with magenta's settings; the sustain pedal is in
the notes already.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import EDGE_LENGTH_S, FRAMES_PER_SECOND, KEYS, LOWEST_PITCH


@dataclass(frozen=True, slots=True)
class Rolls:
    """Labels of one stretch of a recording, each [F, K] float32 of 0 and 1.

    Attributes:
        onset: A note starts here: two frames for any note of 32 ms or more.
        offset: A note has just ended.
        frame: A note sounds.
        velocity: On onset frames, velocity over the largest velocity of the piece; 0 elsewhere.
    """

    onset: np.ndarray
    offset: np.ndarray
    frame: np.ndarray
    velocity: np.ndarray


def frames_of(start_s: float, end_s: float) -> tuple[int, int]:
    """Return the first frame of a time span and one past its last; at least one frame."""
    first = math.floor(start_s * FRAMES_PER_SECOND)
    return first, max(math.ceil(end_s * FRAMES_PER_SECOND), first + 1)


def notes_to_rolls(notes: Sequence[Note], frames: int, *, first_frame: int = 0) -> Rolls:
    """Draw the labels of `frames` frames from `first_frame` on.

    Args:
        notes: All notes of the piece, pedal folded in; those outside the piano's keys are left out. The whole piece
            matters even for a part of it: its largest velocity scales all, its end bounds the offsets.
        frames: Length of the rolls.
        first_frame: Frame of the piece that becomes row 0.

    Returns:
        Rolls of [frames, 88].
    """
    onset, offset, frame, velocity = (np.zeros((frames, KEYS), dtype=np.float32) for _ in range(4))
    total_s = max((note.end_s for note in notes), default=0.0)
    loudest = max((note.velocity for note in notes), default=1)
    # Notes that are far from these frames mark none of them; passing over them quickly matters to training.
    first_s, last_s = first_frame / FRAMES_PER_SECOND - 0.1, (first_frame + frames) / FRAMES_PER_SECOND + 0.1
    for note in notes:
        key = note.pitch - LOWEST_PITCH
        if note.end_s < first_s or note.start_s > last_s or not 0 <= key < KEYS:
            continue
        rows = _rows(note.start_s, note.end_s, first_frame)
        frame[rows, key] = 1
        rows = _rows(note.start_s, min(note.end_s, note.start_s + EDGE_LENGTH_S), first_frame)
        onset[rows, key] = 1
        velocity[rows, key] = note.velocity / loudest
        silent_s = min(note.end_s + EDGE_LENGTH_S, total_s)
        offset[_rows(silent_s - EDGE_LENGTH_S, silent_s, first_frame), key] = 1
    return Rolls(onset, offset, frame, velocity)


def united(a: Rolls, b: Rolls) -> Rolls:
    """Return the labels of two stretches that sound together; what still sounds in one has not ended in the other."""
    return Rolls(
        onset=np.maximum(a.onset, b.onset),
        offset=np.maximum(a.offset * (1 - b.frame), b.offset * (1 - a.frame)),
        frame=np.maximum(a.frame, b.frame),
        velocity=np.maximum(a.velocity, b.velocity),
    )


def _rows(start_s: float, end_s: float, first_frame: int) -> slice:
    first, last = frames_of(start_s, end_s)
    return slice(max(first - first_frame, 0), max(last - first_frame, 0))
