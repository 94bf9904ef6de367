"""Bytes are stored once, read back whole or not at all, and written again only where they are damaged."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localpach.errors import DamagedObjectError
from localpach.storage.objects import CHUNK_BYTES, Objects

LARGE = os.urandom(CHUNK_BYTES) * 2 + b"end"


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "objects")


def files(objects):
    return sorted(path for path in objects.folder.rglob("*") if path.is_file())


def put(objects, tmp_path, content, **how):
    source = tmp_path / "source"
    source.write_bytes(content)
    digest, size = objects.add_file(source, **how)
    assert (digest, size) == (hashlib.blake2b(content, digest_size=32).hexdigest(), len(content))
    objects.flush()
    return digest


@pytest.mark.parametrize(
    "content", [b"", b"small", b"x" * CHUNK_BYTES, LARGE], ids=["empty", "small", "chunk", "large"]
)
@pytest.mark.parametrize("likely_stored", [False, True])
def test_file_is_stored_once_and_read_back(objects, tmp_path, content, likely_stored):
    digest = put(objects, tmp_path, content, likely_stored=likely_stored)
    (stored,) = files(objects)
    written = stored.stat().st_mtime_ns, stored.stat().st_ino
    assert put(objects, tmp_path, content, likely_stored=likely_stored) == digest
    assert files(objects) == [stored]
    assert (stored.stat().st_mtime_ns, stored.stat().st_ino) == written
    assert b"".join(objects.read(digest)) == content
    assert stored.stat().st_mode & 0o777 == 0o444


def test_large_file_that_is_likely_stored_is_read_and_not_written(objects, tmp_path, monkeypatch):
    put(objects, tmp_path, LARGE)

    def refuse(*_args):
        raise AssertionError("written")

    monkeypatch.setattr("localpach.storage.objects._create", refuse)
    put(objects, tmp_path, LARGE, likely_stored=True)


@pytest.mark.parametrize("likely_stored", [False, True])
def test_damaged_large_object_of_the_same_size_is_repaired(objects, tmp_path, likely_stored):
    digest = put(objects, tmp_path, LARGE)
    (stored,) = files(objects)
    stored.chmod(0o644)
    stored.write_bytes(LARGE[:-3] + b"END")
    with pytest.raises(DamagedObjectError, match="is damaged"):
        objects.check(digest)
    put(objects, tmp_path, LARGE, likely_stored=likely_stored)
    assert b"".join(objects.read(digest)) == LARGE


def test_bytes_are_read_before_they_are_flushed(objects):
    digest, _ = objects.add([b"by", b"tes"])
    assert b"".join(objects.read(digest)) == b"bytes"


def test_same_bytes_from_many_threads_are_one_object(objects):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda index: objects.add([b"%d" % (index % 5)])[0], range(200)))
    objects.flush()
    assert len(found) == len(files(objects)) == 5
    assert sorted(b"".join(objects.read(digest)) for digest in found) == [b"0", b"1", b"2", b"3", b"4"]


def test_flush_that_fails_halfway_is_taken_up_by_the_next(objects, monkeypatch):
    digests = [objects.add([text])[0] for text in (b"one", b"two", b"three")]
    real, renamed = os.replace, []

    def fail_at_the_second(source, target):
        renamed.append(source)
        if len(renamed) == 2:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("pathlib.Path.replace", fail_at_the_second)
    with pytest.raises(Exception, match="No space left"):
        objects.flush()
    monkeypatch.undo()
    objects.flush()
    assert [b"".join(objects.read(digest)) for digest in digests] == [b"one", b"two", b"three"]


def test_folder_of_an_object_that_a_killed_process_renamed_is_synced_too(objects, tmp_path, monkeypatch):
    put(objects, tmp_path, b"bytes")
    again = Objects(objects.folder)  # of another process, which cannot know whether the first one lived to sync
    (stored,) = files(objects)
    synced = []
    monkeypatch.setattr("localpach.storage.objects._sync", synced.append)
    again.add_file(tmp_path / "source")
    again.flush()
    assert synced == [stored.parent]


@pytest.fixture
def calls(monkeypatch):
    """The order in which files and folders are synced and renamed, each by its inode."""
    found = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor):
        fsync(descriptor)
        found.append(("sync", os.fstat(descriptor).st_ino))

    def renamed(path, target):
        found.append(("rename", path.stat().st_ino))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return found


@pytest.mark.parametrize("contents", [[b"one"], [b"one", b"two", b"three"], [LARGE]], ids=["one", "some", "large"])
def test_bytes_are_synced_before_they_are_renamed_and_folders_afterwards(objects, calls, contents):
    digests = [objects.add([content])[0] for content in contents]
    objects.flush()
    renames = [index for index, (what, _) in enumerate(calls) if what == "rename"]
    assert len(renames) == len(contents)
    for digest in digests:
        stored = objects.folder / digest[:2] / digest[2:]
        number = stored.stat().st_ino
        assert ("sync", number) in calls[: calls.index(("rename", number))]
        for folder in (stored.parent, objects.folder):  # that of the name, and the one in which that folder is new
            assert ("sync", folder.stat().st_ino) in calls[renames[-1] + 1 :]
