"""The tables of the state, and how their database is opened, made, or upgraded."""

import shutil
import sqlite3
from pathlib import Path

from localpach.errors import StateError

VERSION = 2
_BUSY_TIMEOUT_S = 60.0
_LEAST_FREE_BYTES = 1 << 16  # with less, the files beside the database cannot be made

_DATUM_TABLES = """
-- The datums that ran in a job, by their place in the job's input.
CREATE TABLE datums (
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL,
    label TEXT NOT NULL, files TEXT NOT NULL, -- files: JSON list of [input, repo, commit, path]
    state TEXT NOT NULL, why TEXT NOT NULL, reason TEXT NOT NULL, seconds REAL NOT NULL, tries INTEGER NOT NULL,
    downloaded INTEGER NOT NULL DEFAULT 0, uploaded INTEGER NOT NULL DEFAULT 0, -- bytes
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX datums_by_id ON datums (job, id);
-- The datums that a job skipped: `count` of them from `position` on are those from `at` on of the job `ran`.
CREATE TABLE skips (
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL, count INTEGER NOT NULL,
    ran INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, at INTEGER NOT NULL,
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX skips_by_ran ON skips (ran);
"""

TABLES = (
    """
CREATE TABLE repos (
    name TEXT PRIMARY KEY, created REAL NOT NULL, description TEXT NOT NULL,
    type TEXT NOT NULL DEFAULT 'user' -- 'user', 'spec' or 'meta'
);
-- A tree is the list of a commit's files; commits with the same files may share one. It is a snapshot, or the
-- difference to one: its entries come on top of those of `base`, and those marked `gone` take files away.
CREATE TABLE trees (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    base INTEGER REFERENCES trees,
    files INTEGER, bytes INTEGER -- how many and how large, once a commit with them is finished
);
CREATE INDEX trees_by_base ON trees (base);
CREATE TABLE entries (
    tree INTEGER NOT NULL REFERENCES trees ON DELETE CASCADE,
    path TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    owner TEXT NOT NULL, -- ID of the datum that wrote the file, '' for a person
    gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tree, path)
) WITHOUT ROWID;
CREATE TABLE commits (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    repo TEXT NOT NULL REFERENCES repos ON DELETE CASCADE,
    id TEXT NOT NULL, branch TEXT NOT NULL, parent TEXT, origin TEXT NOT NULL,
    started REAL NOT NULL, finished REAL, error TEXT, description TEXT NOT NULL,
    tree INTEGER NOT NULL REFERENCES trees,
    UNIQUE (repo, id)
);
CREATE INDEX commits_by_id ON commits (id);
CREATE INDEX commits_by_tree ON commits (tree);
CREATE TABLE commit_provenance (
    repo TEXT NOT NULL, id TEXT NOT NULL, up_repo TEXT NOT NULL, up_branch TEXT NOT NULL, up_id TEXT NOT NULL,
    PRIMARY KEY (repo, id, up_repo, up_branch),
    FOREIGN KEY (repo, id) REFERENCES commits (repo, id) ON DELETE CASCADE
);
CREATE TABLE branches (
    repo TEXT NOT NULL REFERENCES repos ON DELETE CASCADE,
    name TEXT NOT NULL, head TEXT, created REAL NOT NULL,
    trigger TEXT, -- JSON of what moves the branch, or NULL
    PRIMARY KEY (repo, name)
);
CREATE TABLE branch_provenance (
    repo TEXT NOT NULL, branch TEXT NOT NULL, up_repo TEXT NOT NULL, up_branch TEXT NOT NULL, never INTEGER NOT NULL,
    PRIMARY KEY (repo, branch, up_repo, up_branch),
    FOREIGN KEY (repo, branch) REFERENCES branches (repo, name) ON DELETE CASCADE
);
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, stopped INTEGER NOT NULL, created REAL NOT NULL, salt TEXT NOT NULL
);
CREATE TABLE pipeline_versions (
    pipeline TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    version INTEGER NOT NULL, spec TEXT NOT NULL, salt TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (pipeline, version)
);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    id TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    created REAL NOT NULL, started REAL, finished REAL,
    processed INTEGER NOT NULL, skipped INTEGER NOT NULL, recovered INTEGER NOT NULL, failed INTEGER NOT NULL,
    total INTEGER NOT NULL,
    downloaded INTEGER NOT NULL DEFAULT 0, uploaded INTEGER NOT NULL DEFAULT 0, -- bytes
    UNIQUE (pipeline, id)
);
-- What the datums of an unfinished job have written so far.
CREATE TABLE outputs (
    pipeline TEXT NOT NULL, job TEXT NOT NULL, datum TEXT NOT NULL,
    path TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (pipeline, job, datum, path),
    FOREIGN KEY (pipeline, job) REFERENCES jobs (pipeline, id) ON DELETE CASCADE
) WITHOUT ROWID;
"""
    + _DATUM_TABLES
)

