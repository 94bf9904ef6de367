"""The commands about repos."""

import argparse

from localpach.actions import describe
from localpach.cli import columns
from localpach.cli.command import Commands, Session, show

_TYPES = ("user", "spec", "meta")


def register(commands: Commands) -> None:
    """Add the commands."""
    for verb, run in (("create", create_repo), ("update", update_repo)):
        command = commands.add(verb, "repo", run, f"{verb} a repo", example=f"{verb} repo songs -d 'what I recorded'")
        command.add_argument("repo", help="name of the repo")
        command.add_argument("-d", "--description", default="", help="what it holds")
    command = commands.add("list", "repo", list_repo, "list the repos", raw=True, times=True)
    command.add_argument("--all", action="store_true", help="those of the system too: P.spec and P.meta of a pipeline")
    command.add_argument("--type", choices=_TYPES, default="user", help="only repos of this type (default: user)")
    command = commands.add("inspect", "repo", inspect_repo, "describe one repo", raw=True, times=True)
    command.add_argument("repo", help="name of the repo")
    command = commands.add("delete", "repo", delete_repo, "delete a repo with all its commits", runs=True)
    command.add_argument("repo", nargs="?", help="name of the repo")
    command.add_argument("-f", "--force", action="store_true", help="even if pipelines read it")
    command.add_argument("--all", action="store_true", help="all repos that no pipeline writes")


def create_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Make a repo."""
    from localpach.actions import repos

    repos.create_repo(session.store, arguments.repo, arguments.description)


def update_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a repo anew."""
    from localpach.actions import repos

    repos.update_repo(session.store, arguments.repo, arguments.description)


def list_repo(session: Session, arguments: argparse.Namespace) -> None:
    """List the repos."""
    store = session.store
    found = [repo for repo in store.repos() if arguments.all or repo.type == arguments.type]
    show(
        arguments,
        (describe.repo(store, repo) for repo in found),
        ("PROJECT", "NAME", "CREATED", "SIZE (MASTER)", "DESCRIPTION"),
        (
            (
                "default", repo.name, columns.when(repo.created, full=arguments.full_timestamps),
                columns.size(describe.master_size(store, repo.name)), repo.description,
            )
            for repo in found
        ),
    )  # fmt: skip


def inspect_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one repo."""
    store = session.store
    repo = store.repo(arguments.repo)
    lines = [
        f"Name: {repo.name}",
        f"Description: {repo.description or '-'}",
        f"Created: {columns.when(repo.created, full=arguments.full_timestamps)}",
        f"Size of HEAD on master: {columns.size(describe.master_size(store, repo.name))}",
    ]
    show(arguments, [describe.repo(store, repo)], lines=lines)


def delete_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Remove a repo, or all that no pipeline writes."""
    from localpach.actions import repos
    from localpach.storage.records import Records

    if bool(arguments.repo) == arguments.all:
        session.usage_error("name a repo, or say --all")
    store = session.store
    if not arguments.all:
        repos.delete_repo(store, arguments.repo, force=arguments.force)
        return
    written = {pipeline.name for pipeline in Records(store).pipelines()}
    with store.transaction():
        for repo in store.repos():
            if repo.name.partition(".")[0] not in written and store.has_repo(repo.name):
                repos.delete_repo(store, repo.name, force=arguments.force)
