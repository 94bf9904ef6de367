"""What does a pipeline spec say? JSON text to checked dataclasses, or one line that names the field at fault."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from localpach.addresses import DEFAULT_BRANCH
from localpach.errors import GlobError, SpecError
from localpach.globs import compile_glob
from localpach.spec_fields import IGNORED, REFUSED, duration_s, normalise

Kind = Literal["cross", "union", "join", "group"]
KINDS: tuple[Kind, ...] = ("cross", "union", "join", "group")
RESERVED_INPUT_NAMES = ("out", ".env", ".scratch")
DEFAULT_TRIES = 3

_PIPELINE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
_MAX_PIPELINE_NAME = 51  # characters; Kubernetes names are made of it


@dataclass(frozen=True, slots=True)
class PfsInput:
    """One repo as an input: which of its files make datums, and how they are laid out."""

    repo: str
    glob: str
    name: str
    branch: str = DEFAULT_BRANCH
    join_on: str = ""
    outer_join: bool = False
    group_by: str = ""
    empty_files: bool = False
    reference: bool = False
    never_propagates: bool = False
    explicit_name: str = ""


@dataclass(frozen=True, slots=True)
class Combination:
    """Inputs taken together."""

    kind: Kind
    members: "tuple[Input, ...]"


Input = PfsInput | Combination


@dataclass(frozen=True, slots=True)
class Transform:
    """The user's program and how it is run."""

    cmd: tuple[str, ...]
    stdin: tuple[str, ...] = ()
    err_cmd: tuple[str, ...] = ()
    err_stdin: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    accept_return_code: tuple[int, ...] = ()
    working_dir: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """One pipeline, checked; `text` is the normalised JSON it was read from, `source` the file, if there was one."""

    name: str
    transform: Transform
    input: Input
    text: str
    description: str = ""
    output_branch: str = DEFAULT_BRANCH
    workers: int = 1
    datum_tries: int = DEFAULT_TRIES
    datum_timeout_s: float | None = None
    job_timeout_s: float | None = None
    every_job: bool = False
    salt: str = ""
    ignored: tuple[str, ...] = ()
    source: str = ""

    @property
    def inputs(self) -> list[PfsInput]:
        """All repo inputs, in order."""
        return list(leaves(self.input))

    @property
    def upstream(self) -> list[tuple[str, str]]:
        """The (repo, branch) pairs that the pipeline reads, each once."""
        return list(dict.fromkeys((each.repo, each.branch) for each in self.inputs))


def leaves(node: Input) -> Iterator[PfsInput]:
    """Walk the repo inputs below a node in order."""
    if isinstance(node, PfsInput):
        yield node
    else:
        for member in node.members:
            yield from leaves(member)


