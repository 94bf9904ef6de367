import pytest

from ambient.errors import InputError
from ambient.sound.preset import Struck, Suits, Sustained, find_preset, preset_names, read_preset

TONE = '[[tones]]\nkind = "sustained"\n'
HEAD = 'description = "d"\nbuilt = "b"\n'


def test_the_ten_instruments_are_there():
    wanted = {
        "warm pad", "glass", "deep drone", "choir", "bowed strings", "felt piano", "music box", "slow bells",
        "tape organ", "shimmer",
    }  # fmt: skip
    assert wanted <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_says_how_it_sounds_and_is_built_and_for_what(name):
    preset = find_preset(name)
    assert preset.name == name
    assert len(preset.description) > 20
    assert len(preset.built) > 20
    assert isinstance(preset.suits, Suits)


@pytest.mark.parametrize("name", ["warm pad", "warm-pad", "Warm_Pad "])
def test_a_preset_is_found_however_its_name_is_joined(name):
    assert find_preset(name).name == "warm pad"


def test_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"no such preset; expected 'felt piano'"):
        find_preset("felt piani")


def test_keys_become_fields_and_lists_become_tuples(tmp_path):
    (tmp_path / "a.toml").write_text(HEAD + TONE + "unison_cents = [-5, 5]\n[tape]\ndrive_db = 4\n")
    preset = read_preset(tmp_path / "a.toml")
    assert preset.name == "a"
    assert preset.tones == (Sustained(unison_cents=(-5.0, 5.0)),)
    assert preset.tape.drive_db == 4.0


def test_kinds_of_tones_are_told_apart(tmp_path):
    (tmp_path / "a.toml").write_text(HEAD + TONE + '[[tones]]\nkind = "struck"\npartials = [[1, 0, 2.5]]\n')
    assert read_preset(tmp_path / "a.toml").tones == (Sustained(), Struck(partials=((1.0, 0.0, 2.5),)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[\[tones\]\]"),
        ("tones = 3", r"no \[\[tones\]\]"),
        (HEAD + '[[tones]]\nkind = "sampler"\n', r"a tone of kind 'sampler'; expected sustained, struck, soundfont"),
        (HEAD + TONE + "atack_s = 1\n", r"'atack_s' in sustained; expected a known key such as 'attack_s'"),
        (HEAD + TONE + 'attack_s = "slow"\n', r"attack_s = 'slow' in sustained; expected a number"),
        (HEAD + TONE + "range = [60, 61]\n", r"range = \[60, 61\]; expected an octave or more"),
        (HEAD + TONE + "partials = [[1]]\n", r"expected 2 values"),
        (HEAD + TONE + "[tape]\nwidth = 3\n", r"width = 3 in tape; expected a list"),
        (TONE, "no description, built in the preset"),
        ("tones = [", "no TOML"),
    ],
)
def test_a_wrong_preset_is_one_sentence(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_preset(tmp_path / "a.toml")
