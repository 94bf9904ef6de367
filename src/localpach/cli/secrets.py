"""The commands about secrets, which programs are given and nobody is shown."""

import argparse
from pathlib import Path

from localpach.actions import message
from localpach.cli import columns
from localpach.cli.command import Commands, Session, show
from localpach.running import secrets


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add("create", "secret", create_secret, "store a secret from its Kubernetes manifest")
    command.add_argument("-f", "--file", required=True, type=Path, help="JSON with metadata.name, data or stringData")
    commands.add("list", "secret", list_secret, "list the secrets, without their values", raw=True)
    command = commands.add("inspect", "secret", inspect_secret, "describe a secret, without its values", raw=True)
    command.add_argument("secret", help="name of the secret")
    commands.add("delete", "secret", delete_secret, "delete a secret").add_argument("secret", help="name of the secret")


def create_secret(session: Session, arguments: argparse.Namespace) -> None:
    """Store a secret."""
    secrets.create_secret(session.store.folder, arguments.file)


def list_secret(session: Session, arguments: argparse.Namespace) -> None:
    """List secrets."""
    found = secrets.list_secrets(session.store.folder)
    rows = [(each.name, each.type, columns.ago(each.created)) for each in found]
    show(arguments, (message.secret_message(each) for each in found), ("NAME", "TYPE", "CREATED"), rows)


def inspect_secret(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a secret."""
    found = secrets.secret(session.store.folder, arguments.secret)
    lines = [
        f"Name: {found.name}",
        f"Type: {found.type}",
        f"Keys: {', '.join(found.keys)}",
        f"Created: {columns.ago(found.created)}",
    ]
    show(arguments, [message.secret_message(found)], lines=lines)


def delete_secret(session: Session, arguments: argparse.Namespace) -> None:
    """Delete a secret."""
    secrets.delete_secret(session.store.folder, arguments.secret)
