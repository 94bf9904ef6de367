"""When does a folder become a commit? Files dropped in it are put into a branch, one commit a quiet moment.

::

    look ─▶ as at the last look? ─no─▶ the quiet time begins anew
                 │ yes
            quiet long enough? ─▶ read what changed ─▶ changed while read? ─yes─▶ left for the next quiet moment
                                        │ no
                                  other bytes than the head has ─▶ one commit

A file is read only after its size and time have stood still, together with those of all others, and while no program
has it open to write to. A file that keeps growing needs to stand still for five times as long; the others wait for it,
but not for ever. What is committed already, also by an earlier call, is found by digest and not put again.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localpach.actions.files import changed
from localpach.actions.unfinished import is_hidden, is_unfinished, written_now
from localpach.errors import FileNameError, NotFoundError, OutputBranchError
from localpach.spec.addresses import CommitAddress
from localpach.spec.paths import check_path, parents
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import require_user_repo
from localpach.storage.trees import Entry

_GROWN = 2  # looks in which a file had changed again: it is being written
_GROWN_QUIET, _MOST_HELD_UP = 5, 30  # times the quiet time: how long such a file must stand still, how long others wait

Stamp = tuple[int, int]  # size in bytes, time of the last change in nanoseconds


@dataclass(frozen=True, slots=True)
class Look:
    """What was in the folder: stamps by path relative to it, what is unfinished, and what could not be looked at."""

    files: dict[str, Stamp] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)


def look(folder: Path, leave_out: Path) -> Look:
    """List the files below a folder; hidden and unfinished ones, links to folders and all but plain files are left out.

    Args:
        folder: Where to look.
        leave_out: A folder inside that is not looked at, such as the state.

    Raises:
        OSError: the folder itself is not there or cannot be read.
    """
    found = Look()
    _look(os.fspath(folder), "", found, os.path.realpath(leave_out))
    return found


def _look(top: str, below: str, found: Look, leave_out: str) -> None:
    with os.scandir(os.path.join(top, below)) as inside:
        entries = [entry for entry in inside if not is_hidden(entry.name)]
    names = {entry.name for entry in entries}
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if os.path.realpath(entry.path) != leave_out:
                    _look(top, path, found, leave_out)
            elif is_unfinished(entry.name, names):
                found.unfinished.add(path)
            elif entry.is_file():
                found.files[path] = _stamp(entry.stat())
        except OSError as error:
            found.unread.append(f"{path}: {error.strerror or error}")


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns


@dataclass(slots=True)
class _Growth:
    """How a file has changed while it was watched: since when, when last, in how many looks."""

    since: float
    last: float
    times: int = 0

    def goes_on(self, now: float, quiet_s: float) -> bool:
        """Return whether it is likely that the file will change again."""
        return self.times >= _GROWN and now - self.last < _GROWN_QUIET * quiet_s

    def keeps_others(self, now: float, quiet_s: float) -> bool:
        """Return whether others wait for it, so that what is dropped together is one commit."""
        return now - self.since < _MOST_HELD_UP * quiet_s


def _without(seen: Look, paths: set[str]) -> Look:
    kept = {path: stamp for path, stamp in seen.files.items() if path not in paths}
    return Look(kept, seen.unfinished, seen.unread)


class Watcher:
    """One folder and the branch that its files go to.

    Args:
        store: The state.
        folder: The folder; it may vanish for a while.
        address: The branch, which people must be allowed to commit to.
        quiet_s: For how long nothing may change before a commit is made.
        delete: Whether files of the branch that are not in the folder are deleted, so that the branch mirrors it.
        note: Shows one line.

    Raises:
        NotFoundError: the folder or the repo is not there.
        OutputBranchError: the branch is filled by a pipeline or another branch.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        address: CommitAddress,
        *,
        quiet_s: float,
        delete: bool,
        note: Callable[[str], None],
    ) -> None:
        if not folder.is_dir():
            raise NotFoundError("folder", str(folder), "make it, then watch it")
        require_user_repo(store, address.repo)
        if any((edge.repo, edge.branch) == (address.repo, address.name) for edge in store.edges()):
            raise OutputBranchError(address.repo, address.name)
        self._store = store
        self._folder = folder
        self._address = address
        self._quiet_s = quiet_s
        self._delete = delete
        self._note = note
        self._done: dict[str, Stamp] = {}  # the files that need no reading again
        self._seen: Look | None = None
        self._still_since = 0.0
        self._growth: dict[str, _Growth] = {}
        self._reported: set[str] = set()

    def step(self, now: float) -> Commit | None:
        """Look once, and commit what has changed if it has been quiet for long enough.

        Args:
            now: Seconds on a clock that only goes forward.

        Returns:
            The commit, if one was made.
        """
        try:
            seen = look(self._folder, self._store.folder)
        except OSError as error:
            self._report(f"{self._folder}: {error.strerror or error}; waiting for it to come back")
            self._seen = None
            return None
        self._note_growth(seen, now)
        growing = {path for path, growth in self._growth.items() if growth.goes_on(now, self._quiet_s)}
        held_up = {path for path in growing if self._growth[path].keeps_others(now, self._quiet_s)}
        before, self._seen = self._seen, seen
        if before is None or _without(seen, growing) != _without(before, growing):
            self._still_since = now
        if held_up or now - self._still_since < self._quiet_s:
            return None
        for problem in seen.unread:
            self._report(f"left out: {problem}")
        return self._commit(seen, growing)

    def _note_growth(self, seen: Look, now: float) -> None:
        """Remember which files have changed since the last look."""
        before = self._seen.files if self._seen else {}
        for path, stamp in seen.files.items():
            if path in before and before[path] != stamp:
                growth = self._growth.setdefault(path, _Growth(now, now))
                growth.times, growth.last = growth.times + 1, now
        self._growth = {path: growth for path, growth in self._growth.items() if path in seen.files}

    def _commit(self, seen: Look, growing: set[str]) -> Commit | None:
        """Put the files with other bytes than the head has; return the commit, or None if all is there already."""
        changed_files = self._changed(seen, growing)
        gone = self._done.keys() - seen.files.keys()
        if not changed_files and not gone:
            return None
        read = dict(self._read(changed_files))
        there = {entry.path: entry for entry in self._head()}
        put = [entry for entry in read.values() if entry is not None and _differs(entry, there.get(entry.path))]
        drop = _in_the_way({entry.path for entry in put}, there) | self._deleted(seen, there)
        made = self._save(put, drop) if put or drop else None
        self._done = {path: stamp for path, stamp in self._done.items() if path not in gone}
        self._done.update({path: seen.files[path] for path in read})
        return made

    def _changed(self, seen: Look, growing: set[str]) -> dict[str, Stamp]:
        """Return the files to be read: new or changed ones that nobody writes any more."""
        found = {
            path: stamp for path, stamp in seen.files.items() if self._done.get(path) != stamp and path not in growing
        }
        for place in written_now(self._folder / path for path in found):
            path = place.relative_to(self._folder).as_posix()
            self._report(f"left alone: {path} is still being written")
            del found[path]
        return found

    def _deleted(self, seen: Look, there: dict[str, Entry]) -> set[str]:
        """List the files of the head that go because they are no longer in the folder, if that is wanted and sure."""
        if not self._delete or seen.unread:
            return set()
        return there.keys() - {f"/{path}" for path in seen.files.keys() | seen.unfinished}

    def _read(self, files: dict[str, Stamp]) -> Iterator[tuple[str, Entry | None]]:
        """Store the bytes of files; None for one whose name is refused. One that changes meanwhile is not given."""
        for path, stamp in sorted(files.items()):
            try:
                name = check_path(path)
            except FileNameError as error:
                self._report(f"left out: {error}")
                yield path, None
                continue
            place = self._folder / path
            try:
                digest, size = self._store.objects.add_file(place)
                if _stamp(place.stat()) == stamp:
                    yield path, Entry(name, digest, size)
            except FileNotFoundError:
                continue  # gone since the look
            except OSError as error:
                self._report(f"left out: {path}: {error.strerror or error}")

    def _head(self) -> list[Entry]:
        branch = self._store.branch(self._address.repo, self._address.name)
        head = self._store.commit(self._address.repo, branch.head) if branch and branch.head else None
        return self._store.trees.entries(head.tree) if head else []

    def _save(self, put: list[Entry], drop: set[str]) -> Commit:
        with changed(self._store, self._address) as commit:
            self._store.trees.remove(commit.tree, drop)
            self._store.trees.write(commit.tree, put)
        deleted = f", {len(drop)} deleted" if drop else ""
        self._note(f"{self._folder}: {len(put)} put{deleted} in {self._address} (commit {commit.id})")
        return commit

    def _report(self, line: str) -> None:
        """Show a line once."""
        if line not in self._reported:
            self._reported.add(line)
            self._note(line)


def _differs(entry: Entry, there: Entry | None) -> bool:
    return there is None or there.digest != entry.digest


def _in_the_way(put: set[str], there: dict[str, Entry]) -> set[str]:
    """List the files of the head that cannot stay beside new ones: a file where a directory comes, or the reverse."""
    directories = {parent for path in put for parent in parents(path)}
    return {path for path in there if path in directories or any(parent in put for parent in parents(path))}
