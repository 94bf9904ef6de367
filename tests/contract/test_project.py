"""The project's promises about itself: documented flags and targets, no addresses in locks, safe weights."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("rename", "to_wav", "transcribe", "preprocess", "train", "generate", "render")
FRAMEWORKS = {"tensorflow", "keras", "numpy", "pretty_midi", "midirenderer", "imageio_ffmpeg"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_flag_of_a_stage_is_documented(stage):
    section = (ROOT / "docs" / "stages.md").read_text().split(f"\n## {stage}\n")[1].split("\n## ")[0]
    parser = importlib.import_module(f"stages.{stage}").build_parser()
    flags = [flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")]
    assert [flag for flag in flags if f"`{flag}" not in section] == []


@pytest.mark.parametrize("stage", STAGES)
def test_help_answers_without_loading_anything_heavy(stage):
    code = (
        "import runpy, sys, contextlib, io\n"
        f"sys.argv = ['{stage}', '--help']\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        f"    runpy.run_module('stages.{stage}', run_name='__main__')\n"
        "assert 'usage' in out.getvalue()\n"
        "print(' '.join(m for m in sys.modules if '.' not in m))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert FRAMEWORKS & set(done.stdout.split()) == set()


@pytest.mark.parametrize("stage", [*STAGES, "regenerate"])
def test_usage_says_how_a_stage_is_called(stage):
    parser = importlib.import_module(f"stages.{stage}").build_parser()
    assert parser.format_usage().startswith(f"usage: python3 -m stages.{stage} ")


@pytest.mark.parametrize("stage", STAGES)
def test_unknown_flag_is_wrong_usage(stage):
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--no_such_flag"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_make_target_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"\.PHONY: (.*)", makefile).group(1).split())
    described = {
        name for names in re.findall(r"^([a-z0-9 -]+):.*## ", makefile, re.MULTILINE) for name in names.split()
    }
    assert targets == described


def test_locks_hold_hashes_and_no_addresses():
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert len(locks) == 8
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        pins = re.findall(r"^[a-z0-9_.-]+==", text, re.MULTILINE)
        assert pins
        assert text.count("--hash=sha256:") >= len(pins)


def test_every_image_has_a_lock_and_a_dependency_group_of_its_name():
    pyproject = (ROOT / "pyproject.toml").read_text()
    for dockerfile in (ROOT / "dockerfiles").glob("*.Dockerfile"):
        image = dockerfile.name.removesuffix(".Dockerfile")
        assert (ROOT / "requirements" / f"{image}.lock").is_file()
        assert re.search(rf"^{image} = \[", pyproject, re.MULTILINE)


def test_shipped_models_are_small_and_explain_themselves():
    models = sorted(path.parent for path in (ROOT / "trained-models").glob("*/config.json"))
    names = ["ambient-music-transformer", "music-transformer", "onsets-and-frames"]
    assert [model.name for model in models] == names
    for model in models:
        index = {"training-notes.npz"} if model.name.endswith("music-transformer") else set()
        assert {path.name for path in model.iterdir()} == {
            "README.md",
            "config.json",
            "training.json",
            "weights.safetensors",
            *index,
        }
        assert "CC BY-SA" in (model / "README.md").read_text()
    size_bytes = sum(path.stat().st_size for path in (ROOT / "trained-models").rglob("*") if path.is_file())
    assert size_bytes < 40e6


def test_commands_of_the_manual_for_models_are_parsed_by_their_script():
    manual = (ROOT / "docs" / "models.md").read_text().replace("\\\n", "")
    commands = re.findall(r"^python3 (scripts/train_onsets_and_frames\.py .*)$", manual, re.M)
    assert len(commands) == 4
    for command in commands:
        script, *words = shlex.split(command)
        spec = importlib.util.spec_from_file_location("script", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.build_parser().parse_args(words)  # wrong words would end the test with exit code 2
