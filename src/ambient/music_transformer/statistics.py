"""What is a piece like, in numbers? The same figures for composed and for real music, to compare the two.

Conventions: notes in seconds, sorted by start, then pitch. They are those of the literature on symbolic music
(muspy.metrics; Yang and Lerch, "On the evaluation of generative models in music", 2018), computed from times instead of
bars, because performances have none.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.sounding import CLASHES, time_as_lowest
from ambient.music_transformer.tokens import PITCHES
from ambient.notes import Note

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # every natural minor scale is one of these twelve sets as well
FIGURE_NOTES = 4
SWING_WINDOW_S = 10.0
TOGETHER_S = 0.03  # notes that start so near to each other are a chord
CHORD_S = 0.035  # the same for notes that a transcriber heard, each some hundredths of a second apart
MOST_IN_CHORD = 6  # notes; more count as so many
ENDS_S, FEWEST_ENDS = 0.05, 4  # a note ends with others where so many end that near to it
SWING_NOTES = 3  # fewer in a window say little of its loudness


@dataclass(frozen=True, slots=True)
class Statistics:
    """One piece in numbers.

    Attributes:
        notes_per_second: Starts over the length of the piece.
        pitch_class_entropy: Bits; 0 is one pitch class, 3.58 all twelve alike.
        scale_consistency: Share of notes in the diatonic scale that holds most of them, 0–1; 0.58 is chance.
        polyphony: Mean number of notes that sound while any does.
        silence: Share of the time in which nothing sounds, 0–1.
        median_note_s: Median length of a note, seconds.
        longest_note_s: The longest note, seconds.
        pitch_range: Semitones between the lowest and the highest note.
        self_repetition: Share of the figures of four pitches that occur elsewhere in the piece too, 0–1.
        loudness_swing: Standard deviation of the mean velocities of each ten seconds, MIDI velocities.
    """

    notes_per_second: float
    pitch_class_entropy: float
    scale_consistency: float
    polyphony: float
    silence: float
    median_note_s: float
    longest_note_s: float
    pitch_range: float
    self_repetition: float
    loudness_swing: float


def measure(notes: Sequence[Note]) -> Statistics:
    """Measure a piece.

    Args:
        notes: At least one, sorted by start, then pitch.
    """
    lengths = np.array([note.end_s - note.start_s for note in notes])
    begin, end = notes[0].start_s, max(note.end_s for note in notes)
    classes = np.bincount([note.pitch % 12 for note in notes], minlength=12)
    sounding = _seconds_with_sound(notes)
    pitches = [note.pitch for note in notes]
    return Statistics(
        notes_per_second=len(notes) / (end - begin),
        pitch_class_entropy=_entropy_bits(classes),
        scale_consistency=max(float(classes[[(key + step) % 12 for step in MAJOR_SCALE]].sum()) for key in range(12))
        / len(notes),
        polyphony=float(lengths.sum()) / sounding,
        silence=max(0.0, 1 - sounding / (end - begin)),
        median_note_s=float(np.median(lengths)),
        longest_note_s=float(lengths.max()),
        pitch_range=float(max(pitches) - min(pitches)),
        self_repetition=self_repetition(pitches),
        loudness_swing=_loudness_swing(notes),
    )


def _loudness_swing(notes: Sequence[Note]) -> float:
    """Return by how much loudness changes from ten seconds to ten seconds; 0 for a piece of one such stretch."""
    windows: dict[int, list[int]] = {}
    for note in notes:
        windows.setdefault(int((note.start_s - notes[0].start_s) // SWING_WINDOW_S), []).append(note.velocity)
    means = [np.mean(velocities) for velocities in windows.values() if len(velocities) >= SWING_NOTES]
    return float(np.std(means)) if means else 0.0


@dataclass(frozen=True, slots=True)
class Distances:
    """How far one passage is from another, each 0 or more.

    Attributes:
        pitch_classes: 1 - cosine of the histograms of twelve pitch classes.
        density: Absolute log2 of the ratio of starts a second.
        mean_pitch: Semitones.
        median_length: Absolute log2 of the ratio.
        polyphony: Absolute log2 of the ratio of the mean number of sounding notes while any sounds.
        velocity: Difference of the means, MIDI velocities.
        rhythm: 0-1, how much of the times between starts would have to be others: half the sum of the differences of
            their shares, below 30 ms as one class, above in eighths of an octave.
        register: Semitones by which the pitches differ, lowest from lowest up to highest from highest, on average
            (Wasserstein distance). A lost bass shows here where the mean stays.
        dynamics: Difference of the standard deviations of velocities.
        bass: Difference of the mean pitch, over time, of the lowest note that sounds, semitones. Few notes are basses,
            but one that is missing is heard at once.
        clashes: Difference of how many pairs of sounding notes are a minor second or ninth apart, on average over the
            time in which any note sounds.
        chords: 0-1, how many of the notes would have to stand in chords of another size: half the sum of the
            differences of the shares of notes that start alone, as one of two, and so on, up to six and more.
        ends: Difference of the shares of notes that end within 50 ms of four others.
    """

    pitch_classes: float
    density: float
    mean_pitch: float
    median_length: float
    polyphony: float
    velocity: float
    rhythm: float
    register: float
    dynamics: float
    bass: float
    clashes: float
    chords: float
    ends: float


def distances(one: Sequence[Note], other: Sequence[Note], *, seconds: tuple[float, float]) -> Distances:
    """Compare two passages: is one like the other?

    Args:
        one: At least one note, sorted.
        other: Likewise.
        seconds: How long each passage is; starts are counted against it.
    """
    classes = [np.bincount([note.pitch % 12 for note in notes], minlength=12).astype(float) for notes in (one, other)]
    cosine = float(classes[0] @ classes[1] / (np.linalg.norm(classes[0]) * np.linalg.norm(classes[1])))
    lengths = [float(np.median([note.end_s - note.start_s for note in notes])) for notes in (one, other)]
    voices = [sum(note.end_s - note.start_s for note in notes) / _seconds_with_sound(notes) for notes in (one, other)]
    return Distances(
        pitch_classes=1 - cosine,
        density=abs(math.log2((len(one) / seconds[0]) / (len(other) / seconds[1]))),
        mean_pitch=abs(float(np.mean([n.pitch for n in one]) - np.mean([n.pitch for n in other]))),
        median_length=abs(math.log2(lengths[0] / lengths[1])),
        polyphony=abs(math.log2(voices[0] / voices[1])),
        velocity=abs(float(np.mean([n.velocity for n in one]) - np.mean([n.velocity for n in other]))),
        rhythm=_rhythm_distance(one, other),
        register=_quantile_distance([n.pitch for n in one], [n.pitch for n in other]),
        dynamics=abs(float(np.std([n.velocity for n in one]) - np.std([n.velocity for n in other]))),
        bass=abs(_mean_lowest(one) - _mean_lowest(other)),
        clashes=abs(_mean_clashes(one) - _mean_clashes(other)),
        chords=0.5 * float(np.abs(_chord_sizes(one) - _chord_sizes(other)).sum()),
        ends=abs(_common_ends(one) - _common_ends(other)),
    )


def _mean_lowest(notes: Sequence[Note]) -> float:
    """Return the mean pitch, over the time in which any note sounds, of the lowest."""
    columns = ([note.start_s for note in notes], [note.pitch for note in notes], [note.end_s for note in notes])
    times_s = time_as_lowest(*(np.array(column) for column in columns))
    return float(times_s @ np.arange(PITCHES) / times_s.sum())


def _mean_clashes(notes: Sequence[Note]) -> float:
    """Return how many pairs clash, on average over the time in which any note sounds."""
    both_s = 0.0
    sounding: list[Note] = []
    for note in notes:
        sounding = [other for other in sounding if other.end_s > note.start_s]
        both_s += sum(
            min(note.end_s, other.end_s) - note.start_s for other in sounding if CLASHES[note.pitch, other.pitch]
        )
        sounding.append(note)
    return both_s / _seconds_with_sound(notes)


def _chord_sizes(notes: Sequence[Note]) -> np.ndarray:
    """Return the shares of notes that start alone, as one of two, and so on, [`MOST_IN_CHORD`]."""
    breaks = np.flatnonzero(np.diff([note.start_s for note in notes]) >= CHORD_S) + 1
    sizes = np.diff([0, *breaks, len(notes)])
    return np.bincount(np.minimum(sizes, MOST_IN_CHORD) - 1, sizes, MOST_IN_CHORD) / len(notes)


def _common_ends(notes: Sequence[Note]) -> float:
    """Return the share of notes that end where at least `FEWEST_ENDS` others end."""
    ends_s = np.sort([note.end_s for note in notes])
    near = np.searchsorted(ends_s, ends_s + ENDS_S, side="right") - np.searchsorted(ends_s, ends_s - ENDS_S)
    return float(np.mean(near > FEWEST_ENDS))


def _rhythm_distance(one: Sequence[Note], other: Sequence[Note]) -> float:
    """Return the total variation distance of two passages' times between starts, 0-1; 0 where one has no two notes."""
    shares = []
    for notes in (one, other):
        gaps = np.diff([note.start_s for note in notes])
        classes = np.where(gaps < TOGETHER_S, -1, np.rint(np.log2(np.maximum(gaps, TOGETHER_S) / TOGETHER_S) * 8))
        shares.append({value: float(np.mean(classes == value)) for value in set(classes.tolist())})
    if not all(shares):
        return 0.0
    return 0.5 * sum(
        abs(shares[0].get(value, 0.0) - shares[1].get(value, 0.0)) for value in shares[0].keys() | shares[1]
    )


def _quantile_distance(one: Sequence[int], other: Sequence[int]) -> float:
    """Return by how much two sets of numbers differ, sorted and stretched to one length, on average."""
    parts = np.linspace(0, 1, 101)
    at = [np.quantile(values, parts, method="inverted_cdf") for values in (one, other)]
    return float(np.mean(np.abs(at[0] - at[1])))


def _entropy_bits(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def _seconds_with_sound(notes: Sequence[Note]) -> float:
    """Return how long at least one note sounds."""
    total, until = 0.0, -math.inf
    for note in notes:
        if note.end_s > until:
            total += note.end_s - max(note.start_s, until)
            until = note.end_s
    return total


def self_repetition(pitches: Sequence[int]) -> float:
    """Return the share of the figures of four pitches that occur elsewhere in the piece too, 0–1; 0 of none."""
    figures = Counter(tuple(pitches[i : i + FIGURE_NOTES]) for i in range(len(pitches) - FIGURE_NOTES + 1))
    total = figures.total()
    return sum(count for count in figures.values() if count > 1) / total if total else 0.0
