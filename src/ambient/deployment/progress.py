"""Shows how far a transfer is: a bar on a terminal, one line a file elsewhere."""

import sys
import time
from typing import TextIO

_WIDTH = 30
_REDRAW_S = 0.1


class Progress:
    """The progress of several files that are moved one after the other.

    Args:
        verb: What is done: `uploading`.
        total_bytes: Bytes of all files.
        stream: Where to show it; a bar if it is a terminal.
    """

    def __init__(self, verb: str, total_bytes: int, stream: TextIO | None = None) -> None:
        self._verb = verb
        self._total = total_bytes
        self._stream = stream if stream is not None else sys.stderr
        self._bar = self._stream.isatty()
        self._done = 0
        self._drawn_s = 0.0

    def moved(self, name: str, file_bytes: int) -> None:
        """Show that so many bytes of a file have gone; the bar is drawn ten times a second at most."""
        now_s = time.monotonic()
        if self._bar and now_s - self._drawn_s >= _REDRAW_S:
            self._drawn_s = now_s
            self._draw(self._done + file_bytes, name)

    def finished(self, name: str, file_bytes: int) -> None:
        """Show that a file is done."""
        self._done += file_bytes
        if self._bar:
            self._draw(self._done, name)
        else:
            self.report(f"{self._verb} {name}: {_size(file_bytes)}")

    def skipped(self, size_bytes: int) -> None:
        """Count bytes that need not be moved any more."""
        self._done += size_bytes

    def report(self, line: str) -> None:
        """Write a line of its own, below which the bar goes on."""
        print(f"\r\x1b[K{line}" if self._bar else line, file=self._stream, flush=True)

    def close(self) -> None:
        """End the bar, so that what follows has a line of its own."""
        if self._bar:
            print(file=self._stream, flush=True)

    def _draw(self, done: int, name: str) -> None:
        share = min(done / self._total, 1.0) if self._total else 1.0
        filled = int(share * _WIDTH)
        bar = "#" * filled + "." * (_WIDTH - filled)
        line = f"{self._verb} [{bar}] {100 * share:3.0f} % of {_size(self._total)}  {name[:30]}"
        print(f"\r\x1b[K{line}", end="", file=self._stream, flush=True)


def _size(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"
