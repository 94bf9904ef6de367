"""Put a layer into a room whose tail moves, with an echo: one impulse response, convolved block by block.

The room is noise that dies away exponentially, in bands that die at their own rates (Moorer, "About this reverberation
business", 1979; Jot, "An analysis/synthesis approach to real-time artificial reverberation", 1992), different on the
left and the right above 200 Hz and equal below, so that the bass stays in the middle. Echoes are further, duller pulses
in the same response. The convolution is partitioned and uniform: spectra of past blocks are kept and multiplied with
those of the response (Gardner, "Efficient convolution without input-output delay", 1995). Its output runs through
delays that move by a few milliseconds, so that no two moments of the tail are alike and its modes never ring.

Conventions: sound is [2, samples] float32, blocks of BLOCK samples.
"""

import numpy as np

from ambient.sound.filters import spectrum
from ambient.sound.preset import Space
from ambient.sound.tape import MovingDelay, slow_wave
from ambient.sound.voices import BLOCK

_BANDS_HZ = (0.0, 200.0, 700.0, 2200.0, 5500.0)  # lower edges
_MONO_BELOW = 1  # bands
_HIGH_PASS_HZ = 90.0  # the room of a record has no bass of its own
_MOTION_S = 0.009
_MOTION_HZ = (0.13, 0.17)
_ECHOES = 7
_INAUDIBLE = 3e-4  # of the loudest bin: 70 dB below it


