import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ambient.errors import InputError
from ambient.midi import ChannelEvents, channels_to_smf, read_midi, smf_to_piece, write_midi
from ambient.music_transformer.tokens import NOTE_OFF, NOTE_ON, TIME_SHIFT, tokens_to_notes
from ambient.notes import Note
from ambient.smf import parse_smf, tracks_to_smf
from ambient.smf_track import track_to_bytes


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


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_midi(tmp_path / "none.mid")


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


def test_a_note_off_in_another_track_ends_the_note_of_its_channel(write_smf):
    assert ends(read_midi(write_smf([(0, "903c50")], [(480, "803c40")]))) == [(60, 0.0, 0.5)]


def test_a_strike_of_no_velocity_is_a_release(write_smf):
    assert ends(read_midi(write_smf([(0, "903c50"), (480, "903c00")]))) == [(60, 0.0, 0.5)]


def test_all_notes_off_ends_the_keys_of_its_channel_and_leaves_them_to_the_pedal(write_smf):
    keys = [(0, "903c50"), (0, "914050"), (480, "b07b00"), (480, "903e50"), (480, "803e40"), (0, "814040")]
    assert ends(read_midi(write_smf(keys))) == [(60, 0.0, 0.5), (64, 0.0, 1.5), (62, 1.0, 1.5)]
    held = read_midi(write_smf([(0, "b0407f"), *keys, (480, "b04000")]))
    assert ends(held) == [(60, 0.0, 2.0), (64, 0.0, 1.5), (62, 1.0, 2.0)]


def test_all_sound_off_ends_what_the_pedal_holds_too_and_the_pedal_stays_down(write_smf):
    keys = [(0, "b0407f"), (0, "903c50"), (240, "803c40"), (240, "b07800"), (0, "903e50"), (240, "803e40")]
    assert ends(read_midi(write_smf([*keys, (720, "b04000")]))) == [(60, 0.0, 0.5), (62, 0.5, 1.5)]


@pytest.mark.parametrize(("value", "end_s"), [("3f", 0.25), ("40", 1.0)])
def test_the_pedal_is_down_from_64_on(write_smf, value, end_s):
    path = write_smf([(0, f"b040{value}"), (0, "903c50"), (240, "803c40"), (720, "b04000")])
    assert ends(read_midi(path)) == [(60, 0.0, end_s)]


@pytest.mark.parametrize(("value", "end_s"), [("3f", 0.5), ("40", 1.0)])
def test_the_pedal_is_up_below_64(write_smf, value, end_s):
    path = write_smf([(0, "b0407f"), (0, "903c50"), (240, "803c40"), (240, f"b040{value}"), (480, "b04000")])
    assert ends(read_midi(path)) == [(60, 0.0, end_s)]


def test_reset_of_all_controllers_lifts_the_pedal(write_smf):
    path = write_smf([(0, "b0407f"), (0, "903c50"), (240, "803c40"), (240, "b07900"), (480, "b04000")])
    assert ends(read_midi(path)) == [(60, 0.0, 0.5)]


def test_messages_at_the_start_of_a_note_do_not_end_it(write_smf):
    path = write_smf([(0, "903c50"), (480, "803c40")], [(0, "b07800"), (0, "b07900"), (0, "b07b00")])
    assert ends(read_midi(path)) == [(60, 0.0, 0.5)]


def test_notes_without_an_end_end_with_the_music_and_are_counted(write_smf):
    path = write_smf([(0, "903c50"), (480, "803c40"), (0, "903e50"), (0, "904050"), (960, "804040"), (0, "904350")])
    piece = read_midi(path)
    assert ends(piece) == [(60, 0.0, 0.5), (62, 0.5, 1.5), (64, 0.5, 1.5)]
    assert (piece.hanging_notes, piece.zero_length_notes, piece.seconds) == (1, 1, 1.5)


def test_notes_of_no_length_are_left_out_and_counted(write_smf):
    piece = read_midi(write_smf([(0, "903c50"), (0, "803c40"), (0, "903e50"), (480, "803e40")]))
    assert ends(piece) == [(62, 0.0, 0.5)]
    assert (piece.zero_length_notes, piece.hanging_notes) == (1, 0)


def test_the_lowest_and_the_highest_pitch_are_notes(write_smf):
    piece = read_midi(write_smf([(0, "900050"), (0, "907f50"), (480, "800040"), (0, "807f40")]))
    assert [note.pitch for note in piece.notes] == [0, 127]


