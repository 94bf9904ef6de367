from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.music_transformer import variation
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.variation import (
    change_dynamics,
    change_ends,
    change_pace,
    drift_tempo,
    imitate_then_clean,
    imitate_transcriber,
    stretch,
    transpose,
)

seeds = st.integers(0, 10_000)
IN_PLACE = {  # a changed piece, from a piece and a seed, that keeps all of its notes
    "transpose": lambda fields, seed: transpose(fields, seed % 11 - 5),
    "stretch": lambda fields, seed: stretch(fields, 0.9 + seed % 21 / 100),
    "drift_tempo": lambda fields, seed: drift_tempo(fields, np.random.default_rng(seed)),
    "change_pace": lambda fields, seed: change_pace(fields, np.random.default_rng(seed)),
    "change_dynamics": lambda fields, seed: change_dynamics(fields, np.random.default_rng(seed)),
    "change_ends": lambda fields, seed: change_ends(fields, np.random.default_rng(seed)),
}
ALL = IN_PLACE | {"imitate": lambda fields, seed: imitate_transcriber(fields, np.random.default_rng(seed))}


def same(one, other, *names):
    return all(getattr(one, name).tolist() == getattr(other, name).tolist() for name in names)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_whatever_is_varied_stays_a_piece(random_piece, name, seed):
    varied = ALL[name](random_piece(80, seed), seed)
    assert (np.diff(varied.starts) >= 0).all()
    assert (np.diff(varied.pitches)[np.diff(varied.starts) == 0] >= 0).all()
    assert varied.lengths.min() >= 1
    assert varied.pitches.min() >= 0
    assert varied.pitches.max() <= 127
    assert varied.velocities.min() >= 0
    assert varied.velocities.max() <= 31
    assert varied.starts.min() >= 0


@pytest.mark.parametrize("name", IN_PLACE)
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_chords_stay_together_and_no_note_is_lost(random_piece, name, seed):
    fields = random_piece(80, seed)
    varied = IN_PLACE[name](fields, seed)
    assert len(varied) == len(fields)
    together = np.diff(fields.starts) == 0
    assert together.any()
    # A note that started with another still does, however the two are sorted now.
    for start in np.unique(fields.starts[1:][together]):
        count = np.count_nonzero(fields.starts == start)
        assert np.bincount(varied.starts).max() >= count
    assert np.unique(varied.starts).size <= np.unique(fields.starts).size


def test_a_transposition_moves_every_note_and_nothing_else(bars):
    up = transpose(bars(12, lowest=60), 3)
    assert up.pitches.tolist() == (bars(12).pitches + 3).tolist()
    assert same(up, bars(12), "starts", "lengths", "velocities")


@pytest.mark.parametrize(("lowest", "semitones"), [(115, 1), (0, -1), (110, 24)])
def test_a_transposition_that_would_leave_the_range_is_none_and_clips_nothing(bars, lowest, semitones):
    assert same(transpose(bars(12, lowest), semitones), bars(12, lowest), "pitches")


def test_stretching_multiplies_starts_and_ends(bars):
    slower = stretch(bars(9), 1.1)  # 25 x 1.1 = 27.5
    assert slower.starts.tolist() == [0, 28, 55, 83, 110, 138, 165, 193, 220]
    assert slower.ends.tolist() == [28, 55, 83, 110, 138, 165, 193, 220, 248]
    assert same(stretch(bars(9), 1.0), bars(9), "starts", "lengths", "pitches", "velocities")


def test_notes_that_a_faster_tempo_brings_together_are_sorted_by_pitch():
    close = Fields(np.array([5, 6]), np.array([70, 60]), np.array([9, 9]), np.array([1, 2]))
    faster = stretch(close, 0.9)  # 4.5 and 5.4
    assert faster.starts.tolist() == [5, 5]
    assert faster.pitches.tolist() == [60, 70]
    assert faster.velocities.tolist() == [2, 1]


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_drifting_tempo_begins_where_the_piece_does_and_stays_within_an_eighth(bars, seed):
    fields = bars(400)
    drifted = drift_tempo(fields, np.random.default_rng(seed))
    assert drifted.starts[0] == 0
    assert same(drifted, fields, "pitches", "velocities")
    assert 0.87 <= drifted.starts[-1] / fields.starts[-1] <= 1.13
    assert (np.abs(np.diff(drifted.starts) / 25 - 1) <= 0.12 + 1 / 25).all()


