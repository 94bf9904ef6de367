"""Turn samples into the spectrogram that the network sees: log-mel frames as Magenta's pipeline makes them.

Conventions: F frames, M mel bins. Frame k is centred on sample k * 512; beyond the ends there are zeros, as in librosa
from 0.9 on (the original's pinned 0.7.2 reflected; only the first and last two frames differ). 229 bands from 30 to
8000 Hz, HTK spacing, slaney area normalisation, power spectrum, dB floored at 80 below the loudest bin of the *whole*
recording. Equals librosa 0.11 within 5e-4 dB. Time-domain level: the whole recording is divided by its largest absolute
sample, cut to 16 bits, and divided by 32767. A recording that is out of tune gets bands that are out of tune by as
much, which costs nothing and leaves its time as it is (docs/experiments.md).
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ambient.onsets_and_frames.config import (
    DYNAMIC_RANGE_DB,
    FRAME_S,
    HOP_SAMPLES,
    MEL_BINS,
    MEL_HIGH_HZ,
    MEL_LOW_HZ,
    POWER_FLOOR,
    SAMPLE_RATE_HZ,
    WINDOW_SAMPLES,
)
from ambient.transcribers.tuning import Tuning

FULL_SCALE = 32767.0  # magenta/note-seq audio_io: the largest 16-bit number, not 32768
_FRAMES_A_PIECE = 1024


def frame_count(samples: int) -> int:
    """Return how many frames so many samples make: one fewer than the centred transform yields."""
    return samples // HOP_SAMPLES


def normalised(samples: np.ndarray, peak: float) -> np.ndarray:
    """Bring samples to the level the network knows.

    Args:
        samples: Any shape, float; any scale.
        peak: Largest absolute sample of the whole recording, same scale; 0 for digital silence.

    Returns:
        float32, -1 to 1, on the grid of 16-bit numbers.
    """
    if peak <= 0:
        return np.zeros_like(samples, dtype=np.float32)
    pcm = np.trunc(samples / peak * FULL_SCALE)
    return (pcm / FULL_SCALE).astype(np.float32)


@lru_cache(maxsize=16)
def mel_filters(cents: int = 0) -> np.ndarray:
    """Return the [1025, M] float32 matrix from power spectrum to mel bands.

    Args:
        cents: How sharp the recording is: the bands lie so much higher, and the spectrogram is that of it in tune.
    """
    sharp = 2.0 ** (cents / 1200.0)
    bins_hz = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ)
    edges_mel = np.linspace(_hz_to_mel(MEL_LOW_HZ), _hz_to_mel(MEL_HIGH_HZ), MEL_BINS + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0) * sharp
    widths = np.diff(edges_hz)
    distance = edges_hz[:, None] - bins_hz[None, :]  # [M + 2, 1025]
    rising = -distance[:-2] / widths[:-1, None]
    falling = distance[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles *= (2.0 * sharp / (edges_hz[2:] - edges_hz[:-2]))[:, None]  # the weight of the band in tune
    return triangles.T.astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(np.float32)


def mel_band(hz: np.ndarray) -> np.ndarray:
    """Return the number of the mel band whose middle lies at each frequency, with a fraction between two bands."""
    low_mel, high_mel = _hz_to_mel(MEL_LOW_HZ), _hz_to_mel(MEL_HIGH_HZ)
    return np.asarray((_hz_to_mel(hz) - low_mel) / (high_mel - low_mel) * (MEL_BINS + 1) - 1)


def _hz_to_mel(hz: np.ndarray | float) -> np.ndarray:
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))


def mel_db(samples: np.ndarray, frames: int, cents: np.ndarray | None = None) -> np.ndarray:
    """Return log-mel frames before the floor is applied.

    Args:
        samples: [frames * 512 + 1536 or more] float32 that begin 1024 samples before the centre of the first frame.
        frames: How many frames to make.
        cents: [frames], how sharp the recording is there; the bands follow it to the cent.

    Returns:
        [F, M] float32, dB.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES][:frames]
    bands = np.empty((frames, MEL_BINS), dtype=np.float32)
    tuning = np.zeros(frames, dtype=int) if cents is None else np.round(cents).astype(int)
    changes = (np.flatnonzero(np.diff(tuning)) + 1).tolist()
    for start, end in pairwise(sorted({*range(0, frames, _FRAMES_A_PIECE), *changes, frames})):
        spectrum = np.fft.rfft(windows[start:end] * _window(), axis=1)  # [F, 1025]
        bands[start:end] = (spectrum.real**2 + spectrum.imag**2) @ mel_filters(int(tuning[start]))
    return 10.0 * np.log10(np.maximum(bands, POWER_FLOOR))  # [F, M]


def mel_db_between(
    read: Callable[[int, int], np.ndarray],
    first: int,
    last: int,
    total_samples: int,
    tuning: Tuning | None = None,
) -> np.ndarray:
    """Return log-mel frames `first` to `last` (not included) of a recording that is read as needed, without the floor.

    Args:
        read: Called with a first sample and a count, both inside the recording; returns normalised float32 samples.
        first: First frame, from 0.
        last: One past the last frame.
        total_samples: Length of the recording.
        tuning: How sharp it is; the frames are those of the recording in tune.

    Returns:
        [last - first, M] float32, dB.
    """
    begin = first * HOP_SAMPLES - WINDOW_SAMPLES // 2
    end = (last - 1) * HOP_SAMPLES + WINDOW_SAMPLES // 2
    inside_begin, inside_end = max(begin, 0), min(end, total_samples)
    samples = read(inside_begin, max(inside_end - inside_begin, 0))
    padded = np.pad(samples, (inside_begin - begin, end - inside_begin - len(samples)))
    cents = None if tuning is None else tuning.at(np.arange(first, last) * FRAME_S)
    return mel_db(padded, last - first, cents)


def floored(bands_db: np.ndarray, loudest_db: float) -> np.ndarray:
    """Raise everything to at least 80 dB below the loudest bin of the whole recording."""
    return np.maximum(bands_db, np.float32(loudest_db - DYNAMIC_RANGE_DB))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the spectrogram of a whole recording held in memory.

    Args:
        samples: [samples] mono at 16 kHz, any scale.

    Returns:
        [F, M] float32, dB, with F = samples // 512.
    """
    frames = frame_count(len(samples))
    if frames == 0:
        return np.zeros((0, MEL_BINS), dtype=np.float32)
    level = normalised(samples, float(np.max(np.abs(samples))))
    bands = mel_db_between(lambda start, count: level[start : start + count], 0, frames, len(level))
    return floored(bands, float(bands.max()))
