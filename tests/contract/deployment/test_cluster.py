"""scripts/deploy.py against a stand-in for pachd: the real client, the real wire, the SDK's own messages."""

import http.server
import threading
from pathlib import Path

import pytest

from ambient.deployment import specs
from ambient.deployment.cluster import Cluster
from ambient.deployment.errors import DeployError, JobsFailedError, NoClusterError, OldServerError, TokenRefusedError
from ambient.deployment.follow import explain, follow
from ambient.deployment.pachd import connect
from ambient.deployment.retry import Retry
from ambient.deployment.songs import songs_below

ROOT = Path(__file__).resolve().parents[3]
NAMES = [pipeline.name for pipeline in specs.shipped(ROOT / "pipelines", cpu=False)]
ONE_TRY = Retry(tries=1)


def cluster(pachd, reported, tmp_path, *, dry_run=False):
    return Cluster(pachd, dry_run=dry_run, report=reported.append, journals=tmp_path / "journals")


@pytest.fixture
def shipped():
    return specs.shipped(ROOT / "pipelines", cpu=False)


def test_up_creates_repos_and_pipelines_in_order(server, pachd, reported, tmp_path, shipped):
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    assert list(server.pipelines) == NAMES
    assert (
        server.specs["music-transformer"] == shipped[4].spec
    )  # the JSON as it is, GPU, tolerations and patch included
    assert {"audio-unprocessed", "seeds"} <= server.repos.keys()
    assert reported[1:4] == ["create repo audio-unprocessed", "create repo seeds", "create pipeline audio-processed"]


def test_up_again_updates_what_is_there_and_creates_what_is_missing(server, pachd, reported, tmp_path, shipped):
    cluster(pachd, reported, tmp_path).up(shipped[:3], reprocess=False)
    reported.clear()
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=True)
    assert "update pipeline midi, and process everything again" in reported
    assert "create pipeline rendered-music" in reported
    assert server.reprocessed == ["audio-processed", "audio-processed-wav", "midi"]


