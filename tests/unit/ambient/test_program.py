import argparse
import errno
import os
import re
from pathlib import Path

import pytest

from ambient.errors import InputError
from ambient.program import (
    FilesFailedError,
    files_below,
    for_each_file,
    log,
    output_paths,
    refuse_lossy_target,
    run_program,
    unusable,
    written_atomically,
)


def full_disk(*names):
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *names)


@pytest.fixture
def locked_folder(tmp_path, monkeypatch):
    """A folder with a file in `open` and a folder `locked` that nobody may read, not even root."""
    (tmp_path / "open").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "open" / "a.mid").touch()
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    return tmp_path


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.mid", "0 notes", "expected 1", "Choose another"), "a.mid: 0 notes; expected 1. Choose another"),
        (FilesFailedError(1, 3), "1 of 3 files failed; the others are done. See the lines above"),
        (FilesFailedError(3, 3), "3 of 3 files failed. See the lines above"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/music/a.mid"),
            "/music/a.mid: permission denied; expected a place that can be read, or written to. Check its permissions",
        ),
    ],
)
def test_whatever_goes_wrong_with_files_is_one_line_and_exit_1(capfd, error, line):
    def run(arguments):
        raise error

    assert run_program(argparse.ArgumentParser(), run, []) == 1
    assert capfd.readouterr() == ("", f"error: {line}\n")


def test_a_library_that_is_missing_is_one_line_with_what_to_do(capfd):
    def run(arguments):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    assert run_program(argparse.ArgumentParser("stage"), run, []) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(
        "error: numpy: not installed; expected it, for stage. Use the image that pipelines/*.json name"
    )


def test_a_module_of_ours_that_is_missing_is_a_bug():
    def run(arguments):
        raise ModuleNotFoundError("No module named 'ambient.nix'", name="ambient.nix")

    with pytest.raises(ModuleNotFoundError):
        run_program(argparse.ArgumentParser(), run, [])


def test_file_that_cannot_be_read_is_named_and_the_others_are_done(capfd):
    done = []

    def process(path):
        if path.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        done.append(path.name)
        return "fine"

    with pytest.raises(FilesFailedError, match="1 of 3 files failed"):
        for_each_file([Path("a"), Path("b"), Path("c")], process)
    assert done == ["a", "c"]
    assert "error: b: permission denied; " in capfd.readouterr().err


def test_error_without_a_name_is_told_of_the_file_that_was_worked_on():
    def process(path):
        raise full_disk()

    with pytest.raises(InputError, match=r"^a\.mid: no space left on device; .* Free space there"):
        for_each_file([Path("a.mid")], process)


def test_no_files_is_said(capfd):
    for_each_file([], str)
    assert capfd.readouterr() == ("", "no files to process\n")


def test_locked_folder_is_an_error_not_an_empty_one(locked_folder):
    with pytest.raises(PermissionError) as caught:
        files_below(locked_folder, [".mid"])
    assert str(unusable(caught.value)).startswith(f"{locked_folder / 'locked'}: permission denied; ")


@pytest.mark.parametrize("names", [(), ("copied-from.mid",)])
def test_full_disk_names_the_file_that_was_to_be_written_and_leaves_nothing(tmp_path, names):
    def write():
        with written_atomically(tmp_path / "out" / "song.mid") as partial:
            partial.write_bytes(b"half")
            raise full_disk(*names)

    with pytest.raises(InputError, match=r"song\.mid: no space left on device"):
        write()
    assert not list((tmp_path / "out").iterdir())


def test_target_that_is_a_folder_is_named_without_the_temporary_name(tmp_path):
    (tmp_path / "song.mid").mkdir()
    with (
        pytest.raises(InputError, match=r"song\.mid: is a directory") as caught,
        written_atomically(tmp_path / "song.mid") as partial,
    ):
        partial.touch()
    assert "partial" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["song.mid"]


def test_input_that_fails_while_the_output_is_open_keeps_its_own_name(tmp_path):
    with pytest.raises(PermissionError, match=r"in\.mp3"), written_atomically(tmp_path / "out.mp3"):
        raise PermissionError(errno.EACCES, "Permission denied", "in.mp3")


