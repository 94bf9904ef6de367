"""Which repo, commit or file does a message name? Pachyderm's references as addresses, and the project they are in."""

from typing import Any

from localpach.errors import AddressError, NotFoundError
from localpach.spec.addresses import CommitAddress, FileAddress, is_commit_id, parse_commit

PROJECT = "default"


def repo_name(repo: Any) -> str:
    """Give our name of a repo; those of the system have their type after a dot.

    Raises:
        NotFoundError: it is in another project.
        AddressError: it has no name.
    """
    check_project(repo.project)
    if not repo.name:
        raise AddressError("a repo without a name", "a name")
    return str(repo.name) if repo.type in ("", "user") else f"{repo.name}.{repo.type}"


def check_project(project: Any) -> None:
    """Refuse another project than the one there is."""
    if project.name not in ("", PROJECT):
        raise NotFoundError("project", project.name, f"there is one, {PROJECT}")


def branch_of(branch: Any) -> tuple[str, str]:
    """Give the repo and the name of a branch."""
    repo = repo_name(branch.repo)
    if not branch.name:
        raise AddressError(f"a branch of {repo} without a name", "a name")
    return repo, str(branch.name)


def commit_address(commit: Any) -> CommitAddress:
    """Give the address of a commit: its ID, or its branch; what stands for an ID may be `master^2` too.

    Servers before 2.7 took the repo from the branch, so clients of any age fill in one of the two places.
    """
    repo = repo_name(commit.repo if commit.repo.name else commit.branch.repo)
    if is_commit_id(commit.id):
        return CommitAddress(repo, commit.id)
    name = commit.id or commit.branch.name
    if not name:
        raise AddressError(f"a commit of {repo} without an ID or a branch", "one of them")
    if commit.id.startswith("^"):
        name = f"{commit.branch.name}{commit.id}"
    return parse_commit(f"{repo}@{name}")


def file_address(file: Any) -> FileAddress:
    """Give the address of a file."""
    return FileAddress(commit_address(file.commit), file.path or "/")


def pipeline_name(pipeline: Any) -> str:
    """Give the name of a pipeline."""
    check_project(pipeline.project)
    if not pipeline.name:
        raise AddressError("a pipeline without a name", "a name")
    return str(pipeline.name)


def job_of(job: Any) -> tuple[str, str]:
    """Give the pipeline and the ID of a job."""
    name = pipeline_name(job.pipeline)
    if not job.id:
        raise AddressError(f"a job of {name} without an ID", "an ID")
    return name, str(job.id)
