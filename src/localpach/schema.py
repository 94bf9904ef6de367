"""The tables of the state, and how their database is opened."""

import sqlite3
from pathlib import Path

from localpach.errors import StateError

VERSION = 1
_BUSY_TIMEOUT_S = 60.0

TABLES = """
CREATE TABLE repos (
    name TEXT PRIMARY KEY, created REAL NOT NULL, description TEXT NOT NULL
);
-- A tree is the full list of a commit's files; commits with the same files may share one.
CREATE TABLE trees (id INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE entries (
    tree INTEGER NOT NULL REFERENCES trees ON DELETE CASCADE,
    path TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    owner TEXT NOT NULL, -- ID of the datum that wrote the file, '' for a person
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
CREATE TABLE commit_provenance (
    repo TEXT NOT NULL, id TEXT NOT NULL, up_repo TEXT NOT NULL, up_branch TEXT NOT NULL, up_id TEXT NOT NULL,
    PRIMARY KEY (repo, id, up_repo, up_branch),
    FOREIGN KEY (repo, id) REFERENCES commits (repo, id) ON DELETE CASCADE
);
CREATE TABLE branches (
    repo TEXT NOT NULL REFERENCES repos ON DELETE CASCADE,
    name TEXT NOT NULL, head TEXT, created REAL NOT NULL,
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
    UNIQUE (pipeline, id)
);
CREATE TABLE datums (
    pipeline TEXT NOT NULL, job TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL,
    label TEXT NOT NULL, files TEXT NOT NULL, -- files: JSON list of [input, repo, commit, path]
    state TEXT NOT NULL, why TEXT NOT NULL, reason TEXT NOT NULL, seconds REAL NOT NULL, tries INTEGER NOT NULL,
    ran_in TEXT NOT NULL, ran_version INTEGER NOT NULL,
    PRIMARY KEY (pipeline, job, id),
    FOREIGN KEY (pipeline, job) REFERENCES jobs (pipeline, id) ON DELETE CASCADE
) WITHOUT ROWID;
-- What the datums of an unfinished job have written so far.
CREATE TABLE outputs (
    pipeline TEXT NOT NULL, job TEXT NOT NULL, datum TEXT NOT NULL,
    path TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (pipeline, job, datum, path),
    FOREIGN KEY (pipeline, job) REFERENCES jobs (pipeline, id) ON DELETE CASCADE
) WITHOUT ROWID;
"""


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
        raise StateError(
            f"{path}: {error}; expected the state of localpach, which can be written. Use another --state"
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new database; refuse one of another version."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _statements(TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION:d}")
        elif version != VERSION:
            raise StateError(
                f"the state has schema version {version}, this localpach reads {VERSION}; use another --state"
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script; `executescript` cannot be used because it would end the transaction."""
    lines = [line.split("--")[0] for line in script.splitlines()]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
