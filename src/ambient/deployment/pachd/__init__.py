"""The one door to pachyderm-sdk: the few calls we make to a Pachyderm cluster, in plain values and one-line errors.

Every call is tried again while the cluster is away (`retry`) and is safe to repeat: what an earlier try
has done already counts as done.
"""

import os
from pathlib import Path

from ambient.deployment.errors import DeployError
from ambient.deployment.retry import Retry

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log lines would stand between ours
try:
    from ambient.deployment.pachd.commits import Commits, Files
    from ambient.deployment.pachd.connection import NEWEST_TRIED, Connection, open_connection
    from ambient.deployment.pachd.jobs import Jobs
    from ambient.deployment.pachd.messages import CREATE_PIPELINE_REQUEST
    from ambient.deployment.pachd.repos import Pipelines, Repos
except ModuleNotFoundError as missing:
    raise DeployError(
        f"{missing.name}: not installed; expected pachyderm-sdk, which deploy.py needs. Run pip install pachyderm-sdk "
        "or make test's environment; localpach's own commands need nothing"
    ) from None

__all__ = ["CREATE_PIPELINE_REQUEST", "NEWEST_TRIED", "Pachd", "connect"]


class Pachd:
    """A cluster.

    Attributes:
        address: Where it is, for messages.
        version: Of the server: major, minor, micro.
    """

    def __init__(self, connection: Connection) -> None:
        self.address = connection.address
        self.version = connection.version
        self.repos = Repos(connection)
        self.pipelines = Pipelines(connection)
        self.commits = Commits(connection)
        self.files = Files(connection)
        self.jobs = Jobs(connection)


def connect(address: str | None, config: Path | None, retry: Retry) -> Pachd:
    """Open a connection, and see that a Pachyderm of the right age answers; see `open_connection`."""
    return Pachd(open_connection(address, config, retry))
