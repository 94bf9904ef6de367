"""Start the machine-learning framework: the one place that chooses Keras' backend, before keras is imported."""

import importlib
import os

from ambient.native_messages import native_messages_hidden


def choose_framework() -> None:
    """Set what counts at the first import only: TensorFlow unless `KERAS_BACKEND` says otherwise, and no chatter."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def start_framework() -> None:
    """Import keras with the framework behind it, without its start-up notes on stderr."""
    choose_framework()
    with native_messages_hidden():  # some are written before any setting is read
        importlib.import_module("keras")
