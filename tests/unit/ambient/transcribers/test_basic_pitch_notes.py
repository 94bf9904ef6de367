"""Basic Pitch's rules, walked over in the plainest way, give the same notes."""

import numpy as np
import pytest

from ambient.transcribers.basic_pitch_notes import NoteRules, peaks, rolls_to_events, with_inferred_onsets

RULES = NoteRules(shortest_frames=4, quiet_frames=3)


def slow_events(frame, onset, rules):
    """Look for the loudest frame anew for each note, and take energy frame by frame."""
    frames, keys = frame.shape
    left, found = frame.copy(), []
    started = with_inferred_onsets(onset, frame)
    for first in range(frames - 2, 0, -1):
        for key in range(keys - 1, -1, -1):
            value = started[first, key]
            is_peak = value > started[first - 1, key] and value > started[first + 1, key]
            if not (is_peak and value >= rules.onset_threshold):
                continue
            at, quiet = first + 1, 0
            while at < frames - 1 and quiet < rules.quiet_frames:
                quiet = quiet + 1 if left[at, key] < rules.frame_threshold else 0
                at += 1
            at -= quiet
            if at - first > rules.shortest_frames:
                found.append((first, at, key))
                for near in (key - 1, key, key + 1):
                    if 0 <= near < keys:
                        left[first:at, near] = 0
    while left.max() > rules.frame_threshold:
        middle, key = np.unravel_index(np.argmax(left), left.shape)
        left[middle, key] = 0
        ends = []
        for step, end in ((1, frames - 1), (-1, 0)):
            at, quiet = middle + step, 0
            while at * step < end * step and quiet < rules.quiet_frames:
                quiet = quiet + 1 if left[at, key] < rules.frame_threshold else 0
                for near in (key - 1, key, key + 1):
                    if 0 <= near < keys:
                        left[at, near] = 0
                at += step
            ends.append(at - step - step * quiet)
        if ends[0] - ends[1] > rules.shortest_frames:
            found.append((int(ends[1]), int(ends[0]), int(key)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_notes_are_those_of_the_slow_version(seed):
    random = np.random.default_rng(seed)
    frame, onset = (sum(random.random((103, 12))[s : s + 99] for s in range(5)).astype(np.float32) / 5 for _ in "fo")
    frame = np.clip(2 * frame - 0.75, 0, 1)
    expected = slow_events(frame, onset, RULES)
    found = rolls_to_events(frame, onset, RULES)
    assert len(expected) > 20
    assert [(event.first, event.last, event.key) for event in found] == expected
    for event in found:
        assert event.amplitude == pytest.approx(float(frame[event.first : event.last, event.key].mean()))


def test_an_onset_starts_a_note_that_lasts_while_its_key_is_loud():
    frame, onset = np.zeros((40, 88), np.float32), np.zeros((40, 88), np.float32)
    frame[10:25, 40], onset[10, 40] = 0.8, 0.9
    (event,) = rolls_to_events(frame, onset, NoteRules())
    assert (event.first, event.last, event.key) == (10, 25, 40)
    assert rolls_to_events(frame, onset, NoteRules(shortest_frames=15)) == []


def test_rises_count_as_onsets_scaled_to_the_largest_onset():
    frame, onset = np.zeros((10, 2), np.float32), np.zeros((10, 2), np.float32)
    frame[5:, 1], onset[3, 0] = 0.4, 0.8
    inferred = with_inferred_onsets(onset, frame)
    assert inferred[5, 1] == pytest.approx(0.8)
    assert inferred[3, 0] == pytest.approx(0.8)
    assert inferred.sum() == pytest.approx(1.6)  # a frame later it does not rise any more
    assert peaks(onset, 0.5).tolist() == [[3, 0]]


def test_no_frames_and_silence_are_no_notes():
    for frames in (0, 1, 2, 30):
        empty = np.zeros((frames, 88), np.float32)
        assert rolls_to_events(empty, empty, NoteRules()) == []
