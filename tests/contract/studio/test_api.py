"""The HTTP API as a client meets it: its document, its errors, and names and numbers that are meant to do harm."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ambient.midi import write_midi
from ambient.notes import Note
from ambient.studio.app import STATIC, make_app
from ambient.studio.services.studio import Studio
from ambient.studio.store import GENERATED, MIDI, SONGS

ROOT = Path(__file__).resolve().parents[3]
MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture
def studio(tmp_path):
    made = Studio(tmp_path / "state")
    yield made
    made.work.close()


@pytest.fixture
def client(studio):
    with TestClient(make_app(studio), base_url="http://127.0.0.1:8484") as found:
        yield found


def midi_bytes(tmp_path, texts=()):
    path = tmp_path / "primer.mid"
    write_midi(path, [Note(i * 0.4, 60 + i % 5, i * 0.4 + 0.5, 70) for i in range(30)], texts=list(texts))
    return path.read_bytes()


def test_document_names_every_route_and_says_what_it_does(client):
    paths = client.get("/api/openapi.json").json()["paths"]
    assert len(paths) > 25
    for path, methods in paths.items():
        assert path.startswith("/api/")
        for operation in methods.values():
            assert operation["description"], path


def test_every_route_stands_in_the_manual(client):
    manual = (ROOT / "docs" / "studio.md").read_text(encoding="utf-8")
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in manual


def test_empty_store_has_a_chain_to_show_and_no_songs(client):
    flow = client.get("/api/flow").json()
    assert flow["ready"] is False
    assert len(flow["nodes"]) == 9
    assert client.get("/api/songs").json() == []
    assert client.get("/api/pieces").json() == []
    assert len(client.get("/api/primers").json()) == 7
    assert [each["id"] for each in client.get("/api/models").json()] == ["shipped"]


def test_page_is_served_with_its_policy(client):
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.*")), ids=lambda path: path.name)
def test_no_file_of_the_page_names_another_host(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:|wss?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(", text) == []


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.html")), ids=lambda path: path.name)
def test_no_page_has_script_or_style_inside(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|\sstyle=|<style|javascript:", text) == []


def test_page_writes_no_markup_from_text():
    for path in STATIC.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), path


def test_hostile_names_and_texts_come_back_as_text(client, studio, tmp_path):
    made = client.post("/api/uploads", json={"names": [f"{MARKUP}.mp3"]}).json()
    assert made["files"][0]["name"] == f"{MARKUP}.mp3"
    primer = client.post("/api/primers", params={"name": MARKUP}, content=midi_bytes(tmp_path, [MARKUP]))
    assert (primer.status_code, primer.json()["name"]) == (200, MARKUP)
    assert primer.headers["content-type"] == "application/json"
    bad = client.post("/api/primers", params={"name": MARKUP}, content=b"<svg onload=alert(1)>")
    assert bad.status_code == 422
    assert bad.headers["content-type"] == "application/json"
    assert MARKUP in bad.json()["error"]
    studio.store.put(SONGS, {"<b>bold<-b>.mp3": b"x"})
    assert client.get("/api/songs").json()[0]["name"] == "<b>bold<-b>.mp3"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/songs/../../state.sqlite/audio", None),
        ("GET", f"/api/songs/{'0' * 64}/audio", None),
        ("GET", "/api/songs/nope/notes", None),
        ("GET", "/api/renderings/..%2f..%2fx.mp3", None),
        ("GET", f"/api/renderings/{'0' * 32}.mp3", None),
        ("GET", "/api/pieces/nope", None),
        ("GET", f"/api/pieces/{'a' * 64}/midi", None),
        ("POST", "/api/takes/nope/verdict", {"verdict": "kept"}),
        ("POST", "/api/takes", {"primer": {"kind": "song", "id": "a" * 64}}),
        ("POST", "/api/takes", {"minutes": 1e9}),
        ("POST", "/api/takes", {"count": 0}),
        ("POST", "/api/takes", {"density": [[0, 101]]}),
        ("POST", "/api/takes", {"model": "../../etc"}),
        ("POST", "/api/takes", {"model": "0" * 32}),
        ("POST", "/api/takes", {"surprise": 1}),
        ("POST", "/api/takes", {"primer": {"kind": "file", "id": "..-..-etc"}}),
        ("POST", "/api/renderings", {"piece": "nope", "preset": "/etc/passwd.toml"}),
        ("POST", f"/api/commits/{'0' * 32}/undo", {}),
        ("POST", "/api/uploads", {"names": []}),
        ("PUT", "/api/uploads/nope/0", None),
    ],
)
def test_bad_request_is_refused_in_one_line_and_changes_nothing(client, studio, method, path, body):
    answer = client.request(method, path, json=body)
    assert 400 <= answer.status_code < 500
    if answer.headers["content-type"] == "application/json" and answer.status_code != 404:
        assert answer.json()["error"].strip().count("\n") == 0
    assert studio.takes.listed() == []
    assert studio.store.files(SONGS) == []


def test_compose_keep_render_and_download(client, studio, tmp_path):
    primer = client.post("/api/primers", content=midi_bytes(tmp_path)).json()["id"]
    wish = {
        "primer": {"kind": "file", "id": primer},
        "minutes": 0.1,
        "count": 1,
        "seed": 3,
        "register": [[0, 70], [0.1, 20]],
    }
    [take] = client.post("/api/takes", json=wish).json()["takes"]
    wait_for(lambda: client.get(f"/api/takes/{take}").json()["state"] == "done")
    assert client.post(f"/api/takes/{take}/verdict", json={"verdict": "kept"}).status_code == 200
    assert [each["id"] for each in client.get("/api/pieces").json()] == [take]
    piece = client.get(f"/api/pieces/{take}").json()
    assert piece["model"] == "shipped"
    assert piece["settings"]["register"] == "0:70 0.1:20"
    midi = client.get(f"/api/pieces/{take}/midi")
    assert midi.content.startswith(b"MThd")
    assert midi.headers["content-disposition"].startswith("attachment")
    asked = {"piece": take, "preset": "felt piano", "kind": "stems"}
    wait_for(lambda: client.post("/api/renderings", json=asked).json()["state"] == "ready")
    file = client.get(client.post("/api/renderings", json=asked).json()["file"], params={"title": MARKUP})
    assert file.content.startswith(b"PK")
    assert "<" not in file.headers["content-disposition"]
    wait_for(lambda: client.post(f"/api/pieces/{take}/match").json()["state"] == "done")
    found = client.post(f"/api/pieces/{take}/match").json()
    assert found["error"] == ""
    assert found["answer"]["match"]["notes"] >= 2
    client.post(f"/api/pieces/{take}/remake")
    wait_for(lambda: client.post(f"/api/pieces/{take}/remake?ask=true").json()["state"] == "done")
    again = client.post(f"/api/pieces/{take}/remake?ask=true").json()
    assert (again["error"], again["answer"]) == ("", {"same": True})


def test_piece_of_the_chain_is_composed_again_from_a_moment_on(client, studio):
    piece = (ROOT / "samples" / "generated" / "1.mid").read_bytes()
    studio.store.put(GENERATED, {"1.mid": piece})
    [listed] = client.get("/api/pieces").json()
    before = client.get(f"/api/pieces/{listed['id']}").json()
    asked = {"at_s": 10, "count": 1, "minutes": 0.1}
    [take] = client.post(f"/api/pieces/{listed['id']}/again", json=asked).json()["takes"]
    wait_for(lambda: client.get(f"/api/takes/{take}").json()["state"] == "done")
    after = client.get(f"/api/takes/{take}").json()
    stays = [row[1] for row in before["notes"] if row[0] < 10]
    assert [row[1] for row in after["notes"]][: len(stays)] == stays
    assert after["notes"][-1][0] > 12
    assert (after["kept_s"], after["primer_label"]) == (10, "1.mid")
    assert [row[1] for row in after["primer"]] == [row[1] for row in before["primer"]]
    assert client.post(f"/api/takes/{take}/undo").json() == {"removed": 1}
    assert client.get("/api/takes").json() == []


def test_take_is_rendered_as_far_as_it_has_come(client, studio, monkeypatch):
    notes = [Note(0.5 + i, 60, 1.4 + i, 70) for i in range(10)]
    monkeypatch.setattr(type(studio.takes), "so_far", lambda self, id_: (notes, True))
    asked = {"piece": "growing", "preset": "felt piano", "kind": "mp3"}
    first = client.post("/api/renderings", json=asked).json()
    assert (first["state"], first["begins_s"], first["until_s"]) == ("rendering", 0.5, 9.5)
    wait_for(lambda: client.post("/api/renderings", json=asked).json()["state"] == "ready")
    assert len(client.get(first["file"]).content) > 50_000
    refused = client.post("/api/renderings", json=asked | {"kind": "wav"})
    assert (refused.status_code, "still being composed" in refused.json()["error"]) == (409, True)
    files = [first["file"]]
    for _ in range(7):  # of the beginnings only the last few are kept
        notes.append(Note(notes[-1].start_s + 1, 64, notes[-1].start_s + 1.5, 70))
        files.append(client.post("/api/renderings", json=asked).json()["file"])
        wait_for(lambda: client.post("/api/renderings", json=asked).json()["state"] == "ready")
    assert [client.get(each).status_code for each in files] == [404, 404, 200, 200, 200, 200, 200, 200]


def test_score_and_loudness_of_a_piece(client, studio):
    seed = (ROOT / "samples" / "midi" / "7.mid").read_bytes()
    without = (ROOT / "samples" / "generated" / "2.mid").read_bytes()
    studio.store.put(GENERATED, {"even.mid": seed, "free.mid": without})
    even, free = (each["id"] for each in client.get("/api/pieces").json())

    def rendered(piece, kind):
        asked = {"piece": piece, "preset": "felt piano", "kind": kind}
        wait_for(lambda: client.post("/api/renderings", json=asked).json()["state"] != "rendering")
        return client.post("/api/renderings", json=asked).json()

    score = client.get(rendered(even, "score")["file"], params={"title": "even"})
    assert b"<score-partwise" in score.content
    assert score.headers["content-disposition"].endswith("even.musicxml")
    asked = {"piece": free, "preset": "auto", "kind": "score"}
    client.post("/api/renderings", json=asked)
    failed = {}
    wait_for(lambda: failed.update(studio.sound.listed()) or any(each["state"] == "failed" for each in failed.values()))
    assert "no steady beat" in next(each["error"] for each in failed.values() if each["error"])
    early = client.post("/api/renderings", json={"piece": even, "preset": "felt piano", "kind": "loudness"}).json()
    assert (early["state"], "play it" in early["error"], early["attempt"]) == ("failed", True, 1)
    assert rendered(even, "mp3")["state"] == "ready"
    again = client.post("/api/renderings", json={"piece": even, "preset": "felt piano", "kind": "loudness"}).json()
    assert (again["state"], again["attempt"]) == (
        "rendering",
        2,
    )  # so that nobody takes the first failure for this one's
    loudness = client.get(rendered(even, "loudness")["file"]).json()
    assert loudness["lufs"] == -16.0  # what every rendering is brought to


def test_song_that_was_heard_is_composed_from(client, studio, tmp_path):
    studio.store.put(SONGS, {"calm.mp3": b"calm"})
    studio.store.put(MIDI, {"calm.mid": midi_bytes(tmp_path, ["transcriber: x"])})
    [song] = client.get("/api/songs").json()
    passage = {"kind": "song", "id": song["id"], "begin_s": 2, "end_s": 8}
    [take] = client.post("/api/takes", json={"primer": passage, "minutes": 0.1, "count": 1}).json()["takes"]
    shown = client.get(f"/api/takes/{take}").json()
    assert shown["primer_label"] == "calm.mp3, 0:02–0:08"
    assert len(shown["primer"]) == 15
    nothing = client.post("/api/takes", json={"primer": passage | {"begin_s": 50, "end_s": 60}})
    assert nothing.status_code == 422
    assert "mark a longer one" in nothing.json()["error"]


def test_body_that_is_no_json_is_refused_like_any_other(client):
    answer = client.post("/api/uploads", content=b"\t\xff\\n", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert list(client.get("/api/nothing").json()) == ["error"]


def test_server_is_there_before_anything_heavy_is_loaded():
    heavy = ["tensorflow", "keras", "torch", "jax", "onnxruntime", "matplotlib", "numpy"]
    modules = "ambient.studio.app, ambient.studio.__main__"
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_token_is_asked_for_once_and_kept_in_a_cookie(studio):
    with TestClient(make_app(studio, host="0.0.0.0", token="right"), base_url="http://box.lan") as client:
        assert client.get("/api/flow").status_code == 401
        assert client.post("/login", json={"token": "wrong"}).status_code == 401
        welcome = client.post("/login", json={"token": "right"})
        assert {"HttpOnly", "SameSite=strict"} <= set(welcome.headers["set-cookie"].split("; "))
        assert client.get("/api/flow").status_code == 200


def wait_for(is_so):
    for _ in range(600):
        if is_so():
            return
        threading.Event().wait(0.1)
    raise AssertionError("it did not come about")
