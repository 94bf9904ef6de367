import wave

import pytest

from ambient.midi import write_midi
from ambient.notes import Note
from ambient.studio.services.songs import PEAKS
from ambient.studio.store import MIDI, SET_ASIDE, SONGS, WAV, StoreError


def song(studio, name, notes=(), texts=()):
    """Put a song, and beside it what the chain would have heard in it."""
    content = name.encode()
    studio.store.put(SONGS, {f"{name}.mp3": content})
    path = studio.store.folder / "x.mid"
    write_midi(path, notes, texts=list(texts))
    studio.store.put(MIDI, {f"{name}.mid": path.read_bytes()})
    return next(each.digest for each in studio.store.files(SONGS) if each.path == f"{name}.mp3")


def melody(start=60, gap=0.5, count=60, step=7):
    return [Note(i * gap, start + i * step % 12, i * gap + gap, 64) for i in range(count)]


def test_song_is_described_by_what_was_heard_in_it(studio):
    id_ = song(studio, "calm", melody(), ["transcriber: x", "confidence: 0.9000"])
    [found] = studio.songs.listed()
    assert (found["name"], found["used"], found["heard"], found["notes"], found["seconds"]) == (
        "calm.mp3",
        True,
        True,
        60,
        30.0,
    )
    assert found["confidence"] == 0.9
    assert len(studio.songs.transcription(id_)["notes"]) == 60


def test_song_that_was_not_heard_yet_says_so(studio):
    studio.store.put(SONGS, {"new.mp3": b"new"})
    [found] = studio.songs.listed()
    assert found["heard"] is False
    assert studio.songs.transcription(found["id"]) == {"notes": [], "confidences": None, "seconds": None}
    assert studio.songs.peaks(found["id"]) == {"peaks": [], "seconds": None}


def test_song_is_set_aside_and_back_and_its_file_is_never_lost(studio):
    id_ = song(studio, "calm", melody())
    studio.songs.switch(id_, used=False)
    assert studio.store.files(SONGS) == []
    assert [each.digest for each in studio.store.files(SET_ASIDE)] == [id_]
    [found] = studio.songs.listed()
    assert (found["used"], found["heard"], found["notes"]) == (False, True, 60)
    studio.songs.switch(id_, used=False)
    studio.songs.switch(id_, used=True)
    assert [each.digest for each in studio.store.files(SONGS)] == [id_]
    assert studio.store.files(SET_ASIDE) == []
    assert studio.store.place(id_).read_bytes() == b"calm"


def test_switching_an_unknown_song_changes_nothing(studio):
    song(studio, "calm", melody())
    with pytest.raises(StoreError, match="not found"):
        studio.songs.switch("0" * 64, used=False)
    assert len(studio.store.files(SONGS)) == 1


def test_song_unlike_the_others_is_marked(studio):
    for index in range(6):
        song(studio, f"calm-{index}", melody(start=60 + index, step=5 + index))
    song(studio, "rush", melody(gap=0.05, count=400))
    unlike = {each["name"]: each["unlike"] for each in studio.songs.listed()}
    assert unlike["rush.mp3"] == ["much busier", "much shorter notes"]
    assert all(not words for name, words in unlike.items() if name != "rush.mp3")


def test_near_duplicates_name_each_other(studio):
    song(studio, "a", melody())
    song(studio, "b", [Note(n.start_s * 1.01, n.pitch, n.end_s * 1.01, 80) for n in melody()])
    song(studio, "c", melody(start=40, step=3))
    twins = {each["name"]: each.get("twin") for each in studio.songs.listed()}
    assert twins == {"a.mp3": "b.mp3", "b.mp3": "a.mp3", "c.mp3": None}


def test_peaks_are_the_largest_amplitudes_of_equal_parts(studio, tmp_path):
    id_ = song(studio, "loud", melody())
    path = tmp_path / "loud.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        half = (0).to_bytes(2, "little") * 12000 + (16384).to_bytes(2, "little") * 12000
        file.writeframes(half)
    studio.store.put(WAV, {"loud.wav": path})
    found = studio.songs.peaks(id_)
    assert found["seconds"] == 1.5
    assert len(found["peaks"]) == PEAKS
    assert found["peaks"][: PEAKS // 2] == [0.0] * (PEAKS // 2)
    assert found["peaks"][PEAKS // 2 :] == [0.5] * (PEAKS // 2)


def test_song_that_is_set_aside_before_it_was_heard_has_a_waveform(studio, tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        quiet, loud = (1000).to_bytes(2, "little"), (16384).to_bytes(2, "little")
        file.writeframes(quiet * 16000 + loud * 16000)
    studio.store.put(SET_ASIDE, {"aside.wav": path.read_bytes()})
    [found] = studio.songs.listed()
    peaks = studio.songs.peaks(found["id"])
    assert peaks["seconds"] == 4.0
    assert max(peaks["peaks"][:190]) == pytest.approx(1000 / 32768, abs=0.002)
    assert peaks["peaks"][-10:] == [0.5] * 10
    path.unlink()
    assert studio.songs.peaks(found["id"]) == peaks


def test_song_without_sound_has_no_waveform(studio):
    studio.store.put(SONGS, {"new.mp3": b"not a recording"})
    [found] = studio.songs.listed()
    assert studio.songs.peaks(found["id"]) == {"peaks": [], "seconds": None}
