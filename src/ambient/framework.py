"""Start the machine-learning framework: the one place that chooses Keras' backend, before keras is imported."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def choose_framework() -> None:
    """Set what counts at the first import only: TensorFlow unless `KERAS_BACKEND` says otherwise, and no chatter."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def start_framework() -> None:
    """Import keras with the framework behind it, without its start-up notes on stderr."""
    choose_framework()
    with _native_messages_hidden():  # some are written before any setting is read
        importlib.import_module("keras")


@contextmanager
def _native_messages_hidden() -> Iterator[None]:
    """Keep off stderr what native libraries write to it past Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
