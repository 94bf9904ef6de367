"""How a composed piece was made, as text events in its MIDI file: what `generate` writes, and others read.

One event holds the settings, another the notes of the primer, so that a piece shows what it was begun from wherever it
goes.

Conventions: a digest is the first 16 hex digits of a SHA-256; it names a primer by its content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ambient.notes import Note

PRIMER_S = 60.0  # of a longer primer, so much of its end is kept
_MARK = "ambient-music-generation "
_PRIMER_MARK = "ambient-music-generation-primer "
_LATEST_MS = 3_600_000


def settings_to_text(settings: Mapping[str, Any]) -> str:
    """Return the text event that holds the settings; `texts_to_settings` is the inverse."""
    return _MARK + json.dumps(settings, sort_keys=True)


def texts_to_settings(texts: Iterable[str]) -> dict[str, Any] | None:
    """Return the settings that stand in the text events of a MIDI file; None if there are none that can be read."""
    for text in texts:
        if text.startswith(_MARK):
            try:
                settings = json.loads(text.removeprefix(_MARK))
            except (ValueError, RecursionError):
                continue
            if isinstance(settings, dict):
                return settings
    return None


def primer_to_text(notes: Sequence[Note]) -> str:
    """Return the text event that holds the last minute of a primer; `texts_to_primer` is the inverse.

    Args:
        notes: At least one. Written as [start, pitch, length, velocity], times in ms from the first note that is kept.
    """
    from_s = max(note.end_s for note in notes) - PRIMER_S
    kept = sorted(note for note in notes if note.start_s >= from_s) or [max(notes)]
    begin_s = kept[0].start_s
    rows = [
        [round(1000 * (n.start_s - begin_s)), n.pitch, max(round(1000 * (n.end_s - n.start_s)), 1), n.velocity]
        for n in kept
    ]
    return _PRIMER_MARK + json.dumps(rows, separators=(",", ":"))


def texts_to_primer(texts: Iterable[str]) -> list[Note]:
    """Return the primer that stands in the text events of a MIDI file; nothing if there is none that can be read."""
    for text in texts:
        if text.startswith(_PRIMER_MARK):
            try:
                rows = json.loads(text.removeprefix(_PRIMER_MARK))
            except (ValueError, RecursionError):
                continue
            if isinstance(rows, list) and all(_is_note(row) for row in rows):
                return sorted(
                    Note(start / 1000, pitch, (start + length) / 1000, velocity)
                    for start, pitch, length, velocity in rows
                )
    return []


def _is_note(row: object) -> bool:
    if not isinstance(row, list) or len(row) != 4 or not all(type(value) is int for value in row):
        return False
    start, pitch, length, velocity = row
    return 0 <= start <= _LATEST_MS and 0 <= pitch <= 127 and 1 <= length <= _LATEST_MS and 1 <= velocity <= 127


def file_digest(path: Path) -> str:
    """Return 16 hex digits that name the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def file_with_digest(paths: Iterable[Path], digest: str) -> Path | None:
    """Return the first of some files that has this digest; None if none has."""
    return next((path for path in paths if file_digest(path) == digest), None)
