"""How a composed piece was made, as a text event in its MIDI file: what `generate` writes, and others read.

Conventions: a digest is the first 16 hex digits of a SHA-256; it names a primer by its content.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_MARK = "ambient-music-generation "


def settings_to_text(settings: Mapping[str, Any]) -> str:
    """Return the text event that holds the settings; `texts_to_settings` is the inverse."""
    return _MARK + json.dumps(settings, sort_keys=True)


def texts_to_settings(texts: Iterable[str]) -> dict[str, Any] | None:
    """Return the settings that stand in the text events of a MIDI file; None if there are none that can be read."""
    for text in texts:
        if text.startswith(_MARK):
            try:
                settings = json.loads(text.removeprefix(_MARK))
            except ValueError:
                continue
            if isinstance(settings, dict):
                return settings
    return None


def file_digest(path: Path) -> str:
    """Return 16 hex digits that name the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def file_with_digest(paths: Iterable[Path], digest: str) -> Path | None:
    """Return the first of some files that has this digest; None if none has."""
    return next((path for path in paths if file_digest(path) == digest), None)
