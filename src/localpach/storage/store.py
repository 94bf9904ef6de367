"""What is in the repos? Repos, branches, commits: every question about them as a named query over SQLite."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from localpach.errors import CommitStateError, NotFoundError, StateError
from localpach.storage import schema
from localpach.storage.lock import ObjectsLock
from localpach.storage.objects import Objects
from localpach.storage.trees import Trees


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
# The commits of the set ?1 with all that they were made from.
_USED = (
    "WITH RECURSIVE used(repo, id) AS (SELECT repo, id FROM commits WHERE id = ?1 UNION "
    "SELECT up_repo, up_id FROM commit_provenance p JOIN used u ON p.repo = u.repo AND p.id = u.id)"
)


class _TakenBack(Exception):  # noqa: N818  no error: every dry run ends with it
    """Ends a dry run."""


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
        self.trees = Trees(self.sql)
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
    def dry_run(self) -> Iterator[None]:
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
        from difflib import get_close_matches  # here, because only a mistake needs it

        close = get_close_matches(name, [repo.name for repo in self.repos() if repo.type == "user"], 1)
        return f"did you mean {close[0]}?" if close else f"make it with `localpach create repo {name}`"

    def has_repo(self, name: str) -> bool:
        """Return whether a repo is there."""
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
        self.trees.remove_unused()

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
        """Add an open commit and make it the head of its branch.

        Raises:
            CommitStateError: the repo has a commit of this ID; a transaction can make one in each repo.
        """
        if self.commit(repo, id_) is not None:
            raise CommitStateError(f"{repo} has a commit in this transaction already; use another transaction")
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
            size = self.trees.size(commit.tree)
            self.sql.execute("UPDATE trees SET files = ?, bytes = ? WHERE id = ?", (*size, commit.tree))

    def add_provenance(self, repo: str, id_: str, up_repo: str, up_branch: str, up_id: str) -> None:
        """Note that a commit was made from another, instead of what it was made from on that branch before."""
        self.sql.execute(
            "INSERT OR REPLACE INTO commit_provenance VALUES (?, ?, ?, ?, ?)", (repo, id_, up_repo, up_branch, up_id)
        )

    def provenance(self, repo: str, id_: str) -> dict[tuple[str, str], str]:
        """Return the commit IDs a commit was made from, by (repo, branch)."""
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

    def referenced(self) -> list[tuple[str, int]]:
        """List the digests and sizes of all objects that a file of a commit, or of an unfinished job, stands for."""
        rows = self.sql.execute(
            "SELECT digest, size FROM entries WHERE NOT gone UNION SELECT digest, size FROM outputs ORDER BY digest"
        )
        return [(digest, size) for digest, size in rows]
