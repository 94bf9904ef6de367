"""Play notes on sounds that no soundfont holds: detuned oscillators with slow envelopes, another timbre each time.

A few soundfonts have a few dozen pads between them; a network that hears only those learns those. Here overtones,
detuning, attack, release, filter and vibrato are drawn for each call. Legend: W samples of a wave's period.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import SAMPLE_RATE_HZ

_PERIOD = 2048
_HIGHEST_HZ = 7600.0  # no overtone above, so that none folds back
_LONGEST_NOTE_S = 30.0


@dataclass(frozen=True, slots=True)
class Timbre:
    """How notes sound."""

    amplitudes: np.ndarray  # [overtones], the fundamental first
    phases: np.ndarray  # [overtones]
    voices_cents: np.ndarray  # [voices], detuning
    attack_s: float
    decay_s: float  # to a fifth, by and by; long for an organ, short for a plucked string
    release_s: float
    vibrato_cents: float
    vibrato_hz: float


def synthesised(notes: Sequence[Note], timbre: Timbre, random: np.random.Generator) -> np.ndarray:
    """Play notes.

    Args:
        notes: Any order.
        timbre: How they sound.
        random: Decides where in its period each oscillator begins.

    Returns:
        [samples] float32 mono at 16 kHz, up to the end of the last release, its largest sample 1; empty without notes.
    """
    if not notes:
        return np.zeros(0, dtype=np.float32)
    end_s = max(note.end_s for note in notes) + timbre.release_s
    sound = np.zeros(int(end_s * SAMPLE_RATE_HZ) + 1, dtype=np.float32)
    waves: dict[int, np.ndarray] = {}
    for note in notes:
        if note.pitch not in waves:
            waves[note.pitch] = _wave(timbre, _hz(note.pitch))
        heard = _heard(note, waves[note.pitch], timbre, random)
        first = round(note.start_s * SAMPLE_RATE_HZ)
        sound[first : first + len(heard)] += heard[: len(sound) - first]
    return np.asarray(sound / (np.max(np.abs(sound)) + 1e-9), dtype=np.float32)


def draw_timbre(random: np.random.Generator) -> Timbre:
    """Draw a timbre: of every kind that a synthesiser's pads and plucked sounds have."""
    overtones = np.arange(1, 41)
    amplitudes = overtones ** -random.uniform(0.7, 3.0) * np.exp(random.normal(0.0, 0.6, len(overtones)))
    if random.random() < 0.3:
        amplitudes[1::2] *= random.uniform(0.0, 0.3)  # as in closed pipes and square waves
    amplitudes *= np.exp(-overtones / np.exp(random.uniform(np.log(2.0), np.log(30.0))))
    slow = random.random() < 0.7
    return Timbre(
        amplitudes=amplitudes,
        phases=random.uniform(0.0, 2 * np.pi, len(overtones)),
        voices_cents=random.normal(0.0, random.uniform(0.5, 9.0), int(random.integers(1, 4))),
        attack_s=float(np.exp(random.uniform(np.log(0.02), np.log(0.8)))) if slow else 0.004,
        decay_s=float(np.exp(random.uniform(np.log(2.0), np.log(60.0)) if slow else random.uniform(-0.7, 1.2))),
        release_s=float(np.exp(random.uniform(np.log(0.08), np.log(2.5)))),
        vibrato_cents=random.uniform(2.0, 18.0) if random.random() < 0.4 else 0.0,
        vibrato_hz=random.uniform(3.0, 6.5),
    )


def _hz(pitch: float) -> float:
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def _wave(timbre: Timbre, hz: float) -> np.ndarray:
    """Return one period [W + 1], the first sample once more at its end, of unit power."""
    count = max(min(len(timbre.amplitudes), int(_HIGHEST_HZ / hz)), 1)
    spectrum = np.zeros(_PERIOD // 2 + 1, dtype=complex)
    spectrum[1 : count + 1] = timbre.amplitudes[:count] * np.exp(1j * timbre.phases[:count])
    period = np.fft.irfft(spectrum)
    period /= np.sqrt(np.mean(period**2)) + 1e-12
    return np.append(period, period[0]).astype(np.float32)


def _heard(note: Note, wave: np.ndarray, timbre: Timbre, random: np.random.Generator) -> np.ndarray:
    held_s = min(note.end_s - note.start_s, _LONGEST_NOTE_S)
    time_s = np.arange(int((held_s + timbre.release_s) * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    # A voice's phase in periods; the vibrato moves it by the integral of a sine.
    swing = 0.0
    if timbre.vibrato_cents:
        depth = (2.0 ** (timbre.vibrato_cents / 1200.0) - 1.0) / (2 * np.pi * timbre.vibrato_hz)
        swing = depth * np.sin(2 * np.pi * timbre.vibrato_hz * time_s + random.uniform(0, 2 * np.pi))
    sound = np.zeros(len(time_s), dtype=np.float32)
    for cents in timbre.voices_cents:
        phase = (time_s + swing) * _hz(note.pitch + cents / 100.0) + random.uniform()
        sound += wave[((phase % 1.0) * _PERIOD).astype(np.int32)]
    held = np.minimum(time_s, held_s)
    rise = np.minimum(held / timbre.attack_s, 1.0)
    envelope = rise * rise * (3.0 - 2.0 * rise) * (0.2 + 0.8 * np.exp(-held / timbre.decay_s))
    envelope *= np.exp(-4.6 * np.maximum(time_s - held_s, 0.0) / timbre.release_s)  # 40 dB within the release
    return np.asarray(sound * envelope * (note.velocity / 127.0) ** 1.5, dtype=np.float32)
