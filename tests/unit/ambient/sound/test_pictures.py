import numpy as np
from PIL import Image

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


def test_whole_numbers_of_24_bits_give_the_picture_of_the_sound():
    sound = np.random.default_rng(1).normal(0, 0.1, (2, 96_000)).astype(np.float32)
    pictures = []
    for samples in (sound, np.rint(sound * (1 << 23)).astype(np.int32)):
        spectrogram = Spectrogram(48_000, 2.0)
        spectrogram(samples, 0)
        pictures.append(spectrogram.picture())
    np.testing.assert_allclose(pictures[0], pictures[1], atol=0.01)


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


def pixels(path, notes, primer=()):
    spectrogram = Spectrogram(48_000, 1.0).picture()
    write_picture(path, title="a", notes=notes, seconds=1.0, spectrogram=spectrogram, rate_hz=48_000, primer=primer)
    return np.asarray(Image.open(path).convert("RGB")) / 255  # [640, 1200, 3]


def bars(image, column):
    """Count the notes that a column of the piano roll goes through."""
    light = image[60:310, column].max(axis=1) > 0.4
    return int((light[1:] & ~light[:-1]).sum())


def test_the_primer_stands_to_the_left_of_the_piece(tmp_path):
    piece, primer = [Note(0.0, 60, 1.0, 64)], [Note(0.0, 64, 1.0, 64), Note(0.0, 67, 1.0, 64)]
    alone, together = pixels(tmp_path / "a.png", piece), pixels(tmp_path / "b.png", piece, primer)
    # Both last a second: the primer takes its most, 0.3 of the width, which is 72 to 388 of 1200.
    assert [bars(together, column) for column in (80, 370, 400, 1100)] == [2, 2, 1, 1]
    assert [bars(alone, column) for column in (80, 370, 400, 1100)] == [1, 1, 1, 1]


def test_a_harder_note_is_lighter(tmp_path):
    image = pixels(tmp_path / "a.png", [Note(0.0, 60, 1.0, 20), Note(0.0, 72, 1.0, 110)])
    roll = image[60:310, 600]  # a column through both; the upper note is the hard one
    upper, lower = roll[:125].sum(axis=1).max(), roll[125:].sum(axis=1).max()
    assert upper > 1.5 * lower
