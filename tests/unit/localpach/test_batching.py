"""Datum batching: one program, started once, is handed datum after datum."""

import os
import sys
from pathlib import Path

import pytest

import localpach
from localpach.errors import LocalpachError
from localpach.running import jobs
from localpach.running.batching import ask_for_next
from localpach.running.kill import kill_job
from localpach.running.reporting import Silent


@pytest.fixture
def songs(world):
    """Four files in `in`."""
    world.repo("in")
    world.put("in@master", {f"/{name}": name for name in "abcd"})
    return world


def counted(script, tmp_path):
    """A shell program that first notes its start."""
    return ["sh", "-c", f"echo started >> {tmp_path}/starts; {script}"]


def starts(tmp_path):
    return (tmp_path / "starts").read_text().count("started")


LOOP = "while pachctl next datum; do . /pfs/.env; {}; done"


def test_program_is_started_once_for_all_datums(songs, tmp_path):
    songs.create(
        songs.toy(
            cmd=counted(LOOP.format("tr a-z A-Z < $in > /pfs/out/$(basename $in)"), tmp_path), datum_batching=True
        )
    )
    assert songs.tree("P@master") == {"/a": "A", "/b": "B", "/c": "C", "/d": "D"}
    assert [each.state for each in songs.datums()] == ["success"] * 4
    assert starts(tmp_path) == 1


def test_program_is_started_once_a_worker(songs, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    wait_for_other = (
        f"for i in $(seq 6000); do test $(wc -l < {tmp_path}/starts) -lt 2 || break; sleep 0.01; done; cp $in /pfs/out/"
    )
    spec = songs.toy(cmd=counted(LOOP.format(wait_for_other), tmp_path), datum_batching=True)
    songs.create({**spec, "parallelism_spec": {"constant": 2}})
    assert songs.tree("P@master") == {f"/{name}": name for name in "abcd"}
    assert starts(tmp_path) == 2


def test_python_program_may_ask_by_localpach_and_sees_only_its_datum(songs, tmp_path):
    program = """
import os, subprocess, sys
pfs = os.environ['LOCALPACH_PFS']
assert not os.path.exists(pfs + '/in')
while subprocess.run([sys.executable, '-m', 'localpach', 'next', 'datum']).returncode == 0:
    (name,) = os.listdir(pfs + '/in')
    assert os.listdir(pfs + '/out') == []
    variables = dict(line.split('=', 1) for line in open(pfs + '/.env').read().splitlines())
    assert variables['in'].endswith('/in/' + name), variables
    with open(pfs + '/out/' + name, 'w') as file:
        file.write(variables['PACH_DATUM_ID'])
"""
    source = str(Path(localpach.__file__).parent.parent)
    songs.create(songs.toy(cmd=[sys.executable, "-c", program], datum_batching=True, env={"PYTHONPATH": source}))
    assert songs.tree("P@master") == {each.label: each.id for each in songs.datums()}


def test_reported_error_fails_that_datum_only_and_is_its_reason(songs, tmp_path):
    script = """
        pachctl next datum
        while :; do . /pfs/.env
            if test $(basename $in) = b; then pachctl next datum --error "no music
in it"; else cp $in /pfs/out/; pachctl next datum; fi
        done"""
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True, datum_tries=2, err_cmd=["true"]))
    assert [each.state for each in songs.datums()] == ["success", "recovered", "success", "success"]
    assert (songs.datums()[1].reason, songs.datums()[1].tries) == ("no music in it", 2)
    assert set(songs.tree("P@master")) == {"/a", "/c", "/d"}
    assert starts(tmp_path) == 1


def test_program_that_dies_has_failed_its_datum_and_is_started_again(songs, tmp_path):
    script = LOOP.format("test $(basename $in) = b && { echo out of memory >&2; exit 9; }; cp $in /pfs/out/")
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True, datum_tries=2, err_cmd=["true"]))
    assert [each.state for each in songs.datums()] == ["success", "recovered", "success", "success"]
    assert (songs.datums()[1].reason, songs.datums()[1].tries) == ("out of memory", 2)
    assert starts(tmp_path) == 3


def test_program_that_ends_well_without_asking_has_failed_its_datum(songs, tmp_path):
    songs.create(songs.toy(cmd=counted("pachctl next datum; exit 0", tmp_path), datum_batching=True, datum_tries=1))
    assert songs.last().state == "failure"
    assert "the program ended without asking for its next datum" in songs.last().reason