def test_a_pedal_that_never_lifts_holds_to_the_end_of_the_music(write_smf):
    path = write_smf([(0, "b0407f"), (0, "903c50"), (480, "803c40"), (480, "903e50"), (480, "803e40")])
    assert ends(read_midi(path)) == [(60, 0.0, 1.5), (62, 1.0, 1.5)]


def test_a_stray_event_hours_after_the_music_is_left_out_of_its_length_and_named(write_smf):
    notes = [(0, "b0407f"), (0, "903c50"), (480, "803c40"), (480, "903e50"), (480, "803e40")]
    for stray in ("ff5103 07a120", "b04000", "b00740"):
        path = write_smf(notes, [(960 * 14 * 3600, stray)])
        piece = read_midi(path)
        assert ends(piece) == [(60, 0.0, 1.5), (62, 1.0, 1.5)]
        assert piece.seconds == 1.5
        assert piece.warnings == ["an event 14 hours after the music, left out of its length"]
        assert piece.channels[0].controls == [(0.0, 64, 127)]
        assert parse_smf(channels_to_smf(piece.channels), source=path).end_s == 1.5


def test_a_note_more_than_twelve_hours_after_the_music_is_left_out_counted_and_named(write_smf):
    path = write_smf([(0, "903c50"), (480, "803c40"), (0, "903e50"), (960 * 20 * 3600, "904050"), (480, "804040")])
    piece = read_midi(path)
    assert ends(piece) == [(60, 0.0, 0.5)]
    assert (piece.stray_notes, piece.zero_length_notes) == (1, 1)
    assert piece.warnings == ["notes more than 12 hours after the music, left out (1)"]


def test_music_that_begins_after_twelve_hours_is_named(write_smf):
    piece = read_midi(write_smf([(960 * 20 * 3600, "903c50"), (480, "803c40")]))
    assert ends(piece) == [(60, 72_000.0, 72_000.5)]
    assert piece.warnings == ["its first note stands 20 hours after its beginning"]


def test_percussion_is_counted_and_left_to_the_channels(write_smf):
    path = write_smf([(0, "992440"), (0, "892440"), (480, "993040"), (0, "903c50"), (480, "803c40")])
    piece = read_midi(path)
    assert ends(piece) == [(60, 0.5, 1.0)]
    assert (piece.drum_notes, piece.hanging_notes, piece.zero_length_notes) == (2, 0, 0)
    _, drums = piece.channels
    assert (drums.channel, drums.is_drums) == (9, True)
    assert drums.notes == [Note(0.0, 36, 0.1, 64), Note(0.5, 48, 1.0, 64)]


def test_a_channel_says_what_it_plays_whichever_track_the_messages_stand_in(write_smf):
    keys = [(0, "b0407f"), (0, "903c50"), (240, "803c40"), (720, "b04000")]
    path = write_smf(keys, [(0, "c059"), (0, "b00764"), (480, "c05a"), (0, "e00060"), (960, "b00700")])
    (events,) = read_midi(path).channels
    assert events == ChannelEvents(
        port=0,
        channel=0,
        notes=[Note(0.0, 60, 0.25, 80)],
        controls=[(0.0, 64, 127), (0.0, 7, 100), (1.0, 64, 0)],
        programs=[(0.0, 89), (0.5, 90)],
        bends=[(0.5, 4096)],
    )
    assert events.name == "Synth pad"


def test_a_written_track_carries_the_name_of_what_it_plays(tmp_path):
    write_midi(tmp_path / "a.mid", [Note(0.0, 60, 1.0, 64)], program=89)
    assert b"\0\xff\x03\x09Synth pad\0\xc0\x59" in (tmp_path / "a.mid").read_bytes()


def test_a_written_file_is_this_byte_for_byte(tmp_path):
    write_midi(tmp_path / "a.mid", [Note(0.5, 60, 1.0, 80)], texts=["hi"], controls=[(0.0, 64, 127)])
    header = "4d546864 00000006 0001 0002 01e0"  # format 1, two tracks, 480 ticks a quarter note
    about = "4d54726b 00000011 00ff510307a120 00ff01026869 00ff2f00"  # 120 BPM, the text
    piano = "4d54726b 0000001e 00ff03055069616e6f 00b0407f 00c000 8360903c50 8360803c40 00ff2f00"
    assert (tmp_path / "a.mid").read_bytes() == bytes.fromhex(header + about + piano)


