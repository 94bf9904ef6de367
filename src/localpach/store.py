"""What is in the repos? Repos, branches, commits, files: every question about them as a named query over SQLite."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from localpach import schema
from localpach.errors import NotFoundError, StateError
from localpach.lock import ObjectsLock
from localpach.objects import CHUNK_BYTES, Objects


@dataclass(frozen=True, slots=True)
class Repo:
    """A repo."""

    name: str
    created: float
    description: str
    type: str = "user"


@dataclass(frozen=True, slots=True)
class Branch:
    """A name in a repo that points at a commit, or at none yet; `trigger` is JSON of what moves it by itself."""

    repo: str
    name: str
    head: str | None
    created: float
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repo; open while `finished` is None. Times are seconds since the epoch."""

    repo: str
    id: str
    branch: str
    parent: str | None
    origin: str
    started: float
    finished: float | None
    error: str | None
    description: str
    tree: int


class Entry(NamedTuple):
    """One file of a commit. A tuple, as a file list makes 10,000s."""

    path: str
    digest: str
    size: int
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """Branch `repo@branch` follows branch `up_repo@up_branch`; `never`: without new commits of its own accord."""

    repo: str
    branch: str
    up_repo: str
    up_branch: str
    never: bool = False


_REPO = "name, created, description, type"
_BRANCH = "repo, name, head, created, trigger"
_COMMIT = "repo, id, branch, parent, origin, started, finished, error, description, tree"
_ENTRY = "path, digest, size, owner"
# The commits of the set ?1 with all that they were made from.
_USED = (
    "WITH RECURSIVE used(repo, id) AS (SELECT repo, id FROM commits WHERE id = ?1 UNION "
    "SELECT up_repo, up_id FROM commit_provenance p JOIN used u ON p.repo = u.repo AND p.id = u.id)"
)
_SMALL_TREE = 100  # files; smaller lists are copied in full


class _TakenBack(Exception):  # noqa: N818  it is no error: a trial ends so
    """Ends a trial."""


