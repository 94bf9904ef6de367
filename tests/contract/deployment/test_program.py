"""scripts/deploy.py as people run it: where it works, what it prints and how it ends, on a cluster and without."""

import io
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from ambient.deployment.program import build_parser, chosen_pipelines, main, where
from ambient.deployment.specs import MADE_BY
from localpach.cli import main as localpach_main
from localpach.serving.runner import Runner

ROOT = Path(__file__).resolve().parents[3]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture
def deploy(tmp_path, monkeypatch, capfd):
    """Run the program in a scratch folder, without any cluster configured."""
    for name in [name for name in os.environ if name.startswith(("PACH", "LOCALPACH", "XDG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*words, answer="", **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def localpach(*words):
    return localpach_main(list(words))


def last_line(done):
    return done.stderr.strip().splitlines()[-1]


def test_one_set_of_words_on_this_machine(deploy, tmp_path):
    assert deploy("up").returncode == 0
    done = deploy("put", ROOT / "samples" / "midi", "--repo", "seeds")
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(
        [sys.executable, "-m", "localpach", "list", "file", "seeds@master"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "1.mid" in listing.stdout
    done = deploy("status")
    assert done.returncode == 0
    assert "rendered-music" in done.stderr
    done = deploy("get", "songs", "--output", "out")
    assert (done.returncode, last_line(done)) == (
        1,
        "error: rendered-music: no finished results yet; expected some. See deploy.py status",
    )
    assert deploy("wait").returncode == 0
    assert "nothing was removed" in deploy("down", answer="no\n").stderr
    done = deploy("down", answer="yes\n")
    assert done.returncode == 0, done.stderr
    assert "nothing to remove" in deploy("down").stderr


def test_up_is_not_misled_by_a_branch_with_the_name_of_a_repo(deploy):
    assert localpach("create", "repo", "other", "-d", f"the name of a branch, {MADE_BY}") == 0
    assert localpach("create", "branch", "other@seeds") == 0
    assert "would create repo seeds" in deploy("--dry-run", "up").stderr
    assert deploy("up").returncode == 0
    done = deploy("down", answer="no\n")
    assert "the repos audio-unprocessed, seeds with all songs" in done.stdout


def test_down_leaves_a_repo_that_somebody_else_has_described(deploy):
    assert localpach("create", "repo", "seeds", "-d", f"not {MADE_BY}") == 0
    assert deploy("up").returncode == 0
    assert "the repos audio-unprocessed with all songs" in deploy("down", answer="no\n").stdout


def test_dry_run_on_this_machine_makes_no_state(deploy, tmp_path):
    done = deploy("--dry-run", "up")
    assert "would create repo seeds" in done.stderr
    assert "would create pipeline rendered-music" in done.stderr
    assert not (tmp_path / ".localpach").exists()


def test_error_of_localpach_is_the_one_line_and_the_exit_code(deploy):
    done = deploy("get", "songs", "--output", "out")
    assert done.returncode == 1
    assert last_line(done).startswith("error: ")
    assert done.stderr.count("error: ") == 1


def test_cluster_that_is_not_there_is_one_line(deploy):
    done = deploy("--address", "grpc://127.0.0.1:1", "status")
    assert done.returncode == 1
    assert last_line(done).startswith("error: grpc://127.0.0.1:1: no answer")
    assert "--address localpach" in last_line(done)


def test_whole_round_on_a_cluster(deploy, server, music, tmp_path):
    here = {"PACHD_ADDRESS": server.address}
    assert deploy("up", **here).returncode == 0
    server.add_commit("rendered-music", {"/1.mp3": b"music"})
    done = deploy("put", music, **here)
    assert done.returncode == 0, done.stderr
    assert "uploading a.wav: 50 B" in done.stderr
    assert last_line(done).startswith("the chain follows by itself: deploy.py wait ")
    assert set(server.held("audio-unprocessed")) == {"/a.wav", "/live-b.flac", "/sigur-ros-remix.mp3"}
    server.add_job("midi", "SUCCESS")
    done = deploy("wait", **here)
    assert done.returncode == 0, done.stderr
    assert deploy("get", "songs", "--output", tmp_path / "out", **here).returncode == 0
    assert (tmp_path / "out" / "1.mp3").read_bytes() == b"music"
    assert deploy("down", "--yes", **here).returncode == 0
    assert server.pipelines == {}


def test_failed_job_ends_the_wait_with_1_and_one_error_line(deploy, server):
    server.add_job("midi", "FAILURE", reason="datum abc failed", counts=(0, 0, 1, 0))
    server.add_datum("midi", "/a.wav", "FAILED", ["no audio in it"])
    done = deploy("--address", server.address, "wait")
    assert done.returncode == 1
    assert "    no audio in it" in done.stderr.splitlines()
    assert last_line(done).startswith("error: midi: the job ended in failure: datum abc failed")


def test_pipelines_changed_by_flags_reach_the_cluster(deploy, server):
    done = deploy(
        "--address", server.address, "up", "--image_prefix", "r.example.com/me", "--gpus", "0", "--workers", "4"
    )
    assert done.returncode == 0, done.stderr
    assert server.specs["midi"]["transform"]["image"] == f"r.example.com/me/onsets-and-frames:{VERSION}"
    assert server.specs["midi"]["parallelism_spec"] == {"constant": 4}
    assert "gpu" not in server.specs["music-transformer"]["resource_limits"]


def test_bad_value_is_named_with_every_problem(deploy, server):
    done = deploy("--address", server.address, "up", "--workers", "9", "--image_tag", "latest")
    assert done.returncode == 1
    assert len([line for line in done.stderr.splitlines() if "found 9; expected at most 8" in line]) == 5
    assert last_line(done).startswith("error: ")
    assert server.pipelines == {}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["put"],
        ["put", "x", "--abandon"],
        ["get"],
        ["up", "--gpus", "-1"],
        ["up", "--epochs", "0"],
        ["get", "all", "--output", "x"],
    ],
)
def test_wrong_usage_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2


def test_where_the_work_is_done(tmp_path):
    config = tmp_path / "config.json"
    nowhere = {"PACH_CONFIG": str(config)}
    assert where(None, nowhere) == ("localpach", None)
    config.write_text("{}")
    assert where(None, nowhere) == (None, config)
    assert where(None, nowhere | {"PACHD_ADDRESS": "grpc://a:1"}) == ("grpc://a:1", None)
    assert where("grpc://b:2", nowhere | {"PACHD_ADDRESS": "grpc://a:1"}) == ("grpc://b:2", None)
    assert where("localpach", nowhere) == ("localpach", None)


@pytest.mark.parametrize(
    ("words", "local", "gpu"),
    [([], False, True), ([], True, False), (["--gpus", "0"], False, False), (["--gpus", "1"], True, True)],
)
def test_training_asks_for_a_gpu_on_a_cluster_unless_told_otherwise(words, local, gpu):
    arguments = build_parser().parse_args(["up", *words])
    training = chosen_pipelines(arguments, ROOT / "pipelines", local=local)[4]
    assert ("gpu" in training.spec["resource_limits"]) == gpu


@pytest.mark.parametrize("script", ["deploy.py", "simulate_cluster.py"])
def test_scripts_are_programs_by_themselves(script, tmp_path):
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / "scripts" / script, "--help"], cwd=tmp_path, env=os.environ | path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: {script}" in done.stdout


def test_server_that_serves_already_is_told_in_one_line(deploy, tmp_path):
    assert localpach("create", "repo", "seeds") == 0
    runner = Runner(tmp_path / ".localpach")
    runner.start()
    try:
        done = deploy("status")
    finally:
        runner.stop()
    assert done.returncode == 1
    assert last_line(done).startswith(f"error: localpach serve: process {os.getpid()} is serving in ")
    assert last_line(done).endswith("; stop it, then try again; or name a server with --address")


def test_songs_that_can_be_read_are_put_beside_a_dead_link_which_is_told(deploy, tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "one.mid").write_bytes((ROOT / "samples" / "midi" / "1.mid").read_bytes())
    (tmp_path / "music" / "gone.mid").symlink_to("nowhere.mid")
    deploy("up")
    done = deploy("put", tmp_path / "music", "--repo", "seeds")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "gone.mid: No such file or directory" in done.stderr
    assert last_line(done) == "error: 1 could not be read; the other 1 songs are put. See the lines above"
    listing = [sys.executable, "-m", "localpach", "list", "file", "seeds@master"]
    assert "one.mid" in subprocess.run(listing, cwd=tmp_path, capture_output=True, text=True).stdout
