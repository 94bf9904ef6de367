"""Which fields may a pipeline spec have, and what does one machine do with each? The table, and a check by it.

The names and types are those of the message classes of pachyderm-sdk 2.12; every field is honoured,
ignored (it steers only a cluster) or refused by name.
"""

import difflib
import math
import re
from datetime import datetime
from typing import Any

from localpach.errors import SpecError

# A type is a scalar's name, `count` (a whole number from 0), `map` (its keys are data), `one of A B` (names of an
# enumeration), a message's name, or a list: `[…]`.
MESSAGES: dict[str, dict[str, str]] = {
    "CreatePipelineRequest": {
        "pipeline": "Pipeline", "tf_job": "TFJob", "transform": "Transform", "parallelism_spec": "ParallelismSpec",
        "egress": "Egress", "update": "bool", "output_branch": "str", "s3_out": "bool",
        "resource_requests": "ResourceSpec", "resource_limits": "ResourceSpec",
        "sidecar_resource_limits": "ResourceSpec", "sidecar_resource_requests": "ResourceSpec", "input": "Input",
        "description": "str", "reprocess": "bool", "service": "Service", "spout": "Spout",
        "datum_set_spec": "DatumSetSpec", "datum_timeout": "duration", "job_timeout": "duration", "salt": "str",
        "datum_tries": "count", "scheduling_spec": "SchedulingSpec", "pod_spec": "str", "pod_patch": "str",
        "spec_commit": "Commit", "metadata": "Metadata", "reprocess_spec": "str", "autoscaling": "bool",
        "tolerations": "[Toleration]", "dry_run": "bool", "determined": "Determined",
        "maximum_expected_uptime": "duration",
    },
    "Pipeline": {"name": "str", "project": "Project"},
    "Project": {"name": "str"},
    "TFJob": {"tf_job": "str"},
    "Transform": {
        "image": "str", "cmd": "[str]", "err_cmd": "[str]", "env": "map", "secrets": "[SecretMount]",
        "image_pull_secrets": "[str]", "stdin": "[str]", "err_stdin": "[str]", "accept_return_code": "[int]",
        "debug": "bool", "user": "str", "working_dir": "str", "dockerfile": "str", "memory_volume": "bool",
        "datum_batching": "bool",
    },
    "SecretMount": {"name": "str", "key": "str", "mount_path": "str", "env_var": "str"},
    "ParallelismSpec": {"constant": "count"},
    "Egress": {"URL": "str", "object_storage": "ObjectStorageEgress", "sql_database": "SQLDatabaseEgress"},
    "ObjectStorageEgress": {"url": "str"},
    "SQLDatabaseEgress": {"url": "str", "file_format": "FileFormat", "secret": "EgressSecret"},
    "FileFormat": {"type": "one of UNKNOWN CSV JSON PARQUET", "columns": "[str]"},
    "EgressSecret": {"name": "str", "key": "str"},
    "ResourceSpec": {"cpu": "float", "memory": "str", "gpu": "GPUSpec", "disk": "str"},
    "GPUSpec": {"type": "str", "number": "count"},
    "Input": {"pfs": "PfsInput", "join": "[Input]", "group": "[Input]", "cross": "[Input]", "union": "[Input]",
              "cron": "CronInput"},
    "PfsInput": {
        "project": "str", "name": "str", "repo": "str", "repo_type": "str", "branch": "str", "commit": "str",
        "glob": "str", "join_on": "str", "outer_join": "bool", "group_by": "str", "lazy": "bool",
        "empty_files": "bool", "s3": "bool", "trigger": "Trigger", "propagation_spec": "PropagationSpec",
        "reference": "bool",
    },
    "Trigger": {"branch": "str", "all": "bool", "rate_limit_spec": "str", "size": "str", "commits": "count",
                "cron_spec": "str"},
    "PropagationSpec": {"never": "bool"},
    "CronInput": {"name": "str", "project": "str", "repo": "str", "commit": "str", "spec": "str", "overwrite": "bool",
                  "start": "time"},
    "Service": {"internal_port": "count", "external_port": "count", "ip": "str", "type": "str"},
    "Spout": {"service": "Service"},
    "DatumSetSpec": {"number": "count", "size_bytes": "count", "per_worker": "count"},
    "SchedulingSpec": {"node_selector": "map", "priority_class_name": "str"},
    "Commit": {"repo": "Repo", "id": "str", "branch": "Branch"},
    "Repo": {"name": "str", "type": "str", "project": "Project"},
    "Branch": {"repo": "Repo", "name": "str"},
    "Metadata": {"annotations": "map", "labels": "map"},
    "Toleration": {
        "key": "str", "operator": "one of EMPTY EXISTS EQUAL", "value": "str",
        "effect": "one of ALL_EFFECTS NO_SCHEDULE PREFER_NO_SCHEDULE NO_EXECUTE", "toleration_seconds": "int",
    },
    "Determined": {"workspaces": "[str]"},
}  # fmt: skip

