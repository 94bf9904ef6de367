"""A sampled piano plays each key in tune and in time, by the recording of its velocity, and damps it when released."""

import wave

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.notes import Note
from ambient.onsets_and_frames.sampled_piano import SampledPiano

RATE_HZ = 16_000


@pytest.fixture
def recordings(tmp_path):
    """Two keys at two velocities: a sine of the key after 20 ms of silence, the louder velocity with an octave."""
    folder = tmp_path / "piano"
    folder.mkdir()
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    for name, hz in (("A4", 440.0), ("C5", 523.25)):
        for layer, overtone in ((1, 0.0), (16, 0.5)):
            sound = 0.3 * (np.sin(2 * np.pi * hz * time_s) + overtone * np.sin(4 * np.pi * hz * time_s))
            write(folder / f"{name}v{layer}.wav", np.concatenate([np.zeros(320), sound]))
    write(folder / "rel49.wav", np.full(1600, 0.9))
    return folder


def write(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def level_at(sound, hz):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    middle = round(hz * len(sound) / RATE_HZ)
    return float(spectrum[middle - 3 : middle + 4].max())


def test_a_key_between_two_recordings_is_played_at_its_own_pitch(recordings):
    sound = SampledPiano(recordings).play([Note(0.0, 70, 1.0, 20)])  # A#4, 466.16 Hz
    assert level_at(sound[:RATE_HZ], 466.16) > 20 * level_at(sound[:RATE_HZ], 440.0)


def test_a_note_sounds_from_its_start_although_its_recording_begins_with_silence(recordings):
    sound = SampledPiano(recordings).play([Note(0.5, 69, 1.0, 20)])
    assert np.abs(sound[: RATE_HZ // 2]).max() == 0.0
    assert np.abs(sound[RATE_HZ // 2 : RATE_HZ // 2 + 160]).max() > 0.1  # within 10 ms


def test_the_velocity_chooses_the_recording(recordings):
    piano = SampledPiano(recordings)
    soft, loud = (piano.play([Note(0.0, 69, 1.0, velocity)])[:RATE_HZ] for velocity in (20, 125))
    assert level_at(soft, 880.0) < 0.02 * level_at(soft, 440.0)
    assert level_at(loud, 880.0) == pytest.approx(0.5 * level_at(loud, 440.0), rel=0.05)


def test_released_a_string_is_damped_and_the_key_is_heard(recordings):
    sound = SampledPiano(recordings).play([Note(0.0, 69, 1.0, 20)])
    assert np.abs(sound[RATE_HZ + 12_800 :]).max(initial=0.0) == 0.0  # after 0.8 s
    assert sound[RATE_HZ + 160 : RATE_HZ + 800].mean() > 0.005  # the noise of the key stands above 0


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(InputError, match="no recording of a key"):
        SampledPiano(tmp_path)
