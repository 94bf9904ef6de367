"""WAV files of every kind that people have are read; what cannot be read is refused in one line."""

import struct

import numpy as np
import pytest
import soundfile

from ambient.errors import InputError
from ambient.transcribers.recording import Recording

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


GUID_TAIL = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"  # of a format's long name (Microsoft, ksmedia.h)


def wav_bytes(
    samples, *, kind=1, bits=16, rate_hz=RATE_HZ, extensible=False, before=b"", data_size=None, data=None, after=b"",
    block=None, valid_bits=None, riff=b"RIFF", riff_size=None,
):  # fmt: skip
    """Build a WAV file by hand: [n] or [n, channels], any kind, other chunks before and after the samples."""
    channels = 1 if np.ndim(samples) == 1 else np.shape(samples)[1]
    block = block or channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate_hz, rate_hz * block, block, bits)
    if extensible:
        form += struct.pack("<HHIH", 22, valid_bits or bits, 0, kind) + GUID_TAIL
    data = to_bytes(samples, kind, bits) if data is None else data
    body = before + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data + after
    return riff + struct.pack("<I", len(body) + 4 if riff_size is None else riff_size) + b"WAVE" + body


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content


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
        assert recording.level == pytest.approx(float(np.abs(sound).max()), abs=tolerance)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(write, sound, channels):
    several = np.zeros((len(sound), channels))
    several[:, -1] = sound
    with Recording(write(wav_bytes(several, bits=24))) as recording:
        np.testing.assert_allclose(recording.read(0, len(recording)), sound / channels, atol=1e-6)


def test_other_chunks_before_the_samples_are_stepped_over(write, sound):
    before = chunk(b"LIST", b"odd!!") + b"\0" + chunk(b"fact", bytes(4))
    with Recording(write(wav_bytes(sound, before=before))) as recording:
        np.testing.assert_allclose(recording.read(0, 6000), sound, atol=1e-4)


def test_a_truncated_file_is_read_as_far_as_it_goes_and_says_how_much_is_missing(write, sound):
    content = wav_bytes(sound)
    with Recording(write(content[: 44 + 2 * 4000 + 1])) as recording:
        assert (len(recording), recording.seconds) == (4000, 0.25)
        assert recording.missing_seconds == 0.125
        np.testing.assert_allclose(recording.read(3900, 500), sound[3900:4000], atol=1e-4)


def as_libsndfile_reads_it(path):
    """Return what libsndfile gives, on our scale: [n] float64."""
    samples, rate_hz = soundfile.read(str(path), dtype="float64", always_2d=True)
    assert rate_hz == RATE_HZ
    return samples.mean(axis=1)


def whole(path):
    with Recording(path) as recording:
        assert recording.missing_samples == 0
        return recording.read(0, len(recording))


def words_of(samples, *, upper):
    """Write samples as 24 bits in the upper or the lower three of four bytes."""
    words = np.round(np.asarray(samples) * 8388607).astype("<i4")
    return (words << 8 if upper else words).astype("<i4").tobytes()


