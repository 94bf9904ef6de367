"""Recursive filters on blocks of samples by matrix products: what the sound stages need of a filter library.

scipy.signal takes longer to import than a piece takes to render, and its filters walk sample by sample. Here the
samples of a block stand in rows; a product with the filter's impulse response gives what each row makes of itself, and
another what the rows before it leave behind (block state-space form: Barnes and Shinnaka, "Block-shift invariance and
block implementation of discrete-time filters", 1980). Results agree with the sample-by-sample recursion within
rounding.

Conventions: signals are [channels, samples] float32. A section is (b0, b1, b2, a1, a2) with a0 = 1.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Section = tuple[float, float, float, float, float]
_ROW = 128  # samples a row: the longer, the more work a sample; the shorter, the more rows
_ROWS = 128  # rows a product: the matrix that links them grows with their square
_HALF_BAND = 16  # taps on either side that are not zero
_STEP = 32  # samples between samples that one row of a product gives


class Filter:
    """A cascade of second-order sections that remembers where it stopped.

    Args:
        sections: In the order they act.
        channels: Channels of the signals to come.
    """

    def __init__(self, sections: list[Section], channels: int) -> None:
        transition, inward, outward, direct = _state_space(sections)
        order = len(transition)
        powers = [np.eye(order)]
        for _ in range(_ROW):
            powers.append(powers[-1] @ transition)
        response = np.array([direct, *(float(outward @ power @ inward) for power in powers[: _ROW - 1])])
        lag = np.subtract.outer(np.arange(_ROW), np.arange(_ROW))
        self._through = np.where(lag >= 0, response[np.maximum(lag, 0)], 0.0).T.astype(np.float32)  # [in, out]
        self._collect = np.array([powers[_ROW - 1 - k] @ inward for k in range(_ROW)]).astype(np.float32)  # [in, order]
        self._release = np.array([outward @ powers[k] for k in range(_ROW)]).T.astype(np.float32)  # [order, out]
        self._one_step, self._row_step = transition, powers[_ROW]
        self._state: np.ndarray = np.zeros((channels, order), np.float32)
        self._chains: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Filter the next block.

        Args:
            signal: [channels, samples]; any number of samples.

        Returns:
            [channels, samples] float32.
        """
        samples = signal.shape[1]
        result = np.empty_like(signal)
        whole = samples - samples % _ROW
        for at in range(0, whole, _ROW * _ROWS):
            end = min(at + _ROW * _ROWS, whole)
            rows = np.ascontiguousarray(signal[:, at:end]).reshape(len(signal), -1, _ROW)
            result[:, at:end] = self._rows(rows)
        if whole < samples:
            rest, count = signal[:, whole:], samples - whole
            result[:, whole:] = rest @ self._through[:count, :count] + self._state @ self._release[:, :count]
            step = np.linalg.matrix_power(self._one_step, count).astype(np.float32)
            self._state = self._state @ step.T + rest @ self._collect[_ROW - count :]
        return result

    def _rows(self, signal: np.ndarray) -> np.ndarray:
        """Filter [channels, rows, row]; the states before each row come from one more product over the rows."""
        channels, rows, _ = signal.shape
        added = signal @ self._collect  # [channels, rows, order]
        chain, carry = self._chain(rows)
        states = added.reshape(channels, -1) @ chain.T + self._state @ carry.T
        states = states.reshape(channels, rows + 1, -1)  # before row 0, ..., after the last
        self._state = states[:, -1]
        result = signal @ self._through
        result += states[:, :-1] @ self._release
        return result.reshape(channels, -1)

    def _chain(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what each row adds to each later state, and what the state before all of them does."""
        if rows not in self._chains:
            order = len(self._row_step)
            powers = np.empty((rows + 1, order, order))
            powers[0] = np.eye(order)
            for row in range(rows):
                powers[row + 1] = self._row_step @ powers[row]
            lag = np.subtract.outer(np.arange(rows + 1), np.arange(rows) + 1)
            chain = np.where((lag >= 0)[:, :, None, None], powers[np.maximum(lag, 0)], 0.0)  # [later, row, to, from]
            chain = chain.transpose(0, 2, 1, 3).reshape((rows + 1) * order, rows * order)
            self._chains = {rows: (chain.astype(np.float32), powers.reshape(-1, order).astype(np.float32))}
        return self._chains[rows]


def spectrum(signal: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return `rfft(signal) / n` in single precision: [..., n] float32 becomes [..., n / 2 + 1] complex64.

    Without its factor numpy 2 transforms in double precision and rounds, which takes three times as long.
    """
    return np.fft.rfft(signal, norm="forward", out=out)


class HalfBand:
    """Doubles or halves the sample rate of a signal that goes on from block to block.

    A half-band low-pass (windowed sinc, Kaiser window of 8): flat to 0.43 of the lower rate, 80 dB down from 0.57 on.

    Args:
        channels: Channels of the signals to come.
    """

    def __init__(self, channels: int = 2) -> None:
        window = np.kaiser(4 * _HALF_BAND + 1, 8.0)[2 * _HALF_BAND + 1 :: 2]
        taps = np.sinc(np.arange(_HALF_BAND) + 0.5) * window
        # Of samples ..., 3/2, 1/2 before and 1/2, 3/2, ... after.
        taps = np.concatenate([taps[::-1], taps]) / (2 * taps.sum())
        # A row of samples times this gives the samples between them: a column of taps for each, one lower each time.
        self._weights = np.zeros((_STEP + 2 * _HALF_BAND - 1, _STEP), np.float32)
        for column in range(_STEP):
            self._weights[column : column + 2 * _HALF_BAND, column] = taps
        self._past = np.zeros((channels, 2 * _HALF_BAND - 1), np.float32)
        self._past_even = np.zeros((channels, _HALF_BAND - 1), np.float32)

    def double(self, signal: np.ndarray) -> np.ndarray:
        """Return [channels, 2 n] for [channels, n]: the old samples, and one between each two; late by 32 new ones."""
        line = self._line(signal)
        result = np.empty((*signal.shape, 2), np.float32)
        result[:, :, 0] = line[:, _HALF_BAND - 1 : _HALF_BAND - 1 + signal.shape[1]]
        result[:, :, 1] = self._between(line, signal.shape[1])
        return result.reshape(len(signal), -1)

    def halve(self, signal: np.ndarray) -> np.ndarray:
        """Return [channels, n] for [channels, 2 n], without what the lower rate cannot hold."""
        pairs = signal.reshape(len(signal), -1, 2)
        even = np.concatenate([self._past_even, pairs[:, :, 0]], axis=1)
        self._past_even = even[:, 1 - _HALF_BAND :].copy()
        result = self._between(self._line(pairs[:, :, 1]), pairs.shape[1])
        result += even[:, : pairs.shape[1]]
        result *= np.float32(0.5)
        return result

    def _line(self, signal: np.ndarray) -> np.ndarray:
        line = np.concatenate([self._past, signal], axis=1)
        self._past = line[:, signal.shape[1] :].copy()
        return line

    def _between(self, line: np.ndarray, count: int) -> np.ndarray:
        """Return what lies half way between the middle samples of a line and the ones after them."""
        total = np.zeros((len(line), count), np.float32)
        line = np.pad(line, ((0, 0), (0, -count % _STEP)))
        rows = sliding_window_view(line, len(self._weights), axis=1)[:, ::_STEP]  # [channels, rows, window]
        for sound, row, result in zip(line, rows, total, strict=True):
            if sound.any():  # not so a register that nothing plays in
                result[:] = (np.ascontiguousarray(row) @ self._weights).reshape(-1)[:count]
        return total


def high_pass(corner_hz: float, rate_hz: int, *, quality: float = 0.7071) -> Section:
    """Return a second-order high-pass whose passband has gain 1 (bilinear transform)."""
    k = math.tan(math.pi * corner_hz / rate_hz)
    a0 = 1.0 + k / quality + k * k
    b = 1.0 / a0
    return b, -2.0 * b, b, 2.0 * (k * k - 1.0) / a0, (1.0 - k / quality + k * k) / a0


def _state_space(sections: list[Section]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Chain the sections: s' = transition s + inward x, y = outward s + direct x."""
    transition, inward, outward, direct = np.zeros((0, 0)), np.zeros(0), np.zeros(0), 1.0
    for b0, b1, b2, a1, a2 in sections:
        # Transposed direct form II of one section, fed by what the sections before it give.
        own = np.array([[-a1, 1.0], [-a2, 0.0]])
        into = np.array([b1 - a1 * b0, b2 - a2 * b0])
        old = len(transition)
        grown = np.zeros((old + 2, old + 2))
        grown[:old, :old], grown[old:, old:] = transition, own
        grown[old:, :old] = np.outer(into, outward)
        transition, inward = grown, np.concatenate([inward, into * direct])
        outward, direct = np.concatenate([b0 * outward, [1.0, 0.0]]), b0 * direct
    return transition, inward, outward, direct
