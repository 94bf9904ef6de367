"""A connection to a cluster: retries, and errors in one line. Every call must be safe to repeat."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import grpc
from pachyderm_sdk import Client, constants

from ambient.deployment.errors import DeployError, NoClusterError, OldServerError, TokenRefusedError, WentAwayError
from ambient.deployment.retry import Retry, TransientError

Result = TypeVar("Result")
NEWEST_TRIED = (2, 12)
# The SDK's callbacks raise in gRPC's threads, which logs what we report in one line anyway.
logging.getLogger("grpc").addHandler(logging.NullHandler())
# As pachctl does: notice within 40 s that the other side is gone, and come back soon when it is there again.
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_TRANSIENT = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "CANCELLED")


class Connection:
    """A connection to a cluster.

    Args:
        client: The SDK's client.
        address: Where it is, for messages.
        retry: How long to try again.
    """

    def __init__(self, client: Client, address: str, retry: Retry) -> None:
        self.client = client
        self.address = address
        self.retry = retry
        self.version = (0, 0, 0)

    def attempt(self, what: str, call: Callable[[], Result]) -> Result:
        """Make a call with retries, and describe its failure in our words."""

        def translated() -> Result:
            try:
                return call()
            except (grpc.RpcError, ConnectionError) as error:
                raise self._explained(what, error) from error

        try:
            return self.retry.call(what, translated)
        except TransientError as error:
            raise WentAwayError(self.address, what, str(error)) from error

    def once(self, what: str, call: Callable[[], Any], done: str) -> None:
        """Make a call whose repetition the server refuses; only after a lost answer that refusal means success."""
        tries = 0

        def counted() -> None:
            nonlocal tries
            tries += 1
            try:
                call()
            except grpc.RpcError as error:
                if tries == 1 or not says(error, done):
                    raise

        self.attempt(what, counted)

    def or_none(self, what: str, call: Callable[[], Result]) -> Result | None:
        """Make a call; None where the server says that what it is about is not there."""
        try:
            return self.attempt(what, call)
        except DeployError as error:
            if is_not_found(error.__cause__):
                return None
            raise

    def _explained(self, what: str, error: Exception) -> Exception:
        code = error.code().name if isinstance(error, grpc.RpcError) else "UNAVAILABLE"
        details = " ".join(str(error.details() if isinstance(error, grpc.RpcError) else "no connection").split())
        broken = code in ("INTERNAL", "UNKNOWN") and ("RST_STREAM" in details or "transport" in details.lower())
        if code in _TRANSIENT or broken:
            return TransientError(_shortened(details))
        if (
            code in ("UNAUTHENTICATED", "PERMISSION_DENIED")
            or "not authorized to" in details
            or "auth token" in details
        ):
            return TokenRefusedError(self.address, _shortened(details))
        if code == "UNIMPLEMENTED":
            return OldServerError(self.address, f"{what}: the server does not know this call")
        return DeployError(f"{self.address}: {what}: {_shortened(details)}")


def open_connection(address: str | None, config: Path | None, retry: Retry) -> Connection:
    """Open a connection, and see that a Pachyderm of the right age answers.

    Args:
        address: `grpc://HOST:PORT`, `HOST:PORT` or `grpcs://…`; None takes the active context of `config`.
        config: pachctl's configuration file.
        retry: For the calls that follow; the first contact is made twice at most.

    Raises:
        NoClusterError: nothing answers, or not Pachyderm.
        OldServerError: it is older than the specs.
    """
    for option in _CHANNEL_OPTIONS:
        if option not in constants.GRPC_CHANNEL_OPTIONS:
            constants.GRPC_CHANNEL_OPTIONS.append(option)
    shown = address or f"the cluster of {config}"
    try:
        client = Client.from_pachd_address(address) if address else Client.from_config(config)
        shown = address or f"{client.address} (from {config})"
    except (grpc.RpcError, ConnectionError) as error:
        raise NoClusterError(shown, "no answer") from error
    except Exception as error:  # the SDK reads address and file with whatever they raise
        raise DeployError(f"{shown}: {error}; expected grpc://HOST:PORT. Correct the address") from error
    found = Connection(client, shown, replace(retry, tries=2))
    try:
        version = found.attempt("asking for the version", client.get_version)
    except WentAwayError as error:
        raise NoClusterError(shown, f"no answer ({error.__cause__})") from error
    except OldServerError as error:
        raise NoClusterError(shown, "something answers that is not Pachyderm") from error
    found.version = (version.major, version.minor, version.micro)
    if found.version < (2, 6):
        raise OldServerError(shown, f"runs Pachyderm {'.'.join(map(str, found.version))}")
    found.retry = retry
    return found


def is_not_found(error: BaseException | None) -> bool:
    """Whether an error is the answer that what was asked for is not there."""
    return isinstance(error, grpc.RpcError) and says(error, "NOT_FOUND")


def says(error: Any, code: str) -> bool:
    """Whether an answer has a code; some of pachd's refusals have it in their words only."""
    name = error.code().name
    return bool(name == code or (name == "UNKNOWN" and code.replace("_", " ").lower() in str(error.details())))


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
