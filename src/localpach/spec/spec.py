"""What does a pipeline spec say? Text to checked dataclasses, or one line that names the field at fault."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from localpach.errors import SpecError
from localpach.spec.addresses import DEFAULT_BRANCH
from localpach.spec.inputs import Input, PfsInput, leaves, read_input
from localpach.spec.names import BRANCH_RULE, is_branch_name, was_branch_name
from localpach.spec.spec_fields import IGNORED, duration_s, normalise, refuse
from localpach.spec.yaml_text import parse_yaml

DEFAULT_TRIES = 3

_PIPELINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MAX_PIPELINE_NAME = 51  # characters; Kubernetes names are made of it


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret for the program: as files below `mount_path`, as the variable `env_var`, or both.

    Attributes:
        name: Name of the secret.
        key: Its one key that is given; empty for all, as files.
        mount_path: Absolute folder of the files; empty for none.
        env_var: Variable that holds the value of `key`; empty for none.
    """

    name: str
    key: str = ""
    mount_path: str = ""
    env_var: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use at most; 0 or empty if unset. Sizes are Kubernetes quantities such as `512Mi`."""

    cpu: float = 0.0
    memory: str = ""
    gpus: int = 0


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
    image: str = ""
    user: str = ""
    secrets: tuple[Secret, ...] = ()
    datum_batching: bool = False


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
    egress: str = ""
    limits: Limits = Limits()
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


def load(path: Path) -> list[PipelineSpec]:
    """Read a spec file, JSON or YAML: one object, a list of objects, several documents, or nothing.

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
    found = parse_fields(text)
    for fields in found:
        _check_ignored(fields)
    specs = [from_fields(fields) for fields in found]
    for each in specs:
        _check_branches(each)
    return specs


def _check_branches(spec: PipelineSpec) -> None:
    """Refuse names of branches that a cluster refuses; a spec that is stored already may have them."""
    named = [(f"$.input, {each.name}", each.branch) for each in spec.inputs]
    named += [(f"$.input, {each.name}", each.trigger.branch) for each in spec.inputs if each.trigger]
    for where, branch in [("$.output_branch", spec.output_branch), *named]:
        if not is_branch_name(branch):
            raise SpecError(where, f"the branch name {branch!a} is refused; {BRANCH_RULE}")


def parse_fields(text: str) -> list[dict[str, Any]]:
    """Read the text of a spec file as far as `validate pipeline` does on a cluster: its shape, field names, a name.

    Args:
        text: JSON or YAML: an object, a list of them, or several YAML documents of either.

    Returns:
        One dictionary of snake_case fields for each spec.
    """
    documents = _documents(text) if text.strip() else []
    found = []
    for number, document in enumerate(documents, start=1):
        top = f"document {number}: $" if len(documents) > 1 else "$"
        if not isinstance(document, (dict, list)):
            raise SpecError(top, "expected an object or a list of objects")
        for index, each in enumerate(document if isinstance(document, list) else [document]):
            where = f"{top}[{index}]" if isinstance(document, list) else top
            fields = normalise(each, "CreatePipelineRequest", where)
            if not fields.get("pipeline", {}).get("name"):
                raise SpecError(f"{where}.pipeline.name", "missing; a pipeline needs a name")
            found.append(fields)
    return found


def _documents(text: str) -> list[Any]:
    """Read JSON, which is one document; what is none is read as YAML."""
    try:
        try:
            return [json.loads(text, object_pairs_hook=_each_once)]
        except json.JSONDecodeError as error:
            no_json = SpecError(f"line {error.lineno}", f"no JSON: {error.msg}")
        lenient = _lenient_json(text)
        if lenient is not None:
            return lenient
        try:
            return parse_yaml(text)
        except SpecError:
            if text.lstrip()[0] in "{[":  # for JSON the message is about JSON
                raise no_json from None
            raise
    except RecursionError as error:
        raise SpecError("$", "is nested too deep for a spec") from error


_BETWEEN_DOCUMENTS = re.compile(r"^---[ \t]*$", re.MULTILINE)
_STRING_OR_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[\]}])', re.DOTALL)


