"""Where to find what ships with the code: models, pipeline specs and sample primers.

In a checkout the folders beside this file are links to those at its root; a wheel carries them as data of the package.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
SHIPPED_MODELS = (_HERE / "trained-models").resolve()
SHIPPED_PIPELINES = (_HERE / "pipelines").resolve()
SHIPPED_PRIMERS = (_HERE / "samples" / "midi").resolve()
