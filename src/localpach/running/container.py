"""How does a program run in the image of its spec? One container a try, by docker or podman.

The datum's folder is mounted at `/pfs`, an empty one at `/tmp`; nothing else of this machine is in it, and no network
unless asked for. Images are never pulled: what runs is what was built or pulled by a person.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from localpach.errors import ExecutorError
from localpach.running.path_mapping import PFS, TMP
from localpach.running.processes import SCRATCH_VARIABLE
from localpach.running.program import Call
from localpach.running.scratch import Scratch
from localpach.spec.spec import PipelineSpec

ENGINES = ("docker", "podman")
ENGINE_VARIABLE = "LOCALPACH_ENGINE"
NETWORK_VARIABLE = "LOCALPACH_NETWORK"
DEFAULT_IMAGE = "ubuntu:20.04"  # Pachyderm's

_LABEL = "localpach.scratch"
_NOTE = ".engine"  # in the scratch folder: which engine has containers of this state
_PATIENCE_S = 60.0
_GPU = Path("/dev/nvidiactl")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class ContainerExecutor:
    """Runs programs in containers."""

    inside = True
    honours = frozenset({"transform.image", "transform.user", "resource_limits"})
    mounts: Collection[str] = ()  # in a container everything is at its name

    def doubts(self, spec: PipelineSpec) -> list[str]:
        """Have none: programs find all that the spec promises."""
        return []

    def close(self) -> None:
        """Do nothing: the engine is not ours."""

    @cached_property
    def _engine(self) -> "Engine":
        return find_engine()

    def check(self, spec: PipelineSpec) -> None:
        """Check that an engine answers and has the image.

        Raises:
            ExecutorError: no engine, or no such image.
        """
        if spec.transform.datum_batching and sys.platform != "linux":
            raise ExecutorError(f"pipeline {spec.name}: datum_batching in containers needs Linux; use processes")
        image = spec.transform.image or DEFAULT_IMAGE
        found = self._engine.run("image", "inspect", image)
        if found.returncode == 0:
            return
        said = found.stderr.strip().splitlines()[-1:] or [f"exit code {found.returncode}"]
        if "no such image" not in said[0].lower() and "image not known" not in said[0].lower():
            raise ExecutorError(f"{self._engine.program} does not answer: {said[0]}")
        engine = self._engine.name
        raise ExecutorError(
            f"pipeline {spec.name}: image {image} is not on this machine; build it with `{engine} build -t {image} .`, "
            f"fetch it with `{engine} pull {image}`, or run without `--executor container`"
        )

    def call(
        self,
        spec: PipelineSpec,
        scratch: Scratch,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        terminal: bool = False,
    ) -> Call:
        """Return the engine's command; the words and paths of the spec stay as they are."""
        runs = scratch.folder.parent.resolve()
        (runs / _NOTE).write_text(self._engine.program, encoding="utf-8")
        name = f"localpach-{uuid.uuid4().hex[:16]}"
        arguments = [
            self._engine.program, "run", "--rm", "--name", name, "--label", f"{_LABEL}={runs}", "--pull", "never",
            "--network", os.environ.get(NETWORK_VARIABLE) or "none", "--security-opt", "label=disable",
            "--interactive", *(["--tty"] if terminal else []),
            *self._engine.user(spec.transform.user), *self._engine.limits(spec),
        ]  # fmt: skip
        for place, here in scratch.paths.places.items():
            read_only = "" if place in (PFS, TMP) else ",readonly"
            arguments += ["--mount", f"type=bind,source={here.absolute()},target={place}{read_only}"]
        if spec.transform.working_dir:
            arguments += ["--workdir", spec.transform.working_dir]
        inherited = {**os.environ, SCRATCH_VARIABLE: str(runs)}
        in_file = []
        for variable, value in environment.items():
            if not _steers_client(variable):  # by its name, so that the value is in no list of processes
                arguments += ["--env", variable]
                inherited[variable] = value
            elif "\n" not in value:
                in_file.append(f"{variable}={value}\n")
            else:  # no file of variables can hold it
                arguments += ["--env", f"{variable}={value}"]
        if in_file:
            (scratch.folder / "env").write_text("".join(in_file), encoding="utf-8")
            arguments += ["--env-file", str(scratch.folder / "env")]
        arguments += ["--entrypoint", command[0], spec.transform.image or DEFAULT_IMAGE, *command[1:]]
        # A container that runs out of memory leaves an empty file where its client was started.
        return Call(tuple(arguments), inherited, str(scratch.folder), name)

    def laid_out(self, spec: PipelineSpec, scratch: Scratch) -> None:
        """Open the folders to another user, whom only root may ask for."""
        if os.geteuid() == 0 and spec.transform.user not in ("", "0", "root"):
            for parent, folders, files in os.walk(scratch.folder):
                for name, mode in [(each, 0o777) for each in folders] + [(each, 0o666) for each in files]:
                    if not os.path.islink(os.path.join(parent, name)):
                        os.chmod(os.path.join(parent, name), mode)

    def end(self, call: Call) -> None:
        """Kill the container, whose client is dead already."""
        self._engine.remove([call.container])