def test_a_written_note_shorter_than_a_tick_gets_one(tmp_path):
    write_midi(tmp_path / "a.mid", [Note(1.0, 60, 1.0001, 64)])
    assert read_midi(tmp_path / "a.mid").notes == [Note(1.0, 60, 1.0 + 1 / 960, 64)]


def test_a_gap_of_days_is_written_and_read(tmp_path):
    write_midi(tmp_path / "a.mid", [Note(400_000.0, 60, 400_001.0, 64)])  # four bytes of ticks are 279,620 s
    assert ends(read_midi(tmp_path / "a.mid")) == [(60, 400_000.0, 400_001.0)]


keys = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 127), st.integers(1, 30), st.integers(1, 127)), max_size=12
)
controls = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 119), st.integers(0, 127)), max_size=6)


@given(st.dictionaries(st.integers(0, 15), st.tuples(keys, controls), max_size=3), st.text(max_size=8))
def test_what_channels_play_reads_back_as_it_was_written(parts, text):
    channels = []
    for number, (played, changes) in sorted(parts.items()):
        notes, free = [], {}
        for start, pitch, ticks, velocity in sorted(played):
            begin = max(start, free.get(pitch, 0))  # overlapping notes of one pitch would change their ends
            free[pitch] = begin + ticks
            notes.append(Note(begin / 960, pitch, free[pitch] / 960, velocity))
        timed = [
            (tick / 960, controller, value) for tick, controller, value in sorted(changes, key=lambda each: each[0])
        ]
        channels.append(ChannelEvents(0, number, sorted(notes), timed, [(0.0, 46)]))
    piece = smf_to_piece(channels_to_smf(channels, texts=[text]), source="a.mid")
    for read, written in zip(piece.channels, channels, strict=True):
        within = [change for change in written.controls if change[0] <= piece.seconds]
        assert (read.channel, read.notes) == (written.channel, written.notes)
        assert (read.controls, read.programs) == (within, written.programs)
    assert (piece.texts, piece.warnings, piece.hanging_notes, piece.zero_length_notes) == ([text], [], 0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([60, 61]), st.booleans()), max_size=30))
def test_overlapping_notes_end_as_those_of_the_tokens_do(steps):
    strikes = [pitch for _, pitch, is_strike in steps if is_strike]
    events, tokens, now = [], [], 0
    for wait, pitch, is_strike in [*steps, *((1, pitch, False) for pitch in strikes)]:  # so that no note is left open
        now += wait
        events.append((now, bytes((0x90 if is_strike else 0x80, pitch, 65))))
        tokens += [TIME_SHIFT + wait - 1] if wait else []
        tokens.append((NOTE_ON if is_strike else NOTE_OFF) + pitch)
    track = track_to_bytes("", events)
    piece = smf_to_piece(tracks_to_smf([track], division=50), source="a.mid")  # 100 ticks a second, a step each
    expected = tokens_to_notes(tokens)
    assert piece.notes == expected.notes
    assert piece.zero_length_notes == expected.dropped.get("zero_length", 0)


@example(b"\x00\x99\x00\x01\x94\x80\x80", 225, 0)  # what was a note becomes percussion, and ends last
@given(st.binary(min_size=1, max_size=12), st.integers(0, 400), st.integers(0, 12))
def test_a_damaged_file_is_read_or_refused_in_one_line(damage, place, removed):
    notes = [Note(index / 4, 60 + index, index / 4 + 0.5, 80) for index in range(24)]
    whole = channels_to_smf([ChannelEvents(0, 0, notes, [(0.0, 64, 127), (2.0, 64, 0)])], texts=["made by a test"])
    data = whole[:place] + damage + whole[place + removed :]
    try:
        piece = smf_to_piece(data, source="a.mid")
    except InputError:
        return
    assert piece.notes == sorted(piece.notes)
    assert all(note.end_s > note.start_s >= 0 and 1 <= note.velocity <= 127 for note in piece.notes)
    drums = [note for channel in piece.channels if channel.channel == 9 for note in channel.notes]
    assert piece.seconds == max((note.end_s for note in [*piece.notes, *drums]), default=0.0)
