"""What do people do with pipelines? Create, update, stop, start, delete; each is one action and one transaction."""

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from localpach.actions.repos import create_repo, ensure_branch, find_commit
from localpach.errors import AlreadyExistsError, DependedOnError, LostInputError, NotFoundError, SpecError, StoppedError
from localpach.planning.base import find_base, head_of
from localpach.planning.datums import Datum, Listing, expand
from localpach.planning.graph import check_no_cycle, order
from localpach.planning.plan import plan
from localpach.planning.propagate import detach_dependents, new_id, propagate
from localpach.planning.triggers import set_trigger
from localpach.running import secrets
from localpach.running.kill import kill_job
from localpach.spec.addresses import CommitAddress
from localpach.spec.inputs import PfsInput
from localpach.spec.spec import PipelineSpec, from_stored
from localpach.storage.records import Pipeline, Records
from localpach.storage.store import Edge, Store
from localpach.storage.system_repos import remove_system_repos, save_spec, spec_edge

PAUSED, PIPELINE_FAILURE, PIPELINE_RUNNING = "paused", "failure", "running"


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did; `kept` counts the datums whose results stay although the program changed."""

    name: str
    version: int
    kept: int = 0


def create_pipelines(store: Store, specs: Iterable[PipelineSpec]) -> list[str]:
    """Create pipelines, those that read others after them, all or none.

    Returns:
        Their names in the order of creation.

    Raises:
        AlreadyExistsError: a pipeline or a repo of that name is there.
        NotFoundError: an input repo is neither there nor made by these pipelines.
        CycleError: pipelines would read each other in a circle.
    """
    ordered = _in_order(specs)
    with store.transaction():
        id_ = new_id()
        for spec in ordered:
            _check_new(store, spec)
            _create(store, id_, spec)
        check_no_cycle(store.edges())
        propagate(store, id_, [], also=[(spec.name, spec.output_branch) for spec in ordered])
    return [spec.name for spec in ordered]


def update_pipelines(store: Store, specs: Iterable[PipelineSpec], *, reprocess: bool = False) -> list[Updated]:
    """Update pipelines, creating those that are missing; unfinished jobs of older versions are killed.

    Args:
        store: The state.
        specs: The new specs.
        reprocess: Process all datums again, by way of a new salt.
    """
    ordered = _in_order(specs)
    records = Records(store)
    done = []
    moved = []
    with store.transaction():
        id_ = new_id()
        for spec in ordered:
            before = records.find_pipeline(spec.name)
            if before is None:
                _check_new(store, spec)
                _create(store, id_, spec)
                done.append(Updated(spec.name, 1))
            else:
                done.append(_update(store, id_, before, spec, reprocess=reprocess))
            if before is None or not before.stopped:
                moved.append((spec.name, spec.output_branch))
        check_no_cycle(store.edges())
        propagate(store, id_, [], also=moved)
    return done


def rerun_pipeline(store: Store, name: str, *, reprocess: bool = False) -> Updated:
    """Run a pipeline again with the spec it has: one commit and job over the heads of its inputs.

    Args:
        store: The state.
        name: The pipeline.
        reprocess: Process all datums again; otherwise those with a result are skipped.

    Raises:
        StoppedError: it is stopped, so nothing would run.
    """
    records = Records(store)
    pipeline = records.pipeline(name)
    if pipeline.stopped:
        raise StoppedError(name)
    spec = from_stored(records.spec(name, pipeline.version).text)
    return update_pipelines(store, [spec], reprocess=reprocess)[0]


def pipeline_state(store: Store, pipeline: Pipeline) -> str:
    """Return the state as pachctl names it: `paused` when stopped, `failure` when an input is gone, else `running`."""
    if pipeline.stopped:
        return PAUSED
    spec = Records(store).spec(pipeline.name, pipeline.version)
    return PIPELINE_FAILURE if _has_lost_input(store, spec) else PIPELINE_RUNNING


def _has_lost_input(store: Store, spec: PipelineSpec) -> bool:
    """Return whether the output branch no longer follows all inputs, because one was deleted by force."""
    followed = {
        (edge.up_repo, edge.up_branch)
        for edge in store.edges()
        if (edge.repo, edge.branch) == (spec.name, spec.output_branch)
    }
    return not followed.issuperset(spec.upstream)


def stop_pipeline(store: Store, name: str) -> None:
    """Stop a pipeline and its unfinished jobs: new commits start nothing, here or downstream, until it is started."""
    with store.transaction():
        records = Records(store)
        pipeline = records.pipeline(name)
        for job in records.jobs(name):
            if not job.ended:
                kill_job(store, name, job.id, "the pipeline was stopped")
        records.set_stopped(name, stopped=True)
        store.set_provenance(name, records.spec(name, pipeline.version).output_branch, [])


def start_pipeline(store: Store, name: str) -> None:
    """Start a pipeline that is stopped, or that lost an input which is back: one commit and job over its inputs.

    Raises:
        NotFoundError: an input repo is not there.
    """
    with store.transaction():
        records = Records(store)
        pipeline = records.pipeline(name)
        spec = records.spec(name, pipeline.version)
        if not pipeline.stopped and not _has_lost_input(store, spec):
            return
        records.set_stopped(name, stopped=False)
        _follow_inputs(store, spec)
        propagate(store, new_id(), [], also=[(name, spec.output_branch)])


def delete_pipeline(store: Store, name: str, *, force: bool = False, keep_repo: bool = False) -> None:
    """Delete a pipeline with its jobs, its output repo and the repos of its cron inputs.

    Raises:
        DependedOnError: other pipelines read it and `force` is not given.
    """
    with store.transaction():
        records = Records(store)
        pipeline = records.pipeline(name)
        spec = records.spec(name, pipeline.version)
        going = _repos_of(store, spec, keep_output=keep_repo)
        _detach_readers(store, name, going, force=force)
        for job in records.jobs(name):
            if not job.ended:
                store.finish_commit(name, job.id, error="its pipeline was deleted")
        records.remove_pipeline(name)
        remove_system_repos(store, name)
        if keep_repo:
            store.set_provenance(name, spec.output_branch, [])
        for repo in going:
            store.remove_repo(repo)


def _repos_of(store: Store, spec: PipelineSpec, *, keep_output: bool) -> list[str]:
    """List the repos that go with a pipeline: those of its cron inputs, and its output."""
    crons = [each.repo for each in spec.inputs if each.cron and store.has_repo(each.repo)]
    return crons if keep_output else [*crons, spec.name]


def _detach_readers(store: Store, pipeline: str, repos: list[str], *, force: bool) -> None:
    """Detach the other pipelines that read repos which are about to go; without `force` there may be none."""
    readers = sorted({edge.repo for edge in store.edges() if edge.up_repo in repos and edge.repo != pipeline})
    if readers and not force:
        raise DependedOnError("pipeline", pipeline, readers)
    for repo in repos:
        detach_dependents(store, repo)


def preview_datums(store: Store, spec: PipelineSpec) -> list[Datum]:
    """List the datums that a spec would have over the present heads, without creating it.

    Raises:
        SpecError: it has a cron input, whose files are made only once it is created.
    """
    if any(each.cron for each in spec.inputs):
        raise SpecError("$.input", "a cron input has no files before its pipeline is created", spec.source)
    return _present_datums(store, spec)


def _present_datums(store: Store, spec: PipelineSpec) -> list[Datum]:

    def head(source: PfsInput) -> Listing:
        store.repo(source.repo)
        with suppress(NotFoundError):
            commit = find_commit(store, CommitAddress(source.repo, source.branch))
            return Listing(store.trees.entries(commit.tree), commit.id)
        return Listing(())

    return expand(spec.input, head)


def _in_order(specs: Iterable[PipelineSpec]) -> list[PipelineSpec]:
    by_name: dict[str, PipelineSpec] = {}
    for spec in specs:
        if spec.name in by_name:
            raise AlreadyExistsError("pipeline", spec.name, "two of the given specs have this name")
        by_name[spec.name] = spec
    return [
        by_name[name] for name in order({name: [repo for repo, _ in spec.upstream] for name, spec in by_name.items()})
    ]


def _check_new(store: Store, spec: PipelineSpec) -> None:
    if Records(store).find_pipeline(spec.name):
        raise AlreadyExistsError("pipeline", spec.name, "use `update pipeline`")
    if store.has_repo(spec.name):
        raise AlreadyExistsError("repo", spec.name, f"pipeline {spec.name} would write to it; rename one of them")


def _create(store: Store, id_: str, spec: PipelineSpec) -> None:
    secrets.check(store.folder, spec)
    create_repo(store, spec.name, f"Output repo for pipeline {spec.name}.")
    store.set_head(spec.name, spec.output_branch, None)
    Records(store).save_pipeline(spec, 1, _new_salt(spec))
    save_spec(store, id_, spec.name, spec.text)
    _follow_inputs(store, spec)


def _update(store: Store, id_: str, before: Pipeline, spec: PipelineSpec, *, reprocess: bool) -> Updated:
    secrets.check(store.folder, spec)
    records = Records(store)
    for job in records.jobs(before.name):
        if not job.ended:
            kill_job(store, job.pipeline, job.id, "the pipeline was updated")
    old = records.spec(before.name, before.version)
    if old.output_branch != spec.output_branch:
        store.set_provenance(before.name, old.output_branch, [])
    if store.branch(spec.name, spec.output_branch) is None:
        store.set_head(spec.name, spec.output_branch, None)
    # As on a cluster: a salt in the spec counts when the pipeline is made, afterwards only with --reprocess.
    records.save_pipeline(spec, before.version + 1, _new_salt(spec) if reprocess else before.salt)
    save_spec(store, id_, spec.name, spec.text)
    if not before.stopped:
        _follow_inputs(store, spec)
    kept = 0
    if old.transform != spec.transform:
        with suppress(NotFoundError):  # only of a stopped pipeline; it says so when it is started
            kept = _count_kept(store, spec)
    return Updated(before.name, before.version + 1, kept)


def _new_salt(spec: PipelineSpec) -> str:
    return spec.salt or uuid.uuid4().hex


def _count_kept(store: Store, spec: PipelineSpec) -> int:
    """Count the datums that the next job of an updated pipeline will skip."""
    records = Records(store)
    current = records.spec(spec.name, records.pipeline(spec.name).version)  # with the salt of the pipeline
    base = find_base(store, spec.name, head_of(store, spec.name, spec.output_branch))
    if not base.datums:
        return 0
    made = plan(_present_datums(store, current), base.datums, salt=current.salt, every_job=current.every_job)
    return len(made.skipped)


def _follow_inputs(store: Store, spec: PipelineSpec) -> None:
    """Make the output branch follow the input branches; those that are missing are made."""
    never = dict.fromkeys(spec.upstream, True)
    for each in spec.inputs:
        never[each.repo, each.branch] &= each.never_propagates
        if each.cron and not store.has_repo(each.repo):
            create_repo(store, each.repo, f"Cron ticks of pipeline {spec.name}.")
    for repo, branch in spec.upstream:
        if not store.has_repo(repo):
            reader = f"pipeline {spec.name}" + (f" in {spec.source}" if spec.source else "")
            raise NotFoundError("repo", repo, f"{reader} reads it; make it with `localpach create repo {repo}`")
        ensure_branch(store, repo, branch)
    for each in spec.inputs:
        if each.trigger:
            set_trigger(store, each.repo, each.branch, each.trigger)
    edges = [Edge(spec.name, spec.output_branch, repo, branch, quiet) for (repo, branch), quiet in never.items()]
    store.set_provenance(spec.name, spec.output_branch, edges + spec_edge(store, spec.name, spec.output_branch))


def delete_job(store: Store, pipeline: str, id_: str) -> None:
    """Take a job out of all lists, and stop it if it runs; its commit stays, and so does what later jobs skip by it.

    Raises:
        NotFoundError: there is none.
    """
    with store.transaction():
        records = Records(store)
        if not records.job(pipeline, id_).ended:
            kill_job(store, pipeline, id_, "the job was deleted")
        records.hide_job(records.job(pipeline, id_))


def restart_datums(store: Store, pipeline: str, datums: Iterable[str]) -> None:
    """Process some datums again, in one new job over the same inputs; the others are skipped.

    Raises:
        StoppedError, LostInputError: the pipeline reads nothing; a job without inputs would empty its output.
    """
    with store.transaction():
        records = Records(store)
        found = records.pipeline(pipeline)
        if found.stopped:
            raise StoppedError(pipeline)
        spec = records.spec(pipeline, found.version)
        if _has_lost_input(store, spec):
            raise LostInputError(pipeline)
        newest = next((job for job in records.jobs(pipeline) if job.state == "success"), None)
        if newest is not None:
            for datum in datums:
                records.forget_datum(pipeline, newest.id, datum)
        propagate(store, new_id(), [], also=[(pipeline, spec.output_branch)])
