"""What the studio asks of the store, and what it changes there: the only door to localpach.

Conventions: every function opens the store for itself, so that any thread may call it. A file is named by the digest
of its content, never by its path, wherever a name comes from outside.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ambient.shipped import command_here
from localpach.actions.commit_files import commit_files
from localpach.actions.differences import Change, Differences, compare
from localpach.actions.downloads import get_files
from localpach.actions.files import changed
from localpach.actions.pipelines import create_pipelines, pipeline_state
from localpach.actions.repos import create_repo, find_commit
from localpach.errors import FileNameError, LocalpachError, NotFoundError
from localpach.serving.news import Subscription
from localpach.serving.runner import Runner
from localpach.spec.addresses import CommitAddress, FileAddress
from localpach.spec.paths import check_path, safe_path
from localpach.spec.spec import PipelineSpec, from_fields
from localpach.storage.records import DatumRecord, Job, Records
from localpach.storage.store import Commit
from localpach.storage.store import Store as State
from localpach.storage.trees import Entry

SONGS, SEEDS, SET_ASIDE, KEPT = "audio-unprocessed", "seeds", "songs-set-aside", "kept"
MIDI, WAV, MODEL, GENERATED, RENDERED = (
    "midi",
    "audio-processed-wav",
    "music-transformer",
    "generated-music",
    "rendered-music",
)
SPECS = {  # pipeline -> its spec file, in the order of the chain
    "audio-processed": "audio-processed",
    WAV: "mp3-to-wav",
    MIDI: "midi",
    "transformer-preprocess": "transformer-preprocess",
    MODEL: "music-transformer-cpu",
    GENERATED: "generated-music",
    RENDERED: "rendered-music",
}
CHAIN = (SONGS, *SPECS)
StoreError = LocalpachError
_RUNNING = ("running", "egressing")
_SAID_LEFT = re.compile(r"([\d.]+) (s|min|h) left")  # by a program itself, in its log
_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _spec(path: Path) -> PipelineSpec:
    """Read a shipped spec, its stage under the name that it has here."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["transform"]["cmd"] = command_here(fields["transform"]["cmd"])
    return replace(from_fields(fields), source=str(path))


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a repo; `path` without the slash it begins with."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Version:
    """A finished commit of a repo; `number` counts from 1, the oldest."""

    id: str
    number: int
    finished: float
    files: int
    bytes: int


