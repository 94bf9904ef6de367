"""How does a job end that somebody, or its time limit, stops?"""

from localpach.planning.propagate import newest_without_error
from localpach.storage.records import KILLED, Counts, Records
from localpach.storage.store import Store
from localpach.storage.system_repos import finish_output


def kill_job(store: Store, pipeline: str, id_: str, reason: str) -> None:
    """End an unfinished job as killed; the process that runs it notices and stops its programs."""
    with store.transaction():
        records = Records(store)
        job = records.job(pipeline, id_)
        if not job.ended:
            records.end_job(job, KILLED, reason, Counts(total=job.counts.total))
            commit = store.commit(pipeline, id_)
            parent = store.commit(pipeline, commit.parent) if commit and commit.parent else None
            base = newest_without_error(store, parent)
            finish_output(store, pipeline, id_, tree=base.tree if base else None, error=f"job killed: {reason}")
