"""What a MIDI file says of its transcription is read as it was written."""

import pytest

from ambient.notes import Note
from ambient.transcription import provenance_to_texts, texts_to_confidence, without_overlaps
from ambient.tuning import Tuning


@pytest.mark.parametrize("confidence", [0.0, 0.4321, 1.0, None])
def test_confidence_is_read_as_it_was_written(confidence):
    assert texts_to_confidence(["made on a Sunday", *provenance_to_texts("transkun 2.0.1", confidence)]) == confidence


def test_the_tuning_is_told_with_its_drift_where_it_drifts():
    assert provenance_to_texts("x 1", None, Tuning((43.4, 42.9), 2.0)) == ["transcriber: x 1", "tuning: +43 cents"]
    drifting = Tuning((-20.0, 0.0, 2.0), 2.0)
    assert provenance_to_texts("x 1", 0.5, drifting)[-1] == "tuning: -6 cents (-20 to +2)"
    assert texts_to_confidence(provenance_to_texts("x 1", 0.5, drifting)) == 0.5


def test_a_piece_that_says_nothing_of_use_has_no_confidence():
    assert texts_to_confidence([]) is None
    assert texts_to_confidence(["confidence: high"]) is None


def test_a_note_ends_where_the_same_pitch_starts_again():
    notes = [Note(0.0, 60, 2.0, 50), Note(1.0, 60, 1.5, 60), Note(0.5, 61, 3.0, 70), Note(1.0, 60, 4.0, 80)]
    assert without_overlaps(notes) == [Note(0.0, 60, 1.0, 50), Note(0.5, 61, 3.0, 70), Note(1.0, 60, 4.0, 80)]
    assert without_overlaps([]) == []
