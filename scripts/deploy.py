#!/usr/bin/env python3
"""Puts pipelines, songs and results on and off a Pachyderm cluster, or localpach where no cluster is configured."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.version_info < (3, 11):  # noqa: UP036 -- one line for those who start it with an older one
    sys.exit(f"error: Python {sys.version.split()[0]}; expected 3.11 or newer. Run . .venv/bin/activate first")
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # so that any Python 3.11 runs it, installed or not

from ambient.deployment.program import build_parser, main  # noqa: E402 -- after the path is set

__all__ = ["build_parser"]

if __name__ == "__main__":
    sys.exit(main())
