"""Gets the files of a repo's newest good commit; each appears under its name only when it is whole."""

from functools import partial
from pathlib import Path

from ambient.deployment.errors import DeployError
from ambient.deployment.pachd import Pachd
from ambient.deployment.progress import Progress
from ambient.deployment.state import Commit

_LOOK_BACK = 50  # commits


def newest_good_commit(pachd: Pachd, repo: str) -> Commit:
    """Return the newest commit that is finished, has no error and holds files.

    A commit of a failed job, or one whose job still runs, is passed over: the results before it are the newest.

    Raises:
        DeployError: there is none.
    """
    if pachd.repos.description(repo) is None:
        raise DeployError(f"{repo}: no such repo; expected the pipelines on the cluster. Run deploy.py up first")
    for commit in pachd.commits.newest(repo, _LOOK_BACK):
        if commit.is_finished and not commit.error and pachd.files.listed(repo, commit.id):
            return commit
    raise DeployError(f"{repo}: no finished results yet; expected some. See deploy.py status")


def download(pachd: Pachd, commit: Commit, files: dict[str, int], folder: Path, progress: Progress) -> None:
    """Write all files of one commit below a folder; what is there under other names stays.

    Args:
        pachd: The cluster.
        commit: All files are of this commit, even if a newer one appears meanwhile.
        files: Path to size, as `Pachd.files` gives them.
        folder: Is made if it is not there.
        progress: Gets every byte count.

    Raises:
        DeployError: a file came in another size than the cluster has listed.
    """
    for name, size_bytes in sorted(files.items()):
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise DeployError(f"{name}: leads out of {folder}; expected a path inside. Look at it with pachctl")
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.partial")
        try:
            with half.open("wb") as stream:
                pachd.files.get(commit.repo, commit.id, name, stream, partial(progress.moved, name))
            if half.stat().st_size != size_bytes:
                raise DeployError(
                    f"{name}: {half.stat().st_size} bytes came; expected {size_bytes}. Run the same command again"
                )
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
        progress.finished(name, size_bytes)