class Room:
    """A space that sound is put into, block by block.

    Args:
        space: Its settings.
        rate_hz: Sample rate.
        seed: Chooses the noise that is the room.
    """

    def __init__(self, space: Space, *, rate_hz: int, seed: int) -> None:
        self._space, self._rate_hz = space, rate_hz
        self.dry = np.float32(np.sqrt(1.0 - space.amount))  # equal power
        response = impulse_response(space, rate_hz=rate_hz, seed=seed)
        self.tail = response.shape[1] + int(2 * _MOTION_S * rate_hz)
        count = -(-response.shape[1] // BLOCK)
        padded = np.zeros((2, count * BLOCK), np.float32)
        padded[:, : response.shape[1]] = response
        parts = np.zeros((2, count, 2 * BLOCK), np.float32)
        parts[:, :, :BLOCK] = padded.reshape(2, count, BLOCK)
        spectra = spectrum(parts) * np.float32((2 * BLOCK) ** 2)  # [2, count, bins]; of both transforms' 1 / n
        # The treble of a late partition is silent: only the bins below are multiplied.
        loud = np.abs(spectra).max(axis=0) > _INAUDIBLE * np.abs(spectra).max()
        self._bins = [int(np.flatnonzero(row)[-1]) + 1 if row.any() else 0 for row in loud]
        self._spectra = [np.ascontiguousarray(spectra[:, i, :bins]) for i, bins in enumerate(self._bins)]
        self._history = np.zeros((count, 2, max(self._bins)), np.complex64)
        self._newest = 0
        # Buffers are kept: asking the system for them anew takes longer than the arithmetic.
        self._frame = np.zeros((2, 2 * BLOCK), np.float32)
        self._spectrum, self._total = np.zeros((2, 2, BLOCK + 1), np.complex64)
        self._product = np.empty((2, max(self._bins)), np.complex64)
        self._answer = np.empty((2, 2 * BLOCK), np.float32)
        self._moving = MovingDelay(int(2 * _MOTION_S * rate_hz) + 3)
        self._phases = np.random.default_rng([seed, 11]).random(2)

    def __call__(self, dry: np.ndarray, first: int) -> np.ndarray:
        """Return what the room answers to the block; the block itself is added at level `dry` by the caller.

        Args:
            dry: [2, BLOCK].
            first: Its first sample.
        """
        if self._space.amount == 0.0:
            return np.zeros_like(dry)
        wet = self._convolved(dry)
        if self._space.motion:
            depth = np.float32(self._space.motion * _MOTION_S * self._rate_hz)
            delays = np.stack(
                [slow_wave(hz, self._phases[i], first, BLOCK, self._rate_hz) for i, hz in enumerate(_MOTION_HZ)]
            )
            wet = self._moving(wet, (delays + np.float32(1.0)) * depth + np.float32(1.0))
        wet *= np.float32(np.sqrt(self._space.amount))
        return wet

    def _convolved(self, dry: np.ndarray) -> np.ndarray:
        frame, newest, total = self._frame, self._spectrum, self._total
        frame[:, :BLOCK] = frame[:, BLOCK:]
        frame[:, BLOCK:] = dry
        spectrum(frame, out=newest)
        self._newest = (self._newest - 1) % len(self._history)
        self._history[self._newest] = newest[:, : self._history.shape[2]]
        total[:] = 0.0
        for age, part in enumerate(self._spectra):
            bins = part.shape[1]
            past, product = self._history[(self._newest + age) % len(self._history), :, :bins], self._product[:, :bins]
            np.multiply(past, part, out=product)
            total[:, :bins] += product
        np.fft.irfft(total, out=self._answer)  # type: ignore[arg-type] # numpy's annotation knows double precision only
        return self._answer[:, BLOCK:].copy()


def impulse_response(space: Space, *, rate_hz: int, seed: int) -> np.ndarray:
    """Return what a clap in the room sounds like: [2, samples] float32, unit energy in each channel."""
    seconds = space.reverb_s * max(space.bass, 1.0, space.treble) + space.predelay_s
    reverb = int(seconds * rate_hz)
    size = 1 << (reverb - 1).bit_length()
    random = np.random.default_rng([seed, 3])
    frequency_hz = np.fft.rfftfreq(size, 1 / rate_hz).astype(np.float32)
    noise = [_noise(len(frequency_hz), random) for _ in range(2)]
    time_s = np.arange(reverb, dtype=np.float32) / np.float32(rate_hz)
    result = np.zeros((2, reverb), np.float32)
    colour = 1.0 / np.sqrt(1.0 + np.square(frequency_hz / np.float32(space.dark_hz)) ** 2)
    colour *= 1.0 / np.sqrt(1.0 + (np.float32(_HIGH_PASS_HZ) / np.maximum(frequency_hz, 1.0)) ** 4)
    for band, low_hz in enumerate(_BANDS_HZ):
        high_hz = _BANDS_HZ[band + 1] if band + 1 < len(_BANDS_HZ) else rate_hz
        weight = _rise(frequency_hz, low_hz) * (1.0 - _rise(frequency_hz, high_hz)) * colour
        share = band / (len(_BANDS_HZ) - 1)
        longer = (
            space.bass + (1.0 - space.bass) * 2 * share if share < 0.5 else 1.0 + (space.treble - 1.0) * (2 * share - 1)
        )
        decay = np.power(np.float32(10.0), np.float32(-3.0 / (space.reverb_s * longer)) * time_s)
        for side in range(2):
            source = noise[0] if band < _MONO_BELOW else noise[side]
            result[side] += np.fft.irfft(source * weight, size)[:reverb].astype(np.float32) * decay
    if space.bloom_s:
        result *= 1.0 - np.exp(-time_s / np.float32(space.bloom_s))
    result = _delayed(result, int(space.predelay_s * rate_hz))
    result[:, -rate_hz // 5 :] *= np.linspace(1.0, 0.0, rate_hz // 5, dtype=np.float32)
    result /= np.sqrt(np.sum(np.square(result), axis=1, keepdims=True))
    return _with_echoes(result, space, rate_hz=rate_hz)


def _with_echoes(room: np.ndarray, space: Space, *, rate_hz: int) -> np.ndarray:
    """Add the echo's repeats, from side to side, each duller than the one before."""
    if not space.echo_s:
        return room
    step = int(space.echo_s * rate_hz)
    repeats = [space.echo_feedback**k for k in range(_ECHOES) if space.echo_feedback**k > 0.03]
    result = np.zeros((2, max(room.shape[1], step * len(repeats) + rate_hz // 20)), np.float32)
    result[:, : room.shape[1]] = room
    for k, gain in enumerate(repeats):
        width = int(rate_hz * (0.00015 + 0.00012 * k))
        pulse = np.hanning(width + 2)[1:-1].astype(np.float32)
        pulse *= np.float32(gain * 10 ** (space.echo_db / 20)) / pulse.sum()
        near = k % 2
        at = step * (k + 1)
        result[near, at : at + width] += pulse
        result[1 - near, at : at + width] += np.float32(0.35) * pulse
    return result


def _noise(bins: int, random: np.random.Generator) -> np.ndarray:
    phases = random.random(bins, dtype=np.float32)
    spectrum = np.exp(2j * np.pi * phases).astype(np.complex64)
    spectrum[0] = spectrum[-1] = 0.0
    return spectrum


def _rise(frequency_hz: np.ndarray, corner_hz: float) -> np.ndarray:
    """Return a crossover: 0 half an octave below the corner, 1 half an octave above."""
    if corner_hz <= 0:
        return np.ones_like(frequency_hz)
    octaves = np.log2(np.maximum(frequency_hz, 1.0) / np.float32(corner_hz))
    return np.square(np.sin(0.5 * np.pi * np.clip(octaves + 0.5, 0.0, 1.0))).astype(np.float32)


def _delayed(sound: np.ndarray, samples: int) -> np.ndarray:
    result = np.zeros_like(sound)
    result[:, samples:] = sound[:, : sound.shape[1] - samples]
    return result
