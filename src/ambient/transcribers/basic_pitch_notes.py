"""Read notes off what Basic Pitch's network says, by Basic Pitch's rules.

Conventions: F frames of 11.6 ms, K keys. Follows `output_to_notes_polyphonic` of the basic-pitch package 0.4.0 (Bittner
et al., ICASSP 2022) with its defaults, and gives the same notes. Notes are read in two ways: from onsets, the last
first; then, from what is still loud and no onset explains, the loudest first. Whoever takes energy takes that of the
neighbouring keys too, so that one note is not heard as three.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class NoteRules:
    """Basic Pitch's own settings.

    Attributes:
        onset_threshold: 0-1, what an onset must reach.
        frame_threshold: 0-1, what a sounding key must reach.
        shortest_frames: Notes must be longer: 127.7 ms.
        quiet_frames: So many quiet frames in a row end a note.
    """

    onset_threshold: float = 0.5
    frame_threshold: float = 0.3
    shortest_frames: int = 11
    quiet_frames: int = 11


@dataclass(frozen=True, slots=True)
class Event:
    """A note in frames.

    Attributes:
        first: Frame where it starts.
        last: Frame where it ends, not included.
        key: 0-87.
        amplitude: 0-1, mean probability that the key sounds.
    """

    first: int
    last: int
    key: int
    amplitude: float


def rolls_to_events(frame: np.ndarray, onset: np.ndarray, rules: NoteRules) -> list[Event]:
    """Read all notes of a recording.

    Args:
        frame: [F, K], 0-1. Probability that key K sounds in frame F.
        onset: [F, K], 0-1. Probability that key K starts in frame F.
        rules: Thresholds and lengths.

    Returns:
        The notes in the order in which they were found.
    """
    if len(frame) < 3:
        return []
    reader = _Reader(frame, rules)
    strong = peaks(with_inferred_onsets(onset, frame), rules.onset_threshold)
    for first, key in strong[::-1]:
        reader.read_from_onset(int(first), int(key))
    reader.read_the_rest()
    return reader.events


def with_inferred_onsets(onset: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Add to the onsets where the probability of sounding rises quickly, scaled to the same largest value."""
    rises = [np.diff(frame, n=1, axis=0, prepend=np.zeros((1, frame.shape[1]), frame.dtype)), np.copy(frame)]
    rises[1][2:] -= frame[:-2]
    rise = np.maximum(np.minimum(*rises), 0)
    rise[:2] = 0
    largest = rise.max()
    if largest > 0:
        rise *= onset.max() / largest
    return np.asarray(np.maximum(onset, rise))


def peaks(onset: np.ndarray, threshold: float) -> np.ndarray:
    """Return where a key's value is above those of the frames around it and reaches the threshold: [n, 2], by time."""
    inner = onset[1:-1]
    found = (inner > onset[:-2]) & (inner > onset[2:]) & (inner >= threshold)
    return np.argwhere(found) + np.array((1, 0))


class _Reader:
    """What is still to be explained, and the notes found so far."""

    def __init__(self, frame: np.ndarray, rules: NoteRules) -> None:
        self._frame = frame
        self._left = frame.copy()
        self._rules = rules
        self.events: list[Event] = []

    def read_from_onset(self, first: int, key: int) -> None:
        """Follow a key from its onset until it is quiet."""
        if first >= len(self._frame) - 1:
            return
        last, quiet = self._follow(first + 1, key, 1)
        last -= quiet
        if last - first > self._rules.shortest_frames:
            self._left[first:last, max(key - 1, 0) : key + 2] = 0
            self._add(first, last, key)

    def read_the_rest(self) -> None:
        """Take the loudest frame that is left, follow its key both ways, and again until nothing loud is left."""
        loud = np.flatnonzero(self._left > self._rules.frame_threshold)
        by_loudness = np.argsort(-self._left.ravel()[loud], kind="stable")  # energy is only ever taken, never added
        for place in loud[by_loudness]:
            middle, key = divmod(int(place), self._frame.shape[1])
            if self._left[middle, key] == 0:
                continue
            self._left[middle, key] = 0
            after, quiet_after = self._follow(middle + 1, key, 1)
            self._take(middle + 1, after, key)
            before, quiet_before = self._follow(middle - 1, key, -1)
            self._take(before + 1, middle, key)
            first, last = before + 1 + quiet_before, after - 1 - quiet_after
            if last - first > self._rules.shortest_frames:
                self._add(first, last, key)

    def _follow(self, at: int, key: int, step: int) -> tuple[int, int]:
        """Walk until the key has been quiet long enough or the recording ends; returns where, and how long quiet."""
        end = len(self._frame) - 1 if step > 0 else 0
        quiet = 0
        while at * step < end * step and quiet < self._rules.quiet_frames:
            quiet = quiet + 1 if self._left[at, key] < self._rules.frame_threshold else 0
            at += step
        return at, quiet

    def _take(self, first: int, last: int, key: int) -> None:
        self._left[max(first, 0) : last, max(key - 1, 0) : key + 2] = 0

    def _add(self, first: int, last: int, key: int) -> None:
        self.events.append(Event(first, last, key, float(np.mean(self._frame[first:last, key]))))
