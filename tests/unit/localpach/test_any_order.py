"""Whatever people do in whatever order, the output is what the input says, and the state is whole."""

import random

import pytest

from localpach.actions import fsck, gc, history, pipelines
from localpach.errors import LocalpachError


class Person:
    """Does one random thing after another to `in` → P → Q; `bad` in a file makes its datum fail."""

    def __init__(self, world, rng, files):
        self.world, self.rng = world, rng
        world.repo("in")
        world.put("in@master", {f"/f{n}": f"text {n}" for n in range(files)})
        program = "for f in /pfs/in/*; do ! grep -q bad $f && tr a-z A-Z < $f > /pfs/out/${f##*/}; done"
        self.spec = world.toy("P", world.sh(program), datum_tries=1)
        world.create(self.spec, world.toy("Q", repo="P"))

    def act(self):
        self.world.run()
        name = self.rng.choice(
            [
                "put",
                "put",
                "put",
                "delete",
                "squash",
                "squash",
                "drop",
                "update",
                "restart",
                "gc",
                "stop",
                "bad",
                "commits",
            ]
        )
        getattr(self, name)()
        self.world.run()
        return name

    def put(self):
        names = [f"/f{self.rng.randrange(150)}" for _ in range(self.rng.randrange(1, 4))]
        self.world.put("in@master", {name: f"text {self.rng.random()}" for name in names})

    def bad(self):
        self.world.put("in@master", {"/bad": "bad"})

    def delete(self):
        there = sorted(self.world.tree("in@master"))
        gone = "/bad" if "/bad" in there else self.rng.choice(there)
        self.world.change("in@master", delete=[gone], put={"/always": "there"})

    def commits(self):
        for _ in range(3):  # several sets of jobs before any of them runs
            self.world.put("in@master", {f"/f{self.rng.randrange(150)}": "queued"}, run=False)

    def squash(self):
        self.remove(history.squash_commit_set, self.rng.choice(self.world.store.commits("in")).id)

    def drop(self):
        self.remove(history.delete_commit_set, self.world.store.commits("in")[0].id)

    def remove(self, action, id_):
        before = {name: self.world.tree(f"{name}@master") for name in ("in", "P", "Q")}
        try:
            action(self.world.store, id_)
        except LocalpachError:
            assert {name: self.world.tree(f"{name}@master") for name in before} == before
        else:
            if action is history.squash_commit_set:
                assert {name: self.world.tree(f"{name}@master") for name in before} == before

    def update(self):
        self.world.update(self.spec, reprocess=self.rng.random() < 0.3)

    def restart(self):
        datums = self.world.datums("P")
        if datums:
            pipelines.restart_datums(self.world.store, "P", [self.rng.choice(datums).id])

    def gc(self):
        gc.collect_garbage(self.world.store, print)

    def stop(self):
        pipelines.stop_pipeline(self.world.store, "P")
        self.put()
        pipelines.start_pipeline(self.world.store, "P")


def check(world):
    assert [str(each) for each in fsck.check(world.store).problems] == []
    assert world.records.unfinished_jobs() == []
    given = world.tree("in@master")
    if "/bad" in given:
        return
    assert world.last("P").state == world.last("Q").state == "success"
    assert world.tree("P@master") == {path: text.upper() for path, text in given.items()}
    assert world.tree("Q@master") == world.tree("P@master")
    for job in world.records.jobs():
        if job.state == "success":
            states = [each.state for each in world.records.datums(job.pipeline, job.id)]
            assert len(states) == job.counts.total
            assert world.store.commit(job.pipeline, job.id).error is None


def live(world, seed, steps, files):
    person = Person(world, random.Random(seed), files)
    done = []
    for _ in range(steps):
        done.append(person.act())
        try:
            check(world)
        except BaseException:
            print(f"seed {seed}: {done}")
            raise


def test_whatever_is_done_in_any_order_the_output_is_what_the_input_says(world):
    live(world, seed=1, steps=25, files=5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_much_that_is_done_in_any_order_keeps_the_output_what_the_input_says(world, seed):
    live(world, seed=seed, steps=60, files=110)  # so many that file lists are kept as changes
