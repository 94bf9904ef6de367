"""Make clean synthetic sound resemble recordings: rooms, equalisers, noise, tuning; and humanise score-like notes.

Conventions: samples are [samples] float32 mono at 16 kHz. Every function draws from the generator it is given, so
equal seeds give equal sound. Stands for the SoX chain of the MAESTRO paper (pink noise, pitch, contrast, two
equalisers, reverberation) and adds rooms of several sizes, because recordings are rarely made at the strings.
"""

import tempfile
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ambient.notes import Note, cut_at_restrikes
from ambient.onsets_and_frames.config import SAMPLE_RATE_HZ

TRANSPOSITIONS = (-4, 5)  # semitones, the last not included
SHORTEST_S = 0.005  # of a note; what is left of one after a restrike may be less
TUNING_CENTS = 12.0  # one standard deviation of a take's tuning


def resampled(samples: np.ndarray, *, rate_hz: float, stretch: float) -> np.ndarray:
    """Bring samples to 16 kHz and stretch time, and with it pitch, a little.

    A low-pass in the frequency domain removes what 16 kHz cannot hold; then the samples are read off linearly.

    Args:
        samples: [samples] at `rate_hz`.
        rate_hz: At least 16 kHz.
        stretch: 1.01 makes everything 1 % longer and lower.

    Returns:
        [samples] at 16 kHz; time 0 stays time 0.
    """
    spectrum = np.fft.rfft(samples, _fast_length(len(samples)))
    frequency_hz = np.fft.rfftfreq(_fast_length(len(samples)), 1 / rate_hz)
    spectrum *= np.clip((8000.0 - frequency_hz) / 400.0, 0.0, 1.0)
    filtered = np.fft.irfft(spectrum, _fast_length(len(samples)))[: len(samples)]
    count = int(len(samples) / rate_hz * SAMPLE_RATE_HZ * stretch)
    positions = np.arange(count) * (rate_hz / (SAMPLE_RATE_HZ * stretch))
    return np.interp(positions, np.arange(len(filtered)), filtered).astype(np.float32)


def recorded(samples: np.ndarray, random: np.random.Generator, *, distant: bool = False) -> np.ndarray:
    """Return the samples as if recorded: in a room (three of four takes), through an equaliser, with noise.

    Args:
        samples: [samples] at 16 kHz.
        random: Decides.
        distant: Half of the rooms are halls, as ambient music likes them.
    """
    if random.random() < 0.75:
        hall = distant and random.random() < 0.5
        samples = in_room(samples, drawn_room(random, longest_s=6.0 if hall else 1.6))
    samples = equalised(samples, random)
    level = float(np.max(np.abs(samples))) or 1.0
    noise = coloured_noise(len(samples), random) * 10 ** (random.uniform(-75.0, -38.0) / 20)
    return (samples / level + noise).astype(np.float32)


