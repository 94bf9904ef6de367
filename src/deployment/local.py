"""Does with localpach what a person asks for where no cluster is configured: the same words, its commands below."""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deployment.errors import AlreadyReportedError, DeployError
from deployment.songs import Song
from deployment.specs import INPUT_REPOS, MADE_BY, Pipeline, removal_question

_LOCALPACH = [sys.executable, "-m", "localpach"]


class Local:
    """The commands on this machine; localpach prints its own progress and errors.

    Args:
        dry_run: Look, but change nothing, and say what would be done.
        report: Prints one line for a person.
    """

    def __init__(self, *, dry_run: bool, report: Callable[[str], None]) -> None:
        self._dry_run = dry_run
        self._report = report
        report("no cluster is configured: localpach on this machine (--address grpc://HOST:PORT names a cluster)")

    def up(self, pipelines: list[Pipeline], *, reprocess: bool) -> None:
        """Create the repos that a person fills and all pipelines in order; those that are there are updated."""
        there = self._repos()
        for repo in INPUT_REPOS:
            if repo not in there:
                self._run("create", "repo", repo, "-d", MADE_BY)
        with tempfile.TemporaryDirectory() as folder:
            for number, pipeline in enumerate(pipelines):
                path = Path(folder, f"{number}-{pipeline.name}.json")
                path.write_text(json.dumps(pipeline.spec), encoding="utf-8")
            files = [str(path) for path in sorted(Path(folder).iterdir())]
            self._run("update", "pipeline", "-f", *files, *(["--reprocess"] if reprocess else []))

    def put(self, repo: str, songs: list[Song]) -> str | None:
        """Put songs in one commit; the chain follows in the foreground, so that no jobs are left to wait for."""
        if self._dry_run:
            for song in songs:
                self._report(f"would put {song.path} as {song.name}")
        with tempfile.TemporaryDirectory() as folder:
            for song in songs:
                Path(folder, song.name).symlink_to(song.path.resolve())
            self._run("put", "file", "-r", f"{repo}@master:/", "-f", folder)
        return None

    def abandon(self, repo: str) -> None:
        """Say that there is nothing to take back: a local commit is whole or not there."""
        self._report(f"{repo}: no upload is unfinished; localpach takes all files or none")

    def status(self, job_set_id: str | None, pipelines: list[str]) -> None:
        """Print the pipelines, and the jobs of the newest set or of the one named."""
        self._run("list", "pipeline", changes=False)
        found = job_set_id or self._newest_job_set()
        if found is not None:
            self._run("list", "job", found, changes=False)

    def wait(self, job_set_id: str | None, pipelines: list[str], timeout_s: float | None) -> None:
        """Run what an interrupted command has left, and show how the set ended."""
        found = job_set_id or self._newest_job_set()
        if found is None:
            raise DeployError("no jobs to wait for; expected some. Run deploy.py up, then put songs")
        self._run("wait", "job", found)
        self._run("list", "job", found, changes=False)

    def get(self, repo: str, folder: Path) -> None:
        """Write the newest results of a repo into a folder.

        Raises:
            DeployError: there are none.
        """
        self._run("get", "file", "-r", f"{repo}@master:/", "-o", str(folder))
        if not self._dry_run and not (folder.is_dir() and any(folder.iterdir())):
            raise DeployError(f"{repo}: no results yet; expected some. See deploy.py status")

    def down(self, pipelines: list[str], *, ask: Callable[[str], bool]) -> None:
        """Remove the pipelines with their results, then the repos that `up` made, after asking."""
        repos = self._repos()
        there = [name for name in reversed(pipelines) if name in repos]
        ours = [repo for repo in INPUT_REPOS if repos.get(repo) == MADE_BY]
        if not there and not ours:
            self._report("nothing to remove")
            return
        if not self._dry_run and not ask(removal_question(there, ours)):
            self._report("nothing was removed")
            return
        for name in there:
            self._run("delete", "pipeline", name)
        for repo in ours:
            self._run("delete", "repo", repo)

    def _run(self, *words: str, changes: bool = True) -> None:
        """Run a localpach command in the foreground; in a dry run only print it if it changes anything."""
        if self._dry_run and changes:
            self._report(f"would run: localpach {shlex.join(words)}")
            return
        code = subprocess.run([*_LOCALPACH, *words], check=False).returncode
        if code:
            raise AlreadyReportedError(code)

    def _listed(self, *words: str) -> list[dict[str, Any]]:
        """Return what a listing prints; nothing where there is no state yet."""
        done = subprocess.run([*_LOCALPACH, *words, "--raw"], check=False, capture_output=True, text=True)
        return json_documents(done.stdout) if done.returncode == 0 else []

    def _repos(self) -> dict[str, str]:
        """Return the descriptions of all repos by their names; a pipeline's output repo has its name."""
        return {each["repo"]["name"]: each.get("description", "") for each in self._listed("list", "repo")}

    def _newest_job_set(self) -> str | None:
        return next((str(each["job_set"]["id"]) for each in self._listed("list", "job")), None)


def json_documents(text: str) -> list[dict[str, Any]]:
    """Read JSON documents that stand one after the other, as `--raw` prints them."""
    decoder = json.JSONDecoder()
    found = []
    text = text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found
