"""Starting states: a fresh store, and a small world of toy pipelines that copy files."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localpach.actions import files, pipelines, repos
from localpach.running import jobs
from localpach.spec import spec
from localpach.spec.addresses import parse_commit, parse_file
from localpach.storage.records import DatumRecord, Job, Records
from localpach.storage.store import Store

MEMORY = Path("/dev/shm")
COPY = ["sh", "-c", "cp -rv /pfs/in/* /pfs/out/"]  # its log has a line a file


def parsed(fields: dict[str, Any]) -> spec.PipelineSpec:
    (found,) = spec.parse(json.dumps(fields))
    return found


def toy(
    name: str = "P", cmd: list[str] | None = None, *, glob: str = "/*", repo: str = "in", **more: Any
) -> dict[str, Any]:
    """A spec of one pfs input named `in`; keywords that belong to the transform go there."""
    transform = {"cmd": cmd or COPY}
    for key in (
        "stdin", "err_cmd", "err_stdin", "env", "accept_return_code", "working_dir", "image", "user", "secrets",
        "datum_batching",
    ):  # fmt: skip
        if key in more:
            transform[key] = more.pop(key)
    pfs = {"repo": repo, "glob": glob, "name": "in", **more.pop("pfs", {})}
    return {"pipeline": {"name": name}, "transform": transform, "input": {"pfs": pfs}, **more}


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


class World:
    """A state folder with short words for what tests do; every change is followed by running its jobs."""

    parsed = staticmethod(parsed)
    toy = staticmethod(toy)
    sh = staticmethod(sh)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.records = Records(self.store)

    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.folder)
        self.records = Records(self.store)

    def repo(self, *names: str) -> None:
        for name in names:
            repos.create_repo(self.store, name)

    def put(self, where: str, contents: dict[str, str], *, run: bool = True, append: bool = False) -> str:
        address = parse_commit(where)
        with files.changed(self.store, address) as commit:
            for path, text in contents.items():
                files.put_bytes(
                    self.store, parse_file(f"{commit.repo}@{commit.branch}:{path}"), text.encode(), append=append
                )
        if run:
            self.run()
        return commit.id

    def change(self, where: str, *, delete: list[str], put: dict[str, str], run: bool = True) -> str:
        """Delete and put in one commit."""
        address = parse_commit(where)
        with files.changed(self.store, address) as commit:
            for path in delete:
                files.delete_files(self.store, parse_file(f"{where}:{path}"), recursive=True)
            for path, text in put.items():
                files.put_bytes(self.store, parse_file(f"{where}:{path}"), text.encode())
        if run:
            self.run()
        return commit.id

    def create(self, *specs: dict[str, Any], run: bool = True) -> None:
        pipelines.create_pipelines(self.store, [parsed(each) for each in specs])
        if run:
            self.run()

    def update(self, *specs: dict[str, Any], reprocess: bool = False, run: bool = True) -> list[pipelines.Updated]:
        done = pipelines.update_pipelines(self.store, [parsed(each) for each in specs], reprocess=reprocess)
        if run:
            self.run()
        return done

    def run(self) -> list[Job]:
        return jobs.run_jobs(self.store)

    def jobs(self, pipeline: str) -> list[Job]:
        return self.records.jobs(pipeline)

    def last(self, pipeline: str = "P") -> Job:
        return self.jobs(pipeline)[0]

    def datums(self, pipeline: str = "P") -> list[DatumRecord]:
        return self.records.datums(pipeline, self.last(pipeline).id)

    def read(self, place: str) -> str:
        return b"".join(files.read_file(self.store, parse_file(place))).decode()

    def tree(self, commit: str) -> dict[str, str]:
        """All files of a commit with their text."""
        entries = self.store.trees.entries(repos.find_commit(self.store, parse_commit(commit)).tree)
        return {each.path: b"".join(self.store.objects.read(each.digest)).decode() for each in entries}

    def line(self, branch: str) -> int:
        """The number of commits of a branch."""
        return len(repos.ancestry(self.store, repos.find_commit(self.store, parse_commit(branch))))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """Programs started by these tests hear Ctrl-C, also where a shell without job control runs them with `&`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: every transaction syncs, and half the time went into that.

    Nothing is lost by it: these tests kill processes, which leave what they wrote; they never cut the power.
    """
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="localpach-test-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "state")


@pytest.fixture
def toy_pipeline(world: World) -> World:
    """The repo `in` with one file, and the pipeline P that has copied it."""
    world.repo("in")
    world.put("in@master", {"/file": "foo"})
    world.create(toy())
    return world


@pytest.fixture
def wait_until():
    """Wait for what another thread or process does; it has a minute, and the process must live meanwhile."""

    def wait(is_so, process=None):
        until = time.monotonic() + 60
        while not is_so():
            assert process is None or process.poll() is None
            assert time.monotonic() < until, "it did not happen"
            time.sleep(0.01)

    return wait
