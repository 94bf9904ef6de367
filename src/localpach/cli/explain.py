"""Why did this run, and what reads what? Answers for people, as text."""

from collections.abc import Collection, Iterable, Sequence

from localpach.storage.records import DatumRecord, Job
from localpach.storage.store import Edge
from localpach.storage.system_repos import spec_repo


def why(job: Job, datums: Sequence[DatumRecord], changed: Collection[int] = ()) -> list[str]:
    """Say for each datum why it ran or was skipped, a line each.

    Args:
        job: The job.
        datums: Those to explain.
        changed: Versions of the pipeline whose program was another one than that of the job.
    """
    lines = [f"{job.name} (version {job.version}): {job.state}"]
    for each in datums:
        earlier = ""
        if each.state == "skipped":
            earlier = f" in job {each.ran_in}"
            if outdated(each, changed):
                earlier += (
                    f", by the program of version {each.ran_version}; `update pipeline --reprocess` runs it again"
                )
        lines.append(f"  {each.state:<9} {each.label}: {each.why}{earlier}")
    return lines


def outdated(datum: DatumRecord, changed: Collection[int]) -> bool:
    """Return whether the result that a datum keeps was made by another program than the pipeline has now."""
    return datum.state == "skipped" and datum.ran_version in changed


def draw(edges: Iterable[Edge]) -> str:
    """Draw the branches as a tree from the repos that people fill; a branch with several inputs appears under each.

    Specs are left out: each pipeline has one, and it would appear under it.
    """
    below: dict[str, list[str]] = {}
    has_input: set[str] = set()
    for edge in edges:
        if edge.up_repo == spec_repo(edge.repo):
            continue
        above = _name(edge.up_repo, edge.up_branch)
        here = _name(edge.repo, edge.branch)
        below.setdefault(above, []).append(here)
        has_input.add(here)
    lines: list[str] = []

    def walk(name: str, indent: str) -> None:
        children = below.get(name, [])
        for index, child in enumerate(children):
            last = index == len(children) - 1
            lines.append(f"{indent}{'└─▶ ' if last else '├─▶ '}{child}")
            walk(child, indent + ("    " if last else "│   "))

    for root in [name for name in below if name not in has_input]:
        lines.append(root)
        walk(root, "")
    return "\n".join(lines) if lines else "no pipelines yet"


def _name(repo: str, branch: str) -> str:
    return repo if branch == "master" else f"{repo}@{branch}"
