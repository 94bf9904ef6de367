import pytest

from ambient.errors import InputError
from ambient.midi import read_midi, write_midi
from ambient.notes import Note


def test_written_notes_read_back_within_a_millisecond(tmp_path):
    notes = [Note(0.0, 60, 1.0, 64), Note(0.5, 64, 2.25, 1), Note(3.21, 127, 9.99, 127)]
    write_midi(tmp_path / "a.mid", notes, program=89, texts=["made by a test"])
    piece = read_midi(tmp_path / "a.mid")
    assert [(n.pitch, n.velocity) for n in piece.notes] == [(60, 64), (64, 1), (127, 127)]
    for read, written in zip(piece.notes, notes, strict=True):
        assert read.start_s == pytest.approx(written.start_s, abs=1e-3)
        assert read.end_s == pytest.approx(written.end_s, abs=1e-3)
    assert piece.texts == ["made by a test"]


def test_no_notes_is_a_valid_file(tmp_path):
    write_midi(tmp_path / "a.mid", [])
    assert read_midi(tmp_path / "a.mid").notes == []


def test_same_notes_give_the_same_bytes(tmp_path):
    notes = [Note(0.0, 60, 1.0, 64), Note(0.0, 64, 1.0, 64)]
    write_midi(tmp_path / "a.mid", notes)
    write_midi(tmp_path / "b.mid", reversed(notes))
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


IMPOSSIBLE_KEY = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk\0\0\0\x0a\0\xff\x59\x02\x7b\x00\0\xff\x2f\0"


@pytest.mark.parametrize(
    "content", [b"", b"not midi at all", b"MThd\x00\x00\x00\x06\x00\x01", b"\xff" * 500, IMPOSSIBLE_KEY]
)
def test_damaged_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "bad.mid"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mid: not readable as MIDI") as caught:
        read_midi(path)
    assert "\n" not in str(caught.value)


def test_empty_file_says_so_in_words(tmp_path):
    (tmp_path / "empty.mid").touch()
    with pytest.raises(InputError, match=r"not readable as MIDI \(it ends too early\)"):
        read_midi(tmp_path / "empty.mid")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_midi(tmp_path / "none.mid")


def test_tempo_change_outside_the_first_track_is_read_without_a_warning(tmp_path):
    tempo_track = b"\x00\xff\x51\x03\x07\xa1\x20\x00\xff\x2f\x00"
    note_track = b"\x00\xff\x51\x03\x07\xa1\x20\x00\x90\x3c\x40\x60\x80\x3c\x00\x00\xff\x2f\x00"
    header = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x00\x60"
    tracks = b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in (tempo_track, note_track))
    (tmp_path / "a.mid").write_bytes(header + tracks)
    assert read_midi(tmp_path / "a.mid").notes == [Note(0.0, 60, 0.5, 64)]
