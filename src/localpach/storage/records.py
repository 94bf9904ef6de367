"""What ran, and how did it end? Pipelines, jobs and datums: every question about them as a named query over SQLite."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from localpach.errors import NotFoundError
from localpach.storage.store import Store
from localpach.storage.trees import Entry

if TYPE_CHECKING:
    from localpach.spec.spec import PipelineSpec

CREATED, RUNNING, EGRESSING, SUCCESS, FAILURE, KILLED, UNRUNNABLE = (
    "created", "running", "egressing", "success", "failure", "killed", "unrunnable",
)  # fmt: skip
ENDED = (SUCCESS, FAILURE, KILLED, UNRUNNABLE)
UNCHANGED = "unchanged since it was processed"  # why a datum is skipped


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline in its newest version."""

    name: str
    version: int
    stopped: bool
    created: float
    salt: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How the datums of a job ended."""

    processed: int = 0
    skipped: int = 0
    recovered: int = 0
    failed: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a pipeline version over one commit set.

    Times are seconds since the epoch; `downloaded` and `uploaded` are the bytes of its datums; jobs are numbered in
    the order in which they are made.
    """

    pipeline: str
    id: str
    version: int
    state: str
    reason: str
    created: float
    started: float | None
    finished: float | None
    counts: Counts
    downloaded: int = 0
    uploaded: int = 0
    number: int = 0

    @property
    def name(self) -> str:
        """The job as pachctl writes it."""
        return f"{self.pipeline}@{self.id}"

    @property
    def ended(self) -> bool:
        """Whether the job has reached its end."""
        return self.state in ENDED


class DatumRecord(NamedTuple):
    """How one datum of a job ended; `files` lists (input, repo, commit, path). A tuple, as listings make 10,000s."""

    id: str
    position: int
    hash: str
    label: str
    files: tuple[tuple[str, str, str, str], ...]
    state: str
    why: str
    reason: str
    seconds: float
    tries: int
    ran_in: str
    ran_version: int
    downloaded: int = 0
    uploaded: int = 0

    @property
    def paths(self) -> list[str]:
        """The paths of its files."""
        return [path for *_, path in self.files]


@dataclass(frozen=True, slots=True)
class BaseDatum:
    """What is on record of a datum of the base job; no hash if it is to run again in any case.

    `ran` is the number of the job in which it ran, the base job or one before, and `at` its position there.
    """

    hash: str
    state: str
    ran: int = 0
    at: int = 0


_JOB = (
    "pipeline, id, version, state, reason, created, started, finished, "
    "processed, skipped, recovered, failed, total, downloaded, uploaded, number"
)
# Of the datum `d` that ran in the job `r`, and the same of a later job that skipped it by the range `s`.
_RAN = (
    "d.id, d.position, d.hash, d.label, d.files, d.state, d.why, d.reason, d.seconds, d.tries, r.id, r.version, "
    "d.downloaded, d.uploaded FROM datums d JOIN jobs r ON r.number = d.job"
)
_SKIPPED = (
    "d.id, s.position + d.position - s.at, d.hash, d.label, d.files, 'skipped', ?2, d.reason, 0.0, d.tries, r.id, "
    "r.version, 0, 0 FROM skips s JOIN jobs r ON r.number = s.ran "
    "JOIN datums d ON d.job = s.ran AND d.position >= s.at AND d.position < s.at + s.count"
)


