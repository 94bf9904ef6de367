"""The wheel: what it carries, and that it works where no checkout is. It is built without network."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest

from ambient.midi import read_midi

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
DIST_INFO = f"ambient_music_generation-{VERSION}.dist-info"
SOURCES = ("src", "stages", "pipelines", "samples", "trained-models", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, so that nothing of an earlier build and no build folder is left here."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "generated")
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, copy)
    target = tmp_path_factory.mktemp("dist")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target), "."]
    done = subprocess.run([sys.executable, "-m", "pip", *words], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def files(wheel):
    """What the wheel carries: path to content."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Run a module of the wheel in an empty folder; no checkout is on its path but for what pip installed editable."""
    place, folder = tmp_path_factory.mktemp("site-packages"), tmp_path_factory.mktemp("elsewhere")
    zipfile.ZipFile(wheel).extractall(place)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PACH", "LOCALPACH"))}
    environment |= {"PYTHONPATH": str(place), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words):
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder, run.place = folder, place
    return run


def test_site_packages_get_two_names(files):
    assert {name.split("/")[0] for name in files} == {"ambient", "localpach", DIST_INFO}


def test_every_module_of_the_checkout_is_in_it(files):
    modules = {f"{path.relative_to(ROOT / 'src')}" for path in (ROOT / "src").rglob("*.py")}
    modules = {name for name in modules if not name.startswith(("stages/", "ambient/stages/"))}
    modules |= {f"ambient/stages/{path.name}" for path in (ROOT / "stages").glob("*.py")}
    assert {name for name in files if name.endswith(".py")} == modules


@pytest.mark.parametrize("folder", ["trained-models", "pipelines", "samples/midi", "samples/songs"])
def test_what_ships_is_in_it_as_it_is_here(files, folder):
    here = {f"ambient/{p.relative_to(ROOT)}": p.read_bytes() for p in (ROOT / folder).rglob("*") if p.is_file()}
    assert len(here) >= 6
    assert {name: files.get(name) for name in here} == here


def test_page_and_presets_and_marks_of_types_are_in_it(files):
    data = [*(ROOT / "src/ambient/studio/static").rglob("*.*"), *(ROOT / "src/ambient/sound/presets").iterdir()]
    assert len(data) > 20
    wanted = {path.relative_to(ROOT / "src").as_posix() for path in data}
    assert {*wanted, "ambient/py.typed", "localpach/py.typed"} - files.keys() == set()


def test_its_metadata_say_who_made_it_and_where_it_runs(files):
    text = files[f"{DIST_INFO}/METADATA"].decode()
    metadata = Parser().parsestr(text)
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Author"]
    assert metadata.get_all("Project-URL")
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    scripts = ConfigParser()
    scripts.read_string(files[f"{DIST_INFO}/entry_points.txt"].decode())
    assert dict(scripts["console_scripts"]) == {"ambient": "ambient.__main__:main", "localpach": "localpach.cli:main"}


def test_a_song_becomes_a_new_piece_where_no_checkout_is(installed):
    where = installed("-c", "import ambient.shipped as s; print(s.__file__, s.IS_CHECKOUT, s.SHIPPED_MODELS)").split()
    assert where[1] == "False"
    assert all(place.startswith(str(installed.place)) for place in (where[0], where[2]))
    (installed.folder / "songs").mkdir()
    shutil.copy(installed.place / "ambient/samples/songs/rain-on-glass.mp3", installed.folder / "songs")
    installed("-m", "ambient", "to-wav", "--input", "songs", "--output", "wav")
    installed("-m", "ambient", "transcribe", "--input", "wav", "--output", "midi")
    primer = "midi/rain-on-glass.mid"
    installed("-m", "ambient", "generate", "--inputs", primer, "--length", "24", "--save_path", "new.mid")
    installed("-m", "ambient", "render", "--input", "new.mid", "--output", "new.mp3")
    assert len(read_midi(installed.folder / primer).notes) > 50
    assert len(read_midi(installed.folder / "new.mid").notes) > 3
    assert (installed.folder / "new.mp3").stat().st_size > 10_000


def test_the_engine_runs_and_its_pipelines_name_the_installed_stages(installed):
    assert installed("-m", "localpach", "--help").startswith("usage: localpach")
    installed("-m", "ambient", "deploy", "up")
    spec = installed("-m", "localpach", "inspect", "pipeline", "midi", "--raw", "-o", "json")
    assert re.search(r'"python3",\s+"-m",\s+"ambient",\s+"transcribe"', spec)
