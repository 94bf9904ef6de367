"""File lists cost what changes, whatever way they came about, and bytes are on disk before the rows that name them."""

import random

import pytest

from localpach.storage.records import Records
from localpach.storage.store import Store
from localpach.storage.trees import Entry


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state")


def entry(path, text="x"):
    return Entry(path, (text * 64)[:64], len(text))


def rows(store):
    return store.sql.execute("SELECT count(*) FROM entries").fetchone()[0]


def committed(store, repo, number, tree):
    """Give a tree to a finished commit, as only trees of commits are kept."""
    store.add_commit(repo, f"{number:032x}", "master", None, "USER", tree)
    store.finish_commit(repo, f"{number:032x}")
    return tree


def test_one_file_more_costs_few_rows(store):
    tree = store.trees.add()
    store.trees.write(tree, [entry(f"/{index:05d}") for index in range(10_000)])
    before = rows(store)
    for index in range(100):
        tree = store.trees.add(copy_of=tree)
        store.trees.write(tree, [entry(f"/new-{index}")])
    assert store.trees.size(tree)[0] == 10_100
    assert rows(store) - before == sum(range(1, 101))
    assert len(store.trees.entries(tree)) == 10_100


def test_many_small_commits_cost_no_more_than_some_hundred_rows_each(store):
    tree = store.trees.add()
    store.trees.write(tree, [entry(f"/{index:04d}") for index in range(2_000)])
    for index in range(200):
        tree = store.trees.add(copy_of=tree)
        store.trees.write(tree, [entry(f"/{index:04d}", "y")])
    assert store.trees.size(tree)[0] == 2_000
    assert rows(store) / 200 < 100


@pytest.mark.parametrize("seed", range(3))
def test_line_of_trees_holds_what_a_line_of_dictionaries_would(store, seed):
    dice = random.Random(seed)
    store.add_repo("in", "")
    tree, expected = store.trees.add(), {}
    history = []
    for _ in range(60):
        tree, expected = store.trees.add(copy_of=tree), dict(expected)
        for _ in range(dice.choice([1, 1, 1, 5, 150])):
            path = f"/{dice.randrange(300):03d}"
            if dice.random() < 0.4:
                store.trees.remove(tree, [path])
                expected.pop(path, None)
            else:
                expected[path] = entry(path, dice.choice("abc"))
                store.trees.write(tree, [expected[path]])
        history.append((committed(store, "in", len(history), tree), expected))
        if dice.random() < 0.2:
            tree, expected = dice.choice(history)  # a branch that starts at an older commit
    looked_up = [f"/{index:03d}" for index in range(0, 300, 7)]
    for tree, expected in history:
        assert store.trees.entries(tree) == [expected[path] for path in sorted(expected)]
        assert store.trees.size(tree) == (len(expected), sum(each.size for each in expected.values()))
        assert all(store.trees.entry(tree, path) == expected.get(path) for path in looked_up)


def test_snapshot_stays_as_long_as_a_commit_builds_on_it(store):
    store.add_repo("in", "")
    whole = committed(store, "in", 1, store.trees.add())
    store.trees.write(whole, [entry(f"/{index:03d}") for index in range(200)])
    one_more = committed(store, "in", 2, store.trees.add(copy_of=whole))
    store.trees.write(one_more, [entry("/more")])
    assert rows(store) == 201
    store.sql.execute("DELETE FROM commits WHERE number = 1")
    store.trees.remove_unused()
    assert store.trees.size(one_more)[0] == 201
    store.remove_repo("in")
    assert rows(store) == 0
    assert store.sql.execute("SELECT count(*) FROM trees").fetchone() == (0,)


def test_files_taken_away_are_referenced_only_where_they_still_are(store):
    store.add_repo("in", "")
    whole = committed(store, "in", 1, store.trees.add())
    store.trees.write(whole, [entry(f"/{index:03d}", "x") for index in range(200)])
    less = committed(store, "in", 2, store.trees.add(copy_of=whole))
    store.trees.remove(less, ["/007"])
    assert store.trees.entry(less, "/007") is None
    assert store.trees.entry(whole, "/007") is not None
    assert store.referenced() == [("x" * 64, 1)]


def test_job_over_many_files_writes_only_what_one_file_changed(world):
    world.repo("in")
    world.put("in@master", {f"/{index:03d}": str(index) for index in range(60)}, run=False)
    world.create(world.toy(glob="/", cmd=world.sh("cp /pfs/in/* /pfs/out")))
    names = ("entries", "datums", "skips")
    before = {name: world.store.sql.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    world.update(world.toy("Q", repo="P", glob="/*"), run=True)
    world.put("in@master", {"/007": "other"})
    world.put("in@master", {"/050": "other"})
    after = {name: world.store.sql.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    assert world.last("Q").counts.skipped == 59
    assert after["datums"] - before["datums"] == 2 + 60 + 2
    assert after["skips"] - before["skips"] == 2 + 4  # around /007; then around /050, and /007 by itself
    assert [each.label for each in world.datums("Q")] == [f"/{index:03d}" for index in range(60)]
    assert world.tree("Q@master")["/050"] == "other"


def test_skipped_datums_keep_their_order_when_files_come_before_them(world):
    world.repo("in")
    world.put("in@master", {f"/{name}": name for name in "bdf"})
    world.create(world.toy())
    world.put("in@master", {f"/{name}": name for name in "ace"})
    states = [(each.label, each.position, each.state) for each in world.datums()]
    assert states == [
        (f"/{name}", index, "skipped" if name in "bdf" else "success") for index, name in enumerate("abcdef")
    ]
    world.change("in@master", delete=["/c"], put={})
    assert [each.label for each in world.datums()] == ["/a", "/b", "/d", "/e", "/f"]
    assert {each.state for each in world.datums()} == {"skipped"}


def test_datum_is_found_by_its_id_whether_it_ran_or_was_skipped(toy_pipeline):
    toy_pipeline.put("in@master", {"/new": "n"})
    records, job = Records(toy_pipeline.store), toy_pipeline.last()
    for each in toy_pipeline.datums():
        assert records.datum("P", job.id, each.id) == each
    assert records.datum("P", job.id, "0" * 64) is None


def test_transaction_brings_bytes_under_their_name_before_it_commits(store):
    digest, _ = store.objects.add([b"bytes"])
    final = store.folder / "objects" / digest[:2] / digest[2:]
    assert not final.exists()
    seen = []
    store.sql.set_trace_callback(lambda statement: seen.append((statement, final.exists())))
    with store.transaction():
        store.trees.write(store.trees.add(), [Entry("/a", digest, 5)])
    store.sql.set_trace_callback(None)
    assert seen[-1] == ("COMMIT", True)


def test_bytes_that_cannot_be_brought_under_their_name_commit_no_row(store, monkeypatch):
    digest, _ = store.objects.add([b"bytes"])

    def fail(*_args):
        raise OSError(28, "No space left on device", "objects")

    monkeypatch.setattr("localpach.storage.objects.os.fsync", fail)
    with pytest.raises(Exception, match="No space left"), store.transaction():
        store.trees.write(store.trees.add(), [Entry("/a", digest, 5)])
    monkeypatch.undo()
    assert rows(store) == 0
    with store.transaction():
        store.trees.write(store.trees.add(), [Entry("/a", digest, 5)])
    assert b"".join(store.objects.read(digest)) == b"bytes"


def test_closing_leaves_no_bytes_that_no_row_names(store):
    store.objects.add([b"bytes"])
    store.close()
    assert [path for path in (store.folder / "objects").rglob("*") if path.is_file()] == []
