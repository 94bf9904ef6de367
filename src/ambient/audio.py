"""Decode and encode audio files: the one door to ffmpeg, by ffmpeg-python and imageio-ffmpeg.

Conventions: samples are float32 in -1 to 1, [samples, channels]. Nothing here reads or writes metadata, so that the
same samples give the same bytes with the same ffmpeg.
"""

import errno
import mmap
import os
import shutil
import struct
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import ffmpeg
import imageio_ffmpeg
import numpy as np

from ambient import ffmpeg_words
from ambient.downmix import choose_channel
from ambient.errors import InputError
from ambient.tags import begin_of_trailing_tags
from ambient.wav_header import FLOAT_OF_16_BITS, LOWER_24_OF_32, NotWavError, read_wav_header, stored_as
from ambient.without_sound import what_it_is

TRANSCRIPTION_RATE_HZ = 16_000  # what Onsets and Frames listens to
MP3_BITRATE = "160k"
_PCM_BLOCK = 1 << 18
_COMPARED_AT_HZ = 8000  # enough to tell whether channels cancel each other out
_READ_SAMPLES = 1 << 16  # at a time, of all channels
_EXPECTED = "expected a recording that ffmpeg can decode"
_NO_SAMPLE = "not one sample"
_EXPORT_AGAIN = "Export or download the song again"
_LIBRARIES = {"mp3": "libmp3lame", "opus": "libopus"}  # of ffmpeg
_BIT_EXACT = {"map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact", "threads": 1}


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """What decoding a recording gave.

    Attributes:
        seconds: Length of the decoded audio.
        complaint: What is wrong with the file while the rest could be decoded; empty for a sound file.
        channel: The channel that was taken alone, from 0, because all together cancel each other out; else None.
    """

    seconds: float
    complaint: str
    channel: int | None = None


@lru_cache(maxsize=1)
def find_ffmpeg() -> str:
    """Return the ffmpeg program: the one on PATH, else the one inside imageio-ffmpeg.

    Raises:
        InputError: there is neither.
    """
    on_path = shutil.which("ffmpeg")
    if on_path:
        return on_path
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise InputError(
            "ffmpeg", "not found", "expected it on PATH or inside imageio-ffmpeg", "Install one of the two"
        ) from error


def decode_to_wav(source: Path, target: Path, *, rate_hz: int = TRANSCRIPTION_RATE_HZ) -> DecodedAudio:
    """Write any recording as mono 16-bit WAV; ffmpeg streams, so the length of a recording costs no memory.

    Channels are mixed as ffmpeg mixes them, or one is taken alone where that would cancel them out.

    Args:
        source: A file of any kind that ffmpeg reads; its first audio stream is taken.
        target: The WAV file to write.
        rate_hz: Sample rate of the result.

    Raises:
        InputError: the file is empty, is no audio, or has not one sample that can be decoded.
        OSError: the file cannot be read, or the disk is full.
    """
    if not source.is_file():
        raise InputError(source, "no such file", _EXPECTED, "Check the path")
    if source.stat().st_size == 0:
        raise InputError(source, "empty file", _EXPECTED, _EXPORT_AGAIN)
    reading = _how_to_read(source)  # also tells whether it may be read: ffmpeg would say that it cannot be decoded
    ended = _decode(reading, target, rate_hz)
    if ended.code == 0 and ended.channel is not None:
        ended = replace(_decode(reading, target, rate_hz, channel=ended.channel), channel=ended.channel)
    if ended.code != 0:
        _raise_if_full(ended.said)
        kind, reason = what_it_is(source), ffmpeg_words.failure(ended.said, source)
        if kind or reason == ffmpeg_words.NO_STREAM:
            raise InputError(source, f"no sound in it ({kind or reason})", _EXPECTED, _EXPORT_AGAIN)
        raise InputError(source, f"cannot be decoded ({reason})", _EXPECTED, _EXPORT_AGAIN)
    with wave.open(str(target)) as reader:
        frames = reader.getnframes()
    seconds = frames / rate_hz
    complaint = ffmpeg_words.damage(ended.said, source, seconds)
    if frames == 0:
        raise InputError(source, f"no sound in it ({complaint or _NO_SAMPLE})", _EXPECTED, _EXPORT_AGAIN)
    return DecodedAudio(seconds, complaint, ended.channel)


