import json

import pytest

from ambient.studio.store import SONGS, LocalStore, StoreError, plain, safe_name
from localpach.actions.pipelines import create_pipelines
from localpach.actions.repos import create_repo
from localpach.running.jobs import run_jobs
from localpach.spec.spec import parse
from localpach.storage.store import Store as State


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "state", tmp_path)


def paths(store, repo=SONGS):
    return {each.path: store.place(each.digest).read_bytes() for each in store.files(repo)}


def test_undo_takes_back_what_a_commit_changed_and_leaves_what_came_later(store):
    store.put(SONGS, {"old.mp3": b"1", "gone.mp3": b"2"})
    changed = store.put(SONGS, {"old.mp3": b"3", "new.mp3": b"4", "folder/deep.mp3": b"5"}, remove=["gone.mp3"])
    store.put(SONGS, {"new.mp3": b"later"})
    store.undo(SONGS, changed)
    assert paths(store) == {"old.mp3": b"1", "gone.mp3": b"2", "new.mp3": b"later"}


def test_history_says_what_each_commit_changed(store):
    store.put(SONGS, {"a.mp3": b"1", "b.mp3": b"2"}, note="put two")
    store.put(SONGS, {"a.mp3": b"3"}, remove=["b.mp3"])
    newest, first = store.history(SONGS)
    assert (newest["added"], newest["removed"], newest["replaced"]) == ([], ["b.mp3"], ["a.mp3"])
    assert (first["note"], first["added"], first["set_off"]) == ("put two", ["a.mp3", "b.mp3"], [])


def test_refused_name_puts_nothing(store):
    with pytest.raises(StoreError):
        store.put(SONGS, {"good.mp3": b"1", "bad*.mp3": b"2"})
    assert store.files(SONGS) == []


def test_digest_that_is_none_names_no_file(store):
    for digest in ("../../state.sqlite", "0" * 63, "0" * 63 + "/", ""):
        with pytest.raises(StoreError):
            store.place(digest)


def test_error_of_a_song_is_told_in_the_words_of_its_program(store, tmp_path):
    script = 'for f in /pfs/audio-unprocessed/*; do echo "error: $f: holds no sound" >&2; exit 1; done'
    spec = {
        "pipeline": {"name": "midi"},
        "transform": {"cmd": ["sh"], "stdin": [script], "err_cmd": ["true"]},
        "input": {"pfs": {"repo": SONGS, "glob": "/*"}},
        "datum_tries": 1,
    }
    state = State(store.folder)
    create_repo(state, SONGS)
    create_pipelines(state, parse(json.dumps(spec)))
    store.put(SONGS, {"page.mp3": b"<html>"})
    run_jobs(state)
    state.close()
    node = next(each for each in store.chain()["nodes"] if each["name"] == "midi")
    assert (node["state"], node["done"], node["todo"], node["left_out"]) == ("done", 1, 1, 1)
    assert node["error"].startswith("page.mp3: ")
    job = store.job("midi")
    assert [each["label"] for each in job["datums"]] == ["page.mp3"]
    assert any("holds no sound" in line for line in job["log"])


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("error: /pfs/audio-processed/a.mp3: 0 notes; need at least 1", "a.mp3: 0 notes; need at least 1"),
        ("log\nerror: /tmp/x/pfs/midi/a.mid: empty", "a.mid: empty"),
        ("", ""),
    ],
)
def test_reason_is_told_without_the_folders_of_a_program(reason, told):
    assert plain(reason) == told


def test_safe_name_keeps_what_can_be_kept():
    assert safe_name("Night Ferry.mp3") == "Night Ferry.mp3"
    assert safe_name("../Ágætis?.mp3") == "Ag_tis_.mp3"
