"""The Dockerfiles, read without an engine: what they copy is there and sent to the builder, and all is pinned."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGES = ("audio", "generate", "music-transformer", "onsets-and-frames")
NOT_IN_IMAGES = ("src/ambient/deployment", "src/ambient/studio")


def instructions(image):
    """Return the instructions of a Dockerfile, one string each, with its build arguments filled in."""
    text = (ROOT / "dockerfiles" / f"{image}.Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE))
    return [re.sub(r"\$\{(\w+)\}", lambda m: defaults[m[1]], line.strip()) for line in lines if line.strip()]


def last_stage(image):
    """Return the instructions that the image itself is made of."""
    found = instructions(image)
    return found[max(i for i, line in enumerate(found) if line.startswith("FROM ")) :]


def copied(image):
    """Return what is copied from the checkout."""
    copies = [line.split()[1:-1] for line in instructions(image) if line.startswith("COPY ")]
    return [source for sources in copies if not sources[0].startswith("--from") for source in sources]


def is_sent(path):
    """Tell whether .dockerignore lets a path through; the last pattern that fits it or a folder above it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().lstrip("!")
        if not pattern or pattern.startswith("#"):
            continue
        above = [path, *(parent.as_posix() for parent in Path(path).parents)][:-1]
        anywhere = pattern.removeprefix("**/")
        if any(
            fnmatch(each, pattern) or (anywhere != pattern and fnmatch(Path(each).name, anywhere)) for each in above
        ):
            sent = line.startswith("!")
    return sent


def test_there_is_one_dockerfile_an_image():
    assert {path.name for path in (ROOT / "dockerfiles").iterdir()} == {f"{image}.Dockerfile" for image in IMAGES}


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_copied_is_there_and_sent_to_the_builder(image):
    sources = copied(image)
    assert {f"requirements/{image}.lock", "src/ambient", "stages"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        for path in (ROOT / source, *(ROOT / source).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            assert "__pycache__" in path.parts or name.startswith(NOT_IN_IMAGES) or is_sent(name), path


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml",
        ".git/config",
        ".localpach/x",
        "src/localpach/cli.py",
        "samples/midi/1.mid",
        "a/b.lock",
        *(f"{folder}/x.py" for folder in NOT_IN_IMAGES),
    ],
)
def test_nothing_else_is_sent_to_the_builder(path):
    assert not is_sent(path)


@pytest.mark.parametrize(("word", "package"), [("studio", "ambient.studio"), ("deploy", "ambient.deployment")])
def test_a_program_that_is_not_in_the_images_is_one_clear_line_there(tmp_path, word, package):
    for path in (ROOT / "src" / "ambient").rglob("*.py"):
        name = path.relative_to(ROOT)
        if is_sent(name.as_posix()):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "ambient", word],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"error: {package}: not installed; expected it, for `ambient {word}`\. The images carry the stages alone: "
        r"run pip install 'ambient-music-generation\[.+\]' outside of them, or use a checkout\n",
        done.stderr,
    )


def test_caches_are_not_sent_to_the_builder():
    assert is_sent("stages/train.py")
    assert not is_sent("stages/__pycache__/train.cpython-311.pyc")
    assert not is_sent("src/ambient/music_transformer/__pycache__/x.pyc")


def test_all_images_stand_on_one_pinned_base():
    bases = {line.split()[1] for image in IMAGES for line in instructions(image) if line.startswith("FROM ")}
    (base,) = bases - {"scratch"}
    assert re.fullmatch(r"python:3\.\d+-slim", base)


@pytest.mark.parametrize("image", IMAGES)
def test_packages_are_those_of_the_lock_and_come_before_the_code(image):
    (install,) = [line for line in instructions(image) if "pip" in line]
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:", "-r requirements.lock"):
        assert flag in install
    own = last_stage(image)
    assert own.index("COPY --from=packages /opt/venv /opt/venv") < min(
        i for i, line in enumerate(own) if re.match("COPY [^-]", line)
    )


