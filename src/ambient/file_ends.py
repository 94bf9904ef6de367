"""Tell whether a file of sound ends before its own container says, which ffmpeg does not tell of every kind.

Conventions: WAV, RF64, BW64, W64, AIFF, CAF and ASF (WMA) by the size of the chunk that has the sound, AVI by that of
the whole, Ogg (Vorbis, Opus, FLAC, Speex) by the page that is marked as the last (RFC 3533). What stands behind the
sound may be missing. Other kinds ffmpeg judges: MP4 and Matroska complain when they are cut, FLAC and MP3 say how long
they are.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ambient.wav_header import NotWavError, is_placeholder, read_wav_header

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_LARGEST_PAGE = 27 + 255 + 255 * 255
_LAST_PAGE = 4  # flag
_BEHIND = 1 << 16  # what may stand behind the last page: tags


def missing_end(path: Path) -> str:
    """Say how a file shows that its end is missing.

    Returns:
        A few words, such as `it ends 400 bytes before its header says`; empty if nothing is missing, or nothing tells.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if head[:4] == b"OggS":
            return _ogg(file, file_bytes)
        try:
            missing = _missing_bytes(file, head, file_bytes)
        except (NotWavError, struct.error):
            return ""
    return f"it ends {missing} bytes before its header says" if missing > 0 else ""


def _missing_bytes(file: BinaryIO, head: bytes, file_bytes: int) -> int:
    """Return how many bytes a file lacks.

    Raises:
        NotWavError, struct.error: it ends within its header.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        size = int(struct.unpack("<I", head[4:8])[0])
        return 0 if is_placeholder(size) else 8 + size - file_bytes
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"riff"):
        return read_wav_header(file).missing_bytes(file_bytes)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _chunk(file, file_bytes, _Chunks(12, ">4sI", b"SSND", even=True))
    if head[:4] == b"caff":
        return _chunk(file, file_bytes, _Chunks(8, ">4sQ", b"data"))
    if head == _ASF_HEADER:
        return _chunk(file, file_bytes, _Chunks(0, "<16sQ", _ASF_DATA, counts_head=True))
    return 0


@dataclass(frozen=True, slots=True)
class _Chunks:
    """How a kind of file is divided.

    Attributes:
        first: Where the first chunk begins.
        head: The name and the size, as `struct` reads them.
        sound: Name of the chunk that has the sound.
        even: Whether chunks begin at even bytes.
        counts_head: Whether a size counts the head.
    """

    first: int
    head: str
    sound: bytes
    even: bool = False
    counts_head: bool = False


def _chunk(file: BinaryIO, file_bytes: int, chunks: _Chunks) -> int:
    """Return how many bytes the chunk with the sound lacks; a file without one lacks what the last chunk lacks."""
    at, head_bytes = chunks.first, struct.calcsize(chunks.head)
    while at < file_bytes:
        file.seek(at)
        name, size = struct.unpack(chunks.head, file.read(head_bytes))
        at += max(size, head_bytes) if chunks.counts_head else head_bytes + size
        if name == chunks.sound:
            return 0 if is_placeholder(size) else int(at - file_bytes)
        at += at % 2 if chunks.even else 0
    return int(at - file_bytes)


def _ogg(file: BinaryIO, file_bytes: int) -> str:
    """Look at the last page of a file: it must be whole, and the last of its stream."""
    file.seek(max(file_bytes - _LARGEST_PAGE - _BEHIND, 0))
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(b"OggS\0", 0, at)) >= 0:
        segments = tail[at + 26 : at + 27]
        if not segments:
            return "it breaks off within a page"
        lengths = tail[at + 27 : at + 27 + segments[0]]
        if at + 27 + segments[0] + sum(lengths) > len(tail):
            return "it breaks off within a page"
        return "" if tail[at + 5] & _LAST_PAGE else "it breaks off before the page that is marked as the last"
    return ""
