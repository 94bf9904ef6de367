"""The calls about projects, repos and branches."""

from collections.abc import Iterator
from typing import Any

from localpach.actions import describe, repos
from localpach.errors import AlreadyExistsError, NotFoundError, OneProjectError
from localpach.serving.call import Call
from localpach.serving.refs import PROJECT, branch_of, check_project, commit_address, repo_name
from localpach.serving.wire import Empty, Method, filled, is_set, pfs
from localpach.spec.inputs import Trigger
from localpach.storage.records import Records
from localpach.storage.store import Branch


def create_project(_call: Call, request: Any) -> Any:
    """Refuse another project."""
    if request.project.name == PROJECT:
        if request.update:
            return Empty()
        raise AlreadyExistsError("project", PROJECT)
    raise OneProjectError(request.project.name)


def list_project(_call: Call, _request: Any) -> Iterator[Any]:
    """List the one project."""
    yield pfs.ProjectInfo(project=pfs.Project(name=PROJECT))


def inspect_project(_call: Call, request: Any) -> Any:
    """Describe the one project."""
    check_project(request.project)
    return pfs.ProjectInfo(project=pfs.Project(name=PROJECT))


def create_repo(call: Call, request: Any) -> Any:
    """Make a repo, or describe it anew."""
    name = repo_name(request.repo)
    if request.update and call.store.has_repo(name):
        repos.update_repo(call.store, name, request.description)
    else:
        repos.create_repo(call.store, name, request.description)
    return Empty()


def inspect_repo(call: Call, request: Any) -> Any:
    """Describe a repo."""
    return filled(pfs.RepoInfo, describe.repo(call.store, call.store.repo(repo_name(request.repo))))


def list_repo(call: Call, request: Any) -> Iterator[Any]:
    """List repos of one type, or all."""
    if request.projects and PROJECT not in [each.name for each in request.projects]:
        return
    for repo in call.store.repos():
        if request.type in ("", repo.type):
            yield filled(pfs.RepoInfo, describe.repo(call.store, repo))


def delete_repo(call: Call, request: Any) -> Any:
    """Remove a repo; one that is not there is no error, as the answer says."""
    name = repo_name(request.repo)
    if not call.store.has_repo(name):
        return pfs.DeleteRepoResponse(deleted=False)
    repos.delete_repo(call.store, name, force=request.force)
    return pfs.DeleteRepoResponse(deleted=True)


def delete_repos(call: Call, request: Any) -> Any:
    """Remove all repos of some projects."""
    wanted = request.all or PROJECT in [each.name for each in request.projects]
    names = _delete_all(call, force=request.force) if wanted else []
    project = pfs.Project(name=PROJECT)
    return pfs.DeleteReposResponse(repos=[pfs.Repo(name=name, type="user", project=project) for name in names])


def delete_all(call: Call, _request: Any) -> Any:
    """Remove all repos, as scripts do before they begin."""
    _delete_all(call, force=True)
    return Empty()


def _delete_all(call: Call, *, force: bool) -> list[str]:
    """Remove the repos that no pipeline writes."""
    with call.store.transaction():
        written = {pipeline.name for pipeline in Records(call.store).pipelines()}
        names = [repo.name for repo in call.store.repos() if repo.type == "user" and repo.name not in written]
        for name in names:
            repos.delete_repo(call.store, name, force=force)
    return names


def create_branch(call: Call, request: Any) -> Any:
    """Make or move a branch."""
    repo, name = branch_of(request.branch)
    head = request.head if request.head.id or request.head.branch.name else None
    if head is not None and not (head.repo.name or head.branch.repo.name):
        head.repo = request.branch.repo
    repos.create_branch(
        call.store,
        repo,
        name,
        head=commit_address(head) if head is not None else None,
        provenance=[branch_of(each) for each in request.provenance],
        trigger=_trigger(request.trigger) if is_set(request.trigger) else None,
    )
    return Empty()


def _trigger(trigger: Any) -> Trigger:
    fields = {name: getattr(trigger, name) for name in ("all", "rate_limit_spec", "size", "commits", "cron_spec")}
    return Trigger(branch=trigger.branch or Trigger().branch, **fields)


def inspect_branch(call: Call, request: Any) -> Any:
    """Describe a branch."""
    return filled(pfs.BranchInfo, describe.branch(call.store, _branch(call, *branch_of(request.branch))))


def _branch(call: Call, repo: str, name: str) -> Branch:
    call.store.repo(repo)
    found = call.store.branch(repo, name)
    if found is None:
        raise NotFoundError("branch", f"{repo}@{name}")
    return found


def list_branch(call: Call, request: Any) -> Iterator[Any]:
    """List the branches of a repo, newest first."""
    repo = repo_name(request.repo)
    call.store.repo(repo)
    found = call.store.branches(repo)
    for each in reversed(found) if request.reverse else found:
        yield filled(pfs.BranchInfo, describe.branch(call.store, each))


def delete_branch(call: Call, request: Any) -> Any:
    """Remove a branch."""
    repos.delete_branch(call.store, *branch_of(request.branch), force=request.force)
    return Empty()


METHODS = {
    "CreateProject": Method(create_project, pfs.CreateProjectRequest),
    "ListProject": Method(list_project, pfs.ListProjectRequest, streams_out=True),
    "InspectProject": Method(inspect_project, pfs.InspectProjectRequest),
    "CreateRepo": Method(create_repo, pfs.CreateRepoRequest),
    "InspectRepo": Method(inspect_repo, pfs.InspectRepoRequest),
    "ListRepo": Method(list_repo, pfs.ListRepoRequest, streams_out=True),
    "DeleteRepo": Method(delete_repo, pfs.DeleteRepoRequest),
    "DeleteRepos": Method(delete_repos, pfs.DeleteReposRequest),
    "DeleteAll": Method(delete_all, Empty),
    "CreateBranch": Method(create_branch, pfs.CreateBranchRequest),
    "InspectBranch": Method(inspect_branch, pfs.InspectBranchRequest),
    "ListBranch": Method(list_branch, pfs.ListBranchRequest, streams_out=True),
    "DeleteBranch": Method(delete_branch, pfs.DeleteBranchRequest),
}
