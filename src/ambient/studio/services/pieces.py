"""Finished pieces: those that were kept, and those that the chain composed; what each was made from, and again."""

import json
import secrets
import shutil
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ambient.notes import Note
from ambient.studio.services.models import Models
from ambient.studio.services.notes import Music, midi_of, read_music, rows
from ambient.studio.services.takes import CONTROLS, KEPT_, TakeError, Takes, Wish, from_moment
from ambient.studio.services.work import Task, Work
from ambient.studio.store import GENERATED, SEEDS, LocalStore


class Pieces:
    """Describes finished pieces.

    Args:
        store: Has those of the chain.
        takes: Have those that were kept.
        models: Composed them.
        work: Compares and composes again.
        folder: Where that is done.
        changed: Called when an answer is there.
    """

    def __init__(
        self, store: LocalStore, takes: Takes, models: Models, work: Work, folder: Path, changed: Callable[[], None]
    ) -> None:
        self._store, self._takes, self._models, self._work = store, takes, models, work
        self._folder, self._changed = folder, changed
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}

    def listed(self) -> list[dict[str, Any]]:
        """Describe all pieces in short: those that were kept, newest first, then those of the chain by name."""
        kept = [
            {"id": t["id"], "title": t["title"], "origin": "kept", "seconds": t["seconds"], "from": t["primer_label"]}
            for t in self._takes.listed()
            if t["verdict"] == KEPT_
        ]
        chain = []
        for file in self._store.files(GENERATED):
            music = _music(self._store.place(file.digest))
            name = file.path.removesuffix(".mid")
            primer = str(music.settings.get("primer", ""))
            piece = {"title": f"from {name}", "origin": "chain", "seconds": music.seconds, "from": primer}
            chain.append({"id": file.digest} | piece)
        return kept + chain

    def midi(self, id_: str) -> Path:
        """Return the MIDI file of a piece or of any finished take.

        Raises:
            StoreError, TakeError: there is none.
        """
        if _is_of_chain(id_):
            return self._store.place(self._store.file([GENERATED], id_).digest)
        return self._takes.midi(id_)

    def sounding(self, id_: str) -> tuple[bytes, dict[str, Any]]:
        """Return the MIDI file of a piece, or of a take as far as it has come, and what it covers.

        What it covers: `begins_s`, when its first note starts, which is where a rendering begins; `until_s`, up to
        where all notes are there, None for the end.

        Raises:
            StoreError, TakeError: there is none, or it has no notes yet.
        """
        if not _is_of_chain(id_):
            notes, grows = self._takes.so_far(id_)
            if grows:
                if not notes:
                    raise TakeError("this take has no notes yet")
                return midi_of(notes), {"begins_s": notes[0].start_s, "until_s": notes[-1].start_s}
        content = self.midi(id_).read_bytes()
        first = min((note.start_s for note in _notes_of(self.midi(id_))), default=0.0)
        return content, {"begins_s": first, "until_s": None}

    def title(self, id_: str) -> str:
        """Return the name of a piece, for a file name."""
        if _is_of_chain(id_):
            return self._store.file([GENERATED], id_).path.removesuffix(".mid")
        return self._takes.title_of(id_)

    def shown(self, id_: str) -> dict[str, Any]:
        """Describe a piece with its notes, its primer, and how it was made."""
        music = read_music(self.midi(id_), self.title(id_))
        settings = dict(music.settings)
        settings.pop("model_songs", None)
        name = self.title(id_)
        shown = {
            "id": id_,
            "title": f"from {name}" if _is_of_chain(id_) else name,
            "notes": rows(music.notes),
            "seconds": music.seconds,
        }
        lineage = self._lineage(music)
        if _is_of_chain(id_):
            primer = rows(music.primer)
            end_s = max((row[2] for row in primer), default=0.0)
            return shown | {"origin": "chain", "primer": primer, "primer_s": end_s, "settings": settings} | lineage
        take = self._takes.shown(id_)
        own = {name: take[name] for name in ("primer", "primer_s", "primer_label", "kept_s", "verdict", "parent")}
        return shown | {"origin": "take", "settings": settings} | own | lineage

    def _lineage(self, music: Music) -> dict[str, Any]:
        digest = str(music.settings.get("model", ""))
        model = self._models.with_weights(digest) if digest else None
        if model is None:
            return {"model": None, "model_label": f"a model that is not here ({digest})" if digest else "", "songs": []}
        songs = self._models.songs_of(model)
        return {"model": model, "model_label": self._models.label(model), "songs": songs}

    def match(self, id_: str) -> dict[str, Any]:
        """Look for the nearest passage in the training music, in the background; `answer` becomes what was found."""
        midi = self.midi(id_)
        model = self._lineage(read_music(midi, "piece"))["model"]
        if model is None:
            return {"state": "done", "answer": None, "error": "the model that composed it is not here any more"}
        words = ["ambient.studio.worker", "match", str(midi), str(self._models.place(model))]
        return self._asked(f"match {midi}", words, json.loads)

    def again(self, id_: str) -> dict[str, Any]:
        """Compose a piece again from what stands in it, in the background; it must come out the same."""
        if _is_of_chain(id_):
            made, primer, model = self.midi(id_), None, self._lineage(read_music(self.midi(id_), "piece"))["model"]
        else:
            made, primer, model = self._takes.made(id_)
        if model is None:
            return {"state": "done", "answer": None, "error": "the model that composed it is not here any more"}
        place = self._folder / f"{made.parent.name}-{made.stem}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        shutil.copyfile(made, place / "piece.mid")
        inputs = place / "seeds"
        inputs.mkdir()
        if primer:
            shutil.copyfile(primer, inputs / primer.name)
        else:
            for number, seed in enumerate(self._store.files(SEEDS)):
                shutil.copyfile(self._store.place(seed.digest), inputs / f"{number}.mid")
        words = ["ambient.stages.regenerate", str(place / "piece.mid"), "--load_path", str(self._models.place(model))]
        words += ["--inputs", str(inputs), "--save_path", str(place / "again.mid")]
        self._answers.pop(f"again {made}", None)
        return self._asked(f"again {made}", words, lambda line: None, {"same": True})

    def again_from(self, id_: str, at_s: float, *, count: int, minutes: float | None = None) -> list[str]:
        """Keep a piece up to a moment and compose what follows anew; returns the IDs of the takes.

        A piece of the chain goes on with the model that composed it, or where that is gone with the one that composes.

        Raises:
            StoreError, TakeError: it is not there, or has no notes before that moment.
        """
        if not _is_of_chain(id_):
            return self._takes.again_from(id_, at_s, count=count, minutes=minutes)
        music, name = read_music(self.midi(id_), self.title(id_)), self.title(id_)
        primer = music.primer
        wish = Wish(
            primer=primer,
            context_s=max((note.end_s for note in primer), default=0.0),
            primer_label=str(music.settings.get("primer", "nothing")),
            primer_texts=music.heard_texts,
            model=self._lineage(music)["model"] or self._models.composing(),
            minutes=1.0,
            count=count,
            seed=secrets.randbelow(1_000_000),
            controls={each: _curve(str(music.settings[each])) for each in CONTROLS if each in music.settings},
            parent=f"from {name}",
        )
        return self._takes.compose(from_moment(wish, music.notes, at_s, minutes))

    def remade(self, id_: str) -> dict[str, Any]:
        """Say where `again` stands."""
        made = self.midi(id_) if _is_of_chain(id_) else self._takes.made(id_)[0]
        return self._answers.get(f"again {made}", {"state": "unknown", "answer": None, "error": ""})

    def _asked(
        self, key: str, words: list[str], read: Callable[[str], Any], answer: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        with self._lock:
            if key in self._answers:
                return self._answers[key]
            found = self._answers[key] = {"state": "working", "answer": answer, "error": ""}

        def hear(line: str) -> None:
            if line.startswith("{"):
                found["answer"] = read(line)

        def ended(error: str) -> None:
            found["state"], found["error"] = "done", error
            if error:
                found["answer"] = None
            self._changed()

        self._work.add(Task(words, hear, ended))
        return found


@lru_cache(maxsize=256)
def _music(place: Path) -> Music:
    return read_music(place, "a piece of the chain")


@lru_cache(maxsize=64)
def _notes_of(place: Path) -> list[Note]:
    return read_music(place, "a piece").notes


def _curve(text: str) -> list[tuple[float, float]]:
    """Read a percentile, or `minute:percentile` pairs, as they stand in a piece."""
    pairs = [point.rpartition(":") for point in text.split()]
    return [(float(minute or 0), float(value)) for minute, _, value in pairs]


def _is_of_chain(id_: str) -> bool:
    return len(id_) == 64
