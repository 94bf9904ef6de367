"""How does a process of this machine find its datum at `/pfs`? In a mount namespace of its own, where there may be one.

Nobody else sees that `/pfs`, no root is needed, and a container engine even less. A helper (`private_mount`) is started
once; for each program it makes a process that holds a namespace with the datum's folder at `/pfs`, and the program is
started in there by `nsenter`, as the same user. A program that outlives its datum keeps the folder that it had.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from localpach.errors import ExecutorError
from localpach.running import private_mount
from localpach.running.path_mapping import PFS

SWITCH = "LOCALPACH_PRIVATE_PFS"  # 0 turns it off
_LONGEST_END_S = 5.0


class NoPrivatePfsError(ExecutorError):
    """This machine gives a process no `/pfs` of its own."""


class PrivatePfs:
    """The helper, from its start to `close`.

    Raises:
        NoPrivatePfsError: the system has no such mounts, or does not let this user make them.
    """

    def __init__(self) -> None:
        nsenter = shutil.which("nsenter")
        if os.environ.get(SWITCH) == "0":
            raise NoPrivatePfsError(f"{SWITCH} is 0")
        if sys.platform != "linux":
            raise NoPrivatePfsError("only Linux has private mounts")
        if nsenter is None:
            raise NoPrivatePfsError("nsenter is not installed; it is part of util-linux")
        self._nsenter = nsenter
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        root = tempfile.mkdtemp(prefix="localpach-root-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", private_mount.__file__, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the runner, which ends it
        )
        try:
            answer = self._read()
        finally:
            with suppress(OSError):
                os.rmdir(root)
        if "user" not in answer:
            self.close()
            raise NoPrivatePfsError(f"a private mount is refused: {answer.get('error', 'the helper ended')}")
        self._user = ["--user"] if answer["user"] else []

    def _ask(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Ask the helper for a child; the answer is empty if it has ended."""
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {}
        return self._read()

    def close(self) -> None:
        """End the helper, and with it the processes that hold namespaces; programs that run keep theirs."""
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        with suppress(BrokenPipeError):  # a request that it did not live to read
            self._process.stdin.close()
        try:
            self._process.wait(_LONGEST_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @contextmanager
    def entered(
        self, folder: Path, argv: Sequence[str], environment: Mapping[str, str], cwd: str
    ) -> Iterator[list[str]]:
        """Give the words that start a program with a folder at `/pfs`.

        Args:
            folder: The folder.
            argv: The program, with the paths that it knows.
            environment: Its environment.
            cwd: Where it stands; empty for here.

        Raises:
            OSError: the program, or the folder where it stands, is not there.
        """
        _check_command(argv[0], environment, folder, cwd)
        pid = self._hold(folder, cwd)
        try:
            entry = [self._nsenter, f"--target={pid}", *self._user, "--mount", "--preserve-credentials", "--wd"]
            yield [*entry, "--", *argv]
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _hold(self, folder: Path, cwd: str) -> int:
        with self._lock:
            asked = {"folder": str(folder.resolve()), "cwd": cwd or os.getcwd()}
            answer = self._ask(asked)
            if not answer:  # the helper was killed, perhaps for want of memory; that is no fault of the datum
                self.close()
                self._start()
                answer = self._ask(asked)
        if "pid" not in answer:
            number = answer.get("errno", 0)
            raise OSError(number, os.strerror(number), cwd if answer.get("cwd") else PFS)
        return int(answer["pid"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer


def _check_command(command: str, environment: Mapping[str, str], folder: Path, cwd: str) -> None:
    """Notice a program that is not there before `nsenter` would, in its own words."""
    if "/" not in command:
        found = shutil.which(command, path=environment.get("PATH", os.defpath)) is not None
    else:
        path = os.path.join(cwd or os.getcwd(), command)
        found = os.path.lexists(f"{folder}{path[len(PFS) :]}" if path.startswith(f"{PFS}/") else path)
    if not found:
        raise FileNotFoundError(2, os.strerror(2), command)
