"""Which fields may a pipeline spec have, and what does one machine do with each? The table, and a check by it.

The names and types are those of the message classes of pachyderm-sdk 2.12; every field is honoured,
ignored (it steers only a cluster) or refused by name.
"""

import difflib
import re
from typing import Any

from localpach.errors import SpecError

# A type is a scalar's name, `map` (its keys are data), `json` (anything), a message's name, or a list: `[…]`.
MESSAGES: dict[str, dict[str, str]] = {
    "CreatePipelineRequest": {
        "pipeline": "Pipeline", "tf_job": "json", "transform": "Transform", "parallelism_spec": "ParallelismSpec",
        "egress": "json", "update": "bool", "output_branch": "str", "s3_out": "bool",
        "resource_requests": "ResourceSpec",
        "resource_limits": "ResourceSpec", "sidecar_resource_limits": "ResourceSpec",
        "sidecar_resource_requests": "ResourceSpec", "input": "Input", "description": "str", "reprocess": "bool",
        "service": "json", "spout": "json", "datum_set_spec": "DatumSetSpec", "datum_timeout": "duration",
        "job_timeout": "duration", "salt": "str", "datum_tries": "int", "scheduling_spec": "SchedulingSpec",
        "pod_spec": "str", "pod_patch": "str", "spec_commit": "json", "metadata": "Metadata", "reprocess_spec": "str",
        "autoscaling": "bool", "tolerations": "[Toleration]", "dry_run": "bool", "determined": "json",
        "maximum_expected_uptime": "duration",
    },
    "Pipeline": {"name": "str", "project": "Project"},
    "Project": {"name": "str"},
    "Transform": {
        "image": "str", "cmd": "[str]", "err_cmd": "[str]", "env": "map", "secrets": "[json]",
        "image_pull_secrets": "[str]",
        "stdin": "[str]", "err_stdin": "[str]", "accept_return_code": "[int]", "debug": "bool", "user": "str",
        "working_dir": "str", "dockerfile": "str", "memory_volume": "bool", "datum_batching": "bool",
    },
    "ParallelismSpec": {"constant": "int"},
    "ResourceSpec": {"cpu": "float", "memory": "str", "gpu": "GPUSpec", "disk": "str"},
    "GPUSpec": {"type": "str", "number": "int"},
    "DatumSetSpec": {"number": "int", "size_bytes": "int", "per_worker": "int"},
    "SchedulingSpec": {"node_selector": "map", "priority_class_name": "str"},
    "Toleration": {"key": "str", "operator": "str", "value": "str", "effect": "str", "toleration_seconds": "json"},
    "Metadata": {"annotations": "map", "labels": "map"},
    "Input": {"pfs": "PfsInput", "join": "[Input]", "group": "[Input]", "cross": "[Input]", "union": "[Input]",
              "cron": "json"},
    "PfsInput": {
        "project": "str", "name": "str", "repo": "str", "repo_type": "str", "branch": "str", "commit": "str",
        "glob": "str",
        "join_on": "str", "outer_join": "bool", "group_by": "str", "lazy": "bool", "empty_files": "bool", "s3": "bool",
        "trigger": "json", "propagation_spec": "PropagationSpec", "reference": "bool",
    },
    "PropagationSpec": {"never": "bool"},
}  # fmt: skip

_ONLY_CLUSTER = "it steers only a cluster"
IGNORED: dict[str, str] = {
    "transform.image": "commands run in the local environment",
    "transform.user": "commands run as yourself",
    "transform.image_pull_secrets": _ONLY_CLUSTER,
    "transform.debug": _ONLY_CLUSTER,
    "transform.dockerfile": _ONLY_CLUSTER,
    "transform.memory_volume": _ONLY_CLUSTER,
    "resource_requests": _ONLY_CLUSTER,
    "resource_limits": _ONLY_CLUSTER,
    "sidecar_resource_requests": _ONLY_CLUSTER,
    "sidecar_resource_limits": _ONLY_CLUSTER,
    "scheduling_spec": _ONLY_CLUSTER,
    "tolerations": _ONLY_CLUSTER,
    "pod_spec": _ONLY_CLUSTER,
    "pod_patch": _ONLY_CLUSTER,
    "autoscaling": _ONLY_CLUSTER,
    "maximum_expected_uptime": _ONLY_CLUSTER,
    "determined": _ONLY_CLUSTER,
    "datum_set_spec": _ONLY_CLUSTER,
}

