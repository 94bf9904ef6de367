import numpy as np
import pytest

from ambient.music_transformer.card import bits_per_second, describe_training, model_card
from ambient.music_transformer.config import ModelConfig, TrainingConfig
from ambient.music_transformer.data import Piece, Split
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.training import TrainingResult


def test_bits_per_second_count_notes_ends_places_and_seconds(bars):
    # Eleven notes and an end of one bit each in 2.75 s; times below 400 ms have no place to pay for.
    assert bits_per_second(np.log(2), [Piece(bars(11))]) == pytest.approx(12 / 2.75)
    # Of the last part of a song its own notes count, of another part the end is none.
    assert bits_per_second(np.log(2), [Piece(bars(22), context=11)]) == pytest.approx(12 / 2.75)
    assert bits_per_second(np.log(2), [Piece(bars(11), ends=False)]) == pytest.approx(11 / 2.75)
    # A length of a second costs one of five steps.
    held = Piece(Fields(np.array([0]), np.array([60]), np.array([100]), np.array([16])), ends=False)
    assert bits_per_second(np.log(2), [held]) == pytest.approx(1 + np.log2(5))


@pytest.fixture
def record(bars, record_of):
    records = [record_of(bars(20), "a.mid"), record_of(bars(40), "b.mid", heard=True)]
    split = Split([Piece(bars(20))], [Piece(bars(40), heard=True)], "1 of 2 songs")
    result = TrainingResult(steps=7, notes_seen=99, seconds=1.5, before=18.0, best=2.0, best_step=5)
    result.history.append({"step": 7, "training": 3.0, "held_out": 2.5, "seconds": 1.5})
    return describe_training(
        result,
        TrainingConfig(),
        split,
        records,
        records,
        origin="from scratch",
        held_out=2.0,
        precision="float32",
    )


def test_a_record_says_what_was_learned_from_and_measured_by(record):
    assert {name: record["data"][name] for name in ("songs", "notes", "heard_songs", "minutes")} == {
        "songs": 2,
        "notes": 60,
        "heard_songs": 1,
        "minutes": 0.25,
    }
    held_out = record["held_out"]
    assert (held_out["notes"], held_out["seconds"]) == (40, 10.0)
    assert (held_out["nats_per_note_before"], held_out["nats_per_note"]) == (18.0, 2.0)
    assert held_out["bits_per_second"] == pytest.approx(41 * 2 / np.log(2) / 10, abs=0.01)
    assert record["history"] == [{"step": 7, "training": 3.0, "held_out": 2.5}]  # no clock times


def test_a_card_names_the_figures_of_the_record(record):
    card = model_card(ModelConfig(), record)
    assert "vocabulary\n`notes-2`" in card
    assert "7 steps of 8 × 256 notes" in card
    assert "Held-out loss: 2.0 nats per note, 11.83 bits per second" in card
    assert "2 songs, 60 notes, 0.25 minutes" in card
