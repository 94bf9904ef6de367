import json

import pytest

from ambient.studio.services.models import SHIPPED, SHIPPED_FOLDER
from ambient.studio.store import MODEL, StoreError


def version(studio, **training):
    """Put a version of the composer as the chain would; returns its commit."""
    files = {path.name: path.read_bytes() for path in SHIPPED_FOLDER.iterdir()}
    files["training.json"] = json.dumps(training).encode()
    return studio.store.put(MODEL, files)


def test_shipped_model_composes_until_the_chain_has_trained_a_version(studio):
    assert studio.models.composing() == SHIPPED
    first = version(studio)
    assert studio.models.composing() == first
    assert [each["label"] for each in studio.models.listed()] == ["version 1", "shipped model"]


def test_older_version_that_was_chosen_composes_until_the_newest_is_chosen(studio):
    first, second = version(studio), version(studio, seed=2)
    studio.models.choose(first)
    version(studio, seed=3)
    assert studio.models.composing() == first
    assert [each["composes"] for each in studio.models.listed()] == [False, False, True, False]
    newest = studio.models.listed()[0]["id"]
    studio.models.choose(newest)
    last = version(studio, seed=4)
    assert studio.models.composing() == last
    assert second != last


def test_model_that_is_not_there_cannot_be_chosen(studio):
    version(studio)
    with pytest.raises(StoreError, match="not found"):
        studio.models.choose("0" * 32)
    with pytest.raises(StoreError):
        studio.models.place("../../etc")


def test_record_of_training_is_shown_with_a_curve_of_bounded_length(studio):
    history = [{"step": step, "training": 9.0, "held_out": 8.0} for step in range(5000)]
    version(studio, history=history, held_out={"bits_per_second": 60.5, "what": "two songs"})
    found = studio.models.listed()[0]
    assert found["held_out"]["bits_per_second"] == 60.5
    assert found["curve"][0] == [0, 9.0, 8.0]
    assert len(found["curve"]) == 200


def test_version_without_a_record_is_shown_without_numbers(studio):
    version(studio)
    found = studio.models.listed()[0]
    assert (found["curve"], found["held_out"]["bits_per_second"], found["songs"]) == ([], None, 0)


def test_curve_of_a_running_training_is_read_from_its_log(studio, monkeypatch):
    log = [
        "— all",
        "step 57 of at most 500: training 8.212 nats per note; 477 notes/s, 185 s, at most 24.0 min left",
        "step 60 of at most 500: training 8.257, held-out 12.596 nats per note; 482 notes/s, 193 s",
    ]
    monkeypatch.setattr(type(studio.store), "job", lambda self, pipeline: {"state": "running", "log": log})
    assert studio.models.training() == {"runs": True, "curve": [[57, 8.212, None], [60, 8.257, 12.596]]}
    monkeypatch.setattr(type(studio.store), "job", lambda self, pipeline: {"state": "success", "log": log})
    assert studio.models.training() == {"runs": False, "curve": []}


def test_model_is_found_by_the_weights_that_a_piece_names(studio):
    from ambient.model_folder import model_digest

    assert studio.models.with_weights(model_digest(SHIPPED_FOLDER)) == SHIPPED
    assert studio.models.with_weights("0" * 16) is None


def test_test_split_is_shown_clean_and_heard_and_a_version_without_one_says_so(studio):
    version(studio)
    found, shipped = studio.models.listed()
    assert found["test"] == {"clean": None, "heard": None}
    assert shipped["test"]["clean"]["what"] == "122 pieces"
    assert 0 < shipped["test"]["clean"]["bits_per_second"] < shipped["test"]["heard"]["bits_per_second"]


def test_faithfulness_is_measured_once_and_remembered(studio, wait_for):
    primers = [path for _, path in studio.primers.samples()][:2]
    assert studio.models.faithfulness(SHIPPED, primers, ask=True)["state"] == "unknown"
    assert studio.models.faithfulness(SHIPPED, primers)["state"] == "working"
    wait_for(lambda: studio.models.faithfulness(SHIPPED, primers, ask=True)["state"] == "done")
    found = studio.models.faithfulness(SHIPPED, primers, ask=True)
    assert (found["error"], found["answer"]["primers"]) == ("", 2)
    assert found["answer"]["own"]["pitch_classes"] >= 0
    assert found["answer"]["composed"].keys() == found["answer"]["own"].keys()
    first = version(studio)  # the same weights: nothing is measured again
    assert studio.models.faithfulness(first, primers, ask=True) == found