class LocalStore:
    """The repos of one state folder.

    Args:
        folder: The state; it is made if it is not there.
        pipelines: Where the specs are.
    """

    def __init__(self, folder: Path, pipelines: Path) -> None:
        self.folder = folder
        self._pipelines = pipelines
        self._runner = Runner(folder)

    # The background runner

    def start(self) -> None:
        """Begin to run jobs.

        Raises:
            StoreError: another program serves this state.
        """
        self._runner.start()

    def stop(self) -> None:
        """Stop running jobs; they go on at the next start."""
        self._runner.stop()

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Hear of every change, whoever makes it."""
        return self._runner.subscribe()

    @contextmanager
    def _open(self) -> Iterator[State]:
        with closing(State(self.folder)) as state:
            yield state

    # Looking

    def has_chain(self) -> bool:
        """Tell whether all repos and pipelines of the chain are there."""
        with self._open() as state:
            return all(state.has_repo(name) for name in (*CHAIN, SEEDS))

    def files(self, repo: str, commit: str | None = None) -> list[StoredFile]:
        """List the files at the newest finished commit of a repo, or at a given one; nothing where there is none."""
        with self._open() as state:
            found = _commit(state, repo, commit)
            return [StoredFile(e.path[1:], e.digest, e.size) for e in state.trees.entries(found.tree)] if found else []

    def file(self, repos: Iterable[str], digest: str) -> StoredFile:
        """Find a file of some repos by its digest.

        Raises:
            StoreError: none of them has it now.
        """
        for repo in repos:
            for each in self.files(repo):
                if each.digest == digest:
                    return each
        raise NotFoundError("file", digest[:16], "it may have been deleted; load the page again")

    def place(self, digest: str) -> Path:
        """Return where the bytes of a file lie, to be read only."""
        if not _DIGEST.fullmatch(digest):
            raise NotFoundError("file", ascii(digest[:16]))
        return self.folder / "objects" / digest[:2] / digest[2:]

    def versions(self, repo: str) -> list[Version]:
        """List the finished commits of a repo that hold files, newest first."""
        with self._open() as state:
            if not state.has_repo(repo):
                return []
            done = [each for each in state.commits(repo)[::-1] if each.finished and each.error is None]
            sized = [(each, *state.trees.size(each.tree)) for each in done]
        full = [entry for entry in sized if entry[1]]
        numbered = [Version(c.id, n, c.finished or 0.0, files, size) for n, (c, files, size) in enumerate(full, 1)]
        return numbered[::-1]

    def download(self, repo: str, commit: str, target: Path) -> None:
        """Write all files of a commit into a folder."""
        with self._open() as state:
            get_files(state, FileAddress(CommitAddress(repo, commit), "/"), target, recursive=True)

    def made_from(self, repo: str, commit: str, source: str) -> list[StoredFile]:
        """List the files of another repo that a commit was made from, by whatever way."""
        with self._open() as state:
            used = next((each for each in state.commit_set(commit) if each.repo == source), None)
            return [StoredFile(e.path[1:], e.digest, e.size) for e in state.trees.entries(used.tree)] if used else []

    # Changing

    def make_chain(self) -> None:
        """Make the repos and pipelines that are missing, in one transaction."""
        with self._open() as state, state.transaction():
            for repo in (SONGS, SEEDS):
                if not state.has_repo(repo):
                    create_repo(state, repo)
            missing = [name for name in SPECS if Records(state).find_pipeline(name) is None]
            specs = [_spec(self._pipelines / f"{SPECS[name]}.json") for name in missing]
            if specs:
                create_pipelines(state, specs)

    def put(self, repo: str, files: Mapping[str, Path | bytes], *, remove: Iterable[str] = (), note: str = "") -> str:
        """Put files, and take others out, in one commit.

        Args:
            repo: It is made if it is not there.
            files: Path in the repo to where the content is.
            remove: Paths to take out.
            note: What the commit is about.

        Returns:
            The ID of the commit.

        Raises:
            StoreError: a name is refused; nothing is put.
        """
        with self._open() as state, state.lock.storing():
            entries = [Entry(check_path(path), *_stored(state, content)) for path, content in files.items()]
            with state.transaction():
                if not state.has_repo(repo):
                    create_repo(state, repo)
                return _change(state, repo, entries, ["/" + path for path in remove], note)

    def move(self, path: str, source: str, target: str, note: str) -> None:
        """Take a file out of one repo and put it into another, in one transaction: it is in one of them at any time.

        Raises:
            StoreError: it is not there.
        """
        with self._open() as state, state.transaction():
            if not state.has_repo(target):
                create_repo(state, target)
            found = _commit(state, source, None)
            entry = state.trees.entry(found.tree, "/" + path) if found else None
            if entry is None:
                raise NotFoundError("file", f"{source}:{path}", "load the page again")
            _change(state, target, [Entry(entry.path, entry.digest, entry.size)], [], note)
            _change(state, source, [], [entry.path], note)

    def history(self, repo: str, most: int = 20) -> list[dict[str, Any]]:
        """Describe the newest commits of a repo: what each changed, and which jobs it set off."""
        with self._open() as state:
            commits = state.commits(repo)[:most] if state.has_repo(repo) else []
            return [_described(state, each) for each in commits if each.origin == "USER"]

    def undo(self, repo: str, id_: str) -> str:
        """Take back what a commit changed, by another commit; what was changed again since stays as it is.

        Returns:
            The ID of the new commit.
        """
        with self._open() as state, state.transaction():
            found = compare(state, FileAddress(CommitAddress(repo, id_), "/"))
            now = {each.path: each.digest for each in _entries(state, repo)}
            back, gone = [], []
            for change in _files_changed(found):
                if now.get(change.path) != (change.new.digest if change.new else None):
                    continue
                if change.old is None:
                    gone.append(change.path)
                else:
                    back.append(Entry(change.path, change.old.digest, change.old.size))
            return _change(state, repo, back, gone, f"undo of {id_[:8]}")

    # The chain as it is now

    def chain(self) -> dict[str, Any]:
        """Describe every repo and pipeline of the chain as it is at this moment."""
        with self._open() as state:
            records = Records(state)
            nodes = [_node(state, records, name) for name in (*CHAIN, SEEDS)]
            return {"ready": all(node["there"] for node in nodes), "nodes": nodes}

    def job(self, pipeline: str) -> dict[str, Any]:
        """Describe the newest job of a pipeline that has begun: each datum, and what its program wrote."""
        with self._open() as state:
            records = Records(state)
            job = next((each for each in records.jobs(pipeline) if each.started or each.ended), None)
            if job is None:
                return {"datums": [], "log": []}
            return {
                "id": job.id,
                "state": job.state,
                "reason": job.reason,
                "datums": [_datum(each) for each in records.datums(pipeline, job.id)],
                "log": list(_log(state.folder, records, job)),
            }


def safe_name(name: str) -> str:
    """Return a name that a repo takes and that still reads like the one given; folders in it are dropped."""
    last = re.split(r"[/\\]", name)[-1]
    try:
        return check_path(last)[1:]
    except FileNameError:
        return safe_path(last)[1:]


def _commit(state: State, repo: str, id_: str | None) -> Commit | None:
    """Find the newest finished commit of master, or a given one."""
    if not state.has_repo(repo):
        return None
    if id_ is not None:
        return find_commit(state, CommitAddress(repo, id_))
    branch = state.branch(repo, "master")
    commit = state.commit(repo, branch.head) if branch and branch.head else None
    while commit and (commit.finished is None or commit.error is not None):
        commit = state.commit(repo, commit.parent) if commit.parent else None
    return commit


def _entries(state: State, repo: str) -> list[Entry]:
    found = _commit(state, repo, None)
    return commit_files(state, found).entries() if found else []


def _stored(state: State, content: Path | bytes) -> tuple[str, int]:
    return state.objects.add([content]) if isinstance(content, bytes) else state.objects.add_file(content)


def _change(state: State, repo: str, put: list[Entry], remove: list[str], note: str) -> str:
    with changed(state, CommitAddress(repo)) as commit:
        state.trees.remove(commit.tree, remove)
        state.trees.write(commit.tree, put)
        if note:
            state.describe_commit(repo, commit.id, note)
    return commit.id


def _files_changed(found: Differences) -> list[Change]:
    return [each for each in found.changes if not each.path.endswith("/")]


def _described(state: State, commit: Commit) -> dict[str, Any]:
    changes = _files_changed(compare(state, FileAddress(CommitAddress(commit.repo, commit.id), "/")))
    jobs = Records(state).jobs(id_=commit.id)
    return {
        "id": commit.id,
        "at": commit.finished or commit.started,
        "note": commit.description,
        "added": [c.path[1:] for c in changes if c.old is None],
        "removed": [c.path[1:] for c in changes if c.new is None],
        "replaced": [c.path[1:] for c in changes if c.old and c.new],
        "set_off": [{"pipeline": j.pipeline, "state": j.state, **_counted(j)} for j in jobs[::-1]],
    }


def _counted(job: Job) -> dict[str, int]:
    return {"processed": job.counts.processed, "skipped": job.counts.skipped, "total": job.counts.total}


def _node(state: State, records: Records, name: str) -> dict[str, Any]:
    commit = _commit(state, name, None)
    files, size = state.trees.size(commit.tree) if commit else (0, 0)
    node = {"name": name, "there": state.has_repo(name), "files": files, "bytes": size, "state": "idle"}
    node["count"] = _count(state, name, commit)
    pipeline = records.find_pipeline(name)
    if pipeline is None:
        return node
    jobs = records.jobs(name)
    return node | {"pipeline": pipeline_state(state, pipeline)} | _progress(state.folder, records, jobs)


def _count(state: State, name: str, commit: Commit | None) -> int:
    """Count what a person would: pieces, though each may have several files; of the composer its versions."""
    if commit is None:
        return 0
    if name == MODEL:
        return sum(
            1 for each in state.commits(name) if each.finished and not each.error and state.trees.size(each.tree)[0]
        )
    return len({entry.path.rpartition("/")[2].partition(".")[0] for entry in state.trees.entries(commit.tree)})


def _progress(folder: Path, records: Records, jobs: list[Job]) -> dict[str, Any]:
    """Say how the work of a pipeline stands: the job that runs, else whether one waits, else how the last one ended."""
    running = next((job for job in jobs if job.state in _RUNNING), None)
    waiting = [job for job in jobs if job.state == "created"]
    last = next((job for job in jobs if job.ended), None)
    job = running or (waiting[-1] if waiting else last)
    if job is None:
        return {}
    counts = records.counts(job) if job is running else job.counts
    done = counts.processed + counts.skipped + counts.recovered + counts.failed
    return {
        "state": "running" if running else "waiting" if waiting else "failed" if _has_failed(job) else "done",
        "job": job.id,
        "done": done,
        "todo": counts.total,
        "skipped": counts.skipped,
        "left_out": counts.recovered,
        "started": job.started,
        "finished": job.finished,
        "left_s": _time_left(folder, job, jobs, done - counts.skipped, counts.total - counts.skipped)
        if running
        else None,
        "error": _error(records, job),
    }


def _has_failed(job: Job) -> bool:
    return job.state in ("failure", "unrunnable")


def _time_left(folder: Path, job: Job, jobs: list[Job], done: int, todo: int) -> float | None:
    """Guess from the pace of this job, before its first datum has ended from that of the last one or from its log."""
    gone_s = time.time() - (job.started or time.time())
    if done:
        return max(0.0, gone_s / done * (todo - done))
    before = next((each for each in jobs if each.state == "success" and each.counts.processed), None)
    if before is None or before.started is None or before.finished is None:
        return _said_left(folder, job)
    return max(0.0, (before.finished - before.started) / before.counts.processed * todo - gone_s)


def _said_left(folder: Path, job: Job) -> float | None:
    """Read what a program last said of the time that it still needs."""
    logs = sorted((folder / "logs" / job.pipeline / job.id).glob("*.log"))
    said = [_SAID_LEFT.findall(path.read_text(encoding="utf-8", errors="replace")) for path in logs]
    found = [each for part in said for each in part]
    return float(found[-1][0]) * _UNITS_S[found[-1][1]] if found else None


def _error(records: Records, job: Job) -> str:
    """Say in one line what went wrong last: of the job as a whole, or of a datum that was left out."""
    bad = [each for each in records.datums(job.pipeline, job.id) if each.state in ("failed", "recovered")]
    if bad and bad[-1].reason:
        return f"{_label(bad[-1])}: {plain(bad[-1].reason)}"
    return plain(job.reason) if job.reason else ""


def plain(reason: str) -> str:
    """Take out of a program's last line what only a program needs."""
    line = reason.strip().splitlines()[-1] if reason.strip() else ""
    line = re.sub(r"^.*?\berror: ", "", line)
    return re.sub(r"(?:/[^\s/:]+)*/pfs/[^\s/:]+/", "", line)


def _label(record: DatumRecord) -> str:
    return " × ".join(path.strip("/") or "all" for path in record.paths)


def _datum(record: DatumRecord) -> dict[str, Any]:
    return {
        "label": _label(record),
        "state": record.state,
        "why": record.why,
        "reason": plain(record.reason),
        "seconds": record.seconds,
    }


def _log(folder: Path, records: Records, job: Job) -> Iterator[str]:
    """Walk what the programs of a job wrote, each datum under its name."""
    names = {each.id: _label(each) for each in records.datums(job.pipeline, job.id)}
    for path in sorted((folder / "logs" / job.pipeline / job.id).glob("*.log")):
        yield f"— {names.get(path.stem, 'running')}"
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines()[-400:]
