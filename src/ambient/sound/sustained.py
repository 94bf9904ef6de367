"""Sounds that last as long as their note: bands of partials around each harmonic, in loops that never click.

A loop is one inverse Fourier transform of a spectrum whose lines have random phases, so that it is exactly periodic,
has no discontinuity and no alias, and sounds like several players rather than one (PADsynth: Nasca Octavian Paul,
zynaddsubfx.sourceforge.io/doc/PADsynth). Each pitch has a dark and a bright loop with the same phases; fading from one
into the other is a low-pass that opens.

Conventions: amplitudes are relative to a loop of RMS 1. Legend: L samples of a loop, n samples of a block.
"""

import bisect
from collections import OrderedDict

import numpy as np

from ambient.sound.preset import Sustained

CACHE_BYTES = 96 << 20
_LOOP_S = 2.7  # about; twice that in the lower half
_HIGHEST_HZ = 16_000.0
_QUIETEST_DB = -80.0
_PHASES = 1 << 18  # random phases that are drawn once; each pitch takes a stretch of them
_SPREAD = 3.0  # standard deviations of a band that are drawn
_NARROW_BINS = 0.5


def smooth_sizes(low: int, high: int) -> list[int]:
    """Return the even numbers from low to high without a prime factor above 5: lengths that transform quickly."""
    found = set()
    two = 2
    while two <= high:
        three = two
        while three <= high:
            five = three
            while five <= high:
                if five >= low:
                    found.add(five)
                five *= 5
            three *= 3
        two *= 2
    return sorted(found)


def loop_size(sizes: list[int], hz: float, rate_hz: int, seconds: float) -> int:
    """Return the length that holds a whole number of periods as nearly as possible, so that the loop is in tune.

    Args:
        sizes: The lengths to choose from, rising.
        hz: The pitch.
        rate_hz: Sample rate.
        seconds: About how long.
    """
    near = sizes[bisect.bisect(sizes, 0.87 * seconds * rate_hz) : bisect.bisect(sizes, 1.15 * seconds * rate_hz)]
    return min(near, key=lambda size: abs(size * hz / rate_hz - round(size * hz / rate_hz)))


