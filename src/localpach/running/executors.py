"""Where do programs run? As processes of this machine, or in containers of the image that the spec names."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from localpach.errors import ExecutorError
from localpach.running.container import ContainerExecutor
from localpach.running.path_mapping import PACHCTL, PFS
from localpach.running.private_pfs import NoPrivatePfsError, PrivatePfs
from localpach.running.processes import SCRATCH_VARIABLE
from localpach.running.program import Call
from localpach.running.scratch import Scratch
from localpach.spec.spec import PipelineSpec

_MAX_PROGRAM_BYTES = 1 << 20  # a larger file is no program that somebody wrote
_UNMAPPED = re.compile(r"[\w-]/pfs(?![\w.-])")  # such as -o/pfs/out; see path_mapping

EXECUTORS = ("process", "container")
EXECUTOR_VARIABLE = "LOCALPACH_EXECUTOR"


class Executor(Protocol):
    """Turns what a spec asks for into a process to start."""

    inside: bool  # whether programs see their folders at /pfs, or at paths of this machine
    honours: frozenset[str]  # fields of a spec that would be ignored elsewhere

    @property
    def mounts(self) -> Collection[str]:
        """The places that a process of this machine really finds at their names."""

    def check(self, spec: PipelineSpec) -> None:
        """Check, before a job, that its programs can be run here.

        Raises:
            ExecutorError: they cannot; the message says what to do.
        """

    def call(
        self,
        spec: PipelineSpec,
        scratch: Scratch,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        terminal: bool = False,
    ) -> Call:
        """Return what to start.

        Args:
            spec: The spec of the pipeline.
            scratch: The folders of the datum.
            command: The program and its arguments, as the spec has them.
            environment: The variables that the spec and the datum give.
            terminal: Whether a person works at it.
        """

    def laid_out(self, spec: PipelineSpec, scratch: Scratch) -> None:
        """See to it that the program may use the folders of its datum."""

    def end(self, call: Call) -> None:
        """Stop what is left of a call whose process was killed."""

    def doubts(self, spec: PipelineSpec) -> list[str]:
        """Tell, in a line each, what a program will probably not find here."""

    def close(self) -> None:
        """End what was started for programs; more may be asked for afterwards."""


class ProcessExecutor:
    """Runs programs as processes of this machine."""

    inside = False
    honours: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._private: PrivatePfs | None = None
        self._refusal = ""

    @property
    def mounts(self) -> Collection[str]:
        """`/pfs`, where the system gives each program one of its own."""
        with self._lock:
            if self._private is None and not self._refusal:
                try:
                    self._private = PrivatePfs()
                except NoPrivatePfsError as error:
                    self._refusal = str(error)
            return () if self._private is None else (PFS,)

    @cached_property
    def _own(self) -> dict[str, str]:
        """The environment of this process, read once for all datums."""
        return dict(os.environ)

    def check(self, spec: PipelineSpec) -> None:
        """Find nothing wrong: whether a program is there is known when it is started."""

    def call(
        self,
        spec: PipelineSpec,
        scratch: Scratch,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        terminal: bool = False,
    ) -> Call:
        """Return the command with the paths of this machine, and this process's environment below the datum's."""
        words = scratch.paths.to_host
        everything = {**self._own, **environment, SCRATCH_VARIABLE: _real(scratch.folder.parent)}
        # `python3` is the interpreter that runs localpach. Not resolved: a virtual environment's is a link.
        first = [os.path.dirname(sys.executable)]
        if PACHCTL in scratch.paths.places:  # before one that is installed, which would ask a cluster
            first.insert(0, str(scratch.paths.places[PACHCTL].parent))
        everything["PATH"] = os.pathsep.join([*first, everything.get("PATH", os.defpath)])
        argv, folder = tuple(map(words, command)), words(spec.transform.working_dir)
        private = self._private
        if private is None or not self.mounts:
            return Call(argv, everything, folder)
        return Call(
            argv,
            everything,
            folder,
            enter=lambda call: private.entered(scratch.root, call.argv, call.environment, call.folder),
        )

    def doubts(self, spec: PipelineSpec) -> list[str]:
        """Tell where `/pfs` stands that cannot be mapped, if programs have none of their own."""
        if self.mounts:
            return []
        found = [f"{word!r} of cmd" for word in spec.transform.cmd if _UNMAPPED.search(word)]
        found += [f"the file {word}" for word in spec.transform.cmd if _holds_pfs(word, spec.transform.working_dir)]
        why = f"programs have no {PFS} of their own here ({self._refusal})"
        return [f"{each} holds {PFS}, but {why}; read LOCALPACH_PFS in its place" for each in found]

    def laid_out(self, spec: PipelineSpec, scratch: Scratch) -> None:
        """Do nothing: it runs as the one who made them."""

    def end(self, call: Call) -> None:
        """Do nothing more: the process group was all."""

    def close(self) -> None:
        """End the helper that gives programs their `/pfs`."""
        with self._lock:
            if self._private is not None:
                self._private.close()
                self._private = None


def _holds_pfs(word: str, folder: str) -> bool:
    """Tell whether a word of a command names a program file of ours that knows `/pfs`."""
    path = Path(folder or ".", word)
    with contextlib.suppress(OSError, ValueError):
        return path.is_file() and path.stat().st_size <= _MAX_PROGRAM_BYTES and PFS.encode() in path.read_bytes()
    return False


@lru_cache(maxsize=1)
def _real(folder: Path) -> str:
    """Return the path of a folder without links; all datums of a run lie in the same."""
    return str(folder.resolve())


def choose(name: str = "") -> Executor:
    """Return the executor of this name, or of the variable `LOCALPACH_EXECUTOR`; processes by default.

    Raises:
        ExecutorError: there is none of this name.
    """
    wanted = name or os.environ.get(EXECUTOR_VARIABLE) or EXECUTORS[0]
    if wanted not in EXECUTORS:
        raise ExecutorError(f"executor {wanted!r} is not known; expected {' or '.join(EXECUTORS)}")
    return ContainerExecutor() if wanted == "container" else ProcessExecutor()
