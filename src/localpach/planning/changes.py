"""What changed for a datum since it ran? The files of its inputs by name, and the salt that `--reprocess` makes new."""

from collections.abc import Iterable

from localpach.planning.datums import Datum
from localpach.storage.records import DatumRecord, Records
from localpach.storage.store import Store
from localpach.storage.trees import Entry

_MAX_NAMES = 3


class Changes:
    """Compares the datums of a pipeline with what earlier jobs have on record.

    Args:
        store: The state.
        pipeline: The pipeline.
        salt: Its salt now.
    """

    def __init__(self, store: Store, pipeline: str, salt: str) -> None:
        self._store = store
        self._records = Records(store)
        self._pipeline = pipeline
        self._salt = salt
        self._salts: dict[int, str] = {}  # by version
        self._trees: dict[tuple[str, str], int | None] = {}  # by repo and commit

    def why(self, datum: Datum, before: DatumRecord) -> str:
        """Return why a datum runs again whose hash is no longer the one on record."""
        found = []
        if self._salt_of(before.ran_version) != self._salt:
            found.append("the pipeline was updated with --reprocess")
        files = self._files(datum, before)
        if files:
            more = f" and {len(files) - _MAX_NAMES} more" if len(files) > _MAX_NAMES else ""
            found.append(f"changed: {', '.join(files[:_MAX_NAMES])}{more}")
        return "; ".join(found) or "its files changed"

    def _salt_of(self, version: int) -> str:
        if version not in self._salts:
            self._salts[version] = self._records.spec(self._pipeline, version).salt
        return self._salts[version]

    def _files(self, datum: Datum, before: DatumRecord) -> list[str]:
        """Name the files that are new, gone or have other content, in the order of the inputs, then of the paths."""
        found = []
        for each, (_, repo, commit, path) in zip(datum.inputs, before.files, strict=True):
            if each.source.reference or each.listing.commit == commit:
                continue
            below = self._below(repo, commit, path)
            if below is not None:
                found += _differences(below, each.listing.below(each.path))
        return found

    def _below(self, repo: str, commit: str, path: str) -> list[Entry] | None:
        """Return the files that an input had; None if its commit is there no longer."""
        if (repo, commit) not in self._trees:
            there = self._store.commit(repo, commit)
            self._trees[repo, commit] = there.tree if there else None
        tree = self._trees[repo, commit]
        if tree is None:
            return None
        if path.endswith("/"):
            return [entry for entry in self._store.trees.entries(tree) if entry.path.startswith(path)]
        entry = self._store.trees.entry(tree, path)
        return [entry] if entry else []


def _differences(before: Iterable[Entry], after: Iterable[Entry]) -> list[str]:
    old = {entry.path: entry.digest for entry in before}
    new = {entry.path: entry.digest for entry in after}
    words = {path: "" if path in old and path in new else " (new)" if path in new else " (gone)" for path in old | new}
    return [path + words[path] for path in sorted(words) if old.get(path) != new.get(path)]