class Loops:
    """The loops of one tone, made when they are first needed and forgotten when memory is short.

    Args:
        tone: What they sound like.
        rate_hz: Sample rate.
        seed: Chooses the phases.
        block: Samples that are read at once, at most.
    """

    def __init__(self, tone: Sustained, *, rate_hz: int, seed: int, block: int) -> None:
        self._tone, self._rate_hz, self._seed, self._block = tone, rate_hz, seed, block
        self._made: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._sizes = smooth_sizes(int(0.8 * _LOOP_S * rate_hz), int(2.4 * _LOOP_S * rate_hz))
        self._sigma = max((2.0 ** (tone.bandwidth_cents / 1200) - 1.0) / 2, 1e-5)
        places = np.array([2.0 ** (cents / 1200) - 1.0 for cents in tone.unison_cents])
        widest = float(np.abs(places).max()) + _SPREAD * self._sigma
        self._offsets = np.linspace(-widest, widest, 1 + 2 * int(8 * widest / self._sigma))
        self._band = np.exp(-0.5 * np.square((self._offsets[:, None] - places) / self._sigma)).sum(axis=1)
        turns = np.random.default_rng(seed).random(_PHASES, dtype=np.float32)
        self._phases = np.exp(np.complex64(2j * np.pi) * turns)

    def of(self, pitch: int) -> np.ndarray:
        """Return [2, L + block] float32: the dark and the bright loop, their beginning once more at their end.

        A tone that does not open has one loop.
        """
        if pitch in self._made:
            self._made.move_to_end(pitch)
            return self._made[pitch]
        pair = self._make(pitch)
        self._made[pitch] = pair
        self._bytes += pair.nbytes
        while self._bytes > CACHE_BYTES and len(self._made) > 1:
            self._bytes -= self._made.popitem(last=False)[1].nbytes
        return pair

    def _make(self, pitch: int) -> np.ndarray:
        hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        size = loop_size(self._sizes, hz, self._rate_hz, (2.0 if pitch < 60 else 1.0) * _LOOP_S)
        resolution_hz = self._rate_hz / size
        power = self._power(pitch, round(hz / resolution_hz) * resolution_hz, size)
        frequency_hz = np.arange(len(power), dtype=np.float32) * np.float32(resolution_hz)
        amplitude = np.sqrt(power)
        sides = (False, True) if self._tone.opens else (True,)
        random = np.random.default_rng([self._seed, pitch])
        at = int(random.integers(_PHASES - len(power)))
        phased = amplitude * self._phases[at : at + len(power)]
        spectra = np.stack([phased * self._colour(frequency_hz, pitch, bright=bright) for bright in sides])
        loops = np.fft.irfft(spectra, size)
        levels = np.sqrt(np.mean(np.square(loops), axis=1))
        # What the filter takes from the dark loop is given back by half, so that soft notes are dark and not gone.
        loops /= np.sqrt(levels * levels[-1])[:, None] + np.float32(1e-20)
        return np.concatenate([loops, loops[:, : self._block]], axis=1).astype(np.float32)

    def _power(self, pitch: int, hz: float, size: int) -> np.ndarray:
        """Return the power in each bin before the filters: a band around every partial of every voice, and noise."""
        tone = self._tone
        resolution_hz = self._rate_hz / size
        highest_hz = min(_HIGHEST_HZ, 0.45 * self._rate_hz)
        bins = int(highest_hz / resolution_hz) + 1
        power = np.zeros(bins, np.float32)
        for ratio, level_db in self._partials(hz, highest_hz):
            centre = hz * ratio / resolution_hz
            wider = ratio ** (tone.bandwidth_growth - 1.0)
            gain = 10 ** (level_db / 10)
            if self._sigma * wider * centre < _NARROW_BINS:
                # A line, not a band: spread over some bins of the loop it would beat as slowly as the loop repeats.
                for cents in tone.unison_cents:
                    at = round(centre * 2.0 ** (cents / 1200))
                    if at < bins:
                        power[at] += gain / len(tone.unison_cents)
                continue
            reach = float(self._offsets[-1]) * wider * centre
            begin, end = max(int(centre - reach), 1), min(int(centre + reach) + 2, bins)
            if begin < end:
                away = (np.arange(begin, end) - centre) / (centre * wider)
                shape = np.interp(away, self._offsets, self._band)
                power[begin:end] += shape * (gain / (shape.sum() + 1e-9))
        low_hz, high_hz = tone.noise_hz
        begin, end = int(low_hz / resolution_hz), min(int(high_hz / resolution_hz), bins)
        if tone.noise_db > -100 and begin < end:
            hill = np.square(np.sin(np.linspace(0, np.pi, end - begin, dtype=np.float32)))
            power[begin:end] += hill * np.float32(power.sum() * 10 ** (tone.noise_db / 10) / hill.sum())
        return power

    def _partials(self, hz: float, highest_hz: float) -> list[tuple[float, float]]:
        tone = self._tone
        if tone.partials:
            return [(ratio, db) for ratio, db in tone.partials if ratio * hz < highest_hz]
        levels = []
        for n in range(1, int(highest_hz / hz) + 1):
            db = -tone.rolloff_db * np.log2(n) + (tone.even_db if n % 2 == 0 else 0.0)
            if db < _QUIETEST_DB or n > 160:
                break
            levels.append((float(n), float(db)))
        if tone.sub_db > -100:
            levels.append((0.5, tone.sub_db))
        return levels

    def _colour(self, frequency_hz: np.ndarray, pitch: int, *, bright: bool) -> np.ndarray:
        """Return low-pass and formants: the gain of each bin, float32."""
        tone = self._tone
        corner_hz = (tone.bright_hz if bright else tone.soft_hz) * 2.0 ** (tone.key_follow * (pitch - 60) / 12)
        gain = 1.0 / np.sqrt(1.0 + np.square(np.square(frequency_hz / np.float32(corner_hz))))
        for centre_hz, db, width_hz in tone.formants_bright if bright else tone.formants_soft:
            hill = np.exp(-np.square((frequency_hz - np.float32(centre_hz)) / np.float32(width_hz)))
            gain *= np.float32(1.0) + np.float32(10 ** (db / 20) - 1.0) * hill
        return gain
