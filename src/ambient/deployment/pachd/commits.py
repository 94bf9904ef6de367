"""Commits of a cluster and the files in them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import grpc
from pachyderm_sdk.api import pfs

from ambient.deployment.errors import DeployError
from ambient.deployment.pachd.connection import Connection, is_not_found
from ambient.deployment.pachd.messages import commit_of, repo_of, to_commit
from ambient.deployment.state import Commit

_MESSAGE_BYTES = 2**20  # below the 4 MB that a gRPC server takes if nobody says otherwise; pachd takes 20


class Commits:
    """The commits of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pfs = connection.client.pfs

    def head(self, repo: str, branch: str = "master") -> Commit | None:
        """Return the head commit of a branch, or None where there is none yet."""
        info = self._connection.or_none(
            f"looking at {repo}@{branch}",
            lambda: self._pfs.inspect_commit(commit=pfs.Commit.from_uri(f"{repo}@{branch}")),
        )
        return None if info is None else to_commit(repo, info)

    def newest(self, repo: str, number: int) -> list[Commit]:
        """Return the newest commits of a repo, newest first."""
        infos = self._connection.attempt(
            f"listing the commits of {repo}",
            lambda: list(self._pfs.list_commit(repo=repo_of(repo), number=number)),
        )
        return [to_commit(repo, info) for info in infos]

    def start(self, repo: str, description: str) -> Commit:
        """Start a commit on `master`; a try whose answer was lost is found by its description, which must be unique."""

        branch = pfs.Branch.from_uri(f"{repo}@master")

        def look() -> Any:
            return self._pfs.inspect_commit(commit=pfs.Commit.from_uri(f"{repo}@master"))

        def start() -> Commit:
            try:
                started = look().description == description
            except grpc.RpcError as error:
                started = False
                if not is_not_found(error):
                    raise
            if not started:
                self._pfs.start_commit(branch=branch, description=description)
            return to_commit(repo, look())

        return self._connection.attempt(f"starting a commit in {repo}", start)

    def finish(self, repo: str, commit_id: str) -> None:
        """Close a commit, which starts what follows it."""

        def finish() -> None:
            if to_commit(repo, self._pfs.inspect_commit(commit=commit_of(repo, commit_id))).is_open:
                self._pfs.finish_commit(commit=commit_of(repo, commit_id))

        self._connection.attempt(f"finishing {repo}@{commit_id}", finish)

    def drop(self, repo: str, commit_id: str) -> None:
        """Take an open commit back, and everything that waits for it."""
        self._connection.once(
            f"dropping {repo}@{commit_id}",
            lambda: self._pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit_id)),
            "NOT_FOUND",
        )


class Files:
    """The files in commits of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pfs = connection.client.pfs

    def listed(self, repo: str, commit_id: str) -> dict[str, int]:
        """Return what a commit holds: path without its first slash, and size in bytes."""

        def walk() -> dict[str, int]:
            root = pfs.File(commit=commit_of(repo, commit_id), path="/")
            infos = self._pfs.walk_file(file=root)
            return {i.file.path.lstrip("/"): i.size_bytes for i in infos if i.file_type == pfs.FileType.FILE}

        try:
            return self._connection.attempt(f"listing {repo}@{commit_id}", walk)
        except DeployError as error:
            if is_not_found(error.__cause__):
                return {}  # an empty commit has no root
            raise

    def put(self, repo: str, commit_id: str, name: str, source: Path, moved: Callable[[int], None]) -> None:
        """Put one file into an open commit; what stood under its name is replaced.

        Args:
            repo: Its repo.
            commit_id: The open commit.
            name: The name in the repo.
            source: The file here.
            moved: Called with the bytes sent so far of this try.
        """

        def put() -> None:
            with source.open("rb") as stream:
                self._pfs.modify_file(_modifications(commit_of(repo, commit_id), name, stream, moved))

        self._connection.attempt(f"uploading {name}", put)

    def get(self, repo: str, commit_id: str, name: str, target: BinaryIO, moved: Callable[[int], None]) -> None:
        """Append a file's content to an open file; a broken download goes on where it stopped."""

        def get() -> None:
            file = pfs.File(commit=commit_of(repo, commit_id), path=f"/{name}")
            for chunk in self._pfs.get_file(file=file, offset=target.tell()):
                target.write(chunk.value)
                moved(target.tell())

        self._connection.attempt(f"downloading {name}", get)


def _modifications(commit: Any, name: str, stream: BinaryIO, moved: Callable[[int], None]) -> Iterator[Any]:
    """Yield the messages that replace a file: where, delete, add empty, add its bytes."""
    yield pfs.ModifyFileRequest(set_commit=commit)
    yield pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=f"/{name}"))
    yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{name}", raw=b""))
    sent = 0
    while data := stream.read(_MESSAGE_BYTES):
        yield pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{name}", raw=data))
        sent += len(data)
        moved(sent)
