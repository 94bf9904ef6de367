"""What the program sees of `/pfs`, and what of its output becomes a commit."""

import os
import stat
import sys
from pathlib import Path

import pytest

from localpach.errors import OutputError
from localpach.planning.datums import Datum, DatumInput, Listing
from localpach.running.path_mapping import PathMapping
from localpach.running.scratch import Scratch
from localpach.spec.inputs import PfsInput
from localpach.storage.objects import Objects
from localpach.storage.trees import Entry

ROOT = Path("/scratch/pfs")


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("/pfs", "/scratch/pfs"),
        ("/pfs/in/a", "/scratch/pfs/in/a"),
        ("--input=/pfs/in", "--input=/scratch/pfs/in"),
        ("cp -r /pfs/in/* /pfs/out", "cp -r /scratch/pfs/in/* /scratch/pfs/out"),
        ("PATHS=/pfs/a:/pfs/b", "PATHS=/scratch/pfs/a:/scratch/pfs/b"),
        ('cat "/pfs/in/a b" >/pfs/out/c', 'cat "/scratch/pfs/in/a b" >/scratch/pfs/out/c'),
        ("{/pfs/a,/pfs/b}", "{/scratch/pfs/a,/scratch/pfs/b}"),
        ("/pfsx/in", "/pfsx/in"),
        ("/pfs-old/in", "/pfs-old/in"),
        ("/data/pfs/in", "/data/pfs/in"),
        ("data/pfs", "data/pfs"),
        ("$HOME/pfs/in", "$HOME/pfs/in"),
        ("${HOME}/pfs/in", "${HOME}/pfs/in"),
        ("~/pfs", "~/pfs"),
        ("./pfs", "./pfs"),
    ],
)
def test_pfs_is_mapped_as_a_whole_component_only(text, mapped):
    assert PathMapping({"/pfs": ROOT}, inside=False).to_host(text) == mapped


@pytest.fixture
def pfs(tmp_path):
    """A laid-out datum: `/dir/` of the repo `in`, and the empty file `/e` of the repo `names`."""
    objects = Objects(tmp_path / "objects")
    files = Listing([Entry(path, *objects.add([path.encode()])) for path in ("/dir/a", "/dir/sub/b", "/other")], "c1")
    names = Listing([Entry("/e", *objects.add([b"not empty"]))], "c2")
    inputs = (
        DatumInput(PfsInput("in", "/*", "in"), "/dir/", files),
        DatumInput(PfsInput("names", "/*", "names", empty_files=True), "/e", names),
    )
    scratch = Scratch(tmp_path / "scratch", Datum(inputs), objects)
    scratch.lay_out()
    return scratch


def test_files_lie_at_their_full_repo_path_and_only_those_of_the_datum(pfs):
    seen = sorted(path.relative_to(pfs.root / ".scratch").as_posix() for path in pfs.root.rglob("*") if path.is_file())
    assert seen == ["in/dir/a", "in/dir/sub/b", "names/e"]
    assert (pfs.root / "in/dir/a").read_text() == "/dir/a"
    assert (pfs.root / "names/e").read_bytes() == b""


def test_inputs_and_out_are_links_to_private_folders(pfs):
    assert all((pfs.root / name).is_symlink() for name in ("in", "names", "out"))
    assert stat.S_IMODE((pfs.root / "in").stat().st_mode) == 0o700


def test_variables_name_the_matched_file_or_directory(pfs):
    found = pfs.variables()
    assert found == {
        "in": f"{pfs.root}/in/dir",
        "in_COMMIT": "c1",
        "names": f"{pfs.root}/names/e",
        "names_COMMIT": "c2",
    }


def test_output_keeps_empty_files_and_skips_empty_folders_and_pipes(pfs):
    (pfs.out / "empty").touch()
    (pfs.out / "folder").mkdir()
    os.mkfifo(pfs.out / "pipe")
    assert [(entry.path, entry.size) for entry in pfs.collect()] == [("/empty", 0)]


