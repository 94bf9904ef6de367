"""A plain room, an even loudness and a soft end for recordings that stand for a person's: sample songs and benchmarks.

Music to be listened to goes through `space` and `loudness`. This one is kept as it was when the songs were made and the
transcriber was measured on recordings in it; with another room they would be other recordings, and the figures gone.

Conventions: sound is [samples, channels] float32, -1 to 1. Levels are dB relative to full scale. The room is noise that
dies away exponentially, the usual model of a late reverberation (Moorer, "About this reverberation business", 1979),
with highs dying twice as fast as lows; nothing is recorded in a real place.
"""

import numpy as np

PEAK_DB = -1.0  # room for what an MP3 encoder overshoots
LOUDNESS_DB = -19.0  # between the -18 and -20 of quiet streaming music; gated RMS, without the K-weighting of BS.1770
ROOM_S = 3.5  # until the reverberation is 60 dB down
_PRE_DELAY_S = 0.02
_BLOCK_S = 0.4  # BS.1770 measures in blocks of 400 ms and leaves out those 10 dB below the mean of the audible ones
_AUDIBLE_DB = -70.0
_INAUDIBLE_END_DB = -60.0
_GATE_DB = -10.0


def add_reverb(sound: np.ndarray, *, rate_hz: int, amount: float, seed: int = 0, room_s: float = ROOM_S) -> np.ndarray:
    """Put the sound into a room.

    Args:
        sound: [samples, channels].
        rate_hz: Its sample rate.
        amount: 0-1. 0 leaves the sound as it is, 1 gives the room alone, as loud as the sound was.
        seed: Chooses the noise that is the room.
        room_s: Until the reverberation is 60 dB down.

    Returns:
        [samples + room, channels]; longer by the room, also with amount 0.
    """
    wet = convolve(sound, room_response(rate_hz, channels=sound.shape[1], seed=seed, room_s=room_s))
    dry_rms, wet_rms = _rms(sound), _rms(wet[: len(sound)])
    for channel in range(sound.shape[1]):  # one at a time, for the memory's sake
        wet[:, channel] *= np.float32(np.sqrt(amount) * (dry_rms / wet_rms if wet_rms else 0.0))
        wet[: len(sound), channel] += sound[:, channel] * np.float32(np.sqrt(1.0 - amount))
    return wet


def room_response(rate_hz: int, *, channels: int, seed: int, room_s: float = ROOM_S) -> np.ndarray:
    """Return the room's impulse response: [samples, channels] float32, unit energy in each channel."""
    samples = round(room_s * rate_hz)
    time_s = np.arange(samples) / rate_hz
    noise = np.random.default_rng(seed).standard_normal((samples, channels))
    low = _smoothed(noise, round(rate_hz / 1500))
    bright, dark = noise - low, 2.5 * low  # the mean of n samples is weaker: about as loud as the rest
    decay = np.power(10.0, -3.0 * time_s / room_s)[:, None]  # 60 dB in room_s
    response = dark * decay + 0.5 * bright * np.square(decay)
    response[: round(_PRE_DELAY_S * rate_hz)] = 0.0
    return (response / np.sqrt(np.sum(np.square(response), axis=0))).astype(np.float32)


def convolve(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve channel by channel in blocks (overlap-add), so that memory grows only with the result.

    Returns:
        [samples + response samples - 1, channels] float32.
    """
    size = 1 << int(2 * len(response) - 1).bit_length()
    step = size - len(response) + 1
    result = np.zeros((len(sound) + len(response) - 1, sound.shape[1]), np.float32)
    for channel in range(sound.shape[1]):
        spectrum = np.fft.rfft(response[:, channel], size)
        for start in range(0, len(sound), step):
            block = np.fft.irfft(np.fft.rfft(sound[start : start + step, channel], size) * spectrum, size)
            end = min(start + size, len(result))
            result[start:end, channel] += block[: end - start]
    return result


def loudness_db(sound: np.ndarray, *, rate_hz: int) -> float:
    """Measure the RMS of the parts that sound: blocks of 0.4 s, those far below the others left out.

    Returns:
        dB relative to full scale; -inf for silence.
    """
    powers = _powers(sound, round(_BLOCK_S * rate_hz))
    audible = powers[powers > 10 ** (_AUDIBLE_DB / 10)]
    if not len(audible):
        return -np.inf
    gated = audible[audible > np.mean(audible) * 10 ** (_GATE_DB / 10)]
    return float(10 * np.log10(np.mean(gated)))


def normalise(sound: np.ndarray, *, rate_hz: int, target_db: float = LOUDNESS_DB) -> np.ndarray:
    """Bring the sound to the target loudness, or as near as its peaks stay below -1 dB; silence stays silent.

    Changes the array in place and returns it.
    """
    loudness = loudness_db(sound, rate_hz=rate_hz)
    if loudness > -np.inf:
        peak = max(float(sound.max()), -float(sound.min()))
        sound *= np.float32(min(10 ** ((target_db - loudness) / 20), 10 ** (PEAK_DB / 20) / peak))
    return sound


def without_silent_end(sound: np.ndarray, *, rate_hz: int) -> np.ndarray:
    """Cut what is below -60 dB at the end, in steps of 0.4 s."""
    block = round(_BLOCK_S * rate_hz)
    sounding = np.flatnonzero(_powers(sound, block) > 10 ** (_INAUDIBLE_END_DB / 10))
    return sound[: (sounding[-1] + 1) * block] if len(sounding) else sound


def fade_out(sound: np.ndarray, *, rate_hz: int, seconds: float) -> np.ndarray:
    """Let the last seconds die away along a cosine; changes the array in place and returns it."""
    samples = min(len(sound), round(seconds * rate_hz))
    if samples:
        sound[-samples:] *= (0.5 + 0.5 * np.cos(np.linspace(0.0, np.pi, samples, dtype=np.float32)))[:, None]
    return sound


def _smoothed(signal: np.ndarray, samples: int) -> np.ndarray:
    """Return the running mean over `samples`, which keeps what is slow."""
    total = np.cumsum(np.concatenate([np.zeros((samples, signal.shape[1])), signal]), axis=0)
    return (total[samples:] - total[:-samples]) / samples


def _rms(sound: np.ndarray) -> float:
    """Return the RMS, block by block so that a long piece needs no second copy."""
    powers = _powers(sound, 1 << 16)
    return float(np.sqrt(np.mean(powers))) if len(powers) else 0.0


def _powers(sound: np.ndarray, block: int) -> np.ndarray:
    """Return the mean square of each block of samples, the last one shorter."""
    starts = range(0, len(sound), block)
    return np.array([np.mean(np.square(sound[i : i + block], dtype=np.float64)) for i in starts])
