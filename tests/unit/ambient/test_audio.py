import re
import struct
import wave

import numpy as np
import pytest

from ambient import audio
from ambient.audio import decode_to_wav, find_ffmpeg, write_mp3, write_wav
from ambient.errors import InputError

RATE_HZ = 44_100


@pytest.fixture
def tone():
    """Two seconds of 440 Hz at half scale, stereo."""
    wave_ = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
    return np.stack([wave_, wave_], axis=1).astype(np.float32)


@pytest.fixture
def fresh_search():
    find_ffmpeg.cache_clear()
    yield
    find_ffmpeg.cache_clear()


def samples_of(path):
    with wave.open(str(path)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32768


@pytest.mark.parametrize("write", [write_wav, write_mp3])
def test_tone_survives_encoding_and_decoding(tmp_path, tone, write):
    source = tmp_path / "tone.audio"
    write(source, tone, rate_hz=RATE_HZ)
    decoded = decode_to_wav(source, tmp_path / "out.wav")
    samples = samples_of(tmp_path / "out.wav")
    assert decoded.seconds == len(samples) / 16_000 == pytest.approx(2.0, abs=0.06)
    assert decoded.complaint == ""
    middle = samples[8000:24000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) == 440
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)  # LAME plays a little softer


@pytest.mark.parametrize("write", [write_wav, write_mp3])
def test_same_samples_give_the_same_bytes(tmp_path, tone, write):
    write(tmp_path / "a", tone, rate_hz=RATE_HZ)
    write(tmp_path / "b", tone, rate_hz=RATE_HZ)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_wav_is_exact_to_half_a_step_over_block_borders(tmp_path):
    ramp = np.linspace(-1, 1, audio._PCM_BLOCK + 1000, dtype=np.float32)[:, None]
    write_wav(tmp_path / "ramp.wav", ramp, rate_hz=16_000)
    assert np.abs(samples_of(tmp_path / "ramp.wav") * 32768 / 32767 - ramp[:, 0]).max() < 0.6 / 32767


def test_too_loud_samples_are_clipped_not_wrapped(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([[1.5], [-1.5]], np.float32), rate_hz=16_000)
    assert list(samples_of(tmp_path / "a.wav")) == [32767 / 32768, -1.0]


def test_silence_is_audio(tmp_path):
    write_mp3(tmp_path / "a.mp3", np.zeros((RATE_HZ, 2), np.float32), rate_hz=RATE_HZ)
    decode_to_wav(tmp_path / "a.mp3", tmp_path / "a.wav")
    assert not samples_of(tmp_path / "a.wav").any()


def test_cut_recording_is_decoded_as_far_as_it_goes(tmp_path, tone):
    write_mp3(tmp_path / "whole.mp3", tone, rate_hz=RATE_HZ)
    content = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
    assert decode_to_wav(tmp_path / "cut.mp3", tmp_path / "a.wav").seconds == pytest.approx(1.0, abs=0.1)


def test_damage_in_the_middle_is_told(tmp_path, tone):
    write_mp3(tmp_path / "whole.mp3", tone, rate_hz=RATE_HZ)
    content = (tmp_path / "whole.mp3").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    (tmp_path / "bad.mp3").write_bytes(content[:9000] + noise + content[12000:])
    decoded = decode_to_wav(tmp_path / "bad.mp3", tmp_path / "a.wav")
    assert decoded.complaint
    assert "\n" not in decoded.complaint
    assert decoded.seconds > 1.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"this is text, not music\n" * 20, r"no sound in it \(a text\)"),
        (bytes(range(255, -1, -1)) * 99, "cannot be decoded"),
        (b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.mp3\n", r"no sound in it \(a playlist\)"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00"
         b"data\x00\x00\x00\x00", r"no sound in it \(not one sample\)"),
    ],
)  # fmt: skip
def test_file_without_sound_is_one_line_with_its_reason(tmp_path, content, reason):
    source = tmp_path / "bad.mp3"
    source.write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.mp3: ({reason})") as caught:
        decode_to_wav(source, tmp_path / "a.wav")
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.mp3: no such file"):
        decode_to_wav(tmp_path / "none.mp3", tmp_path / "a.wav")


