"""Is what the composer writes like its primer, like real music, and as it was asked to be? All figures of one run.

    python3 benchmarks/composition.py --midi FOLDER_WITH_MANIFEST [--heard FOLDER_OF_TRANSCRIPTIONS] [--sections ...]
    python3 benchmarks/composition.py --load_path MODEL --primers samples/midi --sections faithfulness

`cost` prints bits a second of the split as it is and of what the transcriber heard of it (`scripts/hear_corpus.py`),
beside fields drawn by their frequency in the training music. `velocities` gives performances other dynamics, each
along a random rising curve, and prints what a velocity costs beside a uniform guess. `faithfulness` cuts calm real
pieces: the model goes on from their first 30 s for a minute; distances of that minute from the primer stand beside
those of the real minute. `statistics` compares the same minutes with the real ones: a median outside the real 10th to
90th percentile has drifted. `chords` goes on from transcriptions: how far apart do notes start that belong together,
as played, as heard, as composed? `controls` turns each description and prints the rank correlation of wanted and got.
`ends` asks the network how likely a piece ends after its last note: real ones, composed ones that stop at their length,
and composed ones that were brought to an end. `long` composes half an hour from four primers and prints how many
figures of four pitches return in each minute.
With `--primers` the model goes on from the files of a folder instead, and the baseline is their own second half
against the whole.
"""

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stage does

import numpy as np

from ambient.midi import read_midi
from ambient.midi_set import read_manifest
from ambient.music_transformer.config import DESCRIPTIONS, SHIPPED_MODEL, SamplingConfig
from ambient.music_transformer.data import PERFORMED_VELOCITIES
from ambient.music_transformer.descriptions import describe
from ambient.music_transformer.evaluation import Cost, end_nats, piece_cost
from ambient.music_transformer.fields import BIN_WIDTHS, Fields, fields_to_notes, notes_to_fields, steps_to_bins
from ambient.music_transformer.memorisation import TrainingNotes
from ambient.music_transformer.parallel import CompositionRequest, cached_decoder, compose_songs
from ambient.music_transformer.rows import CLEAN, FIELD_SIZES, HEARD, note_rows
from ambient.music_transformer.sampling import VELOCITY
from ambient.music_transformer.statistics import Distances, Statistics, distances, measure, self_repetition
from ambient.music_transformer.tokens import VELOCITY_BINS
from ambient.music_transformer.wishes import make_primer, make_wishes
from ambient.names import MIDI_SUFFIXES
from ambient.notes import Note
from ambient.program import files_below, run_program
from ambient.shipped import SHIPPED_MODELS
from ambient.stages.generate import COPY_LIMIT_NOTES

