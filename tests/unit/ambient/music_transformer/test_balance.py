import numpy as np
import pytest

from ambient.music_transformer.balance import Balance, nearness

TWO_HANDS = [48, 52, 72, 76, 79]  # 30 s hold six rounds of it, a second each
SCALE = list(range(60, 72)) * 3  # no pitch has more than a tenth of the notes


def watched(primer, new=(), *, gap_steps=100, strength=1.0, most=1.0):
    near = nearness(128, 3.0)
    starts = [index * gap_steps for index in range(len(primer))]
    balance = Balance(starts, primer, near=near, unheard=0.0005, strength=strength, most=most)
    for index, pitch in enumerate(new):
        balance.observe((len(primer) + index) * gap_steps, pitch)
    return balance


def test_music_that_lies_where_its_primer_does_is_left_alone():
    assert watched(TWO_HANDS * 8, TWO_HANDS * 8).nats() == pytest.approx(np.zeros(128), abs=1e-6)


def test_a_hand_that_fell_silent_is_asked_for_and_the_other_less():
    nats = watched(TWO_HANDS * 8, [72, 76, 79] * 10).nats()
    assert nats[50] == nats[:60].max() > 2
    # This hand has all of the notes in place of three fifths.
    assert nats[[72, 76, 79]] == pytest.approx([-np.log(5 / 3)] * 3, abs=0.03)


def test_half_the_strength_leads_half_as_much():
    away = [72, 76, 79] * 10
    half, whole = (watched(TWO_HANDS * 8, away, strength=strength).nats() for strength in (0.5, 1.0))
    assert half == pytest.approx(whole / 2)


def test_values_that_neither_has_are_left_to_the_model():
    assert watched(TWO_HANDS * 8, [72, 76, 79] * 10).nats()[[20, 110]] == pytest.approx([0, 0], abs=1e-3)


def test_a_single_note_far_outside_keeps_others_from_following():
    nats = watched(TWO_HANDS * 8, [*TWO_HANDS * 6, 100]).nats()
    # A thirtieth of the notes, at a normal density of 0.133 around it, beside a share of 0.0005 of unheard ones.
    assert nats[100] == pytest.approx(np.log(0.0005 / (0.133 / 30 + 0.0005)), abs=0.01)
    assert abs(nats[72]) < 0.1


def test_what_was_heard_over_half_a_minute_ago_does_not_count():
    balance = watched(TWO_HANDS * 8, [72] * 30)
    assert balance.nats()[50] > 3
    for index in range(30):
        balance.observe(7000 + 100 * index, TWO_HANDS[index % 5])
    assert balance.nats() == pytest.approx(np.zeros(128), abs=1e-6)


def test_one_pitch_struck_again_and_again_is_held_back():
    nats = watched(SCALE, [64, 65] * 15, strength=0.0, most=0.1).nats()
    assert nats[[64, 65]] == pytest.approx([-np.log(5), -np.log(5)])  # half of the notes in place of a tenth
    assert np.count_nonzero(nats) == 2


def test_a_drone_of_the_primer_may_go_on():
    assert not watched([48, 60] * 10, [48, 62] * 15, strength=0.0, most=0.1).nats()[48]


def test_eleven_notes_say_too_little():
    assert watched([60] * 11, [90] * 30).nats() is None
    assert watched([60] * 12, [90] * 30).nats() is not None
    assert watched([]).nats() is None


def test_after_a_rest_there_is_nothing_to_balance_yet():
    balance = watched(TWO_HANDS * 8)
    balance.observe(100_000, 60)
    assert balance.nats() is None


def test_a_copy_goes_its_own_way():
    balance = watched(TWO_HANDS * 8)
    other = balance.copy()
    for index in range(30):
        other.observe(4000 + 100 * index, 90)
    assert balance.nats()[90] == pytest.approx(0, abs=1e-3)
    assert other.nats()[90] < -3


def test_each_value_speaks_for_those_around_it_with_one_voice():
    near = nearness(5, 1.0)
    assert near.sum(axis=0) == pytest.approx(np.ones(5))
    # A normal curve at 2, 1 and 0 standard deviations.
    assert near[:, 2] == pytest.approx(np.array([0.1353, 0.6065, 1, 0.6065, 0.1353]) / 2.4836, abs=1e-4)


def test_values_that_stand_apart_speak_for_themselves_alone():
    near = nearness(5, 1.0, apart=1)
    assert near[0].tolist() == near[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert near[1, 2] > 0.2
