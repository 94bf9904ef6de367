"""Which files does a commit have? Those that were put there; for a commit of records, what is on record of its job.

::

    P.meta@<job>:/meta/<datum>/meta         how the datum ended, as JSON
                 /pfs/<datum>/.env          the variables of its program, secrets left out
                 /pfs/<datum>/<input>/…     its input files
                 /pfs/<datum>/out/…         what it wrote
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property

from localpach.planning.datums import Datum
from localpach.planning.job_datums import expand_job
from localpach.running.variables import DATUM_ID, input_variables, job_variables
from localpach.storage.records import DatumRecord, Job, Records
from localpach.storage.store import Commit, Store
from localpach.storage.system_repos import pipeline_of, spec_commit
from localpach.storage.trees import Entry

_STATES = {"success": "PROCESSED", "skipped": "PROCESSED", "recovered": "RECOVERED", "failed": "FAILED"}


class CommitFiles:
    """The files of a commit.

    Args:
        store: The state.
        commit: The commit.
    """

    def __init__(self, store: Store, commit: Commit) -> None:
        self._store = store
        self._commit = commit

    def entries(self) -> list[Entry]:
        """List the files in path order."""
        return self._store.trees.entries(self._commit.tree)

    def entry(self, path: str) -> Entry | None:
        """Find one file, or None."""
        return self._store.trees.entry(self._commit.tree, path)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of a file.

        Raises:
            DamagedObjectError: they are not those that were stored; known after the last of them.
        """
        return self._store.objects.read(entry.digest)

    def stored(self, entry: Entry) -> Entry:
        """Return a file as one that another commit can hold as well."""
        return entry


def commit_files(store: Store, commit: Commit) -> CommitFiles:
    """Return the files of any commit."""
    if store.repo(commit.repo).type == "meta":
        return _Records(store, commit)
    return CommitFiles(store, commit)


class _Records(CommitFiles):
    """The records of a job as files."""

    def entries(self) -> list[Entry]:
        return sorted(self._found.values(), key=lambda entry: entry.path)

    def entry(self, path: str) -> Entry | None:
        return self._found.get(path)

    def read(self, entry: Entry) -> Iterator[bytes]:
        made = self._made.get(entry.path)
        return super().read(entry) if made is None else iter([made])

    def stored(self, entry: Entry) -> Entry:
        made = self._made.get(entry.path)
        return entry if made is None else Entry(entry.path, *self._store.objects.add([made]))

    @cached_property
    def _found(self) -> dict[str, Entry]:
        made = [
            Entry(path, hashlib.blake2b(text, digest_size=32).hexdigest(), len(text))
            for path, text in self._made.items()
        ]
        return {entry.path: entry for entry in [*made, *self._inputs(), *self._outputs()]}

    @cached_property
    def _made(self) -> dict[str, bytes]:
        """The files whose bytes are nowhere but in the database."""
        if self._job is None:
            return {}
        texts = {f"/meta/{each.id}/meta": _as_json(self._job, each) for each in self._datums}
        spec = Records(self._store).spec(self._job.pipeline, self._job.version)
        for each in self._datums:
            if each.id in self._expanded:
                lines = {**spec.transform.env, **_variables(self._store, self._job, each, self._expanded[each.id])}
                texts[f"/pfs/{each.id}/.env"] = "".join(f"{name}={value}\n" for name, value in lines.items())
        return {path: text.encode() for path, text in texts.items()}

    @cached_property
    def _job(self) -> Job | None:
        return Records(self._store).job_of_commit(pipeline_of(self._commit.repo), self._commit.id)

    @cached_property
    def _datums(self) -> list[DatumRecord]:
        return Records(self._store).datums(self._job.pipeline, self._job.id) if self._job else []

    @cached_property
    def _expanded(self) -> dict[str, Datum]:
        return {datum.id: datum for datum in expand_job(self._store, self._job)} if self._job else {}

    def _inputs(self) -> Iterator[Entry]:
        for record in self._datums:
            datum = self._expanded.get(record.id)
            for each in datum.inputs if datum else ():
                for entry in each.listing.below(each.path):
                    yield Entry(f"/pfs/{record.id}/{each.source.name}{entry.path}", entry.digest, entry.size)

    def _outputs(self) -> Iterator[Entry]:
        output = self._store.commit(self._job.pipeline, self._job.id) if self._job else None
        if output is None or output.error is not None:
            return
        known = {each.id for each in self._datums}
        for entry in self._store.trees.entries(output.tree):
            if entry.owner in known:
                yield Entry(f"/pfs/{entry.owner}/out{entry.path}", entry.digest, entry.size)


def _variables(store: Store, job: Job, record: DatumRecord, datum: Datum) -> dict[str, str]:
    """Return the variables that a program had; paths are those of the spec."""
    commits = {name: commit for name, _, commit, _ in record.files}  # those of the job that it ran in
    version = spec_commit(store, job.pipeline, record.ran_in, record.ran_version)
    return {
        **input_variables(datum, "/pfs", commits),
        DATUM_ID: record.id,
        **job_variables(job.pipeline, record.ran_in, version),
    }


def _as_json(job: Job, record: DatumRecord) -> str:
    """Write a record in the shape of Pachyderm's own, with the reason and the `why` of localpach."""
    inputs = [
        {"name": name, "fileInfo": {"file": {"commit": {"repo": {"name": repo}, "id": commit}, "path": path}}}
        for name, repo, commit, path in record.files
    ]
    fields = {
        "job": {"pipeline": {"project": {"name": "default"}, "name": job.pipeline}, "id": record.ran_in},
        "inputs": inputs,
        "hash": record.hash,
        "index": str(record.position),
        "state": _STATES[record.state],
        "reason": record.reason,
        "why": record.why,
        "stats": {
            "processTime": f"{record.seconds:.9f}s",
            "downloadBytes": str(record.downloaded),
            "uploadBytes": str(record.uploaded),
        },
    }
    return json.dumps(fields, indent=2) + "\n"
