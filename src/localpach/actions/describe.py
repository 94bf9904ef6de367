"""How does a thing in the state look to a program? Looked up, and written as a message of `pachctl --raw`."""

import json
from typing import TYPE_CHECKING

from localpach.actions import message, message_jobs

if TYPE_CHECKING:
    from localpach.storage.records import Job, Pipeline
    from localpach.storage.store import Branch, Commit, Repo, Store


def repo(store: "Store", each: "Repo") -> message.Message:
    """Describe a repo (RepoInfo)."""
    names = [branch.name for branch in store.branches(each.name)]
    return message.repo_message(each, names, master_size(store, each.name))


def master_size(store: "Store", repo: str) -> int:
    """Return the bytes of the files at the head of master; 0 where there is none."""
    found = store.branch(repo, "master")
    head = store.commit(repo, found.head) if found and found.head else None
    return store.trees.size(head.tree)[1] if head else 0


def branches_above(store: "Store", each: "Branch") -> list[tuple[str, str]]:
    """List the (repo, branch) pairs that a branch follows itself."""
    here = (each.repo, each.name)
    return [(edge.up_repo, edge.up_branch) for edge in store.edges() if (edge.repo, edge.branch) == here]


def branch(store: "Store", each: "Branch") -> message.Message:
    """Describe a branch (BranchInfo)."""
    edges = store.edges()
    all_above: dict[tuple[str, str], None] = {}
    waiting = [(each.repo, each.name)]
    while waiting:
        here = waiting.pop()
        for edge in edges:
            up = (edge.up_repo, edge.up_branch)
            if (edge.repo, edge.branch) == here and up not in all_above:
                all_above[up] = None
                waiting.append(up)
    trigger = trigger_of(each)
    if trigger:
        trigger = message.filled(**trigger) | ({"commits": str(trigger["commits"])} if trigger.get("commits") else {})
    return message.branch_message(each, branches_above(store, each), all_above, trigger)


def trigger_of(each: "Branch") -> message.Message | None:
    """Return what moves a branch as fields, or None."""
    return json.loads(each.trigger) if each.trigger else None


def commit(store: "Store", each: "Commit", *, in_detail: bool = True) -> message.Message:
    """Describe a commit (CommitInfo); in detail with the commits before and after it."""
    size = store.trees.size(each.tree)[1]
    if not in_detail:
        return message.commit_message(each, size)
    used = store.provenance(each.repo, each.id)
    above = [(name, id_) for (name, _), id_ in used.items()]
    children = [child.id for child in store.commits(each.repo) if child.parent == each.id]
    return message.commit_message(each, size, above=above, children=children)


def pipeline(store: "Store", each: "Pipeline") -> message.Message:
    """Describe a version of a pipeline (PipelineInfo)."""
    from localpach.actions.pipelines import pipeline_state  # here, because listings of repos need nothing of it
    from localpach.storage.records import Records

    records = Records(store)
    last = next(iter(records.jobs(each.name)), None)
    spec = records.spec(each.name, each.version)
    return message_jobs.pipeline_message(each, spec, last, pipeline_state(store, each))


def job(store: "Store", each: "Job", *, in_detail: bool = True) -> message.Message:
    """Describe a job (JobInfo); in detail with its spec."""
    from localpach.storage.records import Records

    spec = Records(store).spec(each.pipeline, each.version) if in_detail else None
    return message_jobs.job_message(each, spec)
