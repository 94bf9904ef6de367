"""Putting and getting files: pachctl's rule for where they land, one commit a command, nothing changed by a refusal."""

import gzip
import hashlib
import io
import os
import re
import tarfile
from pathlib import Path

import pytest

from localpach.actions import differences, downloads, files, repos
from localpach.cli import main
from localpach.errors import (
    AddressError,
    CommitStateError,
    DirectoryError,
    LocalpachError,
    NotFoundError,
    OutputBranchError,
)
from localpach.spec.addresses import parse_commit, parse_file


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
    with pytest.raises(DirectoryError, match="is a directory; use -r"):
        world.read("in@master:/d")
    with pytest.raises(DirectoryError, match=r"in@master:/d is a directory; use -r$"):
        files.delete_files(world.store, parse_file("in@master:/d"))
    assert world.line("in@master") == 1


def test_list_shows_one_level_and_diff_what_changed(world):
    world.repo("in")
    world.put("in@master", {"/d/a": "a", "/b": "b"})
    world.change("in@master", delete=["/b"], put={"/d/a": "changed", "/c": "c"})
    assert [(each.path, each.size) for each in files.list_files(world.store, parse_file("in@master"))] == [
        ("/c", 1),
        ("/d/", 7),
    ]
    changes = differences.compare(world.store, parse_file("in@master")).changes
    sizes = [(each.path, each.new and each.new.size, each.old and each.old.size) for each in changes]
    assert sizes == [("/", 8, 2), ("/b", None, 1), ("/c", 1, None), ("/d/", 7, 1), ("/d/a", 7, 1)]


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


# Names from outside


def tar_of(path, *members, link=None):
    """An archive with members of these names; `link` makes the last one a link to there."""
    with tarfile.open(path, "w") as tar:
        for name in members:
            member = tarfile.TarInfo(name)
            if link is not None and name == members[-1]:
                member.type, member.linkname = tarfile.SYMTYPE, link
                tar.addfile(member)
            else:
                member.size = 1
                tar.addfile(member, io.BytesIO(b"x"))
    return str(path)


@pytest.mark.parametrize(
    ("place", "names", "options", "message"),
    [
        ("in@master:/../out", ["one.txt"], {}, "'..'"),
        ("in@master:/a/./b", ["one.txt"], {}, "'.'"),
        ("in@master", ["../{}/one.txt"], {"full_path": True}, "'..'"),
        ("in@master", ["dangling"], {}, "dangling: is a link that leads nowhere; nothing was put"),
        ("in@master", ["circle"], {}, "circle: is a link that leads nowhere; nothing was put"),
        ("in@master", ["pipe"], {}, "pipe: is no plain file; nothing was put"),
        ("in@master", ["folder"], {"recursive": True}, "pipe: is no plain file; nothing was put"),
        ("in@master", ["/dev/zero"], {}, "/dev/zero: is no plain file; nothing was put"),
    ],
)
def test_name_that_leads_elsewhere_or_no_plain_file_is_refused_unread(
    world, sources, monkeypatch, place, names, options, message
):
    (sources / "dangling").symlink_to("nowhere")
    (sources / "circle").symlink_to("circle")
    (sources / "folder").mkdir()
    os.mkfifo(sources / "pipe")  # opening one would wait for ever
    os.mkfifo(sources / "folder" / "pipe")
    monkeypatch.chdir(sources)
    world.repo("in")
    with pytest.raises(LocalpachError, match=re.escape(message)):
        files.put_files(world.store, parse_file(place), [name.format(sources.name) for name in names], **options)
    assert world.store.commits() == []


