"""Open the studio: serve the page over the local store until Ctrl-C."""

import argparse
import gc
import secrets
import socket
import sys
import webbrowser
from pathlib import Path

from ambient.program import called_as


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog=called_as("python3 -m ambient.studio"), description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(".localpach"), help="state folder (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8484, help="0 is any free one (default: %(default)s)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        return _serve(arguments)
    except KeyboardInterrupt:
        return 0


def _serve(arguments: argparse.Namespace) -> int:
    gc.disable()  # what is made until the page is there stays: to look for garbage meanwhile makes the start longer
    try:
        import uvicorn

        from ambient.studio.app import make_app
        from ambient.studio.security import is_loopback
        from ambient.studio.services.studio import Studio
        from ambient.studio.store import StoreError
    except ImportError as error:
        remedy = "run `pip install 'ambient-music-generation[all,studio]'`, or `make studio`"
        return _fail(f"{error.name} is not installed; {remedy}")
    try:
        listening = socket.create_server((arguments.host, arguments.port), family=_family(arguments.host))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        return _fail(f"{arguments.host}:{arguments.port}: {reason}; choose another --port or --host")
    token = "" if is_loopback(arguments.host) else secrets.token_urlsafe(24)
    try:
        studio = Studio(arguments.state)
        app = make_app(studio, host=arguments.host, token=token)
    except StoreError as error:
        return _fail(str(error))
    gc.freeze()
    gc.enable()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, server_header=False)
    )
    name = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{name}:{listening.getsockname()[1]}/"
    print(f"The studio over {arguments.state} is at {address}  (Ctrl-C ends it)", flush=True)
    if token:
        print(f"The page asks for this token once: {token}", flush=True)
    if arguments.open:
        webbrowser.open(address)
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
