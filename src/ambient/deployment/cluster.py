"""Does what a person asks for, on a cluster or on `localpach serve`: up, put, status, wait, get, down."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ambient.deployment import specs, upload
from ambient.deployment.download import download, newest_good_commit
from ambient.deployment.errors import DeployError
from ambient.deployment.follow import explain, follow, line, newest_job_set
from ambient.deployment.pachd import NEWEST_TRIED, Pachd
from ambient.deployment.progress import Progress
from ambient.deployment.songs import Song


class Cluster:
    """The commands on a cluster.

    Args:
        pachd: The connection.
        dry_run: Look, but change nothing, and say what would be done.
        report: Prints one line for a person.
        journals: The folder that remembers unfinished uploads.
    """

    def __init__(self, pachd: Pachd, *, dry_run: bool, report: Callable[[str], None], journals: Path) -> None:
        self._pachd = pachd
        self._dry_run = dry_run
        self._report = report
        self._journals = journals
        major, minor, micro = pachd.version
        report(f"cluster {pachd.address}, Pachyderm {major}.{minor}.{micro}")
        if (major, minor) > NEWEST_TRIED:
            report(f"warning: Pachyderm {major}.{minor} is newer than the specs, which are for 2.6 to 2.12")

    def up(self, pipelines: list[specs.Pipeline], *, reprocess: bool) -> None:
        """Create the repos that a person fills and all pipelines in order; those that are there are updated."""
        specs.check(pipelines, server=self._pachd.version[:2])
        for repo in specs.INPUT_REPOS:
            if self._pachd.repos.description(repo) is None:
                self._do(f"create repo {repo}", partial(self._pachd.repos.create, repo, specs.MADE_BY))
        for pipeline in pipelines:
            there = self._pachd.pipelines.state(pipeline.name) is not None
            what = f"{'update' if there else 'create'} pipeline {pipeline.name}"
            if there and reprocess:
                what += ", and process everything again"
            self._do(
                what,
                partial(
                    self._pachd.pipelines.create,
                    pipeline.spec,
                    pipeline.name,
                    update=there,
                    reprocess=there and reprocess,
                ),
            )

    def put(self, repo: str, songs: list[Song]) -> str | None:
        """Upload songs in one commit; returns its ID, which is also that of the job set."""
        self._repo_must_be_there(repo)
        total = sum(song.size_bytes for song in songs)
        if self._dry_run:
            for song in songs:
                self._report(f"would upload {song.path} as {song.name}")
            self._report(f"would close one commit of {len(songs)} files, {total / 1e6:.1f} MB, in {repo}@master")
            return None
        progress = Progress("uploading", total)
        try:
            commit = upload.upload(self._pachd, repo, songs, self._journals, progress)
        finally:
            progress.close()
        self._report(f"{len(songs)} files are in {repo}@{commit.id}")
        return commit.id

    def abandon(self, repo: str) -> None:
        """Take back an upload that was begun and not finished."""
        self._repo_must_be_there(repo)
        if self._dry_run:
            self._report(f"would drop the unfinished upload of {repo}, if there is one")
            return
        dropped = upload.abandon(self._pachd, repo, self._journals)
        self._report(f"dropped {repo}@{dropped}" if dropped else f"{repo}: no upload is unfinished")

    def status(self, job_set_id: str | None, pipelines: list[str]) -> None:
        """Print each pipeline that is not well, and one line a job of the newest job set, or of the one named."""
        for name in pipelines:
            state = self._pachd.pipelines.state(name)
            if state is None:
                self._report(f"{name:24} not there; deploy.py up creates it")
            elif state[0] in ("FAILURE", "CRASHING"):
                self._report(f"{name:24} pipeline {state[0].lower()}: {state[1] or 'no reason given'}")
        found = job_set_id or newest_job_set(self._pachd, pipelines)
        if found is None:
            self._report("no jobs yet")
            return
        self._report(f"job set {found}")
        for job in self._pachd.jobs.in_set(found):
            self._report(line(job))

    def wait(self, job_set_id: str | None, pipelines: list[str], timeout_s: float | None) -> None:
        """Follow a job set to its end, and explain what went wrong."""
        found = job_set_id or newest_job_set(self._pachd, pipelines)
        if found is None:
            raise DeployError("no jobs to wait for; expected some. Run deploy.py up, then put songs")
        if self._dry_run:
            self._report(f"would wait for job set {found}")
            return
        self._report(f"job set {found}")
        jobs = follow(self._pachd, found, self._report, timeout_s=timeout_s)
        explain(self._pachd, jobs, self._report)

    def settle(self, pipelines: list[str]) -> None:
        """Follow the newest job of each pipeline to its end."""
        if self._dry_run:
            return
        newest = [job for name in pipelines if (job := self._pachd.jobs.newest(name)) is not None]
        for job_set_id in dict.fromkeys(job.id for job in newest if not job.has_ended):
            self.wait(job_set_id, pipelines, None)

    def get(self, repo: str, folder: Path) -> None:
        """Download the newest good results of a repo."""
        commit = newest_good_commit(self._pachd, repo)
        files = self._pachd.files.listed(repo, commit.id)
        if self._dry_run:
            for name, size_bytes in sorted(files.items()):
                self._report(f"would download {name}, {size_bytes} bytes")
            return
        progress = Progress("downloading", sum(files.values()))
        try:
            download(self._pachd, commit, files, folder, progress)
        finally:
            progress.close()
        self._report(f"{len(files)} files of {repo}@{commit.id} are in {folder}")

    def down(self, pipelines: list[str], *, ask: Callable[[str], bool]) -> None:
        """Remove the pipelines with their results, then the repos that `up` made, after asking."""
        there = [name for name in reversed(pipelines) if self._pachd.pipelines.state(name) is not None]
        descriptions = {repo: self._pachd.repos.description(repo) for repo in specs.INPUT_REPOS}
        ours = [repo for repo, description in descriptions.items() if description == specs.MADE_BY]
        for repo, description in descriptions.items():
            if description not in (None, specs.MADE_BY):
                self._report(f"repo {repo} stays: deploy.py did not make it")
        if not there and not ours:
            self._report("nothing to remove")
            return
        if not self._dry_run and not ask(specs.removal_question(there, ours)):
            self._report("nothing was removed")
            return
        for name in there:
            self._do(f"delete pipeline {name}", partial(self._pachd.pipelines.delete, name))
        for repo in ours:
            self._do(f"delete repo {repo}", partial(self._pachd.repos.delete, repo))

    def _do(self, what: str, call: Callable[[], None]) -> None:
        """Do one thing and say so; in a dry run only say so."""
        if self._dry_run:
            self._report(f"would {what}")
            return
        call()
        self._report(what)

    def _repo_must_be_there(self, repo: str) -> None:
        if self._pachd.repos.description(repo) is None:
            raise DeployError(f"{repo}: no such repo; expected it on the cluster. Run deploy.py up first")
