"""How does a job end? Its results are pushed, then its records and its output commit are written together."""

from collections.abc import Iterable

from localpach.errors import EgressError, NotFoundError
from localpach.planning.base import Base
from localpach.planning.plan import Merged, Plan, merge
from localpach.planning.triggers import fire
from localpach.running import egress
from localpach.spec.spec import PipelineSpec
from localpach.storage.records import FAILURE, SUCCESS, UNRUNNABLE, BaseDatum, Job, Records
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import finish_output

_Skipped = Iterable[tuple[int, BaseDatum]]  # position in the job, and what is on record


class JobEnd:
    """The end of one job; a job that another process has ended meanwhile stays as it is.

    Args:
        store: The state.
        job: The job.
        spec: Of its version.
        base: What the job was compared with.
    """

    def __init__(self, store: Store, job: Job, spec: PipelineSpec, base: Base) -> None:
        self._store = store
        self._records = Records(store)
        self._job = job
        self._spec = spec
        self._base = base

    def unrunnable(self, broken: list[str]) -> None:
        """End a job whose inputs come from failed pipelines."""
        names = ", ".join(broken)
        self._end(UNRUNNABLE, f"unrunnable because the following upstream pipelines failed: {names}", None, [])

    def failed_reason(self) -> str:
        """Return why the job fails, by its datums so far; empty if it does not."""
        failed = self._records.first_failed(self._job)
        return f"datum {failed.label} failed: {failed.reason}" if failed else ""

    def finish(self, made: Plan) -> None:
        """Merge what the datums wrote, push it where the spec wants it, and end the job."""
        skipped = [(todo.position, self._base.datums[todo.id]) for todo in made.skipped]
        failed = self.failed_reason()
        if failed:
            self._end(FAILURE, failed, None, skipped)
            return
        written = self._records.outputs(self._job)
        if not written and not made.removed and not made.serial:  # the same files: the commits share one tree
            self._succeed(None, skipped)
            return
        ran = [todo.id for todo in (*made.parallel, *made.serial)]
        merged = merge(self._base.entries(self._store), {*ran, *made.removed}, written)
        if merged.error:
            self._end(FAILURE, merged.error, None, skipped)
        else:
            self._succeed(merged, skipped)

    def _succeed(self, files: Merged | None, skipped: _Skipped) -> None:
        """End the job well, once its results are where the spec wants them."""
        if self._spec.egress:
            self._records.egress_job(self._job)
            entries = {each.path: each for each in self._base.entries(self._store)}
            if files is not None:
                for path in files.removed:
                    del entries[path]
                entries.update((each.path, each) for each in files.written)
            try:
                egress.push(self._spec.egress, entries.values(), self._store.objects)
            except EgressError as error:
                self._end(FAILURE, str(error), None, skipped)
                return
        self._end(SUCCESS, "", files, skipped)

    def _end(self, state: str, reason: str, files: Merged | None, skipped: _Skipped) -> None:
        """End the job and its commit, whose files are those of the base with some changes, if any."""
        with self._store.transaction():
            if self._records.job(self._job.pipeline, self._job.id).ended:
                return
            self._records.save_skips(self._job, skipped)
            tree = self._base.tree
            if files is not None:
                tree = self._store.trees.add(copy_of=tree)
                self._store.trees.remove(tree, files.removed)
                self._store.trees.write(tree, files.written)
            error = None if state == SUCCESS else reason
            finish_output(self._store, self._job.pipeline, self._job.id, tree=tree, error=error)
            fire(self._store, output_commit(self._store, self._job))
            self._records.end_job(self._job, state, reason, self._records.counts(self._job))


def output_commit(store: Store, job: Job) -> Commit:
    """Find the output commit of a job.

    Raises:
        NotFoundError: the job was deleted meanwhile.
    """
    commit = store.commit(job.pipeline, job.id)
    if commit is None:
        raise NotFoundError("commit of job", job.name)
    return commit
