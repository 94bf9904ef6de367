"""What a server owes to many clients, bad ones too: tokens, limits, half streams, transactions, a clean end."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps, transaction
from pachyderm_sdk.errors import AuthServiceNotActivated

import localpach
from localpach.cli import main
from localpach.errors import ServedError, ServeError
from localpach.serving.runner import Runner
from localpach.serving.server import Server
from localpach.storage.store import Store

METHODS = {
    "admin_v2.API": "InspectCluster",
    "versionpb_v2.API": "GetVersion",
    "pfs_v2.API": "CreateRepo InspectRepo ListRepo DeleteRepo DeleteRepos StartCommit FinishCommit InspectCommit "
    "InspectCommitSet ListCommit ListCommitSet DropCommitSet SquashCommitSet SubscribeCommit CreateBranch "
    "InspectBranch ListBranch DeleteBranch ModifyFile GetFile GetFileTAR InspectFile ListFile WalkFile GlobFile "
    "DiffFile CreateProject ListProject InspectProject",
    "pps_v2.API": "CreatePipeline CreatePipelineV2 InspectPipeline ListPipeline DeletePipeline DeletePipelines "
    "StartPipeline StopPipeline RerunPipeline RunCron ListJob ListJobSet InspectJob InspectJobSet SubscribeJob StopJob "
    "ListDatum InspectDatum RestartDatum GetLogs CreateSecret ListSecret InspectSecret DeleteSecret",
    "transaction_v2.API": "BatchTransaction",
}
BRANCH = pfs.Branch.from_uri("in@master")


def commits(client, repo="in"):
    return list(client.pfs.list_commit(repo=pfs.Repo.from_uri(repo)))


@pytest.mark.parametrize("service", METHODS)
def test_calls_that_pachctl_and_scripts_make_are_answered(server, service):
    missing = [name for name in METHODS[service].split() if server.find(f"/{service}/{name}")[1] is None]
    assert missing == []


def test_other_calls_are_refused_in_one_line(client):
    with pytest.raises(grpc.RpcError) as refused:
        next(client.pfs.fsck())
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "Fsck is not among the calls that localpach answers"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.auth.who_am_i(),
        lambda client: client.identity.delete_all(),
        lambda client: client.license.delete_all(),
    ],
)
def test_there_are_no_users(client, ask):
    with pytest.raises(AuthServiceNotActivated):
        ask(client)


def test_version_is_that_of_pachyderm_and_may_be_chosen(serve):
    assert str(Client.from_pachd_address(serve().address).get_version().minor) == "12"
    with pytest.raises(ServedError):
        serve()


def test_older_version_is_told_if_asked_for(serve):
    version = Client.from_pachd_address(serve(pretends=(2, 6, 9)).address).get_version()
    assert (version.major, version.minor, version.micro) == (2, 6, 9)


def test_health_check_says_serving(server):
    with grpc.insecure_channel(server.address.removeprefix("grpc://")) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01"


def test_context_of_pachctl_leads_to_the_server(server, tmp_path):
    config = tmp_path / "config.json"
    context = {"pachd_address": server.address}
    config.write_text(json.dumps({"user_id": "u", "v2": {"active_context": "here", "contexts": {"here": context}}}))
    assert Client.from_config(config).get_version().major == 2


def test_context_that_localpach_sets_leads_to_the_server(server, tmp_path, monkeypatch):
    config = tmp_path / "pach" / "config.json"
    monkeypatch.setenv("PACH_CONFIG", str(config))
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"pachd_address": server.address})))
    assert main(["config", "set", "context", "here"]) == 0
    assert main(["config", "set", "active-context", "here"]) == 0
    assert Client.from_config(config).get_version().major == 2


def test_client_without_the_token_is_refused(serve):
    server = serve(token="s3cret")
    for wrong in (None, "other", "s3cre"):
        with pytest.raises(grpc.RpcError) as refused:
            Client.from_pachd_address(server.address, auth_token=wrong).get_version()
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert Client.from_pachd_address(server.address, auth_token="s3cret").get_version().major == 2


def test_token_guards_streams_too(serve):
    server = serve(token="s3cret")
    Client.from_pachd_address(server.address, auth_token="s3cret").pfs.create_repo(repo=pfs.Repo.from_uri("in"))
    other = Client.from_pachd_address(server.address)
    with pytest.raises(grpc.RpcError, match="the token is missing or wrong"):
        other.pfs.put_file_from_bytes(commit=pfs.Commit.from_uri("in@master"), path="/a", data=b"A")
    with pytest.raises(grpc.RpcError, match="the token is missing or wrong"):
        list(other.pfs.list_repo())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_address_that_others_can_reach_needs_a_token(tmp_path, host):
    with pytest.raises(
        ServeError, match=f"{host} can be reached by others, who could run programs as you; give a --token"
    ):
        Server(Runner(tmp_path), tmp_path, host=host)
    assert Server(Runner(tmp_path), tmp_path, host=host, token="t").port == 30650


def test_port_that_is_taken_is_told_in_one_line(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["--state", str(tmp_path / "state"), "serve", "--port", str(port)]) == 1
    assert f"error: 127.0.0.1:{port} is taken" in capsys.readouterr().err


def test_message_above_the_limit_is_refused_and_leaves_nothing(client, words):
    words.repo("in")

    def parts():
        yield pfs.ModifyFileRequest(set_commit=pfs.Commit.from_uri("in@master"))
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=bytes(20 * 2**20 + 1)))

    with pytest.raises(grpc.RpcError) as refused:
        client.pfs.modify_file(parts())
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert commits(client) == []


HALF = """
import sys, time
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

