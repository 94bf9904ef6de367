"""Choose the preset that suits a piece: `--preset auto`.

Each preset says in its file for which music it is made, as ranges of four numbers. They are compared with those of the
piece; the preset that fits best is taken. The range of the songs that its model was trained on counts a little: it
decides between presets that suit the piece about equally well. Songs that differ much have a wide range, which fits
many presets.
"""

import math

from ambient.character import Character, CharacterRange
from ambient.sound.preset import PRESETS, Preset, Suits, read_preset

_SONGS_WEIGHT = 0.2  # of a misfit with the songs, at most; a piece an octave too dense for a preset misfits it by 4
_UNITS = {"pitch": 6.0, "notes_per_second": 0.5, "note_s": 0.7, "polyphony": 0.6}  # semitones, then octaves


def choose_preset(piece: Character, songs: CharacterRange | None = None) -> tuple[Preset, str]:
    """Return the shipped preset that suits best, and why in one line.

    Args:
        piece: What the piece is like.
        songs: What the songs are like that its model was trained on, where that is known.
    """
    presets = [read_preset(path) for path in sorted(PRESETS.glob("*.toml"))]
    suited = [(preset, preset.suits) for preset in presets if preset.suits is not None]
    own_range = CharacterRange(**{name: (getattr(piece, name),) * 2 for name in _UNITS})

    def misfit(entry: tuple[Preset, Suits]) -> float:
        own = _misfit(own_range, entry[1])
        theirs = _misfit(songs, entry[1]) if songs else 0.0
        return own + _SONGS_WEIGHT * theirs / (1.0 + theirs)

    preset, _ = min(suited, key=misfit)
    why = (
        f"{piece.notes_per_second:.1f} notes a second of {piece.note_s:.1f} s, around {_name(piece.pitch)}, "
        f"{piece.polyphony:.1f} at once"
    )
    if songs is not None:
        (few, many), (short, long) = songs.notes_per_second, songs.note_s
        low, high = map(_name, songs.pitch)
        why += f"; the model's songs: {few:.1f}–{many:.1f} a second of {short:.1f}–{long:.1f} s, around {low}–{high}"
    return preset, f"auto: {preset.name} ({why})"


def _misfit(music: CharacterRange, suits: Suits) -> float:
    """Return how far music lies outside what a preset is made for; a little also inside, away from the middle."""
    total = 0.0
    for name, unit in _UNITS.items():
        (low, high), (least, most) = getattr(music, name), getattr(suits, name)
        if name != "pitch":
            low, high, least, most = (math.log2(max(number, 0.05)) for number in (low, high, least, most))
        outside = max(least - high, low - most, 0.0) / unit
        middle = (low + high - least - most) / 2 / unit
        total += outside**2 + 0.02 * middle**2
    return total


def _name(pitch: float) -> str:
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    number = round(pitch)
    return f"{names[number % 12]}{number // 12 - 1}"
