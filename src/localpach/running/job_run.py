"""How does one job run? From its input commits to its output commit.

::

    an input has an error? ─yes─▶ unrunnable
              │ no
    expand, plan ─▶ parallel phase ─▶ serial phase ─▶ merge ─▶ finish the commit
                    └──────────── phase ───────────┘  └─────── job_end ────────┘
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from localpach.errors import LocalpachError
from localpach.planning.base import find_base
from localpach.planning.changes import Changes
from localpach.planning.job_datums import expand_job
from localpach.planning.plan import CHANGED, Plan, plan
from localpach.running import secrets
from localpach.running.execute import JobContext
from localpach.running.executors import Executor
from localpach.running.job_end import JobEnd, output_commit
from localpach.running.phase import DatumRunner
from localpach.running.reporting import Progress
from localpach.storage.records import Job, Records
from localpach.storage.store import Store
from localpach.storage.system_repos import spec_commit


class NotReadyError(Exception):
    """What a job needs before it starts is not there; the job waits until it is."""

    def __init__(self, reason: LocalpachError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class JobRun:
    """One job from its inputs to its commit."""

    def __init__(self, store: Store, job: Job, scratch: Path, progress: Progress, executor: Executor) -> None:
        self._store = store
        self._records = Records(store)
        self._job = job
        self._progress = progress
        self._spec = self._records.spec(job.pipeline, job.version)
        self._base = find_base(store, job.pipeline, output_commit(store, job).parent)
        self._end = JobEnd(store, job, self._spec, self._base)
        self._context = JobContext(
            spec=self._spec,
            job_id=job.id,
            spec_commit=spec_commit(store, job.pipeline, job.id, job.version),
            scratch=scratch,
            logs=store.folder / "logs" / job.pipeline / job.id,
            objects=store.objects,
            executor=executor,
        )

    def run(self) -> Job:
        """Run the job and return it as it ended.

        Raises:
            NotReadyError: an image, an engine or a secret that it needs is not there.
        """
        broken = self._broken_inputs()
        if broken:
            self._end.unrunnable(broken)
            return self._ended()
        made = self._plan()
        if made.parallel or made.serial:
            self._check_ready()
        self._start(made)
        datums = DatumRunner(self._store, self._job, self._context, self._progress)
        for phase in (made.parallel, made.serial):
            if not datums.run(phase):
                return self._ended()
            if self._end.failed_reason():
                break
        self._tell_of_silence(datums.wrote_nothing)
        self._end.finish(made)
        return self._ended()

    def _broken_inputs(self) -> list[str]:
        """Name the repos whose input commit carries an error, or is gone because its repo was deleted by force."""
        used = self._store.provenance(self._job.pipeline, self._job.id)
        commits = {repo: self._store.commit(repo, id_) for (repo, _), id_ in used.items()}
        return [repo for repo, commit in commits.items() if commit is None or commit.error is not None]

    def _plan(self) -> Plan:
        datums = expand_job(self._store, self._job)
        made = plan(datums, self._base.datums, salt=self._spec.salt, every_job=self._spec.every_job)
        changes = Changes(self._store, self._job.pipeline, self._spec.salt)
        for index, todo in enumerate(made.serial):
            if todo.why == CHANGED:
                before = self._records.ran(self._base.datums[todo.id])
                made.serial[index] = replace(todo, why=changes.why(todo.datum, before))
        return made

    def _check_ready(self) -> None:
        try:
            self._context.executor.check(self._spec)
            self._context = replace(self._context, secrets=secrets.given(self._store.folder, self._spec))
        except LocalpachError as error:
            raise NotReadyError(error) from error

    def _start(self, made: Plan) -> None:
        """Mark the job as running, and show it."""
        self._records.start_job(self._job, made.total)
        self._job = self._records.job(self._job.pipeline, self._job.id)
        ignored = [each for each in self._spec.ignored if each not in self._context.executor.honours]
        is_first = self._records.first_of_version(self._job.pipeline, self._job.version) == self._job.id
        if ignored and is_first:
            self._progress.note(f"{self._job.pipeline}: ignored on one machine: {', '.join(ignored)}")
        if (made.parallel or made.serial) and is_first:
            for doubt in self._context.executor.doubts(self._spec):
                self._progress.note(f"{self._job.pipeline}: WARNING: {doubt}")
        done = len(self._records.datums_done(self._job))
        self._progress.job_started(self._job, len(made.parallel) + len(made.serial) - done, done)

    def _tell_of_silence(self, labels: Sequence[str]) -> None:
        """Tell of datums without a result: they count as done, and are skipped from now on."""
        if labels:
            what = f"datum {labels[0]}" if len(labels) == 1 else f"{len(labels)} datums, first {labels[0]},"
            self._progress.note(f"{self._job.pipeline}: NOTE: {what} succeeded and wrote nothing to /pfs/out")

    def _ended(self) -> Job:
        job = self._records.job(self._job.pipeline, self._job.id)
        self._progress.job_ended(job, self._records.labels_skipped(job))
        return job
