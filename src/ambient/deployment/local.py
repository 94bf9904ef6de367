"""Works on this machine where no cluster is configured: `localpach serve`, for as long as one command takes."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ambient.deployment.errors import DeployError

_ADDRESS = re.compile(r"^serving .* at (grpc://\S+);", re.MULTILINE)
_LOOK_S = 0.05
_LONGEST_END_S = 30.0


@contextmanager
def served(*, may_begin: bool) -> Iterator[str]:
    """Serve the state of this folder to one command, which may be interrupted: finished work is kept.

    Args:
        may_begin: Whether a new state may be made; what only looks is given an empty one elsewhere.

    Yields:
        The address.

    Raises:
        DeployError: localpach does not start, for example because another process serves the state.
    """
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "LOCALPACH_TOKEN"}
        state = Path(environment.get("LOCALPACH_STATE") or ".localpach")
        if not may_begin and not (state / "state.sqlite").exists():
            environment["LOCALPACH_STATE"] = str(Path(folder, "state"))
        log = Path(folder, "log")
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "localpach", "serve", "--port", "0"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,  # Ctrl-C ends the command, and the command ends the server
            )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            try:
                process.wait(_LONGEST_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Wait until the server says where it is."""
    while True:
        has_ended = process.poll() is not None
        text = log.read_text(encoding="utf-8", errors="replace")
        found = _ADDRESS.search(text)
        if found:
            return found[1]
        if has_ended:
            said = text.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
            raise DeployError(f"localpach serve: {said[0].removeprefix('error: ')}; or name a server with --address")
        time.sleep(_LOOK_S)
