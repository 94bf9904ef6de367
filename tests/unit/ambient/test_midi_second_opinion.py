"""Do other readers find the same notes? In what we write, and in every file of the folder that AMBIENT_MIDI names.

In files of others it is the starts that are compared: readers differ in which of two notes of one pitch ends first.
"""

import os
import warnings
from pathlib import Path

import mido
import pretty_midi
import pytest

from ambient.midi import read_midi, write_midi
from ambient.notes import Note

FOLDER = os.environ.get("AMBIENT_MIDI")
of_a_folder = pytest.mark.skipif(not FOLDER, reason="AMBIENT_MIDI names no folder of MIDI files")
NOTES = [Note(0.0, 60, 1.0, 64), Note(0.5, 64, 2.25, 1), Note(1.0, 60, 1.5, 90), Note(3.25, 127, 9.875, 127)]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "song.mid"
    write_midi(path, NOTES, program=89, texts=["made by a test"], controls=[(0.0, 7, 100)])
    return path


def test_mido_reads_the_notes_and_the_name_that_we_write(written):
    file = mido.MidiFile(written, clip=False)
    assert [track.name for track in file.tracks] == ["", "Synth pad"]
    now_s, struck, notes = 0.0, {}, []
    for message in file:
        now_s += message.time
        if message.type == "note_on":
            struck[message.note] = (now_s, message.velocity)
        elif message.type == "note_off":
            start_s, velocity = struck.pop(message.note)
            notes.append(Note(round(start_s, 6), message.note, round(now_s, 6), velocity))
    assert (sorted(notes), struck) == (NOTES, {})


def test_pretty_midi_reads_the_notes_and_the_name_that_we_write(written):
    midi = pretty_midi.PrettyMIDI(str(written))
    (instrument,) = midi.instruments
    assert (instrument.name, instrument.program) == ("Synth pad", 89)
    notes = [Note(round(float(n.start), 6), n.pitch, round(float(n.end), 6), n.velocity) for n in instrument.notes]
    assert sorted(notes) == NOTES
    assert [text.text for text in midi.text_events] == ["made by a test"]


def test_symusic_reads_the_notes_and_the_name_that_we_write(written):
    symusic = pytest.importorskip("symusic")
    (track,) = symusic.Score(written, ttype="second").tracks
    assert (track.name, track.program) == ("Synth pad", 89)
    assert sorted(Note(n.time, n.pitch, n.time + n.duration, n.velocity) for n in track.notes) == NOTES


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_music21_reads_the_notes_and_the_name_that_we_write(written):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        music21 = pytest.importorskip("music21")
        file = music21.midi.MidiFile()
        file.open(written)
        file.read()
        file.close()
        score = music21.converter.parse(written, quantizePost=False)
    (part,) = score.parts
    assert part.partName == "Synth pad"
    starts = [
        (float(element.getOffsetInHierarchy(score)) / 2, pitch.midi)  # two quarter notes a second
        for element in part.recurse().notes
        if element.tie is None or element.tie.type == "start"
        for pitch in element.pitches
    ]
    assert sorted(starts) == [(note.start_s, note.pitch) for note in NOTES]
    tick, struck, notes = 0, {}, []
    for event in file.tracks[1].events:  # deltas are events of their own
        if event.isDeltaTime():
            tick += event.time
        elif event.isNoteOn():
            struck[event.pitch] = (tick, event.velocity)
        elif event.isNoteOff():
            start, velocity = struck.pop(event.pitch)
            notes.append(Note(start / 960, event.pitch, tick / 960, velocity))
    assert (sorted(notes), struck) == (NOTES, {})


@pytest.mark.slow
@pytest.mark.timeout(3600)
@of_a_folder
def test_mido_and_symusic_find_the_same_starts_in_every_file():
    symusic = pytest.importorskip("symusic")
    paths = sorted(Path(FOLDER).rglob("*.mid"))
    assert paths
    for path in paths:
        piece = read_midi(path)
        ours = sorted(note.start_s for events in piece.channels for note in events.notes)

        file = mido.MidiFile(path)
        midos, seconds_of = [], {}
        tick, now_s, tempo = 0, 0.0, 500_000
        for message in mido.merge_tracks(file.tracks):
            tick += message.time
            now_s += mido.tick2second(message.time, file.ticks_per_beat, tempo)
            if message.type == "set_tempo":
                tempo = message.tempo
            elif message.type == "note_on" and message.velocity:
                midos.append(now_s)
                seconds_of[tick] = now_s
        assert len(midos) == len(ours) + piece.zero_length_notes, path
        if not piece.zero_length_notes:
            assert all(abs(mine - other) < 1e-6 for mine, other in zip(ours, midos, strict=True)), path

        # Its ticks, for its seconds are of single precision and take the first of two tempos at one tick.
        heard = [note for track in symusic.Score(path).tracks for note in track.notes]
        symusics = sorted(seconds_of[note.time] for note in heard if note.duration > 0)
        assert len(symusics) == len(ours), path
        assert all(abs(mine - other) < 1e-6 for mine, other in zip(ours, symusics, strict=True)), path
