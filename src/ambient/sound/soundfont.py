"""Turn notes into sound with a General MIDI soundfont: the one door to midirenderer and soxr.

A long piece is played in parts of some seconds of starts each, every part until its last note has died away, so that
memory does not grow with the piece.

Conventions: sound is [samples, 2] float32 at 48 kHz, about -1 to 1; the player's is [channels, samples] at any rate.
The same notes, soundfont and program give the same samples.
"""

import importlib.util
import io
import os
import tempfile
import wave
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import midirenderer
import numpy as np
import soxr

from ambient.errors import InputError
from ambient.midi import write_midi
from ambient.native_messages import native_messages_hidden
from ambient.notes import Note
from ambient.sound.preset import Sampled
from ambient.sound.voices import BLOCK, fitted_pitch, register_of

SAMPLE_RATE_HZ = 48_000  # fixed by midirenderer
SOUNDFONT_VARIABLE = "AMBIENT_SOUNDFONT"
_VOLUME_CONTROLLER, _EXPRESSION_CONTROLLER = 7, 11
_LOUDEST = 127  # 4 dB above the default volume, that much further from the 16-bit steps of the renderer
_RELEASE_S = 2.5  # TimGM6mb's pads and strings fall below -65 dB in 2 s after the key is released
_PART_S = 12.0  # of starts; a part lasts until the last of its notes has ended
_LONGEST_NOTE_S = 120.0  # a part is held in memory
_LEVEL = 1.1  # about as loud as the tones of our own


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


def render_midi_bytes(midi: bytes, soundfont: Path | str) -> np.ndarray:
    """Play a MIDI file as it is, pedal and programs included, up to its last event.

    Returns:
        [samples, 2] float32 at 48 kHz.

    Raises:
        InputError: the renderer cannot use the soundfont or the MIDI file.
    """
    try:
        with native_messages_hidden():
            rendered = midirenderer.render_wave_from(_soundfont_bytes(str(soundfont)), midi)
    except BaseException as error:
        # A sample that points out of its file is a panic of the renderer, which is no Exception.
        if not isinstance(error, RuntimeError) and type(error).__name__ != "PanicException":
            raise
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


class SoundfontPlayer:
    """Plays the notes of one soundfont tone, block by block.

    Args:
        tone: Which program, how loud.
        notes: Sorted by start.
        soundfont: An SF2 file.
        rate_hz: Sample rate.
        registers: Which of the three registers play.
    """

    def __init__(
        self,
        tone: Sampled,
        notes: Sequence[Note],
        soundfont: Path,
        *,
        rate_hz: int,
        registers: tuple[int, ...] = (0, 1, 2),
    ) -> None:
        self._tone, self._soundfont, self._rate_hz = tone, soundfont, rate_hz
        played = []
        for note in notes:
            pitch = fitted_pitch(note.pitch + tone.transpose, tone.range)
            if register_of(pitch) in registers:
                end_s = min(note.end_s, note.start_s + _LONGEST_NOTE_S)
                played.append(replace(note, pitch=pitch, end_s=end_s))
        self._notes = played
        self._next = 0
        self._parts: list[tuple[int, int, np.ndarray]] = []  # register, first sample, [2, samples]
        self.end = int((max((note.end_s for note in played), default=0.0) + _RELEASE_S) * rate_hz)

    def add(self, block: np.ndarray, first: int) -> None:
        """Add what sounds from sample `first` on to [3, 2, BLOCK]; blocks are asked for in order."""
        stop = first + BLOCK
        while self._next < len(self._notes) and self._notes[self._next].start_s * self._rate_hz < stop:
            self._play_part()
        for register, begin, sound in self._parts:
            low, high = max(first, begin), min(stop, begin + sound.shape[1])
            if low < high:
                block[register, :, low - first : high - first] += sound[:, low - begin : high - begin]
        self._parts = [part for part in self._parts if part[1] + part[2].shape[1] > stop]

    def _play_part(self) -> None:
        """Render the notes that start within the next seconds, each register by itself."""
        begin = self._next
        start = round(self._notes[begin].start_s * self._rate_hz)
        start_s = start / self._rate_hz
        while self._next < len(self._notes) and self._notes[self._next].start_s < start_s + _PART_S:
            self._next += 1
        level = np.float32(_LEVEL * 10 ** (self._tone.level_db / 20))
        for register in range(3):
            notes = [
                replace(note, start_s=max(note.start_s - start_s, 0.0), end_s=note.end_s - start_s)
                for note in self._notes[begin : self._next]
                if register_of(note.pitch) == register
            ]
            if notes:
                sound = render_notes(notes, self._soundfont, program=self._tone.program)
                self._parts.append((register, start, at_rate(sound, self._rate_hz) * level))


def at_rate(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return rendered [samples, 2] of 48 kHz at another rate, its last 50 ms faded: [2, samples] float32."""
    if rate_hz != SAMPLE_RATE_HZ:
        sound = soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz)
    fade = min(len(sound), rate_hz // 20)
    sound[len(sound) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)[:, None]
    return np.ascontiguousarray(sound.T)


def _bundled_soundfont() -> Path:
    # Found without importing the package, which is midi's to import.
    package = importlib.util.find_spec("pretty_midi")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise InputError(
            "soundfont", "pretty_midi is not installed", "expected its wheel", "Install it or give --soundfont"
        )
    return Path(folders[0]) / "TimGM6mb.sf2"


@lru_cache(maxsize=1)
def _soundfont_bytes(path: str) -> bytes:
    return Path(path).read_bytes()