@pytest.mark.parametrize(
    "header",
    [
        {"bits": 32, "extensible": True, "valid_bits": 24},
        {"bits": 24, "block": 4},
        {"bits": 20, "block": 4},
    ],
)
def test_24_bits_in_the_upper_bytes_of_32_sound_as_libsndfile_reads_them(write, sound, header):
    path = write(wav_bytes(sound, data=words_of(sound, upper=True), **header))
    np.testing.assert_allclose(whole(path), sound, atol=1e-6)
    if header["bits"] != 20:  # libsndfile takes these for 20 bits in 3 bytes
        np.testing.assert_allclose(whole(path), as_libsndfile_reads_it(path), atol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_24_bits_in_the_lower_bytes_of_32_are_as_loud_as_in_the_upper(write, sound, signed):
    data = words_of(sound, upper=False)
    if not signed:  # the fourth byte is not part of ALSA's S24_LE
        data = (np.frombuffer(data, "<u4") & 0xFFFFFF).astype("<u4").tobytes()
    path = write(wav_bytes(sound, bits=24, block=4, data=data))
    np.testing.assert_allclose(whole(path), sound, atol=1e-6)
    if signed:
        libsndfile = as_libsndfile_reads_it(path)
        np.testing.assert_allclose(whole(path), libsndfile * 256, atol=1e-6)


def test_floats_that_call_themselves_24_bits_sound_as_libsndfile_reads_them(write, sound):
    path = write(wav_bytes(sound, bits=24, block=4, data=(sound * 32768).astype("<f4").tobytes()))
    np.testing.assert_allclose(whole(path), sound, atol=1e-6)
    np.testing.assert_allclose(whole(path), as_libsndfile_reads_it(path) / 32768, atol=1e-6)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_size_that_was_never_filled_in_goes_to_the_end_of_the_file(write, sound, size):
    path = write(wav_bytes(sound, data_size=size, riff_size=size))
    np.testing.assert_allclose(whole(path), sound, atol=1e-4)
    if size:  # libsndfile believes 0
        np.testing.assert_allclose(whole(path) * 32767 / 32768, as_libsndfile_reads_it(path), atol=1e-6)


def test_no_samples_before_another_chunk_are_no_samples(write):
    with Recording(write(wav_bytes(np.zeros(0), after=chunk(b"LIST", b"INFO" + bytes(range(200)))))) as recording:
        assert (len(recording), recording.missing_samples) == (0, 0)


@pytest.mark.parametrize("riff", [b"RF64", b"BW64"])
def test_rf64_ends_where_its_long_size_says_and_the_chunk_behind_is_not_heard(write, sound, riff):
    after = chunk(b"LIST", b"INFO" + bytes(range(256)) * 40)
    sizes = chunk(b"ds64", struct.pack("<QQQI", 20_000, 12_000, 6000, 0))
    long = {"before": sizes, "after": after, "riff": riff, "riff_size": 0xFFFFFFFF, "data_size": 0xFFFFFFFF}
    path = write(wav_bytes(sound, **long))
    assert len(whole(path)) == 6000
    np.testing.assert_allclose(whole(path), sound, atol=1e-4)
    if riff == b"RF64":  # libsndfile knows no BW64
        assert len(as_libsndfile_reads_it(path)) == 6000


def test_rf64_that_was_never_finished_is_heard_to_its_end(write, sound):
    sizes = chunk(b"ds64", bytes(28))
    path = write(wav_bytes(sound, before=sizes, riff=b"RF64", riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF))
    np.testing.assert_allclose(whole(path), sound, atol=1e-4)


def test_w64_is_read_as_libsndfile_writes_it(tmp_path, sound):
    soundfile.write(tmp_path / "song.wav", sound, RATE_HZ, format="W64", subtype="PCM_24")
    np.testing.assert_allclose(whole(tmp_path / "song.wav"), sound, atol=1e-6)
    content = (tmp_path / "song.wav").read_bytes()
    (tmp_path / "song.wav").write_bytes(content[: -3 * 4000])
    with Recording(tmp_path / "song.wav") as recording:
        assert (len(recording), recording.missing_seconds) == (2000, 0.25)


@pytest.mark.parametrize("bits", [12, 20])
def test_odd_widths_lie_in_whole_bytes(write, sound, bits):
    width = -(-bits // 8)
    path = write(wav_bytes(sound, bits=bits, block=width, data=to_bytes(sound, 1, 8 * width)))
    np.testing.assert_allclose(whole(path), sound, atol=1e-4)


def test_channels_that_cancel_each_other_out_are_heard_alone(write, sound):
    with Recording(write(wav_bytes(np.stack([sound, -sound], axis=1)))) as recording:
        assert recording.channel == 0
        np.testing.assert_allclose(recording.read(0, 6000), sound, atol=1e-4)
        np.testing.assert_allclose(recording.read(777, 9), sound[777:786], atol=1e-4)
        assert recording.level == pytest.approx(float(np.abs(sound).max()), abs=1e-4)


def test_a_click_is_taken_out_alike_whatever_piece_of_the_recording_is_read(write):
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    quiet = 0.004 * np.sin(2 * np.pi * 220 * time_s)
    clicked = quiet.copy()
    clicked[16_000:16_002] = 0.99, -0.99
    with Recording(write(wav_bytes(clicked, bits=24))) as recording:
        assert recording.level == pytest.approx(0.004, rel=0.01)
        clean = recording.read_clean(0, 2 * RATE_HZ)
        np.testing.assert_allclose(clean, quiet, atol=5e-4)
        for first, count in ((15_990, 11), (16_000, 1), (16_001, 600), (0, 16_001)):
            np.testing.assert_array_equal(recording.read_clean(first, count), clean[first : first + count])
        assert np.abs(recording.read(0, 2 * RATE_HZ)).max() > 0.98


def test_no_samples_and_samples_that_are_no_numbers_are_silence(write):
    with Recording(write(wav_bytes(np.zeros(0)))) as recording:
        assert (len(recording), recording.level, recording.read(0, 5).tolist()) == (0, 0.0, [])
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