def test_link_to_an_empty_file_stands_for_the_content_of_the_repo(pfs):
    (pfs.out / "renamed").symlink_to(pfs.root / "names" / "e")
    (entry,) = pfs.collect()
    assert (entry.path, entry.size) == ("/renamed", len(b"not empty"))


def bad_name(out):
    (out / "a[b").touch()


def dangling(out):
    (out / "gone").symlink_to("/not/there")


def inside(out):
    (out / "ckpt-3").touch()
    (out / "latest").symlink_to("ckpt-3")


def loop(out):
    (out / "loop").symlink_to("loop")


def endless(out):
    tree = out.parent.parent / "tree"
    tree.mkdir()
    (tree / "again").symlink_to(tree)
    (out / "tree").symlink_to(tree)


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (bad_name, r"/pfs/out/a\[b: file name .* is refused"),
        (dangling, "/pfs/out/gone is a symbolic link to /not/there, which is not there"),
        (inside, "/pfs/out/latest is a symbolic link into /pfs/out itself"),
        (loop, "/pfs/out/loop is a symbolic link"),
        (endless, "is a symbolic link into itself"),
    ],
)
def test_output_that_cannot_become_a_commit_is_named(pfs, leave, message):
    leave(pfs.out)
    with pytest.raises(OutputError, match=message):
        pfs.collect()


def test_bad_output_fails_the_datum_at_once_whatever_err_cmd_says(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=world.sh("touch '/pfs/out/what?'"), err_cmd=["true"]))
    (datum,) = world.datums()
    assert (datum.state, datum.tries) == ("failed", 1)
    assert "/pfs/out/what?" in datum.reason


def test_working_dir_is_where_the_program_starts(world, tmp_path):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy("A", world.sh("cp file /pfs/out/"), working_dir="/pfs/in"))
    world.create(world.toy("B", world.sh("pwd > /pfs/out/where"), working_dir=str(tmp_path)))
    assert world.tree("A@master") == {"/file": "x"}
    assert world.tree("B@master") == {"/where": f"{tmp_path}\n"}


def test_shell_commands_work_below_a_folder_with_spaces(tmp_path, world):
    other = type(world)(tmp_path / "My Music (new)" / "state")
    other.repo("in")
    other.put("in@master", {"/file": "x"})
    other.create(other.toy())
    assert other.tree("P@master") == {"/file": "x"}


def test_python_in_a_command_is_the_one_that_runs_localpach(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    program = "import sys; open('/pfs/out/prefix', 'w').write(sys.prefix)"
    world.create(world.toy(cmd=["python3", "-c", program]))
    assert world.read("P@master:/prefix") == sys.prefix


def test_reason_is_the_last_line_of_stderr(world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(
        world.toy(cmd=world.sh("echo early >&2; echo out; echo 'the reason' >&2; echo >&2; exit 3"), datum_tries=1)
    )
    assert world.datums()[0].reason == "the reason"
    world.create(world.toy("R", world.sh("echo /pfs/in/file: bad >&2; exit 1"), datum_tries=1))
    assert world.datums("R")[0].reason == "/pfs/in/file: bad"
    world.create(world.toy("Q", ["false"], datum_tries=1))
    assert world.datums("Q")[0].reason == "exit code 1"


def test_recovered_first_and_successful_later_uploads_but_runs_again_next_time(world, tmp_path):
    flag = tmp_path / "flag"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    script = f"test -e {flag} && cp /pfs/in/* /pfs/out"
    world.create(world.toy(cmd=world.sh(script), err_cmd=["touch", str(flag)], datum_tries=2))
    assert world.last().counts.processed == 1
    assert world.datums()[0].state == "recovered"
    assert world.tree("P@master") == {"/file": "x"}
    world.put("in@master", {"/more": "y"})
    assert (world.last().counts.processed, world.last().counts.skipped) == (2, 0)
