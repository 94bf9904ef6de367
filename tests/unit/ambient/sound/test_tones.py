import numpy as np
import pytest

from ambient.notes import Note
from ambient.sound.preset import Struck, Sustained
from ambient.sound.struck import Bodies
from ambient.sound.sustained import Loops, smooth_sizes
from ambient.sound.voices import BLOCK, StruckPlayer, SustainedPlayer, fitted_pitch, register_of

RATE_HZ = 24_000


def test_sizes_have_no_prime_factor_above_five():
    assert smooth_sizes(20, 64) == [20, 24, 30, 32, 36, 40, 48, 50, 54, 60, 64]


@pytest.mark.parametrize(("pitch", "hz"), [(36, 65.406), (57, 220.0), (60, 261.626), (84, 1046.502)])
def test_a_loop_is_in_tune_within_a_cent_and_has_no_dc_and_no_seam(pitch, hz):
    loops = Loops(Sustained(bandwidth_cents=1, rolloff_db=12), rate_hz=RATE_HZ, seed=0, block=BLOCK)
    loop = loops.of(pitch)[-1]
    size = len(loop) - BLOCK
    spectrum = np.abs(np.fft.rfft(loop[:size]))
    found_hz = np.argmax(spectrum) * RATE_HZ / size
    assert abs(1200 * np.log2(found_hz / hz)) < 1.0
    assert spectrum[0] < 1e-3
    assert np.array_equal(loop[size:], loop[:BLOCK])
    assert np.sqrt(np.mean(loop[:size] ** 2)) == pytest.approx(1.0, rel=1e-3)


def test_a_steady_line_does_not_beat():
    loop = Loops(Sustained(partials=((1, 0),), bandwidth_cents=1), rate_hz=RATE_HZ, seed=0, block=BLOCK).of(60)[-1]
    levels = [np.sqrt(np.mean(loop[at : at + 2_400] ** 2)) for at in range(0, 60_000, 2_400)]
    assert max(levels) / min(levels) < 1.05


def test_a_struck_note_is_the_sum_of_its_decaying_partials():
    tone = Struck(partials=((1, 0, 1.0), (2.5, -6, 0.5)), strings_cents=(0.0,), attack_s=0.0, hammer_hz=1e6)
    bodies = Bodies(tone, rate_hz=RATE_HZ, seed=0, block=BLOCK)
    weights = bodies.weights(69, 64)
    whole = bodies.sound(69, weights, np.ones(2, np.float32), 0, BLOCK)
    later = bodies.sound(69, weights, np.ones(2, np.float32), 5_000, 1_000)
    np.testing.assert_allclose(whole[:, 5_000:6_000], later, atol=1e-5)
    # The partials die as exp(-6.9 t / decay), times 0.65 for each octave above middle C.
    first, second = (np.sqrt(np.mean(whole[0, at : at + 1_091] ** 2)) for at in (9_600, 14_400))
    assert 20 * np.log10(second / first) == pytest.approx(-60 * 0.2 / 0.65**0.75, abs=0.3)


def blocks_of(player, count):
    result = []
    for index in range(count):
        block = np.zeros((3, 2, BLOCK), np.float32)
        player.add(block, index * BLOCK)
        result.append(block)
    return np.concatenate(result, axis=2)


NOTES = [Note(0.0, 40, 1.0, 60), Note(0.3, 60, 1.2, 90), Note(0.9, 80, 1.4, 40)]


@pytest.mark.parametrize(
    ("player", "tone"),
    [
        (SustainedPlayer, Sustained(attack_s=0.1, release_s=0.3, tremolo=0.2, decay_s=1.0)),
        (StruckPlayer, Struck(release_s=0.3, knock_db=-10)),
    ],
)
def test_notes_sound_in_their_registers_begin_and_end_softly_and_are_the_same_again(player, tone):
    sound = blocks_of(player(tone, NOTES, rate_hz=RATE_HZ, seed=1), 4)
    assert np.array_equal(sound, blocks_of(player(tone, NOTES, rate_hz=RATE_HZ, seed=1), 4))
    assert not np.array_equal(sound, blocks_of(player(tone, NOTES, rate_hz=RATE_HZ, seed=2), 4))
    for register, note in enumerate(NOTES):
        begin, end = int(note.start_s * RATE_HZ), int((note.end_s + 0.3) * RATE_HZ) + 130
        own = sound[register]
        assert np.abs(own[:, begin : begin + 7_200]).max() > 0.01
        assert not own[:, : max(begin - 64, 0)].any()
        assert not own[:, end:].any()
        assert np.abs(own[:, begin : begin + 8]).max() < 0.01


def test_one_register_alone_is_what_it_is_among_the_others():
    tone = Sustained(attack_s=0.1)
    together = blocks_of(SustainedPlayer(tone, NOTES, rate_hz=RATE_HZ, seed=1), 4)
    alone = blocks_of(SustainedPlayer(tone, NOTES, rate_hz=RATE_HZ, seed=1, registers=(1,)), 4)
    assert np.array_equal(alone[1], together[1])
    assert not alone[[0, 2]].any()


@pytest.mark.parametrize(("pitch", "expected"), [(0, 48), (47, 59), (60, 60), (84, 84), (85, 73), (127, 79)])
def test_pitches_outside_the_range_are_moved_by_octaves(pitch, expected):
    assert fitted_pitch(pitch, (48, 84)) == expected


def test_registers_meet_at_c3_and_c5():
    assert [register_of(pitch) for pitch in (47, 48, 71, 72)] == [0, 1, 1, 2]


@pytest.mark.parametrize("pitch", [0, 127])
def test_notes_at_both_ends_of_the_range_and_of_ten_minutes_are_played(pitch):
    notes = [Note(0.0, pitch, 600.0, 127)]
    for player, tone in ((SustainedPlayer, Sustained()), (StruckPlayer, Struck())):
        sound = blocks_of(player(tone, notes, rate_hz=RATE_HZ, seed=0), 2)
        assert 0.001 < np.abs(sound).max() < 1.0