def test_name_is_never_read_as_an_option_or_an_address(tmp_path, tone, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    source = tmp_path / "http:" / "-y 'song' %d.wav"
    write_wav(source, tone, rate_hz=RATE_HZ)
    assert decode_to_wav(source.relative_to(tmp_path), tmp_path / "a.wav").seconds == pytest.approx(2.0, abs=0.01)


def test_ffmpeg_on_path_comes_first(tmp_path, monkeypatch, fresh_search):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(program)


def test_bundled_ffmpeg_serves_where_the_system_has_none(tmp_path, monkeypatch, fresh_search):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "imageio_ffmpeg" in find_ffmpeg()


def test_no_ffmpeg_at_all_is_one_error(tmp_path, monkeypatch, fresh_search):
    def nothing():
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(audio.imageio_ffmpeg, "get_ffmpeg_exe", nothing)
    with pytest.raises(InputError, match="ffmpeg: not found"):
        find_ffmpeg()


def test_ffmpeg_without_an_mp3_encoder_is_one_error(tmp_path, tone, monkeypatch, fresh_search):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho \"Unknown encoder 'libmp3lame'\" >&2\nexit 8\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(InputError, match="Unknown encoder 'libmp3lame'"):
        write_mp3(tmp_path / "a.mp3", tone, rate_hz=RATE_HZ)


def test_full_disk_is_not_taken_for_a_bad_recording(tmp_path, tone, monkeypatch, fresh_search):
    write_wav(tmp_path / "song.wav", tone, rate_hz=RATE_HZ)
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\necho 'Error submitting a packet to the muxer: No space left on device' >&2\nexit 228\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(OSError, match="No space left on device") as caught:
        decode_to_wav(tmp_path / "song.wav", tmp_path / "a.wav")
    assert caught.value.filename is None
    with pytest.raises(OSError, match="No space left on device"):
        write_mp3(tmp_path / "a.mp3", tone, rate_hz=RATE_HZ)


def test_what_is_missing_at_the_end_is_told(tmp_path, tone):
    for name, write, told in (
        ("a.mp3", write_mp3, r"it breaks off after [01]\.\d of 2\.\d s"),
        ("a.wav", write_wav, r"it ends \d+ bytes before its header says"),
    ):
        write(tmp_path / name, tone, rate_hz=RATE_HZ)
        assert decode_to_wav(tmp_path / name, tmp_path / "out.wav").complaint == ""
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        decoded = decode_to_wav(tmp_path / name, tmp_path / "out.wav")
        assert decoded.seconds == pytest.approx(1.0, abs=0.1)
        assert re.fullmatch(told, decoded.complaint)


def wav_of(kind, bits, samples, *, rate_hz):
    """Build a WAV file by hand: [samples, channels] of any width, integers or floats."""
    channels = samples.shape[1]
    if kind == 3:
        data = samples.astype("<f4").tobytes()
    else:
        whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i4") + (128 if bits == 8 else 0)
        data = whole.reshape(-1, 1).view(np.uint8)[:, : bits // 8].tobytes()
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("kind", "bits", "channels", "rate_hz"),
    [
        (1, 8, 1, 8000),
        (1, 16, 1, 44_100),
        (1, 24, 2, 48_000),
        (1, 32, 2, 44_100),
        (3, 32, 2, 96_000),
        (1, 16, 6, 48_000),
    ],
)
def test_every_kind_of_wav_becomes_the_same_tone(tmp_path, kind, bits, channels, rate_hz):
    time_s = np.arange(rate_hz) / rate_hz
    one = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    (tmp_path / "in.wav").write_bytes(wav_of(kind, bits, np.stack([one] * channels, axis=1), rate_hz=rate_hz))
    decoded = decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(1.0, abs=0.01))
    spectrum = np.abs(np.fft.rfft(samples_of(tmp_path / "out.wav")[:16_000]))
    assert np.argmax(spectrum) == 440


def test_clipped_sound_and_a_constant_offset_pass(tmp_path):
    time_s = np.arange(RATE_HZ) / RATE_HZ
    loud = np.clip(4 * np.sin(2 * np.pi * 440 * time_s) + 0.5, -1, 1)
    (tmp_path / "in.wav").write_bytes(wav_of(3, 32, loud[:, None], rate_hz=RATE_HZ))
    assert decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav").complaint == ""
    samples = samples_of(tmp_path / "out.wav")
    assert np.abs(samples).max() > 0.99
    assert samples.mean() > 0.05


def odd_wav(samples, form, data_size=None, after=b"", riff=b"RIFF", before=b""):
    """Build a WAV file of 16 kHz whose header is written by hand: [bytes of samples], the format chunk."""
    size = len(samples) if data_size is None else data_size
    body = (
        b"WAVE" + before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + samples
    )
    return riff + struct.pack("<I", 0xFFFFFFFF if riff == b"RF64" else len(body)) + body + after


