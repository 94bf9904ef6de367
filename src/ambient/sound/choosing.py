"""Choose the preset that suits a piece: `--preset auto`.

Each preset says in its file for which music it is made. The piece is described by the same four numbers, and so are
the songs that the model was trained on where the piece tells of them; the preset whose ranges fit best is taken.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ambient.notes import Note
from ambient.sound.preset import PRESETS, Preset, Suits, read_preset

_SONGS_SHARE = 0.3  # how much the songs count against the piece
_UNITS = {"pitch": 6.0, "notes_per_second": 0.5, "note_s": 0.7, "polyphony": 0.6}  # semitones, then octaves


@dataclass(frozen=True, slots=True)
class Character:
    """What a piece is like.

    Attributes:
        pitch: Median pitch.
        notes_per_second: Starts a second.
        note_s: Median length of a note.
        polyphony: Mean number of notes that sound at once, while any does.
    """

    pitch: float
    notes_per_second: float
    note_s: float
    polyphony: float


def character_of(notes: Sequence[Note]) -> Character:
    """Describe a piece of at least one note."""
    starts = np.array([note.start_s for note in notes])
    lengths = np.array([note.end_s - note.start_s for note in notes])
    edges = sorted([(note.start_s, 1) for note in notes] + [(note.end_s, -1) for note in notes])
    sounding, sounding_s, last_s = 0, 0.0, edges[0][0]
    for time_s, step in edges:
        sounding_s += time_s - last_s if sounding else 0.0
        sounding, last_s = sounding + step, time_s
    return Character(
        pitch=float(np.median([note.pitch for note in notes])),
        notes_per_second=len(notes) / max(float(starts.max() - starts.min()), 1.0),
        note_s=float(np.median(lengths)),
        polyphony=float(lengths.sum()) / max(sounding_s, 1e-3),
    )


def songs_character(texts: Mapping[str, object]) -> Character | None:
    """Read what a piece tells of the songs its model was trained on.

    Args:
        texts: The settings in the piece; `songs` holds the four numbers, if they are there.
    """
    songs = texts.get("songs")
    if not isinstance(songs, Mapping):
        return None
    numbers = [songs.get(name) for name in ("pitch", "notes_per_second", "note_s", "polyphony")]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return None
    return Character(*(float(number) for number in numbers if isinstance(number, int | float)))


def choose_preset(piece: Character, songs: Character | None = None) -> tuple[Preset, str]:
    """Return the shipped preset that suits best, and why in one line.

    Args:
        piece: What the piece is like.
        songs: What the songs are like that its model was trained on.
    """
    presets = [read_preset(path) for path in sorted(PRESETS.glob("*.toml"))]
    suited = [(preset, preset.suits) for preset in presets if preset.suits is not None]

    def misfit(entry: tuple[Preset, Suits]) -> float:
        own = _misfit(piece, entry[1])
        return own if songs is None else (1 - _SONGS_SHARE) * own + _SONGS_SHARE * _misfit(songs, entry[1])

    preset, _ = min(suited, key=misfit)
    why = (
        f"{piece.notes_per_second:.1f} notes a second of {piece.note_s:.1f} s, around {_name(piece.pitch)}, "
        f"{piece.polyphony:.1f} at once"
    )
    if songs is not None:
        why += f"; its songs: {songs.notes_per_second:.1f} a second of {songs.note_s:.1f} s"
    return preset, f"auto: {preset.name} ({why})"


def _misfit(character: Character, suits: Suits) -> float:
    """Return how far a piece lies outside what a preset is made for; a little also inside, away from the middle."""
    total = 0.0
    for name, unit in _UNITS.items():
        value, (least, most) = getattr(character, name), getattr(suits, name)
        if name != "pitch":
            value, least, most = (math.log2(max(number, 0.05)) for number in (value, least, most))
        outside = max(least - value, value - most, 0.0) / unit
        middle = abs(value - (least + most) / 2) / unit
        total += outside**2 + 0.02 * middle**2
    return total


def _name(pitch: float) -> str:
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    number = round(pitch)
    return f"{names[number % 12]}{number // 12 - 1}"
