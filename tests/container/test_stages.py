"""Each stage passes its contract inside its own image, with the packages and the user that the image has.

The image holds neither tests nor samples: these are mounted. So are pytest, what it needs, and a second opinion on
MIDI, which are plain Python, from the environment that runs this file.
"""

import importlib.metadata
import re
import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
STAGES = ("rename", "to_wav", "transcribe", "preprocess", "train", "generate", "render")
TOOLS = ("pytest", "pytest-timeout", "pluggy", "iniconfig", "packaging", "pygments", "mido")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what the tests need and images do not have."""
    folder = tmp_path_factory.mktemp("site")
    for name in TOOLS:
        for file in importlib.metadata.files(name):
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_stage_keeps_its_contract_in_its_image(stage, images, site):
    done = images.run(
        images.of[stage],
        *("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"/app/tests/contract/test_{stage}.py"),
        mounts={**{f"/app/{name}": ROOT / name for name in ("tests", "samples", "pyproject.toml")}, "/site": site},
        flags=["--env", "PYTHONPATH=/app:/app/src:/site", "--workdir", "/app"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout
