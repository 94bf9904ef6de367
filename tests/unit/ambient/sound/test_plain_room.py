import numpy as np
import pytest

from ambient.sound.plain_room import (
    add_reverb,
    convolve,
    fade_out,
    loudness_db,
    normalise,
    room_response,
    without_silent_end,
)

RATE_HZ = 8000


@pytest.fixture
def tone():
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    wave = 0.1 * np.sin(2 * np.pi * 440 * time_s)
    return np.stack([wave, wave], axis=1).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 50, 1000, 5000])
def test_convolution_in_blocks_equals_the_direct_one(samples):
    random = np.random.default_rng(0)
    sound = random.standard_normal((samples, 2)).astype(np.float32)
    response = random.standard_normal((300, 2)).astype(np.float32)
    direct = np.stack([np.convolve(sound[:, c], response[:, c]) for c in range(2)], axis=1)
    np.testing.assert_allclose(convolve(sound, response), direct, atol=1e-4)


def test_room_is_60_db_down_after_its_time():
    response = room_response(RATE_HZ, channels=2, seed=0, room_s=2.0)
    early = np.sqrt(np.mean(np.square(response[800:1600])))  # around 0.15 s
    late = np.sqrt(np.mean(np.square(response[-800:])))  # around 1.95 s: 54 dB later for what decays slowest
    assert 20 * np.log10(late / early) == pytest.approx(-55, abs=4)


def test_room_differs_between_ears_and_with_the_seed(tone):
    response = room_response(RATE_HZ, channels=2, seed=1)
    assert abs(np.corrcoef(response.T)[0, 1]) < 0.2
    assert not np.array_equal(response, room_response(RATE_HZ, channels=2, seed=2))
    assert np.array_equal(response, room_response(RATE_HZ, channels=2, seed=1))


def test_no_reverb_leaves_the_sound_as_it_is(tone):
    dry = add_reverb(tone, rate_hz=RATE_HZ, amount=0.0)
    assert np.array_equal(dry[: len(tone)], tone)
    assert not dry[len(tone) :].any()


def test_reverb_rings_on_after_the_sound_and_is_no_louder(tone):
    wet = add_reverb(tone, rate_hz=RATE_HZ, amount=0.5)
    assert np.abs(wet[len(tone) : len(tone) + RATE_HZ // 2]).max() > 0.005
    assert loudness_db(wet[: len(tone)], rate_hz=RATE_HZ) == pytest.approx(loudness_db(tone, rate_hz=RATE_HZ), abs=2)


@pytest.mark.parametrize("amount", [0.2, 0.7])
def test_sound_and_room_share_the_power_by_the_amount(tone, amount):
    shared, room = (add_reverb(tone, rate_hz=RATE_HZ, amount=share, seed=1) for share in (amount, 1.0))
    shared[: len(tone)] -= (1.0 - amount) ** 0.5 * tone
    np.testing.assert_allclose(shared, amount**0.5 * room, atol=1e-5)


def test_loudness_of_a_tone_is_its_rms(tone):
    assert loudness_db(tone, rate_hz=RATE_HZ) == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.01)


def test_pauses_do_not_count_for_loudness(tone):
    paused = np.concatenate([tone, np.zeros_like(tone), tone])
    assert loudness_db(paused, rate_hz=RATE_HZ) == pytest.approx(loudness_db(tone, rate_hz=RATE_HZ), abs=0.01)


def test_silence_has_no_loudness_and_stays_silent():
    silence = np.zeros((RATE_HZ, 2), np.float32)
    assert loudness_db(silence, rate_hz=RATE_HZ) == -np.inf
    assert not normalise(silence, rate_hz=RATE_HZ).any()
    assert loudness_db(np.zeros((0, 2), np.float32), rate_hz=RATE_HZ) == -np.inf


def test_normalised_sound_has_the_target_loudness(tone):
    assert loudness_db(normalise(tone, rate_hz=RATE_HZ, target_db=-19), rate_hz=RATE_HZ) == pytest.approx(-19, abs=0.01)


def test_a_lonely_peak_keeps_the_sound_quieter_than_the_target(tone):
    tone[RATE_HZ] = 0.9
    loud = normalise(tone, rate_hz=RATE_HZ)
    assert np.abs(loud).max() == pytest.approx(10 ** (-1 / 20), abs=1e-4)


def test_fade_ends_in_silence_and_leaves_the_beginning(tone):
    faded = fade_out(tone.copy(), rate_hz=RATE_HZ, seconds=0.5)
    assert np.array_equal(faded[: RATE_HZ + 1], tone[: RATE_HZ + 1])
    assert np.abs(faded[-1]).max() < 1e-6


def test_fade_longer_than_the_sound_fades_all_of_it(tone):
    assert fade_out(tone[:100].copy(), rate_hz=RATE_HZ, seconds=9)[-1].max() < 1e-6


def test_silent_end_is_cut_and_a_pause_inside_stays(tone):
    sound = np.concatenate([tone, np.zeros_like(tone), tone, np.zeros_like(tone)])
    assert 3 * len(tone) <= len(without_silent_end(sound, rate_hz=RATE_HZ)) <= 3 * len(tone) + 0.4 * RATE_HZ