class Records:
    """The part of the state that is about pipelines and their runs."""

    def __init__(self, store: Store) -> None:
        self._sql = store.sql

    # Pipelines

    def pipelines(self) -> list[Pipeline]:
        """List the pipelines, newest first."""
        rows = self._sql.execute(
            "SELECT name, version, stopped, created, salt FROM pipelines ORDER BY created DESC, rowid DESC"
        )
        return [Pipeline(name, version, bool(stopped), created, salt) for name, version, stopped, created, salt in rows]

    def find_pipeline(self, name: str) -> Pipeline | None:
        """Find a pipeline, or None."""
        return next((each for each in self.pipelines() if each.name == name), None)

    def pipeline(self, name: str) -> Pipeline:
        """Find a pipeline that must be there."""
        found = self.find_pipeline(name)
        if found is None:
            raise NotFoundError("pipeline", name, "`localpach list pipeline` shows those there are")
        return found

    def save_pipeline(self, spec: "PipelineSpec", version: int, salt: str) -> None:
        """Add a version of a pipeline and make it the newest."""
        now = time.time()
        self._sql.execute(
            "INSERT INTO pipelines VALUES (?1, ?2, 0, ?3, ?4) ON CONFLICT (name) DO UPDATE SET version = ?2, salt = ?4",
            (spec.name, version, now, salt),
        )
        self._sql.execute(
            "INSERT INTO pipeline_versions VALUES (?, ?, ?, ?, ?)", (spec.name, version, spec.text, salt, now)
        )

    def set_stopped(self, name: str, *, stopped: bool) -> None:
        """Stop a pipeline or start it again."""
        self._sql.execute("UPDATE pipelines SET stopped = ? WHERE name = ?", (stopped, name))

    def remove_pipeline(self, name: str) -> None:
        """Remove a pipeline with its jobs and their records."""
        self._sql.execute("DELETE FROM pipelines WHERE name = ?", (name,))

    def spec(self, pipeline: str, version: int) -> "PipelineSpec":
        """Return the spec of a version, with its salt filled in."""
        row = self._sql.execute(
            "SELECT spec, salt FROM pipeline_versions WHERE pipeline = ? AND version = ?", (pipeline, version)
        ).fetchone()
        from localpach.spec.spec import from_stored, with_salt  # here, because most listings need no spec

        if row is None:
            raise NotFoundError("version", f"{version} of pipeline {pipeline}")
        return with_salt(from_stored(row[0]), row[1])

    # Jobs

    def jobs(self, pipeline: str | None = None, id_: str | None = None) -> list[Job]:
        """List jobs, newest first: all, of one pipeline, or of one set."""
        rows = self._sql.execute(
            f"SELECT {_JOB} FROM jobs WHERE (?1 IS NULL OR pipeline = ?1) AND (?2 IS NULL OR id = ?2) "
            "AND state NOT IN ('squashed', 'deleted') ORDER BY number DESC",
            (pipeline, id_),
        )
        return [_job(row) for row in rows]

    def find_job(self, pipeline: str, id_: str) -> Job | None:
        """Find a job, or None."""
        found = self.jobs(pipeline, id_)
        return found[0] if found else None

    def job_of_commit(self, pipeline: str, id_: str) -> Job | None:
        """Find the job that made an output commit, also one that was deleted since; None if there is none."""
        row = self._sql.execute(
            f"SELECT {_JOB} FROM jobs WHERE pipeline = ? AND id = ? AND state != 'squashed'", (pipeline, id_)
        ).fetchone()
        return _job(row) if row else None

    def hide_job(self, job: Job) -> None:
        """Take a job out of all lists; what its datums wrote, and what later jobs skip by it, stays."""
        self._sql.execute("UPDATE jobs SET state = 'deleted' WHERE number = ?", (job.number,))

    def job(self, pipeline: str, id_: str) -> Job:
        """Find a job that must be there."""
        found = self.find_job(pipeline, id_)
        if found is None:
            self.pipeline(pipeline)
            raise NotFoundError("job", f"{pipeline}@{id_}", f"`localpach list job -p {pipeline}` shows those there are")
        return found

    def first_of_version(self, pipeline: str, version: int) -> str | None:
        """Return the ID of the first job of a version of a pipeline."""
        row = self._sql.execute(
            "SELECT id FROM jobs WHERE pipeline = ? AND version = ? ORDER BY number LIMIT 1", (pipeline, version)
        ).fetchone()
        return str(row[0]) if row else None

    def unfinished_jobs(self) -> list[Job]:
        """List the jobs that have not ended, in the order in which they were made."""
        rows = self._sql.execute(
            f"SELECT {_JOB} FROM jobs WHERE state IN (?, ?, ?) ORDER BY number", (CREATED, RUNNING, EGRESSING)
        )
        return [_job(row) for row in rows]

    def add_job(self, pipeline: str, id_: str, version: int) -> None:
        """Add a job that waits for its inputs."""
        self._sql.execute(
            "INSERT INTO jobs (pipeline, id, version, state, reason, created, processed, skipped, recovered, failed, "
            "total) VALUES (?, ?, ?, ?, '', ?, 0, 0, 0, 0, 0)",
            (pipeline, id_, version, CREATED, time.time()),
        )

    def start_job(self, job: Job, total: int) -> None:
        """Note that a job runs; a job that was interrupted keeps its first start, one that was killed stays so."""
        self._sql.execute(
            "UPDATE jobs SET state = ?, reason = '', started = coalesce(started, ?), total = ? "
            "WHERE pipeline = ? AND id = ? AND state IN (?, ?, ?)",
            (RUNNING, time.time(), total, job.pipeline, job.id, CREATED, RUNNING, EGRESSING),
        )

    def hold_job(self, job: Job, reason: str) -> None:
        """Note why a job does not start; one that was interrupted waits like a new one."""
        self._sql.execute(
            "UPDATE jobs SET state = ?, reason = ? WHERE pipeline = ? AND id = ? AND state IN (?, ?)",
            (CREATED, reason, job.pipeline, job.id, CREATED, RUNNING),
        )

    def release_jobs(self) -> None:
        """Let jobs that were held be tried again."""
        if self._sql.execute("SELECT 1 FROM jobs WHERE state = ? AND reason != '' LIMIT 1", (CREATED,)).fetchone():
            self._sql.execute("UPDATE jobs SET reason = '' WHERE state = ?", (CREATED,))

    def egress_job(self, job: Job) -> None:
        """Note that the results of a job are pushed."""
        self._sql.execute("UPDATE jobs SET state = ? WHERE pipeline = ? AND id = ?", (EGRESSING, job.pipeline, job.id))

    def end_job(self, job: Job, state: str, reason: str, counts: Counts) -> None:
        """Note how a job ended, and forget the output rows that led to its commit."""
        self._sql.execute(
            "UPDATE jobs SET state = ?, reason = ?, finished = ?, processed = ?, skipped = ?, recovered = ?, "
            "failed = ?, total = ?, "
            "downloaded = (SELECT coalesce(sum(downloaded), 0) FROM datums WHERE job = jobs.number), "
            "uploaded = (SELECT coalesce(sum(uploaded), 0) FROM datums WHERE job = jobs.number) "
            "WHERE pipeline = ? AND id = ?",
            (
                state, reason, time.time(), counts.processed, counts.skipped, counts.recovered, counts.failed,
                counts.total, job.pipeline, job.id,
            ),
        )  # fmt: skip
        self._sql.execute("DELETE FROM outputs WHERE pipeline = ? AND job = ?", (job.pipeline, job.id))

    # Datums

    def datums(self, pipeline: str, job: str) -> list[DatumRecord]:
        """List the datums of a job in the order of its input: those that ran so far, and those that it skipped."""
        rows = self._sql.execute(
            f"SELECT {_RAN} WHERE d.job = ?1 UNION ALL SELECT {_SKIPPED} WHERE s.job = ?1",
            (self.job(pipeline, job).number, UNCHANGED),
        )
        return _datums(sorted(rows, key=itemgetter(1)))  # quicker here than in SQL, which would copy the rows

    def ran(self, before: BaseDatum) -> DatumRecord:
        """Return the record of a datum from the job in which it ran."""
        row = self._sql.execute(f"SELECT {_RAN} WHERE d.job = ? AND d.position = ?", (before.ran, before.at)).fetchone()
        return _datums([row])[0]

    def datum(self, pipeline: str, job: str, id_: str) -> DatumRecord | None:
        """Find one datum of a job, or None."""
        row = self._sql.execute(
            f"SELECT {_RAN} WHERE d.job = ?1 AND d.id = ?3 UNION ALL SELECT {_SKIPPED} WHERE s.job = ?1 AND d.id = ?3",
            (self.job(pipeline, job).number, UNCHANGED, id_),
        ).fetchone()
        return _datums([row])[0] if row else None

    def base_datums(self, job: Job) -> dict[str, BaseDatum]:
        """Return what the planning of the next job has to know of the datums of this one, by datum ID."""
        rows = self._sql.execute(
            "SELECT id, hash, state, job, position FROM datums WHERE job = ?1 UNION ALL "
            "SELECT d.id, d.hash, d.state, d.job, d.position FROM skips s JOIN datums d "
            "ON d.job = s.ran AND d.position >= s.at AND d.position < s.at + s.count WHERE s.job = ?1",
            (job.number,),
        )
        return {row[0]: BaseDatum(*row[1:]) for row in rows}

    def datums_done(self, job: Job) -> set[str]:
        """Return the IDs of the datums that ran in a job so far."""
        return {id_ for (id_,) in self._sql.execute("SELECT id FROM datums WHERE job = ?", (job.number,))}

    def first_failed(self, job: Job) -> DatumRecord | None:
        """Find the first datum of a job that failed, or None."""
        row = self._sql.execute(
            f"SELECT {_RAN} WHERE d.job = ? AND d.state = 'failed' ORDER BY d.position LIMIT 1", (job.number,)
        ).fetchone()
        return _datums([row])[0] if row else None

    def labels_skipped(self, job: Job) -> list[str]:
        """Return the labels of the first few datums that a job skipped."""
        rows = self._sql.execute(
            "SELECT d.label FROM skips s JOIN datums d ON d.job = s.ran AND d.position >= s.at "
            "AND d.position < s.at + s.count WHERE s.job = ? ORDER BY s.position, d.position LIMIT 10",
            (job.number,),
        )
        return [label for (label,) in rows]

    def counts(self, job: Job) -> Counts:
        """Count how the datums of a job ended so far."""
        row = self._sql.execute(
            # Recovered first, then successful at a later try: counts as processed, though on record as recovered.
            "SELECT coalesce(sum(state = 'success' OR state = 'recovered' AND reason = ''), 0), "
            "(SELECT coalesce(sum(count), 0) FROM skips WHERE job = ?1), "
            "coalesce(sum(state = 'recovered' AND reason != ''), 0), coalesce(sum(state = 'failed'), 0), "
            "(SELECT total FROM jobs WHERE number = ?1) FROM datums WHERE job = ?1",
            (job.number,),
        ).fetchone()
        return Counts(*row)

    def save_datums(self, job: Job, records: Iterable[DatumRecord]) -> None:
        """Note how datums ended that ran in a job."""
        rows = [
            (
                job.number, each.id, each.position, each.hash, each.label, json.dumps(each.files), each.state,
                each.why, each.reason, each.seconds, each.tries, each.downloaded, each.uploaded,
            )
            for each in records
        ]  # fmt: skip
        self._sql.executemany(
            "INSERT OR REPLACE INTO datums (job, id, position, hash, label, files, state, why, reason, seconds, tries, "
            "downloaded, uploaded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def save_skips(self, job: Job, skipped: Iterable[tuple[int, BaseDatum]]) -> None:
        """Note which datums a job skipped: (position, what is on record of it), in the order of the input.

        Neighbours that ran side by side in one job too are one row, so a job that skips 10,000 datums costs few rows.
        """
        ranges: list[list[int]] = []  # position, count, ran, at
        for position, before in skipped:
            last = ranges[-1] if ranges else None
            if last and [position - last[1], before.ran, before.at - last[1]] == [last[0], *last[2:]]:
                last[1] += 1
            else:
                ranges.append([position, 1, before.ran, before.at])
        self._sql.executemany(
            f"INSERT INTO skips (job, position, count, ran, at) VALUES ({job.number:d}, ?, ?, ?, ?)", ranges
        )

    def forget_datum(self, pipeline: str, job: str, id_: str) -> None:
        """Forget the hash of a datum, so that the next job processes it again."""
        self._sql.execute(
            "UPDATE datums SET hash = '' WHERE id = ?3 AND job IN (SELECT number FROM jobs "
            "WHERE pipeline = ?1 AND id = ?2 UNION "
            "SELECT s.ran FROM skips s JOIN jobs j ON j.number = s.job WHERE j.pipeline = ?1 AND j.id = ?2)",
            (pipeline, job, id_),
        )

    def save_outputs(self, job: Job, datum: str, entries: Iterable[Entry]) -> None:
        """Note what a datum of an unfinished job wrote."""
        self._sql.executemany(
            "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?)",
            [(job.pipeline, job.id, datum, each.path, each.digest, each.size) for each in entries],
        )

    def outputs(self, job: Job) -> list[Entry]:
        """List what the datums of an unfinished job wrote, each file with its datum as owner."""
        rows = self._sql.execute(
            "SELECT path, digest, size, datum FROM outputs WHERE pipeline = ? AND job = ? ORDER BY path, datum",
            (job.pipeline, job.id),
        )
        return [Entry(*row) for row in rows]


def _job(row: tuple[object, ...]) -> Job:
    return Job(*row[:8], Counts(*row[8:13]), *row[13:])  # type: ignore[arg-type, call-arg]


def _datums(rows: "list[tuple[Any, ...]]") -> list[DatumRecord]:
    files = json.loads(f"[{','.join([row[4] for row in rows])}]")  # all at once: listings have 10,000s
    return [
        DatumRecord._make((*row[:4], tuple(map(tuple, inputs)), *row[5:]))
        for row, inputs in zip(rows, files, strict=True)
    ]
