"""Composing: takes are asked for in groups, grow note by note, and are kept or discarded.

A group is one run of the composer: a primer, wishes, a seed, up to eight takes. It is written down before it begins, so
that a server that was killed composes what was left when it is started again; the same seeds give the same notes.

    takes/GROUP/request.json   what was asked for
                primer.mid     what the music goes on from; for `again from here` also what of the piece stays
                made-1.mid …   as the composer wrote them, the settings inside
                take-1.mid …   the pieces
                states.json    what became of each take
"""

import json
import secrets
import shutil
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ambient.errors import InputError
from ambient.notes import Note
from ambient.studio.services.models import Models
from ambient.studio.services.notes import Music, Row, moved, notes_of, read_music, rows, save
from ambient.studio.services.titles import title
from ambient.studio.services.work import Task, Work
from ambient.studio.store import KEPT, LocalStore

CONTROLS = ("density", "register", "polyphony", "loudness", "note_length")
MOST_TAKES, MOST_MINUTES, LONGEST_PRIMER_S = 8, 30.0, 600.0
OPEN, KEPT_, DISCARDED = "open", "kept", "discarded"
VERDICTS = (OPEN, KEPT_, DISCARDED)
_TICK_S = 0.005  # a MIDI file rounds times by less
WAITING, COMPOSING, DONE, FAILED, CANCELLED = "waiting", "composing", "done", "failed", "cancelled"


