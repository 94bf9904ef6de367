"""Puts pipelines, songs and results on and off a Pachyderm cluster, or localpach where no cluster is configured."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # so that any Python 3.11 runs it, installed or not

from deployment.program import build_parser, main  # noqa: E402 -- after the path is set

__all__ = ["build_parser"]

if __name__ == "__main__":
    sys.exit(main(root=ROOT))
