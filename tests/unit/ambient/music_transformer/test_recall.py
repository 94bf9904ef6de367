import numpy as np
import pytest

from ambient.music_transformer.recall import Recall

GAP, PITCH, LENGTH, VELOCITY = range(4)
UNIFORM = [np.full(size, 1 / size) for size in (178, 128, 177, 32)]
HOME, AWAY, ELSEWHERE = np.eye(3)  # three states that have nothing in common
NEARBY = HOME + 0.1 * ELSEWHERE  # its direction is 0.0996 from that of HOME, so the odds are 0.12 / 0.0996
SHARE = 1.2045 / 2.2045


def recall(*moments, share=0.3):
    states, choices = zip(*moments, strict=True) if moments else (np.zeros((0, 3)), np.zeros((0, 4), dtype=int))
    return Recall(np.array(states), np.array(choices), share)


def test_a_moment_like_one_before_goes_on_as_that_did():
    memory = recall((HOME, [20, 60, 50, 16]), (AWAY, [10, 72, 30, 8]))
    memory.look(5 * NEARBY)  # however long a state is, its direction counts
    mixed = memory.mixed(PITCH, UNIFORM[PITCH])
    assert mixed.sum() == pytest.approx(1)
    assert mixed[60] == pytest.approx((1 - SHARE) / 128 + SHARE, abs=1e-4)
    assert mixed[72] == pytest.approx((1 - SHARE) / 128, abs=1e-4)


def test_the_nearer_the_moment_the_more_it_counts():
    shares = []
    for state in (HOME + 0.01 * AWAY, HOME + 0.1 * AWAY, HOME + AWAY):
        memory = recall((HOME, [20, 60, 50, 16]))
        memory.look(state)
        shares.append(memory.mixed(PITCH, np.zeros(128))[60])
    odds = [share / (1 - share) for share in shares]  # 0.12 over the distance of the directions
    assert odds == pytest.approx([0.12 / 0.01, 0.12 / 0.0996, 0.12 / 0.7654], rel=1e-2)


@pytest.mark.parametrize(("share", "odds"), [(0.3, 1.0), (0.6, 3.5), (0.1, 0.2593), (1.0, np.inf)])
def test_another_share_multiplies_the_odds(share, odds):
    memory = recall((HOME, [20, 60, 50, 16]), share=share)
    memory.look(NEARBY)
    expected = 1 if odds == np.inf else odds * 1.2045 / (1 + odds * 1.2045)
    assert memory.mixed(PITCH, np.zeros(128))[60] == pytest.approx(expected, abs=1e-3)


def test_without_moments_and_without_a_share_the_network_alone_counts():
    nothing, unused = recall(), recall((HOME, [20, 60, 50, 16]), share=0.0)
    for memory in (nothing, unused):
        memory.look(HOME)
        np.testing.assert_array_equal(memory.mixed(PITCH, UNIFORM[PITCH]), UNIFORM[PITCH])
        memory.chose(PITCH, 60, 1 / 128)


def test_times_and_velocities_return_nearly():
    memory = recall((HOME, [20, 60, 50, 16]))
    memory.look(NEARBY)
    lengths = memory.mixed(LENGTH, np.zeros(177))
    assert lengths.sum() == pytest.approx(SHARE, abs=1e-4)
    assert lengths[50] > 0.85 * SHARE  # the very length ...
    assert lengths[49] > lengths[45] > 0  # ... or one like it
    gaps = recall((HOME, [0, 60, 50, 16]))
    gaps.look(NEARBY)
    assert gaps.mixed(GAP, np.zeros(178))[0] == pytest.approx(SHARE, abs=1e-4)  # notes of a chord start together


