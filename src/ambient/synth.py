"""Turn notes into sound with a General MIDI soundfont: the one door to midirenderer."""

import io
import tempfile
import wave
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import midirenderer
import numpy as np

from ambient.midi import write_midi
from ambient.notes import Note

SAMPLE_RATE_HZ = 48_000  # fixed by midirenderer


def render_notes(notes: Iterable[Note], soundfont: Path | str, *, program: int) -> np.ndarray:
    """Play notes on one General MIDI program.

    Args:
        notes: Any order; velocities 1-127.
        soundfont: An SF2 file.
        program: General MIDI program 0-127.

    Returns:
        [samples, 2] float32 at 48 kHz, about -1 to 1, from time 0 to the end of the last release.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.mid"
        write_midi(path, notes, program=program)
        return render_midi_bytes(path.read_bytes(), soundfont)


def render_midi_bytes(midi: bytes, soundfont: Path | str) -> np.ndarray:
    """Play a MIDI file as it is, pedal and programs included; returns [samples, 2] float32 at 48 kHz."""
    rendered = midirenderer.render_wave_from(_soundfont_bytes(str(soundfont)), midi)
    with wave.open(io.BytesIO(rendered)) as reader:
        pcm = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
    return pcm.reshape(-1, 2).astype(np.float32) / 32768.0  # [samples, 2]


@lru_cache(maxsize=1)
def _soundfont_bytes(path: str) -> bytes:
    return Path(path).read_bytes()