class Engine:
    """One of the two programs that run containers, which understand nearly the same words."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.name = Path(program).name

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Ask the engine for something that is done at once.

        Raises:
            ExecutorError: it cannot be started, or is silent.
        """
        try:
            return subprocess.run(
                [self.program, *arguments],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExecutorError(f"{self.program} cannot be used: {error}") from error

    @cached_property
    def is_podman(self) -> bool:
        """Whether it is podman, perhaps under docker's name."""
        return "podman" in self.run("--version").stdout

    def user(self, wanted: str) -> list[str]:
        """Run as the person who asked, so that the files written are theirs; root may ask for another user."""
        if os.geteuid() == 0:
            return ["--user", wanted or "0:0"]
        own = ["--user", f"{os.geteuid()}:{os.getegid()}"]
        return ["--userns=keep-id", *own] if self.is_podman else own

    def limits(self, spec: PipelineSpec) -> list[str]:
        """Pass on the limits that one machine can have: memory, and a GPU where there is one."""
        memory = _bytes(spec.limits.memory)
        arguments = ["--memory", str(memory)] if memory else []
        if spec.limits.gpus and _GPU.exists():
            arguments += ["--device", "nvidia.com/gpu=all"] if self.is_podman else ["--gpus", str(spec.limits.gpus)]
        return arguments

    def remove(self, containers: Sequence[str]) -> None:
        """Kill containers and remove them; those that are gone are no fault."""
        if containers:
            self.run("kill", *containers)  # `rm --force` of podman asks politely first, for ten seconds
            self.run("rm", "--force", *containers)


def remove_leftovers(scratch: Path) -> None:
    """Remove the containers that a killed runner left, if it had any; they carry its scratch folder as a label."""
    note = scratch / _NOTE
    if note.exists():
        engine = Engine(note.read_text(encoding="utf-8"))
        with contextlib.suppress(ExecutorError):  # an engine that is gone took its containers along
            found = engine.run("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={scratch}")
            engine.remove(found.stdout.split())


def find_engine() -> Engine:
    """Find the engine that is asked for, or the first that answers; docker's command may be there without its server.

    Raises:
        ExecutorError: none is there.
    """
    asked = os.environ.get(ENGINE_VARIABLE)
    silent = []
    for name in [asked] if asked else ENGINES:
        program = shutil.which(name)
        if program is None:
            continue
        engine = Engine(program)
        if engine.run("version").returncode == 0:
            return engine
        silent.append(name)
    if silent:
        raise ExecutorError(f"{' and '.join(silent)} cannot reach the server; start it, or set {ENGINE_VARIABLE}")
    wanted = asked or " or ".join(ENGINES)
    raise ExecutorError(f"no container engine: {wanted} is not on the PATH; install one, or run `--executor process`")


def _steers_client(variable: str) -> bool:
    """Return whether a variable would change how the engine's own program works."""
    starts = ("LD_", "DOCKER_", "CONTAINER", "XDG_", "BUILDAH_", "REGISTRY_", "GODEBUG", "DYLD_")
    return variable in ("PATH", "HOME", "TMPDIR", "USER", "TERM", SCRATCH_VARIABLE) or variable.startswith(starts)


def _bytes(quantity: str) -> int:
    """Read an amount of memory as Kubernetes writes it, such as `512Mi`; 0 if it is none."""
    number = quantity.rstrip("kKMGTi")
    try:
        return int(float(number) * _UNITS[quantity[len(number) :]])
    except (ValueError, KeyError):
        return 0
