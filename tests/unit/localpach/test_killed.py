"""`kill -9` at random moments: finished commits stay whole, half of nothing is seen, the next command goes on.

Each story is a command over a chain of five toy pipelines. It is run once undisturbed; then copies of the same state
are run and killed at random moments, the runner alone, or with its programs, or only a program. After each kill every
finished commit must be one of the undisturbed run, byte for byte, and `fsck` must find nothing; in the end everything
must be as if nothing had happened.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import localpach
from localpach.actions import fsck, repos
from localpach.spec.addresses import parse_commit
from localpach.storage.records import Records
from localpach.storage.store import Store

NAMES = ("p1", "p2", "p3", "p4", "p5")
KINDS = ("runner", "all", "program")
DEADLINE_S = 120


def program(name):
    """Append the name to each file; any part of it that is killed makes it fail, and so be tried again."""
    return f"set -e; for f in /pfs/in/*; do {{ cat $f; echo {name}; }} > /pfs/out/${{f##*/}}; done"


def put(world, count, first=0, prefix="file"):
    world.put("in@master", {f"/{prefix}{n}": f"{prefix} {n}\n" for n in range(first, first + count)}, run=False)


def make_chain(world, count):
    world.repo("in")
    put(world, count)
    specs = [
        world.toy(name, world.sh(program(name)), repo=above, parallelism_spec={"constant": 2})
        for above, name in zip(("in", *NAMES), NAMES, strict=False)
    ]
    world.create(*specs, run=False)


@dataclass(frozen=True)
class Story:
    """A command that is killed: how its starting state is made, its words, and whether its change is made already."""

    name: str
    make: Callable[[Any, int], None]
    words: Callable[[Any], list[str]]
    is_made: Callable[[Store], bool]


def make_run(world, count):
    make_chain(world, count)


def make_done(world, count):
    make_chain(world, count // 2)
    world.run()


def make_put(world, count):
    make_done(world, count)
    folder = world.folder.parent / "more"
    folder.mkdir()
    for n in range(count - count // 2):
        (folder / f"more{n}").write_text(f"more {n}\n")


def make_garbage(world, count):
    make_done(world, count)
    world.repo("big")
    world.put("big@master", {f"/x{n}": "x" * 1000 + str(n) for n in range(count)})
    repos.delete_repo(world.store, "big")


def make_history(world, count):
    make_done(world, count)
    put(world, 2, prefix="middle")
    world.run()
    put(world, 1, prefix="last")
    world.run()


def head(store, place):
    return repos.find_commit(store, parse_commit(place))


def middle(store):
    return next(each.id for each in store.commits("in") if each.id != head(store, "in@master").id)


def update_words(world):
    spec = world.folder.parent / "p2.json"
    changed = world.toy("p2", world.sh(program("changed")), repo="p1", parallelism_spec={"constant": 2})
    spec.write_text(json.dumps(changed))
    return ["update", "pipeline", "--reprocess", "-f", str(spec)]


STORIES = {
    each.name: each
    for each in (
        Story("run", make_run, lambda _: ["wait", "commit", "p5@master"], lambda _: False),
        Story(
            "put",
            make_put,
            lambda world: ["put", "file", "-r", "in@master:/", "-f", str(world.folder.parent / "more")],
            lambda store: len(store.commits("in")) == 2,
        ),
        Story("update", make_done, update_words, lambda store: Records(store).pipeline("p2").version == 2),
        Story("gc", make_garbage, lambda _: ["gc"], lambda _: False),
        Story(
            "squash",
            make_history,
            lambda world: ["squash", "commit", middle(world.store)],
            lambda store: len(store.commits("in")) == 2,
        ),
    )
}


def start(folder, words):
    return subprocess.Popen(
        [sys.executable, "-m", "localpach", "--state", str(folder), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parent.parent)},
    )


def finish(folder, words):
    process = start(folder, words)
    _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, told.decode()


def below(process):
    """List the processes that a process has started, directly or not."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, waiting = [], [process]
    while waiting:
        above = waiting.pop()
        waiting += [each for each, parent in parents.items() if parent == above]
        found.append(above)
    return found[1:]


