"""Which datums does a job have? Its input, expanded over the commits that its output commit was made from."""

from localpach.planning.datums import Datum, Listing, expand
from localpach.spec.inputs import PfsInput
from localpach.storage.records import Job, Records
from localpach.storage.store import Store


def expand_job(store: Store, job: Job) -> list[Datum]:
    """List the datums of a job in the order of its input.

    The same job has the same datums whenever it is asked, as its input commits do not change. An input whose repo was
    deleted has no files.
    """
    used = store.provenance(job.pipeline, job.id)
    listings: dict[tuple[str, str], Listing] = {}

    def listing(source: PfsInput) -> Listing:
        place = source.repo, source.branch
        if place not in listings:
            commit = store.commit(source.repo, used[place]) if place in used else None
            listings[place] = Listing(store.trees.entries(commit.tree), commit.id) if commit else Listing(())
        return listings[place]

    return expand(Records(store).spec(job.pipeline, job.version).input, listing)
