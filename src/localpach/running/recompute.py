"""How does a damaged object become whole again? The datum that wrote it runs once more, over the same inputs.

Nothing changes in the history: no commit, no job. The bytes that the program writes have the digest they had, if it
writes the same again, and so take the damaged ones' place.
"""

from pathlib import Path

from localpach.errors import DamagedObjectError, LocalpachError
from localpach.planning.datums import Datum
from localpach.planning.job_datums import expand_job
from localpach.planning.plan import FAILED
from localpach.running import secrets
from localpach.running.batching import runner
from localpach.running.execute import JobContext
from localpach.running.executors import Executor
from localpach.running.processes import Processes
from localpach.storage.audit import Audit, Use
from localpach.storage.records import Records
from localpach.storage.store import Store
from localpach.storage.system_repos import spec_commit


class Recomputer:
    """Makes damaged objects again, each at most once.

    Args:
        store: The state; the caller holds the right to run jobs.
        scratch: Where datums are laid out.
        executor: Where programs run.
    """

    def __init__(self, store: Store, scratch: Path, executor: Executor) -> None:
        self._store = store
        self._scratch = scratch
        self._executor = executor
        self._tried: dict[str, str] = {}

    def recompute(self, digest: str) -> str:
        """Make an object again; return the reason why that cannot be done, or nothing."""
        if digest not in self._tried:
            self._tried[digest] = "it is made from itself"  # until this call knows better
            self._tried[digest] = self._recompute(digest)
        return self._tried[digest]

    def _recompute(self, digest: str) -> str:
        written = [use for use in Audit(self._store).uses(digest) if use.owner]
        reason = "no datum wrote it"
        seen: set[tuple[str, str]] = set()
        for use in written:
            if (use.repo, use.owner) not in seen:
                seen.add((use.repo, use.owner))
                try:
                    reason = self._run_again(use)
                except LocalpachError as error:
                    reason = str(error)
                if self._is_whole(digest):
                    return ""
        return reason

    def _run_again(self, use: Use) -> str:
        """Run the datum that wrote a file; return the reason why its bytes are not the same, as far as it is known."""
        records = Records(self._store)
        job = records.job_of_commit(use.repo, use.commit)
        record = records.datum(use.repo, use.commit, use.owner) if job else None
        datum = next((each for each in expand_job(self._store, job) if each.id == use.owner), None) if job else None
        if record is None or datum is None:
            return "the datum that wrote it is not on record"
        missing = self._input_missing(datum)
        if missing:
            return missing
        spec = records.spec(use.repo, record.ran_version)
        self._executor.check(spec)
        context = JobContext(
            spec=spec,
            job_id=record.ran_in,
            spec_commit=spec_commit(self._store, use.repo, record.ran_in, record.ran_version),
            scratch=self._scratch,
            logs=self._store.folder / "logs" / use.repo / record.ran_in,
            objects=self._store.objects,
            executor=self._executor,
            secrets=secrets.given(self._store.folder, spec),
        )
        with runner(context, Processes()) as run:
            outcome = run(datum)
        self._store.objects.flush()
        if outcome.state == FAILED:
            return f"datum {record.label} of {use.repo} failed: {outcome.reason}"
        return f"the program of {use.repo} wrote other bytes for {record.label} this time"

    def _input_missing(self, datum: Datum) -> str:
        """Make damaged inputs of a datum again; tell what cannot be made."""
        for each in datum.inputs:
            for entry in each.listing.below(each.path):
                if not self._is_whole(entry.digest):
                    reason = self.recompute(entry.digest)
                    if reason:
                        return f"its input {each.source.repo}:{entry.path} is damaged as well: {reason}"
        return ""

    def _is_whole(self, digest: str) -> bool:
        try:
            self._store.objects.check(digest)
        except DamagedObjectError:
            return False
        return True
