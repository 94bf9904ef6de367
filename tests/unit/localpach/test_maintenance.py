"""`fsck` finds damaged and inconsistent state and recomputes what it can; `gc` frees what nobody reaches, only that."""

import re
import threading

import pytest

from localpach.actions import files, fsck, gc, history, pipelines, repos
from localpach.cli import main
from localpach.running import executors, jobs
from localpach.running.reporting import Silent
from localpach.spec.addresses import parse_file
from localpach.storage.lock import only_runner
from localpach.storage.store import Store


def objects(world):
    return {path for path in (world.folder / "objects").rglob("*") if path.is_file()}


def damage(world, place, text="evil"):
    """Overwrite the stored bytes of a file, or remove them; gives their path."""
    (found,) = files.listing(world.store, parse_file(place).commit).below(parse_file(place).path)
    path = world.folder / "objects" / found.digest[:2] / found.digest[2:]
    path.chmod(0o644)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    return path


def lines(world):
    return [str(problem) for problem in fsck.check(world.store).problems]


def fix(world):
    notes = []
    fsck.fix(world.store, executors.choose(), notes.append)
    return notes


@pytest.fixture
def chain(world):
    """`in` with two files, P that writes each in capitals, Q that doubles them."""
    world.repo("in")
    world.put("in@master", {"/a": "one", "/b": "two"})
    up = world.sh("for f in /pfs/in/*; do echo $f; tr a-z A-Z < $f > /pfs/out/$(basename $f); done")
    twice = world.sh("for f in /pfs/in/*; do echo $f; cat $f $f > /pfs/out/$(basename $f); done")
    world.create(world.toy("P", up), world.toy("Q", twice, repo="P"))
    return world


def test_sound_state_has_no_problems_and_is_not_changed(chain, capsys):
    before = chain.store.commits(), objects(chain)
    assert main(["--state", str(chain.folder), "fsck"]) == 0
    assert capsys.readouterr().out.startswith("no problems: 8 objects (")
    assert (chain.store.commits(), objects(chain)) == before


def test_damaged_file_of_a_person_is_named_and_repaired_by_putting_it_again(chain, tmp_path, capsys):
    damage(chain, "in@master:/a")
    (line,) = lines(chain)
    id_ = chain.store.branch("in", "master").head
    assert line.startswith(f"in@{id_}:/a: stored object ")
    assert "is damaged" in line
    assert line.endswith("put the same file again: `localpach put file in@master:/a -f FILE`")
    assert main(["--state", str(chain.folder), "fsck", "--fix"]) == 1
    told = capsys.readouterr()
    assert "cannot be made again: no datum wrote it" in told.err
    assert "error: 1 problem in the state" in told.err
    chain.put("in@master", {"/a": "one"})
    assert lines(chain) == []


@pytest.mark.parametrize("text", ["evil", None, "", "ONE and more"])
def test_damaged_file_that_a_datum_wrote_is_made_again_by_it(chain, text):
    before = chain.store.commits(), chain.records.jobs()
    damage(chain, "P@master:/a", text)
    (line,) = lines(chain)
    assert "P@" in line
    assert line.endswith("`localpach fsck --fix` runs the datum again that wrote it")
    assert fix(chain) == [f"P@{chain.last('P').id}:/a: made again"]
    assert lines(chain) == []
    assert chain.read("P@master:/a") == "ONE"
    assert (chain.store.commits(), chain.records.jobs()) == before  # nothing in the history has changed


def test_damaged_input_is_made_again_before_the_file_made_from_it(chain):
    damage(chain, "P@master:/a")
    damage(chain, "Q@master:/a", None)
    assert len(lines(chain)) == 2
    assert len(fix(chain)) >= 1
    assert lines(chain) == []
    assert chain.read("Q@master:/a") == "ONEONE"


def test_file_of_an_older_commit_is_made_again_by_the_program_of_that_time(chain):
    chain.update(chain.toy("P"), reprocess=True)
    chain.put("in@master", {"/a": "1"})
    damage(chain, "P@master^2:/a")
    assert "P@" in lines(chain)[0]
    fix(chain)
    assert lines(chain) == []
    assert chain.read("P@master^2:/a") == "ONE"