_ONE_OF = "one of "
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
    "s3_out": "is not supported on one machine; write files to /pfs/out",
    "service": "is not supported on one machine; run the program by hand",
    "spout": "is not supported on one machine; put files with `localpach put file`, or watch a folder",
    "spec_commit": _FLAG,
    "update": _FLAG + ": use `update pipeline`",
    "reprocess": _FLAG + ": use `update pipeline --reprocess`",
    "dry_run": _FLAG + ": use `create pipeline --dry-run`",
    "egress.sql_database": "is not supported on one machine; use a file:// URL",
    "pfs.s3": "is not supported on one machine; read the files below /pfs",
    "pfs.commit": "is refused by Pachyderm too; name a branch",
    "cron.commit": "is refused by Pachyderm too; leave it out",
}

_DURATION = re.compile(r"(\d+(?:\.\d{1,9})?)s")
_WHOLE = re.compile(r"-?\d+")
_INT64 = 1 << 63
_EXPECTED = {
    "map": "strings",
    "str": "a string",
    "bool": "true or false",
    "int": "a whole number",
    "count": "a whole number from 0",
    "float": "a number",
    "duration": 'a duration such as "300s"',
    "time": 'a time such as "2026-01-31T12:00:00Z"',
}


def duration_s(value: str) -> float:
    """Read a duration such as `300s` or `0.5s`, in seconds."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(value)
    return float(match[1])


def time_s(value: str) -> float:
    """Read an RFC 3339 time such as `2026-01-31T12:00:00Z`, in seconds since the epoch.

    Raises:
        ValueError: it is none, or has no time zone.
    """
    found = datetime.fromisoformat(value)
    if found.tzinfo is None or "T" not in value.upper():
        raise ValueError(value)
    return found.timestamp()


def refuse(fields: dict[str, Any], prefix: str, where: str) -> None:
    """Refuse fields that one machine cannot honour.

    Args:
        fields: Normalised fields of one message.
        prefix: The message in the keys of `REFUSED`, such as `pfs.`.
        where: Place of the message, such as `$.input.pfs.`.

    Raises:
        SpecError: one of them is set; an empty message counts as set.
    """
    for key, value in fields.items():
        if (value or isinstance(value, dict)) and prefix + key in REFUSED:
            raise SpecError(where + key, REFUSED[prefix + key])


def normalise(value: Any, message: str, where: str = "$") -> dict[str, Any]:
    """Check a parsed JSON object against a message and give its fields by their snake_case names.

    Unset fields (`null`) are left out; lists and nested messages are normalised too.

    Raises:
        SpecError: an unknown field, a field given in both spellings, or a value of the wrong type.
    """
    if not isinstance(value, dict):
        raise SpecError(where, f"expected an object, found {_kind(value)}")
    fields = MESSAGES[message]
    names = {key: name for name in fields for key in (name, camel_case(name))}
    if message == "CreatePipelineRequest":
        fields_here = dict(value)
        fields_here.pop("$schema", None)
    else:
        fields_here = value
    found: dict[str, Any] = {}
    for key, each in fields_here.items():
        place = f"{where}.{key}"
        if key not in names:
            raise SpecError(place, "unknown field" + _suggestion(key, names))
        if each is None:
            continue
        name = names[key]
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
    if kind.startswith(_ONE_OF):
        names = kind.removeprefix(_ONE_OF).split()
        if value not in names:
            raise SpecError(where, f"expected one of {', '.join(names)}, found {value!a}")
        return value
    try:
        return _map(value, where) if kind == "map" else _scalar(value, kind)
    except (ValueError, OverflowError):  # the latter of 1e400 as a whole number
        raise SpecError(where, f"expected {_EXPECTED[kind]}, found {value!a}") from None


def _map(value: Any, where: str) -> dict[str, str]:
    """Check an object whose keys are data."""
    if not isinstance(value, dict):
        raise SpecError(where, f"expected an object, found {_kind(value)}")
    for key, each in value.items():
        if not isinstance(each, str):
            raise SpecError(f"{where}.{key}", f"expected a string, found {_kind(each)}; put it in quotes")
    return {_text(key): _text(each) for key, each in value.items()}


def _scalar(value: Any, kind: str) -> Any:
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in ("int", "count", "float") and not isinstance(value, bool):
        return _number(value, kind)
    if isinstance(value, str):
        if kind == "str":
            return _text(value)
        if kind in ("duration", "time"):
            (duration_s if kind == "duration" else time_s)(value)
            return value
    raise ValueError(value)


def _number(value: Any, kind: str) -> int | float:
    """Read a number; JSON has no 64-bit integers, so protobuf writes them as strings, and takes both."""
    if kind == "float":
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
        if not math.isfinite(number):
            raise ValueError(value)
        return number
    if (isinstance(value, str) and _WHOLE.fullmatch(value)) or (
        isinstance(value, (int, float)) and value == int(value)
    ):
        whole = int(value)
    else:
        raise ValueError(value)
    if not (0 if kind == "count" else -_INT64) <= whole < _INT64:
        raise ValueError(value)
    return whole


def _text(value: str) -> str:
    """Return the string; half a surrogate pair and NUL, which JSON can write, are no text."""
    if "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


def _suggestion(key: str, known: dict[str, str]) -> str:
    by_lower = {spelling.lower(): spelling for spelling in known}
    close = difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]}?" if close else f"; known are {', '.join(sorted(set(known.values())))}"


def _kind(value: Any) -> str:
    names = {list: "a list", dict: "an object", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
