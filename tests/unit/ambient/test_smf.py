"""What other programs play is read; what is odd about it is said in a few words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambient.errors import InputError
from ambient.midi import read_midi
from ambient.smf import parse_smf

# Four notes in a row, half a second each at 480 ticks a quarter note and 120 BPM.
FOUR = [(0, "903c50"), (480, "803c40"), (0, "903e50"), (480, "803e40"),
        (0, "904050"), (480, "804040"), (0, "904150"), (480, "804140")]  # fmt: skip
TEMPO_120 = [(0, "ff5103 07a120")]


def starts(piece):
    return [(note.start_s, note.pitch) for note in piece.notes]


def assert_four_notes(piece, *warnings):
    assert starts(piece) == [(0.0, 60), (0.5, 62), (1.0, 64), (1.5, 65)]
    assert max(note.end_s for note in piece.notes) == 2.0
    assert piece.warnings == list(warnings)


@pytest.mark.parametrize(
    ("event", "warning"),
    [
        ("ff5902 8000", "odd time or key signatures"),  # 128 flats
        ("ff5902 007f", "odd time or key signatures"),
        ("ff5802 0402", "odd time or key signatures"),  # two bytes of four
        ("ff5102 07a1", "tempo changes that say none"),
        ("ff5103 000000", "tempo changes that say none"),
        ("b007a8", "data bytes above 127"),
        ("f8", "bytes that belong to no event"),  # a clock, which is for cables
    ],
)
def test_an_odd_event_leaves_the_notes_as_they_are_and_is_said(write_smf, event, warning):
    assert_four_notes(read_midi(write_smf([*TEMPO_120, (0, event)], FOUR)), warning)


@pytest.mark.parametrize(
    "event",
    [
        "ff7f00",  # a sequencer's own, empty
        "ff7f02 f7ff",
        "f006 43104cff00f7",  # a system exclusive with a byte above 127
        "f703 f8f9fa",  # bytes sent as they are
        "ff6005 0102030405",  # a kind that nobody knows
    ],
)
def test_what_holds_no_music_is_skipped_without_a_word(write_smf, event):
    assert_four_notes(read_midi(write_smf([*TEMPO_120, (0, event)], FOUR)))


def test_a_value_above_127_means_the_largest_and_a_pitch_loses_its_top_bit(write_smf):
    piece = read_midi(write_smf([(0, "b007a8"), (0, "90bcd0"), (480, "803c40")]))
    assert [(note.pitch, note.velocity) for note in piece.notes] == [(60, 127)]
    assert piece.channels[0].controls == [(0.0, 7, 127)]
    assert piece.warnings == ["data bytes above 127 (2)"]


def test_running_status_outlives_meta_events_and_system_exclusives(write_smf):
    path = write_smf([(0, "903c50"), (0, "ff0101 41"), (240, "3c00"), (0, "f00143"), (0, "3e50"), (240, "3e00")])
    assert starts(read_midi(path)) == [(0.0, 60), (0.25, 62)]


def test_data_before_any_status_is_left_out_and_said(write_smf):
    assert_four_notes(read_midi(write_smf([(0, "3c"), *FOUR])), "bytes that belong to no event")


def test_an_empty_track_is_no_fault(write_smf):
    assert_four_notes(read_midi(write_smf(TEMPO_120, b"MTrk\0\0\0\0", FOUR)))


def test_an_unknown_chunk_is_skipped_as_the_standard_asks(write_smf):
    assert_four_notes(read_midi(write_smf(TEMPO_120, b"XFIH\0\0\0\4abcd", FOUR, count=2)))


def test_a_longer_header_is_skipped_as_the_standard_asks(write_smf):
    data = write_smf(TEMPO_120, FOUR).read_bytes()
    longer = data[:4] + b"\0\0\0\x08" + data[8:14] + b"\0\0" + data[14:]
    assert len(parse_smf(longer, source="a.mid").messages) == 8


@pytest.mark.parametrize(("count", "warning"), [(3, "2 of 3 tracks"), (1, "2 tracks, not 1")])
def test_a_wrong_count_of_tracks_is_said_and_all_of_them_are_read(write_smf, count, warning):
    assert_four_notes(read_midi(write_smf(TEMPO_120, FOUR, count=count)), warning)


@pytest.mark.parametrize("name", ["a.rmi", "a.mid"])
def test_midi_wrapped_in_riff_is_read(write_smf, name):
    path = write_smf(TEMPO_120, FOUR, name=name)
    data = path.read_bytes()
    size = [(len(data) + more).to_bytes(4, "little") for more in (12 + 12, 0)]
    path.write_bytes(b"RIFF" + size[0] + b"RMIDdata" + size[1] + data + b"LIST\4\0\0\0INFO")
    assert_four_notes(read_midi(path))


def test_bytes_before_the_header_are_skipped_and_counted(write_smf):
    assert_four_notes(read_midi(write_smf(FOUR, before=bytes(128))), "128 bytes before its header")


def test_bytes_after_the_last_track_are_no_fault(write_smf):
    path = write_smf(FOUR)
    path.write_bytes(path.read_bytes() + b"\r\n\x1a")
    assert_four_notes(read_midi(path))


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(write_smf):
    path = write_smf(TEMPO_120, FOUR)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])  # without the end of the track
    assert_four_notes(read_midi(path), "a track breaks off")
    path.write_bytes(whole[:-6])  # in the middle of the last event
    piece = read_midi(path)
    assert starts(piece) == [(0.0, 60), (0.5, 62), (1.0, 64)]
    assert piece.warnings == ["a track breaks off"]


@pytest.mark.parametrize("length", [0, 3, 30, 1_000_000_000])
def test_a_track_of_a_wrong_length_ends_where_it_says_so_and_the_next_one_is_found(write_smf, length):
    path = write_smf(FOUR, [(0, "914850"), (480, "814840")])
    data = path.read_bytes()
    path.write_bytes(data[:18] + length.to_bytes(4, "big") + data[22:])
    piece = read_midi(path)
    assert starts(piece) == [(0.0, 60), (0.0, 72), (0.5, 62), (1.0, 64), (1.5, 65)]
    assert piece.warnings == ["wrong length of a track"]


def test_smpte_division_counts_frames_and_no_tempo(write_smf):
    notes = [(0, "ff5103 0f4240"), (0, "903c50"), (1000, "803c40"), (0, "903e50"), (500, "803e40")]
    piece = read_midi(write_smf(notes, kind=0, division=0xE728))  # 25 frames a second of 40 ticks
    assert [(note.start_s, note.end_s) for note in piece.notes] == [(0.0, 1.0), (1.0, 1.5)]


def test_smpte_29_is_29_97_frames_a_second(write_smf):
    piece = read_midi(write_smf([(0, "903c50"), (30_000, "803c40")], kind=0, division=0xE301))  # 1 tick a frame
    assert piece.notes[0].end_s == pytest.approx(1001.0)


def test_a_division_of_0_is_read_as_480_and_said(write_smf):
    assert_four_notes(read_midi(write_smf(FOUR, division=0)), "division of 0, read as 480 ticks a quarter note")


def test_several_songs_in_one_file_are_one_clear_line(write_smf):
    path = write_smf(FOUR, FOUR, kind=2)
    with pytest.raises(InputError, match=r"a\.mid: holds 2 separate songs \(MIDI format 2\); .* a file of its own$"):
        read_midi(path)


def test_one_song_of_the_format_for_several_is_read(write_smf):
    assert_four_notes(read_midi(write_smf(FOUR, kind=2)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"not midi at all", "no MIDI header in it"),
        (b"\xff" * 500, "no MIDI header in it"),
        (b"MThd\0\0\0\6\0\1", "it breaks off in its header"),
        (b"MThd\0\0\0\6\0\1\0\2\1\xe0", "no track in it"),
        (b"RIFF\4\0\0\0RMID", "no MIDI in its RIFF file"),
    ],
)
def test_what_is_no_midi_is_told_in_one_line_without_words_of_a_library(content, reason):
    with pytest.raises(InputError) as caught:
        parse_smf(content, source="bad.mid")
    assert str(caught.value) == (
        f"bad.mid: not readable as MIDI ({reason}); expected a standard MIDI file. Export it again"
    )


def test_a_recording_in_place_of_midi_is_told_the_way_to_notes():
    with pytest.raises(InputError, match=r"MIDI file\. Turn it into notes first: to_wav, then transcribe"):
        parse_smf(b"ID3\4" * 100, source="Music/song.MP3")


def test_a_text_is_utf_8_or_else_latin_1(write_smf):
    piece = read_midi(write_smf([(0, "ff0105 636166c3a9"), (0, "ff0104 636166e9"), *FOUR]))
    assert piece.texts == ["café", "café"]


HEADER = b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk"


@given(st.one_of(st.binary(max_size=300), st.builds(lambda size, body: HEADER + size.to_bytes(4, "big") + body,
                                                    st.integers(0, 400), st.binary(max_size=300))))  # fmt: skip
def test_any_bytes_give_messages_in_time_order_or_an_input_error(data):
    try:
        smf = parse_smf(data, source="any.mid")
    except InputError:
        return
    times = [time_s for time_s, *_ in smf.messages]
    assert times == sorted(times)
    assert all(0 <= first <= 127 and 0 <= second <= 127 for *_, first, second in smf.messages)
    assert smf.end_s >= max(times, default=0.0)
