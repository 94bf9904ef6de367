"""What deploy.py can ask of a place to work, whether that is a cluster or localpach on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from deployment.songs import Song
from deployment.specs import Pipeline


class Backend(Protocol):
    """The commands; all raise `DeployError` where the work cannot be done."""

    def up(self, pipelines: list[Pipeline], *, reprocess: bool) -> None:
        """Create the repos that a person fills and all pipelines in order; those that are there are updated."""

    def put(self, repo: str, songs: list[Song]) -> str | None:
        """Put songs in one commit; returns the ID of the job set if its jobs still run afterwards."""

    def abandon(self, repo: str) -> None:
        """Take back an upload that was begun and not finished."""

    def status(self, job_set_id: str | None, pipelines: list[str]) -> None:
        """Print the pipelines, and the jobs of the newest set or of the one named."""

    def wait(self, job_set_id: str | None, pipelines: list[str], timeout_s: float | None) -> None:
        """Follow a job set to its end, and explain what went wrong."""

    def get(self, repo: str, folder: Path) -> None:
        """Write the newest good results of a repo into a folder."""

    def down(self, pipelines: list[str], *, ask: Callable[[str], bool]) -> None:
        """Remove the pipelines with their results, then the repos that `up` made, after asking."""
