"""Play the notes of a piece on the tones of a preset, block by block: each tone adds what sounds to three registers.

Conventions: positions and lengths are samples; a block is [3, 2, BLOCK] float32: low, middle and high register, left
and right. What is random is drawn once for all notes of a tone, so that a note sounds the same wherever blocks begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ambient.notes import Note
from ambient.sound.preset import Struck, Sustained, Tone
from ambient.sound.struck import Bodies
from ambient.sound.sustained import Loops

BLOCK = 1 << 14  # the arrays of a block stay in a core's cache
REGISTERS = ("low", "middle", "high")
LOW_BELOW, HIGH_FROM = 48, 72  # pitches where the registers meet
_LEVEL = 0.075  # a note of velocity 100 at 0 dB, RMS: a dozen of them stay below full scale
ENVELOPE_STEP = 64  # samples between two values that are computed; straight lines between
_RISING = np.arange(ENVELOPE_STEP, dtype=np.float32) / np.float32(ENVELOPE_STEP)
_RAMPS = np.stack([1 - _RISING, _RISING])  # of the value before and the value after
_STEREO_OFFSET = 0.37  # of a loop, at least, between left and right


def register_of(pitch: int) -> int:
    """Return the index of a pitch's register."""
    return 0 if pitch < LOW_BELOW else 1 if pitch < HIGH_FROM else 2


def fitted_pitch(pitch: int, bounds: tuple[int, int]) -> int:
    """Move a pitch by octaves until a tone can play it."""
    low, high = bounds
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def held_notes(notes: Sequence[Note], hold_s: float) -> list[Note]:
    """Let every note sound at least `hold_s`, but not into the next note of its pitch.

    Slow sounds need it: a pad that takes a second to rise would hardly be heard on the short notes of a piano.

    Returns:
        Notes sorted by start, then pitch.
    """
    held: list[Note] = []
    next_start_s: dict[int, float] = {}
    for note in sorted(notes, reverse=True):
        limit_s = next_start_s.get(note.pitch, float("inf"))
        end_s = max(note.end_s, min(note.start_s + hold_s, limit_s))
        held.append(replace(note, end_s=end_s))
        next_start_s[note.pitch] = note.start_s
    return sorted(held)


@dataclass(frozen=True, slots=True)
class _Score:
    """The notes of one tone as arrays, sorted by start; all [notes].

    Attributes:
        pitch: As it sounds.
        velocity: 1-127.
        register: 0-2.
        start: First sample.
        held: Samples until the note ends.
        end: Sample where nothing is left of it.
        gains: [notes, 2] amplitude, left and right.
        chance: [notes, 3] random numbers, 0-1.
    """

    pitch: np.ndarray
    velocity: np.ndarray
    register: np.ndarray
    start: np.ndarray
    held: np.ndarray
    end: np.ndarray
    gains: np.ndarray
    chance: np.ndarray


