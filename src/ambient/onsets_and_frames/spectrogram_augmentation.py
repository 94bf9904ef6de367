"""Vary a cached spectrogram each time it is seen, so that few takes stand for many rooms, microphones and tunings.

What a room, a microphone or a tuner does to sound is simple in a spectrogram in dB: a filter adds a curve over the mel
bins, noise adds power, reverberation lets power linger, tuning moves it to a neighbouring bin. This costs milliseconds
where rendering anew costs seconds. Conventions: spectrograms are [F, M] float32, dB, and are never changed in place.
"""

from functools import lru_cache

import numpy as np

from ambient.onsets_and_frames.config import FRAMES_PER_SECOND, MEL_BINS, MEL_HIGH_HZ, MEL_LOW_HZ

GAIN_DB = (-8.0, 2.0)
DETUNED_SHARE, REVERBERANT_SHARE, NOISY_SHARE = 0.5, 0.35, 0.5
DETUNING_CENTS = 12.0  # one standard deviation
_NEPERS = np.float32(np.log(10.0) / 10.0)  # a dB of power


def varied_spectrogram(spectrogram: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a spectrogram as another room, microphone and tuning might have given it."""
    if random.random() < DETUNED_SHARE:
        spectrogram = detuned(spectrogram, random.normal(0.0, DETUNING_CENTS))
    if random.random() < REVERBERANT_SHARE:
        seconds = float(np.exp(random.uniform(np.log(0.3), np.log(3.0))))
        spectrogram = reverberant(spectrogram, seconds=seconds, below_db=random.uniform(4.0, 20.0), random=random)
    spectrogram = spectrogram + np.float32(random.uniform(*GAIN_DB)) + filter_db(random)
    if random.random() < NOISY_SHARE:
        floor_db, loudest_db = float(spectrogram.min()), float(spectrogram.max())
        level_db = random.uniform(floor_db, max(loudest_db - 35.0, floor_db))
        spectrogram = noisy(spectrogram, level_db, random)
    return spectrogram


def detuned(spectrogram: np.ndarray, cents: float) -> np.ndarray:
    """Move everything up by so many hundredths of a semitone, reading between the bins."""
    sources_hz = _bins_hz() / 2.0 ** (cents / 1200.0)
    position = np.interp(sources_hz, _bins_hz(), np.arange(MEL_BINS))
    left = np.minimum(position.astype(int), MEL_BINS - 2)
    share = (position - left).astype(np.float32)
    return np.asarray(spectrogram[:, left] * (1 - share) + spectrogram[:, left + 1] * share, dtype=np.float32)


def reverberant(spectrogram: np.ndarray, *, seconds: float, below_db: float, random: np.random.Generator) -> np.ndarray:
    """Let power linger as in a room.

    Args:
        spectrogram: Without the room.
        seconds: In which the room's answer falls by 60 dB.
        below_db: How far under the sound its answer starts.
        random: Decides how the answer flutters.
    """
    fall_db = np.float32(60.0 / (seconds * FRAMES_PER_SECOND))
    tail, lingering = np.empty_like(spectrogram), spectrogram[0] - np.float32(80.0)
    for frame, row in enumerate(spectrogram):
        tail[frame] = lingering
        lingering = np.maximum(lingering - fall_db, row - np.float32(below_db))
    flutter = random.normal(0.0, 2.0, spectrogram.shape).astype(np.float32)
    return _sum_of_powers(spectrogram, tail + flutter)


def noisy(spectrogram: np.ndarray, level_db: float, random: np.random.Generator) -> np.ndarray:
    """Add noise of about `level_db` a bin, sloping over the bins."""
    slope = random.normal(0.0, 6.0) * np.linspace(-1.0, 1.0, MEL_BINS)
    noise = (level_db + slope + random.normal(0.0, 3.0, spectrogram.shape)).astype(np.float32)
    return _sum_of_powers(spectrogram, noise)


def filter_db(random: np.random.Generator) -> np.ndarray:
    """Return [M] float32 dB: a tilt, a smooth curve, and the small ripple that a room lays over a spectrum."""
    position = np.linspace(-1.0, 1.0, MEL_BINS)
    knots = random.normal(0.0, random.uniform(0.0, 5.0), 14)
    smooth = np.interp(position, np.linspace(-1.0, 1.0, len(knots)), knots)
    ripple = np.convolve(random.normal(0.0, random.uniform(0.0, 3.0), MEL_BINS), (0.25, 0.5, 0.25), mode="same")
    return np.asarray(random.normal(0.0, 4.0) * position + smooth + ripple, dtype=np.float32)


def mixed(spectrogram: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return two spectrograms as if they had sounded together."""
    return _sum_of_powers(spectrogram, other)


def _sum_of_powers(a_db: np.ndarray, b_db: np.ndarray) -> np.ndarray:
    louder = np.maximum(a_db, b_db)
    return np.asarray(louder + np.log1p(np.exp((np.minimum(a_db, b_db) - louder) * _NEPERS)) / _NEPERS, np.float32)


@lru_cache(maxsize=1)
def _bins_hz() -> np.ndarray:
    lowest, highest = (np.log10(1.0 + hz / 700.0) for hz in (MEL_LOW_HZ, MEL_HIGH_HZ))
    return np.asarray(700.0 * (10.0 ** np.linspace(lowest, highest, MEL_BINS + 2)[1:-1] - 1.0))
