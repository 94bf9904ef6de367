"""Make the training data: play freely licensed MIDI on free soundfonts and keep the spectrograms with their notes.

A *take* is one piece, played once on one instrument, recorded once: `NAME.mel.npy` ([F, M] float16, dB, floored as at
inference) and `NAME.notes.npy` ([notes, 4] float64: start_s, end_s, pitch, velocity, pedal folded in). Takes are made
once and cached, because the sound of a whole piece is needed anyway for its level and its room. The notes of ambient
takes start when they can be heard (`audible`) and end with their key.

A piece of the manifest's `test` split or of the MAPS test set is never rendered: a model that has heard it cannot be
scored on it.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.midi import read_midi
from ambient.midi_set import MANIFEST, read_manifest
from ambient.notes import Note, cut_at_restrikes
from ambient.onsets_and_frames.audible import audible_starts_s
from ambient.onsets_and_frames.augmentation import (
    SHORTEST_S,
    TRANSPOSITIONS,
    TUNING_CENTS,
    humanised,
    recorded,
    resampled,
    thinned,
    through_codec,
    wow_flutter,
)
from ambient.onsets_and_frames.config import (
    FRAME_S,
    FRAMES_PER_SECOND,
    KEYS,
    LOWEST_PITCH,
    SAMPLE_RATE_HZ,
    RenderingConfig,
)
from ambient.onsets_and_frames.piano_character import KEYS_UP, drawn_character
from ambient.onsets_and_frames.sampled_piano import SampledPiano, at_speed
from ambient.onsets_and_frames.spectrogram import log_mel
from ambient.onsets_and_frames.synthesiser import Timbre, draw_timbre, synthesised
from ambient.onsets_and_frames.workers import in_order
from ambient.sound.soundfont import SAMPLE_RATE_HZ as SYNTH_RATE_HZ
from ambient.sound.soundfont import render_notes
from ambient.sound.voices import held_notes

SPLITS = ("train", "valid")
LONGEST_AMBIENT_S = 120.0  # ambient takes are shorter: timbres vary more than notes, and there is one a take
VALIDATION_S = 40.0
PIANOS = (0, 0, 0, 0, 1, 1, 2, 3)
# General MIDI. Struck or plucked: electric pianos, celesta, glockenspiel, music box, vibraphone, marimba, guitar, harp.
STRUCK = (4, 5, 8, 9, 10, 11, 11, 12, 24, 46)
# Held: organs, strings, choir, pads, crystal and atmosphere.
HELD = (16, 17, 18, 19, 19, 20, 44, 48, 48, 49, 50, 51, 52, 52, 53, 54, 88, 89, 89, 90, 91, 92, 93, 94, 95, 98, 99)
# Of one channel at 16 kHz.
CODECS = (("mp3", "32k"), ("mp3", "48k"), ("mp3", "64k"), ("mp3", "96k"), ("opus", "24k"), ("opus", "48k"))
OSCILLATOR_SHARE = 0.35  # of the ambient takes

Player = Callable[[Sequence[Note]], np.ndarray]  # notes to [samples] mono at the synthesiser's rate


@dataclass(frozen=True, slots=True)
class Piece:
    """One MIDI file that may be rendered.

    Attributes:
        path: The file.
        name: Unique, fit for a file name.
        performed: Shaped like a performance already; otherwise it is humanised first.
    """

    path: Path
    name: str
    performed: bool


@dataclass(frozen=True, slots=True)
class Sounds:
    """What pieces are played on.

    Attributes:
        soundfonts: SF2 files; each take draws one.
        piano: Folder of a sampled piano.
    """

    soundfonts: Sequence[Path]
    piano: Path | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """A piece as played and recorded once: its spectrogram and its notes."""

    mel: np.ndarray  # [F, M] float16
    notes: list[Note]


def pieces_of(folder: Path, split: str) -> list[Piece]:
    """List the pieces of one split, performed ones first, each work once.

    Args:
        folder: Holds `manifest.csv` with the columns path, split, maps_test, duplicate_of and distinct_velocities.
        split: `train` or `valid`.

    Raises:
        InputError: the manifest is missing, lacks a column, or holds no such piece.
        ValueError: another split was asked for.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: pieces kept for tests are never rendered; expected one of {SPLITS}")
    pieces = [
        Piece(folder / row["path"], row["path"].removesuffix(".mid").replace("/", "__"), _is_performed(row, folder))
        for row in read_manifest(folder, split, ("maps_test", "duplicate_of", "distinct_velocities"))
        if row["maps_test"] != "yes" and not row["duplicate_of"]
    ]
    return sorted(pieces, key=lambda piece: (not piece.performed, piece.name))


