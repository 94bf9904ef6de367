import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "name-standardizer.sh"
# Records its arguments and what the folder given with -f holds, then ends as it is told.
FAKE_PACHCTL = """#!/bin/bash
echo "$*" >>"$CALLS"
for name in "${!#}"/*; do echo "$(basename "$name")=$(cat "$name")" >>"$CALLS"; done
exit ${PACHCTL_EXIT:-0}
"""


@pytest.fixture
def songs(tmp_path):
    folder = tmp_path / "My Songs"
    (folder / "Live!").mkdir(parents=True)
    (folder / "Für Elise (Take 2).MP3").write_text("one")
    (folder / "Live!" / "song.flac").write_text("two")
    (folder / "cover.jpg").write_text("three")
    return folder


@pytest.fixture
def standardize(tmp_path):
    """Run the script with a fake pachctl on PATH; returns the finished process and the calls it recorded."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pachctl").write_text(FAKE_PACHCTL)
    (programs / "pachctl").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    calls = tmp_path / "calls"

    def run(*arguments, pachctl=True, **variables):
        (programs / "pachctl").chmod(0o755 if pachctl else 0o644)
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        paths = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls), "TMPDIR": str(temporary)}
        done = subprocess.run(
            ["bash", SCRIPT, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | paths | variables,
            capture_output=True,
            text=True,
        )
        assert not list(temporary.iterdir())
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_all_recordings_go_up_in_one_call_under_safe_names(standardize, songs, contents):
    before = contents(songs)
    done, calls = standardize(songs)
    assert done.returncode == 0
    assert calls[0].startswith("put file -r audio-unprocessed@master:/ -f ")
    assert calls[1:] == ["fur-elise-take-2.mp3=one", "live-song.flac=two"]
    assert "cover.jpg: left out" in done.stderr
    assert done.stdout == "2 recordings are in audio-unprocessed@master\n"
    assert contents(songs) == before


def test_another_repo_and_branch_can_be_named(standardize, songs):
    _, calls = standardize(songs, "songs@test")
    assert calls[0].startswith("put file -r songs@test:/ -f ")


def test_failed_upload_fails_the_script(standardize, songs):
    done, _ = standardize(songs, PACHCTL_EXIT="7")
    assert done.returncode == 7
    assert "recordings are in" not in done.stdout


def test_folder_without_recordings_uploads_nothing(standardize, tmp_path):
    (tmp_path / "empty").mkdir()
    done, calls = standardize(tmp_path / "empty")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "0 recordings" in done.stderr
    assert not calls


def test_beside_a_dead_link_the_other_songs_arrive_and_the_link_is_told(standardize, songs):
    (songs / "gone.mp3").symlink_to("nowhere.mp3")
    done, calls = standardize(songs)
    assert done.returncode == 1
    assert "gone.mp3: a link to nothing" in done.stderr
    assert calls[1:] == ["fur-elise-take-2.mp3=one", "live-song.flac=two"]
    assert done.stdout == "2 recordings are in audio-unprocessed@master\n"


def test_a_folder_of_dead_links_uploads_nothing(standardize, tmp_path):
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "gone.mp3").symlink_to("nowhere.mp3")
    done, calls = standardize(tmp_path / "dead")
    assert (done.returncode, done.stderr.count("error: ")) == (1, 1)
    assert not calls


def test_missing_folder_is_one_error(standardize):
    done, calls = standardize("nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere: no such folder")
    assert not calls


@pytest.mark.parametrize(
    "arguments", [(), ("--what",), ("a", "b", "c"), (".", "no-branch"), (".", "repo@branch:/path")]
)
def test_wrong_usage_is_told_with_the_usage(standardize, arguments):
    done, calls = standardize(*arguments)
    assert done.returncode == 2
    assert "usage: name-standardizer.sh" in done.stderr
    assert not calls


def test_help_tells_the_usage(standardize):
    done, _ = standardize("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: name-standardizer.sh")


def test_localpach_is_used_where_asked(standardize, songs, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "localpach", "create", "repo", "audio-unprocessed"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        check=True,
    )
    done, calls = standardize("--localpach", songs)
    assert done.returncode == 0, done.stderr
    assert not calls
    listed = subprocess.run(
        [sys.executable, "-m", "localpach", "get", "file", "audio-unprocessed@master:/fur-elise-take-2.mp3"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout == "one"
