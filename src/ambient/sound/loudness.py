"""Measure how loud a piece is as broadcasters do, and plan one gain curve that brings it to the target.

Integrated loudness and true peak follow ITU-R BS.1770-5 and EBU R 128: K-weighting, blocks of 400 ms every 100 ms, an
absolute gate at -70 LUFS and a relative one 10 LU below. Sound is measured while it is made; of a whole hour only the
energies of its 100 ms steps and the peaks of its shortest steps are kept, 11 MB. What would exceed the true peak is
turned down by a look-ahead limiter, and the loudness after it is known from those energies without another pass. The
gain follows from what is near, so it is computed a stretch at a time, whenever it is asked for.

Conventions: sound is [2, samples] float32. Loudness in LUFS, peaks in dB relative to full scale.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
_STRETCH = 1 << 15  # peak steps of which the gain is computed at once
_MARGIN, _PADDING = 64, 256  # samples around those whose true peak is sought, and zeros around them
_SOUGHT_AT_ONCE = 1 << 14  # samples


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
        with_peaks: Keep the peaks too, which a gain curve needs.
    """

    def __init__(self, rate_hz: int, *, with_peaks: bool = True) -> None:
        self.rate_hz = rate_hz
        self._step = rate_hz // _STEPS_A_SECOND
        self._filter = Filter(k_weighting(rate_hz), 2)
        self._open, self._open_samples = 0.0, 0
        self._energies = array("d")
        self._peaks = bytearray() if with_peaks else None  # bytes grow in place
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
        if self._peaks is not None:
            loudest = np.maximum(np.abs(sound[0]), np.abs(sound[1]))
            self._peaks += np.maximum.reduceat(loudest, np.arange(0, len(loudest), PEAK_STEP)).tobytes()
        self.samples += sound.shape[1]

    @property
    def energies(self) -> np.ndarray:
        """Mean square of each whole 100 ms after K-weighting, both channels added: [steps]."""
        return np.array(self._energies)

    @property
    def peaks(self) -> np.ndarray:
        """Largest sample of each 64: [peak steps] float32, a view; the meter hears no more while it is in use."""
        assert self._peaks is not None
        return np.frombuffer(self._peaks, np.float32)

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


@dataclass(frozen=True, slots=True)
class Fades:
    """How a piece begins and ends: full level, then a raised cosine down, then nothing.

    Attributes:
        steps: Where nothing is left, in peak steps.
        width: Peak steps that the way down takes.
    """

    steps: int
    width: int

    def values(self, begin: int, end: int) -> np.ndarray:
        """Return the gain at the step edges from `begin` to `end`: [end - begin + 1] float32."""
        if end <= self.steps - self.width:
            return np.ones(end - begin + 1, np.float32)
        at = np.arange(begin, end + 1)
        gone = np.clip(at - (self.steps - self.width), 0, self.width)
        level = 0.5 + 0.5 * np.cos(gone * (np.pi / max(self.width, 1)))
        return np.where(at <= self.steps, level, 0.0).astype(np.float32)


