import tempfile

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.midi import ChannelEvents, channels_to_smf, smf_to_piece
from ambient.notes import Note
from ambient.sound.file_sounds import FileSoundsPlayer, prepared_channels
from ambient.sound.preset import find_preset
from ambient.sound.rendering import Layer, Settings, prepared, render_piece
from ambient.sound.soundfont import find_soundfont
from ambient.sound.voices import BLOCK


def test_notes_are_moved_to_zero_stretched_and_transposed_within_the_range():
    notes = [Note(10.0, 60, 11.0, 64), Note(12.0, 125, 13.0, 64)]
    assert prepared(notes, transpose=5, slower=2.0) == [Note(0.0, 65, 2.0, 64), Note(4.0, 118, 6.0, 64)]


def test_same_seed_same_bytes_and_another_seed_others(tmp_path):
    layer = Layer(find_preset("tape organ"), (Note(0.0, 60, 0.5, 64),))
    files = [tmp_path / f"{index}.flac" for index in range(3)]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        render_piece([layer], file, Settings(audio_format="flac", seed=seed), {})
    first, second, third = (file.read_bytes() for file in files)
    assert first == second != third


def test_full_disk_is_told_with_the_file(tmp_path):
    layer = Layer(find_preset("felt piano"), (Note(0.0, 60, 0.3, 64),))
    full = tmp_path / "full.wav"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        render_piece([layer], full, Settings(audio_format="wav"), {})


def test_failure_leaves_no_stem(tmp_path):
    layer = Layer(find_preset("felt piano"), (Note(0.0, 60, 0.3, 64),))
    full = tmp_path / "full.wav"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        render_piece([layer, layer], full, Settings(audio_format="wav", stems=True), {})
    assert list(tmp_path.iterdir()) == [full]


def test_a_full_temporary_folder_is_named(tmp_path, monkeypatch):
    layer = Layer(find_preset("felt piano"), (Note(0.0, 60, 0.3, 64),))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(InputError, match=rf"{tempfile.gettempdir()}: no space left on device.* set TMPDIR"):
        render_piece([layer], tmp_path / "a.wav", Settings(audio_format="wav"), {})


def events(**changes):
    notes = [Note(100.0, 60, 100.5, 80), Note(101.0, 64, 101.5, 80)]
    return ChannelEvents(0, 0, notes=notes, **changes)


def test_messages_before_the_music_act_at_its_start_and_the_pedal_is_in_the_notes():
    channel = events(controls=[(0.0, 7, 90), (100.2, 64, 127), (103.0, 64, 0)], programs=[(0.0, 11)])
    (moved,) = prepared_channels([channel], begin_s=100.0, transpose=2, slower=2.0)
    assert moved.controls == [(0.0, 7, 90)]
    assert moved.programs == [(0.0, 11)]
    assert [(note.start_s, note.pitch) for note in moved.notes] == [(0.0, 62), (2.0, 66)]
    assert all(note.end_s > 3.0 for note in moved.notes)


def test_percussion_is_not_transposed():
    drums = ChannelEvents(0, 9, notes=[Note(0.0, 38, 0.2, 80)])
    (moved,) = prepared_channels([drums], begin_s=0.0, transpose=7)
    assert moved.notes[0].pitch == 38


def played(channel):
    player = FileSoundsPlayer(prepared_channels([channel], begin_s=100.0), find_soundfont(), rate_hz=48_000)
    block = np.zeros((3, 2, BLOCK), np.float32)
    player.add(block, 0)
    return block[1], player.end


def test_a_files_own_sounds_hold_their_notes_as_its_piece_does():
    held_for_ever = ChannelEvents(0, 0, [Note(0.0, 60, 0.5, 64)], controls=[(0.0, 64, 127)])
    reset = ChannelEvents(0, 1, [Note(0.0, 64, 0.5, 64)], controls=[(0.0, 64, 127), (1.0, 121, 0)])
    silenced = ChannelEvents(0, 2, [Note(0.0, 67, 0.5, 64)], controls=[(0.0, 64, 127), (1.5, 120, 0)])
    last = ChannelEvents(0, 3, [Note(2.0, 72, 3.0, 64)])
    piece = smf_to_piece(channels_to_smf([held_for_ever, reset, silenced, last]), source="a test")
    played = [note for channel in prepared_channels(piece.channels, begin_s=0.0) for note in channel.notes]
    assert [(note.pitch, note.end_s) for note in sorted(played)] == [(60, 3.0), (64, 1.0), (67, 1.5), (72, 3.0)]
    assert sorted(played) == piece.notes


def test_a_file_s_own_volume_and_program_are_heard():
    loud, _ = played(events(controls=[(0.0, 7, 127)]))
    soft, _ = played(events(controls=[(0.0, 7, 32)]))
    other, _ = played(events(controls=[(0.0, 7, 127)], programs=[(0.0, 19)]))
    assert np.abs(loud).max() > 3 * np.abs(soft).max() > 0
    assert not np.array_equal(loud, other)


def test_what_stands_hours_after_the_music_adds_nothing_to_its_length():
    _, end = played(events(controls=[(50_000.0, 7, 100)], programs=[(50_000.0, 3)]))
    assert end == (1.5 + 2.5) * 48_000
