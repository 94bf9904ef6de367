"""Has anything in the state changed? One thread looks, whoever wants to know waits; changes of any process count.

SQLite gives each connection a number that changes when another one, of this process or not, has committed something.
Reading it costs microseconds, so it is read often.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_S = 0.05


class Subscription:
    """What one reader has not heard of yet. A change between two waits is not missed; several count as one."""

    def __init__(self) -> None:
        self._changed = threading.Event()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until something has changed since the last wait.

        Args:
            timeout_s: For how long at most; None is for ever.

        Returns:
            Whether something has.
        """
        changed = self._changed.wait(timeout_s)
        self._changed.clear()
        return changed

    def wake(self) -> None:
        """End the wait, as a change would."""
        self._changed.set()


class News:
    """Tells its subscribers of changes, from `start` to `stop`.

    Args:
        state: The state folder, in which the database must be already.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "state.sqlite"
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="localpach news", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wake all who wait."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.notify()

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Hear of changes inside the block; the first wait returns at once."""
        subscription = Subscription()
        subscription.wake()
        with self._lock:
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)

    def notify(self) -> None:
        """Wake all subscribers, as a change would."""
        with self._lock:
            for subscription in self._subscriptions:
                subscription.wake()

    def _watch(self) -> None:
        connection = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, isolation_level=None)
        try:
            seen = None
            while not self._stopping.wait(_LOOK_S):
                version = connection.execute("PRAGMA data_version").fetchone()
                if version != seen:
                    seen = version
                    self.notify()
        finally:
            connection.close()