class SustainedPlayer:
    """One sustained tone and the notes it plays.

    Args:
        tone: What it sounds like.
        notes: Sorted by start.
        rate_hz: Sample rate.
        seed: Decides what is random.
        registers: Which of the three registers play.
    """

    def __init__(
        self, tone: Sustained, notes: Sequence[Note], *, rate_hz: int, seed: int, registers: tuple[int, ...] = (0, 1, 2)
    ) -> None:
        self._tone, self._rate_hz = tone, rate_hz
        self._score = _score(tone, notes, rate_hz=rate_hz, seed=seed)
        self._due = _Due(self._score, registers)
        self._loops = Loops(tone, rate_hz=rate_hz, seed=seed, block=BLOCK)
        self._scratch = np.empty((2, BLOCK), np.float32)
        self._lines = np.empty((2, BLOCK // ENVELOPE_STEP, ENVELOPE_STEP), np.float32)
        self.end = self._due.end

    def add(self, block: np.ndarray, first: int) -> None:
        """Add what sounds from sample `first` on; blocks are asked for in order.

        Args:
            block: [3, 2, BLOCK], changed in place.
            first: Its first sample.
        """
        notes = self._due.notes(first)
        if not notes:
            return
        score, scratch = self._score, self._scratch
        for note, edges in zip(notes, line_edges(self._levels(np.array(notes), first)), strict=True):
            loops = self._loops.of(int(score.pitch[note]))  # [1 or 2, L + BLOCK]
            size = loops.shape[1] - BLOCK
            chance = score.chance[note]
            left_at = int(chance[0] * size)
            right_at = left_at + int((_STEREO_OFFSET + (1 - 2 * _STEREO_OFFSET) * chance[1]) * size)
            curves = straight_lines(edges, self._lines[: len(edges)])  # [1 or 2, BLOCK]
            for side, offset in enumerate((left_at, right_at)):
                position = (first - int(score.start[note]) + offset) % size
                bus = block[score.register[note], side]
                for loop, curve, product in zip(loops, curves, scratch, strict=False):
                    np.multiply(loop[position : position + BLOCK], curve, out=product)
                    bus += product

    def _levels(self, notes: np.ndarray, first: int) -> np.ndarray:
        """Return how loud the loops of each note are, every 64 samples: [notes, 1 or 2, steps + 1] float32."""
        tone, score = self._tone, self._score
        at = first + ENVELOPE_STEP * np.arange(BLOCK // ENVELOPE_STEP + 1)
        time_s = ((at - score.start[notes, None]) / self._rate_hz).astype(np.float32)  # [notes, steps + 1]
        chance = score.chance[notes, 2:3].astype(np.float32)
        level = envelope(tone, time_s, score.held[notes, None] / self._rate_hz)
        level *= score.gains[notes, :1]
        sounding_s = np.maximum(time_s, 0.0)
        if tone.decay_s:
            floor = 10 ** (tone.sustain_db / 20)
            level *= floor + (1.0 - floor) * np.exp(sounding_s / np.float32(-tone.decay_s))
        if tone.tremolo:
            turns = np.float32(tone.tremolo_hz) * time_s + chance
            level *= 1.0 - tone.tremolo * (0.5 + 0.5 * np.sin(np.float32(2 * np.pi) * turns))
        if not tone.opens:
            return level[:, None, :].astype(np.float32)
        bright = tone.brightness + 0.6 * (score.velocity[notes, None] - 64) / 63 + np.zeros_like(time_s)
        if tone.opening_s:
            bright *= 1.0 - np.exp(sounding_s / np.float32(-tone.opening_s))
        if tone.swing:
            bright *= 1.0 + tone.swing * np.sin(np.float32(2 * np.pi) * (time_s / np.float32(tone.swing_s) + chance))
        bright = np.clip(bright, 0.0, 1.0)
        return np.stack([level * (1.0 - bright), level * bright], axis=1).astype(np.float32)


class StruckPlayer:
    """One struck tone and the notes it plays.

    Args:
        tone: What it sounds like.
        notes: Sorted by start.
        rate_hz: Sample rate.
        seed: Decides what is random.
        registers: Which of the three registers play.
    """

    def __init__(
        self, tone: Struck, notes: Sequence[Note], *, rate_hz: int, seed: int, registers: tuple[int, ...] = (0, 1, 2)
    ) -> None:
        self._tone, self._rate_hz = tone, rate_hz
        self._bodies = Bodies(tone, rate_hz=rate_hz, seed=seed, block=BLOCK)
        score = _score(tone, notes, rate_hz=rate_hz, seed=seed)
        rings = {pitch: int(self._bodies.ring_s(pitch) * rate_hz) for pitch in sorted(set(score.pitch.tolist()))}
        ring = np.array([rings[pitch] for pitch in score.pitch.tolist()], np.int64)
        self._score = replace(score, end=np.minimum(score.end, score.start + ring))
        self._due = _Due(self._score, registers)
        self._weights: dict[int, np.ndarray] = {}
        self.end = self._due.end

    def add(self, block: np.ndarray, first: int) -> None:
        """Add what sounds from sample `first` on; blocks are asked for in order.

        Args:
            block: [3, 2, BLOCK], changed in place.
            first: Its first sample.
        """
        score = self._score
        attack = int(self._tone.attack_s * self._rate_hz)
        notes = self._due.notes(first)
        releases = self._releases(
            [note for note in notes if first + BLOCK > score.start[note] + score.held[note]], first
        )
        for note in notes:
            begin, end = max(first, int(score.start[note])), min(first + BLOCK, int(score.end[note]))
            at, count, pitch = begin - int(score.start[note]), end - begin, int(score.pitch[note])
            if at == 0:
                self._weights[note] = self._bodies.weights(pitch, int(score.velocity[note]))
            sound = self._bodies.sound(pitch, self._weights[note], score.gains[note], at, count)  # [2, count]
            if at < attack:
                rising = np.arange(at, min(attack, at + count), dtype=np.float32) / np.float32(attack)
                sound[:, : len(rising)] *= 0.5 - 0.5 * np.cos(np.float32(np.pi) * rising)
            if note in releases:
                sound *= straight_lines(releases[note])[begin - first : end - first]
            block[score.register[note], :, begin - first : end - first] += sound
            if end == score.end[note]:
                del self._weights[note]

    def _releases(self, notes: list[int], first: int) -> dict[int, np.ndarray]:
        """Return how notes that end before the block does die away: the edges of their levels, by note."""
        if not notes:
            return {}
        at = first + ENVELOPE_STEP * np.arange(BLOCK // ENVELOPE_STEP + 1) - self._score.start[notes, None]
        time_s = (at / self._rate_hz).astype(np.float32)  # [notes, steps + 1]
        levels = released(self._tone, time_s, self._score.held[notes, None] / self._rate_hz)
        return dict(zip(notes, line_edges(levels), strict=True))


class _Due:
    """Which notes of a score sound in a block; blocks are asked for in order."""

    def __init__(self, score: _Score, registers: tuple[int, ...]) -> None:
        self._score = score
        self._order = np.flatnonzero(np.isin(score.register, registers)).tolist()
        self._next = 0
        self._sounding: list[int] = []
        self.end = int(score.end[self._order].max(initial=0))

    def notes(self, first: int) -> list[int]:
        """Return the notes that sound somewhere in the block that begins at sample `first`."""
        while self._next < len(self._order) and self._score.start[self._order[self._next]] < first + BLOCK:
            self._sounding.append(self._order[self._next])
            self._next += 1
        self._sounding = [note for note in self._sounding if self._score.end[note] > first]
        return self._sounding


def line_edges(values: np.ndarray) -> np.ndarray:
    """Return each value with the one after it, for `straight_lines`: [..., steps + 1] becomes [..., steps, 2]."""
    return np.stack([values[..., :-1], values[..., 1:]], axis=-1)


def straight_lines(edges: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Draw straight lines between values that stand 64 samples apart: [..., steps, 2] becomes [..., 64 steps]."""
    return np.matmul(edges, _RAMPS, out=out).reshape(*edges.shape[:-2], -1)


def envelope(tone: Tone, time_s: np.ndarray, held_s: np.ndarray) -> np.ndarray:
    """Return attack and release at times counted from the notes' starts; silent before.

    Args:
        tone: Says how long both take; the attack is a raised cosine.
        time_s: [notes, steps] float32.
        held_s: [notes, 1].
    """
    rising = np.clip(time_s / np.float32(max(tone.attack_s, 1e-3)), 0.0, 1.0)
    level = 0.5 - 0.5 * np.cos(np.float32(np.pi) * rising)
    level *= released(tone, time_s, held_s)
    return np.asarray(level)


def released(tone: Tone, time_s: np.ndarray, held_s: "np.ndarray | float") -> np.ndarray:
    """Return the level of a note that was held so long: 1, then down to nothing within the release."""
    gone = np.clip((time_s - held_s) / max(tone.release_s, 0.005), 0.0, 1.0).astype(np.float32)
    return np.asarray(np.square(1.0 - gone) * np.exp(np.float32(-1.5 * np.log(10.0)) * gone))


def _score(tone: Tone, notes: Sequence[Note], *, rate_hz: int, seed: int) -> _Score:
    random = np.random.default_rng([seed, len(notes)])
    played = sorted(notes)
    pitch = np.array([fitted_pitch(note.pitch + tone.transpose, tone.range) for note in played], np.int64)
    velocity = np.array([note.velocity for note in played], np.int64)
    start = np.array([round(note.start_s * rate_hz) for note in played], np.int64)
    held = np.array([round((note.end_s - note.start_s) * rate_hz) for note in played], np.int64)
    chance = random.random((len(played), 3))
    level = _LEVEL * 10 ** (tone.level_db / 20) * np.power(velocity / 100.0, tone.velocity_power)
    level *= 10 ** (tone.tilt_db * (60 - pitch) / 12 / 20)
    # From left to right as the keys lie, and a little by chance; equal power. Sustained tones are wide by themselves.
    pan = 0.0 if isinstance(tone, Sustained) else tone.pan
    place = np.clip(pan * ((pitch - 62) / 36 + (chance[:, 2] - 0.5)), -0.8, 0.8)
    angle = (place + 1.0) * np.pi / 4
    gains = np.sqrt(2.0) * level[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _Score(
        pitch=pitch,
        velocity=velocity,
        register=np.array([register_of(p) for p in pitch.tolist()], np.int64),
        start=start,
        held=held,
        end=start + held + int(max(tone.release_s, 0.005) * rate_hz) + 1,
        gains=gains.astype(np.float32),
        chance=chance,
    )