def test_a_tempo_that_drifts_is_not_merely_another_tempo(bars):
    gaps = np.diff(drift_tempo(bars(400), np.random.default_rng(0)).starts)
    assert gaps[:200].max() - gaps[:200].min() >= 2


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_other_dynamics_change_velocities_alone(random_piece, seed):
    fields = random_piece(80, seed)
    varied = change_dynamics(fields, np.random.default_rng(seed))
    assert same(varied, fields, "starts", "pitches", "lengths")
    assert not same(varied, fields, "velocities")


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_other_releases_change_lengths_alone(random_piece, seed):
    fields = random_piece(80, seed)
    varied = change_ends(fields, np.random.default_rng(seed))
    assert same(varied, fields, "starts", "pitches", "velocities")
    assert not same(varied, fields, "lengths")


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_an_imitated_transcription_ends_its_notes_on_frames_of_32_ms(random_piece, seed):
    heard = imitate_transcriber(random_piece(200, seed), np.random.default_rng(seed))
    frames = {round(frame * 3.2) for frame in range(int(heard.ends.max() / 3.2) + 2)}
    assert set(heard.ends.tolist()) <= frames | set((heard.starts + 3).tolist())
    assert heard.lengths.min() >= 3


@pytest.mark.parametrize("seed", range(6))
def test_an_imitated_transcription_loses_up_to_a_third_of_the_notes_and_moves_none_far(bars, seed):
    fields = bars(4000)
    heard = imitate_transcriber(fields, np.random.default_rng(seed))
    written = set(zip(fields.starts.tolist(), fields.pitches.tolist(), strict=True))
    near = [
        any((start + moved, pitch) in written for moved in range(-7, 8))
        for start, pitch in zip(heard.starts.tolist(), heard.pitches.tolist(), strict=True)
    ]
    assert 0.6 < sum(near) / 4000 < 1.0
    assert 0.75 < np.mean(near) <= 1.0  # the others nobody played


def test_heard_dynamics_are_flat(bars):
    played = bars(2000)
    means = []
    for velocity_bin in (1, 30):
        fields = replace(played, velocities=np.full(2000, velocity_bin))
        means.append(imitate_transcriber(fields, np.random.default_rng(3)).velocities.mean())
    assert 3 < means[1] - means[0] < 9  # 29 bins as they were played


def test_short_notes_are_heard_longer_and_long_ones_cut():
    def heard_lengths(steps):
        count = 2000
        fields = Fields(np.arange(count) * 2 * steps, np.full(count, 60), np.full(count, steps), np.full(count, 16))
        return imitate_transcriber(fields, np.random.default_rng(2)).lengths

    assert 12 < np.median(heard_lengths(10)) < 18
    assert 0.45 < (heard_lengths(400) < 380).mean() < 0.7


def test_a_piece_that_would_lose_its_only_note_keeps_it(monkeypatch):
    monkeypatch.setattr(variation, "LOST_SHARES", (1.0, 1.0))
    one = Fields(np.array([100]), np.array([60]), np.array([50]), np.array([16]))
    assert len(imitate_transcriber(one, np.random.default_rng(0))) == 1


@pytest.mark.parametrize("name", ALL)
def test_the_same_draws_give_the_same_variation(random_piece, name):
    fields = random_piece(60)
    one, again = (ALL[name](fields, 7) for _ in range(2))
    assert same(one, again, "starts", "pitches", "lengths", "velocities")


def test_a_changed_pace_goes_up_and_down_by_up_to_twice(bars):
    gaps = np.concatenate([np.diff(change_pace(bars(400), np.random.default_rng(seed)).starts) for seed in range(50)])
    assert gaps.min() >= 12  # of 25
    assert gaps.max() <= 51
    assert np.quantile(gaps, [0.1, 0.9]) == pytest.approx([16, 38], abs=4)


def test_what_follows_the_transcribed_part_is_the_piece_itself_at_the_loudness_of_the_transcription(random_piece):
    fields = random_piece(200, 3)
    varied, heard = imitate_then_clean(fields, np.random.default_rng(5), 150)
    assert 0 < heard < len(varied)
    rest = varied[heard:]
    original = fields[fields.starts >= rest.starts[0]]
    assert same(rest, original, "starts", "pitches", "lengths")
    moved = rest.velocities - original.velocities
    kept = (rest.velocities > 0) & (rest.velocities < 31)
    assert np.ptp(moved[kept]) <= 1  # one move for all, rounded
    before = fields[fields.starts < rest.starts[0]]
    assert moved[kept].mean() == pytest.approx(varied[:heard].velocities.mean() - before.velocities.mean(), abs=1)
