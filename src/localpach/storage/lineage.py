"""What stands before and after a commit? Questions about the history of repos, and how a set is taken out of it."""

from dataclasses import dataclass

from localpach.storage.store import Store

SQUASHED = "squashed"  # state of a job that is in no list any more; later jobs skip datums that ran in it


@dataclass(frozen=True, slots=True)
class Link:
    """A commit that another one leads to: as its child, or because it was made from it."""

    repo: str
    id: str
    finished: bool
    error: str | None


class Lineage:
    """The history part of the state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sql = store.sql

    def children(self, repo: str, id_: str) -> list[Link]:
        """List the commits whose parent a commit is, oldest first."""
        rows = self._sql.execute(
            "SELECT repo, id, finished IS NOT NULL, error FROM commits WHERE repo = ? AND parent = ? ORDER BY number",
            (repo, id_),
        )
        return [Link(child_repo, child, bool(finished), error) for child_repo, child, finished, error in rows]

    def made_from(self, repo: str, id_: str) -> list[tuple[str, str]]:
        """List the commits (repo, ID) of other sets that were made from a commit, oldest first."""
        rows = self._sql.execute(
            "SELECT p.repo, p.id FROM commit_provenance p JOIN commits c ON c.repo = p.repo AND c.id = p.id "
            "WHERE p.up_repo = ?1 AND p.up_id = ?2 AND p.id != ?2 ORDER BY c.number",
            (repo, id_),
        )
        return [(below, below_id) for below, below_id in rows]

    def branches_at(self, repo: str, id_: str) -> list[str]:
        """List the branches whose head a commit is."""
        rows = self._sql.execute("SELECT name FROM branches WHERE repo = ? AND head = ? ORDER BY name", (repo, id_))
        return [name for (name,) in rows]

    def remove_set(self, id_: str) -> None:
        """Take a commit set out of the history: children and branches fall back to the parents, its jobs are forgotten.

        Must be called inside a transaction.
        """
        self._sql.execute(
            "UPDATE commits SET parent = (SELECT above.parent FROM commits above "
            "WHERE above.repo = commits.repo AND above.id = ?1) WHERE parent = ?1",
            (id_,),
        )
        self._sql.execute(
            "UPDATE branches SET head = (SELECT parent FROM commits WHERE commits.repo = branches.repo AND id = ?1) "
            "WHERE head = ?1",
            (id_,),
        )
        self._sql.execute("DELETE FROM commits WHERE id = ?", (id_,))
        # What ran in these jobs is still on record for the later jobs that skip it.
        self._sql.execute("DELETE FROM skips WHERE job IN (SELECT number FROM jobs WHERE id = ?)", (id_,))
        self._sql.execute("UPDATE jobs SET state = ? WHERE id = ?", (SQUASHED, id_))
        self._sql.execute("DELETE FROM jobs WHERE state = ? AND number NOT IN (SELECT ran FROM skips)", (SQUASHED,))
        self._store.trees.remove_unused()
