"""What lies in the images: models and programs of the chain, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.container
ROOT = Path(__file__).resolve().parents[2]


def test_ffmpeg_is_on_the_path_of_the_audio_image(images):
    done = images.run(images.of["render"], "ffmpeg", "-hide_banner", "-version")
    assert done.returncode == 0
    assert done.stdout.startswith("ffmpeg version")


def test_the_audio_image_plays_a_better_soundfont_and_carries_its_licence(images):
    script = (
        "from ambient.sound.soundfont import find_soundfont\n"
        "path = find_soundfont()\n"
        "print(path, 'MIT' in path.with_name('copyright').read_text())\n"
    )
    done = images.run(images.of["render"], "python3", "-c", script)
    assert (done.returncode, done.stdout) == (0, "/opt/soundfont/FluidR3_GM.sf2 True\n"), done.stderr


@pytest.mark.parametrize("stage", ["render", "transcribe", "train", "generate"])
def test_image_holds_nothing_that_builds_or_tests(stage, images):
    script = (
        "import importlib.util, shutil\n"
        "tools = [each for each in ('gcc', 'cc', 'make', 'git', 'strip', 'curl') if shutil.which(each)]\n"
        "names = ('pip', 'pytest', 'localpach', 'ruff', 'mypy')\n"
        "print(*tools, *(each for each in names if importlib.util.find_spec(each)))\n"
    )
    done = images.run(images.of[stage], "python3", "-c", script)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


@pytest.mark.parametrize("stage", ["render", "transcribe", "train", "generate"])
def test_models_in_an_image_are_those_of_the_checkout(stage, images):
    script = (
        "import hashlib, pathlib\n"
        "for path in sorted(pathlib.Path('trained-models').rglob('*')):\n"
        "    if path.is_file(): print(path, hashlib.sha256(path.read_bytes()).hexdigest())\n"
    )
    names = {"render": [], "transcribe": ["onsets-and-frames"]}.get(stage, ["music-transformer"])
    here = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [line for line in here.stdout.splitlines() if line.split("/")[1] in names]
    assert images.run(images.of[stage], "python3", "-c", script).stdout.splitlines() == expected


@pytest.mark.parametrize("stage", ["render", "transcribe", "train", "generate"])
@pytest.mark.parametrize("word", ["studio", "deploy"])
def test_a_program_that_is_not_in_an_image_is_one_clear_line(stage, word, images):
    done = images.run(images.of[stage], "python3", "-m", "ambient", word)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: ambient.{word}")


@pytest.mark.parametrize(("program", "words"), [("stages.render", []), ("ambient", ["render"])])
def test_a_stage_in_the_image_of_another_names_the_library_that_is_missing(program, words, images, data):
    shutil.copy(ROOT / "samples" / "midi" / "1.mid", data)
    command = ["python3", "-m", program, *words, "--input", "/data/1.mid", "--output", "/data/1.mp3"]
    done = images.run(images.of["generate"], *command, mounts={"/data": data})
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if "error: " in line]
    assert re.fullmatch(r"error: \w+: not installed; expected it, for .*", line)
