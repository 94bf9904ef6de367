"""Measure how loud a piece is as broadcasters do, and plan one gain curve that brings it to the target.

Integrated loudness and true peak follow ITU-R BS.1770-5 and EBU R 128: K-weighting, blocks of 400 ms every 100 ms, an
absolute gate at -70 LUFS and a relative one 10 LU below. Sound is measured while it is made; of a whole hour only the
energies of its 100 ms steps and the peaks of its shortest steps are kept. What would exceed the true peak is turned
down by a look-ahead limiter, and the loudness after it is known from those energies without another pass.

Conventions: sound is [2, samples] float32. Loudness in LUFS, peaks in dB relative to full scale.
"""

import math
from collections.abc import Callable

import numpy as np

from ambient.sound.filters import Filter, Section, spectrum

TARGET_LUFS = -16.0
PEAK_STEP = 64  # samples of which one peak is kept
_STEPS_A_SECOND = 10
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_OFFSET_DB = -0.691  # BS.1770: a full-scale sine of 997 Hz in one channel measures -3.01 LUFS
_MARGIN_DB = 3.0  # a true peak is sought where a sample is nearer to the ceiling than this
_ROUNDS = 24  # each brings a limited piece nearer to the target; a piece without peaks needs one
_NEAR_ENOUGH_LU = 0.05
_LOOK_AHEAD_S, _RELEASE_S = 0.012, 0.25


