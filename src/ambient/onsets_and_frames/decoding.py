"""Read notes off the network's probabilities.

Conventions: F frames, K keys. Frame k starts at k * 32 ms. Follows note-seq's `pianoroll_to_note_sequence` as magenta
calls it: a note starts only where its onset fires, and lasts while frame or onset stays above its threshold. Starts
are therefore at or up to 32 ms before the true onset when the labels are predicted perfectly.
"""

from dataclasses import dataclass

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import FRAME_S, KEYS, LOWEST_PITCH, DecodingConfig

VELOCITY_SCALE = 80  # magenta's velocity_scale and velocity_bias
VELOCITY_BIAS = 10


@dataclass(frozen=True, slots=True)
class Probabilities:
    """What the network says of a recording, each [F, K] float32.

    Attributes:
        onset: 0-1, a note starts here.
        offset: 0-1, a note has just ended.
        frame: 0-1, a note sounds.
        velocity: If a note starts here, its velocity over the piece's largest; not bounded.
    """

    onset: np.ndarray
    offset: np.ndarray
    frame: np.ndarray
    velocity: np.ndarray


@dataclass(frozen=True, slots=True)
class Decoded:
    """Notes sorted by start, then pitch, and how sure the onset head was of them.

    Attributes:
        notes: Times in seconds, velocities 1-127.
        confidence: Mean onset probability at the starts; 0 without notes.
    """

    notes: list[Note]
    confidence: float


def probabilities_to_notes(probabilities: Probabilities, config: DecodingConfig) -> Decoded:
    """Decode a whole recording.

    Args:
        probabilities: Of the whole recording; NaN counts as 0.
        config: Thresholds; a value must lie strictly above them.

    Returns:
        The notes, those that still sound at the end closed there.

    Raises:
        ValueError: the arrays differ in shape or do not have 88 columns.
    """
    shapes = {array.shape for array in (probabilities.onset, probabilities.frame, probabilities.velocity)}
    if len(shapes) != 1 or probabilities.onset.shape[1:] != (KEYS,):
        raise ValueError(f"expected arrays of one shape [frames, {KEYS}]. Received: {sorted(shapes)}")
    fires = probabilities.onset > config.onset_threshold
    active = (probabilities.frame > config.frame_threshold) | fires
    if config.offset_threshold > 0:
        active &= ~(probabilities.offset > config.offset_threshold)
    starting = fires & active
    before = np.vstack([np.zeros((1, KEYS), dtype=bool), starting[:-1]])
    starts = starting & ~before  # where an onset begins to fire, a note starts, whether or not one sounds already

    notes: list[Note] = []
    certainties: list[float] = []
    for key in np.flatnonzero(starts.any(axis=0)):
        begins = np.flatnonzero(starts[:, key])
        silent = np.flatnonzero(~np.append(active[:, key], False))
        ends = np.minimum(silent[np.searchsorted(silent, begins)], np.append(begins[1:], len(active)))
        for begin, end in zip(begins, ends, strict=True):
            velocity = velocity_of(float(probabilities.velocity[begin, key]))
            notes.append(Note(float(begin) * FRAME_S, int(key) + LOWEST_PITCH, float(end) * FRAME_S, velocity))
            certainties.append(float(probabilities.onset[begin, key]))
    return Decoded(sorted(notes), float(np.mean(certainties)) if certainties else 0.0)


def velocity_of(value: float) -> int:
    """Map the velocity head's value to a MIDI velocity, 10 to 90; NaN gives 1, the softest that is still a note."""
    if np.isnan(value):
        return 1
    return int(min(max(value, 0.0), 1.0) * VELOCITY_SCALE + VELOCITY_BIAS)
