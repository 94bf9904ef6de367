"""Who answers Pachyderm's clients? A gRPC server over the state, beside the runner that runs its jobs.

::

    client ─▶ token? ─▶ method? ─▶ a thread with the state open ─▶ localpach's own functions ─▶ message
                 │          │                                              │ error
            UNAUTHENTICATED UNIMPLEMENTED                              code and one line
"""

import hmac
import ipaddress
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from localpach import errors
from localpach.serving import cluster, pfs_commits, pfs_files, pfs_repos, pps_jobs, pps_logs, pps_pipelines
from localpach.serving.call import Call, GoneError
from localpach.serving.runner import Runner
from localpach.serving.transactions import FIELDS, METADATA, Transactions
from localpach.serving.wire import Method, grpc
from localpach.storage.store import Store

DEFAULT_PORT = 30650
DEFAULT_VERSION = (2, 12, 2)
TOKEN_METADATA = "authn-token"
MESSAGE_BYTES = 20 * 2**20  # as pachd; the SDK sends parts of 19 MB
_CALLS_AT_ONCE = 256  # a client that waits for a job keeps a thread
_GRACE_S = 2.0
_NOT_ACTIVATED = "the auth service is not activated"
_FOR_USERS = ("/auth_v2.API/", "/identity_v2.API/", "/license_v2.API/")

_CODES = (
    (errors.NotFoundError, "NOT_FOUND"),
    (errors.AlreadyExistsError, "ALREADY_EXISTS"),
    (errors.UnsupportedError, "UNIMPLEMENTED"),
    (errors.OneProjectError, "UNIMPLEMENTED"),
    (
        (
            errors.NameRefusedError, errors.FileNameError, errors.SpecError, errors.GlobError, errors.AddressError,
            errors.ScheduleError, errors.SecretError, errors.SourceError, errors.DirectoryError,
        ),
        "INVALID_ARGUMENT",
    ),
    (errors.DamagedObjectError, "DATA_LOSS"),
    (errors.StateError, "UNAVAILABLE"),
    (errors.LocalpachError, "FAILED_PRECONDITION"),
)  # fmt: skip


