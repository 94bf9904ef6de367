"""Sounds that are hit and ring: sums of decaying partials, as a string, a bar, a bell or a glass has them.

Each partial is exp((iω - d) t). Written as the product of a slow factor (one value a row of samples) and a quick one
(one value a sample of the row), the sum over all partials of a note is one matrix product a block, exact at any moment
and without state. Partials are sorted by how long they are heard, so that a ringing note costs less and less.

Conventions: Legend: P partials, R rows of a block, K samples of a row.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ambient.sound.preset import Struck

_ROW = 128
_HIGHEST_HZ = 14_000.0
_INAUDIBLE_DB = -84.0
_KNOCKS = 14  # partials of the hammer's noise
_KEPT = 96  # pitches whose tables are kept, 60 kB each


@dataclass(frozen=True, slots=True)
class _Body:
    """The partials of one pitch.

    Attributes:
        hz: [P].
        decay: [P] 1/s.
        level: [P] amplitudes before the hammer.
        hammered: [P] how much of the hammer's low-pass counts: 1 for the tone, 0 for its knock.
        heard_s: [P] falling: how long each is heard.
        rows: [R, P] complex64, from row to row of a block.
        left: [2P, K] float32, from sample to sample of a row.
        right: [2P, K] float32.
    """

    hz: np.ndarray
    decay: np.ndarray
    level: np.ndarray
    hammered: np.ndarray
    heard_s: np.ndarray
    rows: np.ndarray
    left: np.ndarray
    right: np.ndarray


class Bodies:
    """All pitches of one struck tone.

    Args:
        tone: What they sound like.
        rate_hz: Sample rate.
        seed: Chooses phases and noise.
        block: Samples of a block, a multiple of 128.
    """

    def __init__(self, tone: Struck, *, rate_hz: int, seed: int, block: int) -> None:
        self._tone, self._rate_hz, self._seed, self._block = tone, rate_hz, seed, block
        self._made: OrderedDict[int, _Body] = OrderedDict()

    def ring_s(self, pitch: int) -> float:
        """Return how long a note of this pitch is heard if nobody ends it."""
        return float(self._of(pitch).heard_s[0])

    def weights(self, pitch: int, velocity: int) -> np.ndarray:
        """Return the amplitude of each partial for this velocity: [P] float32."""
        body, tone = self._of(pitch), self._tone
        octaves = tone.key_follow * (pitch - 60) / 12 + tone.hammer_octaves * (velocity - 64) / 63
        relative = body.hz / (tone.hammer_hz * 2.0**octaves)
        low_pass = 1.0 / (1.0 + relative**2)
        return np.asarray(body.level * (1.0 - body.hammered + body.hammered * low_pass), np.float32)

    def sound(self, pitch: int, weights: np.ndarray, gains: np.ndarray, first: int, count: int) -> np.ndarray:
        """Return samples of a note: [2, count] float32.

        Args:
            pitch: Of the note.
            weights: [P], as `weights` gives them.
            gains: [2], of the left and the right.
            first: The first sample, counted from the note's start.
            count: How many.
        """
        body = self._of(pitch)
        from_s = first / self._rate_hz
        partials = int(np.searchsorted(-body.heard_s, -from_s))
        if partials == 0:
            return np.zeros((2, count), np.float32)
        start = np.exp((2j * np.pi * body.hz[:partials] - body.decay[:partials]) * from_s) * weights[:partials]
        rows = -(-count // _ROW)
        slow = body.rows[:rows, :partials] * start.astype(np.complex64)  # [R, P]
        pairs = np.ascontiguousarray(slow).view(np.float32)  # [R, 2P]
        sound = np.empty((2, rows, _ROW), np.float32)
        np.matmul(pairs * gains[0], body.left[: 2 * partials], out=sound[0])
        np.matmul(pairs * gains[1], body.right[: 2 * partials], out=sound[1])
        return sound.reshape(2, -1)[:, :count]

    def _of(self, pitch: int) -> _Body:
        if pitch not in self._made:
            self._made[pitch] = self._make(pitch)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(pitch)
        return self._made[pitch]

    def _make(self, pitch: int) -> _Body:
        tone, rate_hz = self._tone, self._rate_hz
        random = np.random.default_rng([self._seed, pitch])
        hz, decay_s, level = self._tonal(pitch, random)
        hammered = np.ones(len(hz))
        if tone.knock_db > -100:
            low, high = tone.knock_hz
            knock_hz = np.exp(random.uniform(np.log(low), np.log(high), _KNOCKS))
            total = np.sqrt(np.sum(np.square(level))) * 10 ** (tone.knock_db / 20)
            hz = np.concatenate([hz, knock_hz])
            decay_s = np.concatenate([decay_s, tone.knock_s * random.uniform(0.5, 1.0, _KNOCKS)])
            level = np.concatenate([level, total / np.sqrt(_KNOCKS) * random.uniform(0.5, 1.5, _KNOCKS)])
            hammered = np.concatenate([hammered, np.zeros(_KNOCKS)])
        # Heard until it is 84 dB below the loudest partial.
        below_db = 20 * np.log10(np.maximum(level / level.max(), 1e-9))
        heard_s = decay_s * np.maximum(below_db - _INAUDIBLE_DB, 0.0) / 60.0
        order = np.argsort(-heard_s, kind="stable")
        hz, decay_s, level, hammered, heard_s = (a[order] for a in (hz, decay_s, level, hammered, heard_s))
        decay = np.log(1000.0) / decay_s
        exponent = (2j * np.pi * hz - decay) / rate_hz
        rows = np.exp(np.outer(np.arange(self._block // _ROW) * _ROW, exponent)).astype(np.complex64)
        phases = random.uniform(-0.5 * np.pi, 0.5 * np.pi, len(hz))
        sides = []
        for side in (-1.0, 1.0):
            lean = random.uniform(-0.35, 0.35, len(hz)) * 1.2  # radians between the ears
            quick = np.exp(np.outer(exponent, np.arange(_ROW))) * np.exp(1j * (phases + side * lean))[:, None]
            table = np.empty((2 * len(hz), _ROW), np.float32)
            table[0::2], table[1::2] = quick.real, -quick.imag  # Re((a + ib)(c + id)) = ac - bd
            sides.append(table)
        return _Body(hz, decay, level, hammered, heard_s, rows, sides[0], sides[1])

    def _tonal(self, pitch: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return hertz, seconds of decay and amplitude of the partials that the pitch has."""
        tone = self._tone
        hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        octaves = (pitch - 60) / 12
        if tone.partials:
            ratio, level_db, decay_s = (np.array(column) for column in zip(*tone.partials, strict=True))
        else:
            n = np.arange(1, tone.harmonics + 1)
            stiffness = tone.inharmonicity * 2.0 ** (0.8 * octaves)  # higher strings are stiffer for their length
            ratio = n * np.sqrt((1.0 + stiffness * n**2) / (1.0 + stiffness))
            level_db = -tone.rolloff_db * np.log2(n)
            if tone.strike:
                level_db = level_db + 20 * np.log10(np.maximum(np.abs(np.sin(np.pi * n * tone.strike)), 0.03))
            decay_s = tone.decay_s / ratio**tone.damping
        decay_s = decay_s * tone.decay_octave**octaves
        hertz, seconds, levels = [], [], []
        for index, cents in enumerate(tone.strings_cents):
            # The strings of a note share its energy; the later ones ring on, as the bridge moves less for them.
            drift = random.uniform(-0.12, 0.12, len(ratio))
            hertz.append(hz * ratio * 2.0 ** ((cents + drift) / 1200))
            seconds.append(decay_s * (1.0 + 0.5 * index))
            levels.append(10 ** (level_db / 20) * (1.0 if index == 0 else 0.6))
        every_hz, every_s, every_level = np.concatenate(hertz), np.concatenate(seconds), np.concatenate(levels)
        kept = (every_hz < min(_HIGHEST_HZ, 0.45 * self._rate_hz)) & (every_hz > 16.0)
        every_level = every_level / np.sqrt(np.sum(np.square(every_level[kept])) / 2 + 1e-12)
        return every_hz[kept], every_s[kept], every_level[kept]
