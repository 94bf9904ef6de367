"""Releases: the version stands in one place, the others follow, and nothing half done is tagged."""

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path, release, monkeypatch):
    """A repository with the files that name the version, and nothing to install."""
    for name in (*release.PLACES, "CHANGELOG.md"):
        for path in ROOT.glob(name):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    (tmp_path / "src" / "localpach").mkdir(parents=True)
    (tmp_path / "src" / "localpach" / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text("/dist/\n")
    shutil.copy(ROOT / "LICENSE", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.com")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.split()


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")


def test_specs_dockerfiles_and_manuals_name_the_version_of_the_project(release, capsys):
    assert release.main(["check"]) == 0, capsys.readouterr().err
    names = {name for name, _, _ in release.places(ROOT)}
    for folder, count in (("dockerfiles/", 4), ("pipelines/", 9), ("docs/", 1)):
        assert len([name for name in names if name.startswith(folder)]) == count
    assert {"pyproject.toml", "CITATION.cff", "README.md"} <= names


def test_no_other_file_names_an_image_of_a_version(release):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    known = {name for name, _, _ in release.places(ROOT)}
    found = set()
    for folder in ("docs", "scripts", "dockerfiles", "src", "stages", "pipelines", "benchmarks", ".github"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".png", ".npz"):
                text = path.read_text(encoding="utf-8", errors="replace")
                if re.search(rf"[a-z]:{re.escape(version)}\b", text):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found
    assert found - known == set()


def test_a_place_that_differs_is_named_with_its_line(release, checkout, capsys):
    spec = checkout / "pipelines" / "midi.json"
    spec.write_text(re.sub(r"frames:[0-9.]+", "frames:0.0.9", spec.read_text()))
    assert release.main(["check"], root=checkout) == 1
    line = 1 + spec.read_text().split("0.0.9")[0].count("\n")
    assert f"pipelines/midi.json:{line} says 0.0.9; expected " in capsys.readouterr().err


def test_setting_a_version_writes_it_everywhere(release, checkout):
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.1.0\n\n- First.\n")
    assert release.main(["set", "12.3.45"], root=checkout) == 0
    assert release.main(["check"], root=checkout) == 0
    assert {found for _, _, found in release.places(checkout)} == {"12.3.45"}
    assert (
        '"image": "ambient-music-generation/music-transformer:12.3.45-gpu"'
        in (checkout / "pipelines" / "music-transformer.json").read_text()
    )
    assert (checkout / "CHANGELOG.md").read_text() == "# Changelog\n\n## 12.3.45\n\n- New.\n\n## 0.1.0\n\n- First.\n"


@pytest.mark.parametrize("word", ["1.2", "v1.2.3", "1.2.3-rc1", ""])
def test_a_version_is_three_numbers(release, checkout, word):
    with pytest.raises(SystemExit, match="2"):
        release.main(["set", word], root=checkout)


def test_a_release_is_a_wheel_and_a_tag_of_the_last_commit(release, checkout):
    release.main(["set", "12.3.45"], root=checkout)
    commit(checkout)
    assert release.main(["build"], root=checkout) == 0
    assert [path.name for path in (checkout / "dist").iterdir()] == [
        "ambient_music_generation-12.3.45-py3-none-any.whl"
    ]
    assert git(checkout, "tag", "--list", "--points-at", "HEAD") == ["v12.3.45"]


def unnamed(release, folder):
    return "CHANGELOG.md: begins with '## Unreleased'; expected '## "


def uncommitted(release, folder):
    release.main(["set", "12.3.45"], root=folder)
    return "some changes are not committed"


def tagged(release, folder):
    release.main(["set", "12.3.45"], root=folder)
    commit(folder)
    git(folder, "tag", "v12.3.45")
    return "the tag v12.3.45 is there"


@pytest.mark.parametrize("state", [unnamed, uncommitted, tagged])
def test_what_is_not_ready_is_not_released(release, checkout, capsys, state):
    reason = state(release, checkout)
    before = git(checkout, "tag")
    assert release.main(["build"], root=checkout) == 1
    assert reason in capsys.readouterr().err
    assert git(checkout, "tag") == before
    assert not (checkout / "dist").exists()
