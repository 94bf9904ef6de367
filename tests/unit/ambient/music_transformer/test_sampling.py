import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.music_transformer import sampling
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.sampling import (
    GAP,
    LENGTH,
    PITCH,
    VELOCITY,
    allowed_gaps,
    allowed_lengths,
    allowed_pitches,
    log_probabilities,
)

SIZES = (178, 128, 177, 32)
PLAIN = SamplingConfig(temperature=1, top_p=1)


def anything(field):
    return np.ones(SIZES[field], dtype=bool)


def probabilities(field, logits, allowed, config):
    """The distribution of one song."""
    (found,) = sampling.probabilities(field, logits[None], allowed[None], config)
    return found


def draw(field, logits, allowed, config, rng):
    """A choice of one song."""
    (choice,) = sampling.draw(field, logits[None], allowed[None], config, [rng])
    return choice


def drawable(field, config, logits):
    """What may be drawn when only the choices named may come, choice -> logit."""
    row = np.full(SIZES[field], -np.inf)
    row[list(logits)] = list(logits.values())
    return set(np.flatnonzero(probabilities(field, row, anything(field), config)).tolist())


# === What may come ===


def test_a_piece_is_never_ended_by_the_model_and_any_time_may_pass():
    assert allowed_gaps(None).tolist() == allowed_gaps(60).tolist() == [True] * 177 + [False]


def test_nothing_starts_together_with_the_highest_pitch():
    assert np.flatnonzero(~allowed_gaps(127)).tolist() == [0, 177]


@pytest.mark.parametrize(
    ("soonest", "first"),
    [(1, 1), (39, 39), (40, 40), (41, 40), (42, 41), (100, 59), (10**6, 176)],
)
def test_another_note_is_asked_for_no_sooner_than_the_bin_that_holds_the_soonest(soonest, first):
    # Bin 40 holds 40 and 41 steps, bin 59 those from 99 to 103.
    assert np.flatnonzero(allowed_gaps(60, soonest)).tolist() == list(range(first, 177))


def test_pitches_rise_within_a_chord_and_are_free_otherwise():
    assert np.flatnonzero(allowed_pitches(60, together=True, looped=None)).tolist() == list(range(61, 128))
    assert allowed_pitches(60, together=False, looped=None).all()
    assert allowed_pitches(None, together=True, looped=None).all()


def test_the_pitch_that_would_carry_on_a_loop_is_left_out_unless_nothing_else_is_left():
    assert np.flatnonzero(~allowed_pitches(60, together=False, looped=64)).tolist() == [64]
    assert np.flatnonzero(allowed_pitches(126, together=True, looped=127)).tolist() == [127]


def test_every_note_has_a_length():
    assert np.flatnonzero(~allowed_lengths()).tolist() == [0]


# === How it is drawn ===


def test_temperature_zero_takes_the_likeliest_that_may_come():
    logits = np.zeros(128)
    logits[[7, 9]] = 3.0, 2.0
    allowed = anything(PITCH)
    allowed[7] = False
    for seed in range(5):
        assert draw(PITCH, logits, allowed, SamplingConfig(temperature=0), np.random.default_rng(seed)) == 9


def test_choices_come_as_often_as_they_are_likely():
    logits, rng = np.log(np.array([0.5, 0.3, 0.2] + [1e-9] * 29)), np.random.default_rng(0)
    drawn = [draw(VELOCITY, logits, anything(VELOCITY), PLAIN, rng) for _ in range(2000)]
    assert [drawn.count(i) / 2000 for i in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.04)


@pytest.mark.parametrize("field", range(4))
def test_top_k_keeps_the_k_likeliest_of_each_field(field):
    logits = np.arange(SIZES[field], dtype=float)
    kept = np.flatnonzero(probabilities(field, logits, anything(field), SamplingConfig(top_k=3, top_p=1)))
    assert kept.tolist() == [SIZES[field] - 3, SIZES[field] - 2, SIZES[field] - 1]


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.51, 2), (0.79, 2), (0.9, 3), (1.0, 4)])
def test_top_p_keeps_the_choice_that_crosses_the_line(top_p, kept):
    logits = np.full(128, -np.inf)
    logits[:4] = np.log([0.5, 0.3, 0.15, 0.05])
    found = probabilities(PITCH, logits, anything(PITCH), SamplingConfig(temperature=1, top_p=top_p))
    assert np.count_nonzero(found) == kept
    assert found.sum() == pytest.approx(1)


def test_temperature_sharpens_and_flattens():
    logits = np.where(np.arange(128) == 5, 2.0, 0.0)
    at = [probabilities(PITCH, logits, anything(PITCH), SamplingConfig(temperature=t, top_p=1))[5] for t in (0.5, 1, 2)]
    assert at == pytest.approx([np.e**4 / (np.e**4 + 127), np.e**2 / (np.e**2 + 127), np.e / (np.e + 127)])


FOUR = {60: 3.0, 64: 2.0, 67: 1.0, 72: 0.0}