def test_a_name_that_cannot_be_written_down_costs_one_line_and_the_next_file_is_done(capfd):
    def process(path):
        return str(len(str(path).encode()))

    files = [Path(os.fsdecode(b"caf\xe9.mid")), Path("next.mid")]
    with pytest.raises(FilesFailedError, match="1 of 2 files failed"):
        for_each_file(files, process)
    assert capfd.readouterr().err.splitlines() == [
        r"error: caf\xe9.mid: a name that is no UTF-8; expected one that can be written down. Rename it",
        "[2/2] next.mid: 8",
    ]


def test_a_file_is_one_line_whatever_its_name_holds(capfd):
    log("a\nb\r\x1b[2J\udce9 ä: 3 notes")
    assert capfd.readouterr().err == "a\\nb\\r\\x1b[2J\\xe9 ä: 3 notes\n"
    assert str(InputError("a\nb.mid", "0 notes", "expected 1", "Go")) == "a\\nb.mid: 0 notes; expected 1. Go"


def test_links_that_lead_back_end_and_hidden_names_with_the_ending_count(tmp_path):
    (tmp_path / "in" / "album").mkdir(parents=True)
    for name in (".45.mid", "album/a.mid", "._a.mid", ".partial-3-a.mid", ".mid"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "in" / "album" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "above").symlink_to(tmp_path)
    (tmp_path / "in" / "again").symlink_to("album")
    found = [path.relative_to(tmp_path / "in").as_posix() for path in files_below(tmp_path / "in", [".mid"])]
    assert found == [".45.mid", "album/a.mid"]


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("ö" * 125 + ".mid")  # 254 bytes
    with written_atomically(path) as partial:
        assert partial.suffix == ".mid"
        partial.write_text("whole")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    too_long = tmp_path / ("a" * 256 + ".mid")
    with (
        pytest.raises(InputError, match=r"file name too long; .* Shorten its name"),
        written_atomically(too_long) as partial,
    ):
        partial.write_text("whole")


def test_inputs_keep_their_paths_and_a_single_one_goes_where_it_is_told(tmp_path):
    for name in ("in/a.wav", "in/deep/b.WAV", "in/c.txt", "out.d/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    suffixes = [".wav"], [".mid", ".midi"]
    folder, one, out = tmp_path / "in", tmp_path / "in" / "c.txt", tmp_path / "out"
    assert output_paths(folder, out, *suffixes) == {
        folder / "a.wav": out / "a.mid",
        folder / "deep" / "b.WAV": out / "deep" / "b.mid",
    }
    assert output_paths(one, out, *suffixes) == {one: out / "c.mid"}
    assert output_paths(one, tmp_path / "new.MIDI", *suffixes) == {one: tmp_path / "new.MIDI"}
    assert output_paths(one, tmp_path / "out.d", *suffixes) == {one: tmp_path / "out.d" / "c.mid"}
    (tmp_path / "old.mid").mkdir()  # a folder is a folder, whatever its name
    assert output_paths(one, tmp_path / "old.mid", *suffixes) == {one: tmp_path / "old.mid" / "c.mid"}
    with pytest.raises(InputError, match="no such file or folder"):
        output_paths(tmp_path / "nowhere", out, *suffixes)


def test_what_an_input_becomes_takes_the_place_of_no_input(tmp_path):
    song, other, link = tmp_path / "song.wav", tmp_path / "other.mp3", tmp_path / "link"
    song.touch()
    other.touch()
    link.symlink_to(tmp_path, target_is_directory=True)
    refuse_lossy_target(song, {song: tmp_path / "song.mid", other: tmp_path / "other.mid"})
    for target in (song, link / "song.wav", tmp_path / "new" / ".." / "song.wav"):
        with pytest.raises(
            InputError, match=r"song\.wav: would be overwritten; expected outputs apart from the inputs"
        ):
            refuse_lossy_target(song, {song: target})
    with pytest.raises(InputError, match=re.escape(f"other.mp3: would overwrite {song}")):
        refuse_lossy_target(other, {other: link / "song.wav", song: tmp_path / "song.mid"})
    with pytest.raises(InputError, match=r"other\.mp3: would be written to the same song\.mid as song\.wav"):
        refuse_lossy_target(other, {other: tmp_path / "song.mid", song: tmp_path / "song.mid"})
