"""Starting states: a server over a fresh state, and Pachyderm's own client at the other end of a real connection."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from localpach.serving.runner import Runner
from localpach.serving.server import Server

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: every transaction syncs."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="localpach-test-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def serve(tmp_path):
    """Start servers, one after the other, that are stopped at the end."""
    started = []

    def start(**more):
        server = Server(Runner(tmp_path / "state"), tmp_path / "state", port=0, **more)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def client(server):
    return Client.from_pachd_address(server.address)


class Words:
    """Short words for what tests do by the client."""

    def __init__(self, client):
        self.client = client

    def repo(self, name):
        self.client.pfs.create_repo(repo=pfs.Repo.from_uri(name))

    def put(self, branch, files):
        with self.client.pfs.commit(branch=pfs.Branch.from_uri(branch)) as commit:
            for path, data in files.items():
                commit.put_file_from_bytes(path, data)
        return commit

    def create(self, name="P", script="cp -r /pfs/in/* /pfs/out/", repo="in", **more):
        self.client.pps.create_pipeline(
            pipeline=pps.Pipeline(name=name),
            transform=pps.Transform(cmd=["sh", "-c", script]),
            input=pps.Input(pfs=pps.PfsInput(name="in", repo=repo, glob="/*")),
            **more,
        )

    def job_set(self, id_):
        return list(self.client.pps.inspect_job_set(job_set=pps.JobSet(id=id_), wait=True))

    def jobs(self, name="P"):
        return list(self.client.pps.list_job(pipeline=pps.Pipeline(name=name)))

    def tree(self, commit):
        """All files of a commit with their bytes."""
        infos = self.client.pfs.walk_file(file=pfs.File.from_uri(f"{commit}:/"))
        paths = [info.file.path for info in infos if info.file_type == pfs.FileType.FILE]
        return {path: self.read(f"{commit}:{path}") for path in paths}

    def read(self, place):
        return b"".join(chunk.value for chunk in self.client.pfs.get_file(file=pfs.File.from_uri(place)))


@pytest.fixture
def words(client):
    return Words(client)


@pytest.fixture
def copied(words):
    """The repo `in` with one file, and the pipeline P that has copied it."""
    words.repo("in")
    words.put("in@master", {"/file": b"foo"})
    words.create()
    words.job_set(words.jobs()[0].job.id)
    return words