def _is_performed(row: dict[str, str], folder: Path) -> bool:
    try:
        return int(row["distinct_velocities"]) >= 20
    except ValueError as error:
        raise InputError(
            folder / MANIFEST, f"{row['path']}: {error}", "expected a number in distinct_velocities", "Correct it"
        ) from error


def plan_takes(pieces: Sequence[Piece], *, seed: int) -> Iterator[tuple[Piece, int]]:
    """Yield pieces and take numbers without end: performed pieces twice as often, shuffled each round."""
    random = np.random.default_rng(seed)
    round_number = 0
    while True:
        due = [piece for piece in pieces if piece.performed or round_number % 2 == 1]
        for index in random.permutation(len(due)):
            yield due[int(index)], round_number
        round_number += 1


def make_take(piece: Piece, sounds: Sounds, random: np.random.Generator, config: RenderingConfig) -> Take:
    """Play and record a part of one piece; everything that varies is drawn from `random`."""
    ambient = random.random() < config.ambient_share
    longest_s = min(config.longest_s, LONGEST_AMBIENT_S) if ambient else config.longest_s
    notes = _part(read_midi(piece.path).notes, longest_s, random)
    if not piece.performed:
        notes = humanised(notes, random)
    notes = _varied(notes, random)
    if ambient:
        notes, sound = _ambient(notes, sounds.soundfonts, random, config)
    elif sounds.piano is not None and random.random() < config.sampled_share:
        character = drawn_character(random) if random.random() < config.varied_share else None
        sound = _upsampled(_piano(sounds.piano).play(notes, character))
    else:
        sound = _instrument(sounds.soundfonts, random, programs=PIANOS, varied_share=config.varied_share)(notes)
    stretch = 2.0 ** (random.normal(0.0, TUNING_CENTS) / 1200.0)
    sound = resampled(sound, rate_hz=SYNTH_RATE_HZ, stretch=stretch)
    stretched = [replace(n, start_s=n.start_s * stretch, end_s=n.end_s * stretch) for n in notes]
    sound = recorded(sound, random, distant=ambient)
    if random.random() < config.degraded_share:
        sound = wow_flutter(sound, random)
    if random.random() < config.degraded_share:
        codec, bitrate = CODECS[int(random.integers(len(CODECS)))]
        sound = through_codec(sound, codec=codec, bitrate=bitrate)
    return Take(log_mel(sound).astype(np.float16), stretched)


def _part(notes: Sequence[Note], longest_s: float, random: np.random.Generator) -> list[Note]:
    """Return the notes that start within `longest_s` of some point of a piece, in time from there."""
    end_s = max(note.start_s for note in notes)
    first_s = random.uniform(0.0, max(end_s - longest_s, 0.0))
    return [
        replace(note, start_s=note.start_s - first_s, end_s=note.end_s - first_s)
        for note in notes
        if first_s <= note.start_s < first_s + longest_s
    ]


