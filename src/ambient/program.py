"""What all programs share: exit codes, one-line errors, atomic files, one line a file."""

import argparse
import errno
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.errors import InputError, one_line
from ambient.folders import HIDDEN_FILES, files_in

if TYPE_CHECKING:
    from concurrent.futures import Future

_MAX_NAME_BYTES = 255  # of a file, on the usual file systems

_REMEDIES = {
    errno.ENOSPC: "Free space there, or choose another folder",
    errno.EDQUOT: "Free space there, or choose another folder",
    errno.EROFS: "Choose another folder",
    errno.EACCES: "Check its permissions",
    errno.EPERM: "Check its permissions",
    errno.ENAMETOOLONG: "Shorten its name",
}


def called_as(name: str) -> str:
    """Return the words that a person has called a program with: `ambient COMMAND`, or else its own name."""
    return sys.argv[0] if sys.argv[0].startswith("ambient ") else name


def run_program(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], None],
    argv: list[str] | None = None,
    *,
    check: Callable[[argparse.Namespace], str | None] = lambda arguments: None,
) -> int:
    """Parse the command line, run the stage, and turn bad input into one line on stderr.

    Args:
        parser: The command line.
        run: The stage.
        argv: What stands after the name of the program; that of this process if None.
        check: Says what is wrong with flags that do not fit together; such a call is wrong usage.

    Returns:
        The exit code: 0 done, 1 bad input; argparse itself exits with 2 on bad usage.
    """
    parser.prog = called_as(parser.prog)
    arguments = parser.parse_args(argv)
    if wrong := check(arguments):
        parser.error(wrong)
    try:
        run(arguments)
    except (InputError, FilesFailedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {unusable(error)}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:
        print(f"error: {_unspeakable(error.object)}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        # The front command names the extra that brings a library; a module of ours that is missing is a bug.
        if sys.argv[0].startswith("ambient ") or (error.name or "ambient").partition(".")[0] == "ambient":
            raise
        remedy = "Use the image that pipelines/*.json name for this stage, or .venv/bin/python of a checkout"
        print(f"error: {error.name}: not installed; expected it, for {parser.prog}. {remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def number(
    kind: type[int] | type[float], *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> Callable[[str], Any]:
    """Return an argparse type that reads a number and checks its range.

    Args:
        kind: `int` or `float`.
        least: The smallest value that is allowed.
        above: What the value must be greater than.
        most: The greatest value that is allowed.
    """

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}") from None
        if not (least <= value <= most and value > above and abs(value) != math.inf):
            bounds = [
                f"{word} {bound:g}"
                for word, bound in (("at least", least), ("more than", above), ("at most", most))
                if abs(bound) != math.inf
            ]
            raise argparse.ArgumentTypeError(f"{text}; expected {' and '.join(bounds) or 'a finite number'}")
        return value

    return read


class FilesFailedError(Exception):
    """Some files of a folder could not be processed; each was named when it failed, the others are done."""

    def __init__(self, failed: int, total: int) -> None:
        others = "; the others are done" if failed < total else ""
        super().__init__(f"{failed} of {total} files failed{others}. See the lines above")


def unusable(error: OSError, *, where: object = "") -> InputError:
    """Say in the words of this program what the system says about a file or folder.

    Args:
        error: What the system said.
        where: The file, where the error names none, as when a disk is full.
    """
    source = error.filename or where or "a file"
    found = (error.strerror or str(error)).lower()
    remedy = _REMEDIES.get(error.errno or 0, "Check the path")
    return InputError(source, found, "expected a place that can be read, or written to", remedy)


def log(message: str) -> None:
    """Print one line on stderr, whatever the names in it hold."""
    print(one_line(message), file=sys.stderr, flush=True)


def log_warnings(path: Path, warnings: Iterable[str]) -> None:
    """Print what is odd about a file as one line, or nothing."""
    said = "; ".join(warnings)
    if said:
        log(f"warning: {path}: {said}")


def for_each_file(files: Iterable[Path], process: Callable[[Path], str], *, workers: int = 1) -> None:
    """Process files one by one, or several at a time; a bad one is named and the others go on.

    Args:
        files: The files, in the order to process them.
        process: Handles one file and returns what it did, for the log; for several workers it can be pickled.
        workers: Processes that share the files.

    Raises:
        InputError: the only file of one could not be processed.
        FilesFailedError: at least one of several could not be processed.
    """
    todo = list(files)
    if not todo:
        log("no files to process")
    failed = 0
    results = _results(todo, process, min(workers, len(todo)))
    for index, (path, result) in enumerate(zip(todo, results, strict=True), start=1):
        try:
            log(f"[{index}/{len(todo)}] {path.name}: {result()}")
        except (InputError, OSError, UnicodeEncodeError) as error:
            reason = _reason(error, path)
            if len(todo) == 1:
                raise reason from error
            failed += 1
            log(f"error: {reason}")
    if failed:
        raise FilesFailedError(failed, len(todo))


def _reason(error: InputError | OSError | UnicodeEncodeError, path: Path) -> InputError:
    """Return what was wrong with a file, in the words of this program."""
    if isinstance(error, InputError):
        return error
    return unusable(error, where=path) if isinstance(error, OSError) else _unspeakable(path)


def _unspeakable(name: object) -> InputError:
    return InputError(name, "a name that is no UTF-8", "expected one that can be written down", "Rename it")


def _results(files: list[Path], process: Callable[[Path], str], workers: int) -> Iterator[Callable[[], str]]:
    """Yield for each file, in order, what gives its result or raises its error."""
    if workers < 2:
        for path in files:
            yield partial(process, path)
        return
    # Imported here: a pipeline starts a program for each file, and this would be half of what the start takes.
    from ambient.processes import process_pool

    with process_pool(workers) as pool:
        for path, future in [(path, pool.submit(process, path)) for path in files]:
            yield partial(_outcome, path, future)


def _outcome(path: Path, future: "Future[str]") -> str:
    from concurrent.futures.process import BrokenProcessPool

    try:
        return future.result()
    except BrokenProcessPool as error:
        found, expected = "a process of this program was killed", "expected it to end by itself"
        raise InputError(path, found, expected, "Is there enough memory? Run it again") from error


def files_below(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """List the files below a folder whose suffix is one of these in any case, sorted by relative path.

    Symbolic links are followed, because on a cluster the folder of an input is one, each folder once. What macOS writes
    beside a file (`._song.mid`) and unfinished files of ours are left out.

    Raises:
        InputError: the folder is not there.
        OSError: it, or a folder below it, cannot be read; leaving it out would lose its files.
    """
    if not folder.is_dir():
        raise InputError(folder, "no such folder", "expected the input folder", "Check the path")
    wanted = {suffix.lower() for suffix in suffixes}
    found = (folder / name for name in files_in(folder, _raise))
    return [path for path in found if _suffix(path.name) in wanted and not path.name.startswith(HIDDEN_FILES)]


def output_paths(source: Path, output: Path, reads: Iterable[str], writes: Sequence[str]) -> dict[Path, Path]:
    """Decide which file each input is written to.

    Args:
        source: A folder, whose files are written to the same paths below the output, or one file.
        output: A folder; of one file also the file itself, if it ends in one of `writes`.
        reads: Suffixes of the files of a folder that are read.
        writes: Suffixes of what is written; the first where none is named.

    Raises:
        InputError: the source is not there.
        OSError: a folder cannot be read.
    """
    if source.is_dir():
        return {path: (output / path.relative_to(source)).with_suffix(writes[0]) for path in files_below(source, reads)}
    if not source.is_file():
        raise InputError(source, "no such file or folder", "expected a file, or a folder of them", "Check --input")
    is_named = output.suffix.lower() in writes and not output.is_dir()
    return {source: output if is_named else output / f"{source.stem}{writes[0]}"}


def refuse_lossy_target(path: Path, targets: Mapping[Path, Path]) -> None:
    """Make sure that what an input becomes takes the place of no input, nor of what another one becomes.

    Args:
        path: The input about to be processed.
        targets: Each input and the file it is written to.

    Raises:
        InputError: the file is an input, or another input is written to it too.
    """
    rivals = [other.name for other, target in targets.items() if target == targets[path] and other != path]
    if rivals:
        found = f"would be written to the same {targets[path].name} as {', '.join(rivals)}"
        raise InputError(path, found, "expected names that differ before the ending", "Rename all but one of them")
    target = targets[path].resolve()
    for other in targets:
        if other.name == target.name and other.resolve() == target:
            found = "would be overwritten" if other == path else f"would overwrite {other}"
            raise InputError(path, found, "expected outputs apart from the inputs", "Choose another folder for them")


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    Raises:
        InputError: the file cannot be written.
    """
    # The suffix stays last: some writers choose the format by it.
    mark, name = f".partial-{os.getpid()}-", path.name
    while len(name) > 1 and len(os.fsencode(mark + name)) > _MAX_NAME_BYTES:
        name = name[1:]
    partial = path.with_name(mark + name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        # A full disk comes without a name, or with that of the file that is copied.
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or error.filename in (None, str(partial), partial):
            raise unusable(OSError(error.errno, error.strerror), where=path) from error
        raise
    finally:
        with suppress(OSError):  # an error here would hide the one that matters
            partial.unlink(missing_ok=True)


def _raise(error: OSError) -> None:
    raise error


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