@pytest.fixture
def one_tone():
    """One second of 440 Hz at 16 kHz that fades: [samples] float64."""
    time_s = np.arange(16_000) / 16_000
    return 0.5 * np.sin(2 * np.pi * 440 * time_s) * np.exp(-time_s)


PLAIN_16 = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
PLAIN_24_IN_4 = struct.pack("<HHIIHH", 1, 1, 16_000, 64_000, 4, 24)
EXTENSIBLE_24_IN_4 = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 64_000, 4, 32, 22, 24, 4, 1) + bytes.fromhex(
    "0000000010008000 00aa00389b71"
)


@pytest.mark.parametrize(
    ("form", "encode"),
    [
        (EXTENSIBLE_24_IN_4, lambda sound: np.round(sound * 8388607).astype("<i4") << 8),
        (PLAIN_24_IN_4, lambda sound: np.round(sound * 8388607).astype("<i4") << 8),
        (PLAIN_24_IN_4, lambda sound: np.round(sound * 8388607).astype("<i4")),
        (PLAIN_24_IN_4, lambda sound: (sound * 32768).astype("<f4")),
    ],
    ids=["extensible", "plain", "in the lower bytes", "floats"],
)
def test_24_bits_in_4_bytes_become_the_tone_and_no_noise(tmp_path, one_tone, form, encode):
    (tmp_path / "in.wav").write_bytes(odd_wav(encode(one_tone).tobytes(), form))
    decoded = decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav")
    assert (decoded.complaint, decoded.seconds) == ("", 1.0)
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav"), one_tone, atol=1e-3)


@pytest.mark.parametrize(
    ("data_size", "riff", "before"),
    [
        (0, b"RIFF", b""),
        (0x7FFFF000, b"RIFF", b""),
        (0xFFFFFFFF, b"RIFF", b""),
        (0xFFFFFFFF, b"RF64", b"ds64" + struct.pack("<I", 28) + bytes(28)),
    ],
)
def test_a_wav_whose_size_was_never_filled_in_is_whole(tmp_path, one_tone, data_size, riff, before):
    content = odd_wav((one_tone * 32767).astype("<i2").tobytes(), PLAIN_16, data_size, riff=riff, before=before)
    (tmp_path / "in.wav").write_bytes(content)
    decoded = decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav")
    assert (decoded.complaint, decoded.seconds) == ("", 1.0)
    np.testing.assert_allclose(samples_of(tmp_path / "out.wav"), one_tone, atol=1e-3)


def test_a_chunk_behind_no_samples_is_not_heard(tmp_path):
    after = b"LIST" + struct.pack("<I", 2004) + b"INFO" + bytes(range(250)) * 8
    (tmp_path / "in.wav").write_bytes(odd_wav(b"", PLAIN_16, after=after))
    with pytest.raises(InputError, match=r"in\.wav: no sound in it \(not one sample\)"):
        decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav")


def test_a_missing_chunk_behind_the_sound_is_no_missing_sound(tmp_path, tone):
    write_wav(tmp_path / "in.wav", tone, rate_hz=RATE_HZ)
    content = (tmp_path / "in.wav").read_bytes()
    longer = content[:4] + struct.pack("<I", len(content) - 8 + 5000) + content[8:]
    (tmp_path / "in.wav").write_bytes(longer + b"LIST" + struct.pack("<I", 4992) + b"INFO")
    assert decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav").complaint == ""


@pytest.mark.parametrize("write", [write_wav, write_mp3])
def test_channels_that_cancel_each_other_out_are_not_silence(tmp_path, tone, write):
    write(tmp_path / "in.audio", tone * np.array([1, -1], np.float32), rate_hz=RATE_HZ)
    decoded = decode_to_wav(tmp_path / "in.audio", tmp_path / "out.wav")
    assert (decoded.channel, decoded.complaint) == (0, "")
    middle = samples_of(tmp_path / "out.wav")[8000:24_000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)


def test_channels_are_mixed_as_ffmpeg_mixes_them_otherwise(tmp_path, tone):
    other = 0.3 * np.sin(2 * np.pi * 660 * np.arange(len(tone)) / RATE_HZ)
    write_wav(tmp_path / "in.wav", np.stack([tone[:, 0], other], axis=1), rate_hz=RATE_HZ)
    assert decode_to_wav(tmp_path / "in.wav", tmp_path / "out.wav").channel is None
    spectrum = np.abs(np.fft.rfft(samples_of(tmp_path / "out.wav")[8000:24_000])) / 8000
    assert (spectrum[440], spectrum[660]) == (pytest.approx(0.25, rel=0.01), pytest.approx(0.15, rel=0.01))
