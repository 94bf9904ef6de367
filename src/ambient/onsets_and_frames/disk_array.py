"""Keep one row of numbers a frame outside memory, so that the length of a recording costs disk and not memory."""

import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

_BYTES = 4  # of a float32


class DiskArray:
    """Rows of float32 in a temporary file that has no name and goes when it is closed; a context manager.

    A file that is read and written, not a mapped one: mapped pages count as memory of the program.

    Args:
        columns: Numbers a row.
        folder: Where the file is made; the system's folder for such files by default.
    """

    def __init__(self, columns: int, *, folder: Path | None = None) -> None:
        self._columns = columns
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> "DiskArray":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def write(self, first: int, rows: np.ndarray) -> None:
        """Store [n, columns] as rows `first` to `first + n`, not included."""
        assert rows.shape[1:] == (self._columns,), f"expected {self._columns} columns. Received: {rows.shape}"
        self._file.seek(first * self._columns * _BYTES)
        rest = np.ascontiguousarray(rows, dtype=np.float32).data.cast("B")
        while rest:  # a raw file may take less than it is given
            rest = rest[self._file.write(rest) :]

    def read(self, first: int, last: int) -> np.ndarray:
        """Return rows `first` to `last`, not included, which must have been written, as [n, columns] float32."""
        rows = np.empty((last - first, self._columns), dtype=np.float32)
        self._file.seek(first * self._columns * _BYTES)
        rest = rows.data.cast("B") if rows.size else memoryview(b"")
        while rest:
            count = self._file.readinto(rest)
            assert count, f"rows {first} to {last} were not written"
            rest = rest[count:]
        return rows
