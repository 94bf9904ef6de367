"""Play notes on sounds that no soundfont holds: oscillators with slow envelopes, another timbre each time.

A few soundfonts have a few dozen pads between them; a network that hears only those learns those. Here overtones,
formants, detuning, attack, release, filter, tremolo, vibrato and grain are drawn for each call; struck timbres may have
the overtones of bars and bells, which are no multiples of the pitch. Legend: W samples of a wave's period.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.notes import Note
from ambient.onsets_and_frames.config import SAMPLE_RATE_HZ

_PERIOD = 2048
_HIGHEST_HZ = 7600.0  # no overtone above, so that none folds back
_LONGEST_NOTE_S = 60.0
_CONTROL_HZ = 100.0  # of what moves slowly
# Ratios of the partials of a bar that is free at both ends, of a vibraphone's tuned bar, and of a bell from its hum up
# (Fletcher and Rossing, The Physics of Musical Instruments, chapters 19 and 21).
_BARS = ((1.0, 2.756, 5.404, 8.933), (1.0, 4.0, 10.0), (1.0, 2.0, 2.4, 3.0, 4.0))
_STOPS = (1, 2, 3, 4, 6, 8, 10, 12, 16)  # of an organ: pitches over that of the 16-foot one; the 8-foot one is 2


@dataclass(frozen=True, slots=True)
class Timbre:
    """How notes sound.

    Attributes:
        amplitudes: [overtones] of the pitch, or of the one `octaves_below`, that one first.
        phases: [overtones].
        brightness: Exponents of the overtones' numbers, by which two waves differ, between which the sound moves.
        formants_hz: [formants, 2], middle and width, where overtones are louder wherever the pitch lies.
        voices_cents: [voices], detuning.
        attack_s: Until the full level.
        decay_s: To a fifth, by and by; long for an organ, short for a plucked string.
        release_s: In which the level falls by 40 dB after the key is released.
        opens_s: In which the sound moves from the first wave to the second.
        vibrato_cents: Depth.
        vibrato_hz: Rate.
        tremolo: Depth, 0-1.
        tremolo_hz: Rate.
        grain: How much the level of each voice flutters, 0-1.
        partials: Ratios to the pitch of the partials of a bar or bell; empty for a string or a pipe.
        octaves_below: 1 for an organ, whose 16-foot stop sounds an octave below the key.
    """

    amplitudes: np.ndarray
    phases: np.ndarray
    brightness: tuple[float, float]
    formants_hz: np.ndarray
    voices_cents: np.ndarray
    attack_s: float
    decay_s: float
    release_s: float
    opens_s: float
    vibrato_cents: float
    vibrato_hz: float
    tremolo: float
    tremolo_hz: float
    grain: float
    partials: tuple[float, ...] = ()
    octaves_below: int = 0


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
    waves: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for note in notes:
        if note.pitch not in waves:
            dark, bright = timbre.brightness
            hz = _hz(note.pitch - 12 * timbre.octaves_below)
            waves[note.pitch] = _wave(timbre, hz, dark), _wave(timbre, hz, bright)
        heard = _heard(note, waves[note.pitch], timbre, random)
        first = round(note.start_s * SAMPLE_RATE_HZ)
        sound[first : first + len(heard)] += heard[: len(sound) - first]
    return np.asarray(sound / (np.max(np.abs(sound)) + 1e-9), dtype=np.float32)


def draw_timbre(random: np.random.Generator) -> Timbre:
    """Draw a timbre: of every kind that a synthesiser's pads, choirs, organs, plucked and struck sounds have."""
    overtones = np.arange(1, 41)
    amplitudes: np.ndarray = overtones ** -random.uniform(0.7, 3.0) * np.exp(random.normal(0.0, 0.6, len(overtones)))
    if random.random() < 0.3:
        amplitudes[1::2] *= random.uniform(0.0, 0.3)  # as in closed pipes and square waves
    amplitudes *= np.exp(-overtones / np.exp(random.uniform(np.log(2.0), np.log(30.0))))
    slow = random.random() < 0.7
    organ = slow and random.random() < 0.3
    if organ:
        amplitudes = _registration(random)
    formants_hz = np.zeros((0, 2))
    if random.random() < 0.3:  # as in voices
        middles_hz = np.exp(random.uniform(np.log(250.0), np.log(3500.0), int(random.integers(2, 5))))
        formants_hz = np.stack([middles_hz, middles_hz * random.uniform(0.1, 0.4)], axis=1)
    many = random.random() < 0.25  # voices, as in choirs and strings
    voices = int(random.integers(5, 10)) if many else int(random.integers(1, 4))
    bar = not slow and random.random() < 0.4
    return Timbre(
        amplitudes=amplitudes,
        phases=random.uniform(0.0, 2 * np.pi, len(amplitudes)),
        brightness=(random.uniform(-1.5, 0.3), random.uniform(-0.3, 0.3)) if random.random() < 0.5 else (0.0, 0.0),
        formants_hz=formants_hz,
        voices_cents=random.normal(0.0, random.uniform(4.0, 15.0) if many else random.uniform(0.5, 9.0), voices),
        attack_s=float(np.exp(random.uniform(np.log(0.02), np.log(2.0)))) if slow else 0.004,
        decay_s=float(np.exp(random.uniform(np.log(2.0), np.log(60.0)) if slow else random.uniform(-0.7, 1.2))),
        release_s=float(np.exp(random.uniform(np.log(0.08), np.log(2.5)))),
        opens_s=float(np.exp(random.uniform(np.log(0.3), np.log(6.0)))),
        vibrato_cents=random.uniform(2.0, 18.0) if random.random() < 0.4 else 0.0,
        vibrato_hz=random.uniform(3.0, 6.5),
        tremolo=random.uniform(0.1, 0.8) if random.random() < 0.25 else 0.0,
        tremolo_hz=float(np.exp(random.uniform(np.log(0.2), np.log(8.0)))),
        grain=random.uniform(0.2, 0.8) if random.random() < 0.25 else 0.0,
        partials=_BARS[int(random.integers(len(_BARS)))] if bar else (),
        octaves_below=int(organ),
    )