def test_server_before_2_8_gets_the_same_pipeline_as_a_message(server, reported, tmp_path, shipped):
    server.version = (2, 6, 3)
    pachd = connect(server.address, None, ONE_TRY)
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    assert "CreatePipelineV2" not in server.calls
    made = server.specs["music-transformer"]
    assert made["resourceLimits"] == {"memory": "14336M", "gpu": {"type": "nvidia.com/gpu", "number": "1"}}
    assert made["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "EXISTS", "effect": "NO_SCHEDULE"}]
    assert made["podPatch"] == shipped[4].spec["pod_patch"]
    assert made["transform"]["cmd"] == shipped[4].spec["transform"]["cmd"]
    assert made["datumTries"] == "1"


def test_dry_run_says_what_it_would_do_and_changes_nothing(server, pachd, reported, tmp_path, shipped, music):
    cluster(pachd, reported, tmp_path, dry_run=True).up(shipped, reprocess=False)
    assert "would create pipeline midi" in reported
    assert (server.repos, server.pipelines) == ({}, {})
    server.add_commit("audio-unprocessed")
    songs = songs_below(music, "audio-unprocessed").songs
    assert cluster(pachd, reported, tmp_path, dry_run=True).put("audio-unprocessed", songs) is None
    assert f"would upload {music / 'a.wav'} as a.wav" in reported
    assert len(server.commits["audio-unprocessed"]) == 1
    assert {"CreateRepo", "CreatePipelineV2", "StartCommit", "ModifyFile"}.isdisjoint(server.calls)


def test_a_bad_spec_stops_before_anything_is_made(server, pachd, reported, tmp_path, shipped):
    shipped[5].spec["input"]["cross"][1]["pfs"]["globb"] = "/"
    with pytest.raises(
        DeployError, match=r"\$\.input\.cross\[1\]\.pfs\.globb: unknown field of PfsInput; did you mean glob"
    ):
        cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    assert server.pipelines == {}


def test_answer_lost_after_a_pipeline_was_made_is_no_error(server, pachd, reported, tmp_path, shipped):
    server.fail("CreatePipelineV2", after_effect=True)
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    assert list(server.pipelines) == NAMES
    assert any("trying again" in line for line in reported)


def test_refusals_in_words_count_as_those_with_a_code(server, pachd, reported, tmp_path, shipped):
    server.codes_in_words_only = True
    server.fail("CreateRepo", after_effect=True)
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    assert list(server.pipelines) == NAMES
    server.fail("DeletePipeline", after_effect=True)
    cluster(pachd, reported, tmp_path).down(NAMES, ask=lambda _question: True)
    assert (server.pipelines, server.repos) == ({}, {})


def test_down_asks_and_removes_only_what_up_made(server, pachd, reported, tmp_path, shipped):
    server.repos["seeds"], server.commits["seeds"] = "mine", []
    cluster(pachd, reported, tmp_path).up(shipped, reprocess=False)
    questions = []
    cluster(pachd, reported, tmp_path).down(NAMES, ask=lambda question: bool(questions.append(question)))
    assert len(server.pipelines) == 7
    assert reported[-1] == "nothing was removed"
    assert "audio-unprocessed" in questions[0]
    assert "seeds" not in questions[0]
    cluster(pachd, reported, tmp_path).down(NAMES, ask=lambda _question: True)
    assert server.pipelines == {}
    assert server.repos == {"seeds": "mine"}
    deleted = [line.split()[-1] for line in reported if line.startswith("delete pipeline")]
    assert deleted == NAMES[::-1]


# -- where there is no cluster, or another one than expected


def test_nobody_answers():
    with pytest.raises(NoClusterError, match=r"no answer.*Check the address"):
        connect("grpc://127.0.0.1:1", None, ONE_TRY)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1:1", "grpc://127.0.0.1:1/path", "grpc://127.0.0.1:port"])
def test_wrong_address(address):
    with pytest.raises(DeployError, match=r"expected grpc://HOST:PORT\. Correct the address"):
        connect(address, None, ONE_TRY)


def test_something_else_answers(server):
    server.fail("GetVersion", "UNIMPLEMENTED", "unknown service")
    with pytest.raises(NoClusterError, match="something answers that is not Pachyderm"):
        connect(server.address, None, ONE_TRY)


def test_web_server_answers():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as web:
        threading.Thread(target=web.handle_request, daemon=True).start()
        with pytest.raises(NoClusterError, match="expected a Pachyderm cluster"):
            connect(f"grpc://127.0.0.1:{web.server_port}", None, ONE_TRY)


def test_old_server(server):
    server.version = (2, 5, 4)
    with pytest.raises(OldServerError, match=r"runs Pachyderm 2\.5\.4; expected Pachyderm 2\.6 to 2\.12"):
        connect(server.address, None, ONE_TRY)


def test_refused_token(server, monkeypatch):
    server.token = "right"
    monkeypatch.setenv("PACH_PYTHON_AUTH_TOKEN", "wrong")
    with pytest.raises(TokenRefusedError, match=r"auth token was refused .*expired.*Run pachctl auth login"):
        connect(server.address, None, ONE_TRY)
    monkeypatch.setenv("PACH_PYTHON_AUTH_TOKEN", "right")
    assert connect(server.address, None, ONE_TRY).version == (2, 11, 6)


def test_address_and_token_of_pachctls_context(server, tmp_path):
    server.token = "secret"
    config = tmp_path / "config.json"
    context = f'{{"pachd_address": "{server.address}", "session_token": "secret"}}'
    config.write_text(f'{{"v2": {{"active_context": "here", "contexts": {{"here": {context}}}}}}}')
    assert connect(None, config, ONE_TRY).version == (2, 11, 6)
    config.write_text('{"v2": {"active_context": "gone", "contexts": {}}}')
    with pytest.raises(DeployError, match="active context not found: gone"):
        connect(None, config, ONE_TRY)


def test_newer_server_is_named(server, reported, tmp_path):
    server.version = (2, 13, 0)
    cluster(connect(server.address, None, ONE_TRY), reported, tmp_path)
    assert reported[1] == "warning: Pachyderm 2.13 is newer than the specs, which are for 2.6 to 2.12"


# -- jobs


def test_wait_tells_each_change_of_state_in_one_line(server, pachd, reported):
    first, second = server.add_job("midi", "RUNNING"), server.add_job("rendered-music", "CREATED", counts=(0, 0, 0, 0))
    polls = []

    def time_passes():
        polls.append(1)
        if len(polls) == 2:
            first.state = type(first.state)(5)
        if len(polls) == 4:
            second.state = type(second.state)(5)

    server.on_poll = time_passes
    jobs = follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None)
    assert [job.state for job in jobs] == ["SUCCESS", "SUCCESS"]
    assert [line.split()[:2] for line in reported] == [
        ["midi", "running"],
        ["rendered-music", "created"],
        ["midi", "success"],
        ["rendered-music", "success"],
    ]


