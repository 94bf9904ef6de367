"""The whole chain of the shipped specs, twice: in its images without network, and as processes of this machine.

Both leave the same files with the same bytes in every repo: images and checkout have the same locked packages, and no
stage writes down when or how fast it worked. Two things are seen to. Processes take the ffmpeg of the locked package,
as the images do, for another build of it may write other bytes. And of an `.npz`, which is a ZIP archive, the members
are compared: Python's patch releases differ in what they note down about them. Weights are equal to the last bit on
the same processor with the same number of cores, which is why both run here.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import imageio_ffmpeg
import pytest

from ambient.audio import write_mp3
from ambient.notes import Note
from ambient.sound.soundfont import SAMPLE_RATE_HZ, find_soundfont, render_notes

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
SPECS = (
    "audio-processed",
    "mp3-to-wav",
    "midi",
    "transformer-preprocess",
    "music-transformer-cpu",
    "generated-music",
    "rendered-music",
)
QUICK = {"stages.train": ["--epochs", "1", "--max_seq", "64"], "stages.generate": ["--length", "96"]}


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """The shipped specs with a short training and short pieces."""
    folder = tmp_path_factory.mktemp("specs")
    for name in SPECS:
        spec = json.loads((ROOT / "pipelines" / f"{name}.json").read_text())
        spec["transform"]["cmd"] += QUICK.get(spec["transform"]["cmd"][2], [])
        (folder / f"{name}.json").write_text(json.dumps(spec))
    return [folder / f"{name}.json" for name in SPECS]


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Two songs of some twenty seconds, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("songs")
    for name, pitches in (("Slow Rain", [60, 64, 67, 72, 71]), ("harbour", [57, 60, 64, 69, 64])):
        notes = [Note(0.6 * i, pitches[i % 5], 0.6 * i + 1.1, 70 + i % 5 * 5) for i in range(30)]
        write_mp3(folder / f"{name}.mp3", render_notes(notes, find_soundfont(), program=0), rate_hz=SAMPLE_RATE_HZ)
    (folder / "broken.mp3").write_bytes(b"this is no music" * 40)
    return folder


@pytest.fixture(scope="module")
def chain(tmp_path_factory, specs, songs):
    """Run all of it with an executor; return what each output repo holds and what became of each datum."""

    def run(executor):
        folder = tmp_path_factory.mktemp(executor)
        (folder / "bin").mkdir()
        (folder / "bin" / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
        environment = {
            **os.environ,
            "LOCALPACH_STATE": str(folder / "state"),
            "LOCALPACH_EXECUTOR": executor,
            "LOCALPACH_NETWORK": "none",
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }

        def localpach(*words):
            command = [sys.executable, "-m", "localpach", *map(str, words)]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout

        for repo in ("audio-unprocessed", "seeds"):
            localpach("create", "repo", repo)
        localpach("put", "file", "-r", "audio-unprocessed@master:/", "-f", songs)
        localpach("put", "file", "seeds@master:/1.mid", "-f", ROOT / "samples" / "midi" / "1.mid")
        localpach("create", "pipeline", *(word for spec in specs for word in ("-f", spec)))
        files, states = {}, {}
        for spec in specs:
            name = json.loads(spec.read_text())["pipeline"]["name"]
            localpach("get", "file", "-r", f"{name}@master:/", "-o", folder / name)
            found = sorted(path for path in (folder / name).rglob("*") if path.is_file())
            files |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
            states[name] = json.loads(localpach("list", "job", "-p", name, "--raw", "-o", "json"))
        return files, states

    return run


def members(name, content):
    """Return what counts of a file: its bytes, or those of each member of an `.npz`."""
    if not name.endswith(".npz"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def test_chain_in_its_images_gives_the_files_that_processes_give_byte_for_byte(images, chain):
    inside, jobs = chain("container")
    outside, jobs_of_processes = chain("process")
    assert {name: job["state"] for name, job in jobs.items()} == dict.fromkeys(jobs, "JOB_SUCCESS")
    assert jobs["audio-processed-wav"]["data_recovered"] == "1"  # the song that cannot be read
    assert {name: counts(job) for name, job in jobs.items()} == {n: counts(j) for n, j in jobs_of_processes.items()}
    assert {"midi/slow-rain.mid", "music-transformer/weights.safetensors", "rendered-music/1.mp3"} <= inside.keys()
    assert inside.keys() == outside.keys()
    assert [name for name in inside if members(name, inside[name]) != members(name, outside[name])] == []


def counts(job):
    """Return how many datums of a job ended how."""
    return {key: value for key, value in job.items() if key.startswith("data_")}
