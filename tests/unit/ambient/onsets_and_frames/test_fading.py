"""Notes that fade in are heard, and a note goes on while its sound does."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ambient.onsets_and_frames.config import EvidenceConfig, FadedWeights, StruckWeights
from ambient.onsets_and_frames.decoding import Probabilities
from ambient.onsets_and_frames.evidence import AHEAD, SURROUNDINGS, harmonic_levels
from ambient.onsets_and_frames.fading import EvidenceReader, are_likeliest
from ambient.onsets_and_frames.judge import Judge
from ambient.onsets_and_frames.labels import notes_to_rolls
from ambient.onsets_and_frames.spectrogram import log_mel

FRAMES = 200
KEY, PITCH = 48, 69  # A4
THRESHOLDS = EvidenceConfig(onset_threshold=0.4, frame_threshold=0.3, least_faded=0.2, sure_frame=0.5)
CONFIG = replace(THRESHOLDS, release_db=1000.0)  # nothing is released


def empty(frames=FRAMES):
    return Probabilities(*(np.zeros((frames, 88), dtype=np.float32) for _ in range(4)))


def spectrogram(*, sounds=(), frames=FRAMES, level_db=40.0):
    """Silence, but for the harmonics of A4 in these spans of frames."""
    mel = np.full((frames, 229), -40.0, dtype=np.float32)
    tone = log_mel(np.sin(2 * np.pi * 440 * np.arange(1, 5)[:, None] * np.arange(4096) / 16_000).sum(axis=0))[4]
    for first, last in sounds:
        mel[first:last] = np.maximum(tone - tone.max() + level_db, -40.0)
    return mel


def read(p, mel, config=CONFIG):
    reader = EvidenceReader(config)
    reader.feed(p, mel)
    return [(round(n.start_s / 0.032), n.pitch, round(n.end_s / 0.032)) for n in reader.finish().notes]


def test_a_note_without_an_onset_starts_where_the_frame_head_is_sure_of_it():
    p = empty()
    p.frame[50:100, KEY] = np.linspace(0.35, 0.95, 50)
    sure = 50 + int(np.flatnonzero(p.frame[50:100, KEY] > 0.5)[0])
    assert read(p, spectrogram(sounds=[(50, 100)])) == [(sure, PITCH, 100)]


def test_the_frame_head_must_be_sure_for_eight_frames():
    for frames, notes in ((8, 1), (7, 0)):
        p = empty()
        p.frame[50 : 50 + frames, KEY] = 0.9
        assert len(read(p, spectrogram(sounds=[(50, 60)]))) == notes


def test_what_speaks_against_a_fading_note_keeps_it_out():
    p = empty()
    p.frame[50:100, KEY] = 0.9
    p.frame[50:100, KEY - 12] = 0.9  # an octave below: this one may be its partial
    config = replace(CONFIG, faded=FadedWeights(bias=1.0, start=0.0, below=-5.0))
    assert read(p, spectrogram(sounds=[(50, 100)]), config) == [(50, PITCH - 12, 100)]


def test_a_weak_onset_counts_if_enough_speaks_for_it():
    p = empty()
    p.onset[50:52, KEY] = 0.45
    p.frame[50:80, KEY] = 0.5  # sounds, but never surely
    against = replace(CONFIG, struck=StruckWeights(bias=-1.0))
    assert read(p, spectrogram(sounds=[(50, 80)]), against) == []
    with_rise = replace(CONFIG, struck=StruckWeights(bias=-1.0, rise=1.0))
    assert read(p, spectrogram(sounds=[(50, 80)]), with_rise) == [(50, PITCH, 80)]
    assert read(p, spectrogram(sounds=[(0, 200)]), with_rise) == []  # nothing rises


def test_an_onset_that_rises_again_before_it_has_died_is_a_second_note():
    p = empty()
    p.onset[50:60, KEY] = (0.5, 0.9, 0.7, 0.5, 0.35, 0.35, 0.6, 0.8, 0.6, 0.3)
    p.frame[50:100, KEY] = 0.9
    assert read(p, spectrogram(sounds=[(50, 100)])) == [(50, PITCH, 56), (56, PITCH, 100)]


@pytest.mark.parametrize(("second", "notes"), [(53, [(53, PITCH, 100)]), (54, [(50, PITCH, 54), (54, PITCH, 100)])])
def test_of_starts_of_a_key_within_a_tenth_of_a_second_the_likelier_counts(second, notes):
    p = empty()
    p.onset[50, KEY] = 0.7
    p.onset[second, KEY] = 0.9
    p.frame[50:100, KEY] = 0.9
    config = replace(CONFIG, struck=StruckWeights(bias=0.0, onset=1.0))
    assert read(p, spectrogram(sounds=[(50, 100)]), config) == notes


def test_the_likeliest_start_of_a_key_is_looked_for_around_each():
    starts_s = np.array([0.0, 0.09, 0.18, 1.0, 1.05, 1.08, 0.0])
    keys = np.array([3, 3, 3, 3, 3, 3, 4])
    odds = np.array([2.0, 1.0, 3.0, 1.0, -np.inf, 1.0, 0.1])
    assert are_likeliest(starts_s, keys, odds, 0.1).tolist() == [True, False, True, True, False, False, True]


def test_a_restrike_that_is_not_believed_lets_the_note_go_on():
    p = empty()
    p.onset[[50, 51, 70, 71], KEY] = 0.9
    p.frame[50:100, KEY] = 0.9
    mel = spectrogram(sounds=[(50, 100)])
    assert read(p, mel) == [(50, PITCH, 70), (70, PITCH, 100)]
    doubtful = replace(CONFIG, struck=StruckWeights(restrike=-9.0))
    assert read(p, mel, doubtful) == [(50, PITCH, 100)]


@pytest.mark.parametrize(
    ("gap", "sounds", "expected"),
    [
        (20, [(50, 150)], [(50, PITCH, 150)]),  # the frame head flickers, the sound goes on
        (20, [(50, 100), (120, 150)], [(50, PITCH, 100), (120, PITCH, 150)]),  # the sound was gone
        (40, [(50, 190)], [(50, PITCH, 100), (140, PITCH, 170)]),  # more than a second
    ],
)
def test_a_note_goes_on_over_a_gap_while_its_sound_does(gap, sounds, expected):
    p = empty()
    p.onset[50:52, KEY] = 0.9
    p.frame[50:100, KEY] = 0.9
    p.frame[100 + gap : 130 + gap, KEY] = 0.9
    expected = [(first, pitch, min(last, 130 + gap) if last > 100 else last) for first, pitch, last in expected]
    assert read(p, spectrogram(sounds=sounds)) == expected


def shifting(after_s):
    """A judge that adds nothing, and lets each note start so long after its row begins."""
    nothing = np.zeros((SURROUNDINGS, 2))
    return Judge(np.zeros(SURROUNDINGS), np.ones(SURROUNDINGS), (((nothing, np.array([0.0, after_s / 0.1])),),))


@pytest.mark.parametrize(("after_s", "starts_s"), [(0.02, (1.62, 2.26)), (-0.05, (1.55, 2.19)), (0.5, (1.8, 2.44))])
def test_a_note_starts_when_the_judge_says_but_no_further_than_a_fifth_of_a_second_off(after_s, starts_s):
    p = empty()
    p.onset[[50, 51, 70, 71], KEY] = 0.9, 0.5, 0.9, 0.5
    p.frame[50:100, KEY] = 0.9
    reader = EvidenceReader(CONFIG, shifting(after_s))
    reader.feed(p, spectrogram(sounds=[(50, 100)]))
    first, second = reader.finish().notes
    assert (first.start_s, second.start_s) == pytest.approx(starts_s)
    assert first.end_s == pytest.approx(min(2.24, second.start_s))  # the next one's row, unless it starts before


def falling(db_a_frame):
    """The sound of a note that falls from frame 100 on, by so much a frame."""
    mel = spectrogram(sounds=[(50, 200)])
    mel[100:] = np.maximum(mel[100:] - db_a_frame * np.arange(100)[:, None], -40)
    return mel


@pytest.mark.parametrize(("surely", "ends"), [(0.6, range(96, 108)), (0.95, (200,))])
def test_a_note_ends_where_it_is_released_unless_the_frame_head_is_sure_that_it_goes_on(surely, ends):
    p = empty()
    p.onset[50:52, KEY] = 0.9
    p.frame[50:100, KEY], p.frame[100:, KEY] = 0.95, surely
    ((_, _, end),) = read(p, falling(2.0), THRESHOLDS)  # 16 dB in a quarter of a second
    assert end in ends
    ((_, _, end),) = read(p, falling(0.5), THRESHOLDS)  # 4 dB
    assert end == 200


def test_what_dies_away_evenly_is_not_released():
    p = empty()
    p.onset[50:52, KEY] = 0.9
    p.frame[50:, KEY] = 0.6
    mel = spectrogram(sounds=[(50, 200)])
    mel[50:] = np.maximum(
        mel[50:] - 1.0 * np.arange(150)[:, None], -40
    )  # 8 dB in a quarter of a second, from the start
    ((_, _, end),) = read(p, mel, THRESHOLDS)
    assert end == 200


def test_an_onset_after_a_gap_is_a_new_note():
    p = empty()
    p.onset[[50, 51, 110, 111], KEY] = 0.9
    p.frame[50:100, KEY] = p.frame[110:150, KEY] = 0.9
    assert read(p, spectrogram(sounds=[(50, 150)])) == [(50, PITCH, 100), (110, PITCH, 150)]


def test_a_note_that_sounds_at_the_end_is_closed_there_and_nan_is_nothing():
    p = empty()
    p.onset[:2, 0] = np.nan
    p.onset[190:192, KEY] = 0.9
    p.frame[190:, KEY] = 0.9
    assert read(p, spectrogram(sounds=[(190, 200)])) == [(190, PITCH, 200)]
    assert read(empty(0), spectrogram(frames=0)) == []
    assert EvidenceReader(CONFIG).finish().notes == []


def test_labels_give_their_notes_back(melody):
    rolls = notes_to_rolls(melody, 130)
    p = Probabilities(rolls.onset, rolls.offset, rolls.frame, rolls.velocity)
    found = read(p, spectrogram(sounds=[(0, 130)], frames=130))
    assert [pitch for _, pitch, _ in found] == [note.pitch for note in sorted(melody)]


def smooth_noise(random, frames):
    raw = random.random((frames + 4, 88))
    return (sum(raw[shift : shift + frames] for shift in range(5)) / 5 * 1.6 - 0.3).astype(np.float32)


def some_judge(random):
    sizes = (SURROUNDINGS, 8, 2)
    layers = [(random.normal(0, 0.3, pair), random.normal(0, 0.3, pair[1])) for pair in pairwise(sizes)]
    return Judge(np.zeros(SURROUNDINGS), np.ones(SURROUNDINGS), (tuple(layers),))


@settings(deadline=None, max_examples=6)
@example(cuts=[183], seed=1, judged=True)
@given(cuts=st.lists(st.integers(0, 260), max_size=4), seed=st.integers(0, 1), judged=st.booleans())
def test_a_recording_cut_anywhere_gives_the_notes_of_one_pass(cuts, seed, judged):
    random = np.random.default_rng(seed)
    judge = some_judge(random) if judged else None
    p = Probabilities(*(smooth_noise(random, 260) for _ in range(4)))
    mel = random.normal(-20, 3, (260, 229)).astype(np.float32)
    config = replace(CONFIG, sure_frames=3.0, join_db=6.0, struck=StruckWeights(rise=1.0), least_struck=0.5)
    expected = EvidenceReader(config, judge)
    expected.feed(p, mel)
    reader = EvidenceReader(config, judge)
    for first, last in pairwise([0, *sorted(cuts), 260]):
        reader.feed(
            Probabilities(p.onset[first:last], p.offset[first:last], p.frame[first:last], p.velocity[first:last]),
            mel[first:last],
        )
    found, whole = reader.finish(), expected.finish()
    assert len(whole.notes) > 100
    # The judge's sums round otherwise for other numbers of candidates at a time.
    to_the_nanosecond = [
        [(round(note.start_s, 9), note.pitch, round(note.end_s, 9), note.velocity) for note in each.notes]
        for each in (found, whole)
    ]
    assert to_the_nanosecond[0] == to_the_nanosecond[1]
    np.testing.assert_allclose(found.evidence, whole.evidence, rtol=1e-6)


def test_memory_does_not_grow_with_length():
    reader = EvidenceReader(CONFIG)
    for _ in range(20):
        reader.feed(empty(), spectrogram())
    assert len(reader._heard.onset) <= FRAMES + 3 * AHEAD


def test_harmonic_levels_are_loudest_at_the_key_that_sounds():
    time_s = np.arange(16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * 440 * harmonic * time_s) for harmonic in range(1, 5))
    levels = harmonic_levels(log_mel(tone))[10].mean(axis=-1)
    assert levels.shape == (88,)
    assert int(levels.argmax()) == KEY


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="200 frames, but a spectrogram of 100"):
        EvidenceReader(CONFIG).feed(empty(), spectrogram(frames=100))
