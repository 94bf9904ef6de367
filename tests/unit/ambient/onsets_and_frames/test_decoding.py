"""Decoding equals note-seq's frame-by-frame machine, and gives labels their notes back."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.notes import Note
from ambient.onsets_and_frames.config import ConfidenceConfig, DecodingConfig
from ambient.onsets_and_frames.decoding import NoteReader, Probabilities, probabilities_to_notes, velocity_of
from ambient.onsets_and_frames.labels import notes_to_rolls
from ambient.onsets_and_frames.metrics import score


def slow_notes(p, config):
    """Walk over all frames of all keys with one state a key."""
    onset = p.onset > config.onset_threshold
    active = (p.frame > config.frame_threshold) | onset
    if config.offset_threshold > 0:
        active &= ~(p.offset > config.offset_threshold)
    onset, active = (np.vstack([array, np.zeros((1, 88), dtype=bool)]) for array in (onset, active))
    notes, started = [], {}
    for frame in range(len(active)):
        for key in range(88):
            if active[frame, key]:
                again = onset[frame, key] and frame > 0 and not onset[frame - 1, key]
                if key not in started:
                    if onset[frame, key]:
                        started[key] = frame
                elif again:
                    notes.append((started[key], frame, key))
                    started[key] = frame
            elif key in started:
                notes.append((started.pop(key), frame, key))
    return sorted(
        Note(first * 0.032, key + 21, last * 0.032, int(np.clip(p.velocity[first, key], 0, 1) * 80 + 10))
        for first, last, key in notes
    )


def smooth_noise(random, frames):
    raw = random.random((frames + 4, 88))
    return sum(raw[shift : shift + frames] for shift in range(5)).astype(np.float32) / 5


@pytest.mark.parametrize("offset_threshold", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_decoding_equals_slow_version(seed, offset_threshold):
    random = np.random.default_rng(seed)
    velocity = random.normal(0.5, 0.5, (120, 88)).astype(np.float32)
    p = Probabilities(*(smooth_noise(random, 120) for _ in range(3)), velocity)
    config = DecodingConfig(0.6, 0.5, offset_threshold)
    expected = slow_notes(p, config)
    assert len(expected) > 100
    assert probabilities_to_notes(p, config).notes == expected


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), max_size=8), seed=st.integers(0, 3), offset_threshold=st.sampled_from([0.0, 0.6])
)
def test_a_recording_cut_anywhere_gives_the_notes_of_one_pass(cuts, seed, offset_threshold):
    random = np.random.default_rng(seed)
    p = Probabilities(*(smooth_noise(random, 60) for _ in range(4)))
    config = DecodingConfig(0.6, 0.5, offset_threshold)
    reader = NoteReader(config)
    edges = [0, *sorted(cuts), 60]
    for first, last in pairwise(edges):
        reader.feed(
            Probabilities(p.onset[first:last], p.offset[first:last], p.frame[first:last], p.velocity[first:last])
        )
    found, expected = reader.finish(), probabilities_to_notes(p, config)
    assert len(expected.notes) > 50
    assert found.notes == expected.notes
    np.testing.assert_allclose(found.evidence, expected.evidence)


def test_labels_give_their_notes_back_at_frame_resolution(melody):
    rolls = notes_to_rolls(melody, 130)
    heard = probabilities_to_notes(
        Probabilities(rolls.onset, rolls.offset, rolls.frame, rolls.velocity), DecodingConfig()
    )
    result = score(melody, heard.notes)
    assert result.onset == result.onset_offset == 1
    assert result.frame > 0.9
    assert heard.confidences(ConfidenceConfig()) == pytest.approx([1.0] * len(melody), abs=1e-3)
    for true, found in zip(sorted(melody, key=lambda n: (n.pitch, n.start_s)), by_pitch(heard.notes), strict=True):
        assert 0 <= true.start_s - found.start_s < 0.032
        assert found.velocity == int(np.float32(true.velocity / 80) * 80 + 10)


def by_pitch(notes):
    return sorted(notes, key=lambda note: (note.pitch, note.start_s))


def test_a_frame_without_an_onset_starts_nothing():
    p = empty(10)
    p.frame[2:6, 40] = 1
    assert probabilities_to_notes(p, DecodingConfig()).notes == []


def test_an_onset_alone_sounds_as_long_as_it_fires():
    p = empty(10)
    p.onset[2:4, 40] = 0.9
    decoded = probabilities_to_notes(p, DecodingConfig())
    assert [(note.start_s, note.end_s, note.pitch) for note in decoded.notes] == [(2 * 0.032, 4 * 0.032, 61)]
    assert decoded.confidences(ConfidenceConfig()) == pytest.approx([0.9])


def test_evidence_is_the_surest_of_three_frames_the_recording_and_what_starts_below():
    p = empty(20)
    p.onset[2:6, 40] = (0.6, 0.8, 0.7, 0.99)  # the fourth does not count
    p.onset[10, 52] = 0.9
    p.onset[[9, 11], [40, 33]] = 0.3, 0.2  # an octave and a twelfth below, a frame before and after
    p.onset[10, 45] = 0.45  # a fifth below is no partial
    decoded = probabilities_to_notes(p, DecodingConfig())
    odds = np.log([0.8 / 0.2, 0.9 / 0.1])
    np.testing.assert_allclose(decoded.evidence, np.column_stack([odds, [odds.mean()] * 2, [0, 0.3]]), rtol=1e-5)
    config = ConfidenceConfig(bias=-1, onset=0.5, recording=2, below=-3)
    expected = [1 / (1 + np.exp(1 - 0.5 * o - 2 * odds.mean() + 3 * b)) for o, b in zip(odds, (0, 0.3), strict=True)]
    assert decoded.confidences(config) == pytest.approx(expected)


def test_a_threshold_must_be_passed_not_met():
    p = empty(10)
    p.onset[2, 40] = 0.5
    assert probabilities_to_notes(p, DecodingConfig()).notes == []


def test_a_note_that_sounds_at_the_end_is_closed_there():
    p = empty(10)
    p.onset[8, 0] = 1
    p.frame[8:, 0] = 1
    assert probabilities_to_notes(p, DecodingConfig()).notes[0].end_s == pytest.approx(0.32)


def test_velocities_lie_between_10_and_90_and_nan_is_the_softest_note():
    assert [velocity_of(value) for value in (-3.0, 0.0, 0.5, 1.0, 7.0, float("nan"))] == [10, 10, 50, 90, 90, 1]


def test_no_frames_and_silence_are_no_notes():
    for frames in (0, 10):
        decoded = probabilities_to_notes(empty(frames), DecodingConfig())
        assert (decoded.notes, decoded.confidences(ConfidenceConfig())) == ([], [])


def test_arrays_of_different_shapes_are_refused():
    p = empty(10)
    with pytest.raises(ValueError, match="one shape"):
        probabilities_to_notes(Probabilities(p.onset[:5], p.offset, p.frame, p.velocity), DecodingConfig())


def empty(frames):
    return Probabilities(*(np.zeros((frames, 88), dtype=np.float32) for _ in range(4)))
