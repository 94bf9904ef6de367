"""Squashing and deleting commit sets: what goes, what stays, and what is refused."""

import pytest

from localpach.actions import fsck, history, pipelines, repos
from localpach.cli import main
from localpach.errors import HistoryError, LocalpachError, NotFoundError
from localpach.running import jobs
from localpach.running.kill import kill_job
from localpach.running.reporting import Silent
from localpach.spec.addresses import parse_commit
from localpach.storage.records import Records


@pytest.fixture
def chain(world):
    """`in` → P → Q, and three commits to `in`: /a, then /b, then /a again; gives the world and the three IDs."""
    world.repo("in")
    world.create(world.toy("P"), world.toy("Q", repo="P"))
    ids = [world.put("in@master", {path: text}) for path, text in (("/a", "1"), ("/b", "2"), ("/a", "3"))]
    return world, ids


def trees(world):
    return {name: world.tree(f"{name}@master") for name in ("in", "P", "Q")}


def everything(world):
    store = world.store
    return (
        [store.branches(repo.name) for repo in store.repos()],
        store.commits(),
        world.records.jobs(),
        trees(world),
    )


def test_squashed_set_is_gone_and_its_files_stay_in_the_commits_after_it(chain):
    world, (first, middle, last) = chain
    before = trees(world)
    history.squash_commit_set(world.store, middle)
    assert world.store.commits(id_=middle) == []
    assert world.records.jobs(None, middle) == []
    assert trees(world) == before
    assert world.store.commit("in", last).parent == first
    assert world.store.commit("P.meta", last).parent == first
    assert world.tree("in@master^") == {"/a": "1"}
    assert world.line("P@master") == 3


def test_datum_that_ran_in_a_squashed_job_is_still_skipped_and_its_log_found(chain, capsys):
    world, (_, middle, _) = chain
    history.squash_commit_set(world.store, middle)
    world.put("in@master", {"/c": "4"})
    assert [(each.label, each.state) for each in world.datums("Q")] == [
        ("/a", "skipped"), ("/b", "skipped"), ("/c", "success"),
    ]  # fmt: skip
    assert world.datums("P")[1].ran_in == middle
    assert (world.folder / "logs" / "P" / middle / f"{world.datums('P')[1].id}.log").exists()


def test_job_that_nothing_skips_to_is_forgotten_when_squashed(chain):
    world, (first, middle, _) = chain
    history.squash_commit_set(world.store, middle)
    history.squash_commit_set(world.store, first)
    world.change("in@master", delete=["/b"], put={})
    kept = world.store.sql.execute("SELECT count(*) FROM jobs WHERE state = 'squashed'").fetchone()
    assert kept == (2,)  # P's and Q's of the middle, where /b ran
    newest = world.last().id
    world.put("in@master", {"/d": "5"})
    for id_ in [job.id for job in world.jobs("P")[1:-1]]:
        history.squash_commit_set(world.store, id_)
    assert newest not in [job.id for job in world.jobs("P")]
    # /b is in no job of the list any more: what ran in the middle serves nobody.
    kept = {id_ for (id_,) in world.store.sql.execute("SELECT id FROM jobs WHERE state = 'squashed'")}
    assert middle not in kept
    assert world.tree("Q@master") == {"/a": "3", "/d": "5"}


def test_restarted_datum_of_a_squashed_job_runs_again(chain):
    world, (_, middle, _) = chain
    history.squash_commit_set(world.store, middle)
    pipelines.restart_datums(world.store, "P", [world.datums("P")[1].id])
    world.run()
    assert [(each.label, each.state) for each in world.datums("P")] == [("/a", "skipped"), ("/b", "success")]


def test_deleted_set_takes_branches_back_and_its_jobs_away(chain):
    world, (_, middle, last) = chain
    history.delete_commit_set(world.store, last)
    assert world.records.jobs(None, last) == []
    assert trees(world) == {name: {"/a": "1", "/b": "2"} for name in ("in", "P", "Q")}
    assert [world.store.branch(name, "master").head for name in ("in", "P", "Q", "P.meta")] == [middle] * 4
    world.put("in@master", {"/c": "4"})
    assert world.tree("Q@master") == {"/a": "1", "/b": "2", "/c": "4"}
    assert [each.state for each in world.datums("Q")] == ["skipped", "skipped", "success"]


