"""The rules that a set of pipeline specs must keep so that a Pachyderm cluster of 2.6 or later takes and runs it.

`schema_check` finds unknown fields and wrong types; these are the rules that types cannot say. Some are the
server's, which would refuse or fail the pipeline; some are good practice, which a cluster lets pass and punishes
later: images without a fixed tag, limits without requests, overlapping globs.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

MAX_PIPELINES = 16  # of an installation without an enterprise key, up to Pachyderm 2.11
MAX_WORKERS = 8  # likewise, constant workers a pipeline
MAX_NAME_CHARACTERS = 51
MAX_KUBERNETES_NAME_CHARACTERS = 63
OLDEST_SERVER = (2, 6)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_IMAGE = re.compile(r"[^\s:@]+(:\d+/[^\s:@]+)?:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*)(@sha256:[0-9a-f]{64})?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_UNITS = {
    None: 1,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_GPU_TYPE = re.compile(r"[a-z0-9.-]+\.[a-z]+/[a-z0-9.-]+")
_KINDS = ("pfs", "cross", "union", "join", "group", "cron")
_FLAGS_OF_THE_CALL = ("update", "reprocess", "dry_run", "spec_commit")
_SINCE = {"maximum_expected_uptime": (2, 9)}
_SINCE_PFS = {"reference": (2, 12), "propagation_spec": (2, 12)}


def set_problems(
    specs: list[dict[str, Any]], repos: Iterable[str], server: tuple[int, int] = OLDEST_SERVER
) -> Iterator[str]:
    """Name every broken rule of a whole set, in the order of the specs.

    Args:
        specs: Parsed specs that `schema_check` has nothing against, in snake_case, in the order of creation.
        repos: Repos that are there before the first pipeline.
        server: The version that must understand them, major and minor.

    Yields:
        One line a problem: pipeline, place, what was found, what was expected.
    """
    known = set(repos)
    if len(specs) > MAX_PIPELINES:
        yield f"{len(specs)} pipelines; expected at most {MAX_PIPELINES}, the limit without an enterprise key"
    for spec in specs:
        name = (spec.get("pipeline") or {}).get("name", "?")
        for problem in spec_problems(spec, server):
            yield f"{name}: {problem}"
        for where, pfs in _leaves(spec.get("input") or {}, "$.input"):
            if pfs.get("repo") and pfs["repo"] not in known | {name}:
                yield f"{name}: {where}.repo: found {pfs['repo']}; expected a repo or a pipeline that comes before"
        if name in known:
            yield f"{name}: $.pipeline.name: taken by another pipeline or repo; expected a name of its own"
        known.add(name)


def spec_problems(spec: dict[str, Any], server: tuple[int, int] = OLDEST_SERVER) -> Iterator[str]:
    """Name every broken rule of one spec."""
    yield from _name_problems((spec.get("pipeline") or {}).get("name"))
    yield from _transform_problems(spec.get("transform"))
    yield from _input_problems(spec.get("input"), "$.input", server)
    yield from _input_name_problems(spec)
    yield from _resource_problems(spec)
    yield from _scalar_problems(spec)
    for field in _FLAGS_OF_THE_CALL:
        if field in spec:
            yield f"$.{field}: is a flag of the call; expected it not in the file"
    if "tf_job" in spec:
        yield "$.tf_job: Pachyderm 2 refuses it; expected transform"
    yield from _too_new(spec, _SINCE, "$", server)


def _name_problems(name: Any) -> Iterator[str]:
    if not name:
        yield "$.pipeline.name: missing; expected a name"
    elif not _NAME.fullmatch(name):
        yield f"$.pipeline.name: found {name!r}; expected letters, digits, - and _, a letter or digit first"
    elif len(name) > MAX_NAME_CHARACTERS or len(f"default-{name}-v99") > MAX_KUBERNETES_NAME_CHARACTERS:
        yield f"$.pipeline.name: {len(name)} characters; expected at most {MAX_NAME_CHARACTERS}"


def _transform_problems(transform: dict[str, Any] | None) -> Iterator[str]:
    if not transform:
        yield "$.transform: missing; expected image and cmd"
        return
    if not transform.get("cmd"):
        yield "$.transform.cmd: missing; expected the command and its arguments"
    image = transform.get("image") or ""
    match = _IMAGE.fullmatch(image)
    if match is None or match["tag"] == "latest":
        yield f"$.transform.image: found {image!r}; expected NAME:TAG with a fixed tag, not latest"
    for index, secret in enumerate(transform.get("secrets") or []):
        where = f"$.transform.secrets[{index}]"
        if not secret.get("name"):
            yield f"{where}.name: missing; expected the name of a secret"
        if secret.get("env_var") and not secret.get("key"):
            yield f"{where}.key: missing; expected it beside env_var"
        if not secret.get("env_var") and not secret.get("mount_path"):
            yield f"{where}: expected env_var or mount_path"


def _input_problems(node: Any, where: str, server: tuple[int, int]) -> Iterator[str]:
    """Check one node of the input tree and those below."""
    kinds = [kind for kind in _KINDS if node and node.get(kind)]
    if len(kinds) != 1:
        yield f"{where}: found {' and '.join(kinds) or 'no input'}; expected exactly one of {', '.join(_KINDS)}"
        return
    kind, value = kinds[0], node[kinds[0]]
    where = f"{where}.{kind}"
    if kind == "pfs":
        yield from _pfs_problems(value, where, server)
    elif kind == "cron":
        for field in ("name", "spec"):
            if not value.get(field):
                yield f"{where}.{field}: missing; expected one"
    else:
        for index, member in enumerate(value):
            yield from _input_problems(member, f"{where}[{index}]", server)


def _pfs_problems(pfs: dict[str, Any], where: str, server: tuple[int, int]) -> Iterator[str]:
    if not pfs.get("repo"):
        yield f"{where}.repo: missing; expected a repo"
    if pfs.get("commit"):
        yield f"{where}.commit: Pachyderm refuses it; expected a branch"
    if not pfs.get("s3"):
        yield from _glob_problems(pfs.get("glob"), f"{where}.glob")
    yield from _too_new(pfs, _SINCE_PFS, where, server)


def _glob_problems(glob: Any, where: str) -> Iterator[str]:
    if not glob:
        yield f"{where}: missing; expected a glob such as / or /*"
    elif not glob.startswith("/"):
        yield f"{where}: found {glob!r}; expected it to start with /"
    elif "**" in glob:
        yield f"{where}: found {glob!r}; expected no **, which matches folders and what is in them: overlapping datums"
    elif any(glob.count(opening) != glob.count(closing) for opening, closing in ("()", "[]", "{}")):
        yield f"{where}: found {glob!r}; expected every bracket closed"


def _input_name_problems(spec: dict[str, Any]) -> Iterator[str]:
    """Check the names under /pfs: none reserved, and none twice except between members of one union."""
    pipeline = (spec.get("pipeline") or {}).get("name")
    for where, leaf in _leaves(spec.get("input") or {}, "$.input"):
        if _input_name(leaf) in ("out", ".env"):
            yield f"{where}.name: found {_input_name(leaf)!r}, which is reserved; expected another name"
        if leaf.get("repo") == pipeline and pipeline:
            yield f"{where}.repo: found the pipeline's own name; expected another repo"
    names = _names_side_by_side(spec.get("input") or {})
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"$.input: found the name {name!r} twice; expected a name of its own for each"


def _names_side_by_side(node: dict[str, Any]) -> list[str]:
    """Return the names that one datum sees; the members of a union are never side by side."""
    for kind in ("cross", "join", "group"):
        if node.get(kind):
            return [name for member in node[kind] for name in _names_side_by_side(member)]
    if node.get("union"):
        return sorted({name for member in node["union"] for name in _names_side_by_side(member)})
    return [name for leaf in (node.get("pfs"), node.get("cron")) if leaf and (name := _input_name(leaf))]


def _leaves(node: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every pfs and cron input with its place."""
    for kind in _KINDS:
        value = node.get(kind)
        if isinstance(value, dict):
            yield f"{where}.{kind}", value
        for index, member in enumerate(value if isinstance(value, list) else []):
            yield from _leaves(member or {}, f"{where}.{kind}[{index}]")


