import hashlib
import json
import threading

import pytest

from ambient.notes import Note
from ambient.studio.services.notes import notes_of, read_music
from ambient.studio.services.takes import TakeError, Takes, Wish, _later
from ambient.studio.services.titles import title
from ambient.studio.services.work import Work
from ambient.studio.store import KEPT

PRIMER = [Note(i * 0.5, 60 + i * 5 % 12, i * 0.5 + 0.6, 60) for i in range(24)]


def wish(**changed):
    wanted = {
        "primer": PRIMER, "context_s": 12.1, "primer_label": "a scale", "primer_texts": [], "model": "shipped",
        "minutes": 0.1, "count": 2, "seed": 5, "controls": {"density": [(0.0, 40.0)]},
    }  # fmt: skip
    return Wish(**(wanted | changed))


@pytest.fixture
def ended(studio):
    """Waits until nothing is composed any more."""
    changed = threading.Event()
    takes_changed = studio.takes._changed
    studio.takes._changed = lambda: (takes_changed(), changed.set())

    def wait():
        for _ in range(400):
            if all(each["state"] not in ("waiting", "composing") for each in studio.takes.listed()):
                return
            changed.wait(0.3)
            changed.clear()
        raise AssertionError(studio.takes.listed())

    return wait


def test_takes_are_composed_heard_and_written(studio, ended):
    first, second = studio.takes.compose(wish())
    ended()
    for id_ in (first, second):
        take = studio.takes.shown(id_)
        assert (take["state"], take["error"]) == ("done", "")
        assert 6.0 <= take["seconds"] < 30.0
        music = read_music(studio.takes.midi(id_), id_)
        assert notes_of(take["notes"]) == [
            Note(round(n.start_s, 3), n.pitch, round(n.end_s, 3), n.velocity) for n in music.notes
        ]
        assert (music.settings["seed"], music.settings["songs"], music.settings["density"]) == (5, 2, "40")
        assert len(take["primer"]) == 24
    ranks = {read_music(studio.takes.midi(each), each).settings["rank"] for each in (first, second)}
    assert ranks == {1, 2}
    assert studio.takes.shown(first)["notes"] != studio.takes.shown(second)["notes"]


@pytest.mark.parametrize("kept_s", [0.0, 6.0])
def test_each_take_is_the_music_that_was_heard_while_it_grew_up_to_its_end(studio, ended, monkeypatch, kept_s):
    heard = {}

    def hear(self, group, line):
        message = json.loads(line)
        heard.setdefault(message["seed"], []).append(message["note"][1])
        original(self, group, line)

    original = Takes._hear
    monkeypatch.setattr(Takes, "_hear", hear)
    ids = studio.takes.compose(wish(count=4, minutes=1.0, seed=1, kept_s=kept_s, context_s=0.0 if kept_s else 12.1))
    ended()
    for id_ in ids:
        take = studio.takes.shown(id_)
        grew = heard[take["seed"]]
        pitches = [row[1] for row in take["notes"]]
        # Of the notes heard last some may be left out, and what was kept stands before.
        length = max((k for k in range(1, len(grew) + 1) if pitches[-k:] == grew[:k]), default=0)
        assert length > 0.6 * len(grew)


def test_again_from_a_moment_keeps_what_was_before_it(studio, ended):
    [first] = studio.takes.compose(wish(count=1, minutes=0.2))
    ended()
    before = notes_of(studio.takes.shown(first)["notes"])
    [again] = studio.takes.again_from(first, 6.0, count=1, minutes=0.1)
    ended()
    take = studio.takes.shown(again)
    after = notes_of(take["notes"])
    stays = [(n.pitch, round(n.start_s, 1)) for n in before if n.start_s < 6.0]
    assert [(n.pitch, round(n.start_s, 1)) for n in after[: len(stays)]] == stays
    assert (take["kept_s"], take["parent"], len(take["primer"])) == (6.0, first, 24)
    assert after[-1].start_s > 11.0
    assert notes_of(studio.takes.shown(first)["notes"]) == before
    [third] = studio.takes.more_like(again, 1)
    ended()
    assert [n.pitch for n in notes_of(studio.takes.shown(third)["notes"])][: len(stays)] == [
        pitch for pitch, _ in stays
    ]
    with pytest.raises(TakeError, match="no notes before"):
        studio.takes.again_from(first, before[0].start_s, count=1)


