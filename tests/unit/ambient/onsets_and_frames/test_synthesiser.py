"""Oscillators play the notes that they are given: in tune, in time, no overtone folded back."""

from dataclasses import replace

import numpy as np
import pytest

from ambient.notes import Note
from ambient.onsets_and_frames.synthesiser import draw_timbre, synthesised


def play(notes, seed):
    random = np.random.default_rng(seed)
    return synthesised(notes, draw_timbre(random), random)


@pytest.mark.parametrize("seed", range(6))
def test_a_note_sounds_at_its_pitch_and_not_before_it_starts(seed):
    sound = play([Note(0.5, 69, 2.5, 90)], seed)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() == pytest.approx(1.0)
    assert np.abs(sound[:8000]).max() == 0.0
    spectrum = np.abs(np.fft.rfft(sound[8000:40_000]))
    peaks_hz = np.flatnonzero(spectrum > 0.3 * spectrum.max()) / 2.0
    nearest = np.maximum(np.round(peaks_hz / 220.0), 1) * 220.0  # an organ's lowest stop lies an octave below
    np.testing.assert_allclose(peaks_hz, nearest, rtol=0.03)  # 51 cents: detuning and vibrato


def test_an_organ_sounds_its_key_and_its_other_stops():
    registration = np.array([0.5, 1.0, 0.0, 0.7])  # 16, 8 and 4 feet
    organ = replace(
        draw_timbre(np.random.default_rng(0)), amplitudes=registration, phases=np.zeros(4), octaves_below=1,
        formants_hz=np.zeros((0, 2)), voices_cents=np.zeros(1), brightness=(0.0, 0.0), vibrato_cents=0.0, tremolo=0.0,
        grain=0.0, attack_s=0.01, partials=(),
    )  # fmt: skip
    sound = synthesised([Note(0.0, 69, 2.0, 90)], organ, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound[8000:24_000]))
    heard = spectrum[[220, 440, 660, 880]]
    assert heard / heard[1] == pytest.approx(registration, abs=0.02)


def test_some_timbres_are_organs_and_each_has_its_eight_foot_stop():
    timbres = [draw_timbre(np.random.default_rng(seed)) for seed in range(200)]
    organs = [timbre for timbre in timbres if timbre.octaves_below]
    assert 0.1 < len(organs) / len(timbres) < 0.3
    assert all(timbre.amplitudes[1] >= 0.2 for timbre in organs)
    assert any(timbre.amplitudes[0] for timbre in organs)
    assert not all(timbre.amplitudes[0] for timbre in organs)


def test_louder_notes_are_louder_and_the_highest_stay_below_half_the_rate():
    sound = play([Note(0.0, 108, 1.0, 30), Note(4.0, 108, 5.0, 120)], 2)
    soft, loud = sound[:16_000], sound[64_000:80_000]
    assert np.abs(loud).max() > 3 * np.abs(soft).max()
    spectrum = np.abs(np.fft.rfft(loud))
    assert spectrum[:3900].max() < 0.05 * spectrum.max()  # nothing below the fundamental of 4186 Hz


def test_equal_seeds_give_equal_sound_and_others_do_not():
    notes = [Note(0.0, 60, 1.0, 64), Note(0.5, 64, 1.5, 80)]
    one, two, other = (play(notes, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_no_notes_make_no_sound():
    assert len(play([], 0)) == 0