DEFAULTS = SamplingConfig()
PRIMER_S, PIECE_S = 30.0, 60.0
PERCENTILES = (10, 50, 90)
CALM_NOTES_PER_SECOND = 7.0
LEAST_S = 100.0
CHORD_MS = 60.0
WANTED = (10, 30, 50, 70, 90)  # percentiles of a description that `controls` asks for
SECTIONS = ("cost", "velocities", "faithfulness", "statistics", "chords", "controls", "ends", "long")
LONG_PIECES, LONG_PIECE_S = 4, 1800.0
ENDED_PIECE_S = 180.0
Pair = tuple[list[Note], list[Note]]
Item = TypeVar("Item")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=Path, help="folder with manifest.csv (path, split, duplicate_of)")
    parser.add_argument("--heard", type=Path, help="folder that hear_corpus.py wrote of the same split")
    parser.add_argument("--primers", type=Path, help="folder of MIDI files to go on from, in place of the split")
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / SHIPPED_MODEL, help="(%(default)s)")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="(all)")
    parser.add_argument("--pieces", type=int, default=24, help="real pieces, spread over the split (%(default)s)")
    parser.add_argument("--split", default="test", help="settings are chosen by valid alone (%(default)s)")
    parser.add_argument("--duplicates", action="store_true", help="for cost, pieces too that are nearly the same music")
    parser.add_argument("--temperature", type=float, default=DEFAULTS.temperature, help="(%(default)s)")
    parser.add_argument("--top_p", type=float, default=DEFAULTS.top_p, help="(%(default)s)")
    parser.add_argument("--recall", type=float, default=DEFAULTS.recall, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    sampling = SamplingConfig(temperature=arguments.temperature, top_p=arguments.top_p, recall=arguments.recall)
    if "cost" in arguments.sections and arguments.midi:
        print_costs(arguments)
    if "velocities" in arguments.sections and arguments.midi:
        print_velocities(arguments)
    pairs = primer_pairs(arguments.primers) if arguments.primers else excerpts(arguments)
    if {"faithfulness", "statistics"} & set(arguments.sections):
        composed = [compose(arguments, primer, sampling, index) for index, (primer, _) in enumerate(pairs)]
        print(f"\n{len(pairs)} pieces of {PIECE_S:.0f} s, model {arguments.load_path.name}")
        if "faithfulness" in arguments.sections:
            print_faithfulness(pairs, composed)
        if "statistics" in arguments.sections:
            print_statistics([real for _, real in pairs], composed, TrainingNotes.load(arguments.load_path))
    if "chords" in arguments.sections and arguments.heard:
        print_chords(arguments, sampling)
    if "controls" in arguments.sections:
        print_controls(arguments, pairs, sampling)
    if "ends" in arguments.sections:
        print_ends(arguments, pairs, sampling)
    if "long" in arguments.sections:
        print_long_pieces(arguments, pairs, sampling)


def print_costs(arguments: argparse.Namespace) -> None:
    """Print bits a second and nats a note of the split, clean and heard."""
    decoder = cached_decoder(arguments.load_path, 1)
    trained = TrainingNotes.load(arguments.load_path)
    print(f"{'':<22}{'bits/s':>8}{'baseline':>10}   nats a note: gap, pitch, length, velocity, place")
    sets = [("clean", clean_pieces(arguments.midi, arguments.split, duplicates=arguments.duplicates), CLEAN)]
    if arguments.heard:
        paths = files_below(arguments.heard / "heard", MIDI_SUFFIXES)
        sets.append(("heard", [notes_to_fields(read_midi(path).notes) for path in paths], HEARD))
    for name, pieces, mark in sets:
        baseline = frequency_cost(trained, pieces) if trained else float("nan")
        for recall, label in ((arguments.recall, f"{name}, {len(pieces)} pieces"), (0.0, "  network alone")):
            cost = Cost.total([piece_cost(decoder, piece, mark, recall=recall) for piece in pieces if len(piece)])
            parts = "  ".join(f"{part:.3f}" for part in cost.nats_per_note)
            print(f"{label:<22}{cost.bits_per_second:>8.2f}{baseline:>10.2f}   {parts}", flush=True)


def print_velocities(arguments: argparse.Namespace) -> None:
    """Print the nats that the velocities of performances cost as they are, and along random rising curves."""
    decoder = cached_decoder(arguments.load_path, 1)
    pieces = clean_pieces(arguments.midi, arguments.split)
    performed = [each for each in pieces if np.unique(each.velocities).size >= PERFORMED_VELOCITIES]
    chosen = spread(performed, arguments.pieces)
    rng = np.random.default_rng(arguments.seed)
    uniform = float(np.log(VELOCITY_BINS))
    print(f"\n{'nats a velocity':<22}{'median':>8}{'highest':>9}   a uniform guess: {uniform:.2f}")
    curves = [np.sort(rng.integers(0, VELOCITY_BINS, VELOCITY_BINS)) for _ in chosen]
    remapped = [
        Fields(each.starts, each.pitches, each.lengths, curve[each.velocities])
        for each, curve in zip(chosen, curves, strict=True)
    ]
    for name, versions in (("as performed", chosen), ("along other curves", remapped)):
        nats = [float(piece_cost(decoder, piece, CLEAN).nats_per_note[VELOCITY]) for piece in versions]
        label = f"{name}, {len(nats)} pieces"
        over = sum(each > uniform for each in nats)
        print(f"{label:<22}{np.median(nats):>8.2f}{max(nats):>9.2f}   {over} above it", flush=True)


def spread(items: Sequence[Item], count: int) -> Sequence[Item]:
    """Return so many of some items, at equal steps from the first on."""
    return items[:: max(1, len(items) // count)][:count]


def clean_pieces(midi: Path, split: str, *, duplicates: bool = False) -> list[Fields]:
    """Return every piece of a split that is no duplicate, or all of them."""
    rows = [row for row in read_manifest(midi, split, ("duplicate_of",)) if duplicates or not row["duplicate_of"]]
    return [notes_to_fields(read_midi(midi / row["path"]).notes) for row in rows]


def frequency_cost(trained: TrainingNotes, pieces: Sequence[Fields]) -> float:
    """Return the bits a second of a baseline: each field by its frequency in the training music."""
    nats = seconds = 0.0
    tables = []
    trained_rows = note_rows(trained.notes)
    for field, size in enumerate(FIELD_SIZES):
        counts = np.bincount(np.clip(trained_rows[:, field], 0, size - 1), minlength=size) + 1.0
        tables.append(-np.log(counts / counts.sum()))
    for piece in pieces:
        rows = note_rows(piece)
        nats += sum(float(table[rows[:, field]].sum()) for field, table in enumerate(tables))
        for times in (piece.starts[1:] - piece.starts[:-1], piece.lengths):
            nats += float(np.log(BIN_WIDTHS[steps_to_bins(times)]).sum())
        seconds += piece.seconds
    return float(nats / np.log(2) / max(seconds, 1e-9))


def excerpts(arguments: argparse.Namespace) -> list[Pair]:
    """Return (primer, real continuation) of so many calm pieces, spread evenly over a split."""
    paths = [arguments.midi / row["path"] for row in read_manifest(arguments.midi, arguments.split)]
    found = []
    for path in paths:
        notes = read_midi(path).notes
        if not notes or notes[-1].start_s < LEAST_S or len(notes) / notes[-1].start_s >= CALM_NOTES_PER_SECOND:
            continue
        primer = [note for note in notes if note.start_s < PRIMER_S]
        following = [note for note in notes if PRIMER_S <= note.start_s < PRIMER_S + PIECE_S]
        if primer and following:
            found.append((primer, following))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(arguments.pieces, len(found))).round().astype(int))
    return [found[index] for index in chosen]


def primer_pairs(folder: Path) -> list[Pair]:
    """Return each file of a folder as a primer; its second half stands for a real continuation."""
    pairs = []
    for path in files_below(folder, MIDI_SUFFIXES):
        notes = read_midi(path).notes
        half_s = notes[-1].start_s / 2
        pairs.append((notes, [note for note in notes if note.start_s >= half_s]))
    return pairs


def compose(
    arguments: argparse.Namespace,
    primer: list[Note],
    sampling: SamplingConfig,
    index: int,
    turned: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType({}),
    *,
    heard: bool = False,
    piece_s: float = PIECE_S,
    ending: bool = False,
) -> list[Note]:
    """Go on from a primer, for a minute unless told otherwise; the new notes, from 0 s on."""
    config = cached_decoder(arguments.load_path, 1).config
    prepared = make_primer(notes_to_fields(primer), config, heard=heard)
    wishes = make_wishes(prepared, turned)
    request = CompositionRequest(arguments.load_path, prepared, sampling, wishes, seconds=piece_s, ending=ending)
    (song,) = compose_songs(request, [arguments.seed + index])
    new = song.fields
    return fields_to_notes(Fields(new.starts - song.begin, new.pitches, new.lengths, new.velocities))


def print_faithfulness(pairs: Sequence[Pair], composed: Sequence[list[Note]]) -> None:
    """Print median distances of the real and the composed minute from the primer, and their ratio."""
    rows = []
    for (primer, real), piece in zip(pairs, composed, strict=True):
        primer_s = primer[-1].start_s - primer[0].start_s
        real_s = real[-1].start_s - real[0].start_s if len(real) > 1 else PIECE_S
        rows.append(
            (distances(primer, real, seconds=(primer_s, real_s)), distances(primer, piece, seconds=(primer_s, PIECE_S)))
        )
    print(f"\n{'distance from primer':<22}{'real':>10}{'composed':>10}{'ratio':>8}   medians")
    for field in dataclass_fields(Distances):
        theirs, ours = (float(np.median([getattr(row[side], field.name) for row in rows])) for side in (0, 1))
        ratio = f"{ours / theirs:.2f}" if theirs > 0.0005 else "-"
        print(f"{field.name:<22}{theirs:>10.3f}{ours:>10.3f}{ratio:>8}", flush=True)


def print_statistics(real: list[list[Note]], composed: list[list[Note]], trained: TrainingNotes | None) -> None:
    """Print percentiles of each statistic of real and composed minutes."""
    print(f"\n{'statistic':<22}{'real':>26}{'composed':>26}   percentiles 10 / 50 / 90")
    rows = [
        (field.name, [getattr(each, field.name) for each in map(measure, real)],
         [getattr(each, field.name) for each in map(measure, composed)])
        for field in dataclass_fields(Statistics)
    ]  # fmt: skip
    if trained:
        rows.append(("longest_match_notes", copied(trained, real), copied(trained, composed)))
    for name, theirs, ours in rows:
        low, _, high = np.percentile(theirs, PERCENTILES)
        drifted = "" if low <= np.median(ours) <= high else "  outside"
        print(f"{name:<22}{shown(theirs):>26} {shown(ours):>25}{drifted}")
    if trained:
        over = [np.mean([n > COPY_LIMIT_NOTES for n in copied(trained, pieces)]) for pieces in (real, composed)]
        print(f"{f'over {COPY_LIMIT_NOTES} copied notes':<22}{over[0]:>26.0%}{over[1]:>26.0%}", flush=True)


def print_chords(arguments: argparse.Namespace, sampling: SamplingConfig) -> None:
    """Print how far apart the notes of a chord start: as played, as transcribed, as composed from transcriptions."""
    paths = spread(files_below(arguments.heard / "heard", MIDI_SUFFIXES), arguments.pieces)
    heard = [read_midi(path).notes for path in paths]
    played = [read_midi(arguments.heard / "played" / path.name).notes for path in paths]
    primers = [[note for note in notes if note.start_s < PRIMER_S] for notes in heard]
    composed = [
        compose(arguments, primer, sampling, index, heard=True) for index, primer in enumerate(primers) if len(primer)
    ]
    print(f"\n{'notes of a chord':<22}{'apart, ms':>10}{'together':>10}   mean over chords; share that start at once")
    for name, pieces in (("played", played), ("heard", heard), ("composed", composed)):
        gaps = np.concatenate([chord_gaps_ms(notes) for notes in pieces])
        print(f"{f'{name}, {len(pieces)} pieces':<22}{gaps.mean():>10.1f}{np.mean(gaps < 5):>10.0%}", flush=True)


def chord_gaps_ms(notes: Sequence[Note]) -> np.ndarray:
    """Return the time between each two starts that follow each other within `CHORD_MS`."""
    gaps = np.diff([1000 * note.start_s for note in notes])
    chords: np.ndarray = gaps[gaps < CHORD_MS]
    return chords


def print_controls(arguments: argparse.Namespace, pairs: Sequence[Pair], sampling: SamplingConfig) -> None:
    """Print how well each description is followed: Spearman's rank correlation of percentiles wanted and values got."""
    print(f"\n{'control':<22}{'rank correlation':>17}   median got where {', '.join(map(str, WANTED))} was wanted")
    primers = spread(pairs, 6)
    for column, name in enumerate(DESCRIPTIONS):
        wanted, got = [], []
        for index, (primer, _) in enumerate(primers):
            for percentile in WANTED:
                piece = compose(arguments, primer, sampling, index, {name: ((0.0, percentile),)})
                fields = notes_to_fields(piece)
                values = describe(fields)[:, column]
                wanted.append(percentile)
                got.append(float(np.nanmean(values)) if np.isfinite(values).any() else 0.0)
        medians = [np.median([g for w, g in zip(wanted, got, strict=True) if w == each]) for each in WANTED]
        shown_medians = ", ".join(f"{median:.2f}" for median in medians)
        print(f"{name:<22}{rank_correlation(wanted, got):>17.2f}   {shown_medians}", flush=True)


def print_ends(arguments: argparse.Namespace, pairs: Sequence[Pair], sampling: SamplingConfig) -> None:
    """Print how likely an end is after the last note of pieces, and after how many of their other notes it is less."""
    decoder = cached_decoder(arguments.load_path, 1)
    pieces = {
        f"composed, {name}": [
            notes_to_fields(compose(arguments, primer, sampling, index, piece_s=ENDED_PIECE_S, ending=ending))
            for index, (primer, _) in enumerate(pairs)
        ]
        for name, ending in (("open end", False), ("ended", True))
    }
    if arguments.midi:
        pieces = {"real": list(spread(clean_pieces(arguments.midi, arguments.split), arguments.pieces))} | pieces
    print(f"\n{'end after last note':<22}{'nats':>8}{'median of others':>18}{'less likely':>13}   medians over pieces")
    for name, group in pieces.items():
        nats = [end_nats(decoder, fields, CLEAN) for fields in group if len(fields) > 1]
        last = float(np.median([each[-1] for each in nats]))
        others = float(np.median([np.median(each[:-1]) for each in nats]))
        below = float(np.median([np.mean(each[:-1] < each[-1]) for each in nats]))
        print(f"{f'{name}, {len(nats)}':<22}{last:>8.2f}{others:>18.2f}{below:>13.1%}", flush=True)


def print_long_pieces(arguments: argparse.Namespace, pairs: Sequence[Pair], sampling: SamplingConfig) -> None:
    """Print the share of figures that return in each minute of pieces of half an hour, beside real minutes."""
    low, middle, high = np.percentile([measure(real).self_repetition for _, real in pairs], PERCENTILES)
    real_shares = f"{low:.2f} / {middle:.2f} / {high:.2f}"
    print(f"\n{'figures that return':<22} in real minutes {real_shares} (percentiles 10 / 50 / 90)")
    for index, (primer, _) in enumerate(spread(pairs, LONG_PIECES)):
        piece = compose(arguments, primer, sampling, index, piece_s=LONG_PIECE_S)
        minutes: list[list[Note]] = [[] for _ in range(math.ceil(LONG_PIECE_S / 60))]
        for note in piece:
            minutes[min(int(note.start_s / 60), len(minutes) - 1)].append(note)
        shares = [self_repetition([note.pitch for note in minute]) for minute in minutes]
        counts = [len(minute) for minute in minutes]
        above = sum(share > high for share in shares)
        fifths = ", ".join(f"{np.mean(part):.2f}" for part in np.array_split(shares, 5))
        notes = f"{min(counts)} to {max(counts)} notes a minute"
        label = f"piece {index + 1}, {len(minutes)} minutes"
        print(f"{label:<22} {fifths} in each fifth; {above} minutes above; {notes}", flush=True)


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation, ties sharing their mean rank."""
    ranks = [np.array([np.mean(np.flatnonzero(np.sort(v) == x)) for x in v]) for v in (np.array(one), np.array(other))]
    return float(np.corrcoef(np.stack(ranks))[0, 1])


def copied(trained: TrainingNotes, pieces: list[list[Note]]) -> list[int]:
    """Return the longest match of each piece with the training music, in notes."""
    matches = [trained.longest_match(notes) for notes in pieces]
    return [match.notes if match else 0 for match in matches]


def shown(values: Sequence[float]) -> str:
    """Return the percentiles as text."""
    return " / ".join(f"{value:.3g}" for value in np.percentile(values, PERCENTILES))


def missing_music(arguments: argparse.Namespace) -> str | None:
    """Say what is missing where there is nothing to go on from."""
    return None if arguments.midi or arguments.primers else "give --midi or --primers"


if __name__ == "__main__":
    sys.exit(run_program(build_parser(), run, check=missing_music))
