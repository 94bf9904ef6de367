import numpy as np
import pytest

from ambient.music_transformer.recall import Recall

GAP, PITCH, LENGTH, VELOCITY = range(4)
UNIFORM = [np.full(size, 1 / size) for size in (178, 128, 177, 32)]
HOME, AWAY, ELSEWHERE = np.eye(3)  # three states that have nothing in common


def recall(*moments, share=0.3):
    states, choices = zip(*moments, strict=True) if moments else (np.zeros((0, 3)), np.zeros((0, 4), dtype=int))
    return Recall(np.array(states), np.array(choices), share)


def test_a_moment_like_one_before_goes_on_as_that_did():
    memory = recall((HOME, [20, 60, 50, 16]), (AWAY, [10, 72, 30, 8]))
    memory.look(5 * HOME)  # however long a state is, its direction counts
    mixed = memory.mixed(PITCH, UNIFORM[PITCH])
    assert mixed.sum() == pytest.approx(1)
    assert mixed[60] == pytest.approx(0.7 / 128 + 0.3)
    assert mixed[72] == pytest.approx(0.7 / 128)


def test_without_moments_and_without_a_share_the_network_alone_counts():
    nothing, unused = recall(), recall((HOME, [20, 60, 50, 16]), share=0.0)
    for memory in (nothing, unused):
        memory.look(HOME)
        np.testing.assert_array_equal(memory.mixed(PITCH, UNIFORM[PITCH]), UNIFORM[PITCH])
        memory.chose(PITCH, 60, 1 / 128)


def test_times_and_velocities_return_nearly():
    memory = recall((HOME, [20, 60, 50, 16]))
    memory.look(HOME)
    lengths = memory.mixed(LENGTH, np.zeros(177))
    assert lengths.sum() == pytest.approx(0.3)
    assert lengths[50] > 0.85 * 0.3  # the very length ...
    assert lengths[49] > lengths[45] > 0  # ... or one like it
    gaps = recall((HOME, [0, 60, 50, 16]))
    gaps.look(HOME)
    assert gaps.mixed(GAP, np.zeros(178))[0] == pytest.approx(0.3)  # notes of a chord start together


def test_what_was_chosen_says_whether_the_moment_still_holds():
    followed, left = recall((HOME, [20, 60, 50, 16])), recall((HOME, [20, 60, 50, 16]))
    for memory, gap in ((followed, 20), (left, 90)):
        memory.look(HOME)
        memory.mixed(GAP, UNIFORM[GAP])
        memory.chose(GAP, gap, float(UNIFORM[GAP][gap]))
    # By Bayes' rule; seven tenths of what is known holds for the next field.
    recalled = 0.3 * (0.85 + 0.15 * 0.3991)  # of a normal distribution over whole bins with a deviation of 1
    share = 0.3 * 0.3 + 0.7 * recalled / (recalled + 0.7 / 178)
    assert followed.mixed(PITCH, UNIFORM[PITCH])[60] == pytest.approx(share + (1 - share) / 128, abs=1e-3)
    assert left.mixed(PITCH, UNIFORM[PITCH])[60] == pytest.approx(0.09 + 0.91 / 128, abs=1e-3)


def test_of_two_moments_alike_the_one_that_agrees_so_far_says_more():
    memory = recall((HOME, [20, 60, 50, 16]), (HOME, [40, 72, 50, 16]))
    memory.look(HOME)
    memory.mixed(GAP, UNIFORM[GAP])
    memory.chose(GAP, 40, float(UNIFORM[GAP][40]))
    pitches = memory.mixed(PITCH, UNIFORM[PITCH])
    assert pitches[72] > 50 * pitches[60]


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
    other.chose(GAP, 90, float(UNIFORM[GAP][90]))
    memory.look(HOME)
    assert memory.mixed(PITCH, np.zeros(128))[60] == pytest.approx(0.3)


def test_an_end_is_kept_as_one():
    memory = recall((HOME, [177, 128, 177, 32]))  # the row of an end
    memory.look(HOME)
    assert memory.mixed(GAP, np.zeros(178))[177] > 0.25
