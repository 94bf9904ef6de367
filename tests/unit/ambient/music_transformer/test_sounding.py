import numpy as np
import pytest

from ambient.music_transformer.fields import Fields
from ambient.music_transformer.sounding import BassWatch, ClashWatch, sounding_on, time_as_lowest


def piece(notes):
    starts, pitches, lengths = (np.array(column, dtype=np.int64) for column in zip(*notes, strict=True))
    return Fields(starts, pitches, lengths, np.full(len(notes), 16))


# A bass of eight seconds and above it a note a second, over and over: one note in nine is a bass.
HELD_BASS = piece(
    [
        note
        for round_start in (0, 800, 1600, 2400)
        for note in [
            (round_start, 40, 800),
            *((round_start + 100 * index, pitch, 100) for index, pitch in enumerate([64, 67, 71, 67] * 2)),
        ]
    ]
)


def test_the_lowest_is_counted_by_the_time_in_which_nothing_lower_sounds():
    steps = time_as_lowest(np.array([0, 100, 300]), np.array([60, 48, 60]), np.array([200, 250, 500]))
    assert steps[60] == 100 + 200
    assert steps[48] == 150
    assert steps.sum() == 450  # nothing sounds from 250 to 300


def test_of_two_notes_of_a_pitch_at_once_time_counts_once():
    assert time_as_lowest(np.array([0, 0]), np.array([60, 60]), np.array([100, 200]))[60] == 200


def test_where_the_bass_is_missing_one_is_asked_for():
    nats = BassWatch(HELD_BASS).nats([64])
    assert nats[40] == nats.max()
    # A normal density of 0.133 around it, beside the share of 0.002 of what the primer never has.
    assert nats[40] == pytest.approx(np.log((0.133 + 0.002) / 0.002), abs=0.01)
    assert not nats[64:].any()  # what lies above the lowest that sounds does not change it


def test_where_a_bass_sounds_another_is_left_to_the_model():
    assert BassWatch(HELD_BASS).nats([64, 40]) == pytest.approx(np.zeros(128), abs=1e-9)


def test_in_silence_the_lowest_of_the_primer_is_asked_for():
    nats = BassWatch(HELD_BASS).nats([])
    assert nats.argmax() == 40
    assert nats[40] - nats[64] == pytest.approx(np.log(0.135 / 0.002), abs=0.01)


def test_a_primer_of_few_notes_says_nothing():
    assert BassWatch(HELD_BASS[:11]).nats([64]) is None
    assert ClashWatch(HELD_BASS[:11]).nats([64]) is None
    assert BassWatch(HELD_BASS[:0]).nats([]) is None


def test_clashes_that_the_primer_avoids_are_avoided():
    # Two chords without a clash, F and E, whose notes are a semitone apart; each ends before the other begins.
    chords = [
        (start, pitch, 100)
        for start in range(0, 800, 100)
        for pitch in ((53, 57, 60), (52, 56, 59))[start % 200 // 100]
    ]
    nats = ClashWatch(piece(chords)).nats([60])
    # Pitches meet by chance: of 36 pairs 53-52, 57-56 and 60-59 clash either way, and F's 60 and 57 none of E's others.
    assert nats[[59, 61, 73, 47]] == pytest.approx([np.log(0.005 / (6 / 36 + 0.005))] * 4)
    assert nats[[60, 62, 71, 72, 49]] == pytest.approx([0] * 5)
    assert ClashWatch(piece(chords)).nats([60, 62])[61] == pytest.approx(2 * nats[61])
    assert ClashWatch(piece(chords)).nats([]) is None


def test_clashes_that_the_primer_seeks_are_left_to_the_model():
    cluster = piece([(start, pitch, 100) for start in range(0, 800, 100) for pitch in (60, 61)])
    assert ClashWatch(cluster).nats([60]) is None


def test_what_ends_as_a_note_starts_does_not_meet_it():
    assert sounding_on([60, 64, 67], [500, 520, 521], 500) == [67]
