"""The story this project tells: songs in, new music out, and only what changed is done again.

The shipped specs run through localpach with one change that makes them quick: one short training, short pieces.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ambient.audio import decode_to_wav, write_mp3
from ambient.midi import read_midi
from ambient.notes import Note
from ambient.sound.soundfont import SAMPLE_RATE_HZ, find_soundfont, render_notes

ROOT = Path(__file__).resolve().parents[2]
SPECS = {
    "audio-processed": "audio-processed",
    "mp3-to-wav": "audio-processed-wav",
    "midi": "midi",
    "transformer-preprocess": "transformer-preprocess",
    "music-transformer-cpu": "music-transformer",
    "generated-music": "generated-music",
    "rendered-music": "rendered-music",
}
PER_SONG = ("audio-processed-wav", "midi", "transformer-preprocess")
QUICK = {"stages.train": ["--epochs", "1", "--max_seq", "128"], "stages.generate": ["--length", "160"]}


class Localpach:
    """localpach in a scratch folder, by its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "LOCALPACH_STATE": str(folder / "state")}

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "localpach", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Return the JSON documents that a listing prints, one after another."""
        found, text = [], self(*words, "--raw", "-o", "json").strip()
        while text:
            document, end = json.JSONDecoder().raw_decode(text)
            found.append(document)
            text = text[end:].lstrip()
        return found

    def files(self, repo: str) -> dict[str, bytes]:
        """Return what the head of a repo holds, by name."""
        target = self.folder / "out" / f"{repo}-{len(list((self.folder / 'out').glob('*')))}"
        target.mkdir(parents=True)
        self("get", "file", "-r", f"{repo}@master:/", "-o", str(target))
        return {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}


@dataclass
class Chapter:
    """What a change led to: the newest job of each pipeline, its datums, and the files at the heads."""

    jobs: dict[str, dict[str, Any]]
    states: dict[str, dict[str, str]]
    reasons: dict[str, str]
    files: dict[str, dict[str, bytes]]
    said: str


@pytest.fixture(scope="module")
def localpach(tmp_path_factory):
    return Localpach(tmp_path_factory.mktemp("chain"))


def chapter(localpach, said):
    jobs, states, reasons, files = {}, {}, {}, {}
    for name in SPECS.values():
        jobs[name] = localpach.rows("list", "job", "-p", name)[0]
        datums = localpach.rows("why", f"{name}@{jobs[name]['job']['id']}")
        states[name] = {" × ".join(datum["files"]): datum["state"] for datum in datums}
        reasons |= {" × ".join(datum["files"]): datum["reason"] for datum in datums if datum["reason"]}
        files[name] = localpach.files(name)
    return Chapter(jobs, states, reasons, files, said)


def play_song(path, pitches):
    """Write half a minute of slow piano as MP3."""
    notes = [Note(0.6 * i, pitches[i % len(pitches)], 0.6 * i + 1.1, 70 + i % 5 * 5) for i in range(45)]
    sound = render_notes(notes, find_soundfont(), program=0)
    write_mp3(path, sound, rate_hz=SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    play_song(folder / "Slow Rain.mp3", [60, 64, 67, 72, 71])
    play_song(folder / "harbour.mp3", [57, 60, 64, 69, 64])
    (folder / "broken.mp3").write_bytes(b"this is no music" * 40)
    return folder


@pytest.fixture(scope="module")
def seventh(tmp_path_factory):
    path = tmp_path_factory.mktemp("seventh") / "seventh.mp3"
    play_song(path, [62, 65, 69, 74, 67])
    return path


@pytest.fixture(scope="module")
def first(localpach, songs, tmp_path_factory):
    """Repos, songs, primers, pipelines: a fresh run."""
    for repo in ("audio-unprocessed", "seeds"):
        localpach("create", "repo", repo)
    localpach("put", "file", "-r", "audio-unprocessed@master:/", "-f", str(songs))
    primers = [word for name in ("1.mid", "2.mid") for word in ("-f", str(ROOT / "samples" / "midi" / name))]
    localpach("put", "file", "seeds@master:/", *primers)
    specs = tmp_path_factory.mktemp("specs")
    words = []
    for name in SPECS:
        spec = json.loads((ROOT / "pipelines" / f"{name}.json").read_text())
        spec["transform"]["cmd"] += QUICK.get(spec["transform"]["cmd"][2], [])
        (specs / f"{name}.json").write_text(json.dumps(spec))
        words += ["-f", str(specs / f"{name}.json")]
    return chapter(localpach, localpach("create", "pipeline", *words))


@pytest.fixture(scope="module")
def again(localpach, first, songs):
    """The same songs are put once more."""
    return chapter(localpach, localpach("put", "file", "-r", "audio-unprocessed@master:/", "-f", str(songs)))


@pytest.fixture(scope="module")
def added(localpach, again, seventh):
    """One more song."""
    return chapter(localpach, localpach("put", "file", "audio-unprocessed@master:seventh.mp3", "-f", str(seventh)))


@pytest.fixture(scope="module")
def deleted(localpach, added):
    """The added song is deleted."""
    return chapter(localpach, localpach("delete", "file", "audio-unprocessed@master:seventh.mp3"))


def test_every_job_of_a_fresh_run_succeeds(first):
    assert {name: job["state"] for name, job in first.jobs.items()} == dict.fromkeys(SPECS.values(), "JOB_SUCCESS")


def test_a_playable_piece_is_rendered_for_each_primer(first, tmp_path):
    assert sorted(first.files["rendered-music"]) == ["1.mp3", "1.png", "2.mp3", "2.png"]
    for name in ("1.mp3", "2.mp3"):
        content = first.files["rendered-music"][name]
        (tmp_path / name).write_bytes(content)
        decoded = decode_to_wav(tmp_path / name, tmp_path / "played.wav")
        assert decoded.seconds > 2
        assert decoded.complaint == ""


def test_generated_pieces_are_midi_with_notes(first, tmp_path):
    assert sorted(first.files["generated-music"]) == ["1.mid", "2.mid"]
    for name, content in first.files["generated-music"].items():
        (tmp_path / name).write_bytes(content)
        assert read_midi(tmp_path / name).notes


def test_transcription_finds_the_pitches_that_were_played(first, tmp_path):
    (tmp_path / "a.mid").write_bytes(first.files["midi"]["slow-rain.mid"])
    heard = [note.pitch for note in read_midi(tmp_path / "a.mid").notes]
    assert len(heard) >= 20
    assert sum(pitch in (60, 64, 67, 72, 71) for pitch in heard) >= 0.8 * len(heard)


def test_songs_keep_readable_names_through_the_chain(first):
    assert sorted(first.files["audio-processed-wav"]) == ["harbour.wav", "slow-rain.wav"]
    assert sorted(first.files["midi"]) == ["harbour.mid", "slow-rain.mid"]
    assert {"harbour.tfrecord", "slow-rain.tfrecord"} <= first.files["transformer-preprocess"].keys()


def test_a_song_that_cannot_be_read_is_left_out_and_named(first):
    assert first.states["audio-processed-wav"]["/broken.mp3"] == "recovered"
    assert "broken.mp3" in first.reasons["/broken.mp3"]
    assert first.jobs["audio-processed-wav"]["data_recovered"] == "1"


def test_the_reason_is_in_the_logs(localpach, first):
    assert "broken.mp3" in localpach("logs", "-p", "audio-processed-wav")


def test_putting_the_same_songs_again_processes_nothing(first, again):
    for name in SPECS.values():
        assert "data_processed" not in again.jobs[name], name
        assert again.files[name] == first.files[name]


def test_an_added_song_is_the_only_one_converted_transcribed_and_preprocessed(added):
    for name in PER_SONG:
        ran = [label for label, state in added.states[name].items() if state == "success"]
        assert [label.rsplit(".", 1)[0] for label in ran] == ["/seventh"], name
        assert added.jobs[name]["data_skipped"] == "2"


def test_training_generation_and_rendering_follow_an_added_song(again, added):
    for name, count in (("music-transformer", 1), ("generated-music", 2), ("rendered-music", 2)):
        assert added.jobs[name]["data_processed"] == str(count)
        assert added.jobs[name]["state"] == "JOB_SUCCESS"
    trained = json.loads(added.files["music-transformer"]["training.json"])
    assert trained != json.loads(again.files["music-transformer"]["training.json"])


def test_the_output_names_what_ran_and_what_was_skipped(added):
    assert "/seventh.mp3" in added.said
    assert "skipped" in added.said


def test_deleting_the_song_removes_its_files_from_the_heads(deleted):
    for name in ("audio-processed", *PER_SONG):
        assert not [file for file in deleted.files[name] if "seventh" in file], name
        assert "data_failed" not in deleted.jobs[name]


def test_deleting_the_song_restores_what_was_there_before(again, deleted):
    for name in ("audio-processed", *PER_SONG):
        assert deleted.files[name] == again.files[name]
    for name in ("music-transformer", "generated-music", "rendered-music"):
        assert int(deleted.jobs[name]["data_processed"]) >= 1
        assert deleted.files[name].keys() == again.files[name].keys()


def test_bytes_are_stored_once(localpach, first):
    names = localpach.rows("list", "file", "audio-processed@master:/")
    assert {Path(row["file"]["path"]).name for row in names} == {"broken.mp3", "harbour.mp3", "slow-rain.mp3"}
    stored = [p for p in (localpach.folder / "state" / "objects").rglob("*") if p.is_file()]
    assert len({p.read_bytes() for p in stored}) == len(stored)
