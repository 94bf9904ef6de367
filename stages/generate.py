"""Primers and a composer to new pieces: MIDI that goes on where each primer ends. Needs numpy and no framework."""

import argparse
import hashlib
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.music_transformer.config import SHIPPED_MODEL, SamplingConfig
from stages.common import SHIPPED_MODELS, files_below, for_each_file, log, number, run_program, written_atomically

if TYPE_CHECKING:
    from ambient.music_transformer.composing import Composition
    from ambient.music_transformer.decoder import Decoder

DEFAULTS = SamplingConfig()
MIDI_SUFFIXES = (".mid", ".midi")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this stage."""
    parser = argparse.ArgumentParser(prog="generate", description=__doc__)
    # Files
    parser.add_argument("--load_path", type=Path, help="model folder (the shipped model)")
    parser.add_argument("--inputs", type=Path, help="primer: a MIDI file, or a folder of them (none: from nothing)")
    parser.add_argument(
        "--save_path",
        type=Path,
        default=Path("bin/generated.mid"),
        help="MIDI file to write; for a folder of primers a folder, one piece named like each primer (%(default)s)",
    )
    # Music
    long = parser.add_mutually_exclusive_group()
    long.add_argument(
        "--length", type=number(int, least=1), default=2048, help="new tokens, after the primer (%(default)s)"
    )
    long.add_argument("--minutes", type=number(float, above=0), help="new music, after the primer, in place of tokens")
    parser.add_argument("--keep_primer", action="store_true", help="let the piece begin with the primer itself")
    parser.add_argument(
        "--program",
        type=number(int, least=0, most=127),
        default=0,
        help="General MIDI program 0-127 (%(default)s, the piano)",
    )
    # Choice of events
    parser.add_argument(
        "--seed", type=number(int, least=0), default=1, help="random seed: same seed, same piece (%(default)s)"
    )
    parser.add_argument(
        "--temperature",
        type=number(float, least=0),
        default=DEFAULTS.temperature,
        help="0 takes the likeliest (%(default)s)",
    )
    parser.add_argument(
        "--top_k",
        type=number(int, least=0),
        default=DEFAULTS.top_k,
        help="keep the k likeliest events, 0 for all (%(default)s)",
    )
    parser.add_argument(
        "--timing_temperature", type=number(float, least=0), help="temperature of time shifts alone (--temperature)"
    )
    parser.add_argument(
        "--timing_top_k",
        type=number(int, least=0),
        help="keep the k likeliest time shifts, and --top_k of the other events (counted together)",
    )
    parser.add_argument(
        "--top_k_offset",
        type=number(int, least=0),
        default=DEFAULTS.top_k_offset,
        help="leave out so many of the likeliest notes: away from the obvious (%(default)s)",
    )
    parser.add_argument(
        "--min_p",
        type=number(float, least=0, most=1),
        default=DEFAULTS.min_p,
        help="keep events at least this fraction as likely as the likeliest (%(default)s)",
    )
    parser.add_argument(
        "--creativity",
        type=number(float, least=-5, most=5),
        default=DEFAULTS.creativity,
        help="above 0 more notes, below 0 more rests, in nats (%(default)s)",
    )
    parser.add_argument(
        "--top_p",
        type=number(float, above=0, most=1),
        default=DEFAULTS.top_p,
        help="keep the likeliest of this probability (%(default)s)",
    )
    parser.add_argument(
        "--notes_per_second",
        type=int,
        default=DEFAULTS.notes_per_second,
        help="at most so many notes start within a second, 0 for no bound (%(default)s)",
    )
    parser.add_argument(
        "--keep_loops", action="store_true", help="let a figure repeat itself for ever, where the model is stuck"
    )
    parser.add_argument("--beam", type=number(int, least=1), help="search with so many beams instead of drawing")
    # Of the original, so that its commands keep working; the model folder knows its own window and kind.
    parser.add_argument("--max_seq", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=["dec"], help=argparse.SUPPRESS)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Compose one piece for each primer."""
    # One thread: the products are too small to share, and threads that wait cost more than they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ambient.model_folder import model_digest
    from ambient.music_transformer.decoder import load_decoder

    if arguments.beam and arguments.minutes:
        build_parser().error("--beam needs a --length: beams have clocks of their own, so --minutes cannot end them")
    folder = arguments.load_path or SHIPPED_MODELS / SHIPPED_MODEL
    decoder = load_decoder(folder, songs=arguments.beam or 1)
    settings = {
        "model": model_digest(folder),
        "seed": arguments.seed,
        "keep_primer": arguments.keep_primer,
        "program": arguments.program,
        **({"minutes": arguments.minutes} if arguments.minutes else {"length": arguments.length}),
        **({"beam": arguments.beam} if arguments.beam else {}),
        **asdict(_sampling(arguments)),
    }
    if arguments.inputs is None:
        log(f"from nothing: {_piece(arguments, decoder, settings, None, arguments.save_path)}")
    elif arguments.inputs.is_dir():
        primers = files_below(arguments.inputs, MIDI_SUFFIXES)

        def process(path: Path) -> str:
            target = arguments.save_path / path.relative_to(arguments.inputs)
            # Only what lacks the usual suffix gets it, so that song.mid and song.midi stay two pieces.
            name = target.name if target.suffix == ".mid" else f"{target.name}.mid"
            return _piece(arguments, decoder, settings, path, target.with_name(name))

        for_each_file(primers, process)
    else:
        into_file = arguments.save_path.suffix.lower() in MIDI_SUFFIXES
        target = arguments.save_path if into_file else arguments.save_path / f"{arguments.inputs.stem}.mid"
        for_each_file([arguments.inputs], lambda path: _piece(arguments, decoder, settings, path, target))