def _input_name(leaf: dict[str, Any]) -> str:
    return str(leaf.get("name") or leaf.get("repo") or "")


def _resource_problems(spec: dict[str, Any]) -> Iterator[str]:
    """Giving any limit or request drops Pachyderm's defaults, so that both must be whole and agree."""
    requests, limits = spec.get("resource_requests") or {}, spec.get("resource_limits") or {}
    yield from _quantity_problems(requests, "$.resource_requests")
    yield from _quantity_problems(limits, "$.resource_limits")
    if (requests or limits) and not (requests.get("cpu") and requests.get("memory")):
        yield "$.resource_requests: expected cpu and memory, because limits or requests replace the defaults"
    if requests.get("gpu") and not limits.get("gpu"):
        yield "$.resource_limits.gpu: missing; expected the GPU among the limits, where Kubernetes counts it"
    asked, limit = _quantity(requests.get("memory")), _quantity(limits.get("memory"))
    if asked and limit and asked > limit:
        yield f"$.resource_requests.memory: {requests['memory']} is above the limit of {limits['memory']}"


def _quantity_problems(resources: dict[str, Any], where: str) -> Iterator[str]:
    for name in ("memory", "disk"):
        if resources.get(name) and _quantity(resources[name]) is None:
            yield f"{where}.{name}: found {resources[name]!r}; expected a quantity such as 512Mi"
    if "gpu" in resources:
        yield from _gpu_problems(resources["gpu"] or {}, f"{where}.gpu")


