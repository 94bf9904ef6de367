"""Where do notes start and end, by Magenta's rules? Reads them off the network's probabilities.

The shipped model and every other one with a section `evidence` in its `config.json` is read by `fading` instead.

Conventions: F frames, K keys. Frame k starts at k * 32 ms. Follows note-seq's `pianoroll_to_note_sequence` as magenta
calls it: a note starts only where its onset fires, and lasts while frame or onset stays above its threshold. Starts
are therefore at or up to 32 ms before the true onset when the labels are predicted perfectly.
"""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import FRAME_S, KEYS, LOWEST_PITCH, ConfidenceConfig, DecodingConfig

VELOCITY_SCALE = 80  # magenta's velocity_scale and velocity_bias
VELOCITY_BIAS = 10
_AHEAD_FRAMES = 2  # an onset fires over two frames or three; the highest of them says how sure it is
OVERTONES = (12, 19, 24)  # semitones from a note's fundamental to its next partials
_ODDS_BOUND = 1e-4


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
    """What was read off the probabilities of a recording.

    Attributes:
        notes: Sorted by start, then pitch; times in seconds, velocities 1-127.
        evidence: [notes, 3], what says how sure each is: the log-odds of its start, the mean of these over the
            recording, and the probability, 0-1, that a note an octave, a twelfth or two octaves below starts with it.
    """

    notes: list[Note]
    evidence: np.ndarray

    def confidences(self, config: ConfidenceConfig) -> list[float]:
        """Return how likely each note is right, 0-1."""
        odds = config.bias + self.evidence @ np.array([config.onset, config.recording, config.below])
        return [float(value) for value in 0.5 + 0.5 * np.tanh(0.5 * odds)]


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
class Begin:
    """A note that has started.

    Attributes:
        frame: Its first.
        velocity: 1-127.
        odds: Log-odds of its start.
        below: What starts below.
        after_s: How long after its first frame begins it starts.
        faded: What speaks for it if it has no onset (`evidence.faded_evidence`).
    """

    frame: int
    velocity: int
    odds: float
    below: float
    after_s: float = 0.0
    faded: tuple[float, ...] = ()


class NoteReader:
    """Decode a recording stretch by stretch; where it is cut makes no difference.

    Args:
        config: Thresholds; a value must lie strictly above them.
    """

    def __init__(self, config: DecodingConfig) -> None:
        self._config = config
        self._frames = 0  # read so far
        self._sounding: dict[int, Begin] = {}  # by key
        self._waiting: Probabilities | None = None  # the last frame that was read, and those that wait for what follows
        self._notes: list[tuple[Note, Begin]] = []

    def feed(self, probabilities: Probabilities, spectrogram: np.ndarray | None = None) -> None:
        """Read on: the next frames of the recording; Magenta's rules do not look at its spectrogram.

        Raises:
            ValueError: the arrays differ in shape or do not have 88 columns.
        """
        shapes = {array.shape for array in (probabilities.onset, probabilities.frame, probabilities.velocity)}
        if len(shapes) != 1 or probabilities.onset.shape[1:] != (KEYS,):
            raise ValueError(f"expected arrays of one shape [frames, {KEYS}]. Received: {sorted(shapes)}")
        if self._waiting is not None:
            probabilities = _joined(self._waiting, probabilities)
        self._read(probabilities, len(probabilities.onset) - _AHEAD_FRAMES)

    def finish(self) -> Decoded:
        """Read what waits, close what still sounds; return all notes."""
        if self._waiting is not None:
            self._read(self._waiting, len(self._waiting.onset))
        for key, begin in self._sounding.items():
            self._close(key, begin, self._frames)
        self._sounding.clear()
        return as_decoded(self._notes)

    def _read(self, heard: Probabilities, end: int) -> None:
        """Read frames up to `end`, not included; the first was read before unless it is that of the recording."""
        first = min(self._frames, 1)
        if end <= first:
            self._waiting = heard
            return
        fires = heard.onset > self._config.onset_threshold
        active = (heard.frame > self._config.frame_threshold) | fires
        if self._config.offset_threshold > 0:
            active &= ~(heard.offset > self._config.offset_threshold)
        starting = fires & active
        starts = starting.copy()
        starts[1:] &= ~starting[:-1]  # where an onset begins to fire, a note starts, whether or not one sounds already
        offset = self._frames - first  # of the first row
        started, silent = starts[first:end], ~active[first:end]
        for key in sorted({int(key) for key in np.flatnonzero(started.any(axis=0))} | self._sounding.keys()):
            begins = [self._begin(heard, int(row), key, offset) for row in first + np.flatnonzero(started[:, key])]
            self._read_key(key, begins, self._frames + np.flatnonzero(silent[:, key]))
        self._frames += end - first
        self._waiting = Probabilities(
            *(getattr(heard, field.name)[end - 1 :].copy() for field in fields(Probabilities))
        )

    def _begin(self, heard: Probabilities, row: int, key: int, offset: int) -> Begin:
        peak = float(np.nanmax(heard.onset[row : row + _AHEAD_FRAMES + 1, key]))
        peak = min(max(peak, _ODDS_BOUND), 1 - _ODDS_BOUND)
        odds = float(np.log(peak / (1 - peak)))
        below = float(echoes(heard.onset, np.array([row]), np.array([key]))[0])
        return Begin(offset + row, velocity_of(float(heard.velocity[row, key])), odds, below)

    def _read_key(self, key: int, begins: list[Begin], silent: np.ndarray) -> None:
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

    def _close(self, key: int, begin: Begin, end_frame: int) -> None:
        note = Note(begin.frame * FRAME_S, key + LOWEST_PITCH, end_frame * FRAME_S, begin.velocity)
        self._notes.append((note, begin))


def as_decoded(notes: list[tuple[Note, Begin]]) -> Decoded:
    """Return notes, in any order, with what says how sure each is."""
    notes = sorted(notes, key=lambda pair: pair[0])
    odds = np.array([begin.odds for _, begin in notes])
    recording = np.full(len(odds), odds.mean() if odds.size else 0.0)
    below = np.array([begin.below for _, begin in notes])
    return Decoded([note for note, _ in notes], np.stack([odds, recording, below], axis=1))


def echoes(onset: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the probability, 0-1, that a note of which each may be a partial starts with it.

    Args:
        onset: [F, K]; NaN counts as 0.
        rows: [N], where the notes start.
        keys: [N], 0-87.
    """
    near = np.clip(rows[:, None] + np.arange(-1, _AHEAD_FRAMES + 1), 0, len(onset) - 1)
    result = np.zeros(len(rows))
    for interval in OVERTONES:
        below = np.nan_to_num(onset[near, np.maximum(keys - interval, 0)[:, None]]).max(axis=1)
        result = np.where(keys >= interval, np.maximum(result, below), result)
    return result


def _joined(first: Probabilities, second: Probabilities) -> Probabilities:
    return Probabilities(
        *(np.concatenate([getattr(part, field.name) for part in (first, second)]) for field in fields(Probabilities))
    )


def velocity_of(value: float) -> int:
    """Map the velocity head's value to a MIDI velocity, 10 to 90; NaN gives 1, the softest that is still a note."""
    if np.isnan(value):
        return 1
    return int(min(max(value, 0.0), 1.0) * VELOCITY_SCALE + VELOCITY_BIAS)
