"""What is a job compared with? The newest earlier result without an error: its datums and its files."""

from dataclasses import dataclass

from localpach.planning.propagate import newest_without_error
from localpach.storage.records import BaseDatum, Records
from localpach.storage.store import Store
from localpach.storage.trees import Entry


@dataclass(frozen=True, slots=True)
class Base:
    """An earlier result: what is on record of its datums, by ID, and its tree; empty where there is none."""

    datums: dict[str, BaseDatum]
    tree: int | None

    def entries(self, store: Store) -> list[Entry]:
        """List its files."""
        return [] if self.tree is None else store.trees.entries(self.tree)


def find_base(store: Store, pipeline: str, newest: str | None) -> Base:
    """Find the base among the output commits of a pipeline, from the newest one backwards.

    Args:
        store: The state.
        pipeline: Its name, which is that of its output repo.
        newest: ID of the first commit to look at; None where there is none.
    """
    base = newest_without_error(store, store.commit(pipeline, newest) if newest else None)
    if base is None:
        return Base({}, None)
    records = Records(store)
    job = records.job_of_commit(pipeline, base.id)
    return Base(records.base_datums(job) if job else {}, base.tree)


def head_of(store: Store, pipeline: str, branch: str) -> str | None:
    """Return the ID of the newest output commit, or None."""
    found = store.branch(pipeline, branch)
    return found.head if found else None
