"""Sound on demand: a piece with a preset in a format, rendered once and kept; stems and pictures likewise."""

import hashlib
import shutil
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ambient.sound.preset import find_preset, preset_names
from ambient.studio.services.work import Task, Work

FORMATS = ("mp3", "wav", "flac", "stems", "picture")
AUTO = "auto"
READY, RENDERING, FAILED = "ready", "rendering", "failed"
_FILES = {"stems": "zip", "picture": "png"}


class SoundError(Exception):
    """Something cannot be rendered; the message says why."""


@cache
def presets() -> list[dict[str, str]]:
    """List the instruments: what each is called, and what it is like."""
    found = [(name, find_preset(name)) for name in preset_names()]
    listed = [{"id": name, "name": each.name, "description": each.description} for name, each in found]
    return [{"id": AUTO, "name": "what suits", "description": "The instrument that suits the piece"}, *listed]


@dataclass(slots=True)
class _Rendering:
    state: str
    error: str = ""
    task: Task | None = None


class Sound:
    """Renders pieces in the background and keeps what was rendered.

    Args:
        folder: Where it is kept; it may be emptied at any time.
        work: Runs the renderer.
        changed: Called when a rendering has ended.
    """

    def __init__(self, folder: Path, work: Work, changed: Callable[[], None]) -> None:
        self._folder, self._work, self._changed = folder, work, changed
        self._lock = threading.Lock()
        self._renderings: dict[str, _Rendering] = {}

    def render(self, midi: Path, preset: str, kind: str) -> dict[str, Any]:
        """Say where a rendering stands, and begin it if it was not.

        Args:
            midi: The piece.
            preset: One of `presets`.
            kind: One of `FORMATS`.

        Raises:
            SoundError: there is no such preset or format.
        """
        if kind not in FORMATS or preset not in [each["id"] for each in presets()]:
            raise SoundError(f"no preset {preset!a} or no format {kind!a}; load the page again")
        content = midi.read_bytes()
        key = hashlib.sha256(b"\0".join([content, preset.encode(), kind.encode()])).hexdigest()[:32]
        with self._lock:
            known = self._renderings.get(key)
            if self._target(key, kind).exists():
                known = self._renderings[key] = _Rendering(READY)
            elif known is None or known.state != RENDERING:
                known = self._renderings[key] = self._begin(key, content, preset, kind)
        return {
            "key": key,
            "state": known.state,
            "error": known.error,
            "file": f"/api/renderings/{key}.{_ending(kind)}",
        }

    def listed(self) -> dict[str, Any]:
        """Say how each rendering since the start stands."""
        with self._lock:
            return {key: {"state": each.state, "error": each.error} for key, each in self._renderings.items()}

    def file(self, name: str) -> Path:
        """Return a file that was rendered.

        Raises:
            SoundError: it was not, or is not there any more.
        """
        key, _, ending = name.partition(".")
        path = self._folder / f"{key}.{ending}"
        if not key.isalnum() or ending not in ("mp3", "wav", "flac", "zip", "png") or not path.exists():
            raise SoundError("this has not been rendered, or was removed; ask for it again")
        return path

    def _begin(self, key: str, content: bytes, preset: str, kind: str) -> _Rendering:
        place = self._folder / f"{key}.work"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "piece.mid").write_bytes(content)
        sound = {"stems": "flac", "picture": "mp3"}.get(kind, kind)
        words = [
            "ambient.stages.render",
            "--input",
            str(place / "piece.mid"),
            "--output",
            str(place / f"piece.{sound}"),
        ]
        words += ["--preset", preset, *{"stems": ["--stems"], "picture": ["--picture"]}.get(kind, [])]

        def ended(error: str) -> None:
            with self._lock:
                if not error:
                    _collect(place, kind, self._target(key, kind))
                shutil.rmtree(place, ignore_errors=True)
                self._renderings[key] = _Rendering(FAILED if error else READY, error)
            self._changed()

        task = Task(words, lambda line: None, ended)
        self._work.add(task, first=True)
        return _Rendering(RENDERING, task=task)

    def _target(self, key: str, kind: str) -> Path:
        return self._folder / f"{key}.{_ending(kind)}"


def _ending(kind: str) -> str:
    return _FILES.get(kind, kind)


def _collect(place: Path, kind: str, target: Path) -> None:
    """Bring what was rendered to its final name."""
    if kind == "stems":
        partial = place / "stems.zip"
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(place.glob("*.flac")):
                archive.write(path, path.name)
        partial.replace(target)
    else:
        (place / f"piece.{_ending(kind)}").replace(target)
