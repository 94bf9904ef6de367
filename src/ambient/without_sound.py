"""Say what a file is that holds no sound, whatever its name promises: a web page, a picture, nothing but tags."""

import mmap
from pathlib import Path

from ambient.tags import end_of_leading_tags

_LOOKED_AT_BYTES = 1 << 16
_MARKUP = {b"<!doctype html": "a web page", b"<html": "a web page", b"<head": "a web page", b"<?xml": "an XML file"}
_BEGINNINGS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"#EXTM3U": "a playlist",
    b"[playlist]": "a playlist",
    b"MThd": "a MIDI file",
}
_MOST = 0.95  # of the bytes of a text can be printed; of sound seven in eight


def what_it_is(path: Path) -> str:
    """Look at the beginning of a file that cannot be decoded.

    Args:
        path: The file; it must not be empty.

    Returns:
        A few words, such as `a web page`, or `only tags`; empty if it may be a damaged recording.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        begin = end_of_leading_tags(mapped)
        content = mapped[begin : begin + _LOOKED_AT_BYTES]
    if begin and not content.strip(b"\0"):
        return "only tags"
    begun = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, kind in _MARKUP.items():
        if begun[: len(mark)].lower() == mark:
            return kind
    for mark, kind in _BEGINNINGS.items():
        if begun.startswith(mark):
            return kind
    if not content.strip(b"\0"):
        return "nothing but zeros"
    printable = sum((byte >= 0x20 and byte != 0x7F) or byte in b"\t\r\n" for byte in content)
    return "a text" if printable >= _MOST * len(content) else ""