def test_open_commit_can_be_deleted_with_the_jobs_that_wait_for_it(chain):
    world, (_, _, last) = chain
    before = everything(world)
    opened = repos.start_commit(world.store, "in", "master")
    assert not world.last("Q").ended
    history.delete_commit_set(world.store, opened.id)
    assert everything(world) == before
    assert world.store.branch("Q", "master").head == last


def test_job_whose_set_is_deleted_while_it_runs_stops_and_the_others_go_on(world, tmp_path):
    trace = tmp_path / "trace"
    world.repo("in")
    world.create(world.toy(cmd=world.sh(f"echo x >> {trace}; sleep 60"), datum_tries=1), run=False)
    world.run()
    id_ = world.put("in@master", {"/a": ""}, run=False)

    class Deletes(Silent):
        def tick(self, job, latest):
            if trace.exists():
                history.delete_commit_set(world.store, id_)

    assert jobs.run_jobs(world.store, Deletes()) == []
    assert world.store.branch("in", "master").head != id_
    assert world.records.unfinished_jobs() == []


def _head_has_no_child(world, ids):
    return ids[2], r"squash in@\w+: nothing comes after it"


def _child_is_open(world, ids):
    repos.start_commit(world.store, "in", "master")
    return ids[2], "is based on it and is still open"


def _set_is_open(world, ids):
    return repos.start_commit(world.store, "in", "master").id, "it is open; finish it first"


def _child_has_an_error(world, ids):
    repos.start_commit(world.store, "in", "master")
    repos.finish_commit(world.store, parse_commit("in@master"), error="bad")
    world.run()
    return ids[2], "ended with an error, so nothing would keep the files"


def _branch_is_at_it(world, ids):
    repos.create_branch(world.store, "in", "old", head=parse_commit(f"in@{ids[1]}"))
    return ids[1], "branch old is at it; move or delete the branch first"


def _spec_is_in_use(world, ids):
    world.update(world.toy("P"))
    return world.jobs("P")[-1].id, "P.spec@.*: P@.* and 2 more of another set was made from it"


@pytest.mark.parametrize(
    "case",
    [_head_has_no_child, _child_is_open, _set_is_open, _child_has_an_error, _branch_is_at_it, _spec_is_in_use],
)
def test_squash_that_would_lose_something_is_refused_and_changes_nothing(chain, case):
    world, ids = chain
    id_, message = case(world, ids)
    before = everything(world)
    with pytest.raises(HistoryError, match=f"{message}.*; nothing was changed"):
        history.squash_commit_set(world.store, id_)
    assert everything(world) == before


def test_squash_of_a_commit_that_another_set_was_made_from_is_refused(world):
    world.repo("in", "model")
    one = world.put("model@master", {"/m": "1"})
    both = {"cross": [{"pfs": {"repo": name, "glob": "/*"}} for name in ("in", "model")]}
    world.create({**world.toy(cmd=world.sh("cp /pfs/in/* /pfs/out")), "input": both})
    world.put("in@master", {"/a": ""})
    world.put("model@master", {"/m": "2"})
    with pytest.raises(HistoryError, match=f"model@{one}: P@.* and 1 more of another set was made from it"):
        history.squash_commit_set(world.store, one)


def test_commit_before_one_with_an_error_is_squashed_when_a_later_one_carries_on(world):
    world.repo("in")
    first = world.put("in@master", {"/f1": "1"})
    repos.start_commit(world.store, "in", "master")
    repos.finish_commit(world.store, parse_commit("in@master"), error="bad")
    world.put("in@master", {"/f3": "3"})
    history.squash_commit_set(world.store, first)
    assert world.tree("in@master") == {"/f1": "1", "/f3": "3"}


def test_only_the_end_of_the_history_can_be_deleted(chain):
    world, (first, _, last) = chain
    before = everything(world)
    with pytest.raises(HistoryError, match="comes after it; delete that set first"):
        history.delete_commit_set(world.store, first)
    with pytest.raises(NotFoundError, match=r"commit set 0{32} not found"):
        history.delete_commit_set(world.store, "0" * 32)
    assert everything(world) == before
    world.update(world.toy("P"))
    before = everything(world)
    with pytest.raises(HistoryError, match=r"version of a pipeline|comes after it"):
        history.delete_commit_set(world.store, world.last("P").id)
    assert everything(world) == before
    assert world.store.commit("in", last) is not None


