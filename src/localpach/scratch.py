"""What does the user's program see, and what did it leave? One datum's `/pfs` as a folder, laid out and read back.

::

    <scratch>/pfs/.scratch/songs/a.wav     the files of the datum at their full repo path
    <scratch>/pfs/songs -> .scratch/songs  a link, as in a Pachyderm worker: `find /pfs/songs` needs a trailing slash
    <scratch>/pfs/out   -> .scratch/out
    <scratch>/pfs/.env                     the variables, a line each
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from localpach.datums import Datum, DatumInput
from localpach.errors import FileNameError, OutputError
from localpach.objects import Objects
from localpach.paths import check_path
from localpach.store import Entry

# `/pfs` as a whole path component: not in /pfsx, not in $HOME/pfs or a/pfs, but after = : " ' and in {/pfs/a,/pfs/b}.
_PFS = re.compile(r"(?<![\w./~}\])*?-])/pfs(?![\w.-])")


def map_pfs(text: str, root: Path) -> str:
    """Replace the prefix `/pfs` in a command word, a line of stdin or a variable by the folder that stands for it."""
    return _PFS.sub(lambda _: str(root), text)


class Scratch:
    """The folder of one try of one datum.

    Args:
        folder: Where to lay it out; what is there is removed first.
        datum: The datum.
        objects: Where the bytes are.
    """

    def __init__(self, folder: Path, datum: Datum, objects: Objects) -> None:
        self.folder = folder
        self.root = folder / "pfs"
        self._datum = datum
        self._objects = objects
        self._real = self.root / ".scratch"

    @property
    def out(self) -> Path:
        """The folder behind /pfs/out."""
        return self._real / "out"

    def lay_out(self) -> None:
        """Write the input files anew and an empty `out`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._real.mkdir(parents=True)
        for name in [*dict.fromkeys(each.source.name for each in self._datum.inputs), "out"]:
            (self._real / name).mkdir(mode=0o700)
            (self.root / name).symlink_to(Path(".scratch", name))
        for each in self._datum.inputs:
            for entry in each.listing.below(each.path):
                path = self._real / each.source.name / entry.path[1:]
                path.parent.mkdir(parents=True, exist_ok=True)
                if each.source.empty_files:
                    path.touch()
                else:  # a copy: the program may change its inputs, and a link would change the store
                    self._objects.copy_to(entry.digest, path)

    def write_environment(self, variables: dict[str, str]) -> None:
        """Write /pfs/.env."""
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        (self.root / ".env").write_text("".join(lines), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Give the variables that name the datum's files."""
        found: dict[str, str] = {}
        for each in self._datum.inputs:
            name = each.source.name
            found[name] = str(self.root / name) + ("" if each.path == "/" else each.path.rstrip("/"))
            found[f"{name}_COMMIT"] = each.listing.commit
            if each.join_key:
                found[f"PACH_DATUM_{name}_JOIN_ON"] = each.join_key
            if each.group_key:
                found[f"PACH_DATUM_{name}_GROUP_BY"] = each.group_key
        return found

    def collect(self) -> list[Entry]:
        """Store what the program left in `/pfs/out`.

        Returns:
            The files without an owner, by path.

        Raises:
            OutputError: a name that Pachyderm refuses, or a link that leads nowhere or back into `out`.
        """
        found: dict[str, Entry] = {}
        for path, repo_path in self._walk(self.out, "", frozenset()):
            for entry in self._entries(path, repo_path):
                found[entry.path] = entry
        return list(found.values())

    def _walk(self, folder: Path, prefix: str, above: frozenset[str]) -> Iterator[tuple[Path, str]]:
        """Walk the files below a folder; links to folders are followed unless they lead into themselves."""
        real = os.path.realpath(folder)
        if real in above:
            raise OutputError(f"/pfs/out{prefix} is a symbolic link into itself")
        for item in sorted(os.scandir(folder), key=lambda each: each.name):
            repo_path = f"{prefix}/{item.name}"
            try:
                check_path(repo_path)
            except FileNameError as error:
                raise OutputError(f"/pfs/out{repo_path}: {error}") from None
            path = Path(item.path)
            if path.is_symlink():
                self._check_link(path, repo_path)
            if path.is_dir() and not self._by_reference(path):
                yield from self._walk(path, repo_path, above | {real})
            elif path.is_dir() or stat.S_ISREG(path.stat().st_mode):
                yield path, repo_path

    def _check_link(self, path: Path, repo_path: str) -> None:
        target = Path(os.path.realpath(path))
        if not target.exists():
            raise OutputError(f"/pfs/out{repo_path} is a symbolic link to {os.readlink(path)}, which is not there")
        if target.is_relative_to(os.path.realpath(self.out)):
            raise OutputError(f"/pfs/out{repo_path} is a symbolic link into /pfs/out itself; write the file or copy it")

    def _entries(self, path: Path, repo_path: str) -> Iterator[Entry]:
        """Give what one file, or a link to an `empty_files` input, becomes in the output commit."""
        referred = self._by_reference(path)
        if referred is None:
            digest, size = self._objects.add_file(path)
            yield Entry(repo_path, digest, size)
            return
        source, target = referred
        for each in source:
            for entry in each.listing.below(each.path):
                if entry.path == target:
                    yield Entry(repo_path, entry.digest, entry.size)
                elif entry.path.startswith(target.rstrip("/") + "/"):
                    yield Entry(repo_path + entry.path[len(target.rstrip("/")) :], entry.digest, entry.size)

    def _by_reference(self, path: Path) -> tuple[list[DatumInput], str] | None:
        """Tell which repo path a link leads to, if its input came with empty files: the repo's content is meant."""
        target = os.path.realpath(path)
        for each in self._datum.inputs:
            input_root = os.path.realpath(self._real / each.source.name)
            if each.source.empty_files and (target == input_root or target.startswith(input_root + os.sep)):
                same = [other for other in self._datum.inputs if other.source.name == each.source.name]
                return same, "/" + target[len(input_root) + 1 :]
        return None
