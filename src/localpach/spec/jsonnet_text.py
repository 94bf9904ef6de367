"""Specs from a jsonnet template, as `pachctl create pipeline --jsonnet FILE --arg KEY=VALUE`; the door to jsonnet."""

from collections.abc import Mapping
from pathlib import Path

from localpach.errors import SpecError

NOT_INSTALLED = "is a jsonnet template; to read it, `pip install jsonnet`"


def evaluate(template: Path, arguments: Mapping[str, str]) -> str:
    """Call the function at the top of a template.

    Args:
        template: The file.
        arguments: By name; all are strings, those that are left out keep the defaults of the template.

    Returns:
        JSON: a spec, or a list of them.

    Raises:
        SpecError: jsonnet is not installed, or the template cannot be evaluated with these arguments.
    """
    try:
        import _jsonnet
    except ImportError as error:
        raise SpecError("$", NOT_INSTALLED, str(template)) from error
    try:
        return str(_jsonnet.evaluate_file(str(template), tla_vars=dict(arguments)))
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise SpecError("$", first, str(template)) from error
