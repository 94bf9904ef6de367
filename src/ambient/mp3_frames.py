"""Walk over the frames of an MP3 file, to tell damage from tags between songs that somebody joined.

Conventions: frames of MPEG 1, 2 and 2.5, layers I to III (ISO 11172-3, 13818-3), each as long as its head says.
"""

import re

from ambient.tags import Content, tag_length

_KBITS = {  # (MPEG 1?, layer) -> kbit/s by index; 0 is a length that the head does not tell
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44_100, 48_000, 32_000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by the two bits of the version: MPEG 1, 2, 2.5
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_PADDING = re.compile(rb"\0+")
_FRAMES_IN_A_ROW = 3  # that are surely sound; one head is found in any noise


def frame_length(content: Content, at: int) -> int:
    """Return how many bytes the frame has that begins here; 0 if none does, or if its head does not tell."""
    head = content[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate_index, bits_index = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or bits_index in (0, 15):
        return 0
    rate_hz = _RATES_HZ[rate_index] // _RATE_DIVISORS[version]
    bits_per_s, padding = 1000 * _KBITS[version == 3, layer][bits_index], head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits_per_s // rate_hz + padding) * 4
    slots = 72 if layer == 3 and version != 3 else 144
    return slots * bits_per_s // rate_hz + padding


def is_unbroken(content: Content, begin: int) -> bool:
    """Tell whether frame follows frame from here on, with nothing but tags and zeros between them.

    What stands behind the last frame does not count, and neither does a last frame that is cut.
    """
    at = begin
    while at < len(content):
        length = frame_length(content, at) or tag_length(content, at)
        if not length:
            padding = _PADDING.match(content, at)
            if padding is None:
                return not _sound_follows(content, at)
            length = padding.end() - at
        at += length
    return True


def _sound_follows(content: Content, at: int) -> bool:
    return any(_is_sound(content, found.start()) for found in _SYNC.finditer(content, at))


def _is_sound(content: Content, at: int) -> bool:
    for _ in range(_FRAMES_IN_A_ROW):
        length = frame_length(content, at)
        if not length or at + length > len(content):
            return False
        at += length
    return True