class GainCurve:
    """The gain at every 64th sample, straight lines between; any stretch of it is computed when it is asked for.

    Args:
        peaks: [peak steps] largest samples, some of them true peaks.
        ceiling: Largest true peak.
        rate_hz: Sample rate.
        fades: Applied as well; None for none.
    """

    def __init__(self, peaks: np.ndarray, ceiling: float, rate_hz: int, fades: Fades | None) -> None:
        self.steps = len(peaks)
        self._peaks, self._ceiling, self._fades = peaks, ceiling, fades
        self._factors: list[float] = []
        self._limits = False
        self._ahead = max(1, round(_LOOK_AHEAD_S * rate_hz / PEAK_STEP))
        self._behind = max(1, round(_RELEASE_S * rate_hz / PEAK_STEP))
        kernel = np.hanning(2 * self._ahead + 3)[1:-1]
        self._kernel = (kernel / kernel.sum()).astype(np.float32)

    def turn(self, factor: float) -> None:
        """Turn everything up or down before the limiter."""
        self._factors.append(factor)

    def reaching(self, begin: int, end: int) -> np.ndarray:
        """Return the peaks that the limiter would meet in the steps from `begin` to `end`: [end - begin]."""
        level = self._level(begin, end)
        return np.asarray(self._peaks[begin:end] * np.maximum(level[:-1], level[1:]))

    def look(self) -> None:
        """Find out whether there is anything to limit."""
        # The same quotient as in `values`: where it is 1 everywhere, so is the limiter.
        self._limits = any(float(self._needed(begin, end).min(initial=1.0)) < 1.0 for begin, end in self.stretches())

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of stretches that together are the piece."""
        for begin in range(0, self.steps, _STRETCH):
            yield begin, min(begin + _STRETCH, self.steps)

    def values(self, begin: int, end: int) -> np.ndarray:
        """Return the gain at the step edges from `begin` to `end`: [end - begin + 1] float32."""
        level = self._level(begin, end)
        if not self._limits:
            return level
        # The lowest gain within reach, then a smooth mean over less than that reach: never above what is needed.
        width, before, after = self._ahead, self._ahead + self._behind, 2 * self._ahead
        first, last = max(0, begin - width), min(self.steps, end + width)  # edges that the mean takes in
        low = _lowest(self._edges(first - before, last + after), before=before, after=after)
        beyond = first - begin + width, end + width - last
        if any(beyond):  # at the ends of the piece; padding takes longer than all the rest
            low = np.pad(low, beyond, mode="edge")
        smooth = np.convolve(low, self._kernel, mode="valid")
        return np.asarray(level * np.minimum(smooth, 1.0))

    def _level(self, begin: int, end: int) -> np.ndarray:
        level = self._fades.values(begin, end) if self._fades else np.ones(end - begin + 1, np.float32)
        for factor in self._factors:
            level = level * factor
        return level

    def _needed(self, begin: int, end: int) -> np.ndarray:
        return np.minimum(1.0, self._ceiling / np.maximum(self.reaching(begin, end), 1e-12))

    def _edges(self, begin: int, end: int) -> np.ndarray:
        """Return the largest gain at each step edge from `begin` to `end`; 1 outside the piece."""
        edges = np.ones(end - begin + 1, np.float32)
        first, last = max(0, begin - 1), min(self.steps, end + 1)  # steps that touch these edges
        needed = self._needed(first, last)
        for shift in (0, 1):  # the edges before and after each step
            at = first + shift - begin
            skip = max(0, -at)
            count = min(len(needed), len(edges) - at) - skip
            part = edges[at + skip : at + skip + count]
            np.minimum(part, needed[skip : skip + count], out=part)
        return edges


def gain_curve(
    meter: Meter,
    read: Callable[[int, int], np.ndarray],
    *,
    target_lufs: float = TARGET_LUFS,
    ceiling_db: float = -1.0,
    fades: Fades | None = None,
) -> GainCurve:
    """Plan the gain that brings a piece to a loudness and its true peaks under the ceiling.

    Args:
        meter: Has heard the whole piece; its peaks are replaced by true peaks where they are sought.
        read: `read(first, count)` returns [2, count] samples of the piece again.
        target_lufs: Integrated loudness to reach.
        ceiling_db: Highest true peak.
        fades: How it begins and ends.

    Returns:
        The gain. Silence gets gain 1.
    """
    ceiling = 10 ** (ceiling_db / 20)
    curve = GainCurve(meter.peaks, ceiling, meter.rate_hz, fades)
    loudness = integrated_lufs(meter.energies * _mean_square(curve, meter))
    if loudness == -math.inf:
        return curve
    sought = np.zeros(curve.steps, bool)
    curve.turn(10 ** ((target_lufs - loudness) / 20))
    near_enough = ceiling * 10 ** (-_MARGIN_DB / 20)
    for round_ in range(_ROUNDS):
        near = np.zeros(curve.steps, bool)
        for begin, end in curve.stretches():
            near[begin:end] = (curve.reaching(begin, end) > near_enough) & ~sought[begin:end]
        for begin, found in _true_peaks(read, _runs(near), meter.samples):
            meter.peaks[begin : begin + len(found)] = found
        sought |= near
        curve.look()
        reached = integrated_lufs(meter.energies * _mean_square(curve, meter))
        if abs(reached - target_lufs) < _NEAR_ENOUGH_LU or round_ == _ROUNDS - 1:
            break
        curve.turn(10 ** ((target_lufs - reached) / 20))
    return curve


def _lowest(values: np.ndarray, *, before: int, after: int) -> np.ndarray:
    """Return the minimum from `before` values back to `after` values ahead of each that has so many."""
    width = before + after + 1
    result = values.copy()
    reach = 1
    while reach < width:  # minima over doubled reaches
        step = min(reach, width - reach)
        result[: len(result) - step] = np.minimum(result[: len(result) - step], result[step:])
        reach += step
    return result[: len(values) - width + 1]


def _mean_square(curve: GainCurve, meter: Meter) -> np.ndarray:
    """Return the mean square of a gain curve in each 100 ms step of the meter."""
    edges = np.arange(len(meter.energies) + 1) * (meter.rate_hz / _STEPS_A_SECOND / PEAK_STEP)
    totals = np.zeros(len(edges))  # of the squares before each edge
    total = 0.0
    for begin, end in curve.stretches():
        values = curve.values(begin, end)
        squares = np.square(0.5 * (values[:-1] + values[1:]))
        summed = np.cumsum(np.concatenate([[total], squares]), dtype=np.float64)
        here = slice(*np.searchsorted(edges, (begin, end + (end == curve.steps))))
        totals[here] = np.interp(edges[here], np.arange(begin, end + 1), summed)
        total = float(summed[-1])
    return np.diff(totals) / (meter.rate_hz / _STEPS_A_SECOND / PEAK_STEP)


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield where flags are set, as (begin, end), a second at most each."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        for at in range(begin, end, 750):
            yield at, min(at + 750, end)


def _true_peaks(
    read: Callable[[int, int], np.ndarray], runs: Iterable[tuple[int, int]], samples: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the true peaks of the steps of each run, by fourfold oversampling.

    Args:
        read: `read(first, count)` returns [2, count] samples.
        runs: (begin, end) in peak steps.
        samples: Of the whole piece.

    Yields:
        (begin, [end - begin]) of each run; runs of one length are transformed together, for they are many and short.
    """
    waiting: dict[tuple[int, int, int], list[tuple[int, np.ndarray]]] = {}
    for begin, end in runs:
        first, last = max(0, begin * PEAK_STEP - _MARGIN), min(samples, end * PEAK_STEP + _MARGIN)
        kind = last - first, begin * PEAK_STEP - first, min(end * PEAK_STEP, samples) - begin * PEAK_STEP
        alike = waiting.setdefault(kind, [])
        alike.append((begin, read(first, last - first)))
        if len(alike) * (last - first) > _SOUGHT_AT_ONCE:
            yield from _oversampled(waiting.pop(kind), *kind)
    for kind, alike in waiting.items():
        yield from _oversampled(alike, *kind)


def _oversampled(
    runs: list[tuple[int, np.ndarray]], count: int, skipped: int, kept: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (begin, true peaks) of runs of `count` samples, of which `kept` count after the first `skipped`."""
    size = count + 2 * _PADDING + -count % 128
    padded = np.zeros((len(runs), 2, size), np.float32)
    for row, (_, sound) in zip(padded, runs, strict=True):
        row[:, _PADDING : _PADDING + count] = sound
    fine = np.abs(np.fft.irfft(spectrum(padded), 4 * size)).max(axis=1) * np.float32(4 * size)  # [runs, 4 size]
    fine = fine[:, 4 * (_PADDING + skipped) :][:, : 4 * kept]
    peaks = np.maximum.reduceat(fine, np.arange(0, 4 * kept, 4 * PEAK_STEP), axis=1)
    yield from zip((begin for begin, _ in runs), peaks, strict=True)
