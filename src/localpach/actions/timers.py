"""What is due by the clock? The ticks of cron inputs, and the moves of triggers with a schedule.

localpach has no daemon: what is due is done when a command that runs jobs runs, and on time while one watches. Of the
ticks that were missed meanwhile only the newest is made, in one commit: a week without localpach is one run, not a
thousand.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from localpach.actions.files import changed
from localpach.errors import NotFoundError, ScheduleError
from localpach.planning import triggers
from localpach.spec.addresses import CommitAddress
from localpach.spec.cron import parse_schedule
from localpach.spec.inputs import Cron, PfsInput
from localpach.spec.spec_fields import time_s
from localpach.storage.records import Pipeline, Records
from localpach.storage.store import Commit, Store
from localpach.storage.trees import Entry


def fire_due(store: Store, now: float) -> bool:
    """Make the ticks that are due and move the branches whose schedule says so.

    Args:
        store: The state.
        now: Seconds since the epoch.

    Returns:
        Whether anything was.
    """
    if not any(_due_ticks(store, now)) and not any(_due_moves(store, now)):
        return False
    with store.transaction():  # looked up again inside, for another process may have been quicker
        ticks = list(_due_ticks(store, now))
        moves = list(_due_moves(store, now))
        for source, cron, moment in ticks:
            _tick(store, source, cron, moment)
        for commit, branch in moves:
            triggers.move(store, commit, [branch])
    return bool(ticks or moves)


def run_cron(store: Store, pipeline: str, now: float) -> None:
    """Make a tick for each cron input of a pipeline now.

    Raises:
        ScheduleError: it has none.
    """
    records = Records(store)
    found = records.pipeline(pipeline)
    sources = _cron_inputs(records, found)
    if not sources:
        raise ScheduleError(pipeline, "the pipeline has no cron input, so there is nothing to fire")
    with store.transaction():
        for source, cron in sources:
            _tick(store, source, cron, now)


def _cron_inputs(records: Records, pipeline: Pipeline) -> list[tuple[PfsInput, Cron]]:
    return [(each, each.cron) for each in records.spec(pipeline.name, pipeline.version).inputs if each.cron]


def _due_ticks(store: Store, now: float) -> Iterator[tuple[PfsInput, Cron, float]]:
    records = Records(store)
    for pipeline in records.pipelines():
        if pipeline.stopped:
            continue
        for source, cron in _cron_inputs(records, pipeline):
            if not store.has_repo(source.repo):
                continue
            last = _newest_tick(store, source.repo)
            begun = pipeline.created if cron.start_s is None else cron.start_s
            moment = parse_schedule(cron.spec).latest(begun if last is None else last, now)
            if moment is not None:
                yield source, cron, moment


def _newest_tick(store: Store, repo: str) -> float | None:
    """Read the time of the newest tick from the names of the files; files of other names are not ticks."""
    branch = store.branch(repo, CommitAddress(repo).name)
    head = store.commit(repo, branch.head) if branch and branch.head else None
    moments = []
    for entry in store.trees.entries(head.tree) if head else ():
        with suppress(ValueError):
            moments.append(time_s(entry.path.removeprefix("/")))
    return max(moments, default=None)


def _tick(store: Store, source: PfsInput, cron: Cron, moment: float) -> None:
    """Put an empty file, named by the time, into the repo of a cron input."""
    if not store.has_repo(source.repo):
        raise NotFoundError("repo", source.repo, f"the cron input {source.name} has its ticks there")
    name = datetime.fromtimestamp(moment, UTC).strftime("/%Y-%m-%dT%H:%M:%SZ")
    tick = Entry(name, *store.objects.add([]))
    with changed(store, CommitAddress(source.repo, source.branch)) as commit:
        if cron.overwrite:
            store.trees.remove(commit.tree, [entry.path for entry in store.trees.entries(commit.tree)])
        store.trees.write(commit.tree, [tick])


def _due_moves(store: Store, now: float) -> Iterator[tuple[Commit, str]]:
    """Find the branches whose trigger has a schedule that ticked since the branch above them got a new commit."""
    for repo in store.repos():
        for branch in store.branches(repo.name):
            trigger = triggers.trigger_of(branch)
            if trigger is None or not trigger.cron_spec:
                continue
            head = _finished_head(store, repo.name, trigger.branch)
            if head is not None and _has_ticked(store, trigger.cron_spec, head, branch.head, now):
                yield head, branch.name


def _finished_head(store: Store, repo: str, name: str) -> Commit | None:
    """Find the head of a branch, if it is finished and has no error."""
    branch = store.branch(repo, name)
    head = store.commit(repo, branch.head) if branch and branch.head else None
    return head if head is not None and head.finished is not None and head.error is None else None


def _has_ticked(store: Store, schedule: str, head: Commit, moved_to: str | None, now: float) -> bool:
    """Return whether a schedule ticked since the first commit that the triggered branch has not yet."""
    since = list(triggers.commits_since(store, head, moved_to))
    waiting_s = min((each.finished for each in since if each.finished is not None), default=now)
    tick = parse_schedule(schedule).next(waiting_s)
    return bool(since) and tick is not None and tick <= now
