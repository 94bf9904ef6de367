"""Holds a parsed pipeline spec against pachyderm-sdk's message classes: which keys and types does Pachyderm know?

The SDK itself drops unknown fields without a word, so a misspelt one would be lost. This walk goes down the parsed
JSON beside the classes and names every key and value that does not fit, with its place (`$.input.cross[1].pfs.globb`).
Types are those of protobuf's JSON: 64-bit integers may be decimal strings, durations are strings like `300s`,
enumerations are names, `null` means not set.
"""

import dataclasses
import datetime
import difflib
import re
from collections.abc import Iterator
from typing import Any

import betterproto

_INTEGER_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "sint64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_INTEGER = re.compile(r"-?\d+")
# Names in a spec that differ from the class's: (class, name in the spec) -> field.
_OTHER_NAMES = {("Egress", "URL"): "url"}


def problems(value: Any, message: type, where: str = "$") -> Iterator[str]:
    """Name everything in a parsed JSON value that a message class does not have or has with another type.

    Args:
        value: What stands at this place, parsed.
        message: The betterproto class of the message that is expected here.
        where: The place, for the messages.

    Yields:
        One line a problem: place, what was found, what was expected.
    """
    if not isinstance(value, dict):
        yield f"{where}: found {_kind(value)}; expected an object ({message.__name__})"
        return
    fields = _fields_by_name(message)
    given: dict[str, str] = {}
    for key, each in value.items():
        place = f"{where}.{key}"
        if key not in fields:
            yield f"{place}: unknown field of {message.__name__}{_suggestion(key, list(fields))}"
            continue
        field = fields[key]
        if field.name in given:
            yield f"{place}: the same field as {given[field.name]}; expected it once"
        given[field.name] = key
        if each is not None:
            yield from _field_problems(each, message, field, place)


def _fields_by_name(message: type) -> dict[str, Any]:
    """Return the fields of a class by the keys a spec may use: the field's name and its lowerCamelCase form."""
    fields = {field.name.rstrip("_"): field for field in dataclasses.fields(message)}
    found = {key: field for name, field in fields.items() for key in (name, _camel_case(name))}
    for (owner, key), name in _OTHER_NAMES.items():
        if message.__name__ == owner:
            found[key] = fields[name]
    return found


def _field_problems(value: Any, message: type, field: Any, where: str) -> Iterator[str]:
    """Check the value of one field: a map, a list, or a single value."""
    meta = betterproto.FieldMetadata.get(field)
    table = message()._betterproto
    if meta.map_types:
        yield from _map_problems(value, meta.map_types[1], table.cls_by_field.get(f"{field.name}.value"), where)
    elif table.default_gen[field.name] is list:
        if not isinstance(value, list):
            yield f"{where}: found {_kind(value)}; expected a list"
            return
        for index, each in enumerate(value):
            yield from _single_problems(each, meta, table.cls_by_field.get(field.name), f"{where}[{index}]")
    else:
        yield from _single_problems(value, meta, table.cls_by_field.get(field.name), where)


def _map_problems(value: Any, kind: str, value_class: Any, where: str) -> Iterator[str]:
    """Check a map; its keys are data."""
    if not isinstance(value, dict):
        yield f"{where}: found {_kind(value)}; expected an object whose keys are yours"
        return
    for key, each in value.items():
        place = f'{where}["{key}"]'
        if kind == betterproto.TYPE_MESSAGE:
            yield from problems(each, value_class, place)
        else:
            yield from _scalar_problems(each, kind, value_class, place)


def _single_problems(value: Any, meta: Any, value_class: Any, where: str) -> Iterator[str]:
    if meta.wraps:
        yield from _scalar_problems(value, meta.wraps, value_class, where)
    elif meta.proto_type != betterproto.TYPE_MESSAGE or value_class in (datetime.timedelta, datetime.datetime):
        yield from _scalar_problems(value, meta.proto_type, value_class, where)
    else:
        yield from problems(value, value_class, where)


def _scalar_problems(value: Any, kind: str, value_class: Any, where: str) -> Iterator[str]:
    """Check a value that is no message, list or map."""
    fits: object
    if value_class is datetime.timedelta:
        fits, expected = isinstance(value, str) and _DURATION.fullmatch(value), 'a duration such as "300s"'
    elif value_class is datetime.datetime:
        fits, expected = _is_time(value), 'a time such as "2026-01-31T12:00:00Z"'
    elif kind == betterproto.TYPE_ENUM:
        names = list(value_class.__members__)
        fits, expected = value in names, f"one of {', '.join(names)}"
    elif kind == betterproto.TYPE_BOOL:
        fits, expected = isinstance(value, bool), "true or false"
    elif kind in _INTEGER_RANGES:
        fits, expected = _is_integer(value, *_INTEGER_RANGES[kind]), "a whole number"
    elif kind in (betterproto.TYPE_FLOAT, betterproto.TYPE_DOUBLE):
        fits, expected = _is_number(value), "a number"
    else:
        fits, expected = isinstance(value, str), "a string"
    if not fits:
        yield f"{where}: found {_kind(value)}; expected {expected}"


def _is_integer(value: Any, lowest: int, highest: int) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(_INTEGER.fullmatch(value)) and lowest <= int(value) <= highest
    return isinstance(value, int | float) and value == value // 1 and lowest <= value <= highest


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    try:
        return datetime.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _suggestion(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return str(value).lower() if isinstance(value, bool) else repr(value)