def load(path: Path) -> list[PipelineSpec]:
    """Read a spec file: one object, a list of objects, or nothing.

    Raises:
        SpecError: the file cannot be read or is no valid spec; the message names the file and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError("$", f"cannot be read: {error.strerror}", str(path)) from error
    except UnicodeDecodeError as error:
        raise SpecError("$", "cannot be read: it is no UTF-8 text", str(path)) from error
    try:
        return [replace(each, source=str(path)) for each in parse(text)]
    except SpecError as error:
        raise SpecError(error.where, error.problem, str(path)) from error


def parse(text: str) -> list[PipelineSpec]:
    """Read the text of a spec file into checked specs."""
    return [from_fields(fields) for fields in parse_fields(text)]


def parse_fields(text: str) -> list[dict[str, Any]]:
    """Read the text of a spec file as far as `validate pipeline` does on a cluster: JSON shape, field names, a name.

    Returns:
        One dictionary of snake_case fields for each spec.
    """
    if not text.strip():
        return []
    try:
        parsed = json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise SpecError(
            f"line {error.lineno}",
            f"{error.msg}; a spec is JSON here (convert YAML to JSON first, Pachyderm reads both)",
        ) from error
    except RecursionError as error:
        raise SpecError("$", "is nested too deep for a spec") from error
    if not isinstance(parsed, (dict, list)):
        raise SpecError("$", "expected an object or a list of objects")
    found = []
    for index, each in enumerate(parsed if isinstance(parsed, list) else [parsed]):
        where = f"$[{index}]" if isinstance(parsed, list) else "$"
        fields = normalise(each, "CreatePipelineRequest", where)
        if not fields.get("pipeline", {}).get("name"):
            raise SpecError(f"{where}.pipeline.name", "missing; a pipeline needs a name")
        found.append(fields)
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, but not of a field given twice: Python would take the last without a word."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        raise SpecError("$", f"the field {next(name for name in names if names.count(name) > 1)} is given twice")
    return fields


def from_fields(fields: dict[str, Any]) -> PipelineSpec:
    """Check the meaning of a spec's fields and give the spec.

    Raises:
        SpecError: a field is missing, refused or contradicts another.
    """
    name = fields["pipeline"]["name"]
    if not _PIPELINE_NAME.match(name) or len(name) > _MAX_PIPELINE_NAME:
        raise SpecError(
            "$.pipeline.name",
            f"{name!r} is refused; use up to {_MAX_PIPELINE_NAME} letters, digits, - and _, a letter first",
        )
    if fields["pipeline"].get("project", {}).get("name", "default") != "default":
        raise SpecError("$.pipeline.project", "one machine has one project; leave it out or name it default")
    _refuse(fields, "", "$.")
    if "transform" not in fields:
        raise SpecError("$.transform", "missing; a pipeline needs a transform with a cmd")
    if not fields["transform"].get("cmd"):
        raise SpecError("$.transform.cmd", "missing; a pipeline needs a command to run")
    _refuse(fields["transform"], "transform.", "$.transform.")
    reprocess = fields.get("reprocess_spec", "until_success")
    if reprocess not in ("until_success", "every_job"):
        raise SpecError("$.reprocess_spec", f"expected until_success or every_job, found {reprocess!r}")
    node = _input(fields.get("input", {}), "$.input")
    _check_names(node, "$.input")
    for each in leaves(node):
        if each.repo == name:
            raise SpecError("$.input", f"pipeline {name} reads itself; a pipeline cannot be its own input")
    return PipelineSpec(
        name=name,
        transform=_transform(fields["transform"]),
        input=node,
        text=json.dumps(fields, sort_keys=True),
        description=fields.get("description", ""),
        output_branch=fields.get("output_branch") or DEFAULT_BRANCH,
        workers=max(1, fields.get("parallelism_spec", {}).get("constant", 1)),
        datum_tries=fields.get("datum_tries") or DEFAULT_TRIES,
        datum_timeout_s=_seconds(fields.get("datum_timeout")),
        job_timeout_s=_seconds(fields.get("job_timeout")),
        every_job=reprocess == "every_job",
        salt=fields.get("salt", ""),
        ignored=_ignored(fields),
    )


def from_stored(text: str) -> PipelineSpec:
    """Read back a spec from its normalised JSON."""
    return from_fields(json.loads(text))


def _refuse(fields: dict[str, Any], prefix: str, where: str) -> None:
    for key, value in fields.items():
        if value and prefix + key in REFUSED:
            raise SpecError(where + key, REFUSED[prefix + key])


def _ignored(fields: dict[str, Any]) -> tuple[str, ...]:
    """Name the fields that are set but have no effect here."""
    places = {**fields, **{f"transform.{key}": value for key, value in fields["transform"].items()}}
    return tuple(key for key in IGNORED if places.get(key))


def _seconds(duration: str | None) -> float | None:
    return (duration_s(duration) if duration else 0.0) or None


def _transform(fields: dict[str, Any]) -> Transform:
    lists = {key: tuple(fields.get(key, ())) for key in ("cmd", "stdin", "err_cmd", "err_stdin", "accept_return_code")}
    return Transform(env=fields.get("env", {}), working_dir=fields.get("working_dir", ""), **lists)


def _input(fields: dict[str, Any], where: str) -> Input:
    """Read one input node, which must be of exactly one kind."""
    kinds = [kind for kind, value in fields.items() if value or kind == "pfs"]
    if not kinds:
        raise SpecError(where, "no input set; expected one of pfs, cross, union, join, group")
    if len(kinds) > 1:
        raise SpecError(where, f"holds {' and '.join(kinds)}; expected exactly one kind of input")
    kind = kinds[0]
    if kind == "pfs":
        return _pfs(fields["pfs"], f"{where}.pfs")
    for known in KINDS:
        if kind == known:
            members = [_input(each, f"{where}.{kind}[{index}]") for index, each in enumerate(fields[kind])]
            # Pachyderm sorts by explicit name before it fills in missing names; the order shows in datum IDs.
            return Combination(known, tuple(sorted(members, key=_explicit_name)))
    raise SpecError(f"{where}.{kind}", REFUSED[f"input.{kind}"])


def _pfs(fields: dict[str, Any], where: str) -> PfsInput:
    if not fields.get("repo"):
        raise SpecError(f"{where}.repo", "missing; an input needs a repo")
    _refuse(fields, "pfs.", f"{where}.")
    if not fields.get("glob"):
        raise SpecError(f"{where}.glob", "missing; an input needs a glob such as / or /*")
    try:
        compile_glob(fields["glob"])
    except GlobError as error:
        raise SpecError(f"{where}.glob", str(error)) from error
    if fields.get("repo_type", "user") != "user" or fields.get("project", "default") != "default":
        raise SpecError(where, "only user repos of the default project can be inputs on one machine")
    name = fields.get("name") or fields["repo"]
    if name in RESERVED_INPUT_NAMES:
        raise SpecError(f"{where}.name", f"{name!r} is reserved; give the input another name")
    return PfsInput(
        repo=fields["repo"],
        glob=fields["glob"],
        name=name,
        branch=fields.get("branch") or DEFAULT_BRANCH,
        join_on=fields.get("join_on", ""),
        outer_join=fields.get("outer_join", False),
        group_by=fields.get("group_by", ""),
        empty_files=fields.get("empty_files", False),
        reference=fields.get("reference", False),
        never_propagates=fields.get("propagation_spec", {}).get("never", False),
        explicit_name=fields.get("name", ""),
    )


def _explicit_name(node: Input) -> str:
    return node.explicit_name if isinstance(node, PfsInput) else _explicit_name(node.members[0])


def _check_names(node: Input, where: str) -> set[str]:
    """Check that input names are unique, except between the members of one union; give all names below."""
    if isinstance(node, PfsInput):
        return {node.name}
    names: set[str] = set()
    for member in node.members:
        below = _check_names(member, where)
        shared = names & below
        if shared and node.kind != "union":
            raise SpecError(where, f"the input name {min(shared)!r} is used more than once; give one of them a name")
        names |= below
    return names


def with_salt(spec: PipelineSpec, salt: str) -> PipelineSpec:
    """Give the spec the salt that its pipeline was created with, unless the file sets one."""
    return spec if spec.salt else replace(spec, salt=salt)
