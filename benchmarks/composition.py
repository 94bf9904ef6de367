"""Is what the composer writes like real music? Measures of its pieces beside those of real pieces it never heard.

    python3 benchmarks/composition.py --midi FOLDER_WITH_MANIFEST

Each real piece of the split that is long enough is cut: the model goes on from its first 30 s for a minute, and
the real minute that follows stands beside it. Printed are the 10th, 50th and 90th percentile of each measure; a model
whose median lies outside the real pieces' 10th to 90th percentile has drifted.
"""

import argparse
import csv
from dataclasses import fields
from pathlib import Path

import numpy as np

from ambient.midi import read_midi
from ambient.music_transformer.config import SHIPPED_MODEL, SamplingConfig
from ambient.music_transformer.copies import TrainingNotes
from ambient.music_transformer.ensemble import Order, compose_songs
from ambient.music_transformer.measures import Measures, measure
from ambient.music_transformer.tokens import notes_to_tokens, tokens_to_notes
from ambient.notes import Note
from stages.common import SHIPPED_MODELS
from stages.generate import COPY_LIMIT_NOTES

DEFAULTS = SamplingConfig()
PRIMER_S, PIECE_S = 30.0, 60.0
PERCENTILES = (10, 50, 90)
CALM_NOTES_PER_SECOND = 8.0  # the sampler's own bound; denser real music is no yardstick for it


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=Path, required=True, help="folder with manifest.csv (path, split)")
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / SHIPPED_MODEL, help="(%(default)s)")
    parser.add_argument("--pieces", type=int, default=24, help="real pieces, spread over the split (%(default)s)")
    parser.add_argument("--split", default="test", help="settings are chosen by valid alone (%(default)s)")
    parser.add_argument("--temperature", type=float, default=DEFAULTS.temperature, help="(%(default)s)")
    parser.add_argument("--top_p", type=float, default=DEFAULTS.top_p, help="(%(default)s)")
    parser.add_argument("--note_end_rate", type=float, default=DEFAULTS.note_end_rate, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    arguments = parser.parse_args()

    pairs = excerpts(arguments.midi, arguments.split, arguments.pieces)
    sampling = SamplingConfig(
        temperature=arguments.temperature, top_p=arguments.top_p, note_end_rate=arguments.note_end_rate
    )
    heard = TrainingNotes.load(arguments.load_path)
    real = [following for _, following in pairs]
    composed = []
    for index, (primer, _) in enumerate(pairs):
        order = Order(arguments.load_path, tuple(notes_to_tokens(primer)), sampling, seconds=PIECE_S)
        (song,) = compose_songs(order, [arguments.seed + index])
        composed.append(tokens_to_notes(song.tokens).notes)
    print(f"{len(pairs)} pieces of {PIECE_S:.0f} s, model {arguments.load_path.name}; percentiles 10 / 50 / 90")
    print(f"{'measure':<22}{'real':>26}{'composed':>26}")
    rows = [
        (field.name, [getattr(each, field.name) for each in map(measure, real)],
         [getattr(each, field.name) for each in map(measure, composed)])
        for field in fields(Measures)
    ]  # fmt: skip
    if heard:
        rows.append(("longest_match_notes", copied(heard, real), copied(heard, composed)))
    for name, theirs, ours in rows:
        low, _, high = np.percentile(theirs, PERCENTILES)
        drifted = "" if low <= np.median(ours) <= high else "  outside"
        print(f"{name:<22}{shown(theirs):>26}{shown(ours):>26}{drifted}")
    if heard:
        over = [np.mean([notes > COPY_LIMIT_NOTES for notes in copied(heard, pieces)]) for pieces in (real, composed)]
        print(f"{f'over {COPY_LIMIT_NOTES} copied notes':<22}{over[0]:>26.0%}{over[1]:>26.0%}")


def excerpts(midi: Path, split: str, count: int) -> list[tuple[list[Note], list[Note]]]:
    """Return (primer, real continuation) of so many calm pieces, spread evenly over a split."""
    with open(midi / "manifest.csv", newline="") as file:
        paths = [midi / row["path"] for row in csv.DictReader(file) if row["split"] == split]
    found = []
    for path in paths:
        notes = read_midi(path).notes
        primer = [note for note in notes if note.start_s < PRIMER_S]
        following = [note for note in notes if PRIMER_S <= note.start_s < PRIMER_S + PIECE_S]
        long_enough = notes and notes[-1].start_s >= PRIMER_S + PIECE_S
        if long_enough and primer and 0 < len(following) <= CALM_NOTES_PER_SECOND * PIECE_S:
            found.append((primer, following))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [found[index] for index in chosen]


def copied(heard: TrainingNotes, pieces: list[list[Note]]) -> list[int]:
    """Return the longest match of each piece with the training music, in notes."""
    matches = [heard.longest_match(notes) for notes in pieces]
    return [match.notes if match else 0 for match in matches]


def shown(values: list[float]) -> str:
    """Return the percentiles as text."""
    return " / ".join(f"{value:.3g}" for value in np.percentile(values, PERCENTILES))


if __name__ == "__main__":
    main()
