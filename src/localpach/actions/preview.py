"""Which datums would a spec have now, and which of them would its next job skip? Nothing is created or changed."""

from dataclasses import dataclass

from localpach.actions.pipelines import preview_datums
from localpach.planning.base import find_base, head_of
from localpach.planning.datums import Datum
from localpach.planning.plan import plan
from localpach.spec.spec import PipelineSpec, with_salt
from localpach.storage.records import Records
from localpach.storage.store import Store


@dataclass(frozen=True, slots=True)
class Previewed:
    """A datum that a job would have; `fate` tells whether it would run, for a pipeline that is there."""

    id: str
    datum: Datum
    fate: str = ""

    @property
    def files(self) -> tuple[tuple[str, str, str, str], ...]:
        """Its files as (input, repo, commit, path)."""
        return tuple((each.source.name, each.source.repo, each.listing.commit, each.path) for each in self.datum.inputs)


def preview(store: Store, spec: PipelineSpec) -> list[Previewed]:
    """List the datums that a spec would have over the present heads.

    Raises:
        NotFoundError: an input repo is not there.
        SpecError: it has a cron input, whose files are made only once it is created.
    """
    datums = preview_datums(store, spec)
    pipeline = Records(store).find_pipeline(spec.name)
    if pipeline is None:
        return [Previewed(each.id, each) for each in datums]
    base = find_base(store, spec.name, head_of(store, spec.name, spec.output_branch))
    made = plan(datums, base.datums, salt=with_salt(spec, pipeline.salt).salt, every_job=spec.every_job)
    found = [(todo.position, Previewed(todo.id, todo.datum, "would be skipped")) for todo in made.skipped]
    for todo in (*made.parallel, *made.serial):
        found.append((todo.position, Previewed(todo.id, todo.datum, f"would run: {todo.why}")))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])]


def without_commit(store: Store, spec: PipelineSpec) -> list[str]:
    """Name the input branches that have no commit yet, so that they give no datums."""
    found = [(repo, name, store.branch(repo, name)) for repo, name in spec.upstream]
    return [f"{repo}@{name}" for repo, name, branch in found if branch is None or branch.head is None]
