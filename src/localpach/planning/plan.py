"""Which datums does a job run, which does it skip, and what is its output? Pure functions over lists and dictionaries.

::

    datums of the input ──▶ plan ──▶ parallel: not in the base job
    records of the base ──▶          serial:   changed, failed, recovered or forced since
                                     skipped:  same hash, processed before
                                     removed:  only in the base; their files go
    files of the base + what ran ──▶ merge ──▶ files of the output commit
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localpach.spec.paths import file_and_directory_collision
from localpach.storage.records import UNCHANGED, BaseDatum
from localpach.storage.trees import Entry

if TYPE_CHECKING:  # a listing needs the records alone
    from localpach.planning.datums import Datum

CHANGED = "its files changed, or the pipeline was updated with --reprocess"  # which of them, `changes` finds out
PROCESSED, RECOVERED, FAILED = "success", "recovered", "failed"


@dataclass(frozen=True, slots=True)
class Todo:
    """A datum of a job with its hash, its place in the listing, and the reason why it runs or is skipped."""

    datum: "Datum"
    id: str
    hash: str
    position: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The work of a job."""

    parallel: list[Todo] = field(default_factory=list)
    serial: list[Todo] = field(default_factory=list)
    skipped: list[Todo] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of datums of the job."""
        return len(self.parallel) + len(self.serial) + len(self.skipped)


def plan(datums: "Iterable[Datum]", base: Mapping[str, BaseDatum], *, salt: str, every_job: bool) -> Plan:
    """Compare the datums of an input with the records of the base job.

    Args:
        datums: In the order of the input. A repeated ID (a union of overlapping inputs) counts once.
        base: Records of the newest earlier job without an error, by datum ID.
        salt: The salt of the pipeline; another one makes every hash another.
        every_job: Never skip.
    """
    made = Plan()
    seen: set[str] = set()
    for datum in datums:
        id_ = datum.id
        if id_ in seen:
            continue
        position = len(seen)
        seen.add(id_)
        hash_ = datum.hash(salt, id_)
        before = base.get(id_)
        if before is None:
            made.parallel.append(Todo(datum, id_, hash_, position, "new"))
            continue
        why = _why_again(before, hash_, every_job=every_job)
        if why:
            made.serial.append(Todo(datum, id_, hash_, position, why))
        else:
            made.skipped.append(Todo(datum, id_, hash_, position, UNCHANGED))
    made.removed.extend(id_ for id_ in base if id_ not in seen)
    return made


def _why_again(before: BaseDatum, hash_: str, *, every_job: bool) -> str:
    if every_job:
        return "reprocess_spec is every_job"
    if before.state == RECOVERED:
        return "recovered before, so it has no result to keep"
    if not before.hash:
        return "restarted by hand"
    if before.hash != hash_:
        return CHANGED
    return ""


@dataclass(frozen=True, slots=True)
class Merged:
    """How the files of an output commit differ from those of the base, or the reason why there can be none."""

    written: list[Entry] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    error: str = ""


def merge(base: Iterable[Entry], dropped: Collection[str], written: Iterable[Entry]) -> Merged:
    """Make the files of an output commit, as changes to those of the base.

    Args:
        base: Files of the base commit; each names the datum that wrote it.
        dropped: IDs of datums whose files of the base go: the removed ones and those that ran again.
        written: Files of the datums that ran.
    """
    kept: dict[str, Entry] = {}
    gone: dict[str, Entry] = {}
    for entry in base:
        (gone if entry.owner in dropped else kept)[entry.path] = entry
    new: dict[str, Entry] = {}
    for entry in written:
        other = kept.get(entry.path) or new.get(entry.path)
        if other is not None and other.owner != entry.owner:
            return Merged(error=f"{entry.path} was written by two datums: {other.owner} and {entry.owner}")
        new[entry.path] = entry
    collision = file_and_directory_collision(kept.keys() | new.keys())
    if collision:
        return Merged(error=f"{collision} is both a file and a directory")
    return Merged(
        [entry for path, entry in new.items() if gone.get(path) != entry], [path for path in gone if path not in new]
    )
