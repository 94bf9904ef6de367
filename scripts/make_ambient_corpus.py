"""Compose MIDI by the methods of ambient and minimal music: what the base composer hears beside keyboard scores.

    python3 scripts/make_ambient_corpus.py --pieces 400 --save_path OUT

Scores of 1700 to 1920 hold no drones, no loops of unequal length, no pattern that goes on for minutes. These pieces are
made of such layers, drawn at random: chords that change slowly and keep their common notes, drones, broken chords,
loops of unequal length (Brian Eno, *Music for Airports*, 1978), one pattern at two speeds (Steve Reich, *Piano Phase*,
1967), phrases with rests between them, single bells, a bass. Layers enter and leave, and the whole swells and fades.
Nothing is taken from anyone, and none of the sample songs' rules are used: those stay music that training never saw.

`OUT/manifest.csv` has the columns path, split, duplicate_of and calm, as `scripts/hear_corpus.py` reads them.
The same seed gives the same pieces.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ambient.midi import write_midi
from ambient.midi_set import MANIFEST
from ambient.notes import Note

SCALES = (
    (0, 2, 4, 5, 7, 9, 11),  # ionian
    (0, 2, 4, 6, 7, 9, 11),  # lydian
    (0, 2, 4, 5, 7, 9, 10),  # mixolydian
    (0, 2, 3, 5, 7, 9, 10),  # dorian
    (0, 2, 3, 5, 7, 8, 10),  # aeolian
    (0, 1, 3, 5, 7, 8, 10),  # phrygian
    (0, 2, 4, 7, 9),  # pentatonic
    (0, 3, 5, 7, 10),
)
LOWEST, HIGHEST = 24, 103
LEAST_S = 0.02
LEAST_NOTES = 24


@dataclass(frozen=True, slots=True)
class Harmony:
    """What all layers of a piece share.

    Attributes:
        tonic: MIDI pitch of the tonic below middle C.
        scale: Semitones above it.
        roots: Degree of the root of each chord of the cycle.
        chord_s: Length of a chord, seconds.
        seconds: Length of the piece.
    """

    tonic: int
    scale: tuple[int, ...]
    roots: tuple[int, ...]
    chord_s: float
    seconds: float

    def pitch(self, degree: int) -> int:
        """Return the pitch of a degree of the scale."""
        octave, step = divmod(degree, len(self.scale))
        return self.tonic + 12 * octave + self.scale[step]

    def chord(self, index: int, size: int) -> list[int]:
        """Return the degrees of the chord of stacked thirds that stands at a place of the cycle."""
        root = self.roots[index % len(self.roots)]
        return [root + 2 * step for step in range(size)]

    def chord_at(self, seconds: float) -> int:
        """Return the number of the chord that sounds at a moment."""
        return int(seconds / self.chord_s)

    @property
    def chords(self) -> int:
        """How many chords there are."""
        return int(np.ceil(self.seconds / self.chord_s))


Layer = list[Note]
Maker = Callable[[Harmony, np.random.Generator], Layer]


def main() -> int:
    """Compose and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=400, help="(%(default)s)")
    parser.add_argument("--save_path", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    arguments = parser.parse_args()
    arguments.save_path.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(arguments.pieces):
        notes = compose(np.random.default_rng([arguments.seed, index]))
        name = f"ambient-{index:04}.mid"
        write_midi(arguments.save_path / name, notes)
        calm = "yes" if len(notes) / notes[-1].end_s < 6 else "no"
        rows.append({"path": name, "split": "train", "duplicate_of": "", "calm": calm})
    with open(arguments.save_path / MANIFEST, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return 0


def compose(rng: np.random.Generator) -> list[Note]:
    """Compose one piece of one and a half to four minutes."""
    harmony = draw_harmony(rng)
    makers = list(rng.permutation(np.array(LAYERS, dtype=object))[: rng.integers(2, 6)])
    sections = entrances(harmony, len(makers), rng)
    level, swell = rng.uniform(35, 75), rng.uniform(0, 14)
    period = rng.uniform(20, 90)
    notes: list[Note] = []
    for maker, (begin, end) in zip(makers, sections, strict=True):
        balance = rng.uniform(-10, 10)
        for note in maker(harmony, rng):
            if begin <= note.start_s < end:
                wave = swell * np.sin(2 * np.pi * note.start_s / period)
                loudness = note.velocity - 64 + level + balance + wave + rng.normal(0, 3)
                notes.append(Note(note.start_s, note.pitch, note.end_s, int(np.clip(loudness, 8, 120))))
    if len(notes) < LEAST_NOTES:
        return compose(rng)
    return one_at_a_time(humanised(notes, rng))


def draw_harmony(rng: np.random.Generator) -> Harmony:
    """Draw key, scale, a cycle of one to eight chords, and how long they last."""
    scale = SCALES[rng.integers(len(SCALES))]
    count = int(rng.choice([1, 2, 3, 4, 4, 4, 6, 8]))
    roots, root = [], 0
    for _ in range(count):
        roots.append(root)
        root = int((root + rng.choice([3, -3, 2, -2, 1, -1, 4])) % len(scale))
    chord_s = float(np.exp(rng.uniform(np.log(2.5), np.log(14))))
    return Harmony(int(rng.integers(45, 57)), scale, tuple(roots), chord_s, float(rng.uniform(90, 240)))


def entrances(harmony: Harmony, layers: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw from when to when each layer plays, on changes of the chord; one plays throughout."""
    cycle = harmony.chord_s * len(harmony.roots)
    places = [(0.0, harmony.seconds)]
    for _ in range(layers - 1):
        begin = cycle * rng.integers(0, max(1, int(harmony.seconds / 2 / cycle)))
        length = max(cycle * rng.integers(1, 7), 25.0)
        end = harmony.seconds if rng.random() < 0.5 else min(harmony.seconds, begin + length)
        places.append((float(begin), float(end)))
    return places


# === Layers ===
def slow_chords(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """Chords that change slowly; notes which the next chord has too may sound on."""
    size, middle = int(rng.integers(3, 6)), rng.uniform(52, 72)
    tied, overlap, spread = rng.random() < 0.6, rng.uniform(0.85, 1.15), rng.choice([0.0, 0.0, 0.05, 0.3])
    notes: Layer = []
    held: dict[int, tuple[float, int]] = {}
    for index in range(harmony.chords):
        start = index * harmony.chord_s
        chord = {near(harmony.pitch(degree), middle) for degree in harmony.chord(index, size)}
        for pitch in [pitch for pitch in held if not tied or pitch not in chord]:
            began, velocity = held.pop(pitch)
            notes.append(Note(began, pitch, max(began + LEAST_S, began + (start - began) * overlap), velocity))
        for place, pitch in enumerate(sorted(chord - set(held))):
            held[pitch] = (start + place * spread, int(rng.integers(50, 70)))
    notes += [Note(began, pitch, harmony.seconds, velocity) for pitch, (began, velocity) in held.items()]
    return notes


def drone(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """Tonic and fifth, for tens of seconds."""
    pitches = [near(harmony.pitch(degree), rng.uniform(36, 52)) for degree in ([0], [0, 4], [0, 7])[rng.integers(3)]]
    notes, start = [], 0.0
    while start < harmony.seconds:
        length = rng.uniform(15, 60)
        notes += [Note(start, pitch, start + length, 60) for pitch in set(pitches)]
        start += length * rng.uniform(0.95, 1.3)
    return notes


def broken_chords(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """One pattern through the notes of each chord, over and over; notes may ring until the chord changes."""
    step = float(np.exp(rng.uniform(np.log(0.18), np.log(1.5))))
    pattern = rng.integers(0, rng.integers(3, 7), rng.integers(3, 9))
    if rng.random() < 0.4:  # up, or up and down
        up = np.arange(rng.integers(3, 7))
        pattern = np.concatenate([up, up[-2:0:-1]]) if rng.random() < 0.5 else up
    middle, rings = rng.uniform(48, 76), rng.random() < 0.4
    length, accent = step * rng.uniform(0.8, 4), int(rng.integers(0, 14))
    per_chord = max(1, round(harmony.chord_s / step))
    step = harmony.chord_s / per_chord  # the pattern begins anew with each chord
    notes: Layer = []
    for index in range(harmony.chords):
        ladder = sorted(near(harmony.pitch(degree), middle) for degree in harmony.chord(index, 3))
        ladder = [pitch + 12 * octave for octave in range(3) for pitch in ladder]
        for place in range(per_chord):
            start = index * harmony.chord_s + place * step
            end = (index + 1) * harmony.chord_s if rings else start + length
            loud = 58 + (accent if place % len(pattern) == 0 else 0)
            notes.append(Note(start, ladder[pattern[place % len(pattern)]], max(end, start + 0.1), loud))
    return notes


def unequal_loops(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """Three to seven loops of a few long notes, each of its own length, so that they never meet alike."""
    notes: Layer = []
    for _ in range(rng.integers(3, 8)):
        period, begin = rng.uniform(7, 37), rng.uniform(0, 12)
        loop = [
            (rng.uniform(0, period * 0.7), harmony.pitch(int(rng.integers(0, 15))), rng.uniform(1.5, 9))
            for _ in range(rng.integers(1, 5))
        ]
        while begin < harmony.seconds:
            notes += [Note(begin + at, pitch, begin + at + length, 60) for at, pitch, length in loop]
            begin += period
    return notes


def two_speeds(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """One short pattern in two voices, the second a little faster."""
    step, count = rng.uniform(0.2, 0.7), int(rng.integers(5, 13))
    pattern = [harmony.pitch(int(degree)) + 12 for degree in rng.integers(0, 8, count)]
    notes: Layer = []
    for factor, apart in ((1.0, 0), (rng.uniform(0.95, 0.995), int(rng.choice([0, 12, -12])))):
        starts = np.arange(0, harmony.seconds, step * factor)
        notes += [Note(t, pattern[i % count] + apart, t + step * 1.2, 58) for i, t in enumerate(starts)]
    return notes


def phrases(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """A motif that comes back, whole, moved along the scale or with another ending, with rests between."""
    unit, count = rng.uniform(0.35, 1.4), int(rng.integers(3, 9))
    steps, lengths = rng.choice([-2, -1, -1, 1, 1, 2, 3], count), rng.choice([1, 1, 2, 2, 3, 4], count)
    legato, rest = rng.uniform(0.8, 1.6), rng.uniform(2, 11)
    notes: Layer = []
    start = rng.uniform(0, 6)
    while start < harmony.seconds:
        degree = harmony.chord(harmony.chord_at(start), 3)[rng.integers(3)] + len(harmony.scale)
        if rng.random() < 0.3:
            steps = np.append(steps[:-1], rng.choice([-2, -1, 1, 2]))
        for step, length in zip(steps, lengths, strict=True):
            notes.append(Note(start, harmony.pitch(degree), start + unit * length * legato, 66))
            start += unit * length
            degree += int(step)
        start += rest * rng.uniform(0.8, 1.2)
    return notes


def bells(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """Single high notes of the chord, far apart and ringing."""
    gap, ring = rng.uniform(1.0, 6.0), rng.uniform(1.5, 6)
    notes, start = [], rng.exponential(gap)
    while start < harmony.seconds:
        degrees = harmony.chord(harmony.chord_at(start), 4)
        notes.append(Note(start, near(harmony.pitch(int(rng.choice(degrees))), rng.uniform(74, 98)), start + ring, 56))
        start += 0.05 + rng.exponential(gap)
    return notes


def bass(harmony: Harmony, rng: np.random.Generator) -> Layer:
    """The root of each chord."""
    middle, share = rng.uniform(34, 46), rng.uniform(0.5, 1.05)
    roots = [near(harmony.pitch(harmony.chord(index, 1)[0]), middle) for index in range(harmony.chords)]
    starts = [index * harmony.chord_s for index in range(harmony.chords)]
    return [Note(t, pitch, t + share * harmony.chord_s, 64) for t, pitch in zip(starts, roots, strict=True)]


LAYERS: tuple[Maker, ...] = (
    slow_chords,
    drone,
    broken_chords,
    unequal_loops,
    two_speeds,
    phrases,
    bells,
    bass,
)


# === Hands ===
def humanised(notes: Sequence[Note], rng: np.random.Generator) -> list[Note]:
    """Move starts and ends by a player's inaccuracy; half of the pieces are exact."""
    spread = rng.uniform(0.0, 0.025) if rng.random() < 0.5 else 0.0
    moved = []
    for note in notes:
        start = max(0.0, note.start_s + rng.normal(0, spread))
        end = max(start + LEAST_S, note.end_s + rng.normal(0, 2 * spread))
        if LOWEST <= note.pitch <= HIGHEST:
            moved.append(Note(start, note.pitch, end, note.velocity))
    return moved


def one_at_a_time(notes: Sequence[Note]) -> list[Note]:
    """Let a key's note end where it is struck again; of two at once the longer stays."""
    kept: list[Note] = []
    by_pitch: dict[int, list[Note]] = {}
    for note in sorted(notes):
        by_pitch.setdefault(note.pitch, []).append(note)
    for same in by_pitch.values():
        for note, later in zip(same, [*same[1:], None], strict=True):
            end = min(note.end_s, later.start_s) if later else note.end_s
            if end - note.start_s >= LEAST_S:
                kept.append(Note(note.start_s, note.pitch, end, note.velocity))
    return sorted(kept)


def near(pitch: int, middle: float) -> int:
    """Return the pitch of the same class that lies nearest to another pitch."""
    return int(pitch + 12 * round((middle - pitch) / 12))


if __name__ == "__main__":
    sys.exit(main())
