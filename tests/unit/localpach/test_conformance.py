"""The conformance statements about how Pachyderm behaves, on toy pipelines; numbers in comments are the statements'."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from localpach import files, jobs, pipelines, repos
from localpach.addresses import parse_commit, parse_file
from localpach.errors import LocalpachError, NotFoundError
from localpach.records import Counts


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
    assert world.last().id == commit
    assert counts(world.last()) == (1, 0, 0, 0)
    assert world.read("P@master:/file") == "content"


def test_unchanged_datum_is_skipped(toy_pipeline):  # 2
    (before,) = toy_pipeline.datums()
    toy_pipeline.put("in@master", {"/file2": "bar"})
    assert counts(toy_pipeline.last()) == (1, 1, 0, 0)
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
    assert toy_pipeline.last().state == "success"
    assert toy_pipeline.tree("P@master") == {}


def test_update_keeps_results_until_data_changes_or_reprocess_is_asked_for(world):  # 5
    def write(text):
        return world.toy(cmd=world.sh(f"printf {text} > /pfs/out/file"))

    world.repo("in")
    world.put("in@master", {"/file": "1"})
    world.create(write("foo"))
    assert world.read("P@master:/file") == "foo"
    (done,) = world.update(write("bar"))
    assert done.kept == 1
    assert counts(world.last()) == (0, 1, 0, 0)
    assert world.read("P@master:/file") == "foo"
    world.put("in@master", {"/file": "2"}, append=True)
    assert world.read("in@master:/file") == "12"
    assert world.read("P@master:/file") == "bar"
    assert [job.version for job in world.jobs("P")] == [2, 2, 1]
    world.update(write("buzz"), reprocess=True)
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
    world.put("in@master", {f"/{n}": str(n) * n for n in range(11)})
    world.put("other@master", {"/empty": ""})
    world.create(world.toy())
    node = {"cross": [{"pfs": {"repo": "in", "glob": "/*"}}, {"pfs": {"repo": "other", "glob": "/*"}}]}
    world.update({**world.toy(), "input": node})
    assert world.store.commit("P", world.last().id).error is None
    assert counts(world.last()) == (11, 0, 0, 0)
    assert world.tree("P@master") == {f"/{n}": str(n) * n for n in range(11)}


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
    assert counts(world.last()) == (0, 0, 0, 1)
    assert "datum_timeout" in world.last().reason


def test_datum_within_its_timeout_succeeds(world):  # 11b
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=world.sh("sleep 0.1; cp /pfs/in/* /pfs/out"), datum_timeout="30s"))
    assert world.last().state == "success"


def test_job_is_killed_after_its_timeout(world):  # 11c
    world.repo("in")
    world.put("in@master", {"/one": "x", "/two": "y"})
    world.create(world.toy(cmd=["sleep", "1000"], job_timeout="0.3s"))
    assert world.last().state == "killed"
    assert "job_timeout" in world.last().reason


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
    for _ in range(3):
        id_ = world.put("in@master", {"/file": "same"})
        assert len(world.records.jobs(None, id_)) == 4


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


def test_update_kills_the_jobs_that_run(world):  # 25
    world.repo("in")
    world.create(world.toy(cmd=["sleep", "1000"], parallelism_spec={"constant": 2}))
    for number in range(2):
        world.put("in@master", {f"/{number}-{n}": "x" for n in range(5)}, run=False)
    runner = threading.Thread(target=lambda: jobs.run_jobs(type(world.store)(world.folder)))
    runner.start()
    while world.records.unfinished_jobs()[0].started is None:
        time.sleep(0.01)
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


def test_updated_while_stopped_it_stays_stopped(world):  # 26
    world.repo("in")
    world.create(world.toy())
    pipelines.stop_pipeline(world.store, "P")
    world.update(world.toy(datum_tries=1))
    assert (world.records.pipeline("P").version, world.records.pipeline("P").stopped) == (2, True)
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


def test_children_left_in_the_background_are_killed(world):  # 28
    script = "sleep infinity & echo $! > /pfs/out/pid-$(ls /pfs/in/); cp /pfs/in/* /pfs/out"
    world.repo("in")
    world.put("in@master", {"/foo": "f", "/bar": "b"})
    world.create(world.toy(cmd=world.sh(script), datum_timeout="30s"))
    assert world.last().state == "success"
    found = world.tree("P@master")
    assert {"/foo", "/bar"} < set(found)
    for path in ("/pid-foo", "/pid-bar"):
        state = Path(f"/proc/{int(found[path])}/stat")
        deadline = time.monotonic() + 10
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_stdin_need_not_be_read(world):  # 29
    world.repo("in")
    world.create(world.toy(cmd=["true"], glob="/", stdin=["x" * 200_000]))
    for number in range(5):
        id_ = world.put("in@master", {"/file": str(number)})
        (job,) = world.records.jobs(None, id_)
        assert job.state == "success"


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