def parts():
    yield pfs.ModifyFileRequest(set_commit=pfs.Commit.from_uri("in@master"))
    yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"A" * 2_000_000))
    yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/b", raw=b"B"))
    print("sent", flush=True)
    time.sleep(600)

Client.from_pachd_address(sys.argv[1]).pfs.modify_file(parts())
"""


def test_client_that_is_killed_half_way_leaves_no_half_commit(server, client, words):
    words.repo("in")
    arguments = [sys.executable, "-c", HALF, server.address]
    started = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        with process:
            assert process.stdout.readline() == "sent\n"
            process.kill()
    words.put("in@master", {"/c": b"C"})
    assert words.tree("in@master") == {"/c": b"C"}
    assert len(commits(client)) == 1


def test_client_whose_file_cannot_be_read_leaves_no_half_commit(client, words, capfd):
    words.repo("in")

    def parts():
        yield pfs.ModifyFileRequest(set_commit=pfs.Commit.from_uri("in@master"))
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"A"))
        raise OSError("the disk is gone")

    with pytest.raises(grpc.RpcError):
        client.pfs.modify_file(parts())
    assert commits(client) == []
    assert "localpach" not in capfd.readouterr().err


def test_change_that_fails_half_way_changes_nothing_of_an_open_commit(client, words):
    words.repo("in")
    with client.pfs.commit(branch=BRANCH) as commit:
        commit.put_file_from_bytes("/a", b"A")

        def parts():
            yield pfs.ModifyFileRequest(set_commit=pfs.Commit.from_uri(f"in@{commit.id}"))
            yield pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path="/a"))
            yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/b?", raw=b"B"))

        with pytest.raises(grpc.RpcError):
            client.pfs.modify_file(parts())
    assert words.tree("in@master") == {"/a": b"A"}


def test_fifty_clients_at_once_lose_nothing(server, words):
    words.repo("in")
    words.create(script="cp /pfs/in/* /pfs/out/")

    def work(number):
        client = Client.from_pachd_address(server.address)
        client.pfs.put_file_from_bytes(commit=pfs.Commit.from_uri("in@master"), path=f"/{number}", data=b"%d" % number)
        return b"".join(chunk.value for chunk in client.pfs.get_file(file=pfs.File.from_uri(f"in@master:/{number}")))

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(work, range(50))) == [b"%d" % number for number in range(50)]
    assert len(commits(words.client)) == 50 + 1  # with the empty one that the pipeline's input began with
    words.job_set(words.jobs()[0].job.id)
    assert words.tree("P@master") == {f"/{number}": b"%d" % number for number in range(50)}


def test_fifty_clients_wait_while_another_is_served(server, words, tmp_path):
    gate = tmp_path / "gate"
    words.repo("in")
    words.create(script=f"while [ ! -e {gate} ]; do sleep 0.02; done; cp /pfs/in/* /pfs/out/")
    commit = words.put("in@master", {"/a": b"A"})

    def wait(_):
        client = Client.from_pachd_address(server.address)
        return [job.state for job in client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id), wait=True)]

    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(wait, number) for number in range(50)]
        words.repo("other")
        gate.touch()
        assert [each.result() for each in waiting] == [[pps.JobState.JOB_SUCCESS]] * 50


def test_compressed_messages_are_read(server):
    with grpc.insecure_channel(server.address.removeprefix("grpc://"), compression=grpc.Compression.Gzip) as channel:
        stub = pfs.ApiStub(channel)
        stub.create_repo(repo=pfs.Repo.from_uri("in"))
        assert [info.repo.name for info in stub.list_repo()] == ["in"]
        stub.modify_file(
            iter(
                [
                    pfs.ModifyFileRequest(set_commit=pfs.Commit.from_uri("in@master")),
                    pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/a", raw=b"A" * 100_000)),
                ]
            )
        )
        info = stub.inspect_file(file=pfs.File.from_uri("in@master:/a"))
    assert info.size_bytes == 100_000


def test_transaction_is_one_commit_set_and_its_pipeline_runs_once(words):
    client = words.client
    for name in ("one", "two"):
        words.repo(name)
    sources = [pps.Input(pfs=pps.PfsInput(repo=name, glob="/*")) for name in ("one", "two")]
    client.pps.create_pipeline(
        pipeline=pps.Pipeline(name="P"),
        transform=pps.Transform(cmd=["sh", "-c", "cat /pfs/one/* /pfs/two/* > /pfs/out/both"]),
        input=pps.Input(cross=sources),
    )
    with client.transaction.transaction() as opened:
        first = client.pfs.start_commit(branch=pfs.Branch.from_uri("one@master"))
        second = client.pfs.start_commit(branch=pfs.Branch.from_uri("two@master"))
    assert first.id == second.id == opened.id
    client.pfs.put_file_from_bytes(commit=first, path="/a", data=b"A")
    client.pfs.put_file_from_bytes(commit=second, path="/b", data=b"B")
    client.pfs.finish_commit(commit=first)
    client.pfs.finish_commit(commit=second)
    (job,) = words.job_set(opened.id)
    assert job.state == pps.JobState.JOB_SUCCESS
    assert words.tree("P@master") == {"/both": b"AB"}
    assert len(words.jobs()) == 2  # that of its creation, and this one


def test_transaction_that_is_given_up_changes_nothing(client):
    opened = client.transaction.start_transaction()
    client.pfs.create_repo(repo=pfs.Repo.from_uri("in"))
    client.transaction.delete_transaction(transaction=opened)
    client.transaction_id = None
    assert not client.pfs.repo_exists(pfs.Repo.from_uri("in"))


def test_what_is_wrong_in_a_transaction_is_told_at_once(client):
    opened = client.transaction.start_transaction()
    with pytest.raises(grpc.RpcError, match="repo in not found"):
        client.pfs.start_commit(branch=BRANCH)
    client.transaction.delete_transaction(transaction=opened)
    client.transaction_id = None


def test_batch_is_made_as_a_whole_or_not_at_all(client):
    make = transaction.TransactionRequest(create_repo=pfs.CreateRepoRequest(repo=pfs.Repo.from_uri("in")))
    start = transaction.TransactionRequest(start_commit=pfs.StartCommitRequest(branch=BRANCH))
    info = client.transaction.batch_transaction(requests=[make, start])
    assert info.responses[1].commit.id == info.transaction.id
    other = transaction.TransactionRequest(create_repo=pfs.CreateRepoRequest(repo=pfs.Repo.from_uri("other")))
    with pytest.raises(grpc.RpcError, match="repo in already exists"):
        client.transaction.batch_transaction(requests=[other, make])
    assert not client.pfs.repo_exists(pfs.Repo.from_uri("other"))


def start_program(state):
    environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1])}
    words = [sys.executable, "-m", "localpach", "--state", str(state), "serve", "--port", "0"]
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:  # an unfinished job may go on, and say so, before the address is told
        lines.append(line)
        if found := re.search(r"serving .* at (grpc://127\.0\.0\.1:\d+); Ctrl-C ends it", line):
            return process, Client.from_pachd_address(found[1])
    raise AssertionError(f"the server ended: {lines}")


def test_program_that_is_killed_goes_on_at_its_next_start_and_ends_cleanly(tmp_path):
    state, gate = tmp_path / "state", tmp_path / "gate"
    process, client = start_program(state)
    client.pfs.create_repo(repo=pfs.Repo.from_uri("in"))
    client.pps.create_pipeline(
        pipeline=pps.Pipeline(name="P"),
        transform=pps.Transform(
            cmd=["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.02; done; cp /pfs/in/* /pfs/out/"]
        ),
        input=pps.Input(pfs=pps.PfsInput(repo="in", glob="/*")),
    )
    with client.pfs.commit(branch=BRANCH) as commit:
        commit.put_file_from_bytes("/a", b"A")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process, client = start_program(state)
    gate.touch()
    (job,) = client.pps.inspect_job_set(job_set=pps.JobSet(id=commit.id), wait=True)
    assert job.state == pps.JobState.JOB_SUCCESS
    process.send_signal(signal.SIGTERM)
    told = process.communicate()[1]
    assert process.returncode == 0
    assert told.endswith("stopped serving; unfinished jobs go on at the next start\n")
    store = Store(state)
    assert store.commit("P", commit.id).error is None
    store.close()


def test_fault_of_a_call_is_told_to_its_client_and_the_server_goes_on(server, client, words, monkeypatch, capsys):
    words.repo("in")
    monkeypatch.setattr("localpach.serving.pfs_repos.describe.repo", lambda *_: 1 / 0)
    with pytest.raises(grpc.RpcError) as refused:
        client.pfs.inspect_repo(repo=pfs.Repo.from_uri("in"))
    assert refused.value.details() == "localpach has a fault: ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err
    assert client.get_version().major == 2
