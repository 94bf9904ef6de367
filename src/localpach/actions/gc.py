"""What is not needed any more? Bytes, file lists, records and logs that no commit, job or record of a datum reaches."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localpach.storage.audit import Audit
from localpach.storage.lock import only_runner
from localpach.storage.store import Store


@dataclass(frozen=True, slots=True)
class Freed:
    """What was removed; sizes are bytes."""

    objects: int
    objects_size: int
    logs: int
    logs_size: int


def collect_garbage(store: Store, waiting: Callable[[str], None]) -> Freed:
    """Remove what is not needed; wait until no process runs jobs or stores files.

    Rows go first, so that a process that is killed here leaves bytes that no row names, never the reverse.

    Args:
        store: The state.
        waiting: Called with a line for the user if other processes have to be waited for.
    """
    with only_runner(store.folder, waiting, "tidying up"), store.lock.removing(waiting):
        with store.transaction():
            store.trees.remove_unused()
            Audit(store).forget_unreached_datums()
        objects, objects_size = _remove_objects(store)
        logs, logs_size = _remove_logs(store)
    return Freed(objects, objects_size, logs, logs_size)


def unreferenced(store: Store) -> tuple[int, int]:
    """Count the objects that no row names, and their bytes: what `collect_garbage` would free at least."""
    known = {digest for digest, _ in store.referenced()}
    sizes = [size for digest, size in store.objects.stored() if digest not in known]
    return len(sizes), sum(sizes)


def _remove_objects(store: Store) -> tuple[int, int]:
    known = {digest for digest, _ in store.referenced()}
    loose = [(digest, size) for digest, size in store.objects.stored() if digest not in known]
    for digest, _ in loose:
        store.objects.remove(digest)
    count, size = store.objects.remove_unfinished()
    return len(loose) + count, sum(size for _, size in loose) + size


def _remove_logs(store: Store) -> tuple[int, int]:
    audit = Audit(store)
    jobs, datums = audit.listed_jobs(), audit.logged()
    loose: list[Path] = []
    for folder in _folders(store.folder / "logs"):
        for job in _folders(folder):
            if (folder.name, job.name) in jobs:
                continue
            logs = [path for path in job.iterdir() if path.is_file()]
            loose += [path for path in logs if (folder.name, job.name, path.stem) not in datums]
    size = sum(path.stat().st_size for path in loose)
    for path in loose:
        path.unlink()
    for folder in _folders(store.folder / "logs"):
        for job in [*_folders(folder), folder]:
            if not any(job.iterdir()):
                shutil.rmtree(job)
    return len(loose), size


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