def test_the_audio_image_carries_a_soundfont_with_its_licence_and_of_a_pinned_content():
    (copy,) = [line for line in last_stage("audio") if line.startswith("COPY --from=soundfont ")]
    *sources, folder = copy.split()[2:]
    assert [Path(source).name for source in sources] == ["FluidR3_GM.sf2", "copyright"]
    (environment,) = [line for line in last_stage("audio") if line.startswith("ENV ")]
    assert f"AMBIENT_SOUNDFONT={folder}FluidR3_GM.sf2" in environment.split()
    assert any(
        re.search(rf"[0-9a-f]{{64}}  {sources[0]}\" +\| sha256sum --check$", line) for line in instructions("audio")
    )


@pytest.mark.parametrize("image", IMAGES)
def test_no_tool_for_building_is_used_where_it_would_stay(image):
    assert not [line for line in last_stage(image) if re.search(r"\b(apt|apt-get|pip|gcc|curl|git)\b", line)]


@pytest.mark.parametrize("image", IMAGES)
def test_programs_run_as_a_user_that_kubernetes_knows_not_to_be_root(image):
    own = last_stage(image)
    assert own[-1] == "USER 1000"
    assert any(re.match("RUN useradd .*--uid 1000 ", line) for line in own)


@pytest.mark.parametrize("image", IMAGES)
def test_labels_say_what_it_is(image):
    (label,) = [line for line in last_stage(image) if line.startswith("LABEL ")]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', label))
    assert labels == {
        "title": f"{PROJECT['name']} {image}",
        "version": PROJECT["version"],
        "licenses": PROJECT["license"],
    }


def test_only_the_image_that_trains_asks_for_tensorflow():
    groups = PROJECT["optional-dependencies"]
    asked = {image for image in IMAGES if any(re.match("tensorflow|keras", word) for word in groups[image])}
    assert asked == {"music-transformer"}
    assert [word for image in IMAGES for word in groups[image] if "music-transformer" in word] == []


def test_build_argument_chooses_the_lock_with_cuda():
    text = (ROOT / "dockerfiles" / "music-transformer.Dockerfile").read_text()
    assert "COPY requirements/${GROUP}.lock requirements.lock" in text
    assert re.search("^tensorflow==", (ROOT / "requirements" / "gpu.lock").read_text(), re.MULTILINE)


@pytest.fixture
def build(tmp_path):
    """Run scripts/build_images.sh with a stand-in for docker; return what it was asked to build."""

    def run(**variables):
        engine = tmp_path / "docker"
        engine.write_text(f'#!/bin/sh\nif [ "$1" != version ]; then echo "$@" >> {tmp_path}/calls; fi\n')
        engine.chmod(0o755)
        return subprocess.run(
            [ROOT / "scripts" / "build_images.sh"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", **variables},
            capture_output=True,
            text=True,
        )

    return run


def test_script_builds_exactly_the_images_that_the_specs_name(build, tmp_path):
    assert build(GPU="1").returncode == 0
    built = {call.split()[call.split().index("--tag") + 1] for call in (tmp_path / "calls").read_text().splitlines()}
    named = {json.loads(path.read_text())["transform"]["image"] for path in (ROOT / "pipelines").glob("*.json")}
    assert built == named


def test_prefix_tag_and_images_can_be_chosen(build, tmp_path):
    assert build(IMAGE_PREFIX="registry.example.com/me", IMAGE_TAG="0.2.0", IMAGES="audio").returncode == 0
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call == "build --tag registry.example.com/me/audio:0.2.0 --file dockerfiles/audio.Dockerfile ."


@pytest.mark.parametrize("variable", ["ENGINE", "LOCALPACH_ENGINE"])
def test_script_without_an_engine_says_so_in_one_line(build, variable):
    done = build(**{variable: "no-such-engine"})
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: no-such-engine cannot be used; .*\n", done.stderr)


def test_engine_and_base_image_can_be_chosen(build, tmp_path):
    engine = tmp_path / "mine"
    engine.write_text(f'#!/bin/sh\nif [ "$1" != version ]; then echo "mine: $@" >> {tmp_path}/calls; fi\n')
    engine.chmod(0o755)
    assert build(ENGINE="mine", BASE_IMAGE="registry.example.com/python:3.11", IMAGES="audio").returncode == 0
    tag = f"ambient-music-generation/audio:{PROJECT['version']}"
    assert (tmp_path / "calls").read_text() == (
        f"mine: build --tag {tag} --file dockerfiles/audio.Dockerfile "
        "--build-arg BASE=registry.example.com/python:3.11 .\n"
    )