class Store:
    """The state folder: a database and the objects beside it."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = folder.resolve()
            self.objects = Objects(self.folder / "objects")
        except OSError as error:
            problem = "is a file" if isinstance(error, FileExistsError) else error.strerror
            raise StateError(f"state folder {folder}: {problem}; use another --state folder") from error
        self.sql = schema.connect(self.folder / "state.sqlite")
        self.lock = ObjectsLock(self.folder)
        self._inside = False

    def close(self) -> None:
        """Close the database and forget bytes that no row names."""
        self.objects.close()
        self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside the block visible together, or none of them; inner blocks join the outer one.

        Bytes that were added to the objects before are on disk before the rows that name them.
        """
        if self._inside:
            yield
            return
        with self.lock.storing():
            self.sql.execute("BEGIN IMMEDIATE")
            self._inside = True
            try:
                yield
                self.objects.flush()
                self.sql.execute("COMMIT")
            except BaseException:
                if self.sql.in_transaction:  # a full disk has ended it already
                    self.sql.execute("ROLLBACK")
                raise
            finally:
                self._inside = False

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Make changes inside the block, and take them all back at its end: what would have been refused was."""
        with suppress(_TakenBack), self.transaction():
            yield
            raise _TakenBack

    # Repos

    def repos(self) -> list[Repo]:
        """List the repos, newest first."""
        rows = self.sql.execute(f"SELECT {_REPO} FROM repos ORDER BY created DESC, name")
        return [Repo(*row) for row in rows]

    def repo(self, name: str) -> Repo:
        """Find one repo."""
        row = self.sql.execute(f"SELECT {_REPO} FROM repos WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFoundError("repo", name, self._meant(name))
        return Repo(*row)

    def _meant(self, name: str) -> str:
        """Say what to do where a repo is not there: a word may be misspelt, and pipelines make their system repos."""
        if "." in name:
            return "`localpach list repo --all` shows those there are"
        close = get_close_matches(name, [repo.name for repo in self.repos() if repo.type == "user"], 1)
        return f"did you mean {close[0]}?" if close else f"make it with `localpach create repo {name}`"

    def has_repo(self, name: str) -> bool:
        """Tell whether a repo is there."""
        return self.sql.execute("SELECT 1 FROM repos WHERE name = ?", (name,)).fetchone() is not None

    def add_repo(self, name: str, description: str, type_: str = "user") -> None:
        """Make a repo without branches."""
        self.sql.execute(f"INSERT INTO repos ({_REPO}) VALUES (?, ?, ?, ?)", (name, time.time(), description, type_))

    def set_description(self, name: str, description: str) -> None:
        """Describe a repo anew."""
        self.sql.execute("UPDATE repos SET description = ? WHERE name = ?", (description, name))

    def remove_repo(self, name: str) -> None:
        """Remove a repo with its branches, commits and file lists."""
        self.sql.execute("DELETE FROM branch_provenance WHERE up_repo = ?", (name,))
        self.sql.execute("DELETE FROM repos WHERE name = ?", (name,))
        self.remove_unused_trees()

    # Branches and what follows what

    def branches(self, repo: str) -> list[Branch]:
        """List the branches of a repo, newest first."""
        rows = self.sql.execute(f"SELECT {_BRANCH} FROM branches WHERE repo = ? ORDER BY created DESC, name", (repo,))
        return [Branch(*row) for row in rows]

    def branch(self, repo: str, name: str) -> Branch | None:
        """Find a branch, or None."""
        row = self.sql.execute(f"SELECT {_BRANCH} FROM branches WHERE repo = ? AND name = ?", (repo, name)).fetchone()
        return Branch(*row) if row else None

    def set_head(self, repo: str, name: str, head: str | None) -> None:
        """Point a branch at a commit, making the branch if it is new."""
        self.sql.execute(
            "INSERT INTO branches (repo, name, head, created) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (repo, name) DO UPDATE SET head = excluded.head",
            (repo, name, head, time.time()),
        )

    def set_trigger(self, repo: str, name: str, trigger: str | None) -> None:
        """Say as JSON what moves a branch by itself, or that nothing does."""
        self.sql.execute("UPDATE branches SET trigger = ? WHERE repo = ? AND name = ?", (trigger, repo, name))

    def remove_branch(self, repo: str, name: str) -> None:
        """Remove a branch; its commits stay."""
        self.sql.execute("DELETE FROM branch_provenance WHERE up_repo = ? AND up_branch = ?", (repo, name))
        self.sql.execute("DELETE FROM branches WHERE repo = ? AND name = ?", (repo, name))

    def edges(self) -> list[Edge]:
        """List which branch follows which."""
        rows = self.sql.execute("SELECT repo, branch, up_repo, up_branch, never FROM branch_provenance ORDER BY rowid")
        return [Edge(repo, branch, up_repo, up_branch, bool(never)) for repo, branch, up_repo, up_branch, never in rows]

    def set_provenance(self, repo: str, branch: str, edges: Iterable[Edge]) -> None:
        """Replace what a branch follows."""
        self.sql.execute("DELETE FROM branch_provenance WHERE repo = ? AND branch = ?", (repo, branch))
        rows = [(edge.repo, edge.branch, edge.up_repo, edge.up_branch, edge.never) for edge in edges]
        self.sql.executemany("INSERT INTO branch_provenance VALUES (?, ?, ?, ?, ?)", rows)

    # Commits

    def commit(self, repo: str, id_: str) -> Commit | None:
        """Find a commit by its ID, or None."""
        row = self.sql.execute(f"SELECT {_COMMIT} FROM commits WHERE repo = ? AND id = ?", (repo, id_)).fetchone()
        return Commit(*row) if row else None

    def commits(self, repo: str | None = None, *, id_: str | None = None) -> list[Commit]:
        """List commits, newest first: all, of one repo, or of one set."""
        rows = self.sql.execute(
            f"SELECT {_COMMIT} FROM commits WHERE (?1 IS NULL OR repo = ?1) AND (?2 IS NULL OR id = ?2) "
            "ORDER BY number DESC",
            (repo, id_),
        )
        return [Commit(*row) for row in rows]

    def add_commit(self, repo: str, id_: str, branch: str, parent: str | None, origin: str, tree: int) -> Commit:
        """Add an open commit and make it the head of its branch."""
        self.sql.execute(
            f"INSERT INTO commits ({_COMMIT}) VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, '', ?)",
            (repo, id_, branch, parent, origin, time.time(), tree),
        )
        self.set_head(repo, branch, id_)
        commit = self.commit(repo, id_)
        assert commit is not None
        return commit

    def describe_commit(self, repo: str, id_: str, description: str) -> None:
        """Set the message of a commit."""
        self.sql.execute("UPDATE commits SET description = ? WHERE repo = ? AND id = ?", (description, repo, id_))

    def finish_commit(self, repo: str, id_: str, *, tree: int | None = None, error: str | None = None) -> None:
        """Close a commit, perhaps with other files, perhaps with an error."""
        self.sql.execute(
            "UPDATE commits SET finished = ?, error = ?, tree = coalesce(?, tree) WHERE repo = ? AND id = ?",
            (time.time(), error, tree, repo, id_),
        )
        commit = self.commit(repo, id_)
        if commit is not None:
            size = self.tree_size(commit.tree)
            self.sql.execute("UPDATE trees SET files = ?, bytes = ? WHERE id = ?", (*size, commit.tree))

    def add_provenance(self, repo: str, id_: str, up_repo: str, up_branch: str, up_id: str) -> None:
        """Note that a commit was made from another."""
        self.sql.execute("INSERT INTO commit_provenance VALUES (?, ?, ?, ?, ?)", (repo, id_, up_repo, up_branch, up_id))

    def provenance(self, repo: str, id_: str) -> dict[tuple[str, str], str]:
        """Give the commit IDs a commit was made from, by (repo, branch)."""
        rows = self.sql.execute(
            "SELECT up_repo, up_branch, up_id FROM commit_provenance WHERE repo = ? AND id = ?", (repo, id_)
        )
        return {(up_repo, up_branch): up_id for up_repo, up_branch, up_id in rows}

    def commit_set(self, id_: str) -> list[Commit]:
        """List the commits of a set, newest first: those of its ID, and those of other sets they were made from."""
        rows = self.sql.execute(
            f"{_USED} SELECT {_COMMIT} FROM commits WHERE (repo, id) IN used ORDER BY number DESC", (id_,)
        )
        return [Commit(*row) for row in rows]

    def commit_used_in_set(self, repo: str, id_: str) -> str | None:
        """Find the commit of a repo that a commit set was made from, when the set has none there itself."""
        row = self.sql.execute(f"{_USED} SELECT id FROM used WHERE repo = ?2 LIMIT 1", (id_, repo)).fetchone()
        return str(row[0]) if row else None

    # Trees and their files

    def add_tree(self, copy_of: int | None = None) -> int:
        """Make a tree, empty or with the files of another, which must not change any more.

        A copy holds only what it changes. One of a tree that itself has few changes takes those over and comes on top
        of the same snapshot; when they have become many, it is a snapshot itself. With at most sqrt(2 n) changes on
        top of n files, a line of small commits costs the least: about that many rows for each.
        """
        base = None
        if copy_of is not None:
            below = self._base_of(copy_of)
            changes = self._rows(copy_of) if below is not None else 0
            files = self._rows(copy_of if below is None else below)
            if files >= _SMALL_TREE and changes**2 <= 2 * files:
                base = copy_of if below is None else below
        tree = self.sql.execute("INSERT INTO trees (base) VALUES (?)", (base,)).lastrowid
        assert tree is not None
        if copy_of is None or copy_of == base:
            return tree
        if base is None:
            self.write_entries(tree, self.entries(copy_of))
        else:
            self.sql.execute(
                f"INSERT INTO entries (tree, {_ENTRY}, gone) SELECT ?, {_ENTRY}, gone FROM entries WHERE tree = ?",
                (tree, copy_of),
            )
        return tree

    def _forget_size(self, tree: int) -> None:
        self.sql.execute("UPDATE trees SET files = NULL, bytes = NULL WHERE id = ? AND files IS NOT NULL", (tree,))

    def _base_of(self, tree: int) -> int | None:
        row = self.sql.execute("SELECT base FROM trees WHERE id = ? AND base IS NOT NULL", (tree,)).fetchone()
        return int(row[0]) if row else None

    def _rows(self, tree: int) -> int:
        (count,) = self.sql.execute("SELECT count(*) FROM entries WHERE tree = ?", (tree,)).fetchone()
        return int(count)

    def write_entries(self, tree: int, entries: Iterable[Entry]) -> None:
        """Put files into a tree, replacing those of the same path."""
        self._forget_size(tree)
        rows = [(tree, entry.path, entry.digest, entry.size, entry.owner) for entry in entries]
        self.sql.executemany(f"INSERT OR REPLACE INTO entries (tree, {_ENTRY}) VALUES (?, ?, ?, ?, ?)", rows)

    def remove_entries(self, tree: int, paths: Iterable[str]) -> None:
        """Take files out of a tree."""
        self._forget_size(tree)
        if self._base_of(tree) is None:
            self.sql.executemany("DELETE FROM entries WHERE tree = ? AND path = ?", [(tree, path) for path in paths])
        else:
            self.sql.executemany(
                f"INSERT OR REPLACE INTO entries (tree, {_ENTRY}, gone) VALUES (?, ?, '', 0, '', 1)",
                [(tree, path) for path in paths],
            )

    def entries(self, tree: int) -> list[Entry]:
        """List the files of a tree in path order."""
        rows = self.sql.execute(
            f"SELECT {_ENTRY} FROM entries WHERE tree = ?1 AND NOT gone UNION ALL "
            f"SELECT {_ENTRY} FROM entries WHERE tree = ?2 "
            "AND path NOT IN (SELECT path FROM entries WHERE tree = ?1) ORDER BY path",
            (tree, self._base_of(tree)),
        )
        return list(map(Entry._make, rows))

    def entry(self, tree: int, path: str) -> Entry | None:
        """Find one file of a tree, or None."""
        for each in (tree, self._base_of(tree)):
            row = self.sql.execute(
                f"SELECT {_ENTRY}, gone FROM entries WHERE tree = ? AND path = ?", (each, path)
            ).fetchone()
            if row is not None:
                return None if row[-1] else Entry(*row[:-1])
        return None

    def tree_size(self, tree: int) -> tuple[int, int]:
        """Give the number of files of a tree and their bytes; of a finished commit they are on record."""
        row = self.sql.execute("SELECT files, bytes FROM trees WHERE id = ? AND files IS NOT NULL", (tree,)).fetchone()
        return (row[0], row[1]) if row else self._measured(tree)

    def _measured(self, tree: int) -> tuple[int, int]:
        base = self._base_of(tree)
        if base is None:
            query = "SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE tree = ?"
            files, size = self.sql.execute(query, (tree,)).fetchone()
            return files, size
        files, size = self.tree_size(base)
        more_files, more_size = self.sql.execute(
            "SELECT coalesce(sum((e.gone = 0) - (o.path IS NOT NULL)), 0), "
            "coalesce(sum(e.size - coalesce(o.size, 0)), 0) "
            "FROM entries e LEFT JOIN entries o ON o.tree = ? AND o.path = e.path WHERE e.tree = ?",
            (base, tree),
        ).fetchone()
        return files + more_files, size + more_size

    def large_sizes(self) -> set[int]:
        """Give the sizes of the stored files that are larger than one read of the objects."""
        return {
            size for (size,) in self.sql.execute("SELECT DISTINCT size FROM entries WHERE size >= ?", (CHUNK_BYTES,))
        }

    def remove_unused_trees(self) -> None:
        """Remove the file lists that no commit has, and that no commit's file list builds on."""
        self.sql.execute(
            "DELETE FROM trees WHERE id NOT IN (SELECT tree FROM commits UNION "
            "SELECT base FROM trees JOIN commits ON commits.tree = trees.id WHERE base IS NOT NULL)"
        )

    def referenced(self) -> list[tuple[str, int]]:
        """List the digests and sizes of all objects that a file of a commit, or of an unfinished job, stands for."""
        rows = self.sql.execute(
            "SELECT digest, size FROM entries WHERE NOT gone UNION SELECT digest, size FROM outputs ORDER BY digest"
        )
        return [(digest, size) for digest, size in rows]
