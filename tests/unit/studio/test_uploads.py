import asyncio
import wave

import pytest

from ambient.studio.services.uploads import UploadError, Uploads
from ambient.studio.store import SET_ASIDE, SONGS


def wav(path, value=0):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes([value, 10]) * 4000)
    return path.read_bytes()


@pytest.fixture
def uploads(studio):
    return studio.uploads


def send(uploads, batch, index, content):
    async def chunks():
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return asyncio.run(uploads.receive(batch, index, chunks()))["files"][index]


def test_songs_become_one_commit_that_can_be_undone(uploads, studio, tmp_path):
    batch = uploads.begin(["one.wav", "two.wav"])["id"]
    for index in range(2):
        assert send(uploads, batch, index, wav(tmp_path / "a.wav", index))["state"] == "ready"
    put = uploads.put(batch, [0, 1])
    assert [each.path for each in studio.store.files(SONGS)] == ["one.wav", "two.wav"]
    [commit] = [each for each in studio.store.history(SONGS) if each["id"] == put["commit"]]
    assert commit["added"] == ["one.wav", "two.wav"]
    assert "audio-processed" in [job["pipeline"] for job in commit["set_off"]]
    studio.store.undo(SONGS, put["commit"])
    assert studio.store.files(SONGS) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("../../etc/passwd.mp3", "passwd.mp3"),
        ("..\\..\\x.mp3", "x.mp3"),
        ("/absolute.mp3", "absolute.mp3"),
        ("<img src=x onerror=alert(1)>.mp3", "<img src=x onerror=alert_1_>.mp3"),
        ("Sigur Rós.mp3", "Sigur Ros.mp3"),
        ("a\nb.mp3", "a_b.mp3"),
    ],
)
def test_name_of_a_file_never_becomes_a_path_outside(uploads, name, path):
    [file] = uploads.begin([name])["files"]
    assert (file["name"], file["path"], file["state"]) == (name, path, "expected")


def test_what_is_no_recording_is_named_before_anything_is_put(uploads, studio):
    batch = uploads.begin(["notes.txt", "page.mp3", "empty.mp3"])
    assert batch["files"][0]["problem"].startswith("has a name that no recording has")
    page = send(uploads, batch["id"], 1, b"<!doctype html><html><script>alert(1)</script></html>")
    assert (page["state"], page["problem"]) == ("refused", "is a web page, not a recording")
    assert send(uploads, batch["id"], 2, b"")["problem"] == "is empty"
    for index in range(3):
        with pytest.raises(UploadError):
            uploads.put(batch["id"], [index])
    assert not studio.store.has_chain()


def test_recording_that_is_there_already_is_named(uploads, studio, tmp_path):
    content = wav(tmp_path / "a.wav")
    studio.store.put(SONGS, {"first.wav": content})
    studio.store.put(SET_ASIDE, {"aside.wav": wav(tmp_path / "b.wav", 7)})
    batch = uploads.begin(["again.wav", "twice.wav", "first.wav", "old.wav"])["id"]
    assert send(uploads, batch, 0, content)["problem"] == "is here already as first.wav"
    assert send(uploads, batch, 1, content)["problem"] == "is the same recording as again.wav"
    assert (
        send(uploads, batch, 2, wav(tmp_path / "c.wav", 3))["problem"]
        == "replaces the other recording called first.wav"
    )
    old = send(uploads, batch, 3, wav(tmp_path / "b.wav", 7))
    assert (old["state"], old["problem"]) == ("odd", "is here already as aside.wav, which is set aside")


def test_file_that_is_cut_off_leaves_nothing(uploads, tmp_path, studio):
    batch = uploads.begin(["a.wav"])["id"]

    async def broken():
        yield b"RIFF"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(uploads.receive(batch, 0, broken()))
    assert list((tmp_path / "state" / "studio" / "uploads" / batch).iterdir()) == []
    with pytest.raises(UploadError, match="has not been received yet"):
        uploads.put(batch, [0])
    assert send(uploads, batch, 0, wav(tmp_path / "a.wav"))["state"] == "ready"


def test_what_a_killed_server_left_is_removed(uploads, studio, tmp_path):
    batch = uploads.begin(["a.wav"])["id"]
    send(uploads, batch, 0, wav(tmp_path / "a.wav"))
    folder = tmp_path / "state" / "studio" / "uploads"
    again = Uploads(folder, studio.store)
    assert list(folder.iterdir()) == []
    with pytest.raises(UploadError, match="Send it again"):
        again.put(batch, [0])


def test_too_many_files_are_refused(uploads):
    with pytest.raises(UploadError, match="send 1 to 500"):
        uploads.begin(["a.mp3"] * 501)
    with pytest.raises(UploadError):
        uploads.begin([])


def test_equal_names_of_two_folders_are_kept_apart(uploads):
    files = uploads.begin(["a/song.mp3", "b/song.mp3"])["files"]
    assert [each["path"] for each in files] == ["song.mp3", "song-2.mp3"]
