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


@pytest.mark.parametrize("content", [b"", b"not midi at all", b"MThd\x00\x00\x00\x06\x00\x01", b"\xff" * 500])
def test_damaged_file_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "bad.mid"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mid: not readable as MIDI") as caught:
        read_midi(path)
    assert "\n" not in str(caught.value)


def test_empty_file_says_so_in_words(tmp_path):
    (tmp_path / "empty.mid").touch()
    with pytest.raises(InputError, match=r"not readable as MIDI \(it is empty\)"):
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


# In hexadecimal, 90 3c 50 strikes middle C of channel 1 with velocity 80, 80 3c 40 releases it; b0 40 7f is the pedal.
TEMPO_60 = "ff5103 0f4240"  # 1,000,000 microseconds a quarter note


def ends(piece):
    return [(note.pitch, note.start_s, note.end_s) for note in piece.notes]


def test_pedal_in_a_track_of_its_own_holds_the_notes_of_its_channel_in_every_track(write_smf):
    hands = [(0, "903c50"), (240, "803c40")], [(0, "904050"), (240, "804040")]
    path = write_smf(*hands, [(0, "b0407f"), (1920, "b04000")])
    assert ends(read_midi(path)) == [(60, 0.0, 2.0), (64, 0.0, 2.0)]


def test_pedal_of_one_channel_leaves_the_others_alone(write_smf):
    path = write_smf([(0, "b0407f"), (0, "903c50"), (0, "914050"), (240, "803c40"), (0, "814040"), (720, "b04000")])
    assert ends(read_midi(path)) == [(60, 0.0, 1.0), (64, 0.0, 0.25)]


def test_pedal_of_one_port_leaves_the_same_channel_of_another_alone(write_smf):
    first = [(0, "ff2101 00"), (0, "b0407f"), (0, "903c50"), (480, "803c40"), (480, "b04000")]
    second = [(0, "ff2101 01"), (0, "904050"), (480, "804040")]
    piece = read_midi(write_smf(first, second))
    assert ends(piece) == [(60, 0.0, 1.0), (64, 0.0, 0.5)]
    assert [(events.port, events.channel) for events in piece.channels] == [(0, 0), (1, 0)]


def test_tempo_counts_whichever_track_it_stands_in(write_smf):
    notes = [(0, TEMPO_60), (0, "903c50"), (480, "803c40"), (0, "903e50"), (480, "803e40")]
    path = write_smf([(0, "ff0304 736f6e67")], notes)
    assert ends(read_midi(path)) == [(60, 0.0, 1.0), (62, 1.0, 2.0)]


def test_a_tempo_change_between_two_notes_moves_the_second_by_what_is_left(write_smf):
    notes = [(0, "903c50"), (480, "803c40"), (480, "903e50"), (480, "803e40")]
    path = write_smf(notes, [(720, TEMPO_60)])
    assert ends(read_midi(path)) == [(60, 0.0, 0.5), (62, 1.25, 2.25)]


def test_two_notes_three_hours_apart_are_read(write_smf):
    path = write_smf([(0, "903c50"), (480, "803c40"), (960 * 10_800, "903e50"), (480, "803e40")])
    assert ends(read_midi(path)) == [(60, 0.0, 0.5), (62, 10_800.5, 10_801.0)]


def test_overlapping_notes_of_one_pitch_end_first_in_first_out(write_smf):
    path = write_smf([(0, "903c50"), (240, "903c28"), (240, "803c40"), (480, "803c40")])
    piece = read_midi(path)
    assert piece.notes == [Note(0.0, 60, 0.5, 80), Note(0.25, 60, 1.0, 40)]
