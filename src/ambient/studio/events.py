"""What has changed, for every page that is open: server-sent events that a slow page cannot hold up.

Nothing is queued. A topic holds the newest state as JSON with a number; each client remembers which number it has
sent, and when woken sends what is newer. Of a composition that grows, only the notes that the client lacks are sent.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

_HEARTBEAT_S = 15.0
_LEAST_S = 0.05  # between two messages to one client

# Revision and notes so far, by composition: a new revision begins anew.
Growing = Callable[[], dict[str, tuple[int, list[Any]]]]


class Hub:
    """Keeps the topics and wakes the clients.

    Args:
        growing: Gives the notes of the compositions that are being made.
    """

    def __init__(self, growing: Growing = dict) -> None:
        self._growing = growing
        self._lock = threading.Lock()
        self._topics: dict[str, tuple[int, str]] = {}
        self._clients: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False

    def publish(self, topic: str, state: Any) -> None:
        """Replace the state of a topic; from any thread. What is the same as before wakes nobody."""
        text = json.dumps(state)
        with self._lock:
            number, before = self._topics.get(topic, (0, ""))
            if text == before:
                return
            self._topics[topic] = (number + 1, text)
        self.wake()

    def wake(self) -> None:
        """Let every client look; from any thread."""
        with self._lock:
            clients = list(self._clients)
        for loop, event in clients:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self.wake()

    @property
    def clients(self) -> int:
        """How many pages listen."""
        return len(self._clients)

    async def stream(self) -> AsyncIterator[str]:
        """Yield the events of one client: first everything there is, then what changes."""
        event = asyncio.Event()
        client = (asyncio.get_running_loop(), event)
        sent: dict[str, int] = {}
        cursors: dict[str, tuple[int, int]] = {}
        with self._lock:
            self._clients.add(client)
        try:
            yield "retry: 1000\n\n"
            while not self._closed:
                event.clear()
                for text in [*self._newer(sent), *self._notes(cursors)]:
                    yield text
                await asyncio.sleep(_LEAST_S)
                try:
                    await asyncio.wait_for(event.wait(), _HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            with self._lock:
                self._clients.discard(client)

    def _newer(self, sent: dict[str, int]) -> list[str]:
        with self._lock:
            topics = dict(self._topics)
        texts = []
        for topic, (number, text) in topics.items():
            if sent.get(topic) != number:
                sent[topic] = number
                texts.append(f"event: {topic}\ndata: {text}\n\n")
        return texts

    def _notes(self, cursors: dict[str, tuple[int, int]]) -> list[str]:
        texts = []
        for name, (revision, notes) in self._growing().items():
            before, count = cursors.get(name, (-1, 0))
            begin = count if before == revision else 0
            if before == revision and begin == len(notes):
                continue
            part = notes[begin:]
            cursors[name] = (revision, begin + len(part))
            texts.append(f"event: notes\ndata: {json.dumps({'id': name, 'from': begin, 'notes': part})}\n\n")
        return texts
