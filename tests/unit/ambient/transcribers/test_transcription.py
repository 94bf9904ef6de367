"""What a MIDI file says of its transcription is read as it was written."""

import pytest

from ambient.transcribers.transcription import (
    Transcription,
    provenance_to_texts,
    texts_to_confidence,
    texts_to_note_confidences,
)
from ambient.transcribers.tuning import Tuning


def heard(**said):
    return Transcription(
        **{"notes": [], "confidence": None, "seconds": 3.0, "level": 0.5, "missing_seconds": 0.0} | said
    )


@pytest.mark.parametrize("confidence", [0.0, 0.4321, 1.0, None])
def test_confidence_is_read_as_it_was_written(confidence):
    texts = provenance_to_texts("transkun 2.0.1", heard(confidence=confidence))
    assert texts_to_confidence(["made on a Sunday", *texts]) == confidence


def test_the_tuning_is_told_with_its_drift_where_it_drifts():
    texts = provenance_to_texts("x 1", heard(tuning=Tuning((43.4, 42.9), 2.0)))
    assert texts == ["transcriber: x 1", "tuning: +43 cents"]
    drifting = provenance_to_texts("x 1", heard(confidence=0.5, tuning=Tuning((-20.0, 0.0, 2.0), 2.0)))
    assert drifting == ["transcriber: x 1", "confidence: 0.5000", "tuning: -6 cents (-20 to +2)"]


def test_the_confidence_of_each_note_is_read_as_it_was_written_to_the_hundredth():
    texts = provenance_to_texts("x 1", heard(confidences=(0.874, 0.0, 1.0)))
    assert texts == ["transcriber: x 1", "note confidences, percent: 87 0 100"]
    assert texts_to_note_confidences(texts, 3) == [0.87, 0.0, 1.0]
    assert provenance_to_texts("x 1", heard(confidences=())) == ["transcriber: x 1"]


def test_a_file_whose_notes_are_not_those_of_the_transcriber_has_no_confidences():
    assert texts_to_note_confidences(["note confidences, percent: 87 0 100"], 2) is None
    assert texts_to_note_confidences(["note confidences, percent: 87 high"], 2) is None
    assert texts_to_note_confidences(["confidence: 0.9"], 2) is None


def test_a_piece_that_says_nothing_of_use_has_no_confidence():
    assert texts_to_confidence([]) is None
    assert texts_to_confidence(["confidence: high"]) is None
