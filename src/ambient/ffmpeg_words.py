"""Understand what ffmpeg said of a recording: is something damaged, is its end missing, why can it not be decoded?

Conventions: ffmpeg was run with `-loglevel level+info`, so that each line tells its level. What it says before `Stream
mapping` is about looking for streams, and may be about cover art or tags; only what it says afterwards is about sound.
It takes the end of a file for the end of the recording and does not complain; where it says how long the recording
should be, that is the longest of all streams, and the sound may begin late or be shorter than the pictures. So its
length counts for kinds that hold nothing but sound, and other files are asked themselves (`file_ends`).
"""

import mmap
import re
from pathlib import Path

from ambient.file_ends import missing_end
from ambient.mp3_frames import is_unbroken
from ambient.tags import end_of_leading_tags

_ONLY_SOUND = {
    "flac",
    "mp3",
    "au",
    "tta",
    "wv",
    "ape",
    "mpc",
    "mpc8",
    "tak",
    "dsf",
    "iff",
}  # names of ffmpeg's demuxers
_SHORT_BY_S, _SHORT_BY = 0.5, 0.01  # how much headers of compressed audio are off without anything missing
_MAX_REASON_CHARACTERS = 200
NO_STREAM = "no audio stream"
_OUR_WORDS = {
    "matches no streams": NO_STREAM,
    "moov atom not found": "its index is missing; it is cut short, or was never finished",
}
_CUT = ("partial file", "File ended prematurely")  # of MP4 and Matroska; ffmpeg 5 says more before and after it
_FRAMING = ("Header missing", "Error submitting packet to decoder", "Error while decoding stream")  # of MP3


def failure(said: bytes, source: Path | None = None) -> str:
    """Return why ffmpeg could not do its work, as one short line.

    Args:
        said: By ffmpeg.
        source: The recording that it could not decode, if that was its work.
    """
    reasons = _complaints(said)
    for reason in reasons:
        for theirs, ours in _OUR_WORDS.items():
            if theirs in reason:
                return ours
    cut = missing_end(source) if source else ""
    return cut or (reasons[0] if reasons else "ffmpeg gives no reason")


def damage(said: bytes, source: Path, seconds: float) -> str:
    """Return what is wrong with a recording that was decoded all the same, as one short line; empty if nothing is.

    Args:
        said: By ffmpeg.
        source: The recording.
        seconds: Of sound that were decoded.
    """
    return missing_end(source) or _too_short(said, seconds) or _complaint(said, source, seconds)


def _too_short(said: bytes, seconds: float) -> str:
    announced = re.search(rb"Duration: (\d+):(\d+):(\d+\.\d+)", said)
    if not announced or _kind(said) not in _ONLY_SOUND or b"Estimating duration" in said:
        return ""
    hours, minutes, rest = (float(part) for part in announced.groups())
    expected_s = 3600 * hours + 60 * minutes + rest
    if seconds < expected_s - max(_SHORT_BY_S, _SHORT_BY * expected_s):
        return f"it breaks off after {seconds:.1f} of {expected_s:.1f} s"
    return ""


def _complaint(said: bytes, source: Path, seconds: float) -> str:
    complaints = _complaints(said.partition(b"Stream mapping:")[2])
    if complaints and _kind(said) == "mp3" and all(line.startswith(_FRAMING) for line in complaints):
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if is_unbroken(content, end_of_leading_tags(content)):
                return ""  # joined songs: the tags of the second stand between them
    if any(words in line for line in complaints for words in _CUT):
        return f"it breaks off after {seconds:.1f} s"
    return complaints[0] if complaints else ""


def _kind(said: bytes) -> str:
    """Return the name of the demuxer that read the file."""
    found = re.search(rb"Input #0, (.*?), from ", said)
    return found[1].decode() if found else ""


def _complaints(said: bytes) -> list[str]:
    """Return the errors, without addresses and echoed paths; all lines where none tells its level."""
    lines = said.decode("utf-8", "replace").splitlines()
    if any(level in line for line in lines for level in ("[info]", "[error]", "[fatal]")):
        lines = [
            line for line in lines if re.match(r"(\[[^]]*\] ?)*\[(error|fatal)\]", line) and "to muxer" not in line
        ]
    plain = [re.sub(r"^(\[[^]]*\] ?)+", "", line).strip().rstrip(".") for line in lines]
    return [line[:_MAX_REASON_CHARACTERS] for line in plain if line and not line.startswith("Error opening input file")]
