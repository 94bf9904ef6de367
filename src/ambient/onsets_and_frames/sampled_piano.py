"""Play notes on a sampled piano: a folder with a recording of every third key at several velocities.

The file names are those of the Salamander Grand Piano V3 (Alexander Holm, CC BY 3.0): `C4v8.ogg` is the key C4 struck
with the eighth of sixteen velocities, `rel40.ogg` the noise of the fortieth key on its way up. A key between is played
by the nearest recording, a semitone faster or slower; `PianoCharacter` makes it another piano's.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ambient.errors import InputError
from ambient.notes import Note
from ambient.onsets_and_frames.augmentation import in_room
from ambient.onsets_and_frames.config import KEYS, LOWEST_PITCH, SAMPLE_RATE_HZ
from ambient.onsets_and_frames.piano_character import PianoCharacter

# The largest velocity that each recording is for, as in SalamanderGrandPianoV3.sfz.
_LAYERS = (26, 34, 36, 43, 46, 50, 56, 64, 72, 80, 87, 94, 104, 112, 120, 127)
_NAME = re.compile(r"([A-G])(#?)(\d)v(\d+)$")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FIRST_DAMPERLESS = 90  # F#6: the strings of the highest keys ring on
_DAMPED_S = (0.5, 0.12)  # in which the lowest and the highest damped string falls by 60 dB
_AUDIBLE = 0.03  # of the largest sample: where a recording begins
_LEAD_S = 0.002  # before that
_NOISE = 0.014  # 37 dB under the recording, as in the SFZ file
_LONGEST_S = 20.0
_NOISE_S = 0.5


class SampledPiano:
    """A piano that is played from recordings; each is decoded when it is first needed.

    Args:
        folder: The recordings, `.ogg`, `.wav` or `.flac`.

    Raises:
        InputError: the folder holds no recording of a key.
    """

    def __init__(self, folder: Path) -> None:
        self._keys: dict[int, dict[int, Path]] = {}  # pitch -> number of the velocity -> file
        self._noises = {path.stem: path for path in folder.glob("rel*.*")}
        for path in sorted(folder.glob("*v*.*")):
            if found := _NAME.match(path.stem):
                letter, sharp, octave, layer = found.groups()
                pitch = 12 * (int(octave) + 1) + _STEPS[letter] + bool(sharp)
                self._keys.setdefault(pitch, {})[int(layer)] = path
        if not self._keys:
            raise InputError(folder, "no recording of a key", "expected names as C4v8.ogg", "Check --piano")
        self._pitches = sorted(self._keys)

    def play(self, notes: Sequence[Note], character: PianoCharacter | None = None) -> np.ndarray:
        """Play notes.

        Args:
            notes: What to play.
            character: How the piano differs from its recordings; by default not at all.

        Returns:
            [samples] float32 mono at 16 kHz, until the last string is damped; empty without notes.
        """
        character = character or PianoCharacter()
        sound = np.zeros(0, dtype=np.float32)
        for note in notes:
            heard = self._heard(note, character)
            first = round(note.start_s * SAMPLE_RATE_HZ)
            if first + len(heard) > len(sound):
                sound = np.pad(sound, (0, max(first + len(heard) - len(sound), len(sound) // 4)))
            sound[first : first + len(heard)] += heard
        if character.answer is not None and len(sound):
            sound += in_room(sound, character.answer)
        return sound

    def _heard(self, note: Note, character: PianoCharacter) -> np.ndarray:
        nearest = min(self._pitches, key=lambda pitch: abs(pitch - note.pitch - character.keys_up))
        layers = self._keys[nearest]
        wanted = bisect_left(_LAYERS, note.velocity) + 1
        layer = min(layers, key=lambda number: abs(number - wanted))
        played = min(layers, key=lambda number: abs(number - wanted - character.velocities_up))
        released = round((note.end_s - note.start_s) * SAMPLE_RATE_HZ)
        speed = 2.0 ** ((note.pitch - nearest) / 12) * character.speed_of(note.pitch)
        needed = released + round(_DAMPED_S[0] * SAMPLE_RATE_HZ) if note.pitch < _FIRST_DAMPERLESS else None
        recording = _decoded(layers[played])
        string = at_speed(recording, speed, needed)
        if character.unison_share:
            second = at_speed(recording, speed * 2.0 ** (character.unison_cents / 1200.0), needed)[: len(string)]
            string[: len(second)] += second * np.float32(character.unison_share)
        if character.fall_db:
            string *= 10.0 ** (-character.fall_db / 20 * np.arange(len(string), dtype=np.float32) / SAMPLE_RATE_HZ)
        softest = _LAYERS[layer - 2] if layer > 1 else 0
        level = note.velocity / ((softest + _LAYERS[layer - 1]) / 2)  # of the recording, which is for a few velocities
        if played != layer:
            level *= _loudness(layers[layer]) / max(_loudness(layers[played]), 1e-9)
        if note.pitch < _FIRST_DAMPERLESS and released < len(string):
            share = (note.pitch - LOWEST_PITCH) / KEYS
            damped_s = _DAMPED_S[0] + share * (_DAMPED_S[1] - _DAMPED_S[0])
            tail = np.arange(min(len(string) - released, round(damped_s * SAMPLE_RATE_HZ)), dtype=np.float32)
            fall = np.exp(-6.9 * tail / (damped_s * SAMPLE_RATE_HZ))
            string = np.concatenate([string[:released], string[released : released + len(tail)] * fall])
        noise = self._noises.get(f"rel{note.pitch - LOWEST_PITCH + 1}")
        if noise is not None and note.pitch < _FIRST_DAMPERLESS:
            sound = _decoded(noise)[: round(_NOISE_S * SAMPLE_RATE_HZ)] * np.float32(_NOISE)
            string = np.pad(string, (0, max(released + len(sound) - len(string), 0)))
            string[released : released + len(sound)] += sound
        return np.asarray(string * np.float32(level * character.gain_of(note.pitch)), dtype=np.float32)


@lru_cache(maxsize=1024)
def _decoded(path: Path) -> np.ndarray:
    """Return a recording from where it can be heard, [samples] float32 at 16 kHz."""
    from ambient.audio import decoded_blocks  # ffmpeg is needed only here

    samples = np.concatenate(list(decoded_blocks(path, rate_hz=SAMPLE_RATE_HZ, channels=1)), axis=-1)[0]
    loud = np.abs(samples) > _AUDIBLE * np.max(np.abs(samples), initial=0.0)
    first = max(int(np.argmax(loud)) - round(_LEAD_S * SAMPLE_RATE_HZ), 0)
    return np.asarray(samples[first : first + round(_LONGEST_S * SAMPLE_RATE_HZ)], dtype=np.float32)


@lru_cache(maxsize=1024)
def _loudness(path: Path) -> float:
    """Return the level of a recording's first second, RMS."""
    return float(np.sqrt(np.mean(np.square(_decoded(path)[:SAMPLE_RATE_HZ], dtype=np.float64))))


def at_speed(recording: np.ndarray, speed: float, longest: int | None = None) -> np.ndarray:
    """Return a new array: a recording played faster or slower, of at most so many samples."""
    count = int(len(recording) / speed)
    positions = np.arange(count if longest is None else min(count, longest)) * speed
    return np.interp(positions, np.arange(len(recording)), recording).astype(np.float32)
