import numpy as np
import pytest

from ambient.music_transformer.common_ends import CommonEnds

UNIFORM = np.full(177, 1 / 177)


def ends(*left):
    found = CommonEnds()
    found.look(np.array(left, dtype=np.int64))
    return found


def test_a_note_is_likely_to_end_with_those_that_sound():
    # 20 of 177 lengths would be ends: odds of 1.5 times the root of 20 / 157.
    share = 1.5 * np.sqrt(20 / 157) / (1 + 1.5 * np.sqrt(20 / 157))
    mixed = ends(*range(1, 21)).mixed(UNIFORM)
    assert mixed.sum() == pytest.approx(1)
    assert mixed[5] == pytest.approx(share / 20 + (1 - share) / 177)
    assert mixed[30] == pytest.approx((1 - share) / 177)


def test_the_more_notes_end_at_a_moment_and_the_likelier_the_network_has_it_the_likelier_it_is():
    said = np.zeros(177)
    said[[10, 20, 30]] = 0.36, 0.04, 0.6
    gained = ends(10, 20, 20).mixed(said) - (1 - SHARE_OF_40) * said
    assert gained[10] / gained[20] == pytest.approx(0.6 / (2 * 0.2))
    assert gained[30] == pytest.approx(0)


SHARE_OF_40 = 1.5 * np.sqrt(0.4 / 0.6) / (1 + 1.5 * np.sqrt(0.4 / 0.6))


def test_where_nothing_sounds_the_network_alone_counts():
    for none in (ends(), ends(0, -7)):
        np.testing.assert_array_equal(none.mixed(UNIFORM), UNIFORM)
        none.chose(5, 1 / 177)
    elsewhere = np.eye(177)[30]
    np.testing.assert_array_equal(ends(10).mixed(elsewhere), elsewhere)  # the network rules the end out


def test_ends_that_told_well_count_more_the_next_time_and_others_less():
    told, failed = ends(10), ends(10)
    before = told.mixed(UNIFORM)[10]
    failed.mixed(UNIFORM)
    told.chose(10, 1 / 177)
    failed.chose(40, 0.5)
    assert failed.mixed(UNIFORM)[10] < before < told.mixed(UNIFORM)[10]
    odds = 1.5 * np.sqrt(1 / 176) * np.exp(0.1 * 3)  # a choice tells at most three nats and counts for a tenth
    assert told.mixed(UNIFORM)[10] == pytest.approx((odds + 1 / 177) / (1 + odds))


def test_copies_do_not_share_what_they_learn():
    first = ends(10)
    other = first.copy()
    other.mixed(UNIFORM)
    other.chose(10, 1 / 177)
    assert first.mixed(UNIFORM)[10] < other.mixed(UNIFORM)[10]