def test_what_is_kept_and_discarded_is_recorded_and_can_be_taken_back(studio, ended):
    first, second = studio.takes.compose(wish())
    ended()
    studio.takes.judge(first, "kept")
    studio.takes.judge(second, "discarded")
    folders = sorted(each.path.split("/")[0] for each in studio.store.files(KEPT))
    assert folders == ["discarded", "discarded", "kept", "kept"]
    midi = next(
        each for each in studio.store.files(KEPT) if each.path.startswith("kept/") and each.path.endswith(".mid")
    )
    assert midi.path == f"kept/{title(5).replace(' ', '-')}-{first}.mid"
    assert studio.store.place(midi.digest).read_bytes() == studio.takes.midi(first).read_bytes()
    studio.takes.judge(first, "open")
    studio.takes.judge(second, "kept")
    assert [each.path.split("/")[0] for each in studio.store.files(KEPT)] == ["kept", "kept"]


def test_killed_server_composes_the_same_when_it_is_started_again(studio, ended, tmp_path):
    ids = studio.takes.compose(wish())
    ended()
    expected = [hashlib.sha256(studio.takes.midi(each).read_bytes()).hexdigest() for each in ids]
    for path in (tmp_path / "state" / "studio" / "takes").rglob("*"):  # as if it had been killed before the end
        if path.name.startswith(("take-", "made", "states")):
            path.unlink()
    work, finished = Work(), threading.Event()
    again = Takes(tmp_path / "state" / "studio" / "takes", studio.store, studio.models, work, finished.set)
    for _ in range(400):
        if all(each["state"] == "done" for each in again.listed()):
            break
        finished.wait(0.3)
        finished.clear()
    work.close()
    assert [hashlib.sha256(again.midi(each).read_bytes()).hexdigest() for each in ids] == expected


def test_verdicts_outlive_the_server(studio, ended, tmp_path):
    first, second = studio.takes.compose(wish())
    ended()
    studio.takes.judge(first, "kept")
    again = Takes(tmp_path / "state" / "studio" / "takes", studio.store, studio.models, studio.work, lambda: None)
    assert {each["id"]: each["verdict"] for each in again.listed()} == {first: "kept", second: "open"}


def test_composing_can_be_stopped_and_the_take_removed(studio, ended):
    first, second = studio.takes.compose(wish(minutes=20.0))
    studio.takes.cancel(first)
    assert [each["state"] for each in studio.takes.listed()] == ["cancelled", "cancelled"]
    with pytest.raises(TakeError, match="not finished"):
        studio.takes.judge(first, "kept")
    studio.takes.forget(first)
    assert [each["id"] for each in studio.takes.listed()] == [second]
    studio.takes.forget(second)
    assert studio.takes.listed() == []


def test_request_is_taken_back_but_what_was_kept_of_it_stays(studio, ended):
    first, second = studio.takes.compose(wish())
    ended()
    studio.takes.judge(first, "kept")
    assert studio.takes.take_back(second) == 1
    assert [each["id"] for each in studio.takes.listed()] == [first]
    running = studio.takes.compose(wish(minutes=20.0))
    assert studio.takes.take_back(running[0]) == 2
    assert [each["id"] for each in studio.takes.listed()] == [first]
    assert studio.takes.midi(first).exists()


def test_model_that_is_gone_fails_the_take_with_its_reason(studio, ended):
    [id_] = studio.takes.compose(wish(count=1, model="0" * 32))
    ended()
    take = studio.takes.shown(id_)
    assert take["state"] == "failed"
    assert "not found" in take["error"]


def test_curve_goes_on_where_the_kept_part_ends():
    assert _later([(0.0, 10.0), (2.0, 50.0)], 1.0) == [(0.0, 30.0), (1.0, 50.0)]
    assert _later([(0.0, 10.0)], 1.0) == [(0.0, 10.0)]
    assert _later([(2.0, 10.0)], 1.0) == [(1.0, 10.0)]


def test_a_thousand_seeds_in_a_row_have_names_of_their_own():
    assert len({title(seed) for seed in range(7000, 8000)}) == 1000
