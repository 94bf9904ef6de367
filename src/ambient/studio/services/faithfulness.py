"""Is what a model composes like what it goes on from? Measured alike for every version, so that two can be compared.

The model goes on from each primer for half a minute. How far that is from the primer stands beside how far the
primer's own second half is from it, which is as like it as music is; `benchmarks/composition.py --sections
faithfulness` measures the same.
"""

import statistics
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ambient.music_transformer.composing import Composition
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.fields import Fields, fields_to_notes, notes_to_fields
from ambient.music_transformer.parallel import CompositionRequest, cached_decoder, compose_songs
from ambient.music_transformer.statistics import Distances, distances
from ambient.music_transformer.wishes import make_primer, make_wishes
from ambient.studio.services.notes import read_music

PIECE_S = 30.0
SEED = 1


def faithfulness(model: Path, primers: Sequence[Path]) -> dict[str, Any]:
    """Measure a model; returns the medians of each distance, of what is composed and of the primers themselves."""
    config = cached_decoder(model, 1).config
    ours, own = [], []
    for path in primers:
        music = read_music(path, path.name)
        notes = music.notes
        if len(notes) < 8:
            continue
        primer = make_primer(notes_to_fields(notes), config, heard=bool(music.heard_texts))
        request = CompositionRequest(model, primer, SamplingConfig(), make_wishes(primer, {}), seconds=PIECE_S)
        (song,) = compose_songs(request, [SEED])
        span_s = notes[-1].start_s - notes[0].start_s
        half = [note for note in notes if note.start_s >= notes[0].start_s + span_s / 2]
        composed = _from_start(song)
        if len(composed) < 2 or len(half) < 2:
            continue
        ours.append(distances(notes, composed, seconds=(span_s, PIECE_S)))
        own.append(distances(notes, half, seconds=(span_s, half[-1].start_s - half[0].start_s)))
    return {"primers": len(ours), "composed": _medians(ours), "own": _medians(own)}


def _medians(found: Sequence[Distances]) -> dict[str, float]:
    names = [field.name for field in fields(Distances)]
    return {name: round(statistics.median(getattr(each, name) for each in found), 3) for name in names} if found else {}


def _from_start(song: Composition) -> list[Any]:
    new = song.fields
    return fields_to_notes(Fields(new.starts - song.begin, new.pitches, new.lengths, new.velocities))