def _piece(
    arguments: argparse.Namespace, decoder: "Decoder", settings: dict[str, Any], primer_path: Path | None, target: Path
) -> str:
    """Compose and write one piece; return what it is, for the log."""
    from ambient.midi import write_midi
    from ambient.music_transformer.tokens import tokens_to_notes

    primer = read_primer(primer_path) if primer_path else []
    composition = _compose(arguments, decoder, primer)
    tokens = [*primer, *composition.tokens] if arguments.keep_primer else composition.tokens
    decoded = tokens_to_notes(tokens)
    first_s = decoded.notes[0].start_s if decoded.notes and not arguments.keep_primer else 0.0
    notes = [
        type(note)(note.start_s - first_s, note.pitch, note.end_s - first_s, note.velocity) for note in decoded.notes
    ]
    described = dict(settings)
    if primer_path:
        digest = hashlib.sha256(primer_path.read_bytes()).hexdigest()[:16]
        described |= {"primer": primer_path.name, "primer_digest": digest}
    with written_atomically(target) as partial:
        text = "ambient-music-generation " + json.dumps(described, sort_keys=True)
        write_midi(partial, notes, program=arguments.program, texts=[text])
    seconds = max((note.end_s for note in notes), default=0.0)
    broken = ", ".join(f"{moment:.0f} s" for moment in composition.loops_broken_s)
    loops = f", {len(composition.loops_broken_s)} times out of a loop (at {broken})" if broken else ""
    surprise = f"{composition.nats_per_token:.2f} nats per token"
    return f"{len(notes)} notes, {seconds:.0f} s, {surprise}{loops} -> {target.name}"


def _sampling(arguments: argparse.Namespace) -> SamplingConfig:
    chosen = {field.name: getattr(arguments, field.name) for field in fields(SamplingConfig) if field.name in arguments}
    return SamplingConfig(**chosen, break_loops=not arguments.keep_loops)


def _compose(arguments: argparse.Namespace, decoder: "Decoder", primer: list[int]) -> "Composition":
    from ambient.music_transformer.composing import compose, compose_by_beam

    decoder.reset()
    sampling = _sampling(arguments)
    if arguments.beam:
        return compose_by_beam(decoder, primer, length=arguments.length, sampling=sampling)
    long: dict[str, Any] = {"seconds": 60 * arguments.minutes} if arguments.minutes else {"length": arguments.length}
    return compose(decoder, primer, **long, sampling=sampling, seed=arguments.seed)


def read_primer(path: Path) -> list[int]:
    """Read a MIDI file as tokens.

    Raises:
        InputError: not a MIDI file, or no notes in it.
    """
    from ambient.errors import InputError
    from ambient.midi import read_midi
    from ambient.music_transformer.tokens import notes_to_tokens

    notes = read_midi(path).notes
    if not notes:
        raise InputError(path, "0 notes", "a primer needs at least 1", "Give another primer, or none")
    return notes_to_tokens(notes)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