def wow_flutter(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Let pitch sway as on an old tape: up to 8 cents, over 0.5 to 8 s; nothing moves by more than 6 ms."""
    time_s = np.arange(len(samples)) / SAMPLE_RATE_HZ
    sway_hz = 1.0 / np.exp(random.uniform(np.log(0.5), np.log(8.0)))
    depth = 2.0 ** (random.uniform(1.0, 8.0) / 1200.0) - 1.0
    moved_s = depth / (2 * np.pi * sway_hz) * np.sin(2 * np.pi * sway_hz * time_s + random.uniform(0.0, 2 * np.pi))
    return np.interp(time_s + moved_s, time_s, samples).astype(np.float32)


def through_codec(samples: np.ndarray, *, codec: str, bitrate: str) -> np.ndarray:
    """Encode and decode; as long as before and in time.

    Args:
        samples: [samples].
        codec: `mp3` or `opus`.
        bitrate: `48k` for example.
    """
    from ambient.audio import decode_to_wav, write_compressed  # only where ffmpeg is needed: not every trainer has it

    with tempfile.TemporaryDirectory() as folder:
        encoded, wav = Path(folder) / f"sound.{codec}", Path(folder) / "sound.wav"
        peak = float(np.max(np.abs(samples), initial=0.0)) or 1.0
        sound = (samples / peak * 0.9)[:, None]
        write_compressed(encoded, sound, rate_hz=SAMPLE_RATE_HZ, codec=codec, bitrate=bitrate)
        decode_to_wav(encoded, wav, rate_hz=SAMPLE_RATE_HZ)
        with wave.open(str(wav)) as reader:
            decoded = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").astype(np.float32) / 32767
    return np.pad(decoded, (0, max(len(samples) - len(decoded), 0)))[: len(samples)]


def drawn_room(random: np.random.Generator, *, longest_s: float = 1.6) -> np.ndarray:
    """Draw the impulse response of a room: the direct sound, a few early reflections and an exponentially dying noise.

    Reverberation time 0.15 s to `longest_s`, tail 0 to 18 dB under the direct sound in energy, treble dying first.
    """
    seconds = float(np.exp(random.uniform(np.log(0.15), np.log(longest_s))))
    count = int(seconds * SAMPLE_RATE_HZ)
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    tail = random.standard_normal(count) * 10 ** (-3.0 * time_s / seconds)
    dull = np.convolve(tail, np.ones(4) / 4)[:count]
    blend = np.clip(time_s / (seconds * random.uniform(0.1, 0.6)), 0, 1)
    tail = tail * (1 - blend) + dull * blend
    tail[: int(random.uniform(0.001, 0.012) * SAMPLE_RATE_HZ)] = 0  # the walls are some way off
    tail *= 10 ** (-random.uniform(0.0, 18.0) / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    for _ in range(random.integers(2, 7)):
        tail[int(random.uniform(0.001, min(0.04, seconds)) * SAMPLE_RATE_HZ) - 1] += random.normal() * 0.2
    tail[0] += 1.0
    return tail


def in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return samples as heard in a room; as long as before."""
    length = _fast_length(len(samples) + len(response))
    wet = np.fft.irfft(np.fft.rfft(samples, length) * np.fft.rfft(response, length), length)
    return wet[: len(samples)].astype(np.float32)


def equalised(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Tilt the spectrum and raise or lower three broad bands."""
    length = _fast_length(len(samples))
    spectrum = np.fft.rfft(samples, length)
    octave = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20.0) / 640.0)
    gain_db = np.clip(random.normal() * 1.5, -3.5, 3.5) * octave
    for _ in range(3):
        gain_db += random.uniform(-9, 6) * np.exp(
            -(((octave - random.uniform(-4, 3.5)) / random.uniform(0.3, 1.5)) ** 2)
        )
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), length)[: len(samples)].astype(np.float32)


def coloured_noise(count: int, random: np.random.Generator) -> np.ndarray:
    """Return noise between white and brown with a largest sample of about 1."""
    length = _fast_length(count)
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20.0)
    spectrum = np.fft.rfft(random.standard_normal(length)) * frequency_hz ** -random.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, length)[:count]
    return noise / (np.max(np.abs(noise)) + 1e-12)


def humanised(notes: Sequence[Note], random: np.random.Generator) -> list[Note]:
    """Play score-like notes as a person might: a swaying tempo, swelling loudness, hands not quite together, pedal."""
    if not notes:
        return []
    end_s = max(note.end_s for note in notes)
    grid_s = np.linspace(0.0, end_s, max(int(end_s / 2.0), 2))
    tempo = np.exp(random.normal(0.0, 0.12, len(grid_s)) + random.normal(0.0, 0.15))
    warped_s = np.concatenate([[0.0], np.cumsum((tempo[1:] + tempo[:-1]) / 2 * np.diff(grid_s))])
    loudness = np.cumsum(random.normal(0.0, 6.0, len(grid_s)))
    loudness -= loudness.mean()
    middle = random.uniform(45, 85)
    pedalled = random.random() < 0.6
    played = []
    for note in notes:
        start_s = float(np.interp(note.start_s, grid_s, warped_s)) + abs(random.normal(0.0, 0.008))
        stop_s = float(np.interp(note.end_s, grid_s, warped_s))
        if pedalled:
            stop_s += random.exponential(0.5)
        velocity = middle + np.interp(note.start_s, grid_s, np.clip(loudness, -25, 25)) + random.normal(0.0, 7.0)
        velocity += 0.3 * (note.pitch - 60) * (0.4 if note.pitch > 60 else 0.15)
        played.append(
            replace(note, start_s=start_s, end_s=max(stop_s, start_s + 0.03), velocity=int(np.clip(velocity, 12, 120)))
        )
    return cut_at_restrikes(played, shortest_s=SHORTEST_S)


def thinned(notes: Sequence[Note], random: np.random.Generator) -> list[Note]:
    """Thin notes out to 1 to 8 a second, keeping some of each chord, and slow them down by up to 4."""
    if not notes:
        return []
    seconds = max(note.end_s for note in notes) - min(note.start_s for note in notes)
    wanted = np.exp(random.uniform(np.log(1.0), np.log(8.0))) * seconds
    slower = np.exp(random.uniform(0.0, np.log(4.0)))
    kept = [note for note in notes if random.random() * len(notes) < wanted] or [notes[0]]
    return [replace(note, start_s=note.start_s * slower, end_s=note.end_s * slower) for note in kept]


def _fast_length(count: int) -> int:
    """Return a length from `count` up whose transform is quick: a power of two, or 3, 5, 9 or 15 eighths of one."""
    power = 1 << max(count - 1, 15).bit_length()
    return min(
        length
        for length in (power, power // 8 * 5, power // 8 * 6, power // 16 * 9, power // 16 * 15)
        if length >= count
    )
