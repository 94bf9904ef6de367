"""What does a pipeline read? The input of a spec as a tree of checked dataclasses, and its rules.

::

    cross ─┬─ pfs seeds:/*
           └─ union ─┬─ pfs models:/
                     └─ cron nightly         a repo of its own, with one file a tick
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from localpach.errors import GlobError, ScheduleError, SpecError
from localpach.spec.addresses import DEFAULT_BRANCH
from localpach.spec.cron import parse_schedule
from localpach.spec.globs import compile_glob
from localpach.spec.names import BRANCH_RULE, INPUT_RULE, REPO_RULE, is_input_name, is_repo_name, was_branch_name
from localpach.spec.spec_fields import refuse, time_s

Kind = Literal["cross", "union", "join", "group"]
KINDS: tuple[Kind, ...] = ("cross", "union", "join", "group")
RESERVED_INPUT_NAMES = ("out", ".env", ".scratch")
CRON_GLOB = "/*"


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a branch moves to the head of another: when one of the conditions that are set holds, or all of them.

    Attributes:
        branch: The branch that is watched, of the same repo.
        all: Whether all conditions must hold.
        size: Growth in bytes since the last move, such as `1K` for 1000; empty if unset.
        commits: Number of commits since the last move; 0 if unset.
        rate_limit_spec: A cron expression; one of its ticks must lie between the last move and now.
        cron_spec: A cron expression; alone, it moves the branch at each of its ticks.
    """

    branch: str = DEFAULT_BRANCH
    all: bool = False
    size: str = ""
    commits: int = 0
    rate_limit_spec: str = ""
    cron_spec: str = ""


@dataclass(frozen=True, slots=True)
class Cron:
    """When ticks are made; `start_s` is in seconds since the epoch, None for the creation of the pipeline."""

    spec: str
    overwrite: bool = False
    start_s: float | None = None


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
    trigger: Trigger | None = None
    cron: Cron | None = None


@dataclass(frozen=True, slots=True)
class Combination:
    """Inputs taken together."""

    kind: Kind
    members: "tuple[Input, ...]"


Input = PfsInput | Combination


def leaves(node: Input) -> Iterator[PfsInput]:
    """Walk the repo inputs below a node in order."""
    if isinstance(node, PfsInput):
        yield node
    else:
        for member in node.members:
            yield from leaves(member)


def read_input(fields: dict[str, Any], pipeline: str, where: str = "$.input") -> Input:
    """Read the input of a pipeline from normalised fields.

    Raises:
        SpecError: a field is missing or contradicts another; the message names its place.
    """
    node = _name_trigger_branches(_node(fields, pipeline, where), pipeline, {})
    _check_names(node, where)
    for each in leaves(node):
        _check_places(each, where)
        if each.repo == pipeline:
            raise SpecError(where, f"pipeline {pipeline} reads itself; a pipeline cannot be its own input")
    return node


def _check_places(source: PfsInput, where: str) -> None:
    """Refuse names that no repo, branch or folder below /pfs can have."""
    branches = [source.branch, *([source.trigger.branch] if source.trigger else [])]
    if not is_repo_name(source.repo):
        raise SpecError(where, f"the repo name {source.repo!a} is refused; {REPO_RULE}")
    if not is_input_name(source.name):
        raise SpecError(where, f"the input name {source.name!a} is refused; {INPUT_RULE}")
    for branch in branches:
        if not was_branch_name(branch):
            raise SpecError(where, f"the branch name {branch!a} is refused; {BRANCH_RULE}")


def _node(fields: dict[str, Any], pipeline: str, where: str) -> Input:
    """Read one input node, which must be of exactly one kind."""
    kinds = [kind for kind, value in fields.items() if value or kind in ("pfs", "cron")]
    if not kinds:
        raise SpecError(where, "no input set; expected one of pfs, cross, union, join, group, cron")
    if len(kinds) > 1:
        raise SpecError(where, f"holds {' and '.join(kinds)}; expected exactly one kind of input")
    kind, place = kinds[0], f"{where}.{kinds[0]}"
    if kind == "pfs":
        return _pfs(fields["pfs"], place)
    if kind == "cron":
        return _cron(fields["cron"], pipeline, place)
    known = next(each for each in KINDS if each == kind)
    members = [_node(each, pipeline, f"{place}[{index}]") for index, each in enumerate(fields[kind])]
    # Pachyderm sorts by explicit name before it fills in missing names; the order shows in datum IDs.
    return Combination(known, tuple(sorted(members, key=_explicit_name)))


