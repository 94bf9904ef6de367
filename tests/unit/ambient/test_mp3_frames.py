"""The frames of an MP3 file and the tags around them, by their own heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.mp3_frames import frame_length, is_unbroken
from ambient.tags import begin_of_trailing_tags, end_of_leading_tags

FRAME = bytes.fromhex("fffb9064") + bytes(413)  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 144 * 128000 / 44100 = 417
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x03\0\0\0\0\x02\x05" + bytes(2 * 128 + 5)
marks = st.sampled_from(
    [b"ID3", b"TAG", b"TAG+", b"3DI", b"APETAGEX", b"LYRICSBEGIN", b"LYRICS200", b"\xff\xfb\x90\x64"]
)


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("fffb9064", 417),  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz
        ("fffb9264", 418),  # the same with padding
        ("fff340c4", 104),  # MPEG 2, layer III, 32 kbit/s, 22.05 kHz: 72 * 32000 / 22050
        ("fffdd404", 960),  # MPEG 1, layer II, 320 kbit/s, 48 kHz: 144 * 320000 / 48000
        ("ffff1000", 32),  # MPEG 1, layer I, 32 kbit/s, 44.1 kHz: 12 * 32000 / 44100 = 8 slots of 4
        ("fffbf064", 0),  # no such bit rate
        ("fffb0064", 0),  # free format: the head does not tell
        ("fffb9c64", 0),  # no such rate
        ("ffeb9064", 0),  # no such version
        ("fff99064", 0),  # no such layer
        ("00000000", 0),
        ("fffb", 0),
    ],
)
def test_a_frame_is_as_long_as_its_head_says(head, length):
    assert frame_length(bytes.fromhex(head), 0) == length


def test_tags_and_zeros_between_frames_are_no_break_and_rubbish_is():
    assert is_unbroken(ID3V2 + FRAME * 5 + ID3V1 + bytes(700) + ID3V2 + FRAME * 5, 0)
    assert not is_unbroken(FRAME * 5 + b"rubbish" * 99 + FRAME * 5, 0)
    assert is_unbroken(FRAME * 5 + b"rubbish" * 99, 0)  # nothing that could be heard follows
    assert is_unbroken(FRAME * 5 + FRAME[:99], 0)
    assert is_unbroken(b"", 0)


def test_tags_are_found_at_both_ends():
    content = ID3V2 + ID3V2 + FRAME * 3 + ID3V1
    assert end_of_leading_tags(content) == 2 * (10 + 261)
    assert begin_of_trailing_tags(content) == len(content) - 128
    assert (end_of_leading_tags(FRAME), begin_of_trailing_tags(FRAME)) == (0, 417)
    assert end_of_leading_tags(ID3V2[:50]) == 50  # the tag itself is cut


@given(st.lists(st.one_of(marks, st.binary(max_size=40)), max_size=20))
def test_no_bytes_lead_astray(parts):
    content = b"".join(parts)
    assert 0 <= end_of_leading_tags(content) <= len(content)
    assert 0 <= begin_of_trailing_tags(content) <= len(content)
    is_unbroken(content, 0)