@pytest.mark.parametrize(
    ("script", "reason"), [("echo no model >&2; exit 1", "no model"), ("exit 0", "without asking")]
)
def test_program_that_ends_before_it_first_asks_fails_the_datum(songs, tmp_path, script, reason):
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True, datum_tries=2, glob="/"))
    assert reason in songs.last().reason
    assert starts(tmp_path) == 2


def test_program_that_cannot_be_started_fails_the_datum(songs):
    songs.create(songs.toy(cmd=["no-such-program"], datum_batching=True, glob="/"))
    assert "no-such-program: cannot be started" in songs.last().reason


def test_time_counts_from_the_hand_over_and_starts_the_program_again(songs, tmp_path):
    script = "sleep 0.6; " + LOOP.format("test $(basename $in) = b && sleep 100; cp $in /pfs/out/")
    spec = songs.toy(cmd=counted(script, tmp_path), datum_batching=True, datum_tries=1)
    songs.create({**spec, "datum_timeout": "0.5s"})
    assert [each.state for each in songs.datums()] == ["success", "failed", "success", "success"]
    assert "datum_timeout" in songs.datums()[1].reason
    assert starts(tmp_path) == 2


def test_log_of_a_datum_has_what_was_written_during_it(songs, tmp_path):
    script = "echo loading; " + LOOP.format("echo working on $(basename $in); cp $in /pfs/out/")
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True))
    logs = [songs.folder / "logs/P" / songs.last().id / f"{each.id}.log" for each in songs.datums()]
    assert [each.read_text() for each in logs] == [
        "loading\nworking on a\n", "working on b\n", "working on c\n", "working on d\n",
    ]  # fmt: skip


def test_bad_output_fails_its_datum_and_the_program_goes_on(songs, tmp_path):
    script = LOOP.format("test $(basename $in) = b && touch '/pfs/out/what?'; cp $in /pfs/out/")
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True))
    assert [each.state for each in songs.datums()] == ["success", "failed", "success", "success"]
    assert starts(tmp_path) == 1


def test_object_that_was_damaged_is_made_again_by_a_program_beside_those_that_run(songs, tmp_path):
    copy = songs.toy(
        "A", counted(LOOP.format("tr a-z A-Z < $in > /pfs/out/$(basename $in)"), tmp_path), datum_batching=True
    )
    songs.create(copy)
    digest = songs.store.trees.entry(songs.store.commit("A", songs.last("A").id).tree, "/b").digest
    stored = songs.folder / "objects" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_text("?")
    songs.create(songs.toy(cmd=["sh", "-c", LOOP.format("cp $in /pfs/out/")], datum_batching=True, repo="A"))
    assert songs.last().reason == ""
    assert songs.tree("P@master") == {"/a": "A", "/b": "B", "/c": "C", "/d": "D"}
    assert starts(tmp_path) == 2


def test_stopped_job_kills_the_program_that_waits(songs, tmp_path):
    class StopAtFirstTick(Silent):
        def tick(self, job, latest):
            if latest == "there":
                kill_job(songs.store, job.pipeline, job.id, "stopped by hand")

    script = f"echo $$ > {tmp_path}/pid; pachctl next datum; echo there; sleep 1000"
    songs.create(songs.toy(cmd=counted(script, tmp_path), datum_batching=True), run=False)
    jobs.run_jobs(songs.store, StopAtFirstTick())
    assert songs.last().state == "killed"
    state = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_path_of_any_length_will_do(tmp_path, world):
    deep = type(world)(tmp_path / ("a-long-name" * 10) / ("b-long-name" * 10) / "state")
    deep.repo("in")
    deep.put("in@master", {"/a": "x"})
    deep.create(deep.toy(cmd=["sh", "-c", LOOP.format("cp $in /pfs/out/")], datum_batching=True))
    assert deep.tree("P@master") == {"/a": "x"}


@pytest.mark.parametrize("words", ["list pipeline", "next datum --frob"])
def test_pachctl_that_a_program_finds_knows_one_command(songs, tmp_path, words):
    spec = songs.toy(cmd=["sh", "-c", f"pachctl {words}"], datum_batching=True, datum_tries=1, glob="/")
    songs.create(spec)
    assert "pachctl: " in songs.last().reason


def test_asking_without_a_job_is_one_clear_line(monkeypatch):
    monkeypatch.delenv("LOCALPACH_NEXT", raising=False)
    with pytest.raises(LocalpachError, match="datum_batching"):
        ask_for_next(None)
