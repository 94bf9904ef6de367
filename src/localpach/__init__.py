"""localpach: Pachyderm pipeline specs on one machine, without a cluster or a daemon."""

import warnings
from importlib import import_module
from types import ModuleType

_FORMER_PLACES = {"files": "actions", "jobs": "running", "repos": "actions"}  # documented in 0.1; until release 0.3


def __getattr__(name: str) -> ModuleType:
    """Find a module where 0.1 had it: `from localpach import files`."""
    if name not in _FORMER_PLACES:
        raise AttributeError(f"module 'localpach' has no attribute {name!r}")
    place = f"localpach.{_FORMER_PLACES[name]}.{name}"
    warnings.warn(f"localpach.{name} is {place} now", DeprecationWarning, stacklevel=2)
    return import_module(place)
