"""What tests of the images share: an engine, the names of the images, a program run in one of them."""

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from localpach.running.container import find_engine

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Images:
    """The images that the shipped specs name, and how a program is run in one.

    Attributes:
        engine: docker or podman.
        of: Stage -> image.
    """

    engine: str
    of: dict[str, str]

    def run(self, image, *command, mounts=None, flags=()):
        """Run a program in a container without network whose own files cannot be written, but for `/tmp`.

        Args:
            image: The image.
            command: The program and its arguments.
            mounts: Place in the container -> folder or file here; what does not begin with `/data` is read only.
            flags: More words for the engine.
        """
        name = f"ambient-test-{uuid.uuid4().hex[:16]}"
        words = ["run", "--rm", "--name", name, "--pull", "never", "--network", "none"]
        words += ["--security-opt", "label=disable", "--read-only", "--tmpfs", "/tmp:exec", *flags]
        for place, here in (mounts or {}).items():
            words += ["--mount", f"type=bind,source={here},target={place}{'' if place == '/data' else ',readonly'}"]
        words += ["--entrypoint", command[0], image, *command[1:]]
        try:
            return subprocess.run([self.engine, *words], capture_output=True, text=True)
        except BaseException:  # a timeout or Ctrl-C ends the engine's client alone, and the container would run on
            subprocess.run([self.engine, "kill", name], capture_output=True)
            raise


@pytest.fixture(scope="session")
def images():
    """Make sure that an engine answers and has all images."""
    engine = find_engine()
    transforms = [json.loads(path.read_text())["transform"] for path in (ROOT / "pipelines").glob("*.json")]
    of = {each["cmd"][2].removeprefix("stages."): each["image"].removesuffix("-gpu") for each in transforms}
    missing = [image for image in set(of.values()) if engine.run("image", "inspect", image).returncode]
    assert not missing, f"{engine.name} has no image {', '.join(missing)}; run `make images`"
    return Images(engine.program, of)


@pytest.fixture
def data(tmp_path):
    """A folder as a person has it, which the user of the images may write to."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chmod(folder, 0o777)
    return folder
