"""The meta repo shows the records of jobs as files, though nothing is stored for them."""

import json

import pytest

from localpach.actions import differences, downloads, files
from localpach.errors import NotFoundError
from localpach.spec.addresses import parse_commit, parse_file


def paths(world, commit):
    return [each.path for each in files.listing(world.store, parse_commit(commit)).entries]


def test_records_of_a_job_are_files(toy_pipeline):
    world = toy_pipeline
    (datum,) = world.datums()
    assert paths(world, "P.meta@master") == [
        f"/meta/{datum.id}/meta",
        f"/pfs/{datum.id}/.env",
        f"/pfs/{datum.id}/in/file",
        f"/pfs/{datum.id}/out/file",
    ]
    assert world.read(f"P.meta@master:/pfs/{datum.id}/in/file") == "foo"
    assert world.read(f"P.meta@master:/pfs/{datum.id}/out/file") == "foo"
    lines = world.read(f"P.meta@master:/pfs/{datum.id}/.env").splitlines()
    assert {"in=/pfs/in/file", f"PACH_DATUM_ID={datum.id}", f"PACH_JOB_ID={world.last().id}"} <= set(lines)
    record = json.loads(world.read(f"P.meta@master:/meta/{datum.id}/meta"))
    assert (record["state"], record["hash"], record["job"]["id"]) == ("PROCESSED", datum.hash, world.last().id)
    assert record["inputs"][0]["fileInfo"]["file"]["path"] == "/file"


def test_nothing_is_stored_for_records(toy_pipeline):
    world = toy_pipeline

    def stored():
        return sorted(path for path in (world.folder / "objects").rglob("*") if path.is_file())

    before = stored()
    paths(world, "P.meta@master")
    (datum,) = world.datums()
    world.read(f"P.meta@master:/meta/{datum.id}/meta")
    assert stored() == before
    rows = world.store.sql.execute(
        "SELECT count(*) FROM entries e JOIN commits c ON c.tree = e.tree WHERE c.repo = 'P.meta'"
    )
    assert rows.fetchone() == (0,)


def test_skipped_datum_keeps_the_record_of_the_job_it_ran_in(toy_pipeline):
    world = toy_pipeline
    ran = world.last().id
    world.put("in@master", {"/other": "bar"})
    (datum,) = [each for each in world.datums() if each.label == "/file"]
    assert f"PACH_JOB_ID={ran}" in world.read(f"P.meta@master:/pfs/{datum.id}/.env")
    assert world.read(f"P.meta@master:/pfs/{datum.id}/out/file") == "foo"
    assert len(paths(world, "P.meta@master")) == 8
    assert len(paths(world, "P.meta@master^")) == 4


def test_failed_datum_has_its_reason_and_no_output(toy_pipeline):
    world = toy_pipeline
    world.update(world.toy(cmd=world.sh("echo broken >&2; exit 1")), reprocess=True)
    (datum,) = world.datums()
    record = json.loads(world.read(f"P.meta@master:/meta/{datum.id}/meta"))
    assert (record["state"], record["reason"]) == ("FAILED", "broken")
    assert not [path for path in paths(world, "P.meta@master") if "/out/" in path]


def test_records_are_got_compared_and_copied_like_files(toy_pipeline, tmp_path):
    world = toy_pipeline
    (datum,) = world.datums()
    downloads.get_files(world.store, parse_file("P.meta@master:/"), tmp_path / "got", recursive=True)
    assert (tmp_path / "got" / "pfs" / datum.id / "out" / "file").read_text() == "foo"
    assert json.loads((tmp_path / "got" / "meta" / datum.id / "meta").read_text())["hash"] == datum.hash
    world.put("in@master", {"/other": "bar"})
    changes = differences.compare(world.store, parse_file("P.meta@master:/")).changes
    (changed,) = [each.path for each in changes if each.old and not each.path.endswith("/")]
    assert changed == f"/meta/{datum.id}/meta"  # it took no time now
    world.repo("kept")
    files.copy_files(world.store, parse_file("P.meta@master:/meta"), parse_file("kept@master:/meta"))
    world.reopen()
    assert json.loads(world.read(f"kept@master:/meta/{datum.id}/meta"))["hash"] == datum.hash


def test_record_of_an_input_that_is_gone_is_still_there(world):
    world.repo("in", "kept")
    world.put("in@master", {"/file": "foo"})
    world.create(world.toy())
    (datum,) = world.datums()
    world.store.remove_repo("in")
    assert paths(world, "P.meta@master") == [f"/meta/{datum.id}/meta", f"/pfs/{datum.id}/out/file"]


def test_no_such_record_is_an_error(toy_pipeline):
    with pytest.raises(NotFoundError, match=r"file P.meta@master:/meta/x not found"):
        toy_pipeline.read("P.meta@master:/meta/x")