def test_program_that_writes_other_bytes_this_time_is_told(world):
    world.repo("in")
    world.put("in@master", {"/a": "x"})
    world.create(world.toy(cmd=world.sh("head -c 16 /dev/urandom > /pfs/out/random")))
    damage(world, "P@master:/random")
    assert fix(world) == [
        f"P@{world.last().id}:/random: cannot be made again: the program of P wrote other bytes for /a this time"
    ]
    assert len(lines(world)) == 1


def test_file_made_from_a_lost_one_of_a_person_cannot_be_made_again(chain):
    damage(chain, "in@master:/a")
    damage(chain, "P@master:/a")
    told = "\n".join(fix(chain))
    assert "its input in:/a is damaged as well: no datum wrote it" in told
    assert len(lines(chain)) == 2


def test_damaged_input_found_by_a_job_is_made_again_and_the_job_succeeds(chain):
    notes = []

    class Notes(Silent):
        def note(self, message):
            notes.append(message)

    damage(chain, "P@master:/a")
    chain.update(chain.toy("Q", repo="P"), reprocess=True, run=False)
    jobs.run_jobs(chain.store, Notes())
    assert chain.last("Q").state == "success"
    assert chain.tree("Q@master") == {"/a": "ONE", "/b": "TWO"}
    assert any("was damaged; the datum that wrote it has made it again" in each for each in notes)


def test_damaged_file_of_a_person_fails_the_job_with_what_to_do(chain):
    damage(chain, "in@master:/a")
    chain.update(chain.toy("P"), reprocess=True)
    assert chain.last("P").state == "failure"
    assert "is damaged" in chain.last("P").reason
    assert "`localpach fsck` says what is affected and what to do" in chain.last("P").reason
    assert chain.read("P@master^:/a") == "ONE"


TORN = [
    ("UPDATE branches SET head = 'gone' WHERE repo = 'P'", r"P@master: its head gone is no commit"),
    ("UPDATE commits SET parent = 'gone' WHERE repo = 'in'", r"in@\w+: the commit before it, gone, is not there"),
    ("UPDATE commit_provenance SET up_id = 'gone' WHERE repo = 'Q' AND up_repo = 'P'", "made from, P@gone, is not"),
    ("UPDATE commits SET finished = NULL WHERE repo = 'P'", "is open, and no job is left to finish it"),
    ("UPDATE commits SET finished = NULL WHERE repo = 'P.meta'", "is open, though the output it belongs to is"),
    ("UPDATE jobs SET state = 'running' WHERE pipeline = 'Q'", "is unfinished, but its output commit is finished"),
    ("DELETE FROM commits WHERE repo = 'Q'", r"job Q@\w+: has no output commit"),
]


@pytest.mark.parametrize(("statement", "problem"), TORN)
def test_inconsistent_row_is_named_and_put_right(chain, statement, problem):
    chain.store.sql.execute("PRAGMA foreign_keys = OFF")
    chain.store.sql.execute(statement)
    chain.store.sql.execute("PRAGMA foreign_keys = ON")
    assert any(re.search(problem, line) for line in lines(chain)), lines(chain)
    fix(chain)
    fix(chain)
    assert not any(re.search(problem, line) for line in lines(chain)), lines(chain)


@pytest.mark.parametrize("state", ["created", "running", "egressing"])
def test_unfinished_job_is_no_problem(chain, state):
    chain.put("in@master", {"/c": "three"}, run=False)
    chain.store.sql.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, chain.last("P").id))
    assert lines(chain) == []


def test_lost_records_of_skipped_datums_let_them_run_again(chain):
    chain.put("in@master", {"/c": "three"})
    chain.store.sql.execute("DELETE FROM datums WHERE job = (SELECT min(number) FROM jobs WHERE pipeline = 'P')")
    assert "the records of 2 datums that it skipped are not there" in "\n".join(lines(chain))
    fix(chain)
    assert "has records of 1 datums instead of 3" in "\n".join(lines(chain))
    assert main(["--state", str(chain.folder), "rerun", "pipeline", "P"]) == 0
    assert lines(chain) == []
    assert chain.tree("P@master") == {"/a": "ONE", "/b": "TWO", "/c": "THREE"}