class TakeError(Exception):
    """Something cannot be done with a take; the message says why."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Wish:
    """What to compose.

    Attributes:
        primer: Its notes from 0 s; none for music from nothing.
        context_s: Where the primer ends; what comes after it in `primer` is the beginning of the piece itself.
        primer_label: What it is, for a person.
        primer_texts: The text events of its file that are handed on.
        model: As `Models` names it.
        minutes: New music.
        count: So many takes.
        seed: Of the first take.
        controls: Description -> (minute, percentile) points.
        adventure: 0-100; 50 draws as the model has learned.
        kept_s: How long that beginning is; 0 if all of the piece is new.
        parent: The take that it was made from.
    """

    primer: list[Note]
    context_s: float
    primer_label: str
    primer_texts: list[str]
    model: str
    minutes: float
    count: int
    seed: int
    controls: dict[str, list[tuple[float, float]]]
    adventure: float = 50.0
    kept_s: float = 0.0
    parent: str = ""


@dataclass(slots=True)
class Take:
    """One piece that is being made, or was; the notes of a finished one are read when they are asked for."""

    id: str
    title: str
    seed: int
    state: str = WAITING
    verdict: str = OPEN
    error: str = ""
    revision: int = 0
    notes: list[Row] = field(default_factory=list)
    count: int = 0
    seconds: float = 0.0

    def finish(self, notes: list[Row]) -> None:
        """Take the notes as they are in the end."""
        self.notes, self.count, self.revision = notes, len(notes), self.revision + 1
        self.seconds = max((row[2] for row in notes), default=0.0)


@dataclass(eq=False, slots=True)
class Group:
    """The takes of one run."""

    id: str
    created: float
    request: dict[str, Any]
    takes: list[Take]
    task: Task | None = None
    offset_s: float | None = None  # where the composer's time begins in the piece, once it is known

    @property
    def is_active(self) -> bool:
        """Whether it waits or is composed."""
        return any(take.state in (WAITING, COMPOSING) for take in self.takes)


class Takes:
    """All takes of a store.

    Args:
        folder: Where they are.
        store: Records what was kept and discarded.
        models: Give the composers.
        work: Runs them.
        changed: Called when anything has changed but notes.
        grown: Called when a note has come.
    """

    def __init__(
        self,
        folder: Path,
        store: LocalStore,
        models: Models,
        work: Work,
        changed: Callable[[], None],
        grown: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder, self._store, self._models, self._work = folder, store, models, work
        self._changed, self._grown = changed, grown
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        self._groups: dict[str, Group] = {}
        for place in sorted(folder.iterdir()):
            if (place / "request.json").exists():
                self._load(place)

    # Asking

    def compose(self, wish: Wish) -> list[str]:
        """Write a wish down and queue it; returns the IDs of its takes."""
        id_ = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        request = {
            "seed": wish.seed,
            "count": wish.count,
            "minutes": wish.minutes,
            "model": wish.model,
            "controls": wish.controls,
            "adventure": wish.adventure,
            "primer_label": wish.primer_label,
            "context_s": wish.context_s,
            "kept_s": wish.kept_s,
            "parent": wish.parent,
            "created": time.time(),
        }
        place = self._folder / id_
        place.mkdir()
        if wish.primer:
            save(place / "primer.mid", wish.primer, wish.primer_texts)
        _write_json(place / "request.json", request)
        group = self._load(place)
        return [take.id for take in group.takes]

    def more_like(self, id_: str, count: int) -> list[str]:
        """Ask for more takes of the same primer and wishes, with other seeds."""
        group, _ = self._find(id_)
        seeds = [t.seed for g in self._groups.values() for t in g.takes]
        return self.compose(self._wish_of(group, count=count, seed=max(seeds, default=0) + 1, parent=id_))

    def again_from(self, id_: str, at_s: float, *, count: int, minutes: float | None = None) -> list[str]:
        """Keep a take up to a moment and compose what follows anew.

        Raises:
            TakeError: it is not finished, or has no notes before that moment.
        """
        group, take = self._find(id_)
        if take.state != DONE:
            raise TakeError("this take is still being composed; wait for its end, or stop it")
        notes = notes_of(self._notes(group, take))
        wish = self._wish_of(group, count=count, seed=secrets.randbelow(1_000_000), parent=id_)
        return self.compose(from_moment(replace(wish, primer=self._context(group)), notes, at_s, minutes))

    def _wish_of(self, group: Group, *, count: int, seed: int, parent: str) -> Wish:
        request = group.request
        music = self._primer_music(group)
        return Wish(
            primer=music.notes if music else [],
            context_s=request["context_s"],
            primer_label=request["primer_label"],
            primer_texts=music.heard_texts if music else [],
            model=request["model"],
            minutes=request["minutes"],
            count=count,
            seed=seed,
            controls=request["controls"],
            adventure=request["adventure"],
            kept_s=request["kept_s"],
            parent=parent,
        )

    # Looking

    def listed(self) -> list[dict[str, Any]]:
        """Describe all takes, the newest group first, without their notes."""
        with self._lock:
            groups = sorted(self._groups.values(), key=lambda group: group.created, reverse=True)
            return [self._described(group, take) for group in groups for take in group.takes]

    def growing(self) -> dict[str, tuple[int, list[Any]]]:
        """Give the notes of the takes that are being composed."""
        with self._lock:
            active = [group for group in self._groups.values() if group.is_active]
            return {take.id: (take.revision, take.notes[:]) for group in active for take in group.takes}

    def shown(self, id_: str) -> dict[str, Any]:
        """Describe one take with its notes and those of its primer."""
        group, take = self._find(id_)
        with self._lock:
            return self._described(group, take) | {
                "notes": self._notes(group, take)[:],
                "primer": rows(self._context(group)),
                "primer_s": group.request["context_s"],
                "controls": group.request["controls"],
                "adventure": group.request["adventure"],
            }

    def midi(self, id_: str) -> Path:
        """Return the MIDI file of a finished take.

        Raises:
            TakeError: it is not finished.
        """
        group, take = self._find(id_)
        path = self._path(group, "take", take)
        if not path.exists():
            raise TakeError("this take is not finished yet")
        return path

    def so_far(self, id_: str) -> tuple[list[Note], bool]:
        """Return the notes that a take has now, and whether more will come."""
        group, take = self._find(id_)
        with self._lock:
            return notes_of(self._notes(group, take)), take.state in (WAITING, COMPOSING)

    def made(self, id_: str) -> tuple[Path, Path | None, str]:
        """Return for a finished take what the composer wrote, its primer, and the model."""
        group, take = self._find(id_)
        primer = self._folder / group.id / "primer.mid"
        return self._path(group, "made", take), primer if primer.exists() else None, group.request["model"]

    def title_of(self, id_: str) -> str:
        """Return the name of a take."""
        return self._find(id_)[1].title

    # Deciding

    def judge(self, id_: str, verdict: str) -> None:
        """Keep a take, discard it, or take that back; the store's repo `kept` records it.

        Raises:
            TakeError: it is not finished.
        """
        group, take = self._find(id_)
        if verdict == take.verdict:
            return
        if take.state != DONE:
            if verdict == DISCARDED:
                self.cancel(id_)
                return
            raise TakeError("this take is not finished yet")
        name = f"{take.title.replace(' ', '-')}-{take.id}"
        before = [f"{take.verdict}/{name}{end}" for end in (".mid", ".json")] if take.verdict != OPEN else []
        files: dict[str, Path | bytes] = {}
        if verdict != OPEN:
            about = {"title": take.title, "verdict": verdict, "seed": take.seed, "at": time.time(), **group.request}
            files = {
                f"{verdict}/{name}.mid": self._path(group, "take", take),
                f"{verdict}/{name}.json": (json.dumps(about, indent=1) + "\n").encode(),
            }
        self._store.put(KEPT, files, remove=before, note=f"{verdict} {take.title}")
        with self._lock:
            take.verdict = verdict
            self._save_states(group)
        self._changed()

    def cancel(self, id_: str) -> None:
        """Stop the group of a take where it is; what was composed so far of its takes is dropped."""
        group, _ = self._find(id_)
        if group.task:
            self._work.stop(group.task)
        with self._lock:
            for take in group.takes:
                if take.state in (WAITING, COMPOSING):
                    take.state = CANCELLED
            self._save_states(group)
        self._changed()

    def forget(self, id_: str) -> None:
        """Remove a take that was stopped or failed from the list."""
        group, take = self._find(id_)
        if take.state not in (CANCELLED, FAILED):
            raise TakeError("only a take that was stopped or failed can be removed; discard this one")
        with self._lock:
            self._remove(group, [take])
        self._changed()

    def take_back(self, id_: str) -> int:
        """Undo a request: stop it and remove its takes, but for those that were kept or discarded meanwhile.

        Returns:
            How many were removed.
        """
        group, _ = self._find(id_)
        if group.is_active:
            self.cancel(id_)
        with self._lock:
            gone = [take for take in group.takes if take.verdict == OPEN]
            self._remove(group, gone)
        self._changed()
        return len(gone)

    def _remove(self, group: Group, gone: list[Take]) -> None:
        for take in gone:
            group.takes.remove(take)
        if group.takes:
            self._save_states(group)
        else:
            del self._groups[group.id]
            shutil.rmtree(self._folder / group.id, ignore_errors=True)

    # Running

    def _load(self, place: Path) -> Group:
        """Read a group from its folder, and queue it if it is not finished."""
        request = json.loads((place / "request.json").read_text(encoding="utf-8"))
        states = _read_json(place / "states.json")
        takes = []
        for index in range(request["count"]):
            known = states.get(str(index), {}) if states else {}
            if states and not known:
                continue  # it was forgotten
            seed = request["seed"] + index
            take = Take(f"{place.name}-{index + 1}", title(seed), seed)
            take.state, take.verdict = known.get("state", WAITING), known.get("verdict", OPEN)
            take.error = known.get("error", "")
            path = place / f"take-{index + 1}.mid"
            if path.exists() and "seconds" in known:
                take.count, take.seconds, take.state = known["count"], known["seconds"], DONE
            elif path.exists():
                take.finish(rows(read_music(path, path.name).notes))
                take.state = DONE
            elif take.state in (COMPOSING, DONE):
                take.state = WAITING
            takes.append(take)
        group = Group(place.name, request["created"], request, takes)
        with self._lock:
            self._groups[group.id] = group
        if group.is_active:
            self._queue(group)
        self._changed()
        return group

    def _queue(self, group: Group) -> None:
        try:
            words = ["ambient.studio.worker", "compose", *self._flags(group)]
        except Exception as error:  # the model is gone, the disk is full: the take says so, the page goes on
            self._end(group, str(error))
            return
        group.task = Task(words, lambda line: self._hear(group, line), lambda error: self._end(group, error))
        self._work.add(group.task)

    def _flags(self, group: Group) -> list[str]:
        """Return the flags of `generate`."""
        request, place = group.request, self._folder / group.id
        flags: list[Any] = ["--load_path", self._models.place(request["model"]), "--minutes", request["minutes"]]
        flags += ["--songs", request["count"], "--seed", request["seed"], "--save_path", place / "made.mid"]
        flags += ["--temperature", round(0.8 + 0.4 * request["adventure"] / 100, 3)]
        if (place / "primer.mid").exists():
            flags += ["--inputs", place / "primer.mid"]
        if request["kept_s"]:
            flags.append("--keep_primer")
        for name, points in request["controls"].items():
            flags += [f"--{name}", " ".join(f"{minute:g}:{value:g}" for minute, value in points)]
        return [str(flag) for flag in flags]

    def _hear(self, group: Group, line: str) -> None:
        """Take in one note."""
        message = json.loads(line)
        seed, (start, pitch, end, velocity) = message["seed"], message["note"]
        with self._lock:
            take = next((t for t in group.takes if (seed - t.seed) % group.request["count"] == 0), None)
            if take is None:
                return
            begins = take.state == WAITING or seed != take.seed
            if begins:  # or is made again, because it copied a song
                take.state, take.seed, take.revision = COMPOSING, seed, take.revision + 1
                take.notes = self._stays(group)
                group.offset_s = None
            offset = self._offset(group, start)
            take.notes.append([round(start + offset, 3), pitch, round(end + offset, 3), velocity])
        (self._changed if begins else self._grown)()

    def _stays(self, group: Group) -> list[Row]:
        """Return the beginning of the piece that is not composed."""
        context_s = group.request["context_s"]
        stays = [n for n in self._primer(group) if n.start_s >= context_s - _TICK_S] if group.request["kept_s"] else []
        return rows(moved(stays, -context_s))

    def _notes(self, group: Group, take: Take) -> list[Row]:
        if take.state == DONE and not take.notes:
            path = self._path(group, "take", take)
            take.notes = rows(read_music(path, path.name).notes)
        return take.notes

    def _context(self, group: Group) -> list[Note]:
        """Return the notes that the piece goes on from."""
        return [note for note in self._primer(group) if note.start_s < group.request["context_s"] - _TICK_S]

    def _offset(self, group: Group, start: float) -> float:
        """Return where the composer's time begins in the piece: it counts from the last note of the primer."""
        if not group.request["kept_s"]:
            return 0.0
        if group.offset_s is None:
            primer = self._primer(group)
            group.offset_s = primer[-1].start_s - group.request["context_s"]
        return group.offset_s

    def _end(self, group: Group, error: str) -> None:
        with self._lock:
            if not error:
                try:
                    self._collect(group)
                except (InputError, OSError, ValueError) as problem:
                    error = str(problem)
            for take in group.takes:
                if take.state in (WAITING, COMPOSING):
                    take.state, take.error = (FAILED, error) if error else (DONE, "")
            self._save_states(group)
        self._changed()

    def _collect(self, group: Group) -> None:
        """Find out which of the files, which are in order of merit, is which take, and cut the pieces out of them."""
        place = self._folder / group.id
        count = group.request["count"]
        files = [place / (f"made-{rank}.mid" if count > 1 else "made.mid") for rank in range(1, count + 1)]
        made = {path: read_music(path, path.name) for path in files}
        for take in sorted(group.takes, key=lambda take: not self._file_of(group, take, made)):
            path = self._file_of(group, take, made) or next(iter(made))
            del made[path]
            target = self._path(group, "made", take)
            if path != target:
                shutil.copyfile(path, target.with_suffix(".copy"))
        for take in group.takes:
            target = self._path(group, "made", take)
            if target.with_suffix(".copy").exists():
                target.with_suffix(".copy").replace(target)
            music = read_music(target, target.name)
            notes = music.notes
            if group.request["kept_s"]:
                context_s = group.request["context_s"]
                notes = moved([n for n in notes if n.start_s >= context_s - _TICK_S], -context_s)
            save(self._path(group, "take", take), notes, music.texts)
            take.finish(rows(notes))
        for path in files:
            if path.name == "made.mid":
                path.unlink(missing_ok=True)

    def _file_of(self, group: Group, take: Take, made: dict[Path, Music]) -> Path | None:
        """Find the file that has the notes that a take was shown with; an end may leave out the last ones."""
        shown = [int(row[1]) for row in take.notes[len(self._stays(group)) :]]
        for path, music in made.items():
            pitches = [note.pitch for note in music.notes]
            if any(pitches[-count:] == shown[:count] for count in range(len(shown), len(shown) // 2, -1)):
                return path
        return None

    def _path(self, group: Group, kind: str, take: Take) -> Path:
        return self._folder / group.id / f"{kind}-{take.id.rpartition('-')[2]}.mid"

    def _primer(self, group: Group) -> list[Note]:
        music = self._primer_music(group)
        return music.notes if music else []

    def _primer_music(self, group: Group) -> Music | None:
        path = self._folder / group.id / "primer.mid"
        return read_music(path, path.name) if path.exists() else None

    def _find(self, id_: str) -> tuple[Group, Take]:
        with self._lock:
            for group in self._groups.values():
                for take in group.takes:
                    if take.id == id_:
                        return group, take
        raise TakeError("this take is not there any more; load the page again", 404)

    def _described(self, group: Group, take: Take) -> dict[str, Any]:
        request = group.request
        return {
            "id": take.id,
            "group": group.id,
            "title": take.title,
            "seed": take.seed,
            "created": group.created,
            "state": take.state,
            "verdict": take.verdict,
            "error": take.error,
            "revision": take.revision,
            "count": take.count,
            "seconds": take.seconds if take.state == DONE else None,
            "wanted_s": 60 * request["minutes"] + request["kept_s"],
            "kept_s": request["kept_s"],
            "model": request["model"],
            "primer_label": request["primer_label"],
            "parent": request["parent"],
        }

    def _save_states(self, group: Group) -> None:
        states = {
            str(int(take.id.rpartition("-")[2]) - 1): {
                "state": take.state, "verdict": take.verdict, "error": take.error,
                "count": take.count,
                "seconds": take.seconds,
            }
            for take in group.takes
        }  # fmt: skip
        _write_json(self._folder / group.id / "states.json", states)


def from_moment(wish: Wish, notes: list[Note], at_s: float, minutes: float | None) -> Wish:
    """Return the wish that keeps a piece up to a moment and composes what follows anew.

    Args:
        wish: What the piece was made from, with its primer alone.
        notes: The piece.
        at_s: The moment.
        minutes: New music; None for as much as the piece had from there on.

    Raises:
        TakeError: there are no notes before the moment.
    """
    stays = [note for note in notes if note.start_s < at_s]
    if not stays:
        raise TakeError("no notes before this moment; choose a later one, or `more like this`")
    stays = [Note(n.start_s, n.pitch, min(n.end_s, max(at_s, n.start_s + 0.05)), n.velocity) for n in stays]
    left = max(0.25, (_end(notes) - at_s) / 60)
    controls = {name: _later(points, at_s / 60) for name, points in wish.controls.items()}
    primer = [*wish.primer, *moved(stays, wish.context_s)]
    return replace(wish, primer=primer, kept_s=at_s, minutes=minutes or round(left, 2), controls=controls)


def _end(notes: list[Note]) -> float:
    return max((note.end_s for note in notes), default=0.0)


def _later(points: list[tuple[float, float]], minute: float) -> list[tuple[float, float]]:
    """Cut a curve: what it is from a minute on, counted from there."""
    at = bisect_right([point[0] for point in points], minute)
    if at == 0:
        return [(m - minute, v) for m, v in points]
    before = points[at - 1]
    value = before[1]
    if at < len(points):
        share = (minute - before[0]) / (points[at][0] - before[0])
        value += share * (points[at][1] - before[1])
    return [(0.0, round(value, 1)), *((round(m - minute, 3), v) for m, v in points[at:])]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1), encoding="utf-8")
    partial.replace(path)
