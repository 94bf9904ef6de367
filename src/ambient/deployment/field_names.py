"""Protobuf's JSON knows each field by two names, `datum_tries` and `datumTries`; here they become one."""

import re
from typing import Any

_MAPS = {"env", "labels", "annotations", "node_selector"}  # their keys are a person's


def snake_case(value: Any) -> Any:
    """Spell the fields of a checked spec in snake_case and leave out what is not set; maps of a person are kept."""
    if isinstance(value, list):
        return [snake_case(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        _snake(key): each if _snake(key) in _MAPS else snake_case(each)
        for key, each in value.items()
        if each is not None
    }


def _snake(key: str) -> str:
    return key if key.isupper() else re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), key)
