import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.sampling import (
    LONGEST_NOTE_STEPS,
    LONGEST_SILENCE_STEPS,
    MOST_SOUNDING,
    LegalEvents,
    draw_token,
    token_probabilities,
    with_note_ends,
)
from ambient.music_transformer.tokens import (
    END,
    NOTE_OFF,
    PAD,
    START,
    TIME_SHIFT,
    VELOCITY,
    VOCABULARY_SIZE,
    notes_to_tokens,
    tokens_to_notes,
)
from ambient.notes import Note

ALL = np.ones(VOCABULARY_SIZE, dtype=bool)
FULL_SECOND = VELOCITY - 1


def after(*tokens):
    legal = LegalEvents()
    for token in tokens:
        legal.observe(token)
    return legal.mask()


def test_an_off_is_legal_only_for_a_sounding_note_and_not_at_its_start():
    assert not after()[NOTE_OFF : NOTE_OFF + 128].any()
    assert not after(60)[NOTE_OFF + 60]
    assert np.flatnonzero(after(60, TIME_SHIFT)[NOTE_OFF : NOTE_OFF + 128]).tolist() == [60]


def test_a_sounding_pitch_is_not_struck_again_before_it_ends():
    assert not after(60, TIME_SHIFT)[60]
    assert after(60, TIME_SHIFT, NOTE_OFF + 60)[60]


def test_only_a_note_follows_a_velocity_and_it_never_repeats_the_one_in_force():
    assert np.flatnonzero(after(VELOCITY + 3)).max() < 128
    assert not after(VELOCITY + 3, 60)[VELOCITY + 3]


def test_shifts_are_written_full_seconds_first():
    assert not after(TIME_SHIFT + 10)[TIME_SHIFT:VELOCITY].any()
    assert after(FULL_SECOND)[TIME_SHIFT:VELOCITY].all()


def test_pad_and_start_are_never_legal_and_an_end_only_on_request():
    legal = LegalEvents()
    assert not legal.mask()[[PAD, START, END]].any()
    assert legal.mask(may_end=True)[END]
    legal.observe(60)
    assert not legal.mask(may_end=True)[END]