class Server:
    """The server of one state, from `start` to `stop`.

    Args:
        runner: Runs the jobs; started and stopped with the server.
        state: The state folder.
        host: The address to listen on; one that others can reach needs a token.
        port: The port; 0 for any that is free.
        token: What clients must know; empty for none.
        pretends: The version of Pachyderm that it says it is.

    Raises:
        ServeError: others can reach the address, and there is no token.
    """

    def __init__(
        self,
        runner: Runner,
        state: Path,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        token: str = "",
        pretends: tuple[int, int, int] = DEFAULT_VERSION,
    ) -> None:
        if not token and not _is_loopback(host):
            raise errors.ServeError(
                f"{host} can be reached by others, who could run programs as you; give a --token, or use 127.0.0.1"
            )
        self._runner = runner
        self._state = state
        self._host = host
        self._token = token.encode()
        self._pretends = pretends
        self._transactions = Transactions()
        self.services = {
            **cluster.SERVICES,
            "pfs_v2.API": {**pfs_repos.METHODS, **pfs_commits.METHODS, **pfs_files.METHODS},
            "pps_v2.API": {**pps_pipelines.METHODS, **pps_jobs.METHODS, **pps_logs.METHODS},
            "transaction_v2.API": self._transactions.methods(),
        }
        self.port = port
        self._server: Any = None

    def start(self) -> None:
        """Listen, and begin to run jobs.

        Raises:
            ServeError: the port is taken.
            ServedError: another process serves this state.
        """
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="localpach call"),
            handlers=[_Handlers(self)],
            maximum_concurrent_rpcs=_CALLS_AT_ONCE,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        try:
            self.port = self._server.add_insecure_port(f"{_bracketed(self._host)}:{self.port}")
        except RuntimeError:
            raise errors.ServeError(
                f"{self._host}:{self.port} is taken, or no address of this machine; choose another --port or --host"
            ) from None
        self._runner.start()
        self._server.start()

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"grpc://{_bracketed(self._host)}:{self.port}"

    def stop(self) -> None:
        """Let calls end that are about to, stop the others, and stop running jobs."""
        if self._server is not None:
            self._server.stop(_GRACE_S).wait()
        self._runner.stop()

    def find(self, path: str) -> tuple[str, Method | None]:
        """Find the method of a path such as `/pfs_v2.API/CreateRepo`: its name, and None if it is not here."""
        _, service, name = path.split("/") if path.count("/") == 2 else ("", "", path)
        return name, self.services.get(service, {}).get(name)

    def has_token(self, metadata: Any) -> bool:
        """Tell whether a client knows the token."""
        given = next((value for key, value in metadata or () if key == TOKEN_METADATA), "")
        return not self._token or hmac.compare_digest(str(given).encode(), self._token)

    @contextmanager
    def call(self, context: Any) -> Iterator[Call]:
        """Begin a call, with the state opened for it; an error in the block goes to the client."""
        try:
            with closing(Store(self._state)) as store:
                yield Call(store, self._runner.news, context, self._pretends)
        except grpc.RpcError:  # the client has left in the middle of its stream
            raise
        except Exception as error:  # whatever it is, the server goes on
            code, details = _explained(error)
            context.abort(code, details)

    def answer(self, name: str, method: Method, request: Any, context: Any) -> Any:
        """Answer a call that gives one message."""
        with self.call(context) as call:
            transaction_id = dict(context.invocation_metadata()).get(METADATA)
            if transaction_id and name in FIELDS:
                return self._transactions.add(call, transaction_id, name, request)
            return method.run(call, request)

    def answers(self, method: Method, request: Any, context: Any) -> Iterator[Any]:
        """Answer a call that gives many messages."""
        with self.call(context) as call:
            for message in method.run(call, request):
                yield message
                call.check_client()


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC has no types
    """Finds who answers a call."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def service(self, details: Any) -> Any:
        """Give the handler of a method; one that is not here gets a handler that says so."""
        name, method = self._server.find(details.method)
        if not self._server.has_token(details.invocation_metadata):
            return _refusing("UNAUTHENTICATED", "the token is missing or wrong; give the one that the server has")
        if details.method.startswith(_FOR_USERS):
            return _refusing("UNIMPLEMENTED", _NOT_ACTIVATED)
        if method is None:
            return _refusing("UNIMPLEMENTED", f"{name} is not among the calls that localpach answers")
        kind = f"{'stream' if method.streams_in else 'unary'}_{'stream' if method.streams_out else 'unary'}"
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            self._behaviour(name, method), request_deserializer=method.request.FromString, response_serializer=bytes
        )

    def _behaviour(self, name: str, method: Method) -> Callable[[Any, Any], Any]:
        if method.streams_out:
            return lambda request, context: self._server.answers(method, request, context)
        return lambda request, context: self._server.answer(name, method, request, context)


def _refusing(code: str, details: str) -> Any:
    """Make a handler that refuses without reading what comes."""

    def refuse(_requests: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode[code], details)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _explained(error: BaseException) -> tuple[Any, str]:
    if isinstance(error, GoneError):
        return grpc.StatusCode.CANCELLED, "the client has left, or the server stops"
    code = next((code for kinds, code in _CODES if isinstance(error, kinds)), None)
    if code is not None:
        return grpc.StatusCode[code], str(error)
    if isinstance(error, (sqlite3.Error, OSError)):  # the disk is full, the state is gone
        return grpc.StatusCode.UNAVAILABLE, f"the state cannot be read or written: {error}"
    traceback.print_exception(error, file=sys.stderr)  # a fault of ours, which its maintainers want to see
    return grpc.StatusCode.INTERNAL, f"localpach has a fault: {type(error).__name__}: {error}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host
