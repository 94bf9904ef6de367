"""The composers there are: the shipped one, and each version that the chain has trained."""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ambient.shipped import SHIPPED_MODELS
from ambient.studio.services.work import Task, Work
from ambient.studio.store import MODEL, SONGS, LocalStore, Version

SHIPPED = "shipped"
SHIPPED_FOLDER = SHIPPED_MODELS / "music-transformer"
_CURVE_POINTS = 200
_STEP = re.compile(r"step (\d+) of at most \d+: training ([\d.]+)(?:, held-out ([\d.]+))? nats per note")


class Models:
    """Finds models and gives their folders.

    Args:
        store: Has the versions of the chain.
        folder: Where folders of versions are laid out when they are needed.
        work: Measures them.
        changed: Called when a measurement is there.
    """

    def __init__(self, store: LocalStore, folder: Path, work: Work, changed: Callable[[], None]) -> None:
        self._store, self._folder, self._work, self._changed = store, folder, work, changed
        self._measuring: dict[str, str] = {}  # key -> error, empty while it runs
        self._chosen = folder / "chosen"
        self._lock = threading.Lock()

    def composing(self) -> str:
        """Return the model that composes unless a request names another: the one chosen, else the newest."""
        versions = [each.id for each in self._store.versions(MODEL)]
        chosen = self._chosen.read_text(encoding="utf-8").strip() if self._chosen.exists() else ""
        return chosen if chosen in (*versions, SHIPPED) else versions[0] if versions else SHIPPED

    def choose(self, model: str) -> None:
        """Let a model compose from now on; choosing the newest one lets those that come after it compose, too.

        Raises:
            StoreError: there is no such model.
        """
        self.place(model)
        newest = next((each.id for each in self._store.versions(MODEL)), SHIPPED)
        if model == newest:
            self._chosen.unlink(missing_ok=True)
        else:
            self._chosen.parent.mkdir(parents=True, exist_ok=True)
            self._chosen.write_text(model, encoding="utf-8")

    def training(self) -> dict[str, Any]:
        """Read from the log how the training goes that runs now: (step, loss of training, held-out loss) so far."""
        job = self._store.job(MODEL)
        if job.get("state") not in ("running", "egressing"):
            return {"runs": False, "curve": []}
        found = [_STEP.match(line) for line in job["log"]]
        return {"runs": True, "curve": [[int(s[1]), float(s[2]), float(s[3]) if s[3] else None] for s in found if s]}

    def label(self, model: str) -> str:
        """Name a model in a few words."""
        number = next((each.number for each in self._store.versions(MODEL) if each.id == model), None)
        return f"version {number}" if number else "shipped model" if model == SHIPPED else f"model {model[:8]}"

    def place(self, model: str) -> Path:
        """Return the folder of a model, laid out if it was not.

        Raises:
            StoreError: there is no such model.
        """
        if model == SHIPPED:
            return SHIPPED_FOLDER
        target = self._folder / hashlib.sha256(model.encode()).hexdigest()[:32]
        with self._lock:
            if not target.exists():
                partial = target.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                self._store.download(MODEL, model, partial)
                partial.replace(target)
        return target

    def faithfulness(self, model: str, primers: Sequence[Path], *, ask: bool = False) -> dict[str, Any]:
        """Say how like its primers a model composes, measured in the background and remembered by weights and primers.

        Raises:
            StoreError: there is no such model.
        """
        place = self.place(model)
        weights = place / "weights.safetensors"
        named = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in primers)
        digest = _digest(weights, weights.stat().st_mtime_ns) if weights.exists() else ""
        memory = self._folder / f"faithful-{digest}-{hashlib.sha256(named.encode()).hexdigest()[:16]}.json"
        if memory.exists():
            return {"state": "done", "answer": json.loads(memory.read_text(encoding="utf-8")), "error": ""}
        with self._lock:
            error = self._measuring.get(memory.name)
            if error is None and not ask:
                self._measuring[memory.name] = ""
                words = ["ambient.studio.worker", "faithfulness", str(place), *map(str, primers)]
                self._work.add(
                    Task(words, lambda line: self._keep(memory, line), lambda end: self._measured(memory, end))
                )
                return {"state": "working", "answer": None, "error": ""}
        return {
            "state": "unknown" if error is None else "done" if error else "working",
            "answer": None,
            "error": error or "",
        }

    def _keep(self, memory: Path, line: str) -> None:
        if line.startswith("{"):
            memory.parent.mkdir(parents=True, exist_ok=True)
            partial = memory.with_suffix(".partial")
            partial.write_text(line, encoding="utf-8")
            partial.replace(memory)

    def _measured(self, memory: Path, error: str) -> None:
        with self._lock:
            if error:
                self._measuring[memory.name] = error
            else:
                self._measuring.pop(memory.name, None)
        self._changed()

    def with_weights(self, digest: str) -> str | None:
        """Find the model whose weights have a digest (16 hex digits of SHA-256, as pieces name them)."""
        for model in [*(each.id for each in self._store.versions(MODEL)), SHIPPED]:
            weights = self.place(model) / "weights.safetensors"
            if weights.exists() and _digest(weights, weights.stat().st_mtime_ns) == digest:
                return model
        return None

    def songs_of(self, model: str) -> list[str]:
        """Name the songs of this store that a model was trained on."""
        if model == SHIPPED:
            return []
        return [each.path for each in self._store.made_from(MODEL, model, SONGS)]

    def listed(self) -> list[dict[str, Any]]:
        """Describe all models, newest first, the shipped one last."""
        versions = self._store.versions(MODEL)
        described = []
        for version, before in zip_longest(versions, versions[1:]):
            songs, earlier = self.songs_of(version.id), self.songs_of(before.id) if before else []
            change = {
                "songs": len(songs),
                "came": sorted(set(songs) - set(earlier)),
                "went": sorted(set(earlier) - set(songs)),
            }
            described.append(self._of_version(version) | change)
        shipped = json.loads((SHIPPED_FOLDER / "training.json").read_text(encoding="utf-8"))
        models = [*described, {"id": SHIPPED, "label": self.label(SHIPPED), "at": None} | _training(shipped)]
        composing = self.composing()
        return [each | {"composes": each["id"] == composing} for each in models]

    def _of_version(self, version: Version) -> dict[str, Any]:
        file = next((e for e in self._store.files(MODEL, version.id) if e.path == "training.json"), None)
        record = json.loads(self._store.place(file.digest).read_text(encoding="utf-8")) if file else {}
        return {"id": version.id, "label": f"version {version.number}", "at": version.finished} | _training(record)


@lru_cache(maxsize=256)
def _digest(weights: Path, _changed_ns: int) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]


def _training(record: dict[str, Any]) -> dict[str, Any]:
    """Take from a record of training what the page shows."""
    history = record.get("history") or []
    step = max(1, len(history) // _CURVE_POINTS)
    curve = [[e.get("step"), e.get("training"), e.get("held_out")] for e in history[::step]]
    held_out = record.get("held_out") or {}
    names = ("bits_per_second", "nats_per_note", "nats_per_note_before", "what")
    return {
        "curve": curve,
        "held_out": {name: held_out.get(name) for name in names},
        "test": _test(record.get("test") or []),
        "data": record.get("data") or {},
    }


def _test(rows: list[Any]) -> dict[str, Any]:
    """Take from the rows of a record's test split the bits a second of all pieces, clean and heard, and of what."""
    found: dict[str, Any] = {"clean": None, "heard": None}
    for row in rows:
        name, _, pieces = str(row[0]).partition(", all, ")
        if pieces and name in found:
            found[name] = {"bits_per_second": row[1], "what": pieces}
    return found