def test_a_note_held_for_eight_seconds_must_end():
    held = after(60, *[FULL_SECOND] * (LONGEST_NOTE_STEPS // 100))
    assert np.flatnonzero(held).tolist() == [NOTE_OFF + 60]


def test_no_note_starts_while_ten_sound():
    full = after(*range(40, 40 + MOST_SOUNDING), TIME_SHIFT)
    assert not full[:128].any()
    assert not full[VELOCITY:PAD].any()
    assert np.flatnonzero(full).tolist() == [NOTE_OFF + pitch for pitch in range(40, 40 + MOST_SOUNDING)]


def test_no_more_notes_start_within_a_second_than_asked_for():
    legal = LegalEvents(notes_per_second=2)
    for token in (60, TIME_SHIFT + 49, 64, TIME_SHIFT + 48):
        legal.observe(token)
    assert not legal.mask()[:128].any()
    assert not legal.mask()[VELOCITY:PAD].any()
    assert legal.mask()[NOTE_OFF + 60]
    legal.observe(NOTE_OFF + 60)
    legal.observe(TIME_SHIFT)
    assert legal.mask()[60]


def test_time_moves_on_at_least_until_another_note_may_start():
    legal = LegalEvents(notes_per_second=2)
    for token in (60, TIME_SHIFT + 49, 64):
        legal.observe(token)
    assert np.flatnonzero(legal.mask()[TIME_SHIFT:VELOCITY]).tolist() == list(range(49, 100))


def test_a_bound_on_starts_never_leaves_nothing_legal():
    legal = LegalEvents(notes_per_second=1)
    for token in (60, TIME_SHIFT, NOTE_OFF + 60, TIME_SHIFT):
        legal.observe(token)
    assert np.flatnonzero(legal.mask()).tolist() == list(range(TIME_SHIFT, VELOCITY))


def test_a_note_is_held_after_two_seconds():
    legal = LegalEvents()
    for token in (60, FULL_SECOND, 64, TIME_SHIFT + 98):
        legal.observe(token)
    assert legal.held() == []
    legal.observe(TIME_SHIFT)
    assert legal.held() == [60]


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_a_forgotten_note_ends_at_the_rate_asked_for(rate):
    logits = np.full(VOCABULARY_SIZE, -30.0, dtype=np.float32)
    logits[[TIME_SHIFT + 9, TIME_SHIFT + 29, 70]] = 3.0  # 0.1 s, 0.3 s, and a note
    changed = with_note_ends(logits, [60, 64], rate)
    weights = np.exp(changed.astype(np.float64))
    expected_s = (0.1 + 0.3) / 2
    moving_on = weights[TIME_SHIFT:VELOCITY].sum()
    np.testing.assert_allclose(weights[[NOTE_OFF + 60, NOTE_OFF + 64]] / moving_on, rate * expected_s, rtol=1e-5)
    others = np.setdiff1d(np.arange(VOCABULARY_SIZE), [NOTE_OFF + 60, NOTE_OFF + 64])
    assert (changed[others] == logits[others]).all()


def test_the_model_may_end_a_held_note_sooner():
    logits = np.zeros(VOCABULARY_SIZE, dtype=np.float32)
    logits[NOTE_OFF + 60] = 9.0
    assert with_note_ends(logits, [60], 1.0)[NOTE_OFF + 60] == 9.0


def test_note_ends_are_left_to_the_model_on_request_and_where_its_weights_are_broken():
    logits = np.zeros(VOCABULARY_SIZE, dtype=np.float32)
    assert with_note_ends(logits, [60], 0.0) is logits
    assert with_note_ends(logits, [], 1.0) is logits
    logits[TIME_SHIFT] = np.nan
    assert with_note_ends(logits, [60], 1.0) is logits


def test_a_silence_of_five_seconds_must_end():
    assert not after(*[FULL_SECOND] * (LONGEST_SILENCE_STEPS // 100))[TIME_SHIFT:VELOCITY].any()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.1, 8))
def test_random_legal_events_always_make_a_piece_without_anything_to_drop(seed, spread):
    rng = np.random.default_rng(seed)
    legal, tokens = LegalEvents(notes_per_second=seed % 3), []
    for _ in range(300):
        token = draw_token(rng.normal(0, spread, VOCABULARY_SIZE), legal.mask(), SamplingConfig(), rng)
        legal.observe(token)
        tokens.append(token)
    tokens += legal.closing_tokens()
    decoded = tokens_to_notes(tokens)
    assert decoded.dropped == {}
    assert decoded.closed == 0
    assert all(note.end_s - note.start_s <= LONGEST_NOTE_STEPS / 100 + 1 for note in decoded.notes)


def test_what_notes_to_tokens_writes_is_legal():
    rng = np.random.default_rng(5)
    notes = [Note(i * 0.31, int(p), i * 0.31 + 0.3, int(v)) for i, (p, v) in enumerate(rng.integers(1, 128, (200, 2)))]
    legal = LegalEvents()
    for token in notes_to_tokens(notes):
        assert legal.mask()[token]
        legal.observe(token)


def test_notes_left_sounding_are_closed_a_step_later_if_they_have_only_just_started():
    legal = LegalEvents()
    for token in (VELOCITY, 60, TIME_SHIFT, 64):
        legal.observe(token)
    assert legal.closing_tokens() == [TIME_SHIFT, NOTE_OFF + 60, NOTE_OFF + 64]


def test_a_copy_goes_its_own_way():
    legal = LegalEvents()
    legal.observe(60)
    other = legal.copy()
    other.observe(64)
    assert (legal.sounding, other.sounding) == ([60], [60, 64])


def test_temperature_zero_takes_the_likeliest_legal_event():
    logits = np.zeros(VOCABULARY_SIZE)
    logits[[7, 9]] = 3.0, 2.0
    allowed = ALL.copy()
    allowed[7] = False
    for seed in range(5):
        assert draw_token(logits, allowed, SamplingConfig(temperature=0), np.random.default_rng(seed)) == 9


def test_top_k_keeps_the_k_likeliest():
    logits = np.arange(VOCABULARY_SIZE, dtype=float)
    probabilities = token_probabilities(logits, ALL, SamplingConfig(temperature=1, top_k=3, top_p=1))
    assert np.flatnonzero(probabilities).tolist() == [388, 389, 390]


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.51, 2), (0.79, 2), (0.9, 3), (1.0, 4)])
def test_top_p_keeps_the_event_that_crosses_the_line(top_p, kept):
    logits = np.full(VOCABULARY_SIZE, -np.inf)
    logits[:4] = np.log([0.5, 0.3, 0.15, 0.05])
    probabilities = token_probabilities(logits, ALL, SamplingConfig(temperature=1, top_p=top_p))
    assert np.count_nonzero(probabilities) == kept
    assert probabilities.sum() == pytest.approx(1)


def test_temperature_sharpens_and_flattens():
    logits = np.where(np.arange(VOCABULARY_SIZE) == 5, 2.0, 0.0)
    at = [token_probabilities(logits, ALL, SamplingConfig(temperature=t, top_p=1))[5] for t in (0.5, 1.0, 2.0)]
    assert at[0] > at[1] > at[2]


def drawable(config, **logits):
    """The events that may be drawn when only those named may come."""
    row = np.full(VOCABULARY_SIZE, -np.inf)
    for name, value in logits.items():
        row[int(name[1:])] = value
    return set(np.flatnonzero(token_probabilities(row, ALL, config)).tolist())


FAMILIES = {"n60": 3.0, "n64": 2.0, "n67": 1.0, "t260": 2.5, "t261": 1.5, "t262": 0.5}


def test_top_k_of_notes_and_of_timing_are_counted_apart_if_asked():
    together = SamplingConfig(temperature=1, top_p=1, top_k=3)
    assert drawable(together, **FAMILIES) == {60, 260, 64}
    apart = SamplingConfig(temperature=1, top_p=1, top_k=2, timing_top_k=1)
    assert drawable(apart, **FAMILIES) == {60, 64, 260}


def test_an_offset_leaves_out_the_likeliest_notes_but_never_all():
    assert drawable(SamplingConfig(temperature=1, top_p=1, top_k_offset=2), **FAMILIES) == {67, 260, 261, 262}
    assert drawable(SamplingConfig(temperature=1, top_p=1, top_k_offset=9), **FAMILIES) == {67, 260, 261, 262}
    assert drawable(SamplingConfig(temperature=1, top_p=1, top_k_offset=9), t260=0.0) == {260}


def test_min_p_keeps_what_is_near_the_likeliest():
    assert drawable(SamplingConfig(temperature=1, top_p=1, min_p=0.3), **FAMILIES) == {60, 64, 260}


def test_timing_has_a_temperature_of_its_own():
    row = np.full(VOCABULARY_SIZE, -np.inf)
    row[[60, 64, 260, 261]] = 0.0, -2.0, 0.0, -2.0

    def shares(config):
        probabilities = token_probabilities(row, ALL, config)
        return probabilities[64] / probabilities[60], probabilities[261] / probabilities[260]

    notes, timing = shares(SamplingConfig(temperature=1, top_p=1, timing_temperature=4))
    assert notes == pytest.approx(np.exp(-2))
    assert timing == pytest.approx(np.exp(-0.5))


def test_creativity_moves_probability_from_time_to_notes_and_back():
    row = np.zeros(VOCABULARY_SIZE)
    shares = [
        token_probabilities(row, ALL, SamplingConfig(temperature=1, top_p=1, creativity=c))[TIME_SHIFT:VELOCITY].sum()
        for c in (-1.0, 0.0, 1.0)
    ]
    assert shares == pytest.approx([100 * np.e / (100 * np.e + 291), 100 / 391, 100 / np.e / (100 / np.e + 291)])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_broken_logits_still_give_a_legal_event(broken):
    allowed = np.zeros(VOCABULARY_SIZE, dtype=bool)
    allowed[[3, 5]] = True
    logits = np.full(VOCABULARY_SIZE, broken)
    assert draw_token(logits, allowed, SamplingConfig(), np.random.default_rng(0)) in (3, 5)
