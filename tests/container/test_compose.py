"""A person composes with the image alone: the command of the 2020 project as the README has it, and its failures."""

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ambient.midi import read_midi

pytestmark = pytest.mark.container
ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--inputs", "/data/samples/midi/1.mid", "--length=64", "--save_path=/data/new/1.mid")


@pytest.fixture
def checkout(data):
    """A folder with samples and trained models, as a checkout has them."""
    for folder in ("samples/midi", "trained-models/music-transformer"):
        shutil.copytree(ROOT / folder, data / folder)
    return data


def on_a_terminal(command, *, folder, engine):
    """Run a command on a terminal, the engine under docker's name and without network; return code and what it said."""
    program = folder.parent / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nshift\nexec {engine} run --rm --network none "$@"\n')
    program.chmod(0o755)
    ours, its = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    os.close(ours)
    return process.wait(), said.decode()


def test_command_of_the_original_works_as_the_readme_has_it(images, checkout):
    readme = (ROOT / "README.md").read_text().replace("\\\n", "")
    command = re.search(r"^docker run -it .*generate\.py.*$", readme, re.MULTILINE)[0]
    assert images.of["generate"] in command
    code, said = on_a_terminal(command, folder=checkout, engine=images.engine)
    assert code == 0, said
    assert len(read_midi(checkout / "generated-music" / "my-sample-song-1.mid").notes) > 50


def test_without_a_load_path_the_model_inside_the_image_serves(images, checkout):
    inside = images.run(images.of["generate"], "python", "generate.py", *SHORT, mounts={"/data": checkout})
    assert inside.returncode == 0, inside.stderr
    made = (checkout / "new" / "1.mid").read_bytes()
    (checkout / "new" / "1.mid").unlink()
    named = ("--load_path=/data/trained-models/music-transformer", *SHORT)
    assert (
        images.run(images.of["generate"], "python", "generate.py", *named, mounts={"/data": checkout}).returncode == 0
    )
    assert (checkout / "new" / "1.mid").read_bytes() == made


def test_folder_that_the_user_of_the_image_cannot_write_to_is_one_clear_line(images, checkout):
    checkout.chmod(0o555)
    done = images.run(
        *(images.of["generate"], "python", "generate.py", *SHORT), mounts={"/data": checkout}, flags=["--user", "1000"]
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: /data/new: permission denied; expected a place that can be read, or written to.")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run programs as somebody else")
def test_any_user_can_run_the_image(images, checkout):
    user = ["--user", "4321:4321"]
    done = images.run(images.of["generate"], "python", "generate.py", *SHORT, mounts={"/data": checkout}, flags=user)
    assert done.returncode == 0, done.stderr
    assert (checkout / "new" / "1.mid").stat().st_uid == 4321
