"""What can localpach do on this machine? Each feature that depends on it, with what is missing."""

import os
import sqlite3
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from localpach.errors import LocalpachError
from localpach.running.container import find_engine
from localpach.running.private_pfs import NoPrivatePfsError, PrivatePfs


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that may be here or not.

    Attributes:
        name: What it is.
        missing: Why it is not here; empty if it is.
        detail: What it is for, or its size or version.
    """

    name: str
    missing: str
    detail: str


def examine(folder: Path) -> list[Feature]:
    """Look at everything.

    Args:
        folder: The state folder, which need not be there.
    """
    return [
        _private_pfs(),
        _containers(),
        _package(
            "serve", "pachyderm_sdk", "`localpach serve` for Pachyderm's own clients", "pip install pachyderm-sdk"
        ),
        _package("YAML", "yaml", "specs and `-o yaml`", "pip install pyyaml"),
        _package("jsonnet", "_jsonnet", "`create pipeline --jsonnet`", "pip install jsonnet"),
        Feature("state", _unwritable(folder), f"{folder}, SQLite {sqlite3.sqlite_version}"),
        Feature("processors", "", f"{os.cpu_count()}, so many datums of a pipeline run side by side at most"),
        Feature("Python", "", f"{sys.version.split()[0]}, {sys.executable}; it is the python3 of programs"),
    ]


def _private_pfs() -> Feature:
    detail = "processes find their datum at /pfs itself"
    try:
        PrivatePfs().close()
    except NoPrivatePfsError as error:
        return Feature("a /pfs of its own", f"{error}; /pfs is mapped in cmd, stdin and env alone", detail)
    return Feature("a /pfs of its own", "", detail)


def _containers() -> Feature:
    try:
        return Feature("containers", "", f"--executor container, with {find_engine().name}")
    except LocalpachError as error:
        return Feature("containers", str(error), "--executor container")


def _package(name: str, module: str, detail: str, remedy: str) -> Feature:
    return Feature(name, "" if find_spec(module) else f"not installed; {remedy}", detail)


def _unwritable(folder: Path) -> str:
    nearest = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return "" if os.access(nearest, os.W_OK) else f"{nearest} cannot be written to; name another --state"
