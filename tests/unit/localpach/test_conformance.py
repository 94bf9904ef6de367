"""The statements of docs/conformance.md about how Pachyderm behaves, on toy pipelines; comments have their numbers."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from localpach.actions import files, pipelines, repos, timers
from localpach.errors import LocalpachError, NotFoundError, TriggerError
from localpach.running import jobs, secrets
from localpach.spec.addresses import parse_commit, parse_file
from localpach.spec.inputs import Trigger
from localpach.spec.spec import parse, parse_fields
from localpach.storage.records import Counts


def counts(job):
    return job.counts.processed, job.counts.skipped, job.counts.recovered, job.counts.failed


def test_first_job_on_an_empty_repo_succeeds_without_datums(world):  # 1
    world.repo("in")
    world.create(world.toy())
    (first,) = world.jobs("P")
    assert (first.state, first.counts) == ("success", Counts())
    assert world.line("P@master") == 1
    assert world.tree("P@master") == {}
    commit = world.put("in@master", {"/file": "content"})
    assert (world.last().id, world.last().state) == (commit, "success")
    assert counts(world.last()) == (1, 0, 0, 0)
    assert len(world.jobs("P")) == 2
    assert world.read("P@master:/file") == "content"


def test_unchanged_datum_is_skipped(toy_pipeline):  # 2
    (before,) = toy_pipeline.datums()
    toy_pipeline.put("in@master", {"/file2": "bar"})
    assert counts(toy_pipeline.last()) == (1, 1, 0, 0)
    assert (toy_pipeline.last().state, toy_pipeline.last().counts.total) == ("success", 2)
    states = {each.id: each.state for each in toy_pipeline.datums()}
    assert before.state == "success"
    assert states[before.id] == "skipped"
    assert toy_pipeline.tree("P@master") == {"/file": "foo", "/file2": "bar"}


def test_changed_file_runs_again_and_its_old_output_goes(world):  # 3
    world.repo("in")
    world.create(world.toy())
    world.put("in@master", {"/file": "foo"})
    world.change("in@master", delete=["/file"], put={"/file": "bar"})
    assert world.tree("P@master") == {"/file": "bar"}
    world.change("in@master", delete=["/file"], put={"/file2": "foo"})
    assert world.tree("P@master") == {"/file2": "foo"}
    with pytest.raises(NotFoundError, match="/file not found"):
        world.read("P@master:/file")
    assert world.line("P@master") == 4


def test_delete_and_add_in_one_commit_leaves_one_datum(toy_pipeline):  # 4a
    toy_pipeline.change("in@master", delete=["/file"], put={"/bar": "b"})
    assert toy_pipeline.tree("P@master") == {"/bar": "b"}
    (datum,) = toy_pipeline.datums()
    assert datum.label == "/bar"
    records = [each.path for each in files.listing(toy_pipeline.store, parse_commit("P.meta@master")).entries]
    assert records == [f"/meta/{datum.id}/meta", *(f"/pfs/{datum.id}/{each}" for each in (".env", "in/bar", "out/bar"))]


def test_deleting_the_only_file_empties_the_output(toy_pipeline):  # 4b
    toy_pipeline.change("in@master", delete=["/file"], put={})
    assert (toy_pipeline.last().state, toy_pipeline.last().counts) == ("success", Counts())
    assert toy_pipeline.store.commits("P")[0].finished is not None
    assert toy_pipeline.tree("P@master") == {}


def test_update_keeps_results_until_data_changes_or_reprocess_is_asked_for(world):  # 5
    def write(text):
        return world.toy(cmd=world.sh(f"printf {text} > /pfs/out/file"))

    world.repo("in")
    world.create(write("foo"))
    world.put("in@master", {"/file": "1"})
    assert world.read("P@master:/file") == "foo"
    (done,) = world.update(write("bar"))
    assert done.kept == 1
    assert counts(world.last()) == (0, 1, 0, 0)
    assert world.read("P@master:/file") == "foo"
    world.put("in@master", {"/file": "2"}, append=True)
    assert world.read("in@master:/file") == "12"
    assert world.read("P@master:/file") == "bar"
    assert [job.version for job in world.jobs("P")] == [2, 2, 1, 1]
    (done,) = world.update(write("buzz"), reprocess=True)
    assert done.kept == 0
    assert world.read("P@master:/file") == "buzz"


def test_two_datums_that_write_one_path_fail_the_job_and_are_named(world):  # 6
    world.repo("in")
    world.put("in@master", {"/foo": "f", "/bar": "b"})
    world.create(world.toy(cmd=world.sh("cat /pfs/in/* > /pfs/out/overlap")))
    job = world.last()
    assert job.state == "failure"
    assert "/overlap" in job.reason
    assert all(each.id in job.reason for each in world.datums())
    assert world.store.commit("P", job.id).error == job.reason
    world.update(world.toy())
    assert world.store.commit("P", world.last().id).error is None
    assert world.tree("P@master") == {"/foo": "f", "/bar": "b"}


def test_path_is_handed_over_to_a_new_datum(world):  # 7
    world.repo("in", "other")
    contents = {f"/{n}": str(n) * (1_000_000 if n == 7 else n) for n in range(11)}
    world.put("in@master", contents)
    world.put("other@master", {"/empty": ""})
    world.create(world.toy())
    node = {"cross": [{"pfs": {"repo": "in", "glob": "/*"}}, {"pfs": {"repo": "other", "glob": "/*"}}]}
    world.update({**world.toy(), "input": node})
    assert world.store.commit("P", world.last().id).error is None
    assert (world.last().state, counts(world.last())) == ("success", (11, 0, 0, 0))
    assert world.tree("P@master") == contents


def test_failure_cascades_as_unrunnable_and_names_the_pipeline_above(world, tmp_path):  # 8
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(
        world.toy("P1", ["no-such-program"]),
        world.toy("P2", world.sh(f"touch {trace}"), repo="P1"),
        world.toy("P3", world.sh(f"touch {trace}"), repo="P2"),
    )
    one, two, three = (world.last(name) for name in ("P1", "P2", "P3"))
    assert (one.state, two.state, three.state) == ("failure", "unrunnable", "unrunnable")
    assert "datum" in one.reason
    assert "unrunnable because" in two.reason
    assert "P2" in three.reason
    assert not trace.exists()


def test_a_middle_failure_ends_a_set_as_success_failure_unrunnable(world):  # 8
    fail = world.sh("test ! -e /pfs/in/file1 && cp /pfs/in/* /pfs/out")
    world.repo("in")
    world.create(world.toy("A"), world.toy("B", fail, repo="A"), world.toy("C", repo="B"))
    for path, states in (("/file0", ["success"] * 3), ("/file1", ["success", "failure", "unrunnable"])):
        id_ = world.put("in@master", {path: "x"})
        assert [world.records.job(name, id_).state for name in "ABC"] == states


def test_err_cmd_decides_between_recovered_and_failed(world):  # 9
    world.repo("in")
    world.put("in@master", {"/file1": "", "/file2": "", "/file3": ""})
    fails_for_2_and_3 = world.sh("test -e /pfs/in/file1 && cp /pfs/in/* /pfs/out")
    world.create(world.toy(cmd=fails_for_2_and_3, err_cmd=world.sh("test ! -e /pfs/in/file2"), datum_tries=1))
    assert world.last().state == "failure"
    assert counts(world.last()) == (1, 0, 1, 1)
    world.update(world.toy(cmd=fails_for_2_and_3, err_cmd=["true"], datum_tries=1))
    assert world.last().state == "success"
    assert counts(world.last()) == (1, 0, 2, 0)


def test_recovered_datum_is_not_skipped_afterwards(world):  # 9
    world.repo("in")
    world.put("in@master", {"/file": ""})
    world.create(world.toy(cmd=["false"], err_cmd=["true"]))
    assert (world.last().state, counts(world.last())) == ("success", (0, 0, 1, 0))
    world.update(world.toy(cmd=["true"]))
    assert (world.last().state, counts(world.last())) == ("success", (1, 0, 0, 0))


@pytest.mark.parametrize(("more", "tries"), [({"datum_tries": 5}, 5), ({}, 3)])
def test_command_that_cannot_start_is_tried_as_often_as_the_spec_says(world, more, tries):  # 10
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=["no-such-program"], glob="/", **more))
    (datum,) = world.datums()
    assert world.last().state == "failure"
    assert datum.tries == tries
    log = (world.folder / "logs" / "P" / world.last().id / f"{datum.id}.log").read_text()
    assert log.count("failed: no-such-program: cannot be started") == tries


def test_datum_that_never_ends_fails_after_its_timeout_and_is_not_recovered(world):  # 11a
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=["sleep", "1000"], datum_timeout="0.2s", datum_tries=1, err_cmd=["true"]))
    assert world.last().state == "failure"
    assert (counts(world.last()), world.last().counts.total) == ((0, 0, 0, 1), 1)
    assert "datum_timeout" in world.last().reason
    (datum,) = world.datums()
    assert (datum.state, datum.seconds >= 0.2) == ("failed", True)


def test_datum_within_its_timeout_succeeds(world):  # 11b
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=world.sh("sleep 0.1; cp /pfs/in/* /pfs/out"), datum_timeout="30s"))
    assert world.last().state == "success"


def test_job_is_killed_after_its_timeout(world):  # 11c
    world.repo("in")
    world.put("in@master", {"/one": "x", "/two": "y"})
    world.create(world.toy(cmd=["sleep", "1000"], job_timeout="0.3s"))
    job = world.last()
    assert job.state == "killed"
    assert "job_timeout" in job.reason
    assert job.finished - job.started >= 0.3


def test_accepted_return_code_is_a_success(world):  # 12
    world.repo("in")
    world.create(world.toy(cmd=world.sh("exit 1"), accept_return_code=[1]))
    world.put("in@master", {"/file": "x"})
    assert [job.state for job in world.jobs("P")] == ["success", "success"]


def test_program_sees_pachyderms_variables(world):  # 13
    script = 'python3 -c \'import os, json; json.dump(dict(os.environ), open("/pfs/out/env", "w"))\''
    world.repo("in")
    world.create(world.toy(cmd=world.sh(script), env={"bar": "bar", "PACH_JOB_ID": "mine"}))
    id_ = world.put("in@master", {"/file": "x"})
    seen = json.loads(world.read("P@master:/env"))
    assert seen["bar"] == "bar"
    assert seen["PACH_JOB_ID"] == seen["PACH_OUTPUT_COMMIT_ID"] == seen["in_COMMIT"] == id_
    assert seen["in"] == seen["LOCALPACH_PFS"] + "/in/file"
    assert seen["PPS_PIPELINE_NAME"] == "P"
    preview = pipelines.preview_datums(world.store, world.records.spec("P", 1))
    assert [seen["PACH_DATUM_ID"]] == [each.id for each in preview]


def test_program_is_given_its_secrets_as_file_and_variable(world, tmp_path):  # 13
    manifest = tmp_path / "secret.json"
    manifest.write_text(json.dumps({"kind": "Secret", "metadata": {"name": "S"}, "stringData": {"foo": "foo"}}))
    secrets.create_secret(world.store.folder, manifest)
    mount = {"name": "S", "key": "foo", "mount_path": "/var/secret", "env_var": "foo"}
    world.repo("in")
    world.create(world.toy(cmd=world.sh("cat /var/secret/foo > /pfs/out/file; echo $foo > /pfs/out/variable"),
                           secrets=[mount]))  # fmt: skip
    world.put("in@master", {"/file": "x"})
    assert world.tree("P@master") == {"/file": "foo", "/variable": "foo\n"}


def test_pipeline_whose_secret_or_key_is_missing_is_refused(world, tmp_path):  # 13, from the checks of a spec
    world.repo("in")
    spec = world.toy(secrets=[{"name": "S", "key": "foo", "env_var": "foo"}])
    with pytest.raises(NotFoundError, match="secret S not found"):
        world.create(spec)
    manifest = tmp_path / "secret.json"
    manifest.write_text(json.dumps({"kind": "Secret", "metadata": {"name": "S"}, "stringData": {"bar": "x"}}))
    secrets.create_secret(world.store.folder, manifest)
    with pytest.raises(NotFoundError, match="foo"):
        world.create(spec)
    assert world.records.pipelines() == []


def test_join_and_group_keys_are_variables(world):  # 13
    world.repo("repo1", "repo2", "repo")
    world.put("repo1@master", {"/a": ""})
    world.put("repo2@master", {"/a": ""})
    world.put("repo@master", {"/a-1": "", "/a-2": "", "/b-1": "", "/b-2": ""})
    members = [{"pfs": {"repo": name, "glob": "/(*)", "join_on": "$1"}} for name in ("repo1", "repo2")]
    keys = "$PACH_DATUM_repo1_JOIN_ON $PACH_DATUM_repo2_JOIN_ON"
    world.create({**world.toy("J", world.sh(f'echo "{keys}" > /pfs/out/keys')), "input": {"join": members}})
    assert world.read("J@master:/keys") == "a a\n"
    group = [{"pfs": {"repo": "repo", "glob": "/(*)-*", "group_by": "$1"}}]
    key = "$PACH_DATUM_repo_GROUP_BY"
    world.create({**world.toy("G", world.sh(f"echo {key} > /pfs/out/{key}")), "input": {"group": group}})
    assert world.tree("G@master") == {"/a": "a\n", "/b": "b\n"}


@pytest.mark.parametrize("pfs", [{}, {"empty_files": True}, {"lazy": True}])
def test_symlinks_in_out_become_the_files_they_lead_to(world, tmp_path, pfs):  # 14
    elsewhere = tmp_path / "elsewhere"
    script = f"""
        mkdir -p {elsewhere}/tree/deep /pfs/out/dir; echo buzz > {elsewhere}/buzz; echo x > {elsewhere}/tree/deep/x
        ln -s /pfs/in/foo /pfs/out/foo; ln -s /pfs/in/dir1/bar /pfs/out/bar; ln -s /pfs/in/dir2 /pfs/out/dir/dir2
        ln -s {elsewhere}/buzz /pfs/out/buzz; ln -s {elsewhere}/tree /pfs/out/dir3"""
    world.repo("in")
    world.put("in@master", {"/foo": "foo", "/dir1/bar": "bar", "/dir2/foo": "foo2"})
    world.create(world.toy(cmd=world.sh(script), glob="/", pfs=pfs))
    assert world.last().reason == ""
    assert world.tree("P@master") == {
        "/foo": "foo", "/bar": "bar", "/dir/dir2/foo": "foo2", "/buzz": "buzz\n", "/dir3/deep/x": "x\n",
    }  # fmt: skip


def test_empty_files_are_empty_for_the_program_and_whole_in_the_output(world):  # 15
    script = "for f in /pfs/in/dir/*; do test ! -s $f && ln -s $f /pfs/out/$(basename $f) || exit 1; done"
    world.repo("in")
    world.create(world.toy(cmd=world.sh(script), pfs={"empty_files": True}))
    world.put("in@master", {"/dir/file1": "1", "/dir/file2": "2", "/dir/file3": "3"})
    assert world.tree("P@master") == {"/file1": "1", "/file2": "2", "/file3": "3"}


@pytest.mark.parametrize("finished", [False, True])
def test_glob_counts(world, finished):  # 16
    names = [f"/{folder}file{n}" for folder in ("", "dir1/", "dir2/dir3/") for n in range(100)]
    world.repo("in")
    repos.start_commit(world.store, "in", "master")
    world.put("in@master", dict.fromkeys(names, "x"))
    if finished:
        repos.finish_commit(world.store, parse_commit("in@master"))

    def count(pattern):
        return len(files.glob_files(world.store, parse_commit("in@master"), pattern))

    expected = {
        "*": 102,
        "file*": 100,
        "dir1/*": 100,
        "dir2/dir3/*": 100,
        "*/*": 101,
        "**file1?": 30,
        "dir2/dir3/file1?": 10,
    }
    assert {pattern: count(pattern) for pattern in expected} == expected
    with pytest.raises(NotFoundError, match="not-there"):
        world.read("in@master:/not-there")
    files.delete_files(world.store, parse_file("in@master:/"), recursive=True)
    assert count("**") == 0


@pytest.mark.parametrize(
    "name",
    ["foo\0bar", "\x1ffoobar", "foo\x7fbar", "foobar\x0b", "foobar*", "Sigur R\u00f3s.mp3", "a/../b", "./a", "..", ""]
    + [f"a{character}b" for character in "*?[]{}!()@+^"],
)
def test_file_names_that_pachyderm_refuses_are_refused(world, name):  # 17
    world.repo("in")
    repos.start_commit(world.store, "in", "master")
    with pytest.raises(LocalpachError, match="is refused"):
        files.put_bytes(world.store, parse_file("in@master:/" + name), b"x")
    assert world.tree("in@master") == {}


@pytest.mark.parametrize("name", ["foo bar", "foobar~", "Afoobar", "it's & so, on #1"])
def test_file_names_that_pachyderm_takes_are_taken(world, name):  # 17
    world.repo("in")
    world.put("in@master", {"/" + name: "x"})
    assert world.tree("in@master") == {"/" + name: "x"}


def pfs(glob, repo="in", **more):
    return {"pfs": {"repo": repo, "glob": glob, "name": more.pop("name", ""), **more}}


def names(*numbers):
    return [f"n{number}" for number in numbers]


NOTHING, B, C = pfs("!(**)", name="a"), pfs("/n?1", name="b"), pfs("/n*2", name="c")
D, E = {"union": [B, C]}, {"cross": [B, C]}
XY = pfs("/n(?)(?)", name="x", join_on="$1$2", group_by="$1")
YX = pfs("/n(?)(?)", name="y", join_on="$2$1", group_by="$2")
ONES, TWOS = names(11, 21, 31, 41), names(2, 12, 22, 32, 42)
TENS = {k: names(*(10 * k + y for y in range(10))) if k in range(1, 5) else [] for k in range(10)}
ENDS = {k: names(*(10 * x + k for x in range(1, 5))) for k in range(10)}


def renamed(node, name):
    return {"pfs": {**node["pfs"], "name": name}}


@pytest.mark.parametrize(
    ("node", "datums"),
    [
        pytest.param(NOTHING, [], id="a"),
        pytest.param(B, [[each] for each in ONES], id="b"),
        pytest.param(C, [[each] for each in TWOS], id="c"),
        pytest.param(D, [[each] for each in (*ONES, *TWOS)], id="d"),
        pytest.param(E, [[one, two] for one in ONES for two in TWOS], id="e"),
        pytest.param(
            {"cross": [{"union": [renamed(B, "p"), renamed(C, "q")]}, NOTHING, renamed(C, "r"), E]}, [], id="f"
        ),
        pytest.param(
            {"cross": [{"cross": [{"union": [renamed(B, "p"), renamed(C, "q")]}, NOTHING, E]}, renamed(B, "z")]}, [],
            id="f crossed",
        ),
        pytest.param({"join": [XY, YX]}, [names(f"{x}{y}", f"{y}{x}") for x in "1234" for y in "1234"], id="g"),
        pytest.param(
            {"join": [pfs("/n1(?)", name="x", join_on="$1", outer_join=True),
                      pfs("/n(?)1", name="y", join_on="$1", outer_join=True)]},
            [*(names(f"1{y}", f"{y}1") for y in "1234"), *(names(f"1{y}") for y in "056789")],
            id="h",
        ),
        pytest.param({"group": [XY]}, [TENS[k] for k in range(1, 5)], id="i"),
        pytest.param({"group": [XY, YX]}, [TENS[k] + ENDS[k] for k in range(10)], id="j"),
        pytest.param(
            {"group": [{"join": [XY, YX]}]},
            [[*names(*(f"{k}{y}" for y in "1234")), *names(*(f"{y}{k}" for y in "1234"))] for k in "1234"], id="k",
        ),
        pytest.param(
            {"union": [pfs("/n(?)(?)"), {"group": [pfs("/n(?)(?)", group_by="$2")]}]},
            [*(names(number) for number in range(10, 50)), *ENDS.values()], id="l",
        ),
        *(
            pytest.param(
                {"join": [pfs(glob, "A", join_on="$1"), pfs(glob, "B", join_on="$1")]},
                [[f"f-{n}", f"f-{n}"] for n in range(10)], id=f"m {glob}",
            )
            for glob in ("/(*)", "/(*)/")
        ),
        pytest.param(
            {"join": [pfs("/dir-(?)(?)", "C", join_on="$2"), pfs("/dir-(?)(?)", "D", join_on="$1")]},
            [["dir-01/foo", "dir-10/bar"]], id="n",
        ),
        pytest.param(
            {"group": [pfs("/f.(?)(?)(?)(?)", "O", group_by="$3")]},
            [[f"f.{n:04b}" for n in range(16) if f"{n:04b}"[2] == key] for key in "01"], id="o",
        ),
    ],
)  # fmt: skip
def test_input_expands_to_the_datums_of_the_table(world, node, datums):  # 18
    world.repo("in", "A", "B", "C", "D", "O")
    world.put("in@master", {f"/n{number}": "" for number in range(50)})
    for repo in "AB":
        world.put(f"{repo}@master", {f"/f-{number}": "" for number in range(10)})
    world.put("C@master", {"/dir-01/foo": ""})
    world.put("D@master", {"/dir-10/bar": ""})
    world.put("O@master", {f"/f.{number:04b}": "" for number in range(16)})
    matched = pipelines.preview_datums(world.store, world.parsed({**world.toy(), "input": node}))
    found = [
        sorted(entry.path[1:] for each in datum.inputs for entry in each.listing.below(each.path)) for datum in matched
    ]
    assert sorted(found) == sorted(sorted(datum) for datum in datums)


def test_file_and_directory_of_one_name_finish_with_an_error(world):  # 17
    world.repo("in")
    id_ = world.put("in@master", {"/foo": "", "/foo/bar": ""})
    assert "/foo is both a file and a directory" in world.store.commit("in", id_).error


@pytest.mark.parametrize("finish_last", [True, False])
def test_errored_commit_is_no_base(world, finish_last):  # 19
    world.repo("in")
    world.put("in@master", {"/f1": ""})
    repos.start_commit(world.store, "in", "master")
    world.put("in@master", {"/f2": ""})
    repos.finish_commit(world.store, parse_commit("in@master"), error="bad")
    repos.start_commit(world.store, "in", "master")
    world.put("in@master", {"/f3": ""})
    if finish_last:
        repos.finish_commit(world.store, parse_commit("in@master"))
    assert set(world.tree("in@master^2")) == {"/f1"}
    assert set(world.tree("in@master^1")) == {"/f1", "/f2"}
    assert set(world.tree("in@master")) == {"/f1", "/f3"}


def test_a_diamond_has_one_id_and_one_job_a_pipeline(world):  # 20
    same = {"cross": [{"pfs": {"repo": "A", "glob": "/*"}}, {"pfs": {"repo": "B", "glob": "/*"}}]}
    world.repo("A")
    compare = world.sh("cmp /pfs/A/file /pfs/B/file && cp /pfs/A/file /pfs/out")
    world.create(world.toy("B", repo="A"), {**world.toy("C", compare), "input": same})
    for text in ("one", "two"):
        id_ = world.put("A@master", {"/file": text})
        assert [world.records.job(name, id_).state for name in "BC"] == ["success", "success"]
        repos_of_the_set = sorted(each.repo for each in world.store.commit_set(id_))
        assert repos_of_the_set == ["A", "B", "B.meta", "B.spec", "C", "C.meta", "C.spec"]
    assert [world.line(f"{name}@master") for name in "ABC"] == [3, 3, 3]


def test_each_commit_to_a_chain_gives_a_set_of_jobs_though_content_is_the_same(world):  # 20
    world.repo("in")
    names = ["A", "B", "C", "D"]
    world.create(*(world.toy(name, repo=above) for above, name in zip(["in", *names], names, strict=False)))
    for _ in range(5):
        id_ = world.put("in@master", {"/file": "same"})
        assert [job.state for job in world.records.jobs(None, id_)] == ["success"] * 4


def test_branches_with_provenance_follow_only_what_they_read(world):  # 20
    world.repo("A", "B", "C", "D", "E")
    for name, above in (("B", ["A"]), ("C", ["B", "E"]), ("D", ["C"])):
        repos.create_branch(world.store, name, "master", provenance=[(each, "master") for each in above])
    head = {name: repos.find_commit(world.store, parse_commit(f"{name}@master")).id for name in "BCD"}
    id_ = world.put("A@master", {"/file": ""})
    assert [world.store.branch(name, "master").head for name in "BCD"] == [id_] * 3
    later = world.put("E@master", {"/file": ""})
    assert [world.store.branch(name, "master").head for name in "BCD"] == [id_, later, later]
    assert repos.find_commit(world.store, parse_commit(f"B@{later}")).id == id_
    assert id_ not in head.values()


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns; each change takes a second of it."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def moves(world, clock, puts, *, triggered="master"):
    """Put to `staging` step by step; tell at which puts, counted from 1, the triggered branch moved.

    A number is the size of a new file, a list that of one file that is replaced, `None` a pause of ten seconds.
    """
    found = []
    number = 0
    for put in puts:
        if put is None:
            clock[0] += 10
            continue
        number += 1
        clock[0] += 0.1
        path, size = ("/same", put[0]) if isinstance(put, list) else (f"/{number}", put)
        id_ = world.put("in@staging", {path: "x" * size})
        if world.store.branch("in", triggered).head == id_:
            found.append(number)
    return found


ANY = {"size": "100", "commits": 3, "rate_limit_spec": "@every 10s"}


@pytest.mark.parametrize(
    ("trigger", "puts", "moved"),
    [
        ({"size": "1K"}, [[5], [1000]], [2]),
        ({"commits": 1}, [1] * 6, [1, 2, 3, 4, 5, 6]),
        ({"commits": 2}, [1] * 6, [2, 4, 6]),
        ({"commits": 3}, [1] * 7, [3, 6]),
        (ANY, [1, 99, 1, 1, 1, 1, None, 1], [2, 5, 7]),
        ({**ANY, "all": True}, [100, 100, None, 100, 100, 100, 100, None, 100], [3, 7]),
        ({}, [1, 1], []),
    ],
)
def test_branch_moves_when_its_trigger_holds(world, clock, trigger, puts, moved):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "master", trigger=Trigger("staging", **trigger))
    assert moves(world, clock, puts) == moved


def test_triggered_branch_triggers_the_next(world, clock):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "b", trigger=Trigger("staging", size="100"))
    repos.create_branch(world.store, "in", "c", trigger=Trigger("b", size="200"))
    heads = []
    for number in range(1, 6):
        clock[0] += 1
        id_ = world.put("in@staging", {f"/{number}": "x" * 50})
        heads.append("".join(name for name in "bc" if world.store.branch("in", name).head == id_))
    assert heads == ["", "b", "", "bc", ""]


def test_scheduled_trigger_moves_at_the_next_tick_and_not_again_before_a_commit(world, clock):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "master", trigger=Trigger("staging", cron_spec="@every 3s"))
    id_ = world.put("in@staging", {"/file": "x"})
    moved = []
    for _ in range(9):
        clock[0] += 1
        moved.append(timers.fire_due(world.store, clock[0]))
    assert moved == [False, False, True] + [False] * 6
    assert world.store.branch("in", "master").head == id_
    later = world.put("in@staging", {"/file": "y"})
    clock[0] += 3
    assert timers.fire_due(world.store, clock[0])
    assert world.store.branch("in", "master").head == later


def test_branch_moved_by_hand_triggers_nothing(world, clock):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "master", trigger=Trigger("staging", commits=1))
    before = world.store.branch("in", "master").head
    world.put("in@other", {"/file": "x"})
    repos.create_branch(world.store, "in", "staging", head=parse_commit("in@other"))
    assert world.store.branch("in", "master").head == before


def test_pipelines_with_triggers_run_when_enough_has_come(world, clock):  # 21
    def spec(name, repo, size):
        return world.toy(name, repo=repo, pfs={"trigger": {"branch": "master", "size": size}})

    def put(numbers):
        for number in numbers:
            clock[0] += 1
            world.put("in@master", {f"/{number:02}": "x" * 100})

    world.repo("in")
    world.create(spec("P1", "in", "1K"), spec("P2", "P1", "2K"))
    put(range(10))
    assert (len(world.tree("P1@master")), len(world.tree("P2@master"))) == (10, 0)
    put(range(10, 20))
    assert (len(world.tree("P1@master")), len(world.tree("P2@master"))) == (20, 20)
    assert (world.line("P1@master"), world.line("P2@master")) == (3, 2)
    world.update(spec("P2", "P1", "2K"))
    branches = {repo: sorted(each.name for each in world.store.branches(repo)) for repo in ("in", "P1")}
    assert branches == {"in": ["P1-trigger-1", "master"], "P1": ["P2-trigger-1", "master"]}
    assert len(world.tree("P2@master")) == 20


def test_trigger_that_cannot_be_is_refused(world):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "b", trigger=Trigger("a", commits=1))
    with pytest.raises(TriggerError, match="trigger itself: a <- b <- a"):
        repos.create_branch(world.store, "in", "a", trigger=Trigger("b", commits=1))
    with pytest.raises(TriggerError, match="trigger itself: c <- c"):
        repos.create_branch(world.store, "in", "c", trigger=Trigger("c", commits=1))
    world.create(world.toy())
    with pytest.raises(TriggerError, match="it has provenance"):
        repos.create_branch(world.store, "P", "master", trigger=Trigger("other", commits=1))
    assert [each.name for each in world.store.branches("in") if each.trigger] == ["b"]


def test_commit_with_an_error_triggers_nothing(world):  # 21
    world.repo("in")
    repos.create_branch(world.store, "in", "master", trigger=Trigger("staging", commits=1))
    before = world.store.branch("in", "master").head
    world.put("in@staging", {"/foo": "", "/foo/bar": ""})
    assert world.store.branch("in", "master").head == before


def test_work_is_deferred_until_a_head_is_moved(world):  # 22
    world.repo("in")
    world.put("in@master", {})
    world.create(world.toy("P1", output_branch="staging"), world.toy("P2", repo="P1"))
    before = len(world.jobs("P1")), len(world.jobs("P2"))
    id_ = world.put("in@staging", {"/file": "x"})
    assert [each.repo for each in world.store.commits(id_=id_)] == ["in"]
    repos.create_branch(world.store, "in", "master", head=parse_commit("in@staging"))
    world.run()
    assert world.tree("P1@staging") == {"/file": "x"}
    assert (len(world.jobs("P1")), len(world.jobs("P2"))) == (before[0] + 1, before[1])
    repos.create_branch(world.store, "P1", "master", head=parse_commit("P1@staging"))
    world.run()
    assert len(world.jobs("P2")) == before[1] + 1
    assert world.tree("P2@master") == {"/file": "x"}


def cross_with(more):
    return {"cross": [{"pfs": {"repo": "in", "glob": "/*"}}, {"pfs": {"repo": "ref", "glob": "/*", **more}}]}


def test_reference_input_does_not_make_a_datum_run_again(world):  # 23
    world.repo("in", "ref")
    world.put("in@master", {"/file": "1"})
    world.put("ref@master", {"/file": "1"})
    world.create({**world.toy(cmd=["true"]), "input": cross_with({"reference": True})})
    assert counts(world.last()) == (1, 0, 0, 0)
    world.put("ref@master", {"/file": "2"})
    assert counts(world.last()) == (0, 1, 0, 0)
    world.put("in@master", {"/file": "2"})
    assert counts(world.last()) == (1, 0, 0, 0)


def test_input_that_never_propagates_starts_nothing_but_is_read_at_its_newest(world):  # 24
    world.repo("in", "ref")
    world.put("in@master", {"/file": "1"})
    copy = world.sh("cp /pfs/ref/file /pfs/out/")
    world.create({**world.toy(cmd=copy), "input": cross_with({"propagation_spec": {"never": True}})})
    head = world.store.branch("P", "master").head
    world.put("ref@master", {"/file": "new"})
    assert world.store.branch("P", "master").head == head
    id_ = world.put("in@master", {"/file": "2"})
    assert world.store.branch("P", "master").head == id_
    assert world.tree("P@master") == {"/file": "new"}


def test_update_kills_the_jobs_that_run(world, wait_until):  # 25
    world.repo("in")
    world.create(world.toy(cmd=["sleep", "1000"], parallelism_spec={"constant": 2}))
    for number in range(2):
        world.put("in@master", {f"/{number}-{n}": "x" for n in range(50)}, run=False)
    runner = threading.Thread(target=lambda: jobs.run_jobs(type(world.store)(world.folder)))
    runner.start()
    wait_until(lambda: world.records.unfinished_jobs()[0].started is not None)
    world.update(world.toy(cmd=["true"]), run=False)
    runner.join(30)
    assert not runner.is_alive()
    assert [job.state for job in world.jobs("P")] == ["success", "killed", "killed", "success"]


def test_stopped_pipeline_gets_no_commit_until_it_is_started(world):  # 26
    world.repo("in")
    world.create(world.toy("P"), world.toy("C", repo="P"))
    pipelines.stop_pipeline(world.store, "P")
    world.put("in@master", {"/file": "x"})
    assert (world.line("P@master"), world.line("C@master")) == (1, 1)
    pipelines.start_pipeline(world.store, "P")
    world.run()
    assert (world.line("P@master"), world.tree("C@master")) == (2, {"/file": "x"})


def test_stopped_pipeline_in_the_middle_holds_back_what_reads_it(world):  # 26
    world.repo("A")
    world.create(world.toy("B", repo="A"), world.toy("C", repo="B"))
    world.put("A@master", {"/one": "1"})
    before = world.line("B@master"), world.line("C@master")
    pipelines.stop_pipeline(world.store, "B")
    world.put("A@master", {"/two": "2"})
    assert (world.line("B@master"), world.line("C@master")) == before
    assert world.tree("C@master") == {"/one": "1"}


def test_updated_while_stopped_it_stays_stopped(world):  # 26
    world.repo("in")
    world.create(world.toy())
    pipelines.stop_pipeline(world.store, "P")
    world.update(world.toy(datum_tries=1))
    assert (world.records.pipeline("P").version, world.records.pipeline("P").stopped) == (2, True)
    assert pipelines.pipeline_state(world.store, world.records.pipeline("P")) == "paused"
    assert world.line("P@master") == 1
    world.put("in@master", {"/file": "x"})
    assert world.line("P@master") == 1
    pipelines.start_pipeline(world.store, "P")
    world.run()
    assert (world.line("P@master"), world.tree("P@master")) == (2, {"/file": "x"})


def test_every_job_never_skips_and_writes_each_path_once(world):  # 27
    world.repo("in")
    world.put("in@master", {"/a": "a"})
    world.create(world.toy(reprocess_spec="every_job"))
    world.put("in@master", {"/b": "b"})
    assert counts(world.last()) == (2, 0, 0, 0)
    assert world.tree("P@master") == {"/a": "a", "/b": "b"}


def test_children_left_in_the_background_are_killed(world, wait_until):  # 28
    script = "sleep infinity & echo $! > /pfs/out/pid-$(ls /pfs/in/); cp /pfs/in/* /pfs/out"
    world.repo("in")
    world.put("in@master", {"/foo": "f", "/bar": "b"})
    world.create(world.toy(cmd=world.sh(script), datum_timeout="30s"))
    assert world.last().state == "success"
    found = world.tree("P@master")
    assert {"/foo", "/bar"} < set(found)
    for path in ("/pid-foo", "/pid-bar"):
        state = Path(f"/proc/{int(found[path])}/stat")
        wait_until(lambda state=state: not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_stdin_need_not_be_read(world):  # 29
    world.repo("in")
    world.create(world.toy(cmd=["true"], glob="/", stdin=["x" * 200_000]))
    for number in range(20):
        id_ = world.put("in@master", {"/file": str(number)})
        (job,) = world.records.jobs(None, id_)
        assert job.state == "success"


GOOD = {"pipeline": {"name": "a"}, "transform": {"cmd": ["true"]}, "input": {"pfs": {"repo": "in", "glob": "/"}}}
SAME = {"pfs": {"repo": "in", "glob": "/", "name": "x"}}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ('{"pipeline": {"name": "a"}}', 1),
        ("pipeline: {name: a}\ndatumTries: 4\nresourceRequests: {disk: 256Mi, cpu: .5}\nautoscaling: true\n", 1),
        ("pipeline: {name: a}\ndatum_tries: 4\nresource_requests: {disk: 256Mi, cpu: .5}\nautoscaling: true\n", 1),
        ('pipeline:\n  name: a\n---\n{"pipeline": {"name": "b"}}\n', 2),
        ("- pipeline: {name: a}\n- pipeline: {name: b}\n", 2),
        ('[{"pipeline": {"name": "a"}}, {"pipeline": {"name": "b"}}]', 2),
        ('{"pipeline": {"name": "a"}, "resourceRequests": null}', 1),
        ('{"$schema": "https://x", "pipeline": {"name": "a"}}', 1),
    ],
)
def test_spec_file_is_accepted_and_gives_its_specs(text, count):  # 30
    assert len(parse_fields(text)) == count


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: [b", "no YAML"),
        ("just words", "expected an object or a list"),
        ('"just words"', "expected an object or a list"),
        (json.dumps({**GOOD, "inputs": {}}), r"\$\.inputs: unknown field; did you mean input\?"),
        (json.dumps({**GOOD, "input": {"cross": [SAME, {"pfs": {"repo": "in", "globb": "/"}}]}}),
         r"\$\.input\.cross\[1\]\.pfs\.globb: unknown field; did you mean glob\?"),
        (json.dumps({key: GOOD[key] for key in ("transform", "input")}), r"\$\.pipeline\.name: missing"),
        (json.dumps({key: GOOD[key] for key in ("pipeline", "input")}), r"\$\.transform: missing"),
        (json.dumps({**GOOD, "transform": None}), r"\$\.transform: missing"),
        (json.dumps({key: GOOD[key] for key in ("pipeline", "transform")}), "no input set"),
        (json.dumps({**GOOD, "input": {}}), "no input set"),
        *((json.dumps({**GOOD, "input": {kind: []}}), "no input set") for kind in ("cross", "union", "join")),
        (json.dumps({**GOOD, "input": {"pfs": {"glob": "/"}}}), r"pfs\.repo: missing"),
        (json.dumps({**GOOD, "input": {"pfs": {"repo": "in"}}}), r"pfs\.glob: missing"),
        (json.dumps({**GOOD, "input": {"pfs": {"repo": "in", "glob": "/", "name": "out"}}}), "'out' is reserved"),
        (json.dumps({**GOOD, "input": {"pfs": {"repo": "out", "glob": "/"}}}), "'out' is reserved"),
        (json.dumps({**GOOD, "input": {"cross": [SAME, SAME]}}), "used more than once"),
        (json.dumps({**GOOD, "input": {"cron": {"spec": "@daily"}}}), r"cron\.name: missing"),
        (json.dumps({**GOOD, "input": {"cron": {"name": "tick"}}}), r"cron\.spec: empty"),
        (json.dumps({**GOOD, "input": {"pfs": {"repo": "nothing", "glob": "/"}}}), "repo nothing not found"),
        (json.dumps({**GOOD, "input": {"pfs": {"repo": "a", "glob": "/"}}}), "itself"),
        (json.dumps({**GOOD, "pipeline": {"name": "P"}}), "pipeline P already exists"),
        (json.dumps({**GOOD, "pipeline": {"name": "in"}, "input": {"pfs": {"repo": "P", "glob": "/"}}}),
         "repo in already exists"),
        (json.dumps({**GOOD, "transform": {}}), r"\$\.transform\.cmd: missing"),  # refused at once
    ],
)  # fmt: skip
def test_spec_is_refused_and_the_cause_named(toy_pipeline, text, cause):  # 30
    before = toy_pipeline.records.pipelines()
    with pytest.raises(LocalpachError, match=cause):
        pipelines.create_pipelines(toy_pipeline.store, parse(text))
    assert toy_pipeline.records.pipelines() == before


def test_stdin_reaches_the_program_with_pfs_mapped(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=["sh"], stdin=["cp /pfs/in/file /pfs/out/one", "echo two > /pfs/out/two"]))
    assert world.tree("P@master") == {"/one": "x", "/two": "two\n"}


def test_datums_run_side_by_side_give_what_one_after_another_gives(world):
    world.repo("in")
    world.put("in@master", {f"/{n}": str(n) for n in range(12)})
    world.create(world.toy("one"), world.toy("many", parallelism_spec={"constant": os.cpu_count() or 1}))
    assert world.tree("one@master") == world.tree("many@master")


def test_after_a_failed_job_its_successful_datums_run_again(world):
    world.repo("in")
    world.put("in@master", {"/good": "g", "/bad": "b"})
    world.create(world.toy(cmd=world.sh("test -e /pfs/in/good && cp /pfs/in/* /pfs/out"), datum_tries=1))
    assert counts(world.last()) == (1, 0, 0, 1)
    assert world.tree("P@master") == {}
    world.change("in@master", delete=["/bad"], put={})
    assert counts(world.last()) == (1, 0, 0, 0)
    assert world.tree("P@master") == {"/good": "g"}
