"""Turn notes into sound with a General MIDI soundfont: the one door to midirenderer.

Conventions: sound is [samples, 2] float32 at 48 kHz, about -1 to 1. The same notes, soundfont and program give the same
samples.
"""

import importlib.util
import io
import os
import tempfile
import wave
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import midirenderer
import numpy as np

from ambient.errors import InputError
from ambient.midi import write_midi
from ambient.notes import Note

SAMPLE_RATE_HZ = 48_000  # fixed by midirenderer
SOUNDFONT_VARIABLE = "AMBIENT_SOUNDFONT"
_VOLUME_CONTROLLER, _EXPRESSION_CONTROLLER = 7, 11
_LOUDEST = 127  # 4 dB above the default volume, that much further from the 16-bit steps of the renderer
_RELEASE_S = 2.5  # TimGM6mb's pads and strings fall below -65 dB in 2 s after the key is released
_LAYER_GAIN = 0.5  # a second sound stands 6 dB behind the first


def find_soundfont(given: Path | None = None) -> Path:
    """Return the SF2 file to play with: the given one, else $AMBIENT_SOUNDFONT, else the one in pretty_midi's wheel.

    A soundfont that happens to be installed on the system is not picked up by itself, so that a piece sounds the same
    on every machine.

    Raises:
        InputError: the chosen file is not there or is no SF2.
    """
    from_environment = os.environ.get(SOUNDFONT_VARIABLE)
    path = given or (Path(from_environment) if from_environment else _bundled_soundfont())
    expected = "expected a General MIDI soundfont in SF2 format"
    try:
        with path.open("rb") as file:
            header = file.read(12)
    except OSError as error:
        raise InputError(path, error.strerror or "unreadable", expected, "Check --soundfont") from error
    if header[:4] != b"RIFF" or header[8:] != b"sfbk" or path.suffix.lower() == ".sf3":
        raise InputError(path, "not an SF2 soundfont", expected, "Choose another file; SF3 is not supported")
    return path


def render_notes(notes: Iterable[Note], soundfont: Path | str, *, program: int) -> np.ndarray:
    """Play notes on one General MIDI program.

    Args:
        notes: Any order; velocities 1-127.
        soundfont: An SF2 file.
        program: General MIDI program 0-127.

    Returns:
        [samples, 2] float32 at 48 kHz, from time 0 to the end of the last release; empty without notes.
    """
    played = list(notes)
    if not played:
        return np.zeros((0, 2), np.float32)
    # The renderer stops at the last event, so one stands where the last release is over.
    over_s = max(note.end_s for note in played) + _RELEASE_S
    controls = [
        (0.0, _VOLUME_CONTROLLER, _LOUDEST),
        (0.0, _EXPRESSION_CONTROLLER, _LOUDEST),
        (over_s, _EXPRESSION_CONTROLLER, _LOUDEST),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.mid"
        write_midi(path, played, program=program, controls=controls)
        return render_midi_bytes(path.read_bytes(), soundfont)


def render_layers(notes: Iterable[Note], soundfont: Path | str, *, programs: Iterable[int]) -> np.ndarray:
    """Play notes on several programs at once, the first in front, the others equally loud 6 dB behind it.

    Returns:
        [samples, 2] float32 at 48 kHz, from time 0 to the end of the last release.
    """
    played = list(notes)
    front, *behind = programs
    mixed = render_notes(played, soundfont, program=front)
    front_rms = _rms(mixed)
    for program in behind:
        layer = render_notes(played, soundfont, program=program)
        rms = _rms(layer)
        if rms > 0:
            mixed += layer * np.float32(_LAYER_GAIN * (front_rms or rms) / rms)
    return mixed


def render_midi_bytes(midi: bytes, soundfont: Path | str) -> np.ndarray:
    """Play a MIDI file as it is, pedal and programs included, up to its last event.

    Returns:
        [samples, 2] float32 at 48 kHz.

    Raises:
        InputError: the renderer cannot use the soundfont or the MIDI file.
    """
    try:
        rendered = midirenderer.render_wave_from(_soundfont_bytes(str(soundfont)), midi)
    except RuntimeError as error:
        raise InputError(
            soundfont,
            f"cannot be played ({error})",
            "expected an SF2 soundfont and a MIDI file",
            "Try another of either",
        ) from error
    with wave.open(io.BytesIO(rendered)) as reader:
        pcm = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
    sound = pcm.reshape(-1, 2).astype(np.float32)  # [samples, 2]
    sound /= 32768.0
    return sound


def held_notes(notes: Iterable[Note], hold_s: float) -> list[Note]:
    """Let every note sound at least `hold_s`, but not into the next note of its pitch.

    Slow sounds need it: a warm pad is 12 dB below its level after 0.1 s and reaches it after about 0.8 s, so the short
    notes of a piano would hardly be heard.

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


def _bundled_soundfont() -> Path:
    # Found without importing the package, which is midi's to import.
    package = importlib.util.find_spec("pretty_midi")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise InputError(
            "soundfont", "pretty_midi is not installed", "expected its wheel", "Install it or give --soundfont"
        )
    return Path(folders[0]) / "TimGM6mb.sf2"


def _rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if sound.size else 0.0


@lru_cache(maxsize=1)
def _soundfont_bytes(path: str) -> bytes:
    return Path(path).read_bytes()
