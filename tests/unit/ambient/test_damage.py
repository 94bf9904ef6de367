"""A recording is called damaged when it is, and only then; ffmpeg makes the files."""

import re
import struct
import subprocess

import pytest

from ambient.audio import decode_to_wav, find_ffmpeg
from ambient.errors import InputError

SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4")
PICTURES = ("-f", "lavfi", "-i", "color=c=red:s=64x64:r=10:d=7")
ID3V1 = b"TAG" + b"Title".ljust(30, b"\0") + bytes(95)


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Return a function that lets ffmpeg write a file, once for all tests, and returns its path."""
    folder = tmp_path_factory.mktemp("made")

    def run(name, *arguments):
        path = folder / name
        if not path.exists():
            command = [find_ffmpeg(), "-nostdin", "-v", "error", *(arguments or SOUND), str(path)]
            subprocess.run(command, check=True, capture_output=True)
        return path

    return run


@pytest.fixture
def decode(tmp_path):
    """Decode bytes under a name."""

    def run(content, name):
        path = tmp_path / name
        path.write_bytes(content)
        return decode_to_wav(path, tmp_path / "out.wav")

    return run


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "mov", "ogv", "ts", "wma"])
def test_pictures_that_last_longer_than_the_sound_are_no_damage(make, decode, kind):
    codec = {"ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"), "wma": ("-c:v", "wmv2", "-c:a", "wmav2"),
             "ts": ("-c:v", "mpeg2video", "-c:a", "mp2", "-r", "25")}.get(kind, ("-c:v", "mpeg4"))  # fmt: skip
    content = make(f"pictures.{kind}", *SOUND, *PICTURES, *codec).read_bytes()
    decoded = decode(content, f"a.{kind}")
    assert (decoded.complaint, round(decoded.seconds)) == ("", 4)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "mov", "m4a", "mka", "ogg", "opus"])
def test_sound_that_starts_late_is_no_damage(make, decode, kind):
    moving = kind in ("mp4", "mkv", "avi", "mov")
    more = (*PICTURES, "-map", "0:a", "-map", "1:v", "-c:v", "mpeg4") if moving else ()
    coded = {"ogg": ("-c:a", "libvorbis"), "opus": ("-c:a", "libopus")}.get(kind, ())
    content = make(f"late.{kind}", "-itsoffset", "2.5", *SOUND, *more, *coded).read_bytes()
    decoded = decode(content, f"a.{kind}")
    assert (decoded.complaint, round(decoded.seconds)) == ("", 4)


def ogg_checksum(page):
    """Compute the CRC of RFC 3533: polynomial 0x04c11db7, not reflected."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def test_opus_that_skips_its_first_second_is_no_damage(make, decode):
    content = bytearray(make("a.opus").read_bytes())
    at = content.find(b"OpusHead") + 10
    content[at : at + 2] = struct.pack("<H", 48_000)
    first = content.find(b"OggS", 4)
    content[22:26] = bytes(4)
    content[22:26] = struct.pack("<I", ogg_checksum(content[:first]))
    decoded = decode(content, "a.opus")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(3.0, abs=0.05))


def id3(*frames):
    body = b"".join(name + struct.pack(">I", len(content)) + b"\0\0" + content for name, content in frames)
    size = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body


def cover(mime, picture):
    return id3((b"APIC", b"\0" + mime + b"\0\x03\0" + picture))


def ape(count):
    item = struct.pack("<II", count, 0) + b"Lyrics\0" + b"x" * count
    sizes = struct.pack("<III", 2000, len(item) + 32, 1)
    return b"APETAGEX" + sizes + b"\0\0\0\xa0" + bytes(8) + item + b"APETAGEX" + sizes + b"\0\0\0\x80" + bytes(8)


def lyrics3(text):
    body = b"LYRICSBEGIN" + text
    return body + b"%06d" % len(body) + b"LYRICS200"


@pytest.mark.parametrize(
    "behind",
    [
        ID3V1,
        lyrics3(b"IND0000210LYR00020[00:01]Hello world!!") + ID3V1,
        b"LYRICSBEGIN" + b"la la la\r\n" * 200 + b"LYRICSEND" + ID3V1,
        ape(2000),
        ape(50_000) + ID3V1,
        b"TAG+" + bytes(223) + ID3V1,
        b"ID3\x04\0\x10\0\0\x03\x74" + bytes(500) + b"3DI\x04\0\x10\0\0\x03\x74",
    ],
    ids=["id3v1", "lyrics3v2", "lyrics3v1", "ape", "long ape", "tag+", "id3v2.4"],
)
@pytest.mark.parametrize("kind", ["mp3", "flac", "aac"])
def test_tags_behind_the_sound_are_no_damage(make, decode, kind, behind):
    decoded = decode(make(f"a.{kind}").read_bytes() + behind, f"a.{kind}")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(4.0, abs=0.1))


@pytest.mark.parametrize("behind", [bytes(20_000), bytes(range(256)) * 20], ids=["zeros", "rubbish"])
def test_what_stands_behind_the_last_frame_of_an_mp3_is_no_damage(make, decode, behind):
    decoded = decode(make("a.mp3").read_bytes() + behind, "a.mp3")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(4.0, abs=0.1))


