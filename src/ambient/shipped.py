"""Where to find what ships with the code: models, pipeline specs and samples; and how to run a stage here.

In a checkout the folders beside this file are links to those at its root; a wheel carries them as data of the package.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
SHIPPED_MODELS = (_HERE / "trained-models").resolve()
SHIPPED_PIPELINES = (_HERE / "pipelines").resolve()
SHIPPED_SAMPLES = (_HERE / "samples").resolve()
IS_CHECKOUT = (_HERE / "stages").is_symlink()  # elsewhere there is no `stages`: too general for site-packages


def command_here(words: list[str]) -> list[str]:
    """Return the command of a shipped spec as this installation has the stage: in a wheel `python3 -m ambient NAME`.

    Args:
        words: `cmd` of a spec: `python3 -m stages.NAME …`, as in the images and in a checkout.
    """
    match words:
        case [python, "-m", module, *flags] if module.startswith("stages.") and not IS_CHECKOUT:
            return [python, "-m", "ambient", module.removeprefix("stages.").replace("_", "-"), *flags]
    return words
