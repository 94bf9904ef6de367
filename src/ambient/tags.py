"""Find the tags in a file of sound, so that nobody takes them for sound, or for damage.

Conventions: ID3v1 with its extension TAG+, ID3v2 (id3.org, with the footer of 2.4), APEv1 and APEv2, Lyrics3 v1 and v2.
Offsets are bytes from the start of the file. `Content` is anything that is sliced like bytes: a `mmap` too.
"""

import mmap

Content = bytes | mmap.mmap

_ID3V1_BYTES, _ID3V1_PLUS_BYTES = 128, 227
_ID3V2_HEAD, _APE_HEAD = 10, 32
_HAS_FOOTER = 0x10  # flag of ID3v2.4
_HAS_HEAD = 0x80  # in the last byte of the flags of an APE tag
_LYRICS_BYTES = 5100  # at most, of Lyrics3 v1
_LYRICS_ENDS = (b"LYRICSEND", b"LYRICS200")


def end_of_leading_tags(content: Content) -> int:
    """Return where the tags end that a file begins with; 0 if there are none."""
    at = 0
    while length := tag_length(content, at):
        at += length
    return min(at, len(content))


def begin_of_trailing_tags(content: Content) -> int:
    """Return where the tags begin that a file ends with; its length if there are none."""
    end = len(content)
    while length := _length_before(content, end):
        end -= length
    return end


def tag_length(content: Content, at: int) -> int:
    """Return how many bytes the tag has that begins here; 0 if none does."""
    head = content[at : at + _APE_HEAD]
    if head[:3] == b"ID3" and len(head) >= _ID3V2_HEAD and max(head[6:10]) < 0x80:
        return _ID3V2_HEAD + _id3v2_size(head) + (_ID3V2_HEAD if head[5] & _HAS_FOOTER else 0)
    if head[:8] == b"APETAGEX" and len(head) == _APE_HEAD:
        return _APE_HEAD + int.from_bytes(head[12:16], "little")
    if head[:4] == b"TAG+":
        return _ID3V1_PLUS_BYTES
    if head[:3] == b"TAG":
        return _ID3V1_BYTES
    if head[:11] == b"LYRICSBEGIN":
        ends = [found for mark in _LYRICS_ENDS if (found := content.find(mark, at)) >= 0]
        return min(ends) + len(_LYRICS_ENDS[0]) - at if ends else 0
    return 0


def _length_before(content: Content, end: int) -> int:
    """Return how many bytes the tag has that ends here; 0 if none does."""
    for mark, length in ((b"TAG", _ID3V1_BYTES), (b"TAG+", _ID3V1_PLUS_BYTES)):
        if end >= length and content[end - length : end - length + len(mark)] == mark:
            return length
    ape = content[max(end - _APE_HEAD, 0) : end]
    if ape[:8] == b"APETAGEX" and len(ape) == _APE_HEAD:
        length = int.from_bytes(ape[12:16], "little") + (_APE_HEAD if ape[23] & _HAS_HEAD else 0)
        return length if length <= end else 0
    id3v2 = content[max(end - _ID3V2_HEAD, 0) : end]
    if id3v2[:3] == b"3DI" and len(id3v2) == _ID3V2_HEAD:
        length = _id3v2_size(id3v2) + 2 * _ID3V2_HEAD
        return length if length <= end else 0
    lyrics = content[max(end - len(_LYRICS_ENDS[0]), 0) : end]
    if lyrics == b"LYRICS200" and content[max(end - 15, 0) : end - 9].isdigit():
        length = int(content[end - 15 : end - 9]) + 15
        return length if length <= end else 0
    if lyrics == b"LYRICSEND":
        begin = content.rfind(b"LYRICSBEGIN", max(end - _LYRICS_BYTES - 20, 0), end)
        return end - begin if begin >= 0 else 0
    return 0


def _id3v2_size(head: bytes) -> int:
    """Read the size of an ID3v2 tag: four times seven bits."""
    return head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