def test_what_was_chosen_says_whether_the_field_goes_on_as_recalled():
    followed, left = recall((HOME, [20, 60, 50, 16])), recall((HOME, [20, 60, 50, 16]))
    for memory, gap in ((followed, 20), (left, 90)):
        memory.look(NEARBY)
        memory.mixed(GAP, UNIFORM[GAP])
        memory.chose(GAP, gap, float(UNIFORM[GAP][gap]))
        memory.mixed(PITCH, UNIFORM[PITCH])
        memory.chose(PITCH, 60 + 7 * (memory is left), 1 / 128)
        memory.look(NEARBY)
    # A choice tells at most three nats and counts for a tenth; the odds take 1.5 times what is known of their field.
    # Recalled it had 0.91, the network gave it 1 / 178, which counts as a hundredth; the other had neither.
    gap_odds = 1.2045 * np.exp(1.5 * 0.1 * 3)
    assert followed.mixed(GAP, np.zeros(178)).sum() == pytest.approx(gap_odds / (1 + gap_odds), abs=1e-3)
    assert left.mixed(GAP, np.zeros(178)).sum() == pytest.approx(SHARE, abs=1e-3)
    assert followed.mixed(LENGTH, np.zeros(177)).sum() == pytest.approx(SHARE, abs=1e-3)  # nothing is known of it


def test_what_is_known_fades_note_by_note():
    memory = recall((HOME, [20, 60, 50, 16]))
    for _ in range(2):
        memory.look(NEARBY)
        memory.mixed(PITCH, UNIFORM[PITCH])
        memory.chose(PITCH, 67, 0.5)  # of which nothing was recalled: log(0.01 / 0.5) is less than -3
    memory.look(NEARBY)
    odds = 1.2045 * np.exp(1.5 * -3 * (0.1 + 0.9 * 0.1))
    assert memory.mixed(PITCH, np.zeros(128)).sum() == pytest.approx(odds / (1 + odds), abs=1e-3)


def test_of_two_moments_alike_the_one_that_agrees_so_far_says_more():
    memory = recall((HOME, [20, 60, 50, 16]), (HOME, [40, 72, 50, 16]))
    memory.look(HOME)
    memory.mixed(GAP, UNIFORM[GAP])
    memory.chose(GAP, 40, float(UNIFORM[GAP][40]))
    pitches = memory.mixed(PITCH, np.zeros(128))
    assert 9 < pitches[72] / pitches[60] < 11  # about a tenth remains of the other


def test_of_what_is_recalled_that_counts_more_which_the_network_holds_likely():
    memory = recall((HOME, [20, 60, 50, 16]), (HOME, [20, 72, 50, 16]))
    memory.look(NEARBY)
    network = np.zeros(128)
    network[[60, 72, 80]] = 0.2, 0.1, 0.7
    recalled = memory.mixed(PITCH, network) - (1 - SHARE) * network
    assert recalled[60] / recalled[72] == pytest.approx(2**0.4)
    assert recalled[80] == pytest.approx(0, abs=1e-5)
    assert recalled.sum() == pytest.approx(SHARE, abs=1e-4)


def test_only_so_many_moments_are_looked_at():
    memory = recall((HOME, [20, 60, 50, 16]), (HOME, [20, 64, 50, 16]), (HOME, [20, 67, 50, 16]))
    for known in range(4):
        memory.look(HOME, known)
        assert np.count_nonzero(memory.mixed(PITCH, np.zeros(128))) == known


def test_copies_do_not_share_what_they_learn():
    memory = recall((HOME, [20, 60, 50, 16]))
    other = memory.copy()
    other.look(HOME)
    other.mixed(GAP, UNIFORM[GAP])
    other.chose(GAP, 20, float(UNIFORM[GAP][20]))
    memory.look(NEARBY)
    assert memory.mixed(GAP, np.zeros(178)).sum() == pytest.approx(SHARE, abs=1e-4)


def test_an_end_is_kept_as_one():
    memory = recall((HOME, [177, 128, 177, 32]))  # the row of an end
    memory.look(HOME)
    assert memory.mixed(GAP, np.zeros(178))[177] > 0.25
