import numpy as np
import pytest

from ambient.music_transformer.harmony import HarmonyWatch

C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]
ALLOWED = 0.04


def watched(primer, new=(), most=ALLOWED, gap_steps=100):
    watch = HarmonyWatch([index * gap_steps for index in range(len(primer))], primer, most)
    for index, pitch in enumerate(new):
        watch.observe((len(primer) + index) * gap_steps, pitch)
    return watch


def test_music_in_the_primers_harmony_is_left_alone_in_any_octave():
    watch = watched(C_MAJOR * 4, [pitch - 24 for pitch in C_MAJOR] * 4)
    assert watch.distance == pytest.approx(0, abs=0.01)
    assert watch.nats() is None


def test_the_distance_is_one_minus_the_cosine_of_the_pitch_classes_of_half_a_minute():
    # 30 s hold 30 of these notes: the primer's classes C and E alike, then 24 times E and 6 times C of one kind.
    watch = watched([60, 64] * 20, [64] * 24)
    counts = np.array([3, 27])  # the last 30: six of the primer, three of each
    assert watch.distance == pytest.approx(1 - (counts @ [1, 1]) / np.sqrt(2 * (counts @ counts)))


def test_music_that_left_is_led_back_to_what_is_missing_and_away_from_what_is_too_much():
    nats = watched(C_MAJOR * 4, [61, 63, 66, 68, 70] * 6).nats()
    assert nats.shape == (128,)
    assert nats[60] == nats[72] > 0
    assert nats[61] == nats[73] < 0
    # Nothing of the last 30 s is in the primer: the highest power, 1.5, of (2/8 + 0.02) / (0 + 0.02).
    assert nats[60] == pytest.approx(1.5 * np.log(0.27 / 0.02))


def test_the_farther_the_music_is_the_more_it_is_led_back():
    led = [watched(C_MAJOR * 4, [61] * count).nats() for count in (5, 8, 12)]
    assert 0 > led[0][61] > led[1][61] > led[2][61]


def test_a_higher_bound_leads_less_and_one_not_at_all():
    away = [61, 63, 66, 68, 70] * 2
    assert watched(C_MAJOR * 4, away, most=0.0).nats()[61] < watched(C_MAJOR * 4, away, most=0.1).nats()[61] < 0
    assert watched(C_MAJOR * 4, [61] * 100, most=1.0).nats() is None


def test_without_a_primer_or_with_one_of_eleven_notes_the_music_goes_where_it_will():
    assert watched([], C_MAJOR * 5).nats() is None
    assert watched([60] * 11, [61] * 30).nats() is None
    assert watched([60] * 12, [61] * 30).nats() is not None


def test_a_copy_goes_its_own_way():
    watch = watched(C_MAJOR * 4)
    other = watch.copy()
    for index in range(30):
        other.observe(3200 + 100 * index, 61)
    assert watch.nats() is None
    assert other.nats() is not None
