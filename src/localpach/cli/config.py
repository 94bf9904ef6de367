"""The commands about contexts: pachctl has one for each cluster, localpach works in a state folder."""

import argparse
import json

from localpach.cli.command import Commands, Session

CONTEXT = "local"
_NOTE = "note: localpach has no contexts; it works in {folder} (--state, LOCALPACH_STATE), so nothing was set"


def register(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add("config", "", config, "show the one context there is; accept what sets others")
    parser.add_argument("action", choices=("get", "set", "update", "list"), help="what to do")
    parser.add_argument("what", choices=("context", "active-context", "metrics"), help="with what")
    parser.add_argument("name", nargs="?", help="name of a context")
    parser.add_argument("values", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--overwrite", action="store_true", help=argparse.SUPPRESS)
    for flag in ("--pachd-address", "--namespace", "--cluster-name", "--auth-info", "--kubernetes"):
        parser.add_argument(flag, help=argparse.SUPPRESS)


def config(session: Session, arguments: argparse.Namespace) -> None:
    """Show the context, or say that there is nothing to set."""
    if arguments.action in ("set", "update"):
        session.progress.note(_NOTE.format(folder=session.folder))
    elif arguments.action == "get" and arguments.what == "context":
        print(json.dumps({"source": "NONE", "project": "default"}, indent=2))
    elif arguments.what == "metrics":
        print("false")
    else:
        print(f"* {CONTEXT}" if arguments.action == "list" else CONTEXT)
