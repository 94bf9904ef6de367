"""Putting and getting files: pachctl's rule for where they land, one commit a command, nothing changed by a refusal."""

import os

import pytest

from localpach import downloads, files, repos
from localpach.addresses import parse_commit, parse_file
from localpach.errors import AddressError, CommitStateError, LocalpachError, NotFoundError, OutputBranchError


@pytest.fixture
def sources(tmp_path):
    """A folder `dir` with `x` and `sub/y`, and a file `one.txt`."""
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "x").write_text("x")
    (tmp_path / "dir" / "sub" / "y").write_text("y")
    (tmp_path / "one.txt").write_text("one")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "names", "recursive", "paths"),
    [
        ("in@master", ["dir"], True, ["/dir/sub/y", "/dir/x"]),
        ("in@master:/", ["dir"], True, ["/sub/y", "/x"]),
        ("in@master:/deep", ["dir"], True, ["/deep/sub/y", "/deep/x"]),
        ("in@master", ["one.txt"], False, ["/one.txt"]),
        ("in@master:/", ["one.txt"], False, ["/one.txt"]),
        ("in@master:/deep/", ["one.txt"], False, ["/deep/one.txt"]),
        ("in@master:other.txt", ["one.txt"], False, ["/other.txt"]),
        ("in@master", ["one.txt", "dir/x"], False, ["/one.txt", "/x"]),
    ],
)
def test_put_files_land_where_pachctl_puts_them(world, sources, place, names, recursive, paths):
    world.repo("in")
    files.put_files(world.store, parse_file(place), [str(sources / name) for name in names], recursive=recursive)
    assert list(world.tree("in@master")) == paths
    assert world.line("in@master") == 1


@pytest.mark.parametrize(
    ("place", "names", "message"),
    [
        ("in@master", ["dir"], "is a directory; use -r"),
        ("in@master", ["one.txt", "missing"], "missing: No such file"),
        ("in@master", ["one.txt", "again/one.txt"], "two sources"),
        ("in@master", ["-"], "a path after the branch"),
        ("in@master", ["s3://bucket/y"], "is no URL that can be read here; expected http://"),
        ("nowhere@master", ["one.txt"], "repo nowhere not found"),
        ("in@master:/a/../b", ["one.txt"], "'..'"),
        ("in@master", ["link"], "link to a directory"),
    ],
)
def test_refused_put_changes_nothing(world, sources, place, names, message):
    (sources / "again").mkdir()
    (sources / "again" / "one.txt").write_text("another")
    (sources / "link").mkdir()
    (sources / "link" / "loop").symlink_to(sources / "dir")
    world.repo("in")
    given = [name if "://" in name or name == "-" else str(sources / name) for name in names]
    with pytest.raises(LocalpachError, match=message):
        files.put_files(world.store, parse_file(place), given, recursive="link" in names)
    assert world.store.commits() == []


def test_folder_with_a_locked_folder_in_it_is_not_put_in_part(world, sources, monkeypatch):
    (sources / "dir" / "locked").mkdir()
    scandir = os.scandir

    def refusing(path):  # also to root, for whom no folder is locked
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    world.repo("in")
    with pytest.raises(LocalpachError, match="locked: Permission denied; nothing was put"):
        files.put_files(world.store, parse_file("in@master"), [str(sources / "dir")], recursive=True)
    assert world.store.commits() == []


def test_linked_file_in_a_folder_is_put_as_content(world, sources):
    (sources / "dir" / "z").symlink_to(sources / "one.txt")
    world.repo("in")
    files.put_files(world.store, parse_file("in@master:/"), [str(sources / "dir")], recursive=True)
    assert world.tree("in@master")["/z"] == "one"


def test_same_bytes_are_stored_once(world):
    world.repo("in")
    world.put("in@master", {"/a": "same", "/b": "same"})
    stored = [path for path in (world.folder / "objects").rglob("*") if path.is_file()]
    assert len(stored) == 1


def test_put_replaces_and_append_adds(world):
    world.repo("in")
    world.put("in@master", {"/a": "1"})
    world.put("in@master", {"/a": "2"}, append=True)
    assert world.read("in@master:/a") == "12"
    world.put("in@master", {"/a": "3"})
    assert world.read("in@master:/a") == "3"
    assert world.read("in@master^:/a") == "12"
    assert world.read("in@master.1:/a") == "1"


def test_finished_commit_cannot_be_changed(world):
    world.repo("in")
    id_ = world.put("in@master", {"/a": "1"})
    with pytest.raises(CommitStateError, match="is finished"):
        world.put(f"in@{id_}", {"/b": "2"})
    assert set(world.tree("in@master")) == {"/a"}


def test_output_branch_takes_no_files_from_people(toy_pipeline):
    with pytest.raises(OutputBranchError, match="P@master has provenance"):
        toy_pipeline.put("P@master", {"/a": "1"})


def test_get_writes_a_directory_with_what_is_in_it(world, tmp_path):
    world.repo("in")
    world.put("in@master", {"/d/a": "a", "/d/e/b": "b", "/c": "c"})
    written = downloads.get_files(world.store, parse_file("in@master:/d"), tmp_path / "got", recursive=True)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["got/a", "got/e/b"]
    downloads.get_files(world.store, parse_file("in@master:/"), tmp_path / "all", recursive=True)
    assert (tmp_path / "all" / "d" / "e" / "b").read_text() == "b"


def test_missing_file_is_named_with_a_hint(world):
    world.repo("in")
    world.put("in@master", {"/d/a": "a"})
    with pytest.raises(NotFoundError, match="list file in@master:/d` shows"):
        world.read("in@master:/d/b")
    with pytest.raises(NotFoundError, match="is a directory; use -r"):
        world.read("in@master:/d")


def test_list_shows_one_level_and_diff_what_changed(world):
    world.repo("in")
    world.put("in@master", {"/d/a": "a", "/b": "b"})
    world.change("in@master", delete=["/b"], put={"/d/a": "changed", "/c": "c"})
    assert [(each.path, each.size) for each in files.list_files(world.store, parse_file("in@master"))] == [
        ("/c", 1),
        ("/d/", 7),
    ]
    changes = files.diff_files(world.store, parse_file("in@master"))
    sizes = [(each.path, each.new and each.new.size, each.old and each.old.size) for each in changes]
    assert sizes == [("/b", None, 1), ("/c", 1, None), ("/d/a", 7, 1)]


def test_copy_takes_a_directory_to_another_repo(world):
    world.repo("in", "other")
    world.put("in@master", {"/d/a": "a", "/d/e/b": "b"})
    files.copy_files(world.store, parse_file("in@master:/d"), parse_file("other@master:/f"))
    assert world.tree("other@master") == {"/f/a": "a", "/f/e/b": "b"}


def test_started_commit_is_one_until_it_is_finished(toy_pipeline):
    repos.start_commit(toy_pipeline.store, "in", "master")
    with pytest.raises(CommitStateError, match="open already"):
        repos.start_commit(toy_pipeline.store, "in", "master")
    toy_pipeline.put("in@master", {"/a": "1"})
    toy_pipeline.put("in@master", {"/b": "2"})
    assert toy_pipeline.last().state == "created"
    repos.finish_commit(toy_pipeline.store, parse_commit("in@master"))
    toy_pipeline.run()
    assert set(toy_pipeline.tree("P@master")) == {"/a", "/b", "/file"}


@pytest.mark.parametrize("text", ["", "@master", "in@", ":/x"])
def test_address_without_a_repo_or_branch_is_refused(text):
    with pytest.raises(AddressError, match="names no place"):
        parse_file(text)
