"""Where do notes start and end, by probabilities and spectrogram? Finds those that fade in, and how long each sounds.

Magenta's rules (`decoding`) start a note only where its onset fires, so most notes of pads are lost although the frame
head hears them, and end it where the frame head flickers. Here an onset that fires at all is a candidate; what speaks
for it (`evidence`, `judge`) decides. Where the frame head is sure of a key and no note sounds there, a note has faded
in, if enough speaks for it. A note goes on over a gap in which its level does not fall, and ends where that falls for
good.

Conventions: F frames, K keys, H harmonics, as in `evidence`. What is read needs `2 * AHEAD` frames after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ambient.notes import Note
from ambient.onsets_and_frames.config import FRAME_S, KEYS, LOWEST_PITCH, EvidenceConfig
from ambient.onsets_and_frames.decoding import Begin, Decoded, Probabilities, as_decoded, echoes, velocity_of
from ambient.onsets_and_frames.evidence import (
    AHEAD,
    BEFORE,
    RELEASE_FRAMES,
    STRUCK,
    Stretch,
    faded_evidence,
    faded_odds,
    harmonic_levels,
    releases,
    struck_evidence,
    struck_odds,
    surroundings,
)
from ambient.onsets_and_frames.judge import Judge

_SURE_ONSET = 0.5  # from where on a key sounds whatever the frame head says
_SHORTEST_S = 0.01  # of a note that ends in the frame in which it starts
_SETTLED_FRAMES = 16  # of a note, before which a fall of its level is that of its attack
_NEAR_FRAMES = 16  # in which another start of a key may lie within `apart_s`, as both may be moved by 0.2 s
_LEVEL_FRAMES = 4  # before a gap, whose level must go on


@dataclass(frozen=True, slots=True)
class Candidates:
    """Notes that may be, by key and time; all [N].

    Attributes:
        rows: Where each starts.
        keys: 0-87.
        lasts: One past the last row in which each sounds, within `AHEAD`.
    """

    rows: np.ndarray
    keys: np.ndarray
    lasts: np.ndarray


@dataclass(frozen=True, slots=True)
class Start:
    """Where a note starts.

    Attributes:
        row: Its first.
        odds: Log-odds that it is one.
        after_s: How long after its first row begins it starts.
    """

    row: int
    odds: float
    after_s: float = 0.0


class EvidenceReader:
    """Decode a recording stretch by stretch; where it is cut makes no difference.

    Args:
        config: What makes a candidate, and what makes it a note.
        judge: Looks at the candidates a second time.
    """

    def __init__(self, config: EvidenceConfig, judge: Judge | None = None) -> None:
        self._config, self._judge = config, judge
        self._heard: Stretch | None = None
        self._first = 0  # frame of its first row
        self._done = 0  # frames that are read
        self._sounding: dict[int, Begin] = {}  # by key
        self._bridged: dict[int, int] = {}  # key -> frame up to which a gap is bridged
        self._notes: list[tuple[Note, Begin]] = []

    def feed(self, probabilities: Probabilities, spectrogram: np.ndarray) -> None:
        """Read on: the next frames of the recording, [F, K] each, and their spectrogram, [F, M] dB.

        Raises:
            ValueError: the arrays differ in length.
        """
        if len(spectrogram) != len(probabilities.onset):
            raise ValueError(f"{len(probabilities.onset)} frames, but a spectrogram of {len(spectrogram)}")
        heard = stretch_of(probabilities, spectrogram)
        if self._heard is not None:
            heard = Stretch(
                *(
                    np.concatenate([getattr(part, field.name) for part in (self._heard, heard)])
                    for field in fields(Stretch)
                )
            )
        self._heard = heard
        self._read(self._first + len(heard.onset) - 2 * AHEAD)

    def finish(self) -> Decoded:
        """Read what waits, close what still sounds; return all notes."""
        return as_decoded(self.finish_with_begins())

    def finish_with_begins(self) -> list[tuple[Note, Begin]]:
        """Finish; return all notes with how they began."""
        if self._heard is not None:
            self._read(self._first + len(self._heard.onset))
        for key, begin in self._sounding.items():
            self._close(key, begin, self._done)
        self._sounding.clear()
        return self._notes

    def _read(self, end: int) -> None:
        """Read up to a frame, not included, and forget what is no longer needed."""
        heard, first = self._heard, self._done
        if heard is None or end <= first:
            return
        begin, stop = first - self._first, end - self._first
        struck = struck_candidates(heard, max(begin - _NEAR_FRAMES, 0), stop + AHEAD, self._config)
        starts: dict[int, list[Start]] = {}
        odds, after_s = judged(heard, struck, self._config, self._judge)
        odds[odds <= _odds(self._config.least_struck)] = -np.inf
        likeliest = are_likeliest(struck.rows * FRAME_S + after_s, struck.keys, odds, self._config.apart_s)
        for place in np.flatnonzero(likeliest & (struck.rows >= begin)).tolist():
            start = Start(int(struck.rows[place]), float(odds[place]), float(after_s[place]))
            starts.setdefault(int(struck.keys[place]), []).append(start)
        sure = np.flatnonzero((heard.frame[begin:stop] > self._config.sure_frame).any(axis=0)).tolist()
        released = releases(self._config, heard)
        for key in sorted({*starts, *self._sounding, *sure}):
            self._read_key(heard, key, starts.get(key, []), np.flatnonzero(released[:, key]), begin, stop)
        self._done = end
        forget = max(stop - BEFORE - _NEAR_FRAMES, 0)
        self._first += forget
        self._heard = Stretch(*(getattr(heard, field.name)[forget:].copy() for field in fields(Stretch)))

    def _read_key(
        self, heard: Stretch, key: int, starts: list[Start], released: np.ndarray, row: int, stop: int
    ) -> None:
        """Read a key from a row up to another.

        Args:
            heard: What there is of the recording.
            key: 0-87.
            starts: Its struck notes, by time.
            released: Rows in which it is released, if it sounds.
            row: The first row.
            stop: One past the last.
        """
        row = max(row, self._bridged.pop(key, 0) - self._first)
        sounds = active(heard, self._config, key)
        silent = np.flatnonzero(~sounds)
        edges = sure_edges(heard, key, self._config)
        while row < stop:
            following = next((each for each in starts if each.row >= row), None)
            start = following.row if following else len(heard.onset)
            begin = self._sounding.get(key)
            if begin is None:
                edge = _next(edges, row, len(heard.onset))
                row = min(start, edge)
                if row >= stop:
                    return
                if following and start <= edge:
                    self._begin(heard, key, following)
                else:
                    self._fade_in(heard, key, edge, min(start, _next(silent, edge, len(heard.onset))))
                row += 1
                continue
            settled = begin.frame - self._first + _SETTLED_FRAMES
            release = _next(released, max(row - RELEASE_FRAMES, settled), len(heard.onset)) + RELEASE_FRAMES
            row = min(start, release, _next(silent, row, len(heard.onset)))
            if row >= stop:
                return
            if following and row == start:
                struck_again = self._sounding.pop(key)
                self._begin(heard, key, following)
                self._close(key, struck_again, self._first + row, before_s=self._sounding[key].after_s)
                row += 1
                continue
            resumes = None if row == release else self._resumes(heard, key, row, start)
            if resumes is None:
                self._close(key, self._sounding.pop(key), self._first + row)
                row += 1
            else:
                row = resumes
                self._bridged[key] = self._first + row
        if key in self._bridged and self._bridged[key] <= self._first + stop:
            del self._bridged[key]

    def _begin(self, heard: Stretch, key: int, start: Start, faded: Sequence[float] = ()) -> None:
        velocity = velocity_of(float(heard.velocity[start.row, key]))
        below = float(echoes(heard.onset, np.array([start.row]), np.array([key]))[0])
        begins = self._first + start.row
        self._sounding[key] = Begin(begins, velocity, start.odds, below, start.after_s, tuple(faded))

    def _fade_in(self, heard: Stretch, key: int, row: int, last: int) -> None:
        """Start a note where the frame head is sure of it, if enough speaks for it."""
        last = min(last, row + AHEAD)
        sure = heard.frame[row:last, key] > self._config.sure_frame
        if sure.sum() < self._config.sure_frames:
            return
        evidence = faded_evidence(heard, row, key, last)
        odds = faded_odds(self._config, evidence)
        if odds > _odds(self._config.least_faded):
            self._begin(heard, key, Start(row, odds), evidence)

    def _resumes(self, heard: Stretch, key: int, row: int, start: int) -> int | None:
        """Return where a note that the frame head no longer hears is heard again, if its sound goes on until there."""
        limit = min(row + int(self._config.join_frames), start, len(heard.onset))
        again = np.flatnonzero(active(heard, self._config, key)[row:limit])
        if not len(again):
            return None
        levels = heard.level[max(row - _LEVEL_FRAMES, 0) : row + int(again[0]), key]
        before = min(_LEVEL_FRAMES, row)
        if levels[before:].min(initial=np.inf) < levels[:before].mean() - self._config.join_db:
            return None
        return row + int(again[0])

    def _close(self, key: int, begin: Begin, end_frame: int, *, before_s: float = 0.0) -> None:
        """End a note with a frame; where its pitch is struck again earlier than that, then."""
        begins_s = max(begin.frame * FRAME_S + begin.after_s, 0.0)
        ends_s = max(end_frame * FRAME_S + min(before_s, 0.0), begins_s + _SHORTEST_S)
        self._notes.append((Note(begins_s, key + LOWEST_PITCH, ends_s, begin.velocity), begin))


def stretch_of(probabilities: Probabilities, spectrogram: np.ndarray) -> Stretch:
    """Return what candidates are judged by; NaN counts as 0.

    Raises:
        ValueError: the arrays do not have 88 columns.
    """
    if probabilities.onset.shape[1:] != (KEYS,):
        raise ValueError(f"expected arrays of shape [frames, {KEYS}]. Received: {probabilities.onset.shape}")
    onset, frame, velocity = (
        np.nan_to_num(array) for array in (probabilities.onset, probabilities.frame, probabilities.velocity)
    )
    levels = harmonic_levels(spectrogram)
    return Stretch(onset, frame, velocity, levels, levels.mean(axis=-1))


def active(heard: Stretch, config: EvidenceConfig, key: int | slice = slice(None)) -> np.ndarray:
    """Return where a key counts as sounding: [F] bool, or [F, K] of all."""
    return (heard.frame[:, key] > config.frame_threshold) | (heard.onset[:, key] > _SURE_ONSET)


def struck_candidates(heard: Stretch, first: int, last: int, config: EvidenceConfig) -> Candidates:
    """Return all notes that start in these rows as far as the onset head says, surely or not.

    Where its probability is the highest of five rows and at least `onset_threshold`, there may be a note. It starts up
    to two rows before that, while the probability is at least half as high.
    """
    onset = heard.onset
    around = sliding_window_view(np.pad(onset, ((2, 2), (0, 0))), 5, axis=0)  # [F, K, 5]
    peaks = (onset >= config.onset_threshold) & (onset >= around.max(axis=-1)) & (onset > around[..., :2].max(axis=-1))
    keys, rows = np.nonzero(peaks.T)
    heights = onset[rows, keys]
    for _ in range(2):
        earlier = np.maximum(rows - 1, 0)
        rows = np.where(onset[earlier, keys] >= heights / 2, earlier, rows)
    inside = (rows >= first) & (rows < last)
    rows, keys = rows[inside], keys[inside]
    silent = ~active(heard, config)
    # The first silent row from each row on, read from the last row backwards.
    places = np.where(silent, np.arange(len(silent))[:, None], len(silent))
    next_silent = np.minimum.accumulate(places[::-1], axis=0)[::-1]
    later = np.minimum(rows + 1, len(silent) - 1)
    return Candidates(rows, keys, np.minimum(next_silent[later, keys], rows + AHEAD))


def judged(
    heard: Stretch, found: Candidates, config: EvidenceConfig, judge: Judge | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-odds that candidates are right, [N], and how long after its row begins each starts, [N] s."""
    if judge is None or not len(found.rows):
        odds = struck_odds(config, struck_evidence(heard, found.rows, found.keys, found.lasts))
        return odds, np.zeros(len(odds))
    around = surroundings(heard, found.rows, found.keys, found.lasts)
    corrected, after_s = judge.look(around)
    return struck_odds(config, around[:, :STRUCK]) + corrected, after_s


