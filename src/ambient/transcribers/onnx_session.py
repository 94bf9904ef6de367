"""Run ONNX models: the one door to onnxruntime."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ambient.errors import InputError

_INSTALL = "Install it with pip install onnxruntime"


class OnnxSession:
    """A model that is ready to run; several threads may run it at once.

    Args:
        model: File, or its bytes.
        threads: How many threads share an operation; by default as many as this process may run on.

    Raises:
        InputError: onnxruntime is not installed.
    """

    def __init__(self, model: Path | bytes, *, threads: int | None = None) -> None:
        # From 1.29 on onnxruntime would note down an identifier of the machine in the user's cache, and send to its
        # makers which models run and how. It reads this variable once, when it is imported.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError("onnxruntime", "not installed", "it runs the network", _INSTALL) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or processors()
        # Threads sleep where there is nothing to do. Else they keep other programs from the cores that they wait on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        source = str(model) if isinstance(model, Path) else model
        self._session: Any = onnxruntime.InferenceSession(
            source, sess_options=options, providers=["CPUExecutionProvider"]
        )

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs."""
        return [each.name for each in self._session.get_inputs()]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of these names, in this order."""
        answers: list[np.ndarray] = self._session.run(list(outputs), dict(inputs))
        return answers


def processors() -> int:
    """Return how many processor cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
