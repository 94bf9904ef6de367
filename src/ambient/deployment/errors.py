"""What can go wrong between this machine and a cluster, one class a failure; each is one line for a person."""


class DeployError(Exception):
    """The work cannot be done; the message says what was found, what was expected and what to do."""


class SpecProblemsError(DeployError):
    """Pipeline specs break rules that a cluster would report only later.

    Args:
        problems: One line a problem, each with its place.
    """

    def __init__(self, problems: list[str]) -> None:
        more = f" (and {len(problems) - 1} more: see above)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = problems


class NoClusterError(DeployError):
    """Nothing that speaks Pachyderm answers at the address."""

    def __init__(self, address: str, found: str) -> None:
        super().__init__(
            f"{address}: {found}; expected a Pachyderm cluster. Check the address and that the cluster runs "
            "(pachctl version), or work on this machine with --address localpach"
        )


class TokenRefusedError(DeployError):
    """The cluster has access control and does not accept who we are."""

    def __init__(self, address: str, details: str) -> None:
        super().__init__(
            f"{address}: the auth token was refused ({details}); expected one that is valid and may do this. "
            "Run pachctl auth login, or set PACH_PYTHON_AUTH_TOKEN"
        )


class OldServerError(DeployError):
    """The cluster runs a Pachyderm that the specs are not made for."""

    def __init__(self, address: str, found: str) -> None:
        super().__init__(f"{address}: {found}; expected Pachyderm 2.6 to 2.12. Upgrade the cluster")


class WentAwayError(DeployError):
    """The cluster stopped answering, and did not come back while we tried."""

    def __init__(self, address: str, what: str, details: str) -> None:
        super().__init__(f"{address}: the cluster went away while {what} ({details}). Run the same command again")


class JobsFailedError(DeployError):
    """Jobs of a set did not succeed; what each datum said stands above the message.

    Args:
        causes: One line a pipeline that failed by itself.
    """

    def __init__(self, causes: list[str]) -> None:
        more = f" (and {len(causes) - 1} more: see above)" if len(causes) > 1 else ""
        super().__init__(causes[0] + more)
