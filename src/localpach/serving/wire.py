"""The one door to gRPC and to Pachyderm's messages; without them localpach works, and only serves nobody."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localpach.errors import ServeError

try:
    import betterproto
    import grpc
    from betterproto.lib.google.protobuf import BytesValue, Empty
    from pachyderm_sdk.api import admin, pfs, pps, transaction, version
except ModuleNotFoundError as missing:
    raise ServeError(f"{missing.name} is not installed; run pip install pachyderm-sdk") from None

__all__ = [
    "BytesValue", "Empty", "Method", "admin", "as_fields", "filled", "grpc", "is_set", "pfs", "pps", "set_field",
    "transaction", "version",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a service.

    Attributes:
        run: Answers: given the call and the request, or an iterator of requests, it gives a message, or an iterator.
        request: Class of the request's messages.
        streams_in: Whether the client sends many.
        streams_out: Whether the server does.
    """

    run: Callable[[Any, Any], Any]
    request: Any
    streams_in: bool = False
    streams_out: bool = False


def filled(message: Any, fields: Mapping[str, Any]) -> Any:
    """Make a message of a class from its JSON form, in which localpach describes things."""
    return message().from_dict(fields)


def as_fields(message: Any) -> dict[str, Any]:
    """Give the JSON form of a message, names in snake_case, fields without a value left out."""
    fields: dict[str, Any] = message.to_dict(casing=betterproto.Casing.SNAKE)
    return fields


def set_field(message: Any, group: str) -> tuple[str, Any]:
    """Give the name and value of the field of a group that is set; empty if none is."""
    found: tuple[str, Any] = betterproto.which_one_of(message, group)
    return found


def is_set(message: Any) -> bool:
    """Tell whether a message inside another was sent, even if it is empty."""
    return bool(betterproto.serialized_on_wire(message))
