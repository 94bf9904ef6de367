"""--raw prints messages whose fields are those of Pachyderm's, by name and by kind of value."""

import base64
import json
import re

import pytest

from localpach.actions import files, repos
from localpach.actions.message import filled, int64, seconds, timestamp
from localpach.cli import main
from localpach.spec.addresses import parse_commit, parse_file
from localpach.spec.inputs import Trigger

from .conftest import World, sh, toy

# Message -> field -> kind of value, from the message classes of pachyderm-sdk 2.12.2. Several: one in brackets.
FIELDS = {
    "Project": {"name": "string"},
    "Repo": {"name": "string", "type": "string", "project": "Project"},
    "RepoInfo": {
        "repo": "Repo", "created": "time", "size_bytes_upper_bound": "int64", "description": "string",
        "branches": ["Branch"], "details": "RepoInfoDetails",
    },
    "RepoInfoDetails": {"size_bytes": "int64"},
    "Branch": {"repo": "Repo", "name": "string"},
    "BranchInfo": {
        "branch": "Branch", "head": "Commit", "provenance": ["Branch"], "subvenance": ["Branch"],
        "direct_provenance": ["Branch"], "trigger": "Trigger", "created_by": "string", "created_at": "time",
    },
    "Trigger": {
        "branch": "string", "all": "bool", "rate_limit_spec": "string", "size": "string", "commits": "int64",
        "cron_spec": "string",
    },
    "Commit": {"repo": "Repo", "id": "string", "branch": "Branch"},
    "CommitInfo": {
        "commit": "Commit", "origin": "CommitOrigin", "description": "string", "parent_commit": "Commit",
        "child_commits": ["Commit"], "started": "time", "finishing": "time", "finished": "time",
        "direct_provenance": ["Commit"], "error": "string", "size_bytes_upper_bound": "int64",
        "details": "CommitInfoDetails",
    },
    "CommitInfoDetails": {"size_bytes": "int64"},
    "CommitOrigin": {"kind": ("USER", "AUTO", "FSCK")},
    "CommitSet": {"id": "string"},
    "CommitSetInfo": {"commit_set": "CommitSet", "commits": ["CommitInfo"]},
    "FindCommitsResponse": {"found_commit": "Commit"},
    "File": {"commit": "Commit", "path": "string", "datum": "string"},
    "FileInfo": {
        "file": "File", "file_type": ("FILE", "DIR"), "committed": "time", "size_bytes": "int64", "hash": "bytes",
    },
    "DiffFileResponse": {"new_file": "FileInfo", "old_file": "FileInfo"},
    "ProjectInfo": {"project": "Project"},
    "Pipeline": {"project": "Project", "name": "string"},
    "PipelineInfo": {
        "pipeline": "Pipeline", "version": "int64", "stopped": "bool",
        "state": ("PIPELINE_RUNNING", "PIPELINE_PAUSED", "PIPELINE_FAILURE"),
        "last_job_state": ("JOB_SUCCESS", "JOB_FAILURE", "JOB_KILLED", "JOB_UNRUNNABLE", "JOB_RUNNING", "JOB_CREATED"),
        "parallelism": "int64", "type": ("PIPELINE_TYPE_TRANSFORM",), "details": "Details", "user_spec_json": "string",
        "effective_spec_json": "string",
    },
    "Job": {"pipeline": "Pipeline", "id": "string"},
    "JobInfo": {
        "job": "Job", "pipeline_version": "int64", "output_commit": "Commit", "data_processed": "int64",
        "data_skipped": "int64", "data_total": "int64", "data_failed": "int64", "data_recovered": "int64",
        "stats": "ProcessStats", "state": ("JOB_SUCCESS", "JOB_FAILURE", "JOB_UNRUNNABLE"), "reason": "string",
        "created": "time", "started": "time", "finished": "time", "details": "Details",
    },
    "JobSet": {"id": "string"},
    "JobSetInfo": {"job_set": "JobSet", "jobs": ["JobInfo"]},
    "ProcessStats": {"process_time": "duration", "download_bytes": "int64", "upload_bytes": "int64"},
    "Datum": {"job": "Job", "id": "string"},
    "DatumInfo": {
        "datum": "Datum", "state": ("SUCCESS", "SKIPPED", "RECOVERED", "FAILED"), "stats": "ProcessStats",
        "data": ["FileInfo"],
    },
    "LogMessage": {
        "project_name": "string", "pipeline_name": "string", "job_id": "string", "datum_id": "string", "user": "bool",
        "data": ["InputFile"], "message": "string",
    },
    "InputFile": {"path": "string"},
    "Details": {
        "transform": "Transform", "input": "Input", "output_branch": "string", "salt": "string", "created_at": "time",
        "datum_tries": "int64", "parallelism_spec": "ParallelismSpec", "description": "string", "autoscaling": "bool",
        "datum_timeout": "string",
    },
    "ParallelismSpec": {"constant": "int64"},
    "Transform": {"cmd": ["string"], "accept_return_code": ["int64"], "err_cmd": ["string"], "env": "map"},
    "Input": {"pfs": "PFSInput", "cross": ["Input"], "join": ["Input"], "group": ["Input"], "union": ["Input"]},
    "PFSInput": {
        "project": "string", "name": "string", "repo": "string", "repo_type": "string", "branch": "string",
        "glob": "string",
    },
    "SecretInfo": {"secret": "Secret", "type": "string", "creation_timestamp": "time"},
    "Secret": {"name": "string"},
}  # fmt: skip