def test_the_commands_squash_and_delete(chain, capsys):
    world, (_, middle, last) = chain
    state = ["--state", str(world.folder)]
    assert main([*state, "squash", "commit", middle]) == 0
    assert main([*state, "squash", "commit", last]) == 1
    assert "cannot squash" in capsys.readouterr().err
    assert main([*state, "delete", "commit", last]) == 0
    assert main([*state, "delete", "commit", "in@master"]) == 1
    assert "expected the ID of a commit set" in capsys.readouterr().err
    assert world.tree("Q@master") == {"/a": "1"}


# What a pipeline keeps beside its output


def test_pipeline_has_its_spec_and_meta_repos_and_takes_them_with_it(toy_pipeline, capsys):
    world = toy_pipeline
    assert {repo.name: repo.type for repo in world.store.repos()} == {
        "in": "user", "P": "user", "P.spec": "spec", "P.meta": "meta",
    }  # fmt: skip
    state = ["--state", str(world.folder)]
    main([*state, "list", "repo"])
    assert "P.spec" not in capsys.readouterr().out
    main([*state, "list", "repo", "--all"])
    assert {"P.spec", "P.meta"} <= set(capsys.readouterr().out.split())
    world.update(world.toy(cmd=["true"]))
    assert world.line("P.spec@master") == 2
    assert '"true"' in world.read("P.spec@master:/spec")
    assert '"true"' not in world.read("P.spec@master^:/spec")
    id_ = world.last().id
    assert world.store.provenance("P", id_)["P.spec", "master"] == id_
    pipelines.stop_pipeline(world.store, "P")
    world.put("in@master", {"/b": ""})
    assert world.line("P.meta@master") == 2
    pipelines.start_pipeline(world.store, "P")
    world.run()
    assert world.line("P.meta@master") == 3
    assert world.store.provenance("P", world.last().id)["P.spec", "master"] == id_
    pipelines.delete_pipeline(world.store, "P", keep_repo=True)
    assert {repo.name for repo in world.store.repos()} == {"in", "P"}


def test_pipeline_of_an_older_state_gets_its_system_repos_at_its_next_update(toy_pipeline):
    world = toy_pipeline
    for repo in ("P.spec", "P.meta"):
        world.store.remove_repo(repo)
    world.store.sql.execute("DELETE FROM commit_provenance WHERE up_repo = 'P.spec'")
    world.put("in@master", {"/b": ""})
    pipelines.stop_pipeline(world.store, "P")
    pipelines.start_pipeline(world.store, "P")
    world.run()
    assert world.tree("P@master") == {"/file": "foo", "/b": ""}
    assert fsck.check(world.store).problems == []
    world.update(world.toy())
    assert (world.line("P.spec@master"), world.line("P.meta@master")) == (1, 1)
    assert [each.state for each in world.datums()] == ["skipped", "skipped"]
    assert fsck.check(world.store).problems == []


@pytest.mark.parametrize("repo", ["P.spec", "P.meta"])
def test_what_localpach_keeps_is_not_changed_by_hand(toy_pipeline, repo):
    for change in (
        lambda: toy_pipeline.put(f"{repo}@master", {"/x": ""}),
        lambda: repos.delete_repo(toy_pipeline.store, repo, force=True),
        lambda: repos.create_branch(toy_pipeline.store, repo, "b"),
        lambda: repos.delete_branch(toy_pipeline.store, repo, "master", force=True),
    ):
        with pytest.raises(LocalpachError, match="kept by localpach for pipeline P; it can be read"):
            change()


def test_output_repo_goes_only_with_its_pipeline(toy_pipeline):
    with pytest.raises(LocalpachError, match="use `localpach delete pipeline P`"):
        repos.delete_repo(toy_pipeline.store, "P", force=True)
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}


def test_a_job_that_is_killed_before_it_starts_stays_killed(world):
    world.repo("in")
    world.put("in@master", {"/file": ""})
    world.create(world.toy(cmd=world.sh("true")), run=False)
    job = world.last()
    kill_job(world.store, "P", job.id, "stopped by hand")
    with world.store.transaction():
        Records(world.store).start_job(job, 1)  # by a runner that had begun to plan it
    assert world.last().state == "killed"


def test_meta_commit_is_finished_whatever_the_end_of_the_job(world):
    world.repo("in")
    world.put("in@master", {"/file": ""})
    world.create(world.toy(cmd=world.sh("exit 3")), run=False)
    kill_job(world.store, "P", world.last().id, "stopped by hand")
    world.put("in@master", {"/file": "1"})
    states = [(world.store.commit("P.meta", job.id).finished is not None, job.state) for job in world.jobs("P")]
    assert states == [(True, "failure"), (True, "killed")]
