"""Give every recording of a folder a safe, distinct name: `Sigur Rós (Live!).MP3` becomes `sigur-ros-live.mp3`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from ambient.errors import InputError
from ambient.folders import files_in
from ambient.names import is_audio_name, standard_names
from ambient.program import FilesFailedError, for_each_file, log, run_program, unusable, written_atomically


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.rename", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="recordings, in subfolders too")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="where the renamed recordings go, flat"
    )
    parser.add_argument("--link", action="store_true", help="write symbolic links to the recordings instead of copies")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Pass every recording on under its standard name; name on stderr what is no recording.

    Only names are looked at, never content: a cluster may show the files empty and put the content in later.

    Raises:
        InputError: the input folder is not there, or the output folder lies in it, or the only recording is a dead
            link.
        FilesFailedError: some of several recordings are dead links, or a folder cannot be read; the others are done.
    """
    source, target = arguments.input, arguments.output
    if not source.is_dir():
        raise InputError(source, "no such folder", "expected the folder of recordings", "Check --input")
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(target, f"lies inside {source}", "expected a folder of its own", "Choose another --output")
    locked: list[OSError] = []
    originals = files_in(source, locked.append)
    for error in locked:
        log(f"error: {unusable(error)}")
    for original in originals:
        if not is_audio_name(original):
            log(f"{original}: left out, its name is not that of a recording")
    renamed = standard_names(original for original in originals if is_audio_name(original))

    def pass_on(path: Path) -> str:
        name = renamed[path.relative_to(source).as_posix()]
        if not path.is_file():
            raise InputError(path, "a link to nothing", "expected a file", "Put the recording there or remove the link")
        with written_atomically(target / name) as partial:
            if arguments.link:
                partial.symlink_to(os.path.abspath(path))
            else:
                shutil.copyfile(path, partial)
        return name

    for_each_file([source / original for original in renamed], pass_on)
    if locked:
        raise FilesFailedError(len(locked), len(locked) + len(renamed))


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
