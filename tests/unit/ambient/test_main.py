import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from ambient import __main__ as front
from ambient import shipped
from ambient.shipped import command_here

ROOT = Path(__file__).resolve().parents[3]
WORDS = [
    "rename",
    "to-wav",
    "transcribe",
    "preprocess",
    "train",
    "generate",
    "regenerate",
    "render",
    "studio",
    "deploy",
]


@pytest.fixture
def ambient(monkeypatch, capsys):
    """Run the front command; give its exit code and what it prints."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ambient"])

    def run(*words):
        try:
            code = front.main(list(words))
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


def test_help_lists_every_command_in_the_order_of_a_songs_way(ambient):
    done = ambient("--help")
    assert done.code == 0
    assert re.findall(r"^  ([a-z-]+)  +[a-z].*$", done.out.split("\ncommands:\n")[1], re.MULTILINE) == WORDS


@pytest.mark.parametrize("word", WORDS)
def test_each_command_is_the_program_with_its_own_help(ambient, word):
    done = ambient(word, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: ambient {word} ")


def test_a_stage_may_be_named_as_its_module(ambient):
    assert ambient("to_wav", "--help").out.startswith("usage: ambient to-wav ")


@pytest.mark.parametrize("words", [[], ["compose"], ["compose", "--help"], ["--no-such-flag"]])
def test_what_is_no_command_is_wrong_usage(ambient, words):
    done = ambient(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: ambient COMMAND")


def test_exit_code_and_error_are_those_of_the_program(ambient, tmp_path):
    done = ambient("generate", "--inputs", str(tmp_path / "none.mid"), "--save_path", str(tmp_path / "out.mid"))
    assert done.code == 1
    assert done.err.startswith(f"error: {tmp_path / 'none.mid'}: ")


@pytest.mark.parametrize("word", WORDS)
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(ambient, monkeypatch, word):
    def main(words):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(import_module(front.COMMANDS[word].module), "main", main)
    done = ambient(word)
    extra = re.fullmatch(
        rf"error: numpy: not installed; expected it, for `ambient {word}`\. "
        r"Run pip install 'ambient-music-generation\[(.+)\]'\n",
        done.err,
    )[1]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert done.code == 1
    assert set(extra.split(",")) <= extras.keys()


def test_a_module_of_ours_that_is_missing_is_a_bug(ambient, monkeypatch):
    def main(words):
        raise ModuleNotFoundError("No module named 'ambient.nix'", name="ambient.nix")

    monkeypatch.setattr("ambient.stages.rename.main", main)
    with pytest.raises(ModuleNotFoundError):
        ambient("rename")


def test_commands_of_specs_name_the_stage_as_it_is_installed(monkeypatch):
    cmd = ["python3", "-m", "stages.transcribe", "--input", "/pfs/stages.wav"]
    assert command_here(cmd) == cmd  # this is a checkout
    monkeypatch.setattr(shipped, "IS_CHECKOUT", False)
    assert command_here(cmd) == ["python3", "-m", "ambient", "transcribe", "--input", "/pfs/stages.wav"]
    assert command_here(["python3", "-m", "stages.to_wav"]) == ["python3", "-m", "ambient", "to-wav"]
    for other in (["sh"], ["python3", "-m"], ["python3", "-m", "stagesque.x"], ["cp", "-r", "stages.a", "b"]):
        assert command_here(other) == other
