"""Hand training its examples: random crops of cached takes, each with its labels.

Conventions: B batch, F frames, M mel bins, K keys. Batch number n of seed s is the same in every run over the same
takes, so that a resumed training goes on where it stopped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import numpy as np

from ambient.errors import InputError
from ambient.onsets_and_frames.config import DYNAMIC_RANGE_DB, MEL_BINS
from ambient.onsets_and_frames.labels import Rolls, notes_to_rolls
from ambient.onsets_and_frames.rendering import Take, load_take, take_names

_GAIN_DB = (-8.0, 2.0)
_PREFETCHED = 6


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of one step.

    Attributes:
        picture: [B, F, M, 1] float32, dB.
        rolls: Labels, each [B, F, K] float32.
    """

    picture: np.ndarray
    rolls: Rolls


@dataclass(slots=True)
class TakeCache:
    """The takes of a folder that may still be growing; read once, kept in memory.

    Args:
        folder: Filled by `rendering.fill_cache`.
        shortest_frames: Takes shorter than this are left out.
    """

    folder: Path
    shortest_frames: int = 1
    takes: list[Take] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def refresh(self) -> int:
        """Read the takes that are new and return how many there are now.

        Raises:
            InputError: the folder holds no take.
        """
        for name in take_names(self.folder):
            if name in self._known:
                continue
            self._known.add(name)
            take = load_take(self.folder, name)
            if len(take.mel) >= self.shortest_frames and take.notes:
                self.takes.append(take)
        if not self.takes:
            raise InputError(self.folder, "no takes", "expected rendered pieces", "Run the subcommand render first")
        return len(self.takes)

    def batch(self, size: int, frames: int, random: np.random.Generator) -> Batch:
        """Draw crops; longer takes are drawn more often."""
        lengths = np.array([len(take.mel) for take in self.takes], dtype=np.float64)
        chosen = random.choice(len(self.takes), size=size, p=lengths / lengths.sum())
        crops = [_crop(self.takes[int(index)], frames, random) for index in chosen]
        rolls = Rolls(
            *(np.stack([getattr(labels, name) for _, labels in crops]) for name in Rolls.__dataclass_fields__)
        )
        return Batch(np.stack([picture for picture, _ in crops]), rolls)


def _crop(take: Take, frames: int, random: np.random.Generator) -> tuple[np.ndarray, Rolls]:
    """Return [F, M, 1] and its labels, the picture with another level and another equaliser."""
    first = int(random.integers(len(take.mel) - frames + 1))
    picture = take.mel[first : first + frames].astype(np.float32)
    floor_db = max(float(take.mel.max()) - DYNAMIC_RANGE_DB, float(take.mel[:1].min()))
    picture += np.float32(random.uniform(*_GAIN_DB)) + _equaliser_db(random)
    return np.maximum(picture, floor_db)[:, :, None], notes_to_rolls(take.notes, frames, first_frame=first)


def _equaliser_db(random: np.random.Generator) -> np.ndarray:
    """Return [M] float32: a tilt and one broad hill or valley."""
    position = np.linspace(-1.0, 1.0, MEL_BINS, dtype=np.float32)
    hill = np.exp(-(((position - random.uniform(-1, 1)) / random.uniform(0.1, 0.6)) ** 2))
    return np.asarray(random.normal(0.0, 3.0) * position + random.normal(0.0, 3.0) * hill, dtype=np.float32)


def prefetched(cache: TakeCache, *, size: int, frames: int, seed: int, first_step: int) -> Iterator[Batch]:
    """Yield batches without end, drawn by a thread ahead of their use; new takes are picked up on the way."""
    queue: Queue[Batch | BaseException] = Queue(_PREFETCHED)
    stopped = Event()

    def draw() -> None:
        step = first_step
        try:
            while not stopped.is_set():
                if step % 500 == 0:
                    cache.refresh()
                queue.put(cache.batch(size, frames, np.random.default_rng([seed, step])))
                step += 1
        except BaseException as error:  # handed to the consumer, which raises it
            queue.put(error)

    Thread(target=draw, daemon=True).start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        while not queue.empty():
            queue.get_nowait()