# Version 1 had a row for each datum of a job, those that it skipped included, and full lists of files only.
_FROM_VERSION_1 = (
    """
ALTER TABLE repos ADD COLUMN type TEXT NOT NULL DEFAULT 'user';
ALTER TABLE branches ADD COLUMN trigger TEXT;
ALTER TABLE trees ADD COLUMN base INTEGER REFERENCES trees;
ALTER TABLE trees ADD COLUMN files INTEGER;
ALTER TABLE trees ADD COLUMN bytes INTEGER;
UPDATE trees SET files = (SELECT count(*) FROM entries WHERE tree = id),
    bytes = (SELECT coalesce(sum(size), 0) FROM entries WHERE tree = id);
ALTER TABLE entries ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN downloaded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN uploaded INTEGER NOT NULL DEFAULT 0;
CREATE INDEX trees_by_base ON trees (base);
CREATE INDEX commits_by_tree ON commits (tree);
ALTER TABLE datums RENAME TO datums_1;
"""
    + _DATUM_TABLES
    + """
UPDATE pipeline_versions SET salt = json_extract(spec, '$.salt') WHERE json_extract(spec, '$.salt') != '';
UPDATE pipelines SET salt = (
    SELECT v.salt FROM pipeline_versions v WHERE v.pipeline = pipelines.name AND v.version = pipelines.version
);
INSERT INTO datums (job, position, id, hash, label, files, state, why, reason, seconds, tries)
    SELECT j.number, d.position, d.id, d.hash, d.label, d.files, d.state, d.why, d.reason, d.seconds, d.tries
    FROM datums_1 d JOIN jobs j ON j.pipeline = d.pipeline AND j.id = d.job WHERE d.state != 'skipped';
INSERT INTO skips (job, position, count, ran, at)
    SELECT j.number, d.position, 1, r.number, ran.position
    FROM datums_1 d JOIN jobs j ON j.pipeline = d.pipeline AND j.id = d.job
    JOIN jobs r ON r.pipeline = d.pipeline AND r.id = d.ran_in
    JOIN datums ran ON ran.job = r.number AND ran.id = d.id WHERE d.state = 'skipped';
UPDATE datums SET hash = '' WHERE (job, id) IN (
    SELECT r.number, d.id FROM datums_1 d JOIN jobs r ON r.pipeline = d.pipeline AND r.id = d.ran_in WHERE d.hash = ''
);
DROP TABLE datums_1
"""
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, making it when it is new.

    Raises:
        StateError: the file is no database of this version.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _prepare(connection)
    except sqlite3.Error as error:
        remedy = "expected the state of localpach, which can be written. Use another --state"
        if shutil.disk_usage(path.parent).free < _LEAST_FREE_BYTES:
            remedy = "the disk is full. Free some space, nothing is lost"
        raise StateError(f"{path}: {error}; {remedy}") from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new database, upgrade one of the version before, refuse any other: all or nothing."""
    if _version(connection) == VERSION:  # the usual case needs no lock, so that listings never wait for a runner
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        if version == 0:
            _run(connection, TABLES)
        elif version == 1:
            _run(connection, _FROM_VERSION_1)
        elif version != VERSION:
            raise StateError(
                f"the state has schema version {version}, this localpach reads {VERSION}; use another --state"
            )
        connection.execute(f"PRAGMA user_version = {VERSION:d}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run a script inside the transaction, which `executescript` would end."""
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> list[str]:
    lines = [line.split("--")[0] for line in script.splitlines()]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
