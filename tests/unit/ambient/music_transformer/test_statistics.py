import math

import pytest

from ambient.music_transformer.statistics import distances, measure
from ambient.notes import Note


def line(pitches, *, every_s=1.0, long_s=0.5):
    return [Note(i * every_s, pitch, i * every_s + long_s, 64) for i, pitch in enumerate(pitches)]


def test_a_single_held_note_is_all_sound_and_no_variety():
    held = measure([Note(2.0, 60, 6.0, 64)])
    assert (held.notes_per_second, held.silence, held.polyphony) == (0.25, 0.0, 1.0)
    assert (held.pitch_class_entropy, held.pitch_range, held.self_repetition) == (0.0, 0.0, 0.0)
    assert held.longest_note_s == 4.0


def test_rests_between_notes_are_silence():
    detached = measure(line([60, 62, 64, 65]))
    assert detached.silence == pytest.approx(1.5 / 3.5)
    assert detached.notes_per_second == pytest.approx(4 / 3.5)
    assert detached.median_note_s == pytest.approx(0.5)


def test_notes_that_sound_together_count_as_polyphony_and_once_as_sound():
    chord = [Note(0, 60, 2, 64), Note(0, 64, 2, 64), Note(1, 67, 3, 64)]
    assert measure(chord).polyphony == pytest.approx(6 / 3)
    assert measure(chord).silence == 0.0


def test_a_diatonic_scale_is_consistent_and_the_chromatic_one_is_not():
    diatonic = measure(line([60, 62, 64, 65, 67, 69, 71, 72]))
    assert diatonic.scale_consistency == 1.0
    chromatic = measure(line(range(60, 72)))
    assert chromatic.scale_consistency == pytest.approx(7 / 12)
    assert chromatic.pitch_class_entropy == pytest.approx(math.log2(12))


def test_figures_that_come_again_are_repetition():
    assert measure(line([60, 62, 64, 65] * 2)).self_repetition == pytest.approx(2 / 5)
    assert measure(line([60] * 8)).self_repetition == 1.0
    assert measure(line(range(40, 60))).self_repetition == 0.0


def test_a_passage_is_no_distance_from_itself_whatever_its_octave_or_place():
    notes = line([60, 62, 64, 65])
    same = distances(notes, notes, seconds=(4, 4))
    assert (same.pitch_classes, same.density, same.mean_pitch) == (pytest.approx(0), 0.0, 0.0)
    assert (same.median_length, same.polyphony, same.velocity) == (0.0, 0.0, 0.0)
    octave = distances(notes, line([72, 74, 76, 77]), seconds=(4, 4))
    assert (octave.pitch_classes, octave.mean_pitch) == (pytest.approx(0), 12.0)


def test_distances_are_octaves_of_density_length_and_polyphony_and_differences_of_means():
    sparse = [Note(0, 60, 1, 40), Note(2, 60, 3, 50)]
    dense = [Note(0, 61, 4, 70), Note(0, 63, 4, 80), Note(1, 61, 5, 90), Note(1, 63, 5, 80)]
    found = distances(sparse, dense, seconds=(8, 4))
    assert found.pitch_classes == pytest.approx(1)  # no class in common
    assert found.density == pytest.approx(2)  # 0.25 and 1 a second
    assert found.mean_pitch == pytest.approx(2)
    assert found.median_length == pytest.approx(2)  # 1 s and 4 s
    assert found.polyphony == pytest.approx(math.log2(16 / 5))  # 16 s of notes in 5 s of sound
    assert found.velocity == pytest.approx(35)


def test_rhythms_differ_by_the_share_of_times_between_starts_that_would_have_to_be_others():
    even, chords = line([60] * 9, every_s=0.5), line([60] * 5, every_s=1.0)
    assert distances(even, even, seconds=(4, 4)).rhythm == 0
    assert distances(even, chords, seconds=(4, 4)).rhythm == 1
    # Four times nothing, three times a second; the other has a second alone.
    doubled = sorted(chords[:4] + [Note(n.start_s + 0.01, 72, n.end_s, 64) for n in chords[:4]])
    assert distances(doubled, chords, seconds=(4, 4)).rhythm == pytest.approx(4 / 7)
    assert distances(even, line([60] * 9, every_s=0.49), seconds=(4, 4)).rhythm == 0  # a player's inaccuracy


