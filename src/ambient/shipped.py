"""Where to find what ships with the code: models, pipeline specs and samples, and under which name the stages are.

In a checkout the folders beside this file are links to those at its root; a wheel carries them as data of the package.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
SHIPPED_MODELS = (_HERE / "trained-models").resolve()
SHIPPED_PIPELINES = (_HERE / "pipelines").resolve()
SHIPPED_SAMPLES = (_HERE / "samples").resolve()
STAGES = "stages" if (_HERE / "stages").is_symlink() else "ambient.stages"  # `stages` is too general for site-packages


def command_here(words: list[str]) -> list[str]:
    """Return the command of a shipped spec with the name that its stage has in this installation.

    Args:
        words: `cmd` of a spec: `python3 -m stages.NAME …`, as in the images and in a checkout.
    """
    match words:
        case [python, "-m", module, *flags] if module.startswith("stages."):
            return [python, "-m", STAGES + module.removeprefix("stages"), *flags]
    return words
