"""The commands that take commit sets out of the history: flags to one function call each."""

import argparse

from localpach.actions import history
from localpach.cli.command import Commands, Session
from localpach.errors import AddressError
from localpach.spec.addresses import is_commit_id


def register(commands: Commands) -> None:
    """Add the commands."""
    for verb, run, text in (
        ("squash", squash_commit, "merge a commit set into the commits after it; files stay, one step of history goes"),
        ("delete", delete_commit, "drop the newest commit set, with its jobs"),
    ):
        commands.add(verb, "commit", run, text).add_argument("commit", metavar="ID", help="ID of the commit set")


def squash_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Squash a commit set."""
    history.squash_commit_set(session.store, _id(arguments.commit))


def delete_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Delete a commit set."""
    history.delete_commit_set(session.store, _id(arguments.commit))


def _id(text: str) -> str:
    if not is_commit_id(text):
        raise AddressError(text, "the ID of a commit set; `localpach list commit` shows them")
    return text
