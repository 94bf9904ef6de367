"""Decode and encode audio files: the one door to ffmpeg, by ffmpeg-python and imageio-ffmpeg.

Conventions: samples are float32 in -1 to 1, [samples, channels]. Nothing here reads or writes metadata, so that the
same samples give the same bytes with the same ffmpeg.
"""

import errno
import os
import re
import shutil
import struct
import wave
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np

from ambient.errors import InputError

TRANSCRIPTION_RATE_HZ = 16_000  # what Onsets and Frames listens to
MP3_BITRATE = "160k"
_MAX_REASON_CHARACTERS = 200
_PCM_BLOCK = 1 << 18
_UNKNOWN_LENGTH = 0xFFFFFFFF  # in the header of a WAV file that was streamed
_SHORT_BY_S, _SHORT_BY = 0.5, 0.01  # how much headers of compressed audio are off without anything missing
_EXPORT_AGAIN = "Export or download the song again"
_BIT_EXACT = {"map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact", "threads": 1}


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """What decoding a recording gave.

    Attributes:
        seconds: Length of the decoded audio.
        complaint: What ffmpeg found wrong while the rest could be decoded; empty for a sound file.
    """

    seconds: float
    complaint: str


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

    Args:
        source: A file of any kind that ffmpeg reads; its first audio stream is taken.
        target: The WAV file to write.
        rate_hz: Sample rate of the result.

    Raises:
        InputError: the file is empty, is no audio, or has not one sample that can be decoded.
        OSError: the file cannot be read, or the disk is full.
    """
    expected = "expected a recording that ffmpeg can decode"
    if not source.is_file():
        raise InputError(source, "no such file", expected, "Check the path")
    if source.stat().st_size == 0:
        raise InputError(source, "empty file", expected, _EXPORT_AGAIN)
    with source.open("rb"):  # may it be read? ffmpeg would say that it cannot be decoded
        pass
    # `file:` and the whitelist keep names and playlists from reaching the network.
    stream = ffmpeg.input(f"file:{source}", protocol_whitelist="file").output(
        f"file:{target}", format="wav", acodec="pcm_s16le", ac=1, ar=rate_hz, map="0:a:0", **_BIT_EXACT
    )
    try:
        said = _run(stream)
    except ffmpeg.Error as error:
        _raise_if_full(error)
        reason = _condensed(error.stderr) or "ffmpeg gives no reason"
        raise InputError(source, f"cannot be decoded ({reason})", expected, _EXPORT_AGAIN) from error
    with wave.open(str(target)) as reader:
        frames = reader.getnframes()
    if frames == 0:
        raise InputError(source, f"holds no sound ({_condensed(said) or 'not one sample'})", expected, _EXPORT_AGAIN)
    seconds = frames / rate_hz
    return DecodedAudio(seconds, _cut_short(source, seconds, said) or _condensed(said))


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
    source = ffmpeg.input("pipe:0", format="s16le", ac=samples.shape[1], ar=rate_hz)
    stream = source.output(f"file:{path}", format="mp3", acodec="libmp3lame", audio_bitrate=bitrate, **_BIT_EXACT)
    try:
        _run(stream, _pcm16(samples))
    except ffmpeg.Error as error:
        _raise_if_full(error)
        reason = _condensed(error.stderr) or "ffmpeg gives no reason"
        expected = "expected one with libmp3lame"
        raise InputError(find_ffmpeg(), f"cannot write MP3 ({reason})", expected, "Write WAV instead") from error


def _run(stream: "ffmpeg.Stream", data: bytes | None = None) -> bytes:
    """Run ffmpeg; returns what it said, each line with its level."""
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
    _, said = ffmpeg.run(
        stream, cmd=command, input=data, capture_stdout=True, capture_stderr=True, overwrite_output=True
    )
    return bytes(said)


def _cut_short(source: Path, seconds: float, said: bytes) -> str:
    """Say how much of a recording is missing by its own account; empty if nothing is.

    ffmpeg takes the end of a file for the end of the recording and does not complain.
    """
    with source.open("rb") as file:
        riff, size, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    missing = size + 8 - source.stat().st_size
    if riff == b"RIFF" and kind == b"WAVE" and size < _UNKNOWN_LENGTH and missing > 1:
        return f"it ends {missing} bytes before its header says"
    announced = re.search(rb"Duration: (\d+):(\d+):(\d+\.\d+)", said)
    if not announced or b"Estimating duration" in said:
        return ""
    hours, minutes, rest = (float(part) for part in announced.groups())
    expected_s = 3600 * hours + 60 * minutes + rest
    if seconds < expected_s - max(_SHORT_BY_S, _SHORT_BY * expected_s):
        return f"it breaks off after {seconds:.1f} of {expected_s:.1f} s"
    return ""


def _raise_if_full(error: "ffmpeg.Error") -> None:
    """Tell a full disk, which only ffmpeg saw, from a file that is at fault."""
    full = os.strerror(errno.ENOSPC)
    if full.encode() in error.stderr:
        raise OSError(errno.ENOSPC, full) from error


def _condensed(stderr: bytes) -> str:
    """Make one short line of ffmpeg's own words: its first complaint, without addresses and echoed paths."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    if any("[info]" in line for line in lines):
        lines = [line for line in lines if re.match(r"(\[[^]]*\] ?)*\[(error|fatal)\]", line)]
    said = [re.sub(r"^(\[[^]]*\] ?)+", "", line).strip() for line in lines]
    telling = [line for line in said if line and not line.startswith("Error opening input file")]
    if not telling:
        return ""
    if "matches no streams" in telling[0]:
        return "no audio stream"
    return telling[0][:_MAX_REASON_CHARACTERS].rstrip(".")


def _pcm16(samples: np.ndarray) -> bytes:
    """Round to 16 bits, piece by piece so that a long recording is not copied several times."""
    parts = (samples[start : start + _PCM_BLOCK] for start in range(0, len(samples), _PCM_BLOCK))
    return b"".join(np.clip(np.rint(part * np.float32(32767)), -32768, 32767).astype("<i2").tobytes() for part in parts)