@pytest.mark.parametrize(
    "before",
    [
        cover(b"image/jpeg", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40),
        cover(b"image/jpeg", b"\x89PNG\r\n\x1a\n" + bytes(5000)),
        cover(b"image/png", b""),
        cover(b"image/x-what", bytes(range(255, -1, -1)) * 30),
        cover(b"image/jpeg", b"\xff\xd8\xff\xfb\x90\x64" * 3000),
        id3((b"USLT", b"\0eng\0" + b"a line of lyrics\n" * 3000)),
    ],
    ids=["broken jpeg", "png called jpeg", "empty", "unknown kind", "looks like sound", "lyrics"],
)
def test_odd_cover_art_and_lyrics_before_the_sound_are_no_damage(make, decode, before):
    bare = make("bare.mp3", *SOUND, "-id3v2_version", "0").read_bytes()
    decoded = decode(before + bare, "a.mp3")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(4.0, abs=0.1))


def test_odd_cover_art_in_flac_is_no_damage(make, decode):
    flac = make("a.flac").read_bytes()
    picture = struct.pack(">II", 3, 10) + b"image/jpeg" + struct.pack(">IIIIII", 0, 1, 1, 24, 0, 900) + bytes(900)
    block = b"\x06" + struct.pack(">I", len(picture))[1:] + picture
    decoded = decode(flac[:42] + block + flac[42:], "a.flac")
    assert (decoded.complaint, decoded.seconds) == ("", 4.0)


@pytest.mark.parametrize("between", [b"", ID3V1, lyrics3(b"IND0000210") + ID3V1])
def test_joined_mp3_files_are_no_damage(make, decode, between):
    first = make("a.mp3").read_bytes()  # each begins with a tag and a frame that tells its length
    second = make("low.mp3", *SOUND, "-q:a", "9").read_bytes()
    third = make("slow.mp3", *SOUND, "-ar", "22050", "-ac", "1").read_bytes()
    decoded = decode(first + between + second + third, "a.mp3")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(12.0, abs=0.3))


def test_joined_ogg_files_are_no_damage(make, decode):
    content = make("a.ogg", *SOUND, "-c:a", "libvorbis").read_bytes()
    decoded = decode(content + content, "a.ogg")
    assert (decoded.complaint, decoded.seconds) == ("", pytest.approx(8.0, abs=0.1))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.opus", ()),
        ("flac.oga", ("-c:a", "flac")),
        ("a.wma", ()),
        ("a.w64", ()),
        ("a.wav", ()),
        ("rf64.wav", ("-rf64", "always")),
        ("a.aiff", ()),
        ("a.caf", ()),
        ("a.au", ()),
        ("a.flac", ()),
        ("a.wv", ()),
        ("a.tta", ()),
        ("a.mp3", ()),
        ("fast.m4a", ("-movflags", "+faststart")),
        ("parts.m4a", ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000")),
        ("a.mka", ()),
        ("a.webm", ("-c:a", "libopus")),
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.75])
def test_a_file_that_breaks_off_is_said_to_and_a_whole_one_is_not(make, decode, name, arguments, share):
    content = make(name, *SOUND, *arguments).read_bytes()
    assert decode(content, name).complaint == ""
    cut = int(len(content) * share) // 4 * 4  # no sample is cut in two, which ffmpeg would notice
    decoded = decode(content[:cut], name)
    assert re.match(r"it (breaks off|ends \d+ bytes before its header says)", decoded.complaint)
    assert decoded.seconds < 3.7


def test_ogg_that_ends_between_two_pages_breaks_off_too(make, decode):
    content = make("a.opus").read_bytes()
    decoded = decode(content[: content.rfind(b"OggS")], "a.opus")
    assert decoded.complaint == "it breaks off before the page that is marked as the last"


def test_a_recording_whose_index_was_never_written_is_told_in_our_words(make, decode):
    content = make("a.m4a").read_bytes()
    with pytest.raises(InputError, match=r"a\.m4a: cannot be decoded \(its index is missing; it is cut short"):
        decode(content[: len(content) // 2], "a.m4a")


def test_a_recording_of_which_hardly_anything_is_left_is_told_to_break_off(make, decode):
    content = make("a.ogg", *SOUND, "-c:a", "libvorbis").read_bytes()
    with pytest.raises(InputError, match=r"a\.ogg: cannot be decoded \(it breaks off within a page\)"):
        decode(content[:1000], "a.ogg")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html>\n<html><body>" + b"<p>404</p>" * 100 + b"</body></html>", "a web page"),
        (b"\xef\xbb\xbf \r\n<HTML><head><title>Sign in</title></head></HTML>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML file"),
        (b'{"error": "quota exceeded"}', "a text"),
        (id3((b"TIT2", b"\0Song")) + bytes(2000), "only tags"),
        (ID3V1, "only tags"),
        (cover(b"image/jpeg", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 400) + ape(2000) + ID3V1, "only tags"),
        (bytes(10_000), "nothing but zeros"),
        (b"%PDF-1.4\n" + bytes(range(256)) * 9, "a PDF"),
        (b"PK\3\4" + bytes(range(256)) * 9, "a ZIP archive"),
        (b"MThd\0\0\0\6\0\1\0\2\1\xe0" + bytes(99), "a MIDI file"),
    ],
)
def test_what_is_named_a_song_and_holds_no_sound_is_told_as_what_it_is(decode, content, kind):
    with pytest.raises(InputError, match=rf"song\.mp3: no sound in it \({kind}\); expected") as caught:
        decode(content, "song.mp3")
    assert "\n" not in str(caught.value)
    assert "Invalid data" not in str(caught.value)


def test_a_picture_and_a_film_without_sound_hold_none(make, decode):
    picture = make("cover.png", *PICTURES, "-frames:v", "1").read_bytes()
    with pytest.raises(InputError, match=r"no sound in it \(a picture\)"):
        decode(picture, "song.mp3")
    with pytest.raises(InputError, match=r"no sound in it \(no audio stream\)"):
        decode(make("silent.mp4", *PICTURES).read_bytes(), "a.mp4")