_FLAG = "is a flag of the command, not of the file"
REFUSED: dict[str, str] = {
    "tf_job": "is refused by Pachyderm 2.x too",
    "egress": "is not supported on one machine; use `localpach get file -r` after the job",
    "s3_out": "is not supported on one machine; write files to /pfs/out",
    "service": "is not supported on one machine; run the program by hand",
    "spout": "is not supported on one machine; put files with `localpach put file`",
    "spec_commit": _FLAG,
    "update": _FLAG + ": use `update pipeline`",
    "reprocess": _FLAG + ": use `update pipeline --reprocess`",
    "dry_run": _FLAG + ": use `create pipeline --dry-run`",
    "transform.secrets": "is not supported on one machine; set the variable in transform.env or in your environment",
    "transform.datum_batching": "is not supported on one machine; leave it out and the command runs once a datum",
    "input.cron": "is not supported on one machine; put files with `localpach put file` from your own timer",
    "pfs.trigger": "is not supported on one machine; move a branch with `localpach create branch --head`",
    "pfs.s3": "is not supported on one machine; read the files below /pfs",
    "pfs.commit": "is refused by Pachyderm too; name a branch",
}

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")


def duration_s(value: str) -> float:
    """Read a duration such as `300s` or `0.5s`, in seconds."""
    match = _DURATION.match(value)
    if match is None:
        raise ValueError(value)
    return float(match[1])


def normalise(value: Any, message: str, where: str = "$") -> dict[str, Any]:
    """Check a parsed JSON object against a message and give its fields by their snake_case names.

    Unset fields (`null`) are left out; lists and nested messages are normalised too.

    Raises:
        SpecError: an unknown field, a field given in both spellings, or a value of the wrong type.
    """
    if not isinstance(value, dict):
        raise SpecError(where, f"expected an object, found {_kind(value)}")
    fields = MESSAGES[message]
    spellings = {spelling: name for name in fields for spelling in (name, camel_case(name))}
    if message == "CreatePipelineRequest":
        fields_here = dict(value)
        fields_here.pop("$schema", None)
    else:
        fields_here = value
    found: dict[str, Any] = {}
    for key, each in fields_here.items():
        place = f"{where}.{key}"
        if key not in spellings:
            raise SpecError(place, "unknown field" + _suggestion(key, spellings))
        if each is None:
            continue
        name = spellings[key]
        if name in found:
            raise SpecError(place, f"the field {name} is given twice, in two spellings")
        found[name] = _typed(each, fields[name], place)
    return found


def camel_case(name: str) -> str:
    """Turn `datum_tries` into `datumTries`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _typed(value: Any, kind: str, where: str) -> Any:
    """Check one value; numbers in strings come back as numbers."""
    if kind.startswith("["):
        if not isinstance(value, list):
            raise SpecError(where, f"expected a list, found {_kind(value)}")
        return [_typed(each, kind[1:-1], f"{where}[{index}]") for index, each in enumerate(value)]
    if kind in MESSAGES:
        return normalise(value, kind, where)
    if kind == "json":
        return value
    if kind == "map":
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise SpecError(where, "expected an object whose values are strings")
        return value
    try:
        return _scalar(value, kind)
    except (ValueError, OverflowError):  # the latter of 1e400 as a whole number
        wanted = {"str": "a string", "bool": "true or false", "int": "a whole number", "float": "a number"}
        expected = wanted.get(kind, 'a duration such as "300s"')
        raise SpecError(where, f"expected {expected}, found {value!r}") from None


def _scalar(value: Any, kind: str) -> Any:
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "duration" and isinstance(value, str):
        duration_s(value)
        return value
    if kind in ("int", "float") and not isinstance(value, bool):
        if isinstance(value, (int, float)) and (kind == "float" or value == int(value)):
            return int(value) if kind == "int" else float(value)
        if isinstance(value, str):  # JSON has no 64-bit integers, so protobuf writes them as strings
            return int(value) if kind == "int" else float(value)
    raise ValueError(value)


def _suggestion(key: str, known: dict[str, str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(set(known.values())))}"


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