def _lenient_json(text: str) -> list[Any] | None:
    """Read what pachctl takes for YAML and people write as JSON: `---` around it, a comma at the end, tabs anywhere.

    Returns:
        Its documents; None if it is nothing of the kind.
    """
    parts = [part for part in _BETWEEN_DOCUMENTS.split(text) if part.strip()]
    found = []
    for part in parts:
        if part.strip()[0] not in "{[":
            return None
        plain = _STRING_OR_LAST_COMMA.sub(lambda match: match[1] or "", part)
        try:
            found.append(json.loads(plain, object_pairs_hook=_each_once, strict=False))
        except json.JSONDecodeError:
            return None
    return found or None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, but not of a field given twice: Python would take the last without a word."""
    fields = dict(pairs)
    for name in fields:
        if not name.isascii() and name != name.encode(errors="replace").decode():
            raise SpecError("$", f"the field {name!a} holds half a character")
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
    if not _PIPELINE_NAME.fullmatch(name) or len(name) > _MAX_PIPELINE_NAME:
        raise SpecError(
            "$.pipeline.name",
            f"{name!r} is refused; use up to {_MAX_PIPELINE_NAME} letters, digits, - and _, a letter first",
        )
    if fields["pipeline"].get("project", {}).get("name", "default") != "default":
        raise SpecError("$.pipeline.project", "one machine has one project; leave it out or name it default")
    refuse(fields, "", "$.")
    if "transform" not in fields:
        raise SpecError("$.transform", "missing; a pipeline needs a transform with a cmd")
    if not fields["transform"].get("cmd"):
        raise SpecError("$.transform.cmd", "missing; a pipeline needs a command to run")
    output_branch = fields.get("output_branch") or DEFAULT_BRANCH
    if not was_branch_name(output_branch):
        raise SpecError("$.output_branch", f"the branch name {output_branch!a} is refused; {BRANCH_RULE}")
    reprocess = fields.get("reprocess_spec", "until_success")
    if reprocess not in ("until_success", "every_job"):
        raise SpecError("$.reprocess_spec", f"expected until_success or every_job, found {reprocess!r}")
    return PipelineSpec(
        name=name,
        transform=_transform(fields["transform"]),
        input=read_input(fields.get("input", {}), name),
        text=json.dumps(fields, sort_keys=True),
        description=fields.get("description", ""),
        output_branch=output_branch,
        workers=max(1, fields.get("parallelism_spec", {}).get("constant", 1)),
        datum_tries=fields.get("datum_tries") or DEFAULT_TRIES,
        datum_timeout_s=_seconds(fields.get("datum_timeout")),
        job_timeout_s=_seconds(fields.get("job_timeout")),
        every_job=reprocess == "every_job",
        salt=fields.get("salt", ""),
        egress=_egress(fields.get("egress", {})),
        limits=_limits(fields.get("resource_limits", {})),
        ignored=_ignored(fields),
    )


def from_stored(text: str) -> PipelineSpec:
    """Read back a spec from its normalised JSON."""
    return from_fields(json.loads(text))


def _check_ignored(fields: dict[str, Any]) -> None:
    """Refuse what a cluster refuses in fields that have no effect here."""
    for name in ("pod_spec", "pod_patch"):
        try:
            json.loads(fields.get(name) or "{}")
        except (ValueError, RecursionError) as error:
            raise SpecError(f"$.{name}", f"expected JSON in a string: {error}") from error
    for number, toleration in enumerate(fields.get("tolerations", ())):
        if toleration.get("operator") not in ("EXISTS", "EQUAL"):
            raise SpecError(f"$.tolerations[{number}].operator", "expected EXISTS or EQUAL")


def _ignored(fields: dict[str, Any]) -> tuple[str, ...]:
    """Name the fields that are set but have no effect here."""
    places = {**fields, **{f"transform.{key}": value for key, value in fields["transform"].items()}}
    return tuple(key for key in IGNORED if places.get(key))


def _seconds(duration: str | None) -> float | None:
    return (duration_s(duration) if duration else 0.0) or None


def _transform(fields: dict[str, Any]) -> Transform:
    lists = {key: tuple(fields.get(key, ())) for key in ("cmd", "stdin", "err_cmd", "err_stdin", "accept_return_code")}
    for name in fields.get("env", ()):
        if not name or "=" in name:
            raise SpecError("$.transform.env", f"{name!a} is no name of a variable")
    return Transform(
        env=fields.get("env", {}),
        working_dir=fields.get("working_dir", ""),
        image=fields.get("image", ""),
        user=fields.get("user", ""),
        secrets=tuple(_secret(each, f"$.transform.secrets[{n}]") for n, each in enumerate(fields.get("secrets", ()))),
        datum_batching=fields.get("datum_batching", False),
        **lists,
    )


def _secret(fields: dict[str, str], where: str) -> Secret:
    secret = Secret(**fields) if fields.get("name") else None
    if secret is None:
        raise SpecError(f"{where}.name", "missing; a secret needs a name")
    if not secret.env_var and not secret.mount_path:
        raise SpecError(where, "needs an env_var or a mount_path; without one the program cannot see it")
    if secret.env_var and not secret.key:
        raise SpecError(f"{where}.key", "missing; env_var holds one value, so it needs the key of that value")
    if "=" in secret.env_var:
        raise SpecError(f"{where}.env_var", f"{secret.env_var!a} is no name of a variable")
    if secret.mount_path and not secret.mount_path.startswith("/"):
        raise SpecError(f"{where}.mount_path", f"expected an absolute path, found {secret.mount_path!r}")
    return secret


def _egress(fields: dict[str, Any]) -> str:
    """Return the URL that results are pushed to; only a folder of this machine can be one."""
    refuse(fields, "egress.", "$.egress.")
    urls = {"URL": fields.get("URL", ""), "object_storage.url": fields.get("object_storage", {}).get("url", "")}
    given = {place: url for place, url in urls.items() if url}
    if len(given) > 1:
        raise SpecError("$.egress", "holds URL and object_storage; expected one of them")
    for place, url in given.items():
        if not url.startswith("file:///"):
            raise SpecError(
                f"$.egress.{place}", f"{url} is not supported on one machine; expected file:///folder, or leave it out"
            )
        return str(url)
    return ""


def _limits(fields: dict[str, Any]) -> Limits:
    return Limits(fields.get("cpu", 0.0), fields.get("memory", ""), fields.get("gpu", {}).get("number", 0))


def with_salt(spec: PipelineSpec, salt: str) -> PipelineSpec:
    """Return the spec the salt of its pipeline, which a later file does not change."""
    return replace(spec, salt=salt)