def test_a_passage_of_one_note_has_no_rhythm_to_differ_in():
    assert distances(line([60]), line([60] * 5), seconds=(1, 4)).rhythm == 0


def test_registers_differ_where_means_do_not():
    close, wide = line([60] * 4), line([48, 48, 72, 72])
    assert distances(close, wide, seconds=(4, 4)).mean_pitch == 0
    assert distances(close, wide, seconds=(4, 4)).register == pytest.approx(12, abs=0.2)


def test_dynamics_differ_by_how_far_velocities_spread():
    flat = [Note(i, 60, i + 1, 60) for i in range(4)]
    shaped = [Note(i, 60, i + 1, velocity) for i, velocity in enumerate((50, 70, 50, 70))]
    assert distances(flat, shaped, seconds=(4, 4)).velocity == 0
    assert distances(flat, shaped, seconds=(4, 4)).dynamics == 10


def test_loudness_swings_from_ten_seconds_to_ten_seconds():
    def piece(*velocities, notes=4):
        return [
            Note(10.0 * window + 2 * index, 60, 10.0 * window + 2 * index + 1, velocity)
            for window, velocity in enumerate(velocities)
            for index in range(notes)
        ]

    assert measure(piece(50, 50, 50)).loudness_swing == 0
    assert measure(piece(20, 100, 20, 100)).loudness_swing == 40
    assert measure(piece(60)).loudness_swing == 0
    assert measure([*piece(50, 50), *piece(0, 0, 127, notes=2)[4:]]).loudness_swing == 0  # two notes say little


def test_a_bass_that_is_gone_half_of_the_time_shows():
    melody = [Note(start, 72, start + 1, 64) for start in range(4)]
    with_bass = sorted([Note(0, 48, 4, 64), *melody])
    half = sorted([Note(0, 48, 2, 64), *melody])
    assert distances(with_bass, half, seconds=(4, 4)).bass == pytest.approx(12)
    assert distances(with_bass, with_bass, seconds=(4, 4)).bass == 0


def test_chords_differ_by_how_many_notes_would_have_to_stand_in_others():
    def chords(*sizes, apart_s=0.0):
        return [
            Note(start + index * apart_s, 60 + index, start + 0.5, 64)
            for start, size in enumerate(sizes)
            for index in range(size)
        ]

    def distance(one, other):
        return distances(one, other, seconds=(4, 4)).chords

    assert distance(chords(3, 3, 3), chords(3, 3, apart_s=0.03)) == 0  # as a transcriber spreads them
    assert distance(chords(3, 1), chords(1, 1, 1, 1)) == pytest.approx(0.75)
    assert distance(chords(3, 1), chords(2, 2)) == pytest.approx(1)
    assert distance(chords(6), chords(9)) == 0  # six and more


def test_ends_are_common_where_five_notes_end_within_a_twentieth_of_a_second_to_each_side():
    def ending(*ends_s):
        return [Note(0, 60 + index, end_s, 64) for index, end_s in enumerate(ends_s)]

    def distance(one, other):
        return distances(one, other, seconds=(4, 4)).ends

    spread = ending(1, 2, 3, 4, 5)
    assert distance(spread, ending(2, 2, 2, 2, 2)) == 1
    assert distance(spread, ending(2, 2, 2, 2, 3)) == 0  # four together
    assert (
        distance(spread, ending(2, 2.04, 2, 1.96, 2, 4, 4.1, 4.2, 4.3, 4.4)) == 0.3
    )  # of 2.04 and 1.96, 2 alone is near


def test_minor_seconds_and_ninths_clash_while_both_sound():
    held = Note(0, 60, 4, 64)
    apart = [held, Note(1, 62, 4, 64)]
    for pitch, clashes in ((61, 0.75), (73, 0.75), (59, 0.75), (71, 0), (72, 0)):  # three of four seconds
        found = distances(apart, [held, Note(1, pitch, 4, 64)], seconds=(4, 4))
        assert found.clashes == clashes
