"""`localpach shell`: one datum's `/pfs`, laid out for a person."""

import io
import os
import tempfile
from pathlib import Path

import pytest

from localpach.cli import main
from localpach.cli.resolve import find_datum
from localpach.errors import NotFoundError
from localpach.planning.job_datums import expand_job


@pytest.fixture
def run(world, tmp_path, monkeypatch, capfd):
    """Runs a command line over the state of `world`; temporary folders are in a folder that tests can look into."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*words):
        code = main(["--state", str(world.folder), *words])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def failed(world):
    """The pipeline P, whose one datum of two fails."""
    world.repo("in")
    world.put("in@master", {"/good": "1", "/bad": "2"})
    world.create(world.toy(cmd=["sh", "-c", "grep 1 $in > /pfs/out/x"], env={"COLOUR": "red"}, working_dir="/pfs/in/"))
    assert world.last().state == "failure"
    return world


@pytest.mark.parametrize("where", ["P", "P@job"])
@pytest.mark.parametrize("datum", ["/bad", "bad", "id"])
def test_command_runs_where_the_program_of_a_failed_datum_ran(failed, run, tmp_path, where, datum):
    (record,) = [each for each in failed.datums() if each.label == "/bad"]
    script = "pwd; cat $in /pfs/in/bad; echo; echo $COLOUR $PACH_DATUM_ID; ls /pfs/in/; grep -c COLOUR /pfs/.env"
    name = failed.last().name if where == "P@job" else where
    code, out, err = run("shell", name, record.id[:12] if datum == "id" else datum, "--", "sh", "-c", script)
    assert code == 0
    pwd, content, variables, *rest = out.splitlines()
    assert pwd.endswith("/pfs/.scratch/in")
    assert content == "22"
    assert variables == f"red {record.id}"
    assert rest[-1] == "1"
    assert f"datum /bad of {failed.last().name}: /pfs is {tmp_path}/temporary/" in err
    assert list((tmp_path / "temporary").iterdir()) == []


def test_shell_of_the_user_opens_in_pfs(failed, run, tmp_path, monkeypatch):
    shell = tmp_path / "my-shell"
    shell.write_text('#!/bin/sh\necho "my shell in $(pwd) with $(cat in/good)"\nexit 5\n')
    shell.chmod(0o755)
    monkeypatch.setenv("SHELL", str(shell))
    monkeypatch.setenv("LOCALPACH_PRIVATE_PFS", "0")
    code, out, _ = run("shell", "P", "good")
    assert code == 0  # a shell ends with the code of its last command, which is no fault of ours
    assert out.startswith(f"my shell in {tmp_path}/temporary/")
    assert out.endswith("/pfs with 1\n")


def test_code_of_a_command_that_fails_is_told(failed, run):
    code, _, err = run("shell", "P", "/good", "--", "sh", "-c", "exit 3")
    assert (code, err.splitlines()[-1]) == (1, "error: the command ended with exit code 3")


def test_what_is_written_there_changes_nothing_and_read_only_folders_go(failed, run, tmp_path):
    before = failed.tree("in@master"), failed.datums(), failed.jobs("P")
    script = "echo new > /pfs/in/bad; mkdir -p /pfs/out/d/e; touch /pfs/out/d/e/f; chmod -R a-w /pfs/out/d"
    assert run("shell", "P", "bad", "--", "sh", "-c", script)[0] == 0
    assert (failed.tree("in@master"), failed.datums(), failed.jobs("P")) == before
    assert list((tmp_path / "temporary").iterdir()) == []


def test_datum_that_has_not_run_can_be_looked_at(world, run):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(), run=False)
    assert run("shell", "P", "/file", "--", "sh", "-c", "cat $in")[1] == "x"


def test_datum_that_is_not_there_is_one_clear_line(failed, run):
    with pytest.raises(NotFoundError, match="datum /gone not found; `localpach list datum P@"):
        find_datum(failed.last(), expand_job(failed.store, failed.last()), "/gone")
    assert run("shell", "P", "/gone")[0] == 1
    assert run("shell", "Q", "/gone")[0] == 1
    assert not [name for name in os.listdir(Path(tempfile.gettempdir())) if name.startswith("localpach-shell")]
