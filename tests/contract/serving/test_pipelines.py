"""Pipelines, jobs, datums, logs and secrets, by Pachyderm's own client."""

import json
import threading

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

P = pps.Pipeline(name="P")
GATE = "while [ ! -e {gate} ]; do sleep 0.02; done; cp /pfs/in/* /pfs/out/"


def test_put_returns_before_the_job_ends_and_waiting_sees_the_result(words, tmp_path):
    gate = tmp_path / "gate"
    words.repo("in")
    words.create(script=GATE.format(gate=gate))
    commit = words.put("in@master", {"/a": b"A"})
    (job,) = words.client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id))
    assert job.state in (pps.JobState.JOB_CREATED, pps.JobState.JOB_RUNNING)
    assert words.client.pfs.inspect_commit(commit=pfs.Commit.from_uri(f"P@{commit.id}")).finished.year == 1970
    gate.touch()
    (job,) = words.job_set(commit.id)
    assert (job.state, job.data_processed) == (pps.JobState.JOB_SUCCESS, 1)
    assert words.tree("P@master") == {"/a": b"A"}


def test_pipeline_from_json_is_kept_as_it_was_given(words):
    words.repo("in")
    spec = {
        "pipeline": {"name": "P"},
        "transform": {"cmd": ["true"], "image": "ubuntu:22.04"},
        "input": {"pfs": {"repo": "in", "glob": "/*"}},
        "datumTries": "5",
        "datum_timeout": "90s",
        "parallelism_spec": {"constant": 3},
    }
    answer = words.client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(spec))
    assert json.loads(answer.effective_create_pipeline_request_json)["datum_tries"] == 5
    info = words.client.pps.inspect_pipeline(pipeline=P, details=True)
    assert (info.version, info.state, info.parallelism) == (1, pps.PipelineState.PIPELINE_RUNNING, 3)
    assert (info.details.datum_tries, info.details.datum_timeout.total_seconds()) == (5, 90)
    assert info.details.transform.image == "ubuntu:22.04"
    assert info.details.input.pfs.name == "in"


def test_pipeline_from_a_message_has_all_that_the_message_says(words):
    words.repo("in")
    words.client.pps.create_pipeline(
        pipeline=P,
        transform=pps.Transform(
            cmd=["sh"], stdin=["echo $WORD > /pfs/out/word"], env={"WORD": "hello"}, err_cmd=["true"]
        ),
        input=pps.Input(
            cross=[
                pps.Input(pfs=pps.PfsInput(project="default", repo="in", repo_type="user", branch="master", glob="/")),
                pps.Input(cron=pps.CronInput(name="tick", spec="@never")),
            ]
        ),
        parallelism_spec=pps.ParallelismSpec(constant=2),
        resource_requests=pps.ResourceSpec(cpu=0.5, memory="64Mi"),
        reprocess_spec="every_job",
        description="it greets",
    )
    words.put("in@master", {"/a": b"A"})
    words.client.pps.run_cron(pipeline=P)
    words.job_set(words.jobs()[0].job.id)
    assert words.tree("P@master") == {"/word": b"hello\n"}
    info = words.client.pps.inspect_pipeline(pipeline=P, details=True)
    assert (info.details.description, info.details.reprocess_spec) == ("it greets", "every_job")
    assert words.client.pps.inspect_pipeline(pipeline=P).details.description == ""


def test_spec_at_fault_is_refused_by_name(words):
    with pytest.raises(grpc.RpcError) as refused:
        words.client.pps.create_pipeline_v2(create_pipeline_request_json='{"pipeline": {"name": "P"}, "inputs": {}}')
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "$.inputs: unknown field; did you mean input?"


def test_dry_run_creates_nothing(words):
    words.repo("in")
    text = json.dumps(
        {"pipeline": {"name": "P"}, "transform": {"cmd": ["true"]}, "input": {"pfs": {"repo": "in", "glob": "/"}}}
    )
    words.client.pps.create_pipeline_v2(create_pipeline_request_json=text, dry_run=True)
    assert not words.client.pps.pipeline_exists(P)


def test_update_reprocess_stop_start_rerun_and_delete(copied):
    client = copied.client
    copied.create(script="echo bar > /pfs/out/file", update=True)
    copied.job_set(copied.jobs()[0].job.id)
    assert copied.tree("P@master") == {"/file": b"foo"}
    copied.create(script="echo bar > /pfs/out/file", update=True, reprocess=True)
    copied.job_set(copied.jobs()[0].job.id)
    assert copied.tree("P@master") == {"/file": b"bar\n"}
    assert [info.version for info in client.pps.list_pipeline(pipeline=P, history=-1)] == [3, 2, 1]
    client.pps.stop_pipeline(pipeline=P)
    assert client.pps.inspect_pipeline(pipeline=P).state == pps.PipelineState.PIPELINE_PAUSED
    client.pps.start_pipeline(pipeline=P)
    client.pps.rerun_pipeline(pipeline=P, reprocess=True)
    newest = copied.job_set(copied.jobs()[0].job.id)[0]
    assert (newest.state, newest.data_processed) == (pps.JobState.JOB_SUCCESS, 1)
    client.pps.delete_pipeline(pipeline=P)
    assert not client.pps.pipeline_exists(P)
    assert not client.pfs.repo_exists(pfs.Repo.from_uri("P"))


def test_jobs_are_listed_by_pipeline_version_and_input(copied):
    client = copied.client
    commit = copied.put("in@master", {"/b": b"B"})
    copied.job_set(commit.id)
    assert len(copied.jobs()) == 2
    (job,) = client.pps.list_job(pipeline=P, input_commit=[pfs.Commit.from_uri(f"in@{commit.id}")], details=True)
    assert job.job.id == commit.id
    assert job.details.transform.cmd[0] == "sh"
    copied.create(script="true", update=True)
    copied.job_set(copied.jobs()[0].job.id)
    assert len(copied.jobs()) == 1
    assert len(list(client.pps.list_job(pipeline=P, history=1))) == 3
    assert [len(each.jobs) for each in client.pps.list_job_set(number=2)] == [1, 1]