def _registration(random: np.random.Generator) -> np.ndarray:
    """Draw the stops of an organ, the 8-foot one always among them; return the overtones of the 16-foot one."""
    amplitudes = np.zeros(80)
    fall = random.uniform(1.0, 6.0)  # of the overtones of each pipe; steep for a flute or an electric organ
    for stop in _STOPS:
        if stop == 2 or random.random() < 0.4:
            overtones = np.arange(1, len(amplitudes) // stop + 1)
            amplitudes[stop * overtones - 1] += random.uniform(0.2, 1.0) * overtones**-fall
    return amplitudes


def _hz(pitch: float) -> float:
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def _wave(timbre: Timbre, hz: float, brightness: float) -> np.ndarray:
    """Return one period [W + 1], the first sample once more at its end, of unit power."""
    count = max(min(len(timbre.amplitudes), int(_HIGHEST_HZ / hz)), 1)
    overtones = np.arange(1, count + 1)
    amplitudes = timbre.amplitudes[:count] * overtones**brightness
    if len(timbre.formants_hz):
        middles_hz, widths_hz = timbre.formants_hz.T[:, :, None]
        amplitudes = amplitudes * (0.1 + np.exp(-(((overtones * hz - middles_hz) / widths_hz) ** 2)).sum(axis=0))
    spectrum = np.zeros(_PERIOD // 2 + 1, dtype=complex)
    spectrum[1 : count + 1] = amplitudes * np.exp(1j * timbre.phases[:count])
    period = np.fft.irfft(spectrum)
    period /= np.sqrt(np.mean(period**2)) + 1e-12
    return np.append(period, period[0]).astype(np.float32)


def _heard(note: Note, waves: tuple[np.ndarray, np.ndarray], timbre: Timbre, random: np.random.Generator) -> np.ndarray:
    held_s = min(note.end_s - note.start_s, _LONGEST_NOTE_S)
    time_s = np.arange(int((held_s + timbre.release_s) * SAMPLE_RATE_HZ), dtype=np.float32) / SAMPLE_RATE_HZ
    sound = _struck(note, time_s, timbre) if timbre.partials else _blown(note, waves, time_s, timbre, random)
    held = np.minimum(time_s, held_s)
    rise = np.minimum(held / timbre.attack_s, 1.0)
    envelope = rise * rise * (3.0 - 2.0 * rise) * (0.2 + 0.8 * np.exp(-held / timbre.decay_s))
    envelope *= np.exp(-4.6 * np.maximum(time_s - held_s, 0.0) / timbre.release_s)  # 40 dB within the release
    if timbre.tremolo:
        turn = 2 * np.pi * (timbre.tremolo_hz * time_s + random.uniform())
        envelope *= 1.0 - timbre.tremolo * (0.5 + 0.5 * np.sin(turn))
    return np.asarray(sound * envelope * (note.velocity / 127.0) ** 1.5, dtype=np.float32)


def _blown(
    note: Note,
    waves: tuple[np.ndarray, np.ndarray],
    time_s: np.ndarray,
    timbre: Timbre,
    random: np.random.Generator,
) -> np.ndarray:
    """Return the voices of a string or pipe, without the envelope."""
    # A voice's phase in periods; the vibrato moves it by the integral of a sine.
    swing: np.ndarray | float = 0.0
    if timbre.vibrato_cents:
        depth = (2.0 ** (timbre.vibrato_cents / 1200.0) - 1.0) / (2 * np.pi * timbre.vibrato_hz)
        swing = depth * np.sin(2 * np.pi * timbre.vibrato_hz * time_s + random.uniform(0, 2 * np.pi))
    moves = timbre.brightness[0] != timbre.brightness[1]
    opened = np.minimum(time_s / np.float32(timbre.opens_s), 1.0)
    sound = np.zeros(len(time_s), dtype=np.float32)
    for cents in timbre.voices_cents:
        phase = (time_s + swing) * _hz(note.pitch - 12 * timbre.octaves_below + cents / 100.0) + random.uniform()
        place = ((phase % 1.0) * _PERIOD).astype(np.int32)
        voice = waves[0][place] * (1.0 - opened) + waves[1][place] * opened if moves else waves[0][place]
        sound += voice * _grain(time_s, timbre.grain, random) if timbre.grain else voice
    return sound


def _grain(time_s: np.ndarray, depth: float, random: np.random.Generator) -> np.ndarray:
    """Return a level that flutters at random, as that of grains or of breath."""
    points = max(int(len(time_s) / SAMPLE_RATE_HZ * _CONTROL_HZ), 2)
    smooth = np.convolve(random.standard_normal(points), np.hanning(9) / 2.0, mode="same")
    return np.asarray(
        np.interp(time_s, np.arange(points) / _CONTROL_HZ, np.clip(1.0 + depth * smooth, 0.0, 2.5)), dtype=np.float32
    )


def _struck(note: Note, time_s: np.ndarray, timbre: Timbre) -> np.ndarray:
    """Return the partials of a bar or bell, the higher the sooner gone."""
    sound = np.zeros(len(time_s), dtype=np.float32)
    for number, ratio in enumerate(timbre.partials):
        hz = ratio * _hz(note.pitch)
        if hz > _HIGHEST_HZ:
            break
        level = 1.0 if number == 0 else float(min(timbre.amplitudes[number] / timbre.amplitudes[0], 0.7))
        fall = np.exp(-time_s * np.float32(number / timbre.decay_s))
        sound += np.float32(level) * fall * np.sin(2 * np.pi * hz * time_s + timbre.phases[number])
    return sound