def test_path_above_the_folder_is_put_by_its_base_name_and_an_absolute_one_stays_in_the_repo(
    world, sources, monkeypatch
):
    monkeypatch.chdir(sources / "dir")
    world.repo("in")
    files.put_files(world.store, parse_file("in@master"), ["../one.txt"])
    files.put_files(world.store, parse_file("in@master"), [str(sources / "one.txt")], full_path=True)
    files.put_files(world.store, parse_file("in@master"), [".."], recursive=True)
    assert set(world.tree("in@master")) == {
        "/one.txt", f"{sources}/one.txt", *(f"/{sources.name}/{name}" for name in ("one.txt", "dir/x", "dir/sub/y")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("members", "link", "message"),
    [
        (["good", "../evil"], None, "member '../evil': leads out of the archive"),
        (["good", "a/../../evil"], None, "leads out of the archive"),
        (["good", "/etc/evil"], None, "leads out of the archive"),
        (["good", "evil"], "/etc/passwd", "member 'evil': is a link or a device"),
        (["good", "not*good"], None, "it holds '*'"),
        (["good", "good"], None, "two sources would be put there"),
    ],
)
def test_archive_with_a_member_that_leads_out_is_refused_as_a_whole(world, tmp_path, members, link, message):
    archive = tar_of(tmp_path / "x.tar", *members, link=link)
    world.repo("in")
    with pytest.raises(LocalpachError, match=re.escape(message)):
        files.put_files(world.store, parse_file("in@master"), [archive], untar=True)
    assert world.store.commits() == []


def test_archive_that_is_cut_off_is_refused_as_a_whole(world, tmp_path):
    archive = tmp_path / "x.tar"
    tar_of(archive, "good", "other")
    for name, content in (
        ("cut.tar", archive.read_bytes()[:1200]),
        ("cut.tgz", gzip.compress(archive.read_bytes())[:40]),
    ):
        (tmp_path / name).write_bytes(content)
        world.repo(f"in-{name[4:]}")
        with pytest.raises(LocalpachError, match="cannot be read as a tar archive"):
            files.put_files(world.store, parse_file(f"in-{name[4:]}@master"), [str(tmp_path / name)], untar=True)
    assert world.store.commits() == []


@pytest.mark.parametrize(
    ("place", "names", "options", "paths"),
    [
        ("in@master:/same", ["one.txt", "dir/x"], {}, ["/same/one.txt", "/same/x"]),
        ("in@master:/top", ["dir", "other"], {"recursive": True}, ["/top/dir/sub/y", "/top/dir/x", "/top/other/z"]),
        ("in@master:/top", ["dir"], {"recursive": True, "full_path": True}, ["/top/dir/sub/y", "/top/dir/x"]),
        ("in@master", ["dir/sub/y"], {"full_path": True}, ["/dir/sub/y"]),
        ("in@master", ["."], {"recursive": True}, ["/dir/sub/y", "/dir/x", "/one.txt", "/other/z"]),
        ("in@master:/", ["one.txt"], {"recursive": True}, ["/one.txt"]),
        ("in@master", ["dir/"], {"recursive": True}, ["/dir/sub/y", "/dir/x"]),
    ],
)
def test_several_sources_and_full_paths_land_where_pachctl_puts_them(
    world, sources, monkeypatch, place, names, options, paths
):
    (sources / "other").mkdir()
    (sources / "other" / "z").write_text("z")
    monkeypatch.chdir(sources)
    world.repo("in")
    files.put_files(world.store, parse_file(place), names, **options)
    assert list(world.tree("in@master")) == paths
    assert world.line("in@master") == 1


def test_source_that_cannot_be_read_is_named_and_nothing_is_put(world, sources, monkeypatch):
    def refuse(path, **_):  # also to root, for whom no file is locked
        raise PermissionError(13, "Permission denied", str(path))

    world.repo("in")
    monkeypatch.setattr(world.store.objects, "add_file", refuse)
    with pytest.raises(LocalpachError, match=r"one\.txt: Permission denied; nothing was put"):
        files.put_files(world.store, parse_file("in@master"), [str(sources / "one.txt")])
    assert world.store.commits() == []


def test_file_that_grows_while_it_is_put_is_stored_as_one_of_its_states(world, sources, monkeypatch):
    growing = sources / "growing"
    growing.write_bytes(b"0" * 3_000_000)
    opened = Path.open

    class Growing(io.FileIO):
        def read(self, size=-1):
            found = super().read(size)
            if found and growing.stat().st_size < 3_000_005:
                with opened(growing, "ab") as file:
                    file.write(b"1")
            return found

    monkeypatch.setattr(Path, "open", lambda path, *a, **k: Growing(path) if path == growing else opened(path, *a, **k))
    world.repo("in")
    files.put_files(world.store, parse_file("in@master"), [str(growing)])
    monkeypatch.undo()
    info = files.inspect_file(world.store, parse_file("in@master:/growing"))
    content = b"".join(files.read_file(world.store, parse_file("in@master:/growing")))
    assert (len(content), hashlib.blake2b(content, digest_size=32).hexdigest()) == (info.size, info.digest)
    assert info.size >= 3_000_000


def test_put_reports_how_far_it_is(world, sources):
    world.repo("in")
    told = []
    files.put_files(
        world.store,
        parse_file("in@master"),
        [str(sources / "dir")],
        recursive=True,
        report=lambda *far: told.append(far),
    )
    assert told == [(1, 2, 1), (2, 2, 2)]


def test_get_writes_through_no_link_in_its_folder(world, tmp_path):
    world.repo("in")
    world.put("in@master", {"/d/a": "a", "/b": "b"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "precious").write_text("precious")
    target = tmp_path / "got"
    target.mkdir()
    (target / "b").symlink_to(tmp_path / "precious")
    (target / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalpachError, match="d: is a symbolic link, and nothing is written through it"):
        downloads.get_files(world.store, parse_file("in@master:/"), target, recursive=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (target / "d").unlink()
    downloads.get_files(world.store, parse_file("in@master:/"), target, recursive=True)
    assert (tmp_path / "precious").read_text() == "precious"
    assert ((target / "b").is_symlink(), (target / "b").read_text()) == (False, "b")


def test_get_writes_nothing_outside_its_folder_whatever_a_state_says(world, tmp_path):
    world.repo("in")
    world.put("in@master", {"/a": "a"})
    world.store.sql.execute("UPDATE entries SET path = '/../../evil'")
    with pytest.raises(LocalpachError, match=r"'\.\.'"):
        downloads.get_files(world.store, parse_file("in@master:/"), tmp_path / "deep" / "got", recursive=True)
    assert not list(tmp_path.rglob("evil"))


def test_get_writes_to_a_device_without_replacing_it(world):
    world.repo("in")
    world.put("in@master", {"/a": "a"})
    downloads.get_files(world.store, parse_file("in@master:/a"), Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_link_in_a_folder_that_leads_nowhere_is_told_and_the_other_files_are_put(world, tmp_path, capsys):
    world.repo("in")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a").write_text("a")
    (tmp_path / "music" / "gone").symlink_to("nowhere")
    put = ["put", "file", "in@master:/", "-r", "-f", str(tmp_path / "music")]
    assert main(["--state", str(world.folder), *put]) == 1
    said = capsys.readouterr().err
    assert f"left out: {tmp_path / 'music' / 'gone'}: is a link that leads nowhere\n" in said
    assert said.splitlines()[-1] == "error: 1 could not be put; the others are. See the lines above"
    assert world.tree("in@master") == {"/a": "a"}
