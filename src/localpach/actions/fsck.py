"""Is everything still there, and is it what was stored? Every object and every reference, and what can be put right."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from localpach.actions.gc import unreferenced
from localpach.errors import DamagedObjectError
from localpach.running.execute import scratch_root
from localpach.running.executors import Executor
from localpach.running.recompute import Recomputer
from localpach.storage.audit import Audit, InconsistentRow, Use
from localpach.storage.lock import only_runner
from localpach.storage.store import Store


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of the report: what is affected, what is wrong with it, what to do."""

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found; sizes are bytes. `loose` objects are no problem: `gc` frees them."""

    objects: int
    objects_size: int
    loose: int
    loose_size: int
    problems: list[Problem]


def check(store: Store) -> Report:
    """Check the database, its references and every object; nothing is changed."""
    with store.lock.storing():  # so that no other process removes objects meanwhile
        problems = [_of_row(row) for row in Audit(store).inconsistent_rows()]
        known = store.referenced()
        for digest, size in known:
            problem = damage(store, digest, size)
            if problem:
                problems += _of_object(store, digest, problem)
        return Report(len(known), sum(size for _, size in known), *unreferenced(store), problems)


def fix(store: Store, executor: Executor, note: Callable[[str], None]) -> None:
    """Put right what can be put right: inconsistent rows, and objects that a datum wrote.

    Args:
        store: The state.
        executor: Where programs run that make objects again.
        note: Called with a line for each thing that is done, or cannot be.
    """
    with only_runner(store.folder, note, "checking"), scratch_root(store.folder) as scratch, closing(executor):
        audit = Audit(store)
        for row in audit.inconsistent_rows():
            if row.repair is not None:
                with store.transaction():
                    audit.repair(row)
                note(f"{row.place}: {row.problem}: put right")
        recomputer = Recomputer(store, scratch, executor)
        for digest, size in store.referenced():
            if damage(store, digest, size):
                reason = recomputer.recompute(digest)
                place = _name(audit.uses(digest)[:1]) or "an unfinished job"
                note(f"{place}: {f'cannot be made again: {reason}' if reason else 'made again'}")


def damage(store: Store, digest: str, size: int) -> str:
    """Return what is wrong with an object; nothing if it is whole."""
    try:
        found = sum(len(chunk) for chunk in store.objects.read(digest))
    except DamagedObjectError as error:
        return error.problem
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if found == size else f"has {found} bytes instead of {size}"


def _of_row(row: InconsistentRow) -> Problem:
    return Problem(row.place, row.problem, row.remedy)


def _of_object(store: Store, digest: str, problem: str) -> list[Problem]:
    """Return a line for each path that a damaged object stands for, at its newest commit."""
    by_path: dict[tuple[str, str], list[Use]] = {}
    for use in Audit(store).uses(digest):
        by_path.setdefault((use.repo, use.path), []).append(use)
    text = f"stored object {digest[:12]}… {problem}"
    if not by_path:
        return [Problem("an unfinished job", text, "`localpach fsck --fix` makes it again or says why not")]
    can_be_made = any(use.owner for uses in by_path.values() for use in uses)
    found = []
    for uses in by_path.values():
        newest = uses[0]
        older = f" (and {len(uses) - 1} older commits)" if len(uses) > 1 else ""
        remedy = f"put the same file again: `localpach put file {newest.repo}@{newest.branch}:{newest.path} -f FILE`"
        if can_be_made:
            remedy = "`localpach fsck --fix` runs the datum again that wrote it"
        found.append(Problem(_name([newest]) + older, text, remedy))
    return found


def _name(uses: list[Use]) -> str:
    return "".join(f"{use.repo}@{use.commit}:{use.path}" for use in uses)
