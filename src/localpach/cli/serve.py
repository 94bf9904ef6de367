"""The command that serves Pachyderm's own clients, until Ctrl-C."""

import argparse
import os
import time

from localpach.cli.command import Commands, Session
from localpach.errors import ServeError

TOKEN_VARIABLE = "LOCALPACH_TOKEN"
DEFAULT_HOST, DEFAULT_PORT, DEFAULT_VERSION = "127.0.0.1", 30650, "2.12.2"
_LOOK_S = 0.5


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add(
        "serve", "", serve, "answer pachctl and pachyderm_sdk, and run jobs in the background, until Ctrl-C",
        example="serve --port 30650",
    )  # fmt: skip
    command.set_defaults(may_begin=True)
    command.add_argument("--host", default=DEFAULT_HOST, help=f"address to listen on (default: {DEFAULT_HOST})")
    command.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}; 0 is any free one")
    command.add_argument(
        "--token", default=os.environ.get(TOKEN_VARIABLE, ""), metavar="TEXT",
        help=f"what clients must know; needed where others can reach the address (default: ${TOKEN_VARIABLE})",
    )  # fmt: skip
    command.add_argument(
        "--pachyderm", type=_version, default=DEFAULT_VERSION, metavar="VERSION",
        help=f"the version of Pachyderm to tell clients, from 2.6.0 on (default: {DEFAULT_VERSION})",
    )  # fmt: skip


def _port(text: str) -> int:
    if text.isdigit() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")


def _version(text: str) -> tuple[int, int, int]:
    parts = text.split(".")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        major, minor, micro = map(int, parts)
        if (2, 6) <= (major, minor) <= (2, 12):
            return major, minor, micro
    raise argparse.ArgumentTypeError(f"expected a version from 2.6.0 to 2.12.99, found {text!r}")


def serve(session: Session, arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from localpach.serving.runner import Runner
    from localpach.serving.server import Server

    runner = Runner(session.folder, executor=session.choose_executor(), progress=session.progress)
    server = Server(
        runner,
        session.folder,
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        pretends=arguments.pachyderm,
    )
    try:
        server.start()
        session.progress.note(f"serving {session.folder} at {server.address}; Ctrl-C ends it")
        while runner.is_alive:
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        session.progress.note("stopped serving; unfinished jobs go on at the next start")
        return
    finally:
        server.stop()
    raise ServeError("the runner has ended by a fault of its own, see above; start the server again")
