"""Egress: what a job wrote also lies in a folder outside."""

import errno

import pytest

from localpach.errors import SpecError
from localpach.running import egress, jobs
from localpach.storage.objects import Objects


@pytest.fixture
def target(tmp_path):
    return tmp_path / "My results"


def url(target):
    return "file://" + str(target).replace(" ", "%20")


def seen(target):
    return {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize("spelling", ["URL", "object_storage"])
def test_output_of_a_successful_job_lies_in_the_folder(world, target, spelling):
    world.repo("in")
    world.put("in@master", {"/dir/a": "1", "/b": "2"})
    world.create(
        world.toy(egress={"URL": url(target)} if spelling == "URL" else {"object_storage": {"url": url(target)}})
    )
    assert seen(target) == {"dir/a": "1", "b": "2"}
    (target / "mine").write_text("kept")
    world.change("in@master", delete=["/b"], put={"/dir/a": "new", "/c": "3"})
    assert seen(target) == {"dir/a": "new", "b": "2", "c": "3", "mine": "kept"}


def test_failed_job_writes_nothing(world, target):
    world.repo("in")
    world.put("in@master", {"/a": "1", "/b": "2"})
    script = "cp $in /pfs/out/; test $(basename $in) = a"
    world.create(world.toy(cmd=world.sh(script), egress={"URL": url(target)}))
    assert world.last().state == "failure"
    assert not target.exists()


def test_folder_that_cannot_be_written_fails_the_job_with_the_reason(world, target):
    target.write_text("a file")
    world.repo("in")
    world.put("in@master", {"/a": "1"})
    world.create(world.toy(egress={"URL": url(target)}), world.toy("Q", repo="P"))
    assert world.last().state == "failure"
    assert world.last().reason.startswith(f"egress to {url(target)}: {target}")
    assert world.last("Q").state == "unrunnable"
    target.unlink()
    world.put("in@master", {"/b": "2"})
    assert world.last().state == "success"
    assert seen(target) == {"a": "1", "b": "2"}


def test_write_that_fails_once_is_tried_again_and_leaves_no_half_file(world, target, monkeypatch):
    real, failed = Objects.copy_to, []

    def fails_once(self, digest, path):
        if target in path.parents and not failed:
            failed.append(path)
            path.write_text("half")
            raise OSError(errno.EIO, "Input/output error")
        return real(self, digest, path)

    monkeypatch.setattr(Objects, "copy_to", fails_once)
    world.repo("in")
    world.put("in@master", {"/a": "1"})
    world.create(world.toy(egress={"URL": url(target)}))
    assert failed
    assert world.last().state == "success"
    assert seen(target) == {"a": "1"}


def test_job_is_egressing_while_it_writes_and_goes_on_after_a_kill(world, target, monkeypatch):
    states = []

    def die(*_args):
        states.append(world.last().state)
        raise KeyboardInterrupt

    monkeypatch.setattr(egress, "push", die)
    world.repo("in")
    world.put("in@master", {"/a": "1"})
    with pytest.raises(KeyboardInterrupt):
        world.create(world.toy(egress={"URL": url(target)}))
    monkeypatch.undo()
    assert states == ["egressing"]
    world.reopen()
    (ended,) = jobs.run_jobs(world.store)
    assert (ended.state, ended.counts.processed) == ("success", 1)
    assert seen(target) == {"a": "1"}


def test_file_that_is_there_already_is_not_written_again(world, target):
    world.repo("in")
    world.put("in@master", {"/a": "1"})
    world.create(world.toy(egress={"URL": url(target)}))
    before = (target / "a").stat().st_ino
    world.put("in@master", {"/b": "2"})
    assert (target / "a").stat().st_ino == before
    (target / "a").write_text("2")  # of the same size
    world.put("in@master", {"/c": "3"})
    assert (target / "a").read_text() == "1"


@pytest.mark.parametrize("bad", ["s3://bucket/x", "gs://bucket", "file://relative", "/plain/path"])
def test_url_of_another_kind_is_refused_by_name(world, bad):
    world.repo("in")
    with pytest.raises(SpecError, match=r"\$\.egress\.URL: .*is not supported on one machine; expected file:///folder"):
        world.create(world.toy(egress={"URL": bad}))
