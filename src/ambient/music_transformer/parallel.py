"""Compose many songs at once: in groups that share each product with the weights, the groups on all cores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ambient.music_transformer.composing import Composition, Hear, compose
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.decoder import Decoder, load_decoder
from ambient.music_transformer.wishes import Primer, Wishes
from ambient.processes import process_pool

# Of a fixed size, whatever the machine: another size rounds otherwise, and the same seed would give other music.
SONGS_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class CompositionRequest:
    """What to compose; `length` in performance events or `seconds`, and `ending`, as for `compose`."""

    folder: Path
    primer: Primer
    sampling: SamplingConfig
    wishes: Wishes
    length: int | None = None
    seconds: float | None = None
    ending: bool = False


def compose_songs(request: CompositionRequest, seeds: Sequence[int], hear: Hear | None = None) -> list[Composition]:
    """Compose a song for each seed, in their order; how many cores there are changes nothing but the time.

    Args:
        request: What to compose.
        seeds: One a song.
        hear: Told of each note as it is drawn, as by `compose`; only of up to `SONGS_TOGETHER` songs.
    """
    groups = [tuple(seeds[start : start + SONGS_TOGETHER]) for start in range(0, len(seeds), SONGS_TOGETHER)]
    if len(groups) == 1:
        return _compose_group(request, groups[0], hear)
    workers = min(len(groups), os.cpu_count() or 1)
    with process_pool(workers) as pool:
        made = list(pool.map(_compose_group, [request] * len(groups), groups))
    return [composition for group in made for composition in group]


def _compose_group(request: CompositionRequest, seeds: tuple[int, ...], hear: Hear | None = None) -> list[Composition]:
    is_turned = bool(request.wishes.curves)  # by a person: guided, where what the primer is like only continues
    decoder = cached_decoder(request.folder, len(seeds) * (1 + is_turned))
    decoder.reset()
    return compose(
        decoder,
        request.primer,
        length=request.length,
        seconds=request.seconds,
        sampling=request.sampling,
        wishes=request.wishes,
        seeds=seeds,
        ending=request.ending,
        hear=hear,
    )


@lru_cache(maxsize=2)
def cached_decoder(folder: Path, songs: int) -> Decoder:
    """Read a model folder once for all primers."""
    return load_decoder(folder, songs=songs)