def test_failed_job_tells_why_and_its_logs_hold_what_the_program_said(words):
    words.repo("in")
    words.create(script="echo begun; echo 'no good' >&2; exit 3", datum_tries=1)
    commit = words.put("in@master", {"/a": b"A"})
    (job,) = words.job_set(commit.id)
    assert job.state == pps.JobState.JOB_FAILURE
    assert job.reason == "datum /a failed: no good"
    (datum,) = words.client.pps.list_datum(
        job=job.job, filter=pps.ListDatumRequestFilter(state=[pps.DatumState.FAILED])
    )
    assert words.client.pps.inspect_datum(datum=datum.datum).data[0].file.path == "/a"
    lines = [message.message for message in words.client.pps.get_logs(datum=datum.datum)]
    assert sorted(lines[:2]) == ["begun", "no good"]  # of two pipes, in either order
    assert lines[2:] == ["localpach: try 1 of 1 failed: no good"]
    assert [each.message for each in words.client.pps.get_logs(pipeline=P, tail=1)] == lines[-1:]
    assert list(words.client.pps.get_logs(job=job.job, data_filters=["/b"])) == []


def test_logs_are_followed_to_the_end_of_the_job(words, tmp_path):
    gate = tmp_path / "gate"
    words.repo("in")
    words.create(script=f"echo begun; while [ ! -e {gate} ]; do sleep 0.02; done; echo ended")
    commit = words.put("in@master", {"/a": b"A"})
    stream = words.client.pps.get_logs(job=pps.Job(pipeline=P, id=commit.id), follow=True)
    assert next(stream).message == "begun"
    gate.touch()
    assert [message.message for message in stream] == ["ended"]


def test_job_is_stopped_by_hand(words):
    words.repo("in")
    words.create(script="sleep 600")
    commit = words.put("in@master", {"/a": b"A"})
    words.client.pps.stop_job(job=pps.Job(pipeline=P, id=commit.id), reason="enough")
    (job,) = words.job_set(commit.id)
    assert (job.state, job.reason) == (pps.JobState.JOB_KILLED, "enough")


def test_job_is_deleted(copied):
    (job,) = copied.jobs()
    copied.client.pps.delete_job(job=job.job)
    assert not copied.client.pps.job_exists(job.job)
    assert copied.jobs() == []


def test_datum_is_restarted_in_a_job_of_its_own(copied):
    copied.put("in@master", {"/b": b"B"})
    copied.job_set(copied.jobs()[0].job.id)
    copied.client.pps.restart_datum(job=copied.jobs()[0].job, data_filters=["/b"])
    (job,) = copied.job_set(copied.jobs()[0].job.id)
    assert (job.data_processed, job.data_skipped) == (1, 1)


def test_datums_of_an_input_are_previewed(words):
    words.repo("in")
    words.put("in@master", {f"/{number}": b"" for number in range(5)})
    given = pps.Input(pfs=pps.PfsInput(repo="in", glob="/*"))
    assert len(list(words.client.pps.list_datum(input=given))) == 5
    batches = words.client.pps.generate_datums(given, 2)
    assert [len(next(batches)), len(batches.send(2)), len(batches.send(2))] == [2, 2, 1]


def test_subscriber_gets_each_new_job(copied):
    stream = copied.client.pps.subscribe_job(pipeline=P)
    made = []
    thread = threading.Thread(target=lambda: made.append(copied.put("in@master", {"/b": b"B"})))
    thread.start()
    job = next(stream)
    thread.join()
    assert job.job.id == made[0].id


def test_secret_is_stored_listed_used_and_never_shown(words):
    client = words.client
    client.pps.create_secret(name="token", data={"k": "very-secret"})
    assert [info.secret.name for info in client.pps.list_secret().secret_info] == ["token"]
    assert "very-secret" not in str(client.pps.inspect_secret(secret=pps.Secret(name="token")))
    words.repo("in")
    client.pps.create_pipeline(
        pipeline=P,
        transform=pps.Transform(
            cmd=["sh", "-c", "printf %s $K > /pfs/out/k"], secrets=[pps.SecretMount(name="token", key="k", env_var="K")]
        ),
        input=pps.Input(pfs=pps.PfsInput(repo="in", glob="/*")),
    )
    words.job_set(words.put("in@master", {"/a": b"A"}).id)
    assert words.tree("P@master") == {"/k": b"very-secret"}
    client.pps.delete_secret(secret=pps.Secret(name="token"))
    assert client.pps.list_secret().secret_info == []


def test_everything_is_deleted_as_scripts_do_before_they_begin(copied):
    client = copied.client
    copied.repo("other")
    client.transaction.start_transaction()
    client.transaction_id = None
    client.pfs.delete_all()  # before the pipelines are, which keep what they write
    assert {info.repo.name for info in client.pfs.list_repo()} == {"P"}
    client.pps.delete_all()
    client.pfs.delete_all()
    client.transaction.delete_all()
    assert list(client.pps.list_pipeline()) == list(client.pfs.list_repo()) == []
    assert client.transaction.list_transaction().transaction_info == []


def test_all_pipelines_are_deleted_and_named(copied):
    copied.create("Q", repo="P")
    deleted = copied.client.pps.delete_pipelines(all=True)
    assert [each.name for each in deleted.pipelines] == ["Q", "P"]
    assert list(copied.client.pps.list_pipeline()) == []
