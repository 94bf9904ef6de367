"""The commands about files."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localpach.actions import files, message
from localpach.actions.repos import find_commit
from localpach.cli import columns
from localpach.cli.command import Commands, Session, report_error, show
from localpach.errors import LeftOutError
from localpach.spec.addresses import parse_commit, parse_file

if TYPE_CHECKING:
    from localpach.storage.store import Commit


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_changes(commands)
    _register_reading(commands)


def _register_changes(commands: Commands) -> None:
    command = commands.add(
        "put", "file", put_file, "put files in one commit and run what follows", runs=True,
        example="put file songs@master:/ -r -f my-songs",
    )  # fmt: skip
    command.add_argument("file", help="repo@branch or repo@branch:/path")
    command.add_argument(
        "-f", "--file", dest="sources", action="append", metavar="SRC",
        help="file, directory, URL, or - for stdin (the default); repeatable",
    )  # fmt: skip
    command.add_argument("-i", "--input-file", metavar="LIST", help="a file or URL that lists what to put, one a line")
    command.add_argument("-r", "--recursive", action="store_true", help="put directories with what is in them")
    command.add_argument("-a", "--append", action="store_true", help="add to the end of files that are there")
    command.add_argument("--full-path", action="store_true", help="keep the path given, not only its last part")
    command.add_argument("--untar", action="store_true", help="put what is in .tar, .tar.gz and .tgz files")
    command.add_argument("-p", "--parallelism", type=int, help=argparse.SUPPRESS)
    command.add_argument("-c", "--compress", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)
    command = commands.add("delete", "file", delete_file, "delete a file and run what follows", runs=True)
    command.add_argument("file", help="repo@branch:/path")
    command.add_argument("-r", "--recursive", action="store_true", help="delete a directory")
    command = commands.add("copy", "file", copy_file, "copy a file or directory, without copying bytes", runs=True)
    command.add_argument("source", help="repo@branch:/path")
    command.add_argument("target", help="repo@branch:/path")
    command.add_argument("-a", "--append", action="store_true", help="add to the end of files that are there")


def _register_reading(commands: Commands) -> None:
    command = commands.add(
        "get", "file", get_file, "print a file, or write files", example="get file -r midi@master:/ -o my-midi"
    )
    command.add_argument("file", help="repo@branch:/path")
    command.add_argument("-o", "--output", dest="target", type=Path, help="file or folder to write to")
    command.add_argument("-r", "--recursive", action="store_true", help="get a directory; needs -o")
    command.add_argument("--offset", type=int, default=0, metavar="BYTES", help="leave out the first bytes")
    command.add_argument("--retry", action="store_true", help="append to the file of -o what it lacks")
    command.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)
    for verb, run, text in (("list", list_file, "list a directory"), ("inspect", inspect_file, "describe a file")):
        command = commands.add(verb, "file", run, text, raw=True, times=verb == "list")
        command.add_argument("file", help="repo@branch or repo@branch:/path")
    command = commands.add(
        "glob", "file", glob_file, "list the files that match a pattern", raw=True, times=True,
        example="glob file 'songs@master:/*.mp3'",
    )  # fmt: skip
    command.add_argument("file", help="repo@branch:pattern, quoted")
    text = "compare two commits; the second defaults to the parent of the first"
    command = commands.add("diff", "file", diff_file, text, raw=True, times=True)
    command.add_argument("new", help="repo@branch[:/path]")
    command.add_argument("old", nargs="?", help="repo@branch[:/path]")
    command.add_argument("-s", "--shallow", action="store_true", help="do not go into directories")
    command.add_argument("--name-only", action="store_true", help="list what differs, not how")
    command.add_argument("--diff-command", metavar="CMD", help="a program that compares two files, such as `diff -y`")
    command.add_argument("--old-project", choices=["default"], help=argparse.SUPPRESS)


def put_file(session: Session, arguments: argparse.Namespace) -> None:
    """Put files."""
    from localpach.actions.sources import listed

    sources = listed(arguments.input_file) if arguments.input_file else []
    sources += _split(arguments.sources or ([] if arguments.input_file else ["-"]))
    address = parse_file(arguments.file)
    if sources == ["-"] and not arguments.sources and address.path is None:
        session.usage_error("name what to put with -f or -i, or a path for data from stdin")
    console = session.progress
    left_out: list[str] = []
    try:
        commit = files.put_files(
            session.store,
            address,
            sources,
            recursive=arguments.recursive,
            append=arguments.append,
            full_path=arguments.full_path,
            untar=arguments.untar,
            report=lambda done, total, size: console.counter(f"put {done}/{total} files, {columns.size(size)}"),
            leave_out=left_out.append,
        )
    finally:
        console.clear()
        for line in left_out:
            console.note(f"left out: {line}")
    report_error(session, commit)
    if left_out:
        session.run_jobs()
        raise LeftOutError(len(left_out))


def _split(sources: list[str]) -> list[str]:
    """Read `-f a,b` as two sources, as pachctl does; a name that holds a comma stays whole where it is there."""
    found: list[str] = []
    for each in sources:
        whole = "," not in each or "://" in each or Path(each).exists()
        found += [each] if whole else [part for part in each.split(",") if part]
    return found


def delete_file(session: Session, arguments: argparse.Namespace) -> None:
    """Delete files."""
    files.delete_files(session.store, parse_file(arguments.file), recursive=arguments.recursive)


def copy_file(session: Session, arguments: argparse.Namespace) -> None:
    """Copy files."""
    source, target = parse_file(arguments.source), parse_file(arguments.target)
    report_error(session, files.copy_files(session.store, source, target, append=arguments.append))


def get_file(session: Session, arguments: argparse.Namespace) -> None:
    """Print or write files."""
    from localpach.actions import downloads

    if arguments.recursive and arguments.target is None:
        session.usage_error("-r needs -o FOLDER")
    if arguments.recursive and (arguments.offset or arguments.retry):
        session.usage_error("--offset and --retry are for one file, not for -r")
    if arguments.offset < 0:
        session.usage_error("--offset must be 0 or more")
    address = parse_file(arguments.file)
    if address.path is None:
        session.usage_error(f"{arguments.file} names no path; add :/ for everything")
    if arguments.target is None:
        for chunk in downloads.after(files.read_file(session.store, address), arguments.offset):
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    elif arguments.retry:
        downloads.get_rest(session.store, address, arguments.target)
    elif arguments.offset:
        chunks = downloads.after(files.read_file(session.store, address), arguments.offset)
        downloads.get_bytes(arguments.target, chunks)
    else:
        downloads.get_files(session.store, address, arguments.target, recursive=arguments.recursive)


def _show_files(arguments: argparse.Namespace, found: list[files.FileInfo], commit: "Commit") -> None:
    show(
        arguments,
        (message.file_message(each, commit) for each in found),
        ("SIZE", "NAME"),
        ((columns.size(each.size), each.path) for each in found),
    )


def list_file(session: Session, arguments: argparse.Namespace) -> None:
    """List a directory."""
    address = parse_file(arguments.file)
    _show_files(arguments, files.list_files(session.store, address), find_commit(session.store, address.commit))


def inspect_file(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a file."""
    address = parse_file(arguments.file)
    info = files.inspect_file(session.store, address)
    kind = "dir" if info.is_directory else "file"
    lines = [f"Path: {info.path}", f"Type: {kind}", f"Size: {columns.size(info.size)}"]
    lines += [f"Digest: {info.digest}"] if info.digest else []
    messages = (message.file_message(info, find_commit(session.store, address.commit)) for _ in range(1))
    show(arguments, messages, lines=lines)


def glob_file(session: Session, arguments: argparse.Namespace) -> None:
    """List matching files."""
    text, _, pattern = arguments.file.partition(":")
    address = parse_commit(text)
    _show_files(arguments, files.glob_files(session.store, address, pattern), find_commit(session.store, address))


def diff_file(session: Session, arguments: argparse.Namespace) -> None:
    """Compare two commits."""
    from localpach.actions import differences

    old = parse_file(arguments.old) if arguments.old else None
    found = differences.compare(session.store, parse_file(arguments.new), old, shallow=arguments.shallow)
    if arguments.raw or arguments.name_only or arguments.shallow:
        sides = [(sign, side) for each in found.changes for sign, side in (("+", each.new), ("-", each.old)) if side]
        show(
            arguments,
            (message.change_message(each, found.new, found.old) for each in found.changes),
            ("OP", "SIZE", "NAME"),
            ((sign, columns.size(side.size), side.path) for sign, side in sides),
        )
    elif arguments.diff_command:
        differences.run_program(session.store, found, arguments.diff_command.split())
    else:
        sys.stdout.writelines(differences.text(session.store, found))
