"""Which pipelines are deployed? Reads specs from JSON files or renders the template, and checks them before use."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ambient.deployment import policy_check
from ambient.deployment.errors import DeployError, SpecProblemsError
from ambient.deployment.field_names import snake_case
from ambient.shipped import command_here

INPUT_REPOS = ("audio-unprocessed", "seeds")  # repos that no pipeline makes
FILES = (
    "audio-processed",
    "mp3-to-wav",
    "midi",
    "transformer-preprocess",
    "music-transformer",
    "generated-music",
    "rendered-music",
)
MADE_BY = "made by scripts/deploy.py"  # description of the repos that are ours to remove
CPU_FILE = "music-transformer-cpu"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline to deploy.

    Args:
        name: Of the pipeline and of its output repo.
        spec: The parsed spec, as its author wrote it.
        source: The file it came from, for messages.
    """

    name: str
    spec: dict[str, Any]
    source: str


def shipped(folder: Path, *, cpu: bool) -> list[Pipeline]:
    """Read the shipped specs in the order of creation; `cpu` takes the training that needs no GPU."""
    names = [CPU_FILE if cpu and name == "music-transformer" else name for name in FILES]
    return [pipeline for name in names for pipeline in read(folder / f"{name}.json")]


def read(path: Path) -> list[Pipeline]:
    """Read one JSON file: a spec or a list of specs.

    Raises:
        DeployError: the file is not there or holds something else.
    """
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeployError(f"{path}: {error.strerror}; expected a pipeline spec. Check the folder") from None
    except ValueError as error:
        raise DeployError(f"{path}: no JSON ({error}); expected a pipeline spec. Correct the file") from None
    return pipelines(parsed, str(path))


def pipelines(parsed: Any, source: str) -> list[Pipeline]:
    """Wrap parsed specs; a `$schema` key is dropped, as pachctl does."""
    found = []
    for spec in parsed if isinstance(parsed, list) else [parsed]:
        if not isinstance(spec, dict):
            raise DeployError(
                f"{source}: holds no object; expected a pipeline spec or a list of them. Correct the file"
            )
        kept = {key: value for key, value in spec.items() if key != "$schema"}
        pipeline = kept.get("pipeline")
        name = pipeline.get("name") if isinstance(pipeline, dict) else None
        found.append(Pipeline(str(name or "?"), kept, source))
    return found


def here(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline of ours for localpach on this machine: its command names the stage as it is installed here."""
    transform = pipeline.spec["transform"]
    return replace(pipeline, spec=pipeline.spec | {"transform": transform | {"cmd": command_here(transform["cmd"])}})


def check(
    found: list[Pipeline], repos: Iterable[str] = INPUT_REPOS, server: tuple[int, int] = policy_check.OLDEST_SERVER
) -> None:
    """Refuse specs that Pachyderm would not take or that break our rules.

    Raises:
        SpecProblemsError: with one line a problem.
    """
    from ambient.deployment.pachd import CREATE_PIPELINE_REQUEST  # the SDK is only there where a cluster is meant
    from ambient.deployment.schema_check import problems

    wrong = [
        f"{pipeline.source}: {line}" for pipeline in found for line in problems(pipeline.spec, CREATE_PIPELINE_REQUEST)
    ]
    if not wrong:
        specs = [snake_case(pipeline.spec) for pipeline in found]
        wrong = list(policy_check.set_problems(specs, repos, server))
    if wrong:
        raise SpecProblemsError(wrong)


def removal_question(pipelines: list[str], repos: list[str]) -> str:
    """Name what would be removed, for the person who is asked."""
    return (
        f"Remove the pipelines {', '.join(pipelines) or '(none)'} with all results, "
        f"and the repos {', '.join(repos) or '(none)'} with all songs"
    )