def _gpu_problems(gpu: dict[str, Any], where: str) -> Iterator[str]:
    if not _GPU_TYPE.fullmatch(gpu.get("type") or ""):
        yield f"{where}.type: found {gpu.get('type')!r}; expected a Kubernetes resource such as nvidia.com/gpu"
    if int(gpu.get("number") or 0) < 1:
        yield f"{where}.number: found {gpu.get('number')!r}; expected 1 or more, or no gpu at all"


def _scalar_problems(spec: dict[str, Any]) -> Iterator[str]:
    workers = int((spec.get("parallelism_spec") or {}).get("constant") or 0)
    if not 0 <= workers <= MAX_WORKERS:
        yield f"$.parallelism_spec.constant: found {workers}; expected at most {MAX_WORKERS}, as without a key"
    if spec.get("reprocess_spec") not in (None, "", "until_success", "every_job"):
        yield f"$.reprocess_spec: found {spec['reprocess_spec']!r}; expected until_success or every_job"
    if int(spec.get("datum_tries") or 0) < 0:
        yield f"$.datum_tries: found {spec['datum_tries']}; expected 1 or more"
    for field, kind in (("pod_spec", dict), ("pod_patch", list)):
        if spec.get(field):
            yield from _embedded_json_problems(spec[field], kind, f"$.{field}")
    for index, toleration in enumerate(spec.get("tolerations") or []):
        if toleration.get("operator") not in ("EXISTS", "EQUAL"):
            found = toleration.get("operator")
            yield f"$.tolerations[{index}].operator: found {found!r}; expected EXISTS or EQUAL"


def _embedded_json_problems(text: str, kind: type, where: str) -> Iterator[str]:
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        yield f"{where}: no JSON ({error}); expected JSON in a string"
        return
    operations = value if isinstance(value, list) else []
    if type(value) is not kind:
        yield f"{where}: expected {'an object' if kind is dict else 'a list of JSON Patch operations'}"
    elif not all(isinstance(each, dict) and {"op", "path"} <= each.keys() for each in operations):
        yield f"{where}: expected op and path in every operation"


def _too_new(
    fields: dict[str, Any], since: dict[str, tuple[int, int]], where: str, server: tuple[int, int]
) -> Iterator[str]:
    for field, version in since.items():
        if field in fields and server < version:
            newer, older = (".".join(map(str, each)) for each in (version, server))
            yield f"{where}.{field}: is there since Pachyderm {newer}; expected it not to be used for {older}"


def _quantity(text: str | None) -> float | None:
    """Read a Kubernetes quantity such as `14336M` in its base unit; None if it is none."""
    match = _QUANTITY.fullmatch(text or "")
    return float(match[1]) * _UNITS[match[2]] if match else None