def test_gaps_and_lengths_have_a_top_k_of_their_own_if_asked():
    apart = SamplingConfig(temperature=1, top_p=1, top_k=3, timing_top_k=1)
    assert [len(drawable(field, apart, {1: 3.0, 2: 2.0, 3: 1.0, 4: 0.0})) for field in range(4)] == [1, 3, 1, 3]
    together = SamplingConfig(temperature=1, top_p=1, top_k=3)
    assert len(drawable(GAP, together, FOUR)) == 3
    assert len(drawable(GAP, SamplingConfig(temperature=1, top_p=1, top_k=2, timing_top_k=0), FOUR)) == 4


def test_gaps_and_lengths_have_a_temperature_of_their_own_if_asked():
    config = SamplingConfig(temperature=1, top_p=1, timing_temperature=4)
    ratios = []
    for field in range(4):
        row = np.full(SIZES[field], -np.inf)
        row[[5, 6]] = 0.0, -2.0
        found = probabilities(field, row, anything(field), config)
        ratios.append(found[6] / found[5])
    assert ratios == pytest.approx([np.exp(-0.5), np.exp(-2), np.exp(-0.5), np.exp(-2)])


def test_an_offset_leaves_out_the_likeliest_pitches_but_never_all():
    assert drawable(PITCH, SamplingConfig(temperature=1, top_p=1, top_k_offset=2), FOUR) == {67, 72}
    assert drawable(PITCH, SamplingConfig(temperature=1, top_p=1, top_k_offset=9), FOUR) == {72}
    for field in (GAP, LENGTH):
        assert drawable(field, SamplingConfig(temperature=1, top_p=1, top_k_offset=2), FOUR) == {60, 64, 67, 72}


def test_min_p_keeps_what_is_near_the_likeliest():
    # e^-1 is 0.37 of the likeliest, e^-2 0.14.
    assert drawable(PITCH, SamplingConfig(temperature=1, top_p=1, min_p=0.3), FOUR) == {60, 64}


@pytest.mark.parametrize("creativity", [-1.0, 1.0])
def test_creativity_is_paid_for_each_time_a_gap_doubles_beyond_100_ms(creativity):
    plain, moved = (
        probabilities(GAP, np.zeros(178), allowed_gaps(60), SamplingConfig(temperature=1, top_p=1, creativity=c))
        for c in (0.0, creativity)
    )
    ratio = moved / np.maximum(plain, 1e-9)
    # log2(1 + t / 100 ms): 0 for 0, 1 for 100 ms, 2 for 300 ms; 3 for 700 ms, where bin 52 begins.
    assert ratio[[10, 30, 52]] / ratio[0] == pytest.approx(np.exp(-creativity * np.array([1, 2, 3])))


def test_creativity_leaves_pitches_lengths_and_velocities_alone():
    for field in (PITCH, LENGTH, VELOCITY):
        row = np.random.default_rng(0).normal(size=SIZES[field])
        one, other = (
            probabilities(field, row, anything(field), SamplingConfig(creativity=creativity)) for creativity in (0, 3)
        )
        assert (one == other).all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_logits_still_give_something_that_may_come(broken, temperature):
    allowed = np.zeros(128, dtype=bool)
    allowed[[3, 5]] = True
    logits = np.full(128, broken)
    config = SamplingConfig(temperature=temperature)
    assert draw(PITCH, logits, allowed, config, np.random.default_rng(0)) in (3, 5)
    assert np.isfinite(log_probabilities(logits)[3])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 10_000),
    st.builds(
        SamplingConfig,
        temperature=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
        top_k=st.integers(0, 3),
        timing_top_k=st.sampled_from([None, 1]),
        top_k_offset=st.integers(0, 200),
        top_p=st.sampled_from([0.01, 0.9, 1.0]),
        min_p=st.sampled_from([0.0, 0.5, 1.0]),
        creativity=st.sampled_from([-5.0, 0.0, 5.0]),
    ),
)
def test_whatever_the_settings_only_what_may_come_is_drawn(field, seed, config):
    rng = np.random.default_rng(seed)
    allowed = rng.random(SIZES[field]) < 0.1
    allowed[rng.integers(SIZES[field])] = True
    found = probabilities(field, rng.normal(0, 3, SIZES[field]), allowed, config)
    assert found.sum() == pytest.approx(1)
    assert not found[~allowed].any()
    assert allowed[draw(field, rng.normal(0, 3, SIZES[field]), allowed, config, rng)]


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(temperature=0),
        SamplingConfig(temperature=1, top_p=0.9, top_k=5, min_p=0.01, top_k_offset=2),
        SamplingConfig(temperature=1, top_p=1, creativity=1.0),
    ],
)
def test_each_of_many_songs_is_drawn_as_it_would_be_alone(config):
    rng = np.random.default_rng(3)
    for field in range(4):
        logits, allowed = rng.normal(0, 3, (5, SIZES[field])), rng.random((5, SIZES[field])) < 0.5
        logits[2] = np.nan
        allowed[3] = False
        allowed[3, 7] = True
        together = sampling.draw(field, logits, allowed, config, [np.random.default_rng(song) for song in range(5)])
        alone = [draw(field, logits[song], allowed[song], config, np.random.default_rng(song)) for song in range(5)]
        assert together == alone
        assert together[3] == 7


def test_surprise_is_that_of_the_model_whatever_the_filters():
    assert -log_probabilities(np.log(np.array([0.5, 0.25, 0.25])))[1] == pytest.approx(np.log(4))
    assert -log_probabilities(np.array([0.0, 1000.0]))[0] == pytest.approx(1000)
