"""What is given to whoever answers a call: the state, the news of it, and the client at the other end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from localpach.serving.news import News
from localpach.storage.store import Store

Found = TypeVar("Found")

_LOOK_S = 1.0  # how often it is seen whether a client that waits is still there


class GoneError(Exception):
    """The client does not wait any more, or the server stops."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one client.

    Attributes:
        store: The state, opened for this call.
        news: Tells of changes in it.
        context: gRPC's side of the call.
        pretends: The version of Pachyderm that the server says it is.
    """

    store: Store
    news: News
    context: Any
    pretends: tuple[int, int, int]

    def wait_for(self, find: Callable[[], Found | None]) -> Found:
        """Look again after each change until something is found.

        Raises:
            GoneError: the client left first.
        """
        with self.news.subscribed() as changes:
            while True:
                changes.wait(_LOOK_S)
                found = find()
                if found is not None:
                    return found
                self.check_client()

    def check_client(self) -> None:
        """Notice a client that has left.

        Raises:
            GoneError: it has.
        """
        if not self.context.is_active():
            raise GoneError
