"""A recording read at another rate is the same sound, however it is cut."""

import wave

import numpy as np
import pytest

from ambient.transcribers.recording import Recording
from ambient.transcribers.resampling import Resampled


@pytest.fixture
def recording(tmp_path):
    """One second of three tones, the highest at 6.5 kHz."""
    with wave.open(str(tmp_path / "tones.wav"), "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes((tones(np.arange(16_000) / 16_000) * 32767).astype("<i2").tobytes())
    with Recording(tmp_path / "tones.wav") as opened:
        yield opened


def tones(time_s):
    return sum(0.2 * np.sin(2 * np.pi * hz * time_s) for hz in (110.0, 1234.5, 6500.0))


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 16_000])
def test_tones_are_those_of_the_other_rate(recording, rate_hz):
    resampled = Resampled(recording, rate_hz)
    assert len(resampled) == rate_hz
    found = resampled.read(0, rate_hz)
    assert found.dtype == np.float32
    inner = slice(rate_hz // 100, -rate_hz // 100)  # at its ends a recording meets silence
    np.testing.assert_allclose(found[inner], tones(np.arange(rate_hz) / rate_hz)[inner], atol=2e-3)


def test_a_lower_rate_holds_what_it_can_and_nothing_of_the_rest(recording):
    found = Resampled(recording, 8000).read(0, 8000)[100:-100]
    time_s = np.arange(8000)[100:-100] / 8000
    expected = sum(0.2 * np.sin(2 * np.pi * hz * time_s) for hz in (110.0, 1234.5))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_pieces_are_those_of_one_reading_and_beyond_the_ends_is_silence(recording):
    resampled = Resampled(recording, 22_050)
    whole = resampled.read(-500, 23_000)
    assert not whole[:480].any()
    assert not whole[-400:].any()
    pieces = [resampled.read(first, min(1713, 22_500 - first)) for first in range(-500, 22_500, 1713)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)
    assert resampled.read(40_000, 10).tolist() == [0.0] * 10
