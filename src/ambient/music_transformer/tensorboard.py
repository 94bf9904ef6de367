"""The course of a training for TensorBoard: scalars in an event file, which is a TFRecord file of `Event` messages.

Event    1 wall time, double   2 step   3 version of the file, text   5 Summary
Summary  1 Value               Value    1 name, text   2 value, float
"""

import time
from collections.abc import Mapping
from pathlib import Path

from ambient.music_transformer.tfrecord import frame
from ambient.protobuf import field


class EventLog:
    """Appends scalars to a new event file in a folder; a resumed run adds another file, and TensorBoard joins them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.ambient"
        self.path.write_bytes(frame(field(1, time.time(), double=True) + field(3, b"brain.Event:2")))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add the values at a step."""
        values = b"".join(field(1, field(1, name.encode()) + field(2, float(v))) for name, v in scalars.items())
        event = field(1, time.time(), double=True) + field(2, step) + field(5, values)
        with open(self.path, "ab") as file:
            file.write(frame(event))
