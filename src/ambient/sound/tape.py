"""Colour a layer as tape does: saturation, wavering pitch, chorus, and a stereo image that narrows towards the bass.

Conventions: sound is [2, samples] float32 at a nominal level of about 0.1 RMS. Everything here carries on from block to
block. Saturation is the odd function tanh, so it adds no DC.
"""

import numpy as np

from ambient.sound.filters import Filter, high_pass
from ambient.sound.preset import Tape

_WOW_HZ, _FLUTTER_HZ = 0.55, 6.3
_CHORUS_S, _CHORUS_DEPTH_S = 0.014, 0.0035
_CHORUS_HZ = (0.31, 0.43)
_STEREO_FROM_HZ = 150.0


class MovingDelay:
    """A delay line that is read at moving positions, with straight lines between samples.

    Args:
        longest: Samples that it can go back, at most.
    """

    def __init__(self, longest: int) -> None:
        self._past = np.zeros((2, longest + 2), np.float32)

    def __call__(self, sound: np.ndarray, delays: np.ndarray) -> np.ndarray:
        """Return the sound as it was `delays` samples ago.

        Args:
            sound: [2, n], the next block.
            delays: [2, n] samples, from 1 to the longest.
        """
        kept = self._past.shape[1]
        line = np.concatenate([self._past, sound], axis=1)
        # The fraction is taken from the delay: single precision would blur it in a position of ten thousands.
        back = np.ceil(delays)
        part = back - delays
        whole = np.arange(kept, kept + sound.shape[1], dtype=np.int32) - back.astype(np.int32)
        result = np.empty_like(sound)
        for side in range(2):
            before, after = line[side].take(whole[side]), line[side].take(whole[side] + 1)
            after -= before
            after *= part[side]
            before += after
            result[side] = before
        self._past = line[:, -kept:].copy()
        return result


def slow_wave(hz: float, phase: float, first: int, count: int, rate_hz: int) -> np.ndarray:
    """Return a sine as [count] float32, computed every 64 samples with straight lines between."""
    steps = -(-count // 64)
    turns = (first + 64 * np.arange(steps + 1)) * (hz / rate_hz) + phase
    values = np.sin(2 * np.pi * turns).astype(np.float32)
    ramp = np.arange(64, dtype=np.float32) / np.float32(64)
    return (values[:-1, None] + (values[1:] - values[:-1])[:, None] * ramp).reshape(-1)[:count]


class MonoBass:
    """Keeps the bass in the middle: takes what lies under 120 Hz out of the difference of left and right.

    Args:
        rate_hz: Sample rate.
    """

    def __init__(self, rate_hz: int) -> None:
        section = high_pass(_STEREO_FROM_HZ, rate_hz)
        self._high_pass = Filter([section, section], 1)

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Return the next block: [2, samples]."""
        middle = (sound[0] + sound[1]) * np.float32(0.5)
        side = self._high_pass(((sound[0] - sound[1]) * np.float32(0.5))[None, :])[0]
        return np.stack([middle + side, middle - side])


class TapeMachine:
    """The tape of one layer.

    Args:
        tape: Its settings.
        rate_hz: Sample rate.
        seed: Decides the phases of what wavers.
    """

    def __init__(self, tape: Tape, *, rate_hz: int, seed: int) -> None:
        self._tape, self._rate_hz = tape, rate_hz
        self._phases = np.random.default_rng([seed, 7]).random(4)
        # A sine of depth d samples and f Hz bends the pitch by 2π f d / rate.
        self._wavers = [
            (hz, (2.0 ** (cents / 1200) - 1.0) * rate_hz / (2 * np.pi * hz))
            for hz, cents in ((_WOW_HZ, tape.wow_cents), (_FLUTTER_HZ, tape.flutter_cents))
            if cents
        ]
        deepest = sum(depth for _, depth in self._wavers)
        self._transport = MovingDelay(int(2 * deepest) + 2) if self._wavers else None
        self._deepest = deepest
        self._chorus = MovingDelay(int((_CHORUS_S + 2 * _CHORUS_DEPTH_S) * rate_hz)) if tape.chorus else None

    def __call__(self, registers: np.ndarray, first: int) -> np.ndarray:
        """Return [2, samples] from the registers [3, 2, samples], which are changed in place."""
        count = registers.shape[2]
        drive = np.float32(10 ** (self._tape.drive_db / 20))
        sound = np.zeros((2, count), np.float32)
        for register, width in zip(registers, self._tape.width, strict=True):
            if not register.any():
                continue
            middle = (register[0] + register[1]) * np.float32(0.5)
            side = (register[0] - register[1]) * np.float32(0.5 * width)
            # Mid and side of decorrelated channels are each 3 dB below them: what the width takes is given back.
            makeup = np.float32(np.sqrt(2.0 / (1.0 + width**2)))
            np.add(middle, side, out=register[0])
            np.subtract(middle, side, out=register[1])
            register *= makeup * drive
            np.tanh(register, out=register)
            register *= 1 / drive
            sound += register
        if self._transport is not None:
            delays: np.ndarray = np.full((2, count), self._deepest + 1.0, np.float32)
            for index, (hz, depth) in enumerate(self._wavers):
                delays += np.float32(depth) * slow_wave(hz, self._phases[index], first, count, self._rate_hz)
            sound = self._transport(sound, delays)
        if self._chorus is not None:
            swing = np.stack(
                [slow_wave(hz, self._phases[2 + i], first, count, self._rate_hz) for i, hz in enumerate(_CHORUS_HZ)]
            )
            swing = (swing * np.float32(_CHORUS_DEPTH_S) + np.float32(_CHORUS_S)) * np.float32(self._rate_hz)
            moved = self._chorus(sound, swing)
            share = np.float32(self._tape.chorus)
            mixed = (sound * (1 - share / 2) + moved[::-1] * share) / np.sqrt(1 + share * share)
            sound = mixed.astype(np.float32)
        return sound