def test_wait_goes_on_when_the_server_goes_away_in_the_middle(server, pachd, reported):
    job = server.add_job("midi", "RUNNING")
    polls = []

    def goes_away():
        polls.append(1)
        if len(polls) == 3:
            job.state = type(job.state)(5)

    server.on_poll = goes_away
    paused = []

    def pause(_seconds):
        if not paused:
            server.goes_away_for(0.4)
        paused.append(1)

    jobs = follow(pachd, "5" * 32, reported.append, sleep=pause)
    assert [job.state for job in jobs] == ["SUCCESS"]
    assert any("trying again" in line for line in reported)


def test_wait_survives_a_stream_that_breaks_between_jobs(server, pachd, reported):
    server.add_job("midi", "SUCCESS")
    server.add_job("rendered-music", "SUCCESS")
    server.fail("InspectJobSet", after_messages=1)
    assert len(follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None)) == 2


def test_wait_gives_up_after_its_time(server, pachd, reported):
    server.add_job("midi", "RUNNING")
    times = iter((0.0, 30.0, 61.0))
    with pytest.raises(DeployError, match="1 jobs still run after 60 s, the first is that of midi"):
        follow(pachd, "5" * 32, reported.append, timeout_s=60, clock=lambda: next(times), sleep=lambda _s: None)


def test_failed_job_comes_with_the_log_of_its_datum(server, pachd, reported):
    server.add_job("midi", "FAILURE", reason="datum abc failed", counts=(1, 0, 1, 0))
    server.add_job(
        "rendered-music", "UNRUNNABLE", reason="unrunnable because the following upstream pipelines failed: midi"
    )
    server.add_datum("midi", "/a.wav", "FAILED", ["reading", "error: a.wav: 0 samples; expected music"])
    server.add_datum("midi", "/b.wav", "SUCCESS", [])
    jobs = follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None)
    with pytest.raises(JobsFailedError, match="midi: the job ended in failure: datum abc failed; expected success"):
        explain(pachd, jobs, reported.append)
    assert reported[-4:] == [
        "midi: failure: datum abc failed",
        "midi: /a.wav failed",
        "    reading",
        "    error: a.wav: 0 samples; expected music",
    ]


def test_recovered_songs_are_named_and_are_no_failure(server, pachd, reported):
    server.add_job("midi", "SUCCESS", counts=(1, 0, 0, 1))
    server.add_datum("midi", "/broken.wav", "RECOVERED", ["error: broken.wav: no audio"])
    explain(pachd, follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None), reported.append)
    assert reported[-2:] == ["midi: /broken.wav was left out", "    error: broken.wav: no audio"]


def test_cluster_that_keeps_no_logs_still_names_the_datum(server, pachd, reported):
    server.add_job("midi", "FAILURE", reason="datum abc failed", counts=(0, 0, 1, 0))
    server.add_datum("midi", "/a.wav", "FAILED", ["never seen"])
    server.fail("GetLogs", "UNKNOWN", "loki is not enabled")
    with pytest.raises(JobsFailedError):
        explain(pachd, pachd.jobs.in_set("5" * 32), reported.append)
    assert reported[-1] == "midi: /a.wav failed"


def test_pipeline_without_workers_ends_the_wait(server, pachd, reported):
    job = server.add_job("midi", "STARTING")
    server.pipelines["midi"] = type(server.pipelines["midi"])(4)
    server.pipeline_reason = "no transform.cmd"
    with pytest.raises(DeployError, match=r"midi: the pipeline failed: no transform\.cmd"):
        follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None)
    server.pipelines["midi"] = type(server.pipelines["midi"])(7)
    server.pipeline_reason = "ImagePullBackOff"
    server.on_poll = lambda: setattr(job, "state", type(job.state)(job.state + 1 if job.state < 5 else 5))
    follow(pachd, "5" * 32, reported.append, sleep=lambda _s: None)
    assert "midi: its workers do not come up: ImagePullBackOff. Is the image pushed?" in reported


def test_status_prints_the_newest_job_set(server, pachd, reported, tmp_path):
    server.add_job("audio-processed", "SUCCESS")
    server.add_job("midi", "RUNNING", counts=(3, 4, 0, 0))
    cluster(pachd, reported, tmp_path).status(None, NAMES)
    assert "job set " + "5" * 32 in reported
    assert reported[-1].split() == ["midi", "running", "3", "processed,", "4", "skipped", "of", "7"]
    assert any(line.startswith("generated-music") and "not there" in line for line in reported)


def test_nothing_to_wait_for(pachd, reported, tmp_path):
    with pytest.raises(DeployError, match=r"no jobs to wait for; expected some\. Run deploy\.py up"):
        cluster(pachd, reported, tmp_path).wait(None, NAMES, None)
