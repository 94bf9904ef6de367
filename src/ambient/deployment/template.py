"""Renders the jsonnet template of the pipelines with what a person wants otherwise; the one door to jsonnet."""

import json
from pathlib import Path
from typing import Any

from ambient.deployment.errors import DeployError


def render(template: Path, arguments: dict[str, str]) -> Any:
    """Call the template's top-level function, as `pachctl create pipeline --jsonnet FILE --arg KEY=VALUE` does.

    Args:
        template: The `.jsonnet` file.
        arguments: By name; all are strings, those that are left out keep the template's defaults.

    Returns:
        The parsed result: a list of specs.

    Raises:
        DeployError: jsonnet is not installed, or the template does not take these arguments.
    """
    try:
        import _jsonnet  # optional: only who changes something needs it
    except ModuleNotFoundError:
        raise DeployError(
            "jsonnet: not installed; expected it, to change pipelines by flags. Run pip install jsonnet"
        ) from None
    try:
        return json.loads(_jsonnet.evaluate_file(str(template), tla_vars=arguments))
    except RuntimeError as error:
        first = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise DeployError(f"{template}: {first}; expected specs. Correct the values that were given") from None