def are_likeliest(starts_s: np.ndarray, keys: np.ndarray, odds: np.ndarray, apart_s: float) -> np.ndarray:
    """Say which starts have none beside them that is likelier: a key is not struck twice in a moment, [N] bool.

    Args:
        starts_s: [N].
        keys: [N], sorted; those of one key by their rows.
        odds: [N], log-odds; minus infinity for what is no start.
        apart_s: How far apart starts of one key must lie.
    """
    likeliest = odds > -np.inf
    for later in (1, 2, 3):  # peaks are three rows apart or more
        near = (keys[later:] == keys[:-later]) & (np.abs(starts_s[later:] - starts_s[:-later]) < apart_s)
        first_wins = odds[:-later] >= odds[later:]
        likeliest[later:] &= ~(near & first_wins)
        likeliest[:-later] &= ~(near & ~first_wins)
    return likeliest


def sure_edges(heard: Stretch, key: int, config: EvidenceConfig) -> np.ndarray:
    """Return the rows in which the frame head becomes sure of a key."""
    sure = heard.frame[:, key] > config.sure_frame
    edges = sure.copy()
    edges[1:] &= ~sure[:-1]
    return np.flatnonzero(edges)


def _next(rows: np.ndarray, row: int, none: int) -> int:
    """Return the first of sorted rows from a row on."""
    place = int(np.searchsorted(rows, row))
    return int(rows[place]) if place < len(rows) else none


def _odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))
