"""The 2020 README with real client calls: a song is put, the specs run on `localpach serve`, and music comes back.

As in the other story, one short training and short pieces make it quick.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from ambient.audio import decode_to_wav, write_mp3
from ambient.notes import Note
from ambient.sound.soundfont import SAMPLE_RATE_HZ, find_soundfont, render_notes

ROOT = Path(__file__).resolve().parents[2]
SPECS = ("audio-processed", "mp3-to-wav", "midi", "transformer-preprocess", "music-transformer-cpu")
MORE_SPECS = ("generated-music", "rendered-music")
QUICK = {"stages.train": ["--epochs", "1", "--max_seq", "128"], "stages.generate": ["--length", "160"]}


@pytest.fixture
def client(tmp_path):
    words = [sys.executable, "-m", "localpach", "--state", str(tmp_path / "state"), "serve", "--port", "0"]
    log = tmp_path / "server.log"
    with log.open("wb") as out, subprocess.Popen(words, cwd=tmp_path, stderr=out) as process:
        try:
            until = time.monotonic() + 60
            while not (found := re.search(r"grpc://\S+(?=;)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.05)
            yield Client.from_pachd_address(found[0])
        finally:
            process.terminate()


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "song.mp3"
    notes = [Note(0.6 * i, (60, 64, 67, 72, 71)[i % 5], 0.6 * i + 1.1, 70 + i % 5 * 5) for i in range(45)]
    write_mp3(path, render_notes(notes, find_soundfont(), program=0), rate_hz=SAMPLE_RATE_HZ)
    return path


def create_pipeline(client, name):
    spec = json.loads((ROOT / "pipelines" / f"{name}.json").read_text())
    spec["transform"]["cmd"] += QUICK.get(spec["transform"]["cmd"][2], [])
    client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))


def test_song_goes_in_and_a_piece_comes_out(client, song, tmp_path):
    for name in ("audio-unprocessed", "seeds"):
        client.pfs.create_repo(repo=pfs.Repo.from_uri(name))
    for name in (*SPECS, *MORE_SPECS):
        create_pipeline(client, name)
    with client.pfs.commit(branch=pfs.Branch.from_uri("seeds@master")) as commit:
        commit.put_file_from_bytes("/1.mid", (ROOT / "samples" / "midi" / "1.mid").read_bytes())
    with client.pfs.commit(branch=pfs.Branch.from_uri("audio-unprocessed@master")) as commit, song.open("rb") as file:
        commit.put_file_from_file(path="/song.mp3", file=file)
    jobs = {
        job.job.pipeline.name: job for job in client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id), wait=True)
    }
    assert {name: (pps.JobState(job.state).name, job.reason) for name, job in jobs.items()} == dict.fromkeys(
        [
            "audio-processed", "audio-processed-wav", "midi", "transformer-preprocess", "music-transformer",
            "generated-music", "rendered-music",
        ],
        ("JOB_SUCCESS", ""),
    )  # fmt: skip
    with client.pfs.pfs_tar_file(pfs.File.from_uri("rendered-music@master:/")) as tar:
        tar.extractall(tmp_path / "music")
    assert {path.name for path in (tmp_path / "music").iterdir()} == {"1.mp3", "1.png"}
    played = decode_to_wav(tmp_path / "music" / "1.mp3", tmp_path / "played.wav")
    assert (played.seconds > 2, played.complaint) == (True, "")