def k_weighting(rate_hz: int) -> list[Section]:
    """Return BS.1770's two filters for any rate.

    The standard gives coefficients for 48 kHz; the analogue filters behind them are those of De Man, "Evaluation of
    implementations of the EBU R128 loudness measurement", AES 145, 2018.
    """
    gain_db, quality, corner_hz = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k = math.tan(math.pi * corner_hz / rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    a0 = 1.0 + k / quality + k * k
    shelf = (
        (high + band * k / quality + k * k) / a0,
        2.0 * (k * k - high) / a0,
        (high - band * k / quality + k * k) / a0,
        2.0 * (k * k - 1.0) / a0,
        (1.0 - k / quality + k * k) / a0,
    )
    quality, corner_hz = 0.5003270373238773, 38.13547087602444
    k = math.tan(math.pi * corner_hz / rate_hz)
    a0 = 1.0 + k / quality + k * k
    high_pass = (1.0, -2.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0)
    return [shelf, high_pass]


class Meter:
    """Listens to a piece block by block.

    Args:
        rate_hz: Sample rate, a multiple of 10.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._step = rate_hz // _STEPS_A_SECOND
        self._filter = Filter(k_weighting(rate_hz), 2)
        self._open, self._open_samples = 0.0, 0
        self._energies: list[float] = []
        self._peaks: list[np.ndarray] = []
        self.samples = 0

    def __call__(self, sound: np.ndarray) -> None:
        """Take the next block: [2, samples], a multiple of 64 except for the last."""
        weighted = self._filter(sound)
        squares = weighted[0] * weighted[0]
        squares += weighted[1] * weighted[1]
        at = 0
        while at < len(squares):
            take = min(self._step - self._open_samples, len(squares) - at)
            self._open += float(squares[at : at + take].sum(dtype=np.float64))
            self._open_samples += take
            at += take
            if self._open_samples == self._step:
                self._energies.append(self._open / self._step)
                self._open, self._open_samples = 0.0, 0
        loudest = np.maximum(np.abs(sound[0]), np.abs(sound[1]))
        self._peaks.append(np.maximum.reduceat(loudest, np.arange(0, len(loudest), PEAK_STEP)))
        self.samples += sound.shape[1]

    @property
    def energies(self) -> np.ndarray:
        """Mean square of each whole 100 ms after K-weighting, both channels added: [steps]."""
        return np.array(self._energies)

    @property
    def peaks(self) -> np.ndarray:
        """Largest sample of each 64: [peak steps] float32."""
        return np.concatenate(self._peaks) if self._peaks else np.zeros(0, np.float32)

    def loudness_lufs(self) -> float:
        """Return the integrated loudness; -inf for silence or less than 0.4 s."""
        return integrated_lufs(self.energies)


def integrated_lufs(energies: np.ndarray) -> float:
    """Return the gated loudness of 100 ms energies: [steps], channels added."""
    if len(energies) < 4:
        return -math.inf
    blocks = np.convolve(energies, np.full(4, 0.25), mode="valid")
    audible = blocks[blocks > 10 ** ((_ABSOLUTE_GATE_LUFS - _OFFSET_DB) / 10)]
    if not len(audible):
        return -math.inf
    gated = audible[audible > np.mean(audible) * 10 ** (_RELATIVE_GATE_LU / 10)]
    return float(_OFFSET_DB + 10 * np.log10(np.mean(gated)))


def gain_curve(
    meter: Meter,
    read: Callable[[int, int], np.ndarray],
    *,
    target_lufs: float = TARGET_LUFS,
    ceiling_db: float = -1.0,
    fades: np.ndarray | None = None,
) -> np.ndarray:
    """Plan the gain that brings a measured piece to the target without passing the ceiling.

    Args:
        meter: Has heard the whole piece.
        read: `read(first, count)` returns [2, count] samples of the piece again.
        target_lufs: Integrated loudness to reach.
        ceiling_db: Highest true peak.
        fades: [peak steps + 1] a gain that is applied as well, as of a fade; default: none.

    Returns:
        [peak steps + 1] float32: gain at every 64th sample, straight lines between. Silence gets gain 1.
    """
    peaks = meter.peaks
    # Single precision: these arrays are what grows with the piece, by 3 MB a minute.
    around = np.ones(len(peaks) + 1, np.float32) if fades is None else fades.astype(np.float32)
    faded = meter.energies * _mean_square(around, meter)
    loudness = integrated_lufs(faded)
    if loudness == -math.inf:
        return around
    true_peaks = peaks.copy()
    sought = np.zeros(len(peaks), bool)
    level = around * 10 ** ((target_lufs - loudness) / 20)
    ceiling = 10 ** (ceiling_db / 20)
    for _ in range(_ROUNDS):
        local = np.maximum(level[:-1], level[1:])
        near = (true_peaks * local > ceiling * 10 ** (-_MARGIN_DB / 20)) & ~sought
        for begin, end in _runs(near):
            true_peaks[begin:end] = _true_peaks(read, begin, end, meter.samples)
        sought |= near
        curve = level * _limiter(true_peaks * local, ceiling, meter.rate_hz)
        reached = integrated_lufs(meter.energies * _mean_square(curve, meter))
        if abs(reached - target_lufs) < _NEAR_ENOUGH_LU:
            break
        level = level * 10 ** ((target_lufs - reached) / 20)
    return curve


def _limiter(peaks: np.ndarray, ceiling: float, rate_hz: int) -> np.ndarray:
    """Return a smooth gain of at most 1 that keeps every peak under the ceiling: [steps + 1] at the step edges."""
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    if needed.min() >= 1.0:
        return np.ones(len(peaks) + 1, np.float32)
    ahead = max(1, round(_LOOK_AHEAD_S * rate_hz / PEAK_STEP))
    behind = max(1, round(_RELEASE_S * rate_hz / PEAK_STEP))
    # The lowest gain within reach, then a smooth mean over less than that reach: never above what is needed.
    edges = np.ones(len(peaks) + 1, np.float32)
    edges[:-1] = needed
    np.minimum(edges[1:], needed, out=edges[1:])
    low = _lowest(edges, before=ahead + behind, after=2 * ahead)
    width = ahead
    kernel = np.hanning(2 * width + 3)[1:-1]
    kernel = (kernel / kernel.sum()).astype(np.float32)
    smooth = np.convolve(np.pad(low, width, mode="edge"), kernel, mode="valid")
    return np.asarray(np.minimum(smooth, 1.0))


def _lowest(values: np.ndarray, *, before: int, after: int) -> np.ndarray:
    """Return the minimum from `before` steps back to `after` steps ahead of each value."""
    padded = np.pad(values, (before, after), constant_values=np.inf)
    width = before + after + 1
    result = padded.copy()
    reach = 1
    while reach < width:  # minima over doubled reaches
        step = min(reach, width - reach)
        result[: len(result) - step] = np.minimum(result[: len(result) - step], result[step:])
        reach += step
    return result[: len(values)]


def _mean_square(curve: np.ndarray, meter: Meter) -> np.ndarray:
    """Return the mean square of a gain curve in each 100 ms step of the meter."""
    squares = np.square(0.5 * (curve[:-1] + curve[1:]))
    total = np.concatenate([[0.0], np.cumsum(squares, dtype=np.float64)])
    edges = np.arange(len(meter.energies) + 1) * (meter.rate_hz / _STEPS_A_SECOND / PEAK_STEP)
    return np.diff(np.interp(edges, np.arange(len(total)), total)) / (meter.rate_hz / _STEPS_A_SECOND / PEAK_STEP)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return where flags are set, as (begin, end), a second at most each."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    runs = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        runs += [(at, min(at + 750, end)) for at in range(begin, end, 750)]
    return runs


def _true_peaks(read: Callable[[int, int], np.ndarray], begin: int, end: int, samples: int) -> np.ndarray:
    """Return the true peak of each step from `begin` to `end`, by fourfold oversampling: [end - begin]."""
    margin = 64
    first, last = max(0, begin * PEAK_STEP - margin), min(samples, end * PEAK_STEP + margin)
    sound = read(first, last - first)
    padded = np.pad(sound, ((0, 0), (256, 256 + -(sound.shape[1] + 512) % 128)))
    size = padded.shape[1]
    fine = np.abs(np.fft.irfft(spectrum(padded), 4 * size)).max(axis=0) * np.float32(4 * size)
    fine = fine[4 * (256 + begin * PEAK_STEP - first) :]
    steps = min(end * PEAK_STEP, samples) - begin * PEAK_STEP
    return np.asarray(np.maximum.reduceat(fine[: 4 * steps], np.arange(0, 4 * steps, 4 * PEAK_STEP)))