KINDS = {
    "string": lambda value: isinstance(value, str) and value != "",
    "bool": lambda value: value is True,
    "int64": lambda value: isinstance(value, str) and re.fullmatch(r"-?[1-9]\d*", value) is not None,
    "time": lambda value: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value) is not None,
    "duration": lambda value: re.fullmatch(r"\d+\.\d{3}s", value) is not None,
    "bytes": lambda value: len(base64.b64decode(value, validate=True)) == 32,
    "map": lambda value: isinstance(value, dict),
}


def faults(value, kind, where):
    """Name everything in a document that is not as the message says."""
    if isinstance(kind, list):
        if not isinstance(value, list) or not value:
            return [f"{where}: expected a list that is not empty"]
        return [fault for index, each in enumerate(value) for fault in faults(each, kind[0], f"{where}[{index}]")]
    if isinstance(kind, tuple):
        return [] if value in kind else [f"{where}: {value!r} is none of {kind}"]
    if kind in KINDS:
        return [] if KINDS[kind](value) else [f"{where}: {value!r} is no {kind}"]
    unknown = [f"{where}.{name}: no field of {kind}" for name in value.keys() - FIELDS[kind].keys()]
    known = [name for name in value if name in FIELDS[kind]]
    return unknown + [fault for name in known for fault in faults(value[name], FIELDS[kind][name], f"{where}.{name}")]


