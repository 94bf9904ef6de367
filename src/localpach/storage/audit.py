"""Is the state whole? Questions about all rows at once, for `fsck` and `gc`, and what repairs an inconsistent row."""

from collections.abc import Callable
from dataclasses import dataclass

from localpach.storage.lineage import SQUASHED
from localpach.storage.records import CREATED, EGRESSING, RUNNING
from localpach.storage.store import Store

_UNFINISHED = (CREATED, RUNNING, EGRESSING)


@dataclass(frozen=True, slots=True)
class InconsistentRow:
    """A row that contradicts others.

    Attributes:
        place: What it is about, as a person names it.
        problem: What is wrong.
        remedy: What `fsck --fix` does about it, or what a person can do.
        repair: Statement with its parameters that puts it right; None if nothing here can.
    """

    place: str
    problem: str
    remedy: str
    repair: tuple[str, tuple[object, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """A file of a commit that stands for an object; `owner` is the datum that wrote it, empty for a person's."""

    repo: str
    commit: str
    branch: str
    path: str
    owner: str


class Audit:
    """The part of the state that is about its own soundness."""

    def __init__(self, store: Store) -> None:
        self._sql = store.sql

    def inconsistent_rows(self) -> list[InconsistentRow]:
        """Check the database itself and every reference between rows."""
        checks: list[Callable[[], list[InconsistentRow]]] = [
            self._database, self._heads, self._parents, self._provenance, self._jobs_without_commit, self._versions,
            self._open_commits, self._open_jobs, self._open_records, self._lost_skips, self._lost_datums,
        ]  # fmt: skip
        return [row for check in checks for row in check()]

    def repair(self, row: InconsistentRow) -> None:
        """Put a row right. Must be called inside a transaction."""
        assert row.repair is not None
        self._sql.execute(*row.repair)

    def uses(self, digest: str) -> list[Use]:
        """List the files of commits that stand for an object, those of the newest commit first."""
        rows = self._sql.execute(
            "SELECT repo, id, branch, path, owner FROM ("
            "SELECT c.number, c.repo, c.id, c.branch, e.path, e.owner FROM entries e JOIN commits c ON c.tree = e.tree "
            "WHERE e.digest = ?1 AND NOT e.gone UNION ALL "
            "SELECT c.number, c.repo, c.id, c.branch, e.path, e.owner FROM entries e JOIN trees t ON t.base = e.tree "
            "JOIN commits c ON c.tree = t.id WHERE e.digest = ?1 AND NOT e.gone "
            "AND NOT EXISTS (SELECT 1 FROM entries over WHERE over.tree = t.id AND over.path = e.path)"
            ") ORDER BY number DESC, path",
            (digest,),
        )
        return [Use(*row) for row in rows]

    def logged(self) -> set[tuple[str, str, str]]:
        """List the datums (pipeline, job, datum) whose log a record leads to, those of squashed jobs included."""
        rows = self._sql.execute("SELECT j.pipeline, j.id, d.id FROM datums d JOIN jobs j ON j.number = d.job")
        return {(pipeline, job, datum) for pipeline, job, datum in rows}

    def listed_jobs(self) -> set[tuple[str, str]]:
        """List the jobs (pipeline, ID) that are not squashed: all their logs are kept."""
        rows = self._sql.execute("SELECT pipeline, id FROM jobs WHERE state != ?", (SQUASHED,))
        return {(pipeline, job) for pipeline, job in rows}

    def forget_unreached_datums(self) -> None:
        """Forget what ran in squashed jobs and no other job skips any more. Must be called inside a transaction."""
        self._sql.execute(
            "DELETE FROM datums WHERE job IN (SELECT number FROM jobs WHERE state = ?) AND NOT EXISTS (SELECT 1 FROM "
            "skips s WHERE s.ran = datums.job AND datums.position >= s.at AND datums.position < s.at + s.count)",
            (SQUASHED,),
        )

    def _database(self) -> list[InconsistentRow]:
        remedy = "restore a copy of the state, or begin a new one and put the files again"
        found = [
            InconsistentRow("state.sqlite", str(line), remedy)
            for (line,) in self._sql.execute("PRAGMA integrity_check")
            if line != "ok"
        ]
        for table, row, parent, _ in self._sql.execute("PRAGMA foreign_key_check"):
            found.append(InconsistentRow("state.sqlite", f"row {row} of {table} names no row of {parent}", remedy))
        return found

    def _heads(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT b.repo, b.name, b.head FROM branches b LEFT JOIN commits c ON c.repo = b.repo AND c.id = b.head "
            "WHERE b.head IS NOT NULL AND c.id IS NULL"
        )
        repair = (
            "UPDATE branches SET head = (SELECT id FROM commits WHERE repo = ?1 AND branch = ?2 "
            "ORDER BY number DESC LIMIT 1) WHERE repo = ?1 AND name = ?2"
        )
        return [
            InconsistentRow(
                f"{repo}@{branch}", f"its head {head} is no commit", "--fix moves it to its newest commit",
                (repair, (repo, branch)),
            )
            for repo, branch, head in rows
        ]  # fmt: skip

    def _parents(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT c.repo, c.id, c.parent FROM commits c LEFT JOIN commits p ON p.repo = c.repo AND p.id = c.parent "
            "WHERE c.parent IS NOT NULL AND p.id IS NULL"
        )
        repair = "UPDATE commits SET parent = NULL WHERE repo = ? AND id = ?"
        return [
            InconsistentRow(
                f"{repo}@{id_}", f"the commit before it, {parent}, is not there", "--fix lets its branch begin with it",
                (repair, (repo, id_)),
            )
            for repo, id_, parent in rows
        ]  # fmt: skip

    def _provenance(self) -> list[InconsistentRow]:
        # A repo that was deleted by force leaves provenance behind, which is the truth about its origin.
        rows = self._sql.execute(
            "SELECT p.repo, p.id, p.up_repo, p.up_id FROM commit_provenance p JOIN repos r ON r.name = p.up_repo "
            "LEFT JOIN commits c ON c.repo = p.up_repo AND c.id = p.up_id WHERE c.id IS NULL"
        )
        repair = "DELETE FROM commit_provenance WHERE repo = ? AND id = ? AND up_repo = ? AND up_id = ?"
        return [
            InconsistentRow(
                f"{repo}@{id_}", f"the commit it was made from, {up_repo}@{up_id}, is not there", "--fix forgets it",
                (repair, (repo, id_, up_repo, up_id)),
            )
            for repo, id_, up_repo, up_id in rows
        ]  # fmt: skip

    def _jobs_without_commit(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT j.number, j.pipeline, j.id FROM jobs j LEFT JOIN commits c ON c.repo = j.pipeline AND c.id = j.id "
            "WHERE c.id IS NULL AND j.state != ?",
            (SQUASHED,),
        )
        return [
            InconsistentRow(
                f"job {pipeline}@{id_}", "has no output commit", "--fix forgets the job",
                ("UPDATE jobs SET state = ? WHERE number = ?", (SQUASHED, number)),
            )
            for number, pipeline, id_ in rows
        ]  # fmt: skip

    def _open_commits(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT c.repo, c.id FROM commits c JOIN pipelines p ON p.name = c.repo LEFT JOIN jobs j "
            "ON j.pipeline = c.repo AND j.id = c.id AND j.state IN (?, ?, ?) "
            "WHERE c.finished IS NULL AND c.origin = 'AUTO' AND j.id IS NULL",
            _UNFINISHED,
        )
        repair = (
            "UPDATE commits SET finished = started, error = 'no job is left to finish it' WHERE repo = ? AND id = ?"
        )
        return [
            InconsistentRow(
                f"{repo}@{id_}", "is open, and no job is left to finish it", "--fix finishes it with an error",
                (repair, (repo, id_)),
            )
            for repo, id_ in rows
        ]  # fmt: skip

    def _open_jobs(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT j.number, j.pipeline, j.id FROM jobs j JOIN commits c ON c.repo = j.pipeline AND c.id = j.id "
            "WHERE j.state IN (?, ?, ?) AND c.finished IS NOT NULL",
            _UNFINISHED,
        )
        repair = "UPDATE jobs SET state = 'killed', reason = 'its commit was finished without it' WHERE number = ?"
        return [
            InconsistentRow(
                f"job {pipeline}@{id_}", "is unfinished, but its output commit is finished", "--fix ends it as killed",
                (repair, (number,)),
            )
            for number, pipeline, id_ in rows
        ]  # fmt: skip

    def _open_records(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT m.repo, m.id FROM repos r JOIN commits m ON m.repo = r.name LEFT JOIN commits c "
            "ON r.name = c.repo || '.meta' AND c.id = m.id "
            "WHERE r.type = 'meta' AND m.finished IS NULL AND (c.id IS NULL OR c.finished IS NOT NULL)"
        )
        repair = "UPDATE commits SET finished = started WHERE repo = ? AND id = ?"
        return [
            InconsistentRow(
                f"{repo}@{id_}", "is open, though the output it belongs to is finished", "--fix finishes it",
                (repair, (repo, id_)),
            )
            for repo, id_ in rows
        ]  # fmt: skip

    def _lost_skips(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT j.pipeline, j.id, s.job, s.position, s.count - (SELECT count(*) FROM datums d WHERE d.job = s.ran "
            "AND d.position >= s.at AND d.position < s.at + s.count) AS lost FROM skips s "
            "JOIN jobs j ON j.number = s.job WHERE lost != 0"
        )
        repair = "DELETE FROM skips WHERE job = ? AND position = ?"
        return [
            InconsistentRow(
                f"job {pipeline}@{id_}", f"the records of {lost} datums that it skipped are not there",
                "--fix lets the next job run them again", (repair, (job, position)),
            )
            for pipeline, id_, job, position, lost in rows
        ]  # fmt: skip

    def _lost_datums(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT pipeline, id, total, (SELECT count(*) FROM datums d WHERE d.job = number) "
            "+ (SELECT coalesce(sum(count), 0) FROM skips s WHERE s.job = number) AS known FROM jobs "
            "WHERE state = 'success' AND known != total AND number IN (SELECT max(number) FROM jobs GROUP BY pipeline)"
        )
        return [
            InconsistentRow(
                f"job {pipeline}@{id_}",
                f"has records of {known} datums instead of {total}",
                f"`localpach rerun pipeline {pipeline}` runs those without a record",
            )
            for pipeline, id_, total, known in rows
        ]

    def _versions(self) -> list[InconsistentRow]:
        rows = self._sql.execute(
            "SELECT name, version FROM pipelines p WHERE NOT EXISTS (SELECT 1 FROM pipeline_versions v "
            "WHERE v.pipeline = p.name AND v.version = p.version)"
        )
        return [
            InconsistentRow(
                f"pipeline {name}", f"the spec of version {version} is not there", "update it with `update pipeline`"
            )
            for name, version in rows
        ]
