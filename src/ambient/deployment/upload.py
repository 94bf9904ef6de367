"""Puts many songs into a repo as one commit, which is closed when every song is in it as a whole, and never before.

While songs are uploaded the commit is open: nobody downstream reads it. Broken connections are waited out
(`retry`). A run that ends early leaves the commit open with our mark in its description; the next run
finds it and goes on, by a journal on this machine that says which songs the cluster has acknowledged. Before the
commit is closed the cluster is asked what it holds.
"""

import json
import os
import uuid
from functools import partial
from pathlib import Path

from ambient.deployment.errors import DeployError
from ambient.deployment.pachd import Pachd
from ambient.deployment.progress import Progress
from ambient.deployment.songs import Song
from ambient.deployment.state import Commit

MARK = "upload by scripts/deploy.py"
_ROUNDS = 2  # how often songs that the cluster does not show are sent again


def upload(pachd: Pachd, repo: str, songs: list[Song], journals: Path, progress: Progress) -> Commit:
    """Upload songs into `repo@master` in one commit, or go on with the upload that was begun.

    Args:
        pachd: The cluster.
        repo: The repo; it must be there.
        songs: All songs of the commit.
        journals: The folder that remembers unfinished uploads.
        progress: Gets every byte count.

    Returns:
        The closed commit.

    Raises:
        DeployError: somebody else's commit is open, the begun upload holds other songs, or the cluster refuses it.
    """
    head = pachd.commits.head(repo)
    if head is not None and head.is_open:
        _must_be_ours(head)
        progress.report(f"going on with the upload that was begun ({repo}@{head.id})")
        commit = head
    else:
        commit = pachd.commits.start(repo, f"{MARK}, {len(songs)} songs, {uuid.uuid4().hex}")
    journal = Journal(journals / f"{commit.id}.jsonl")
    base = pachd.files.listed(repo, commit.parent) if commit.parent else {}
    pending = [song for song in songs if song not in journal]
    progress.skipped(sum(song.size_bytes for song in songs if song in journal))
    for _ in range(_ROUNDS):
        for song in pending:
            pachd.files.put(repo, commit.id, song.name, song.path, partial(progress.moved, song.name))
            journal.add(song)
            progress.finished(song.name, song.size_bytes)
        pending = _missing(pachd.files.listed(repo, commit.id), base, songs)
        if not pending:
            break
        journal.forget(pending)
        progress.report(f"{len(pending)} songs did not arrive whole")
    else:
        raise DeployError(
            f"{repo}@{commit.id}: {pending[0].name} did not arrive whole; expected {pending[0].size_bytes} bytes. "
            "Was the file changed meanwhile? Run the same command again"
        )
    pachd.commits.finish(repo, commit.id)
    journal.delete()
    return commit


def abandon(pachd: Pachd, repo: str, journals: Path) -> str | None:
    """Take back an upload that was begun and not finished; returns its ID, or None where there is none."""
    head = pachd.commits.head(repo)
    if head is None or not head.is_open:
        return None
    _must_be_ours(head)
    pachd.commits.drop(repo, head.id)
    Journal(journals / f"{head.id}.jsonl").delete()
    return head.id


class Journal:
    """What the cluster has acknowledged of one upload: a line of JSON a song.

    Args:
        path: The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: set[tuple[str, int, int]] = set()
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    name, size_bytes, changed_ns = json.loads(line)
                except ValueError:
                    continue  # the line of the moment we were killed in; its song is sent again
                self._entries.add((name, size_bytes, changed_ns))

    def __contains__(self, song: Song) -> bool:
        return _entry(song) in self._entries

    def add(self, song: Song) -> None:
        """Remember that a song has arrived."""
        self._entries.add(_entry(song))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(_entry(song)) + "\n")

    def forget(self, songs: list[Song]) -> None:
        """Strike songs out, so that they are sent again."""
        self._entries -= {_entry(song) for song in songs}
        rewritten = self._path.with_suffix(".partial")
        rewritten.parent.mkdir(parents=True, exist_ok=True)
        rewritten.write_text("".join(json.dumps(entry) + "\n" for entry in sorted(self._entries)), encoding="utf-8")
        os.replace(rewritten, self._path)

    def delete(self) -> None:
        """Forget the upload: it is closed or dropped."""
        self._path.unlink(missing_ok=True)


def _entry(song: Song) -> tuple[str, int, int]:
    return song.name, song.size_bytes, song.changed_ns


def _must_be_ours(head: Commit) -> None:
    if not head.description.startswith(MARK):
        raise DeployError(
            f"{head.repo}@{head.id}: a commit that somebody else has started is open; expected none. "
            f"Wait, or close it with pachctl finish commit {head.repo}@master"
        )


def _missing(held: dict[str, int], base: dict[str, int], songs: list[Song]) -> list[Song]:
    """Return the songs that the open commit does not hold in their size.

    Raises:
        DeployError: it holds a file that is neither of these songs nor of the commit before.
    """
    foreign = sorted(held.keys() - base.keys() - {song.name for song in songs})
    if foreign:
        raise DeployError(
            f"{foreign[0]}: was uploaded by the run before, and is not in the folder now; expected the same songs. "
            "Put it back, or drop the begun upload with put --abandon"
        )
    return [song for song in songs if held.get(song.name) != song.size_bytes]
