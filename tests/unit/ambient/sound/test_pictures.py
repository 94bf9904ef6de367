import numpy as np

from ambient.notes import Note
from ambient.sound.pictures import write_picture
from ambient.sound.spectrogram import Spectrogram


def test_a_tone_stands_in_its_row_in_whatever_blocks_it_comes():
    rate_hz, seconds = 48_000, 4
    wave = np.sin(2 * np.pi * 1_000 * np.arange(rate_hz * seconds) / rate_hz).astype(np.float32)
    pictures = []
    for block in (16_384, 5_000):
        spectrogram = Spectrogram(rate_hz, seconds)
        for at in range(0, len(wave), block):
            spectrogram(np.stack([wave[at : at + block]] * 2), at)
        pictures.append(spectrogram.picture())
    # 180 rows from 30 Hz to 16 kHz in equal ratios: 1 kHz is log(1000 / 30) / log(16000 / 30) of the way.
    expected = 179 * np.log(1_000 / 30) / np.log(16_000 / 30)
    assert abs(np.argmax(pictures[0].mean(axis=1)) - expected) <= 1
    np.testing.assert_allclose(pictures[0], pictures[1], atol=0.5)


def test_silence_is_a_dark_picture(tmp_path):
    assert (Spectrogram(48_000, 1.0).picture() == -70.0).all()
    write_picture(
        tmp_path / "a.png",
        title="a",
        notes=[Note(0.0, 60, 1.0, 64)],
        seconds=1.0,
        spectrogram=Spectrogram(48_000, 1.0).picture(),
        rate_hz=48_000,
    )
    assert (tmp_path / "a.png").read_bytes()[12:24] == b"IHDR" + (1200).to_bytes(4, "big") + (640).to_bytes(4, "big")