def _ambient(
    notes: Sequence[Note], soundfonts: Sequence[Path], random: np.random.Generator, config: RenderingConfig
) -> tuple[list[Note], np.ndarray]:
    """Play notes on one or two ambient sounds, mostly fewer and slower than a pianist would.

    Returns:
        The notes as they were played, or as they are heard of the first sound, and [samples] mono at the synthesiser's
        rate.
    """
    if random.random() < 0.6:
        notes = thinned(notes, random)
    held = random.random() < 0.65
    if held and random.random() < 0.7:  # short notes on a slow sound would not be heard
        notes = held_notes(notes, float(np.exp(random.uniform(np.log(0.2), np.log(5.0)))))
    if random.random() < OSCILLATOR_SHARE:
        play: Player = partial(_oscillators, timbre=draw_timbre(random), seed=int(random.integers(1 << 31)))
    else:
        programs = config.programs or (HELD if held else STRUCK)
        play = _instrument(soundfonts, random, programs=programs, varied_share=config.varied_share)
    sound = play(notes)
    if random.random() < 0.4:  # a second layer under the first
        programs = (*(config.programs or (*HELD, *STRUCK)), 0, 0)
        below = _instrument(soundfonts, random, programs=programs, varied_share=config.varied_share)
        layer = below(notes)
        length = max(len(sound), len(layer))
        sound = np.pad(sound, (0, length - len(sound)))
        sound += np.pad(layer, (0, length - len(layer))) * np.float32(random.uniform(0.3, 1.0))
    return _heard(notes, play) if config.audible_starts else list(notes), sound


def _heard(notes: Sequence[Note], play: Player) -> list[Note]:
    """Return the notes from when they can be heard until their keys are released."""
    starts_s = audible_starts_s(notes, play, SYNTH_RATE_HZ)
    return [replace(note, start_s=start_s) for note, start_s in zip(notes, starts_s, strict=True)]


def _oscillators(notes: Sequence[Note], *, timbre: Timbre, seed: int) -> np.ndarray:
    """Return [samples] mono at the synthesiser's rate."""
    return _upsampled(synthesised(notes, timbre, np.random.default_rng(seed)))


def _upsampled(sound: np.ndarray) -> np.ndarray:
    """Bring [samples] from our rate to the synthesiser's, which is a multiple of it."""
    return at_speed(sound, SAMPLE_RATE_HZ / SYNTH_RATE_HZ)


def _varied(notes: Sequence[Note], random: np.random.Generator) -> list[Note]:
    """Transpose, change the tempo, and make the playing softer or louder, flatter or more contrasted."""
    low, high = min(n.pitch for n in notes), max(n.pitch for n in notes)
    shift = int(random.integers(*TRANSPOSITIONS))
    shift = min(max(shift, LOWEST_PITCH - low), LOWEST_PITCH + KEYS - 1 - high)
    tempo = float(np.exp(random.normal(0.0, 0.12)))
    contrast, level = random.uniform(0.7, 1.2), random.uniform(-15, 15)
    varied = [
        Note(
            note.start_s * tempo,
            note.pitch + shift,
            note.end_s * tempo,
            int(np.clip(64 + (note.velocity - 64) * contrast + level, 8, 127)),
        )
        for note in notes
    ]
    return cut_at_restrikes(varied, shortest_s=SHORTEST_S)


def _instrument(
    soundfonts: Sequence[Path], random: np.random.Generator, *, programs: Sequence[int], varied_share: float
) -> Player:
    """Draw an instrument."""
    soundfont = soundfonts[int(random.integers(len(soundfonts)))]
    program, balance = int(random.choice(programs)), random.uniform(0.3, 0.7)
    keys_up = int(random.integers(-KEYS_UP, KEYS_UP + 1)) if random.random() < varied_share else 0
    return partial(_played, soundfont=soundfont, program=program, balance=balance, keys_up=keys_up)


@lru_cache(maxsize=1)
def _piano(folder: Path) -> SampledPiano:
    return SampledPiano(folder)