def test_damaged_database_is_one_line(chain, capsys):
    chain.store.close()
    database = chain.folder / "state.sqlite"
    content = bytearray(database.read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\xff" * 8192
    database.write_bytes(content)
    assert main(["--state", str(chain.folder), "fsck"]) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert told.err.startswith("error: ")
    assert len(told.err.splitlines()) == 1


# gc


def test_gc_frees_what_was_deleted_and_says_how_much(chain, capsys):
    kept = {place: chain.tree(place) for place in ("in@master", "P@master", "Q@master")}
    chain.repo("big")
    chain.put("big@master", {"/x": "x" * 5000})
    repos.delete_repo(chain.store, "big")
    (chain.folder / "objects" / "unfinished" / "left").write_text("y" * 100)
    assert fsck.check(chain.store).loose == 1
    assert main(["--state", str(chain.folder), "gc"]) == 0
    assert capsys.readouterr().out == "freed 4.98KiB: 2 objects (4.98KiB), 0 logs (0B)\n"
    assert {place: chain.tree(place) for place in kept} == kept
    assert main(["--state", str(chain.folder), "gc"]) == 0
    assert capsys.readouterr().out == "freed 0B: 0 objects (0B), 0 logs (0B)\n"
    assert lines(chain) == []


def test_gc_keeps_logs_that_a_record_leads_to(chain):
    ran = chain.last("P").id
    chain.put("in@master", {"/b": "zwei"})
    second = chain.last("P").id
    chain.put("in@master", {"/c": "three"})
    history.squash_commit_set(chain.store, second)
    chain.put("in@master", {"/b": "two again"})
    logs = chain.folder / "logs"
    gc.collect_garbage(chain.store, print)
    assert (logs / "P" / ran).exists()
    history_of_b = [each.ran_in for each in chain.datums("P") if each.label == "/b"]
    assert all((logs / "P" / id_).exists() for id_ in history_of_b)
    third = chain.jobs("P")[1].id
    history.squash_commit_set(chain.store, third)
    gc.collect_garbage(chain.store, print)
    assert not (logs / "P" / second).exists()  # /b ran there, and nobody skips it any more
    assert len(list((logs / "P" / third).iterdir())) == 1  # /c ran there, and the newest job skips it
    pipelines.delete_pipeline(chain.store, "Q")
    freed = gc.collect_garbage(chain.store, print)
    assert not (logs / "Q").exists()
    assert freed.logs > 0
    assert lines(chain) == []


def test_gc_keeps_the_results_of_an_unfinished_job(chain, monkeypatch):
    class KilledError(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise KilledError

    monkeypatch.setattr("localpach.storage.records.Records.end_job", die)
    with pytest.raises(KilledError):
        chain.put("in@master", {"/c": "three"})
    monkeypatch.undo()
    chain.reopen()
    before = objects(chain)
    gc.collect_garbage(chain.store, print)
    assert objects(chain) == before
    chain.run()
    assert chain.tree("Q@master")["/c"] == "THREETHREE"


def test_gc_waits_for_a_put_whose_row_is_still_to_come(chain):
    """The bytes are there, their row is not: the moment at which a careless gc would free them."""
    other = Store(chain.folder)
    stored, waiting, freed = threading.Event(), threading.Event(), []

    def collect():
        stored.wait(10)
        store = Store(chain.folder)
        freed.append(gc.collect_garbage(store, lambda _: waiting.set()))
        store.close()

    thread = threading.Thread(target=collect)
    thread.start()
    with other.lock.storing():
        entry = other.objects.add([b"fresh"])
        other.objects.flush()
        stored.set()
        assert waiting.wait(10)
        assert not freed
        with files.changed(other, parse_file("in@master").commit) as commit:
            other.trees.write(commit.tree, [files.Entry("/fresh", *entry)])
    thread.join(10)
    assert freed[0].objects == 0
    assert chain.read("in@master:/fresh") == "fresh"


def test_gc_waits_for_the_runner_and_says_whom_it_waits_for(chain, wait_until):
    notes, done = [], []

    def collect():
        store = Store(chain.folder)
        gc.collect_garbage(store, notes.append)
        done.append(True)
        store.close()

    with only_runner(chain.folder, print):
        thread = threading.Thread(target=collect)
        thread.start()
        wait_until(lambda: notes)
        assert not done
    thread.join(10)
    assert done
    assert "is running jobs in" in notes[0]
