"""How are the file lists of commits kept? As trees, each of which stores only what it changes.

::

    commit 1 ─▶ tree 1: a b c … (a snapshot)
    commit 2 ─▶ tree 2: + d       on top of tree 1
    commit 3 ─▶ tree 3: + d, - a  on top of tree 1
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from localpach.storage.objects import CHUNK_BYTES

_ENTRY = "path, digest, size, owner"
_SMALL_TREE = 100  # files; smaller lists are copied in full


class Entry(NamedTuple):
    """One file of a commit. A tuple, as a file list makes 10,000s."""

    path: str
    digest: str
    size: int
    owner: str = ""


class Trees:
    """The file lists of all commits."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def add(self, copy_of: int | None = None) -> int:
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
        tree = self._sql.execute("INSERT INTO trees (base) VALUES (?)", (base,)).lastrowid
        assert tree is not None
        if copy_of is None or copy_of == base:
            return tree
        if base is None:
            self.write(tree, self.entries(copy_of))
        else:
            self._sql.execute(
                f"INSERT INTO entries (tree, {_ENTRY}, gone) SELECT ?, {_ENTRY}, gone FROM entries WHERE tree = ?",
                (tree, copy_of),
            )
        return tree

    def _forget_size(self, tree: int) -> None:
        self._sql.execute("UPDATE trees SET files = NULL, bytes = NULL WHERE id = ? AND files IS NOT NULL", (tree,))

    def _base_of(self, tree: int) -> int | None:
        row = self._sql.execute("SELECT base FROM trees WHERE id = ? AND base IS NOT NULL", (tree,)).fetchone()
        return int(row[0]) if row else None

    def _rows(self, tree: int) -> int:
        (count,) = self._sql.execute("SELECT count(*) FROM entries WHERE tree = ?", (tree,)).fetchone()
        return int(count)

    def write(self, tree: int, entries: Iterable[Entry]) -> None:
        """Put files into a tree, replacing those of the same path."""
        self._forget_size(tree)
        rows = [(tree, entry.path, entry.digest, entry.size, entry.owner) for entry in entries]
        self._sql.executemany(f"INSERT OR REPLACE INTO entries (tree, {_ENTRY}) VALUES (?, ?, ?, ?, ?)", rows)

    def remove(self, tree: int, paths: Iterable[str]) -> None:
        """Take files out of a tree."""
        self._forget_size(tree)
        if self._base_of(tree) is None:
            self._sql.executemany("DELETE FROM entries WHERE tree = ? AND path = ?", [(tree, path) for path in paths])
        else:
            self._sql.executemany(
                f"INSERT OR REPLACE INTO entries (tree, {_ENTRY}, gone) VALUES (?, ?, '', 0, '', 1)",
                [(tree, path) for path in paths],
            )

    def entries(self, tree: int) -> list[Entry]:
        """List the files of a tree in path order."""
        rows = self._sql.execute(
            f"SELECT {_ENTRY} FROM entries WHERE tree = ?1 AND NOT gone UNION ALL "
            f"SELECT {_ENTRY} FROM entries WHERE tree = ?2 "
            "AND path NOT IN (SELECT path FROM entries WHERE tree = ?1) ORDER BY path",
            (tree, self._base_of(tree)),
        )
        return list(map(Entry._make, rows))

    def entry(self, tree: int, path: str) -> Entry | None:
        """Find one file of a tree, or None."""
        for each in (tree, self._base_of(tree)):
            row = self._sql.execute(
                f"SELECT {_ENTRY}, gone FROM entries WHERE tree = ? AND path = ?", (each, path)
            ).fetchone()
            if row is not None:
                return None if row[-1] else Entry(*row[:-1])
        return None

    def size(self, tree: int) -> tuple[int, int]:
        """Return the number of files of a tree and their bytes; of a finished commit they are on record."""
        row = self._sql.execute("SELECT files, bytes FROM trees WHERE id = ? AND files IS NOT NULL", (tree,)).fetchone()
        return (row[0], row[1]) if row else self._measured(tree)

    def _measured(self, tree: int) -> tuple[int, int]:
        base = self._base_of(tree)
        if base is None:
            query = "SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE tree = ?"
            files, size = self._sql.execute(query, (tree,)).fetchone()
            return files, size
        files, size = self.size(base)
        more_files, more_size = self._sql.execute(
            "SELECT coalesce(sum((e.gone = 0) - (o.path IS NOT NULL)), 0), "
            "coalesce(sum(e.size - coalesce(o.size, 0)), 0) "
            "FROM entries e LEFT JOIN entries o ON o.tree = ? AND o.path = e.path WHERE e.tree = ?",
            (base, tree),
        ).fetchone()
        return files + more_files, size + more_size

    def large_sizes(self) -> set[int]:
        """Return the sizes of the stored files that are larger than one read of the objects."""
        return {
            size for (size,) in self._sql.execute("SELECT DISTINCT size FROM entries WHERE size >= ?", (CHUNK_BYTES,))
        }

    def remove_unused(self) -> None:
        """Remove the file lists that no commit has, and that no commit's file list builds on."""
        self._sql.execute(
            "DELETE FROM trees WHERE id NOT IN (SELECT tree FROM commits UNION "
            "SELECT base FROM trees JOIN commits ON commits.tree = trees.id WHERE base IS NOT NULL)"
        )
