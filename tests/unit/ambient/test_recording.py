"""WAV files of every kind that people have are read; what cannot be read is refused in one line."""

import struct

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.recording import Recording

RATE_HZ = 16_000


@pytest.fixture
def sound():
    time_s = np.arange(6000) / RATE_HZ
    return 0.4 * np.sin(2 * np.pi * 440 * time_s) * np.exp(-2 * time_s)


def to_bytes(samples, kind, bits):
    if kind == 3:
        return np.asarray(samples, dtype=f"<f{bits // 8}").tobytes()
    scaled = np.round(np.asarray(samples, dtype=np.float64) * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 8:
        scaled = scaled + 128
    return scaled.reshape(-1, 1).view(np.uint8)[:, : bits // 8].tobytes()


def wav_bytes(samples, *, kind=1, bits=16, rate_hz=RATE_HZ, extensible=False, before=b"", data_size=None):
    """Build a WAV file by hand: [n] or [n, channels], any kind, other chunks before the samples."""
    channels = 1 if np.ndim(samples) == 1 else np.shape(samples)[1]
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate_hz, rate_hz * block, block, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, bits, 0, kind) + bytes(14)
    data = to_bytes(samples, kind, bits)
    body = b"fmt " + struct.pack("<I", len(form)) + form + before
    body += b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "song.wav"
        path.write_bytes(content)
        return path

    return to_file


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(
    ("kind", "bits", "tolerance"),
    [(1, 8, 0.01), (1, 16, 1e-4), (1, 24, 1e-6), (1, 32, 1e-6), (3, 32, 1e-6), (3, 64, 1e-6)],
)
def test_every_kind_of_sample_is_read(write, sound, kind, bits, tolerance, extensible):
    with Recording(write(wav_bytes(sound, kind=kind, bits=bits, extensible=extensible))) as recording:
        assert (len(recording), recording.missing_samples) == (6000, 0)
        np.testing.assert_allclose(recording.read(0, 6000), sound, atol=tolerance)
        np.testing.assert_allclose(recording.read(1000, 50), sound[1000:1050], atol=tolerance)
        assert recording.peak() == pytest.approx(float(np.abs(sound).max()), abs=tolerance)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(write, sound, channels):
    several = np.zeros((len(sound), channels))
    several[:, -1] = sound
    with Recording(write(wav_bytes(several, bits=24))) as recording:
        np.testing.assert_allclose(recording.read(0, len(recording)), sound / channels, atol=1e-6)


def test_other_chunks_before_the_samples_are_stepped_over(write, sound):
    before = b"LIST" + struct.pack("<I", 5) + b"odd!!\0" + b"fact" + struct.pack("<I", 4) + bytes(4)
    with Recording(write(wav_bytes(sound, before=before))) as recording:
        np.testing.assert_allclose(recording.read(0, 6000), sound, atol=1e-4)


def test_a_truncated_file_is_read_as_far_as_it_goes_and_says_how_much_is_missing(write, sound):
    content = wav_bytes(sound)
    with Recording(write(content[: 44 + 2 * 4000 + 1])) as recording:
        assert (len(recording), recording.seconds) == (4000, 0.25)
        assert recording.missing_seconds == 0.125
        np.testing.assert_allclose(recording.read(3900, 500), sound[3900:4000], atol=1e-4)


def test_a_stream_without_a_length_goes_to_its_end(write, sound):
    with Recording(write(wav_bytes(sound, data_size=0xFFFFFFFF))) as recording:
        assert (len(recording), recording.missing_samples) == (6000, 0)


def test_no_samples_and_samples_that_are_no_numbers_are_silence(write):
    with Recording(write(wav_bytes(np.zeros(0)))) as recording:
        assert (len(recording), recording.peak()) == (0, 0.0)
    with Recording(write(wav_bytes([np.nan, np.inf, 0.5], kind=3, bits=32))) as recording:
        assert recording.read(0, 3).tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin as one"),
        (b"RIFF", "does not begin as one"),
        (b"ID3\x03" + bytes(500), "does not begin as one"),
        (wav_bytes(np.zeros(9))[:30], "its format is cut short"),
        (wav_bytes(np.zeros(9))[:36], "ends within its header"),
        (b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0abcd", "samples come before their format"),
    ],
)
def test_what_is_not_a_wav_file_is_refused_in_one_line(write, content, reason):
    with pytest.raises(InputError, match=rf"song\.wav: not a WAV file \(.*{reason}.*to_wav") as caught:
        Recording(write(content))
    assert "\n" not in str(caught.value)


def test_another_rate_another_kind_and_a_missing_file_are_refused_with_what_was_found(write, sound, tmp_path):
    with pytest.raises(InputError, match="96000 Hz, 24 bits; expected 16 kHz WAV"):
        Recording(write(wav_bytes(sound, bits=24, rate_hz=96_000)))
    with pytest.raises(InputError, match="WAV of kind 17, 16 bits, 1 channels"):
        Recording(write(wav_bytes(sound).replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 17, 1), 1)))
    with pytest.raises(InputError, match=r"none\.wav: not readable"):
        Recording(tmp_path / "none.wav")