def stream(text):
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state in which every kind of thing is there, with an ID of a job that failed in part."""
    world = World(tmp_path_factory.mktemp("messages") / "state")
    world.repo("in")
    world.put("in@master", {"/a": "a", "/d/b": "b", "/bad": "bad"})
    script = "for each in $(find /pfs/in/ -type f); do grep -q bad $each && exit 1; cp $each /pfs/out/; done"
    spec = toy("P", sh(script), err_cmd=["true"], accept_return_code=[3], datum_tries=1, description="copies")
    world.create(spec | {"parallelism_spec": {"constant": 2}, "datum_timeout": "10s", "autoscaling": True})
    world.create(
        toy("Q", sh("exit 1"), datum_tries=1)
        | {"input": {"cross": [{"pfs": {"repo": "in", "glob": "/*", "name": "x"}}]}}
    )
    repos.create_branch(world.store, "in", "big", trigger=Trigger(commits=2, size="1K"))
    repos.start_commit(world.store, "in", "open", "a tour")
    files.put_bytes(world.store, parse_file("in@open:/c"), b"c")
    files.copy_files(world.store, parse_file("in@master:/a"), parse_file("in@copy:/a"))
    repos.finish_commit(world.store, parse_commit("in@open"))
    world.run()
    world.store.close()
    return world.folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("list repo", "RepoInfo"),
        ("list repo --all", "RepoInfo"),
        ("inspect repo in", "RepoInfo"),
        ("list branch in", "BranchInfo"),
        ("inspect branch P@master", "BranchInfo"),
        ("list commit", "CommitSetInfo"),
        ("list commit -x", "CommitInfo"),
        ("list commit in", "CommitInfo"),
        ("list commit Q", "CommitInfo"),
        ("inspect commit P@master", "CommitInfo"),
        ("inspect commit in@master", "CommitInfo"),
        ("wait commit P@master", "CommitInfo"),
        ("subscribe commit in@master -n 1", "CommitInfo"),
        ("list file in@master", "FileInfo"),
        ("inspect file in@master:/d", "FileInfo"),
        ("inspect file in@master:/a", "FileInfo"),
        ("glob file in@master:/**", "FileInfo"),
        ("diff file in@master", "DiffFileResponse"),
        ("list pipeline", "PipelineInfo"),
        ("inspect pipeline P", "PipelineInfo"),
        ("list job", "JobSetInfo"),
        ("list job -x", "JobInfo"),
        ("list job -p Q --state failure", "JobInfo"),
        ("list datum P", "DatumInfo"),
        ("inspect datum P /a", "DatumInfo"),
        ("logs -p Q", "LogMessage"),
        ("list project", "ProjectInfo"),
        ("inspect project default", "ProjectInfo"),
    ],
)
def test_raw_prints_only_fields_that_the_message_has(state, capsys, words, message):
    assert main(["--state", str(state), *words.split(), "--raw"]) == 0
    found = stream(capsys.readouterr().out)
    assert found
    assert [fault for each in found for fault in faults(each, message, message)] == []


def test_find_commit_has_its_own_word_for_json(state, capsys):
    assert main(["--state", str(state), "find", "commit", "in@master:/a", "--json"]) == 0
    (found,) = stream(capsys.readouterr().out)
    assert faults(found, "FindCommitsResponse", "found") == []


def test_counts_states_and_sizes_are_what_happened(state, capsys):
    def one(*words):
        main(["--state", str(state), *words, "--raw"])
        return stream(capsys.readouterr().out)[-1]

    job = one("list", "job", "-p", "P")
    assert (job["state"], job["data_total"], job["data_recovered"]) == ("JOB_SUCCESS", "3", "1")
    assert job["details"]["transform"]["accept_return_code"] == ["3"]
    assert job["details"]["parallelism_spec"] == {"constant": "2"}
    assert one("list", "job", "-p", "Q")["reason"].startswith("datum ")
    assert one("inspect", "file", "in@master:/d")["size_bytes"] == "1"
    assert one("inspect", "commit", "in@open")["description"] == "a tour"
    assert one("inspect", "repo", "P.spec")["repo"]["type"] == "spec"
    pfs = {"project": "default", "name": "in", "repo": "in", "repo_type": "user", "branch": "master", "glob": "/*"}
    assert one("inspect", "pipeline", "P")["details"]["input"] == {"pfs": pfs}


def test_fields_without_a_value_are_left_out():
    assert filled(a=0, b="", c=[], d=False, e=None, f={}, g="x") == {"f": {}, "g": "x"}


def test_numbers_times_and_lengths_are_written_as_protobuf_does():
    assert (int64(3), int64(0)) == ("3", None)
    assert timestamp(1_700_000_000.5) == "2023-11-14T22:13:20.500000Z"
    assert seconds(1.5) == "1.500s"
