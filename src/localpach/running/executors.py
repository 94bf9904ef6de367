"""Where do programs run? As processes of this machine, or in containers of the image that the spec names."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from localpach.errors import ExecutorError
from localpach.running.container import ContainerExecutor
from localpach.running.path_mapping import PACHCTL
from localpach.running.processes import SCRATCH_VARIABLE
from localpach.running.program import Call
from localpach.running.scratch import Scratch
from localpach.spec.spec import PipelineSpec

EXECUTORS = ("process", "container")
EXECUTOR_VARIABLE = "LOCALPACH_EXECUTOR"


class Executor(Protocol):
    """Turns what a spec asks for into a process to start."""

    inside: bool  # whether programs see their folders at /pfs, or at paths of this machine
    honours: frozenset[str]  # fields of a spec that would be ignored elsewhere

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
        """Give what to start.

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


class ProcessExecutor:
    """Runs programs as processes of this machine."""

    inside = False
    honours: frozenset[str] = frozenset()

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
        """Give the command with the paths of this machine, and this process's environment below the datum's."""
        words = scratch.paths.to_host
        everything = {**self._own, **environment, SCRATCH_VARIABLE: _real(scratch.folder.parent)}
        # `python3` is the interpreter that runs localpach. Not resolved: a virtual environment's is a link.
        first = [os.path.dirname(sys.executable)]
        if PACHCTL in scratch.paths.places:  # before one that is installed, which would ask a cluster
            first.insert(0, str(scratch.paths.places[PACHCTL].parent))
        everything["PATH"] = os.pathsep.join([*first, everything.get("PATH", os.defpath)])
        return Call(tuple(map(words, command)), everything, words(spec.transform.working_dir))

    def laid_out(self, spec: PipelineSpec, scratch: Scratch) -> None:
        """Do nothing: it runs as the one who made them."""

    def end(self, call: Call) -> None:
        """Do nothing more: the process group was all."""


@lru_cache(maxsize=1)
def _real(folder: Path) -> str:
    """Give the path of a folder without links; all datums of a run lie in the same."""
    return str(folder.resolve())


def choose(name: str = "") -> Executor:
    """Give the executor of this name, or of the variable `LOCALPACH_EXECUTOR`; processes by default.

    Raises:
        ExecutorError: there is none of this name.
    """
    wanted = name or os.environ.get(EXECUTOR_VARIABLE) or EXECUTORS[0]
    if wanted not in EXECUTORS:
        raise ExecutorError(f"executor {wanted!r} is not known; expected {' or '.join(EXECUTORS)}")
    return ContainerExecutor() if wanted == "container" else ProcessExecutor()
