"""Read notes off the network's probabilities.

Conventions: F frames, K keys. Frame k starts at k * 32 ms. Follows note-seq's `pianoroll_to_note_sequence` as magenta
calls it: a note starts only where its onset fires, and lasts while frame or onset stays above its threshold. Starts
are therefore at or up to 32 ms before the true onset when the labels are predicted perfectly.
"""

from dataclasses import dataclass
from itertools import pairwise

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
    reader = NoteReader(config)
    reader.feed(probabilities)
    return reader.finish()


@dataclass(frozen=True, slots=True)
class _Begin:
    """A note that has started: its first frame, its velocity, and the onset probability there."""

    frame: int
    velocity: int
    certainty: float


class NoteReader:
    """Decode a recording stretch by stretch; where it is cut makes no difference.

    Args:
        config: Thresholds; a value must lie strictly above them.
    """

    def __init__(self, config: DecodingConfig) -> None:
        self._config = config
        self._frames = 0
        self._sounding: dict[int, _Begin] = {}  # by key
        self._starting_before = np.zeros((1, KEYS), dtype=bool)  # what the last frame so far started
        self._notes: list[Note] = []
        self._certainties: list[float] = []

    def feed(self, probabilities: Probabilities) -> None:
        """Read on: the next frames of the recording.

        Raises:
            ValueError: the arrays differ in shape or do not have 88 columns.
        """
        shapes = {array.shape for array in (probabilities.onset, probabilities.frame, probabilities.velocity)}
        if len(shapes) != 1 or probabilities.onset.shape[1:] != (KEYS,):
            raise ValueError(f"expected arrays of one shape [frames, {KEYS}]. Received: {sorted(shapes)}")
        fires = probabilities.onset > self._config.onset_threshold
        active = (probabilities.frame > self._config.frame_threshold) | fires
        if self._config.offset_threshold > 0:
            active &= ~(probabilities.offset > self._config.offset_threshold)
        starting = fires & active
        before = np.vstack([self._starting_before, starting[:-1]])[: len(starting)]
        starts = starting & ~before  # where an onset begins to fire, a note starts, whether or not one sounds already
        for key in sorted({int(key) for key in np.flatnonzero(starts.any(axis=0))} | self._sounding.keys()):
            begins = [
                _Begin(
                    self._frames + int(row),
                    velocity_of(float(probabilities.velocity[row, key])),
                    float(probabilities.onset[row, key]),
                )
                for row in np.flatnonzero(starts[:, key])
            ]
            self._read_key(key, begins, self._frames + np.flatnonzero(~active[:, key]))
        self._frames += len(starting)
        self._starting_before = np.vstack([self._starting_before, starting])[-1:]

    def finish(self) -> Decoded:
        """Close what still sounds; return all notes."""
        for key, begin in self._sounding.items():
            self._close(key, begin, self._frames)
        self._sounding.clear()
        confidence = float(np.mean(self._certainties)) if self._certainties else 0.0
        return Decoded(sorted(self._notes), confidence)

    def _read_key(self, key: int, begins: list[_Begin], silent: np.ndarray) -> None:
        """Give each note of a key its end: the next silent frame or the next start, whichever comes first."""
        if key in self._sounding:
            begins = [self._sounding.pop(key), *begins]
        for begin, following in pairwise([*begins, None]):
            assert begin is not None
            ends = [following.frame] if following else []
            next_silent = int(np.searchsorted(silent, begin.frame))
            if next_silent < len(silent):
                ends.append(int(silent[next_silent]))
            if ends:
                self._close(key, begin, min(ends))
            else:
                self._sounding[key] = begin

    def _close(self, key: int, begin: _Begin, end_frame: int) -> None:
        self._notes.append(Note(begin.frame * FRAME_S, key + LOWEST_PITCH, end_frame * FRAME_S, begin.velocity))
        self._certainties.append(begin.certainty)


def velocity_of(value: float) -> int:
    """Map the velocity head's value to a MIDI velocity, 10 to 90; NaN gives 1, the softest that is still a note."""
    if np.isnan(value):
        return 1
    return int(min(max(value, 0.0), 1.0) * VELOCITY_SCALE + VELOCITY_BIAS)