def _played(notes: Sequence[Note], *, soundfont: Path, program: int, balance: float, keys_up: int = 0) -> np.ndarray:
    """Play notes on an instrument.

    Args:
        notes: What to play.
        soundfont: SF2 file.
        program: General MIDI.
        balance: Of the left channel, 0-1.
        keys_up: Each key is played by that so many semitones higher, slower: formants, attack and vibrato become
            another instrument's.

    Returns:
        [samples] mono at the synthesiser's rate, its largest sample 1.
    """
    if keys_up and notes:
        highest, lowest = max(n.pitch for n in notes), min(n.pitch for n in notes)
        keys_up = min(max(keys_up, LOWEST_PITCH - lowest), LOWEST_PITCH + KEYS - 1 - highest)
    speed = 2.0 ** (-keys_up / 12)
    moved = [replace(n, start_s=n.start_s * speed, pitch=n.pitch + keys_up, end_s=n.end_s * speed) for n in notes]
    stereo = render_notes(moved, soundfont, program=program)
    mono = stereo[:, 0] * balance + stereo[:, 1] * (1 - balance)
    if keys_up:
        mono = at_speed(mono, speed)
    return np.asarray(mono / (np.max(np.abs(mono)) + 1e-9), dtype=np.float32)


def fill_cache(
    cache: Path,
    pieces: Sequence[Piece],
    sounds: Sounds,
    config: RenderingConfig,
    *,
    hours: float,
    workers: int = 1,
    report: Callable[[str], None],
) -> None:
    """Make takes until the cache holds so many hours; what is there already is kept and counted.

    Args:
        cache: Folder, made if missing.
        pieces: What to play.
        sounds: What is played on.
        config: How it is played and recorded.
        hours: Of sound; several workers make a few takes more than were asked for.
        workers: Processes.
        report: Gets one line now and then.

    Raises:
        InputError: a MIDI file or a soundfont cannot be read.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if hours <= 0:
        return
    have_s, began_s = 0.0, time.monotonic()
    make = partial(_cached_take, cache=cache, sounds=sounds, config=config)
    lengths = in_order(make, plan_takes(pieces, seed=config.seed), workers=workers)
    for made, frames in enumerate(lengths):
        have_s += frames * FRAME_S
        if made % 20 == 0:
            report(f"{have_s / 3600:.2f} of {hours} hours, {made + 1} takes, {time.monotonic() - began_s:.0f} s")
        if have_s >= hours * 3600:
            break
    lengths.close()  # type: ignore[attr-defined]


def _cached_take(planned: tuple[Piece, int], *, cache: Path, sounds: Sounds, config: RenderingConfig) -> int:
    """Make a take unless it is there; returns its frames."""
    piece, number = planned
    name = f"{piece.name}-{number}"
    path = cache / f"{name}.mel.npy"
    if not path.exists():
        digest = hashlib.sha256(f"{config.seed} {name}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        take = make_take(piece, sounds, random, config)
        save_take(cache, name, take, frames=int(config.longest_s * FRAMES_PER_SECOND))
    return len(np.load(path, mmap_mode="r"))


def save_take(cache: Path, name: str, take: Take, *, frames: int) -> None:
    """Write a take, its spectrogram last, so that a take with one is complete."""
    rows = np.array([[n.start_s, n.end_s, n.pitch, n.velocity] for n in take.notes], dtype=np.float64).reshape(-1, 4)
    np.save(cache / f"{name}.notes.npy", rows)
    partial = cache / f".{name}.npy"
    np.save(partial, take.mel[:frames])
    partial.replace(cache / f"{name}.mel.npy")


def load_take(cache: Path, name: str) -> Take:
    """Read a take written by `save_take`."""
    rows = np.load(cache / f"{name}.notes.npy")
    notes = [Note(float(start), int(pitch), float(end), int(velocity)) for start, end, pitch, velocity in rows]
    return Take(np.load(cache / f"{name}.mel.npy"), notes)


def take_names(cache: Path) -> list[str]:
    """List the complete takes of a cache, sorted."""
    return sorted(path.name.removesuffix(".mel.npy") for path in cache.glob("*.mel.npy") if path.name[0] != ".")
