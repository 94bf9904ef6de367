import numpy as np
import pytest

from ambient.sound.preset import Space, Tape
from ambient.sound.space import Room, impulse_response
from ambient.sound.tape import MonoBass, MovingDelay, TapeMachine
from ambient.sound.voices import BLOCK

RATE_HZ = 24_000


def test_convolution_in_blocks_is_the_direct_one():
    space = Space(amount=1.0, reverb_s=1.5, motion=0.0, predelay_s=0.0)
    response = impulse_response(space, rate_hz=RATE_HZ, seed=2)
    sound = np.random.default_rng(0).standard_normal((2, 3 * BLOCK)).astype(np.float32)
    room = Room(space, rate_hz=RATE_HZ, seed=2)
    wet = np.concatenate([room(sound[:, at : at + BLOCK], at) for at in range(0, 3 * BLOCK, BLOCK)], axis=1)
    size = 1 << 18
    for side in range(2):
        direct = np.fft.irfft(np.fft.rfft(sound[side], size) * np.fft.rfft(response[side], size), size)
        np.testing.assert_allclose(wet[side], direct[: 3 * BLOCK], atol=2e-3)


def test_the_middle_of_the_spectrum_dies_by_60_db_in_the_time_asked_for():
    response = impulse_response(Space(reverb_s=3.0, predelay_s=0.0), rate_hz=RATE_HZ, seed=0)[0]
    levels = []
    for at in (12_000, 48_000):  # 0.5 and 2 s: 30 dB apart
        spectrum = np.abs(np.fft.rfft(response[at : at + 6_000] * np.hanning(6_000)))
        levels.append(20 * np.log10(np.sqrt(np.mean(spectrum[225:500] ** 2))))  # 900 to 2000 Hz
    assert levels[0] - levels[1] == pytest.approx(30.0, abs=3.0)


def test_a_moving_tail_is_never_twice_the_same():
    space = Space(amount=1.0, reverb_s=1.0, motion=0.8)
    clap = np.zeros((2, BLOCK), np.float32)
    clap[:, 0] = 1.0
    room = Room(space, rate_hz=RATE_HZ, seed=0)
    answers = []
    for index in range(9):
        answer = room(clap if index in (0, 6) else np.zeros_like(clap), index * BLOCK)
        answers.append(answer.copy())
    early, late = answers[0][0], answers[6][0]
    assert abs(np.corrcoef(early, late)[0, 1]) < 0.9
    assert np.sum(late**2) == pytest.approx(np.sum(early**2), rel=0.3)


def test_echo_comes_at_its_time_on_one_side_and_then_on_the_other():
    space = Space(reverb_s=0.5, echo_s=1.0, echo_db=-6.0, echo_feedback=0.5)
    response = impulse_response(space, rate_hz=RATE_HZ, seed=0)
    first, second = response[:, 24_000:24_100].sum(axis=1), response[:, 48_000:48_100].sum(axis=1)
    assert first[0] == pytest.approx(10 ** (-6 / 20), rel=0.05)
    assert first[1] < 0.5 * first[0]
    assert second[1] == pytest.approx(0.5 * first[0], rel=0.05)


def test_no_room_answers_with_silence():
    room = Room(Space(amount=0.0), rate_hz=RATE_HZ, seed=0)
    assert not room(np.ones((2, BLOCK), np.float32), 0).any()
    assert room.dry == 1.0


@pytest.mark.parametrize("amount", [0.1, 0.3, 0.8])
def test_sound_and_room_share_the_power_by_the_amount(amount):
    noise = np.random.default_rng(0).standard_normal((2, BLOCK)).astype(np.float32)

    def answered(share):
        room = Room(Space(amount=share, reverb_s=0.5, motion=0.0), rate_hz=RATE_HZ, seed=0)
        return room.dry**2, room(noise, 0)

    dry, wet = answered(amount)
    assert dry == pytest.approx(1.0 - amount, rel=1e-5)
    np.testing.assert_allclose(wet, amount**0.5 * answered(1.0)[1], rtol=1e-4, atol=1e-6)


def test_bass_is_mono_and_what_lies_above_stays_wide():
    time_s = np.arange(2 * BLOCK) / RATE_HZ
    for hz, most, least in ((50, 0.05, 0.0), (1_000, 1.1, 0.95)):
        wave = np.sin(2 * np.pi * hz * time_s).astype(np.float32)
        sound = MonoBass(RATE_HZ)(np.stack([wave, -wave]))[:, BLOCK:]
        assert least <= np.abs(sound).max() <= most


def test_moving_delay_reads_between_samples():
    line = np.arange(1_000, dtype=np.float32)
    delay = MovingDelay(64)
    sound = np.concatenate(
        [delay(np.stack([p, p]), np.full((2, 500), 10.25, np.float32)) for p in np.split(line, 2)], 1
    )
    np.testing.assert_allclose(sound[0, 100:], line[100:] - 10.25, atol=1e-3)


def test_width_zero_is_mono_and_saturation_bends_loud_sound_only():
    random = np.random.default_rng(0)
    registers = np.zeros((3, 2, BLOCK), np.float32)
    registers[0] = 0.01 * random.standard_normal((2, BLOCK))
    machine = TapeMachine(Tape(width=(0.0, 1.0, 1.0), drive_db=0.0), rate_hz=RATE_HZ, seed=0)
    sound = machine(registers.copy(), 0)
    assert np.array_equal(sound[0], sound[1])
    loud = np.zeros((3, 2, BLOCK), np.float32)
    loud[1] = 2.0
    assert TapeMachine(Tape(drive_db=6.0), rate_hz=RATE_HZ, seed=0)(loud, 0).max() < 0.51  # tanh(4) / 2 = 0.4997


def test_wow_bends_the_pitch_by_as_many_cents_as_asked_for():
    time_s = np.arange(6 * BLOCK) / RATE_HZ
    wave = np.sin(2 * np.pi * 500 * time_s).astype(np.float32)
    machine = TapeMachine(Tape(wow_cents=20.0, drive_db=-20.0), rate_hz=RATE_HZ, seed=0)
    parts = []
    for at in range(0, len(wave), BLOCK):
        registers = np.zeros((3, 2, BLOCK), np.float32)
        registers[1] = wave[at : at + BLOCK]
        parts.append(machine(registers, at)[0])
    sound = np.concatenate(parts)[2_000:]
    crossings = np.flatnonzero((sound[:-1] < 0) & (sound[1:] >= 0))
    at = crossings - sound[crossings] / (sound[crossings + 1] - sound[crossings])
    hz = RATE_HZ * 8 / (at[8:] - at[:-8])
    assert 1200 * np.log2(hz.max() / 500) == pytest.approx(20, abs=3)
    assert 1200 * np.log2(hz.min() / 500) == pytest.approx(-20, abs=3)
