"""Write finished sound to a file while it is made: one ffmpeg process takes samples and writes format and tags.

Conventions: samples are int32 on a grid of 24 bits, [2, samples]. The same samples and tags give the same bytes with
the same ffmpeg: nothing of the time, the machine or ffmpeg's version is written.
"""

import errno
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from ambient.audio import find_ffmpeg
from ambient.errors import InputError

# LAME: quality 7 takes a third of the time of the default, and left and right on their own a sixth less than joint
# stereo, with the same error at 192 kb/s (38 to 68 dB below the presets' sound).
_LAME = ("-c:a", "libmp3lame", "-b:a", "192k", "-compression_level", "7", "-joint_stereo", "0")
FORMATS: dict[str, tuple[str, ...]] = {
    "mp3": (*_LAME, "-id3v2_version", "3"),
    "flac": ("-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"),
    "wav": ("-c:a", "pcm_s24le"),
    "ogg": ("-c:a", "libvorbis", "-q:a", "6"),
    "opus": ("-c:a", "libopus", "-b:a", "160k"),
}
LOSSLESS = ("flac", "wav")
FULL_SCALE = 1 << 23
_CODECS = {"mp3": "libmp3lame", "ogg": "libvorbis", "opus": "libopus"}
_SHOWN_CHARACTERS = 200


class Encoder:
    """A file that is being written.

    Args:
        path: The file.
        audio_format: A key of `FORMATS`.
        rate_hz: Sample rate.
        tags: What the file says of itself; a format that does not know a name leaves it out.

    Raises:
        InputError: ffmpeg cannot write this format.
        OSError: the file cannot be written, or the disk is full.
    """

    def __init__(self, path: Path, audio_format: str, *, rate_hz: int, tags: Mapping[str, str]) -> None:
        self._path, self._format = path, audio_format
        command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"]
        command += ["-f", "s32le", "-ac", "2", "-ar", str(rate_hz), "-i", "pipe:0"]
        command += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1"]
        for name, value in tags.items():
            command += ["-metadata", f"{name}={value}"]
        if audio_format == "opus":
            rate_hz = 48_000  # the only one it knows
            command += ["-ar", str(rate_hz)]
        command += [*FORMATS[audio_format], "-f", audio_format, f"file:{path}"]
        with path.open("wb"):  # says which folder is missing or full better than ffmpeg would
            pass
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said)

    def write(self, samples: np.ndarray) -> None:
        """Add [2, samples] int32, from -2**23 to 2**23 - 1."""
        pipe = self._process.stdin
        assert pipe is not None
        pairs = np.empty((samples.shape[1], 2), "<i4")
        np.left_shift(samples, 8, out=pairs.T)
        try:
            pipe.write(pairs.data)
        except BrokenPipeError:
            self._finish()
            raise

    def __enter__(self) -> "Encoder":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait until all is written."""
        if kind is None:
            self._finish()
            return
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._said.close()

    def _finish(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")
        self._said.close()
        if not code:
            return
        full = os.strerror(errno.ENOSPC)
        if full in said:
            raise OSError(errno.ENOSPC, full, str(self._path))
        lines = [re.sub(r"^(\[[^]]*\] ?)+", "", line).strip() for line in said.splitlines() if line.strip()]
        reason = lines[0][:_SHOWN_CHARACTERS].rstrip(".") if lines else f"it ended with code {code}"
        codec = _CODECS.get(self._format, self._format)
        raise InputError(
            find_ffmpeg(), f"cannot write {self._format} ({reason})", f"expected one with {codec}", "Write flac instead"
        )
