"""In what order, and what follows what? The graph of branches, and the graph of pipelines made of it.

::

    songs@master ──▶ wav@master ──▶ midi@master ─┐
    seeds@master ────────────────────────────────┴─▶ generated@master
"""

from collections.abc import Iterable, Mapping

from localpach.errors import CycleError
from localpach.storage.store import Edge

Place = tuple[str, str]  # repo, branch


def order(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Sort names so that each comes after those it depends on; ties keep the given order.

    Args:
        edges: Each name with the names it depends on; dependencies that are no keys are left out.

    Raises:
        CycleError: names depend on each other in a circle.
    """
    done: list[str] = []
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            raise CycleError([*path[path.index(name) :], name])
        if name in finished or name not in edges:
            return
        for dependency in edges[name]:
            visit(dependency, [*path, name])
        finished.add(name)
        done.append(name)

    for name in edges:
        visit(name, [])
    return done


def downstream(edges: Iterable[Edge], moved: Iterable[Place]) -> list[Place]:
    """List the branches that follow the moved ones, directly or not, each once and after all it follows.

    An edge that never propagates starts nothing, but still counts for the order.
    """
    known = list(edges)
    followers: dict[Place, list[Place]] = {}
    upstream: dict[Place, list[Place]] = {}
    for edge in known:
        below, above = (edge.repo, edge.branch), (edge.up_repo, edge.up_branch)
        upstream.setdefault(below, []).append(above)
        if not edge.never:
            followers.setdefault(above, []).append(below)
    affected: set[Place] = set()
    waiting = list(moved)
    while waiting:
        for below in followers.get(waiting.pop(), ()):
            if below not in affected:
                affected.add(below)
                waiting.append(below)
    names = {"\0".join(place): ["\0".join(above) for above in upstream.get(place, ())] for place in upstream}
    in_order = [tuple(name.split("\0")) for name in order(names)]
    return [(repo, branch) for repo, branch in in_order if (repo, branch) in affected]


def check_no_cycle(edges: Iterable[Edge]) -> None:
    """Refuse a repo in its own provenance.

    Raises:
        CycleError: names the repos of the circle.
    """
    above: dict[str, list[str]] = {}
    for edge in edges:
        above.setdefault(edge.repo, []).append(edge.up_repo)
        above.setdefault(edge.up_repo, [])
    order(above)
