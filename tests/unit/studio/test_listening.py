import numpy as np
import pytest

from ambient.audio import write_wav
from ambient.errors import InputError
from ambient.studio.services.listening import RATE_HZ, listen, short_term_lufs


def sine(seconds, *, amplitude=1.0, hertz=997.0):
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)
    return wave.astype(np.float32)


def test_full_sine_of_997_hz_in_one_channel_measures_minus_3_lufs(tmp_path):
    left = sine(5.0, amplitude=0.999)
    write_wav(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], axis=1), rate_hz=RATE_HZ)
    found = listen(tmp_path / "a.wav")
    assert found["lufs"] == pytest.approx(-3.0, abs=0.05)  # BS.1770-5: -3.01
    assert found["peak_db"] == pytest.approx(0.0, abs=0.1)
    assert found["seconds"] == pytest.approx(5.0, abs=0.01)
    assert found["short_term"][5] == pytest.approx(-3.0, abs=0.1)


def test_short_term_is_the_mean_of_three_seconds():
    energies = np.concatenate([np.zeros(50), np.ones(50)])
    curve = short_term_lufs(energies)
    assert len(curve) == 20
    assert curve[5] == pytest.approx(-70.0)  # 1 to 4 s: silence
    assert curve[10] == pytest.approx(-0.691 - 3.01, abs=0.01)  # 3.5 to 6.5 s: half of it sounds
    assert curve[15] == pytest.approx(-0.691)


def test_spectrum_has_the_sine_where_it_is(tmp_path):
    write_wav(tmp_path / "a.wav", np.stack([sine(3.0)] * 2, axis=1), rate_hz=RATE_HZ)
    found = listen(tmp_path / "a.wav")
    column = found["spectrum"][5]
    loudest = max(range(len(column)), key=lambda row: int(column[row], 16))
    hertz = found["lowest_hz"] * (found["highest_hz"] / found["lowest_hz"]) ** ((loudest + 0.5) / len(column))
    assert hertz == pytest.approx(997, rel=0.1)
    assert column[0] == "0"


def test_silence_has_no_loudness(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros((RATE_HZ, 2), np.float32), rate_hz=RATE_HZ)
    found = listen(tmp_path / "a.wav")
    assert (found["lufs"], found["peak_db"]) == (None, None)


def test_what_is_no_sound_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_text("no sound")
    with pytest.raises(InputError):
        listen(tmp_path / "a.mp3")
