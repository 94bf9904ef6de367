"""What does the user's program see, and what did it leave? One datum's `/pfs` as a folder, laid out and read back.

::

    <scratch>/pfs/.scratch/songs/a.wav     the files of the datum at their full repo path
    <scratch>/pfs/songs -> .scratch/songs  a link, as in a Pachyderm worker: `find /pfs/songs` needs a trailing slash
    <scratch>/pfs/out   -> .scratch/out
    <scratch>/pfs/.env                     the variables, a line each
    <scratch>/secrets/0/key                the files of a secret with a mount_path
    <scratch>/tmp                          a container's /tmp
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from localpach.errors import FileNameError, OutputError
from localpach.planning.datums import Datum, DatumInput
from localpach.running.path_mapping import PFS, TMP, PathMapping
from localpach.running.secrets import MountedSecret
from localpach.running.variables import input_variables
from localpach.spec.paths import check_path
from localpach.storage.objects import Objects
from localpach.storage.trees import Entry


class Scratch:
    """The folder of one datum at a time.

    Args:
        folder: Where to lay it out.
        datum: The datum.
        objects: Where the bytes are.
        inside: Whether the program runs in a container, which sees the folder as `/pfs`.
        mounted: The places that a process of this machine really finds at their names.
        secrets: Those to be laid out as files.
        more: Further places of the program, by its names for them.
    """

    def __init__(
        self,
        folder: Path,
        datum: Datum,
        objects: Objects,
        *,
        inside: bool = False,
        mounted: Collection[str] = (),
        secrets: Sequence[MountedSecret] = (),
        more: Mapping[str, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.root = folder / "pfs"
        self._secrets = {folder / "secrets" / str(index): each for index, each in enumerate(secrets)}
        mounts = {each.mount_path: path for path, each in self._secrets.items()}
        self.paths = PathMapping(
            {PFS: self.root, **({TMP: folder / "tmp"} if inside else {}), **mounts, **(more or {})},
            inside=inside,
            mounted=mounted,
        )
        self._datum = datum
        self._objects = objects
        self._real = self.root / ".scratch"

    @property
    def out(self) -> Path:
        """The folder behind /pfs/out."""
        return self._real / "out"

    def lay_out(self) -> None:
        """Write the input files anew and an empty `out`; the folder itself stays, for a container has it mounted."""
        self.make_folders()
        for item in os.scandir(self.root):
            if item.is_dir(follow_symlinks=False):
                remove_tree(Path(item.path))
            else:
                os.unlink(item.path)
        self._real.mkdir()
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

    def make_folders(self) -> None:
        """Make the folders that a program can be started with before it has a datum."""
        self.root.mkdir(parents=True, exist_ok=True)
        if TMP in self.paths.places:
            self.paths.places[TMP].mkdir(exist_ok=True)
            self.paths.places[TMP].chmod(0o1777)
        for folder, secret in self._secrets.items():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for key, value in secret.values.items():
                (folder / key).write_bytes(value)

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """Write /pfs/.env."""
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        (self.root / ".env").write_text("".join(lines), encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Return the variables that name the datum's files."""
        return input_variables(self._datum, self.paths.seen(PFS))

    def collect(self) -> list[Entry]:
        """Store what the program left in `/pfs/out`.

        Returns:
            The files without an owner, by path.

        Raises:
            OutputError: a name that Pachyderm refuses, a device, a link that leads nowhere or back into `out`, or an
                `out` that is no longer the folder it was.
        """
        link = self.root / "out"
        if not (self.out.is_dir() and not self.out.is_symlink() and link.is_symlink() and link.samefile(self.out)):
            raise OutputError("/pfs/out was deleted or replaced; write into the folder that is there")
        found: dict[str, Entry] = {}
        for path, repo_path in self._walk(os.path.realpath(self.out), "", frozenset()):
            for entry in self._entries(path, repo_path):
                found[entry.path] = entry
        return list(found.values())

    def _walk(self, folder: str, prefix: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Walk the files below a folder without links in its path; links in it are followed, but not into themselves.

        Yields:
            Where a file, or a folder of an `empty_files` input, lies, and its path in the repo.
        """
        if folder in above:
            raise OutputError(f"/pfs/out{prefix} is a symbolic link into itself")
        for item in sorted(self._scan(folder), key=lambda each: each.name):
            repo_path = f"{prefix}/{item.name}"
            try:
                check_path(repo_path)
            except FileNameError as error:
                raise OutputError(f"/pfs/out{repo_path}: {error}") from None
            path = self._follow(item.path, repo_path) if item.is_symlink() else item.path
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and self._by_reference(path)):
                yield path, repo_path
            elif stat.S_ISDIR(mode):
                yield from self._walk(path, repo_path, above | {folder})
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise OutputError(f"/pfs/out{repo_path} is a device, which has no end; write a file")

    def _scan(self, folder: str) -> list["os.DirEntry[str]"]:
        """List a folder; one that the program made unreadable is made readable: on a cluster root reads it."""
        try:
            return list(os.scandir(folder))
        except PermissionError:
            self._make_readable(folder, 0o700)
            return list(os.scandir(folder))

    def _make_readable(self, path: str, mode: int) -> None:
        if not _is_below(path, os.path.realpath(self.out)):  # a file of the user elsewhere stays as it is
            raise OutputError(f"{self.paths.from_host(path)}, to which a link in /pfs/out leads, cannot be read")
        os.chmod(path, mode)

    def _follow(self, path: str, repo_path: str) -> str:
        target = self.paths.resolve(path)
        if target is None or not os.path.lexists(target):
            why = "which only the container had; copy it" if self.paths.inside else "which is not there"
            raise OutputError(f"/pfs/out{repo_path} is a symbolic link to {os.readlink(path)}, {why}")
        if _is_below(target, os.path.realpath(self.out)):
            raise OutputError(f"/pfs/out{repo_path} is a symbolic link into /pfs/out itself; write the file or copy it")
        return target

    def _entries(self, path: str, repo_path: str) -> Iterator[Entry]:
        """Yield what one file, or a link to an `empty_files` input, becomes in the output commit."""
        referred = self._by_reference(path)
        if referred is None:
            digest, size = self._add(path)
            yield Entry(repo_path, digest, size)
            return
        source, target = referred
        for each in source:
            for entry in each.listing.below(each.path):
                if entry.path == target:
                    yield Entry(repo_path, entry.digest, entry.size)
                elif entry.path.startswith(target.rstrip("/") + "/"):
                    yield Entry(repo_path + entry.path[len(target.rstrip("/")) :], entry.digest, entry.size)

    def _add(self, path: str) -> tuple[str, int]:
        try:
            return self._objects.add_file(Path(path))
        except PermissionError:
            self._make_readable(path, 0o600)
            return self._objects.add_file(Path(path))

    def _by_reference(self, path: str) -> tuple[list[DatumInput], str] | None:
        """Return which repo path a file is, if its input came with empty files: the repo's content is meant."""
        for each in self._datum.inputs:
            if not each.source.empty_files:
                continue
            input_root = os.path.realpath(self._real / each.source.name)
            if _is_below(path, input_root):
                same = [other for other in self._datum.inputs if other.source.name == each.source.name]
                return same, "/" + path[len(input_root) + 1 :]
        return None


def remove_tree(folder: Path) -> None:
    """Remove a folder with all in it, also what a program made read-only; what cannot be removed stays."""
    with contextlib.suppress(FileNotFoundError):
        try:
            shutil.rmtree(folder)
            return
        except OSError:  # no permission, or a program that was killed had not quite ended
            _make_writable(str(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _make_writable(folder: str) -> None:
    """Let all folders below a folder be emptied."""
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)
        for item in os.scandir(folder):
            if item.is_dir(follow_symlinks=False):
                _make_writable(item.path)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
