"""The commands about localpach as a whole: its version, its one project, everything in it."""

import argparse
import sys

from localpach.actions.message import PROJECT, project_message
from localpach.cli.command import Commands, Session, show
from localpach.errors import AlreadyExistsError, NotFoundError, OneProjectError

_DISTRIBUTION = "ambient-music-generation"


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add("create", "project", create_project, "say that there is one project")
    command.add_argument("name", help="name of the project")
    command.add_argument("-d", "--description", help=argparse.SUPPRESS)
    commands.add("list", "project", list_project, "list the one project", raw=True)
    command = commands.add("inspect", "project", inspect_project, "describe the one project", raw=True)
    command.add_argument("name", help="name of the project")
    commands.add("inspect", "cluster", inspect_cluster, "say where the state is", raw=True)
    command = commands.add("delete", "all", delete_all, "delete all pipelines and repos, after a question")
    command.add_argument("-y", "--yes", action="store_true", help="ask nothing")
    command = commands.add("version", "", version, "print the version", raw=True)
    command.add_argument("--client-only", action="store_true", help="print the number only")


def create_project(_session: Session, arguments: argparse.Namespace) -> None:
    """Refuse another project."""
    if arguments.name == PROJECT["name"]:
        raise AlreadyExistsError("project", arguments.name)
    raise OneProjectError(arguments.name)


def list_project(_session: Session, arguments: argparse.Namespace) -> None:
    """List the one project."""
    show(arguments, [project_message()], ("ACTIVE", "PROJECT", "CREATED", "DESCRIPTION"), [("*", "default", "", "")])


def inspect_project(_session: Session, arguments: argparse.Namespace) -> None:
    """Describe the one project."""
    if arguments.name != PROJECT["name"]:
        raise NotFoundError("project", arguments.name, "there is one, default")
    show(arguments, [project_message()], lines=["Name: default"])


def inspect_cluster(session: Session, arguments: argparse.Namespace) -> None:
    """Say where the state is."""
    folder = session.store.folder
    show(arguments, [{"id": str(folder)}], lines=[f"localpach on this machine, state in {folder}"])


def delete_all(session: Session, arguments: argparse.Namespace) -> None:
    """Delete everything, in one transaction."""
    from localpach.actions.pipelines import delete_pipeline
    from localpach.actions.repos import delete_repo
    from localpach.storage.records import Records

    store = session.store
    found = Records(store).pipelines()
    names = [repo.name for repo in store.repos() if repo.type == "user"]
    print(f"Repos to delete: {', '.join(names) or '-'}")
    print(f"Pipelines to delete: {', '.join(each.name for each in found) or '-'}")
    if not arguments.yes:
        print("Delete them with all their commits and jobs? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was deleted")
            return
    with store.transaction():
        for each in found:
            delete_pipeline(store, each.name, force=True)
        for repo in store.repos():
            if store.has_repo(repo.name):
                delete_repo(store, repo.name, force=True)


def version(_session: Session, arguments: argparse.Namespace) -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version(_DISTRIBUTION)
    except PackageNotFoundError:  # run from a folder that was not installed
        number = "unknown"
    if arguments.client_only and not arguments.raw:
        print(number)
        return
    major, minor, micro = ([int(part) for part in number.split(".") if part.isdigit()] + [0, 0, 0])[:3]
    message = {"major": major, "minor": minor, "micro": micro}
    show(arguments, [message], ("COMPONENT", "VERSION"), [("localpach", number)])
