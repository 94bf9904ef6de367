"""Sound on demand: a piece with a preset in a format, rendered once and kept; stems, pictures and scores likewise.

A take that is still composed is rendered as far as it has come, so that it is heard with its instrument meanwhile. Such
a beginning is of no use later: the last few are kept.
"""

import hashlib
import shutil
import threading
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ambient.sound.preset import find_preset, preset_names
from ambient.studio.services.work import Task, Work

FORMATS = ("mp3", "wav", "flac", "stems", "picture", "score", "loudness")
AUTO = "auto"
READY, RENDERING, FAILED = "ready", "rendering", "failed"
_FILES = {"stems": "zip", "picture": "png", "score": "musicxml", "loudness": "json"}
ENDINGS = ("mp3", "wav", "flac", *_FILES.values())
_MOST_BEGINNINGS = 6


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
    attempt: int = 1


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
        self._beginnings: deque[str] = deque()

    def render(self, content: bytes, title: str, preset: str, kind: str) -> dict[str, Any]:
        """Say where a rendering stands, and begin it if it was not.

        Args:
            content: The MIDI file of the piece.
            title: Its name, for a score.
            preset: One of `presets`.
            kind: One of `FORMATS`.

        Raises:
            SoundError: there is no such preset or format.
        """
        if kind not in FORMATS or preset not in [each["id"] for each in presets()]:
            raise SoundError(f"no preset {preset!a} or no format {kind!a}; load the page again")
        key = _key(content, title if kind == "score" else preset, kind)
        with self._lock:
            known = self._renderings.get(key)
            if self._target(key, kind).exists():
                known = self._renderings[key] = _Rendering(READY, attempt=known.attempt if known else 1)
            elif known is None or known.state != RENDERING:
                attempt = known.attempt + 1 if known else 1
                known = self._renderings[key] = self._begin(key, content, title, preset, kind)
                known.attempt = attempt
        return {
            "key": key,
            "state": known.state,
            "error": known.error,
            "attempt": known.attempt,
            "file": f"/api/renderings/{key}.{_ending(kind)}",
        }

    def render_beginning(self, content: bytes, preset: str) -> dict[str, Any]:
        """Render a take as far as it has come; only the last few of these are kept."""
        answer = self.render(content, "", preset, "mp3")
        with self._lock:
            if answer["key"] not in self._beginnings:
                self._beginnings.append(answer["key"])
            while len(self._beginnings) > _MOST_BEGINNINGS:
                old = self._beginnings.popleft()
                if self._renderings[old].state != RENDERING:
                    self._target(old, "mp3").unlink(missing_ok=True)
                    del self._renderings[old]
        return answer

    def listed(self) -> dict[str, Any]:
        """Say how each rendering since the start stands."""
        with self._lock:
            return {
                key: {"state": each.state, "error": each.error, "attempt": each.attempt}
                for key, each in self._renderings.items()
            }

    def file(self, name: str) -> Path:
        """Return a file that was rendered.

        Raises:
            SoundError: it was not, or is not there any more.
        """
        key, _, ending = name.partition(".")
        path = self._folder / f"{key}.{ending}"
        if not key.isalnum() or ending not in ENDINGS or not path.exists():
            raise SoundError("this has not been rendered, or was removed; ask for it again")
        return path

    def _begin(self, key: str, content: bytes, title: str, preset: str, kind: str) -> _Rendering:
        heard = self._target(_key(content, preset, "mp3"), "mp3")
        if kind == "loudness" and not heard.exists():
            return _Rendering(FAILED, "this has not been rendered as MP3 yet; play it, then ask again")
        place = self._folder / f"{key}.work"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "piece.mid").write_bytes(content)
        if kind == "score":
            words = ["ambient.studio.worker", "score", str(place / "piece.mid"), str(place / "piece.musicxml"), title]
        elif kind == "loudness":
            words = ["ambient.studio.worker", "listen", str(heard), str(place / "piece.json")]
        else:
            sound_of = {"stems": "flac", "picture": "mp3"}.get(kind, kind)
            words = [
                "ambient.stages.render",
                "--input",
                str(place / "piece.mid"),
                "--output",
                str(place / f"piece.{sound_of}"),
            ]
            words += ["--preset", preset, *{"stems": ["--stems"], "picture": ["--picture"]}.get(kind, [])]

        def ended(error: str) -> None:
            with self._lock:
                if not error:
                    _collect(place, kind, self._target(key, kind))
                shutil.rmtree(place, ignore_errors=True)
                attempt = self._renderings[key].attempt
                self._renderings[key] = _Rendering(FAILED if error else READY, error, attempt)
            self._changed()

        self._work.add(Task(words, lambda line: None, ended), first=True)
        return _Rendering(RENDERING)

    def _target(self, key: str, kind: str) -> Path:
        return self._folder / f"{key}.{_ending(kind)}"


def _key(content: bytes, manner: str, kind: str) -> str:
    return hashlib.sha256(b"\0".join([content, manner.encode(), kind.encode()])).hexdigest()[:32]


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