def decoded_blocks(source: Path, *, rate_hz: int, channels: int) -> Iterator[np.ndarray]:
    """Yield a recording as ffmpeg decodes and mixes it, a block at a time: [channels, samples] float32.

    Raises:
        InputError: there is no sound in it that can be decoded.
    """
    output = ffmpeg.input(str(source)).output(
        "pipe:1", format="f32le", acodec="pcm_f32le", ac=channels, ar=rate_hz, map="0:a:0"
    )
    process = ffmpeg.run_async(output, cmd=_command(), pipe_stdout=True, pipe_stderr=True)
    found, size = False, 4 * channels
    with process, ThreadPoolExecutor(1) as pool:
        try:
            said = pool.submit(process.stderr.read)
            while block := process.stdout.read(size * _READ_SAMPLES):
                samples = np.frombuffer(block[: len(block) // size * size], dtype="<f4").reshape(-1, channels)
                found = found or bool(len(samples))
                yield samples.T
            process.wait()
            if not found:
                raise InputError(source, ffmpeg_words.failure(said.result(), source), _EXPECTED, _EXPORT_AGAIN)
        finally:
            process.kill()


def write_wav(path: Path, samples: np.ndarray, *, rate_hz: int) -> None:
    """Write [samples, channels] float32 as 16-bit WAV."""
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(_pcm16(samples))


def write_mp3(path: Path, samples: np.ndarray, *, rate_hz: int, bitrate: str = MP3_BITRATE) -> None:
    """Write [samples, channels] float32 as MP3 of constant bit rate.

    Raises:
        InputError: this ffmpeg cannot write MP3.
        OSError: the disk is full.
    """
    write_compressed(path, samples, rate_hz=rate_hz, codec="mp3", bitrate=bitrate)


def write_compressed(path: Path, samples: np.ndarray, *, rate_hz: int, codec: str, bitrate: str) -> None:
    """Write [samples, channels] float32 as `mp3` or `opus`.

    Raises:
        InputError: this ffmpeg cannot write it.
        OSError: the disk is full.
    """
    library = _LIBRARIES[codec]
    source = ffmpeg.input("pipe:0", format="s16le", ac=samples.shape[1], ar=rate_hz)
    stream = source.output(f"file:{path}", format=codec, acodec=library, audio_bitrate=bitrate, **_BIT_EXACT)
    try:
        ffmpeg.run(stream, cmd=_command(), input=_pcm16(samples), capture_stderr=True, overwrite_output=True)
    except ffmpeg.Error as error:
        _raise_if_full(error.stderr)
        reason = ffmpeg_words.failure(error.stderr)
        expected = f"expected one with {library}"
        raise InputError(
            find_ffmpeg(), f"cannot write {codec.upper()} ({reason})", expected, "Write WAV instead"
        ) from error


@dataclass(frozen=True, slots=True)
class _Reading:
    """How ffmpeg is made to read a file that it would take for something else.

    Attributes:
        address: Of the file, or of the part of it that has no tags behind the sound.
        options: Of the input.
        volume: What brings its full scale to ours.
    """

    address: str
    options: dict[str, str | int]
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a run of ffmpeg ended: its exit code, what it said, and the channel that should be taken alone."""

    code: int
    said: bytes
    channel: int | None


def _how_to_read(source: Path) -> _Reading:
    """Look into a file before ffmpeg does.

    ffmpeg takes tags behind the sound for damage, 24 bits in 4 bytes for floats, and a size of 0 in RF64 for the truth.

    Raises:
        InputError: it is a WAV file without a sample.
        OSError: the file cannot be read.
    """
    with source.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            end = begin_of_trailing_tags(content)
            # `file:` and the whitelist keep names and playlists from reaching the network.
            part = f"subfile,,start,0,end,{end},,:" if 0 < end < len(content) else ""
        reading = _Reading(f"{part}file:{source}", {"protocol_whitelist": "file,subfile" if part else "file"})
        with suppress(NotWavError):
            header = read_wav_header(file)
            if header.announced_bytes == 0:  # ffmpeg would take the chunks behind for sound
                raise InputError(source, f"no sound in it ({_NO_SAMPLE})", _EXPECTED, _EXPORT_AGAIN)
            if header.announced_bytes is None and not header.is_w64:
                reading.options["ignore_length"] = 1
            stored = stored_as(file, header)
            if stored is not None and (header.encoding.valid_bits, header.encoding.sample_bytes) == (24, 4):
                reading.options["acodec"] = "pcm_f32le" if stored == FLOAT_OF_16_BITS else "pcm_s32le"
                volume = {FLOAT_OF_16_BITS: 1 / 32768, LOWER_24_OF_32: 256.0}.get(stored, 1.0)
                reading = replace(reading, volume=volume)
    return reading


def _decode(reading: _Reading, target: Path, rate_hz: int, *, channel: int | None = None) -> _Ended:
    """Run ffmpeg once: one channel goes to the target, and all of them past us, unless one is asked for."""
    filters = [f"volume={reading.volume}"] if reading.volume != 1 else []
    if channel is not None:
        filters.append(f"pan=mono|c0=c{channel}")
    options = {"map": "0:a:0", **_BIT_EXACT, **({"af": ",".join(filters)} if filters else {})}
    stream = ffmpeg.input(reading.address, **reading.options)
    mono = stream.output(f"file:{target}", format="wav", acodec="pcm_s16le", ac=1, ar=rate_hz, **options)
    every = stream.output("pipe:1", format="au", acodec="pcm_s16be", ar=_COMPARED_AT_HZ, **options)
    process = ffmpeg.run_async(
        mono if channel is not None else ffmpeg.merge_outputs(mono, every),
        cmd=_command(), pipe_stdout=True, pipe_stderr=True, overwrite_output=True,
    )  # fmt: skip
    with process, ThreadPoolExecutor(1) as pool:
        try:
            said = pool.submit(process.stderr.read)
            found = choose_channel(_channels(process.stdout), _COMPARED_AT_HZ)
            return _Ended(process.wait(), said.result(), found)
        finally:
            process.kill()  # where something went wrong here; otherwise it has ended


def _channels(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yield what comes as Sun's AU: [samples, channels] float32; nothing where there is one channel."""
    head = stream.read(24)
    if len(head) == 24:
        offset, _, _, _, channels = struct.unpack(">4x5I", head)
        stream.read(offset - len(head))
        while piece := stream.read(_READ_SAMPLES * 2 * channels):
            if channels > 1:
                whole = piece[: len(piece) // (2 * channels) * 2 * channels]
                yield np.frombuffer(whole, ">i2").reshape(-1, channels).astype(np.float32)


def _command() -> list[str]:
    """Return how ffmpeg is called; each line that it says has its level."""
    return [find_ffmpeg(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]


def _raise_if_full(said: bytes) -> None:
    """Tell a full disk, which only ffmpeg saw, from a file that is at fault."""
    full = os.strerror(errno.ENOSPC)
    if full.encode() in said:
        raise OSError(errno.ENOSPC, full)


def _pcm16(samples: np.ndarray) -> bytes:
    """Round to 16 bits, piece by piece so that a long recording is not copied several times."""
    parts = (samples[start : start + _PCM_BLOCK] for start in range(0, len(samples), _PCM_BLOCK))
    return b"".join(np.clip(np.rint(part * np.float32(32767)), -32768, 32767).astype("<i2").tobytes() for part in parts)