def kill(process, kind, rng):
    """Kill the runner, all of it, or one of its programs."""
    programs = below(process.pid)
    if kind != "program":
        process.send_signal(signal.SIGKILL)
    for each in programs if kind == "all" else rng.sample(programs, min(1, len(programs))) if kind == "program" else ():
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def lines(store):
    """Give the finished commits of each repo from the oldest on, each as its files with their bytes."""
    found = {}
    for repo in store.repos():
        finished = [each for each in reversed(store.commits(repo.name)) if each.finished is not None]
        found[repo.name] = [
            {each.path: b"".join(store.objects.read(each.digest)) for each in store.trees.entries(commit.tree)}
            for commit in finished
        ]
    return found


def outcome(store):
    """Give all that a person can see of a state at rest, without IDs and times."""
    records = Records(store)
    jobs = [(job.pipeline, job.version, job.state, job.reason, job.counts) for job in records.jobs()]
    datums = {
        (job.pipeline, index): [(each.label, each.state, each.why) for each in records.datums(job.pipeline, job.id)]
        for index, job in enumerate(records.jobs())
    }
    errors = [(each.repo, each.error) for each in store.commits()]
    return lines(store), jobs, datums, errors, records.unfinished_jobs()


@dataclass
class Disturbed:
    """One story with what it gives undisturbed."""

    story: Story
    world: Any
    count: int
    rng: random.Random
    before: dict[str, Any] = field(init=False)
    after: Any = field(init=False)
    seconds: float = field(init=False)

    def __post_init__(self):
        self.story.make(self.world, self.count)
        self.words = self.story.words(self.world)
        self.before = lines(self.world.store)
        self.world.store.close()
        self.template = self.world.folder
        self.folder = self.template.with_name("copy")
        self._fresh()
        started = time.monotonic()
        finish(self.folder, self.words)
        self.seconds = time.monotonic() - started
        store = Store(self.folder)
        self.after = outcome(store)
        store.close()

    def _fresh(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.template, self.folder)

    def kill_at(self, moments):
        """Kill as often as asked, at moments spread over the whole run; about half of the states are killed again."""
        self._fresh()
        for number in range(moments):
            kind = KINDS[number % 3]
            process = start(self.folder, self._next_words())
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.rng.uniform(0, self.seconds))
            kill(process, kind, self.rng)
            if kind == "program":
                process.wait(DEADLINE_S)
            process.communicate()
            self._check_whole(f"kill {number} ({kind})")
            if process.returncode == 0 or self.rng.random() < 0.5:
                finish(self.folder, self._next_words())
                self._check_end()
                self._fresh()
        finish(self.folder, self._next_words())
        self._check_end()

    def _next_words(self):
        store = Store(self.folder)
        made = self.story.is_made(store)
        store.close()
        return ["wait", "commit", "p5@master"] if made else self.words

    def _check_whole(self, moment):
        store = Store(self.folder)
        for repo, line in lines(store).items():
            whole = self.after[0].get(repo, [])
            assert line in (self.before.get(repo), whole, whole[: len(line)]), (moment, repo)
        assert [str(each) for each in fsck.check(store).problems] == [], moment
        store.close()

    def _check_end(self):
        store = Store(self.folder)
        for found, expected in zip(outcome(store), self.after, strict=True):
            assert found == expected
        report = fsck.check(store)
        assert [str(each) for each in report.problems] == []
        if self.story.name == "gc":
            assert report.loose == 0
        store.close()


@pytest.mark.parametrize(("name", "moments"), [("run", 3), ("put", 2), ("update", 1), ("gc", 1), ("squash", 1)])
def test_killed_at_some_moments_it_goes_on_as_if_nothing_had_happened(world, name, moments):
    Disturbed(STORIES[name], world, 4, random.Random(7)).kill_at(moments)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "moments"), [("run", 200), ("put", 60), ("update", 40), ("gc", 40), ("squash", 40)])
def test_killed_at_many_moments_it_goes_on_as_if_nothing_had_happened(world, name, moments):
    Disturbed(STORIES[name], world, 40, random.Random(2026)).kill_at(moments)
