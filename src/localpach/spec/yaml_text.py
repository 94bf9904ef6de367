"""YAML, of specs and of `--raw -o yaml`: the one place that opens PyYAML, which may be missing.

Read as YAML 1.2, so that nothing is taken for what it does not look like: `yes`, `on` and `no` are words, `1:30` and
dates are text. Pachyderm's reader does the same, and refuses aliases as well.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from localpach.errors import LocalpachError, SpecError

NOT_INSTALLED = "is no JSON; to read YAML, `pip install pyyaml`"

# What a plain word stands for, in the core schema of YAML 1.2.
_WORDS = (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    ("float", re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"), list("-+.0123456789")),
)


def parse_yaml(text: str) -> list[Any]:
    """Read the documents of a YAML text as JSON would be: dictionaries, lists, strings, numbers, true, false, null.

    Raises:
        SpecError: it is no YAML, has an alias, a repeated or unnamed key, or a value that JSON has not; with its line.
            Or PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise SpecError("$", NOT_INSTALLED) from error
    try:
        return [each for each in yaml.load_all(text, _loader_class()) if each is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}" if mark else "$"
        raise SpecError(place, f"no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise SpecError("$", f"no YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:  # a tag such as !!int before what is none
        raise SpecError("$", f"no YAML: {error}") from error


@cache
def _loader_class() -> Any:
    """Make PyYAML's loader for the plain values of YAML 1.2; a class, and only made here, as PyYAML may be missing."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  the base class has it so
        yaml_constructors: dict[str, Any] = {}  # noqa: RUF012

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise _refused(self.peek_event(), "an alias is refused, by Pachyderm too; write the value out")
            return super().compose_node(parent, index)

    for name, pattern, first in _WORDS:
        Loader.add_implicit_resolver(_TAG + name, pattern, first)
    for name, construct in _CONSTRUCTORS.items():
        Loader.add_constructor(_TAG + name, construct)
    Loader.add_constructor(None, _unknown)
    return Loader


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise _refused(key_node, f"expected a name before the colon, found {key!r}; put it in quotes")
        if key in found:
            raise _refused(key_node, f"the field {key} is given twice")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _unknown(_loader: Any, node: Any) -> Any:
    raise _refused(node, f"the tag {node.tag} is refused; a spec holds plain values")


def _refused(node: Any, problem: str) -> SpecError:
    return SpecError(f"line {node.start_mark.line + 1}", problem)


def _whole(text: str) -> int:
    """Read a whole number; leading zeros do not make it octal."""
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


_TAG = "tag:yaml.org,2002:"
_CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {
    "map": _mapping,
    "seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "str": lambda loader, node: loader.construct_scalar(node),
    "null": lambda _loader, _node: None,
    "bool": lambda loader, node: loader.construct_scalar(node).lower() == "true",
    "int": lambda loader, node: _whole(loader.construct_scalar(node)),
    "float": lambda loader, node: float(loader.construct_scalar(node)),
}


def to_yaml(value: object) -> str:
    """Write plain values as one YAML document.

    Raises:
        LocalpachError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise LocalpachError("-o yaml needs PyYAML: `pip install pyyaml`, or use -o json") from error

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True  # no anchors: pachctl writes none, and its reader takes none

    return "---\n" + str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True)).rstrip()
