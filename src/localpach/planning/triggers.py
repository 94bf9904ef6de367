"""Does a branch with a trigger move? The decision, pure, and the moves that follow a finished commit.

::

    staging  ●──●──●──●          commits by people or jobs
                   │ size, commits or rate reached
    master   ●─────●             moved to that commit: what follows master gets commits and jobs

A trigger with a `cron_spec` is moved by its schedule alone (see `timers`). A branch moved by hand fires nothing.
"""

import dataclasses
import json
from collections.abc import Iterator

from localpach.errors import TriggerError
from localpach.planning.propagate import new_id, propagate
from localpach.spec.cron import parse_schedule
from localpach.spec.inputs import Trigger, size_bytes
from localpach.storage.store import Branch, Commit, Store


def is_satisfied(trigger: Trigger, *, grown_bytes: int, commits: int, before_s: float, now_s: float) -> bool:
    """Return whether a trigger fires.

    Args:
        trigger: Its conditions; of those that are set one must hold, or all with `all`.
        grown_bytes: How much larger the new head is than the old one.
        commits: Number of commits since the old head.
        before_s: When the old head was finished, in seconds since the epoch.
        now_s: When the new head was finished.
    """
    if trigger.cron_spec:
        return False
    conditions = []
    if trigger.size:
        conditions.append(grown_bytes >= size_bytes(trigger.size))
    if trigger.commits:
        conditions.append(commits >= trigger.commits)
    if trigger.rate_limit_spec:
        tick = parse_schedule(trigger.rate_limit_spec).next(before_s)
        conditions.append(tick is not None and tick < now_s)
    return all(conditions) if trigger.all else any(conditions)


def trigger_of(branch: Branch) -> Trigger | None:
    """Return the trigger of a branch, or None."""
    return Trigger(**json.loads(branch.trigger)) if branch.trigger else None


def set_trigger(store: Store, repo: str, name: str, trigger: Trigger) -> None:
    """Set the trigger of a branch, which must be there. Must be called inside a transaction.

    Raises:
        TriggerError: the branch follows others already, or would trigger itself.
    """
    if any((edge.repo, edge.branch) == (repo, name) for edge in store.edges()):
        raise TriggerError(repo, name, "it has provenance, and one branch cannot have both")
    chain = [name]
    watched: Trigger | None = trigger
    while watched is not None:
        if watched.branch in chain:
            raise TriggerError(repo, name, f"it would trigger itself: {' <- '.join([*chain, watched.branch])}")
        chain.append(watched.branch)
        above = store.branch(repo, watched.branch)
        watched = trigger_of(above) if above else None
    store.set_trigger(repo, name, json.dumps(dataclasses.asdict(trigger)))


def fire(store: Store, commit: Commit) -> None:
    """Move the branches that a finished commit triggers, those that they trigger in turn, and start what follows them.

    Must be called inside a transaction. A commit with an error triggers nothing.
    """
    if commit.error is not None:
        return
    branches = {each.name: trigger for each in store.branches(commit.repo) if (trigger := trigger_of(each))}
    moved: list[str] = []
    waiting = [commit.branch]
    while waiting:
        above = waiting.pop(0)
        for name, trigger in branches.items():
            if trigger.branch == above and name not in moved and _fires(store, commit, name, trigger):
                moved.append(name)
                waiting.append(name)
    move(store, commit, moved)


def move(store: Store, commit: Commit, names: list[str]) -> None:
    """Point branches at a commit of their repo and start what follows them. Must be called inside a transaction."""
    for name in names:
        store.set_head(commit.repo, name, commit.id)
    if names:
        propagate(store, new_id(), [(commit.repo, name) for name in names])


def _fires(store: Store, commit: Commit, name: str, trigger: Trigger) -> bool:
    branch = store.branch(commit.repo, name)
    old = store.commit(commit.repo, branch.head) if branch and branch.head else None
    if old is not None and old.id == commit.id:
        return False
    return is_satisfied(
        trigger,
        grown_bytes=store.trees.size(commit.tree)[1] - (store.trees.size(old.tree)[1] if old else 0),
        commits=sum(1 for _ in commits_since(store, commit, old.id if old else None)),
        before_s=old.finished or 0.0 if old else 0.0,
        now_s=commit.finished or 0.0,
    )


def commits_since(store: Store, commit: Commit, old: str | None) -> Iterator[Commit]:
    """Walk from a commit to its ancestors, up to the old head; the empty commit that a branch begins with is none."""
    walked: Commit | None = commit
    while walked is not None and walked.id != old and (walked.parent or walked.origin != "AUTO"):
        yield walked
        walked = store.commit(walked.repo, walked.parent) if walked.parent else None
