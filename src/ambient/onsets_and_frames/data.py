"""Hand training its examples: random crops of cached takes, varied and sometimes mixed, each with its labels.

Conventions: B batch, F frames, M mel bins, K keys. Batch number n of seed s is the same in every run over the same
takes, so that a resumed training goes on where it stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import numpy as np

from ambient.errors import InputError
from ambient.onsets_and_frames.config import DYNAMIC_RANGE_DB
from ambient.onsets_and_frames.labels import Rolls, notes_to_rolls, united
from ambient.onsets_and_frames.rendering import Take, load_take, take_names
from ambient.onsets_and_frames.spectrogram_augmentation import mixed, varied_spectrogram
from ambient.onsets_and_frames.workers import in_order

MIXED_SHARE = 0.15  # of the examples are two crops that sound together
_QUIETER_DB = 12.0  # the second crop, at most
_PREFETCHED = 6
_REFRESH_STEPS = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of one step.

    Attributes:
        spectrogram: [B, F, M, 1] float32, dB.
        rolls: Labels, each [B, F, K] float32.
    """

    spectrogram: np.ndarray
    rolls: Rolls


@dataclass(slots=True)
class TakeCache:
    """The takes of folders that may still be growing; read once, kept in memory.

    Args:
        folders: Filled by `rendering.fill_cache`.
        shortest_frames: Takes shorter than this are left out.
    """

    folders: Sequence[Path]
    shortest_frames: int = 1
    takes: list[Take] = field(default_factory=list)
    _known: set[Path] = field(default_factory=set)

    def refresh(self) -> int:
        """Read the takes that are new and return how many there are now.

        Raises:
            InputError: the folders hold no take.
        """
        for folder in self.folders:
            for name in take_names(folder):
                if folder / name in self._known:
                    continue
                self._known.add(folder / name)
                take = load_take(folder, name)
                if len(take.mel) >= self.shortest_frames and take.notes:
                    self.takes.append(take)
        if not self.takes:
            raise InputError(self.folders[0], "no takes", "expected rendered pieces", "Run the subcommand render first")
        return len(self.takes)

    def batch(self, size: int, frames: int, random: np.random.Generator) -> Batch:
        """Draw crops; longer takes are drawn more often."""
        lengths = np.array([len(take.mel) for take in self.takes], dtype=np.float64)
        chosen = random.choice(len(self.takes), size=(size, 2), p=lengths / lengths.sum())
        examples = [_example(self.takes[int(a)], self.takes[int(b)], frames, random) for a, b in chosen]
        rolls = Rolls(
            *(np.stack([getattr(labels, name) for _, labels in examples]) for name in Rolls.__dataclass_fields__)
        )
        return Batch(np.stack([spectrogram[:, :, None] for spectrogram, _ in examples]), rolls)


def _example(take: Take, other: Take, frames: int, random: np.random.Generator) -> tuple[np.ndarray, Rolls]:
    """Return [F, M] and its labels: a crop of one take, now and then with one of another take under it."""
    spectrogram, rolls = _crop(take, frames, random)
    if random.random() < MIXED_SHARE:
        below, more = _crop(other, frames, random)
        spectrogram = mixed(spectrogram, below - np.float32(random.uniform(0.0, _QUIETER_DB)))
        rolls = united(rolls, more)
    return spectrogram, rolls


def _crop(take: Take, frames: int, random: np.random.Generator) -> tuple[np.ndarray, Rolls]:
    """Return [F, M] and its labels, the spectrogram varied."""
    first = int(random.integers(len(take.mel) - frames + 1))
    spectrogram = take.mel[first : first + frames].astype(np.float32)
    floor_db = max(float(take.mel.max()) - DYNAMIC_RANGE_DB, float(take.mel[:1].min()))
    varied = np.maximum(varied_spectrogram(spectrogram, random), np.float32(floor_db))
    return varied, notes_to_rolls(take.notes, frames, first_frame=first)


def prefetched(
    cache: TakeCache, *, size: int, frames: int, seed: int, first_step: int, workers: int = 1
) -> Iterator[Batch]:
    """Yield batches without end, drawn ahead of their use; new takes are picked up on the way.

    Args:
        cache: Where crops come from; several workers each keep takes of their own.
        size: Examples a batch.
        frames: Of an example.
        seed: Batch number n of a seed is always the same, as long as the takes are.
        first_step: Number of the first batch.
        workers: Processes; 1 draws in a thread of this one.
    """
    if workers <= 1:
        return _from_thread(cache, size, frames, seed, first_step)
    draw = partial(_drawn, size=size, frames=frames, seed=seed)
    folders = (cache.folders, cache.shortest_frames)
    return in_order(draw, count(first_step), workers=workers, prepare=_open_cache, prepare_with=folders)


def _from_thread(cache: TakeCache, size: int, frames: int, seed: int, first_step: int) -> Iterator[Batch]:
    queue: Queue[Batch | BaseException] = Queue(_PREFETCHED)
    stopped = Event()

    def draw() -> None:
        step = first_step
        try:
            while not stopped.is_set():
                if step % _REFRESH_STEPS == 0:
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


_opened: TakeCache | None = None  # in a worker
_refreshed_step = 0


def _open_cache(folders: Sequence[Path], shortest_frames: int) -> None:
    global _opened
    _opened = TakeCache(folders, shortest_frames)
    _opened.refresh()


def _drawn(step: int, *, size: int, frames: int, seed: int) -> Batch:
    global _refreshed_step
    if _opened is None:
        raise RuntimeError("a worker draws from a cache that it has not opened")
    if step - _refreshed_step >= _REFRESH_STEPS:
        _refreshed_step = step
        _opened.refresh()
    return _opened.batch(size, frames, np.random.default_rng([seed, step]))
