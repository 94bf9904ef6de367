"""A state of schema version 1 is upgraded when it is opened, all or nothing; others are refused."""

import sqlite3
from pathlib import Path

import pytest

from localpach.errors import StateError
from localpach.storage import schema
from localpach.storage.records import Records
from localpach.storage.store import Store
from localpach.storage.trees import Entry

TABLES_1 = """
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

# Two jobs of a pipeline: the first ran /a and /b, the second skipped both and ran /c. Then /b was restarted by hand.
ROWS_1 = """
INSERT INTO repos VALUES ('in', 1, ''), ('P', 2, 'output');
INSERT INTO trees VALUES (1), (2);
INSERT INTO entries VALUES (1, '/a', 'aa', 1, ''), (1, '/b', 'bb', 2, ''), (1, '/c', 'cc', 3, ''), (2, '/a', 'aa', 1, 'A');
INSERT INTO commits VALUES (1, 'in', 'one', 'master', NULL, 'USER', 1, 2, NULL, '', 1);
INSERT INTO commits VALUES (2, 'P', 'one', 'master', NULL, 'AUTO', 1, 2, NULL, '', 2);
INSERT INTO commit_provenance VALUES ('P', 'one', 'in', 'master', 'one');
INSERT INTO branches VALUES ('in', 'master', 'one', 1), ('P', 'master', 'one', 1);
INSERT INTO branch_provenance VALUES ('P', 'master', 'in', 'master', 0);
INSERT INTO pipelines VALUES ('P', 1, 0, 1, 'salt');
INSERT INTO pipeline_versions VALUES ('P', 1, '{}', 'salt', 1);
INSERT INTO pipelines VALUES ('S', 2, 0, 1, 'random');
INSERT INTO pipeline_versions VALUES ('S', 1, '{"salt": ""}', 'random', 1), ('S', 2, '{"salt": "mine"}', 'random', 1);
INSERT INTO jobs VALUES (1, 'P', 'one', 1, 'success', '', 1, 1, 2, 2, 0, 0, 0, 2);
INSERT INTO jobs VALUES (2, 'P', 'two', 1, 'success', '', 3, 3, 4, 1, 2, 0, 0, 3);
INSERT INTO datums VALUES ('P', 'one', 'A', 0, 'ha', '/a', '[["in", "in", "one", "/a"]]', 'success', 'new', '', 0.5, 1, 'one', 1);
INSERT INTO datums VALUES ('P', 'one', 'B', 1, 'hb', '/b', '[["in", "in", "one", "/b"]]', 'success', 'new', '', 0.5, 1, 'one', 1);
INSERT INTO datums VALUES ('P', 'two', 'A', 0, 'ha', '/a', '[["in", "in", "one", "/a"]]', 'skipped', 'unchanged', '', 0, 1, 'one', 1);
INSERT INTO datums VALUES ('P', 'two', 'B', 1, '', '/b', '[["in", "in", "one", "/b"]]', 'skipped', 'unchanged', '', 0, 1, 'one', 1);
INSERT INTO datums VALUES ('P', 'two', 'C', 2, 'hc', '/c', '[["in", "in", "two", "/c"]]', 'success', 'new', '', 0.5, 1, 'two', 1);
INSERT INTO outputs VALUES ('P', 'two', 'C', '/c', 'cc', 3);
PRAGMA user_version = 1;
"""  # noqa: E501


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """The state folder that an earlier localpach has left."""
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    connection.executescript(TABLES_1 + ROWS_1)
    connection.close()
    return tmp_path


def test_state_of_version_1_is_upgraded_when_opened(version_1: Path) -> None:
    store = Store(version_1)
    commit = store.commit("in", "one")
    assert commit is not None
    assert [entry.path for entry in store.trees.entries(commit.tree)] == ["/a", "/b", "/c"]
    assert store.trees.entry(commit.tree, "/b") == Entry("/b", "bb", 2)
    assert store.trees.size(commit.tree) == (3, 6)
    assert store.repo("in").type == "user"
    branch = store.branch("P", "master")
    assert branch is not None
    assert (branch.head, branch.trigger) == ("one", None)
    assert store.sql.execute("PRAGMA foreign_key_check").fetchall() == []


def test_datums_of_version_1_are_listed_as_before(version_1: Path) -> None:
    records = Records(Store(version_1))
    shown = [(each.label, each.position, each.state, each.ran_in) for each in records.datums("P", "two")]
    assert shown == [("/a", 0, "skipped", "one"), ("/b", 1, "skipped", "one"), ("/c", 2, "success", "two")]
    assert [each.state for each in records.datums("P", "one")] == ["success", "success"]
    assert records.job("P", "two").counts.skipped == 2


def test_datum_of_version_1_that_was_restarted_still_runs_again(version_1: Path) -> None:
    records = Records(Store(version_1))
    hashes = {id_: each.hash for id_, each in records.base_datums(records.job("P", "two")).items()}
    assert hashes == {"A": "ha", "B": "", "C": "hc"}


def test_upgraded_state_has_the_tables_of_a_new_one(version_1: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    def shape(store: Store) -> dict[str, list[object]]:
        query = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in store.sql.execute(query)]
        return {name: list(store.sql.execute(f"PRAGMA table_info({name})")) for name in names}

    upgraded, new = shape(Store(version_1)), shape(Store(tmp_path_factory.mktemp("new")))
    assert {name: {column[1:5] for column in columns} for name, columns in upgraded.items()} == {
        name: {column[1:5] for column in columns} for name, columns in new.items()
    }


def test_upgrade_that_fails_leaves_version_1(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_FROM_VERSION_1", schema._FROM_VERSION_1 + "; SELECT * FROM nowhere")
    with pytest.raises(StateError, match="nowhere"):
        Store(version_1)
    connection = sqlite3.connect(version_1 / "state.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM datums").fetchone() == (5,)
    connection.close()
    monkeypatch.undo()
    assert len(Records(Store(version_1)).datums("P", "two")) == 3


def test_state_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="version 99"):
        Store(tmp_path)


def test_salt_that_a_spec_of_version_1_set_stays_in_force(version_1: Path) -> None:
    store = Store(version_1)
    salts = dict(store.sql.execute("SELECT name, salt FROM pipelines").fetchall())
    assert salts == {"P": "salt", "S": "mine"}
    rows = store.sql.execute("SELECT version, salt FROM pipeline_versions WHERE pipeline = 'S' ORDER BY version")
    assert rows.fetchall() == [(1, "random"), (2, "mine")]