def _pfs(fields: dict[str, Any], where: str) -> PfsInput:
    if not fields.get("repo"):
        raise SpecError(f"{where}.repo", "missing; an input needs a repo")
    refuse(fields, "pfs.", f"{where}.")
    if not fields.get("glob"):
        raise SpecError(f"{where}.glob", "missing; an input needs a glob such as / or /*")
    try:
        compile_glob(fields["glob"])
    except GlobError as error:
        raise SpecError(f"{where}.glob", str(error)) from error
    if fields.get("repo_type", "user") != "user" or fields.get("project", "default") != "default":
        raise SpecError(where, "only user repos of the default project can be inputs on one machine")
    trigger = read_trigger(fields["trigger"], f"{where}.trigger") if "trigger" in fields else None
    return PfsInput(
        repo=fields["repo"],
        glob=fields["glob"],
        name=_unreserved(fields.get("name") or fields["repo"], where),
        branch=fields.get("branch") or ("" if trigger else DEFAULT_BRANCH),  # that of a trigger is named below
        join_on=fields.get("join_on", ""),
        outer_join=fields.get("outer_join", False),
        group_by=fields.get("group_by", ""),
        empty_files=fields.get("empty_files", False),
        reference=fields.get("reference", False),
        never_propagates=fields.get("propagation_spec", {}).get("never", False),
        explicit_name=fields.get("name", ""),
        trigger=trigger,
    )


def _cron(fields: dict[str, Any], pipeline: str, where: str) -> PfsInput:
    """Read a cron input: it reads a repo of its own, which is made with the pipeline."""
    if not fields.get("name"):
        raise SpecError(f"{where}.name", "missing; a cron input needs a name")
    refuse(fields, "cron.", f"{where}.")
    if fields.get("project", "default") != "default":
        raise SpecError(f"{where}.project", "one machine has one project; leave it out or name it default")
    if not fields.get("spec"):
        raise SpecError(f"{where}.spec", 'empty; a cron input needs a schedule such as "@every 1h" or "0 3 * * *"')
    _check_schedule(fields["spec"], f"{where}.spec")
    start = fields.get("start")
    return PfsInput(
        repo=fields.get("repo") or f"{pipeline}_{fields['name']}",
        glob=CRON_GLOB,
        name=_unreserved(fields["name"], where),
        cron=Cron(fields["spec"], fields.get("overwrite", False), time_s(start) if start else None),
    )


def read_trigger(fields: dict[str, Any], where: str) -> Trigger:
    """Read a trigger from normalised fields.

    Raises:
        SpecError: a condition cannot be read; the message names its place.
    """
    trigger = Trigger(**{**fields, "branch": fields.get("branch") or DEFAULT_BRANCH})
    for name in ("rate_limit_spec", "cron_spec"):
        if fields.get(name):
            _check_schedule(fields[name], f"{where}.{name}")
    if trigger.size:
        size_bytes(trigger.size, f"{where}.size")
    return trigger


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "p": 1000**5}


def size_bytes(text: str, where: str = "size") -> int:
    """Read a size such as `500`, `1K`, `1.5MB`; units are decimal, so that `1K` is 1000 bytes."""
    number = text.strip().lower().removesuffix("b")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        value = float(number.removesuffix(unit)) * _UNITS[unit]
        if value < 0:
            raise ValueError(text)
        return int(value)
    except (ValueError, KeyError, OverflowError):
        raise SpecError(where, f"expected a size such as 1K or 10MB, found {text!r}") from None


def _check_schedule(text: str, where: str) -> None:
    try:
        parse_schedule(text)
    except ScheduleError as error:
        raise SpecError(where, str(error)) from error


def _unreserved(name: str, where: str) -> str:
    if name in RESERVED_INPUT_NAMES:
        raise SpecError(f"{where}.name", f"{name!r} is reserved; give the input another name")
    return name


def _explicit_name(node: Input) -> str:
    return node.explicit_name if isinstance(node, PfsInput) else _explicit_name(node.members[0])


def _name_trigger_branches(node: Input, pipeline: str, made: dict[str, int]) -> Input:
    """Name a branch for each triggered input that has none: `<pipeline>-trigger-<n>`, from 1 for each repo."""
    if isinstance(node, Combination):
        return replace(node, members=tuple(_name_trigger_branches(each, pipeline, made) for each in node.members))
    if node.branch:
        return node
    made[node.repo] = made.get(node.repo, 0) + 1
    return replace(node, branch=f"{pipeline}-trigger-{made[node.repo]}")


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
