"""What ran, and how did it end? Pipelines, jobs and datums: every question about them as a named query over SQLite."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from localpach.errors import NotFoundError
from localpach.spec import PipelineSpec, from_stored, with_salt
from localpach.store import Entry, Store

CREATED, RUNNING, SUCCESS, FAILURE, KILLED, UNRUNNABLE = (
    "created", "running", "success", "failure", "killed", "unrunnable",
)  # fmt: skip
ENDED = (SUCCESS, FAILURE, KILLED, UNRUNNABLE)


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
    """One run of a pipeline version over one commit set; times are seconds since the epoch."""

    pipeline: str
    id: str
    version: int
    state: str
    reason: str
    created: float
    started: float | None
    finished: float | None
    counts: Counts

    @property
    def name(self) -> str:
        """The job as pachctl writes it."""
        return f"{self.pipeline}@{self.id}"

    @property
    def ended(self) -> bool:
        """Whether the job has reached its end."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class DatumRecord:
    """How one datum of a job ended; `files` lists (input, repo, commit, path)."""

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


_JOB = "pipeline, id, version, state, reason, created, started, finished, processed, skipped, recovered, failed, total"
_DATUM = "id, position, hash, label, files, state, why, reason, seconds, tries, ran_in, ran_version"


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

    def save_pipeline(self, spec: PipelineSpec, version: int, salt: str) -> None:
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

    def spec(self, pipeline: str, version: int) -> PipelineSpec:
        """Give the spec of a version, with its salt filled in."""
        row = self._sql.execute(
            "SELECT spec, salt FROM pipeline_versions WHERE pipeline = ? AND version = ?", (pipeline, version)
        ).fetchone()
        if row is None:
            raise NotFoundError("version", f"{version} of pipeline {pipeline}")
        return with_salt(from_stored(row[0]), row[1])

    # Jobs

    def jobs(self, pipeline: str | None = None, id_: str | None = None) -> list[Job]:
        """List jobs, newest first: all, of one pipeline, or of one set."""
        rows = self._sql.execute(
            f"SELECT {_JOB} FROM jobs WHERE (?1 IS NULL OR pipeline = ?1) AND (?2 IS NULL OR id = ?2) "
            "ORDER BY number DESC",
            (pipeline, id_),
        )
        return [_job(row) for row in rows]

    def find_job(self, pipeline: str, id_: str) -> Job | None:
        """Find a job, or None."""
        found = self.jobs(pipeline, id_)
        return found[0] if found else None

    def job(self, pipeline: str, id_: str) -> Job:
        """Find a job that must be there."""
        found = self.find_job(pipeline, id_)
        if found is None:
            raise NotFoundError("job", f"{pipeline}@{id_}", f"`localpach list job -p {pipeline}` shows those there are")
        return found

    def unfinished_jobs(self) -> list[Job]:
        """List the jobs that have not ended, in the order in which they were made."""
        rows = self._sql.execute(f"SELECT {_JOB} FROM jobs WHERE state IN (?, ?) ORDER BY number", (CREATED, RUNNING))
        return [_job(row) for row in rows]

    def add_job(self, pipeline: str, id_: str, version: int) -> None:
        """Add a job that waits for its inputs."""
        self._sql.execute(
            f"INSERT INTO jobs ({_JOB}) VALUES (?, ?, ?, ?, '', ?, NULL, NULL, 0, 0, 0, 0, 0)",
            (pipeline, id_, version, CREATED, time.time()),
        )

    def start_job(self, job: Job, total: int) -> None:
        """Note that a job runs; a job that was interrupted keeps its first start."""
        self._sql.execute(
            "UPDATE jobs SET state = ?, started = coalesce(started, ?), total = ? WHERE pipeline = ? AND id = ?",
            (RUNNING, time.time(), total, job.pipeline, job.id),
        )

    def end_job(self, job: Job, state: str, reason: str, counts: Counts) -> None:
        """Note how a job ended, and forget the output rows that led to its commit."""
        self._sql.execute(
            "UPDATE jobs SET state = ?, reason = ?, finished = ?, processed = ?, skipped = ?, recovered = ?, "
            "failed = ?, total = ? WHERE pipeline = ? AND id = ?",
            (
                state, reason, time.time(), counts.processed, counts.skipped, counts.recovered, counts.failed,
                counts.total, job.pipeline, job.id,
            ),
        )  # fmt: skip
        self._sql.execute("DELETE FROM outputs WHERE pipeline = ? AND job = ?", (job.pipeline, job.id))

    # Datums

    def datums(self, pipeline: str, job: str) -> list[DatumRecord]:
        """List the datums of a job in the order of its input."""
        rows = self._sql.execute(
            f"SELECT {_DATUM} FROM datums WHERE pipeline = ? AND job = ? ORDER BY position", (pipeline, job)
        )
        return [_datum(row) for row in rows]

    def save_datums(self, job: Job, records: Iterable[DatumRecord]) -> None:
        """Note how datums of a job ended."""
        rows = [
            (
                job.pipeline, job.id, each.id, each.position, each.hash, each.label, json.dumps(each.files),
                each.state, each.why, each.reason, each.seconds, each.tries, each.ran_in, each.ran_version,
            )
            for each in records
        ]  # fmt: skip
        self._sql.executemany(
            f"INSERT OR REPLACE INTO datums (pipeline, job, {_DATUM}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def forget_datum(self, pipeline: str, job: str, id_: str) -> None:
        """Forget the hash of a datum, so that the next job processes it again."""
        self._sql.execute("UPDATE datums SET hash = '' WHERE pipeline = ? AND job = ? AND id = ?", (pipeline, job, id_))

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


def skipped_like(before: DatumRecord, position: int, hash_: str, why: str) -> DatumRecord:
    """Carry the record of an earlier job over to a job that skips the datum."""
    return replace(before, position=position, hash=hash_, state="skipped", why=why, seconds=0.0)


def _job(row: tuple[object, ...]) -> Job:
    return Job(*row[:8], Counts(*row[8:]))  # type: ignore[arg-type, call-arg]


def _datum(row: tuple[object, ...]) -> DatumRecord:
    values = list(row)
    values[4] = tuple(tuple(each) for each in json.loads(str(row[4])))
    return DatumRecord(*values)  # type: ignore[arg-type]
