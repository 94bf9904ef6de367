import numpy as np
import pytest

from ambient.errors import InputError
from ambient.notes import Note
from ambient.sound.soundfont import SAMPLE_RATE_HZ, find_soundfont, render_midi_bytes, render_notes
from ambient.sound.voices import held_notes

CHORD = [Note(0.0, 48, 1.0, 70), Note(0.0, 60, 1.0, 70), Note(0.0, 64, 1.0, 70)]


def test_bundled_soundfont_is_found_without_a_system_library(monkeypatch):
    monkeypatch.delenv("AMBIENT_SOUNDFONT", raising=False)
    assert find_soundfont().name == "TimGM6mb.sf2"


def test_given_soundfont_comes_before_the_environment(monkeypatch, tmp_path):
    given, other = tmp_path / "given.sf2", tmp_path / "other.sf2"
    for path in (given, other):
        path.write_bytes(b"RIFF\x04\x00\x00\x00sfbk")
    monkeypatch.setenv("AMBIENT_SOUNDFONT", str(other))
    assert find_soundfont(given) == given
    assert find_soundfont() == other


@pytest.mark.parametrize(
    ("name", "content"), [("a.sf2", b"hello"), ("a.sf3", b"RIFF\x04\x00\x00\x00sfbk"), ("a.sf2", b"")]
)
def test_other_file_is_refused_as_soundfont(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="not an SF2 soundfont"):
        find_soundfont(tmp_path / name)


def test_missing_soundfont_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.sf2: No such file"):
        find_soundfont(tmp_path / "none.sf2")


def test_damaged_soundfont_is_one_error(tmp_path):
    (tmp_path / "a.sf2").write_bytes(b"RIFF\x04\x00\x00\x00sfbk")
    with pytest.raises(InputError, match=r"a\.sf2: cannot be played"):
        render_notes(CHORD, tmp_path / "a.sf2", program=0)


def test_a_soundfont_whose_samples_lie_outside_of_it_is_one_error(tmp_path, capfd):
    content = bytearray(find_soundfont().read_bytes())
    begin = content.index(b"shdr") + 8
    for at in range(begin, len(content) - 45, 46):
        content[at + 20 : at + 36] = (0x7FFFFFF0).to_bytes(4, "little") * 4
    (tmp_path / "a.sf2").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.sf2: cannot be played \(index out of bounds"):
        render_notes(CHORD, tmp_path / "a.sf2", program=0)
    assert capfd.readouterr().err == ""


def test_damaged_midi_is_one_error():
    with pytest.raises(InputError, match="cannot be played"):
        render_midi_bytes(b"no midi", find_soundfont())


@pytest.mark.parametrize("program", [0, 11, 89, 95])
def test_sound_is_stereo_not_clipped_and_the_same_again(program):
    sound = render_notes(CHORD, find_soundfont(), program=program)
    assert sound.dtype == np.float32
    assert sound.shape[1] == 2
    assert 0.01 < np.abs(sound).max() < 1.0
    assert not np.array_equal(sound[:, 0], sound[:, 1])
    assert np.array_equal(sound, render_notes(CHORD, find_soundfont(), program=program))


def test_pad_rings_out_after_the_last_note():
    sound = render_notes(CHORD, find_soundfont(), program=89)
    assert len(sound) > 3 * SAMPLE_RATE_HZ
    assert np.abs(sound[int(1.1 * SAMPLE_RATE_HZ) :]).max() > 0.01
    assert np.abs(sound[-100:]).max() < 1e-3


def test_no_notes_are_no_samples():
    assert render_notes([], find_soundfont(), program=0).shape == (0, 2)


def test_held_notes_make_a_pad_audible():
    short = [Note(float(beat), 60, beat + 0.1, 64) for beat in range(4)]
    dry, held = (render_notes(n, find_soundfont(), program=89) for n in (short, held_notes(short, 1.0)))
    assert np.mean(held**2) > 10 * np.mean(dry**2)
