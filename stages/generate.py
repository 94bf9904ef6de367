"""Primers and a composer to new pieces: MIDI that goes on where each primer ends. Needs numpy and no framework."""

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.music_transformer.config import DESCRIPTIONS, SHIPPED_MODEL, SamplingConfig
from ambient.names import MIDI_SUFFIXES
from ambient.program import (
    files_below,
    for_each_file,
    log,
    log_warnings,
    number,
    refuse_lossy_target,
    run_program,
    written_atomically,
)
from ambient.shipped import SHIPPED_MODELS

if TYPE_CHECKING:
    from ambient.music_transformer.composing import Composition, Hear
    from ambient.music_transformer.decoder import Decoder
    from ambient.music_transformer.memorisation import Match, TrainingNotes
    from ambient.music_transformer.ranking import Candidate
    from ambient.music_transformer.wishes import Primer
    from ambient.notes import Note

DEFAULTS = SamplingConfig()
Curve = tuple[tuple[float, float], ...]
HearNote = Callable[[int, float, float, int, int], None]  # seed, start and end in seconds of new music, pitch, velocity
# Real pieces that the base model never saw share up to 16 notes in a row with its training pieces.
COPY_LIMIT_NOTES = 24
DESCRIBED_SONGS = 64  # of a library of hundreds, every so manieth tells as much
ATTEMPTS = 3  # so often a song over the limit is made again


def build_parser() -> argparse.ArgumentParser:
    """Return the command line of this stage."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.generate", description=__doc__)
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
        "--length",
        type=number(int, least=1),
        default=2048,
        help="about so many new events, after the primer; a note takes three to four (%(default)s)",
    )
    long.add_argument(
        "--minutes", type=number(float, above=0), help="new music, after the primer, in place of --length"
    )
    parser.add_argument(
        "--open_end",
        action="store_true",
        help="stop where the length is reached, in the middle of a phrase if need be; otherwise the piece comes to an "
        "end up to 15 s before, slows down, and its last chord rings",
    )
    parser.add_argument("--keep_primer", action="store_true", help="let the piece begin with the primer itself")
    parser.add_argument(
        "--program",
        type=number(int, least=0, most=127),
        default=0,
        help="General MIDI program 0-127 (%(default)s, the piano)",
    )
    # Choice of songs
    parser.add_argument(
        "--songs", type=number(int, least=1), default=1, help="songs to compose for each primer (%(default)s)"
    )
    parser.add_argument("--keep", type=number(int, least=1), help="how many of these to keep: the best (all)")
    parser.add_argument(
        "--copy_limit",
        type=number(int, least=0),
        default=COPY_LIMIT_NOTES,
        help="make a song again that shares more notes in a row with a training piece, 0 for no limit (%(default)s)",
    )
    # How the music should be
    for name, meaning in DESCRIPTIONS.items():
        parser.add_argument(
            f"--{name}",
            type=curve,
            metavar="PERCENTILE",
            help=f"{meaning}: 0-100 of the training music, or over time as in --shape (the primer's own)",
        )
    parser.add_argument(
        "--shape",
        type=named_curve,
        action="append",
        default=[],
        metavar='"NAME 0:20 4:70 8:10"',
        help="a description over time, minutes:percentile; repeat it for others; without a name it is the density",
    )
    # Choice of notes
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
        "--timing_temperature",
        type=number(float, least=0),
        help="temperature of gaps and lengths alone (--temperature)",
    )
    parser.add_argument(
        "--top_k",
        type=number(int, least=0),
        default=DEFAULTS.top_k,
        help="keep the k likeliest choices of each field of a note, 0 for all (%(default)s)",
    )
    parser.add_argument(
        "--timing_top_k", type=number(int, least=0), help="the same for gaps and lengths alone (--top_k)"
    )
    parser.add_argument(
        "--top_k_offset",
        type=number(int, least=0),
        default=DEFAULTS.top_k_offset,
        help="leave out so many of the likeliest pitches: away from the obvious (%(default)s)",
    )
    parser.add_argument(
        "--min_p",
        type=number(float, least=0, most=1),
        default=DEFAULTS.min_p,
        help="keep choices at least this fraction as likely as the likeliest (%(default)s)",
    )
    parser.add_argument(
        "--top_p",
        type=number(float, above=0, most=1),
        default=DEFAULTS.top_p,
        help="keep the likeliest choices of this probability (%(default)s)",
    )
    parser.add_argument(
        "--creativity",
        type=number(float, least=-5, most=5),
        default=DEFAULTS.creativity,
        help="above 0 more notes, below 0 more rests: nats taken from a gap each time it doubles (%(default)s)",
    )
    parser.add_argument(
        "--notes_per_second",
        type=number(int, least=0),
        default=DEFAULTS.notes_per_second,
        help="at most so many notes start within a second, 0 for no bound (%(default)s)",
    )
    parser.add_argument(
        "--modulation",
        type=number(float, least=0, most=1),
        default=DEFAULTS.modulation,
        help="how far harmony may go from the primer's, 1 minus the cosine of pitch classes; 1: anywhere (%(default)s)",
    )
    parser.add_argument(
        "--recall",
        type=number(float, least=0, most=1),
        default=DEFAULTS.recall,
        help="how much goes on as the primer did after a moment like it, 0: nothing, 1: all (%(default)s)",
    )
    parser.add_argument(
        "--keep_loops",
        action="store_true",
        help="let a figure repeat itself for ever, where the model is stuck, and all figures return",
    )
    parser.add_argument("--beam", type=number(int, least=1), help="search with so many beams instead of drawing")
    parser.add_argument("--note_end_rate", type=float, help=argparse.SUPPRESS)  # of 0.1; notes have lengths now
    # Of the original, so that its commands keep working; the model folder knows its own window and kind.
    parser.add_argument("--max_seq", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=["dec"], help=argparse.SUPPRESS)
    return parser


def curve(text: str) -> Curve:
    """Read a percentile, or percentiles over time."""
    from ambient.music_transformer.wishes import read_curve

    try:
        return read_curve(text)
    except ValueError as error:
        expected = "expected 0-100, or minutes:percentile pairs such as 0:20 4:70"
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; {expected}") from error


def named_curve(text: str) -> tuple[str, Curve]:
    """Read the name of a description and its percentiles over time."""
    name, _, rest = text.strip().partition(" ")
    if name in DESCRIPTIONS:
        return name, curve(rest)
    if name and not name[0].isdigit():
        raise argparse.ArgumentTypeError(f"{name!r}: expected one of {', '.join(DESCRIPTIONS)}")
    return "density", curve(text)


def run(arguments: argparse.Namespace, hear: HearNote | None = None) -> None:
    """Compose one piece for each primer.

    Args:
        arguments: Of the command line.
        hear: Told of each note as it is drawn, of up to eight songs.
    """
    # One thread: the products are too small to share, and threads that wait cost more than they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ambient.model_folder import load_training, model_digest
    from ambient.music_transformer.memorisation import TrainingNotes
    from ambient.music_transformer.parallel import SONGS_TOGETHER, cached_decoder

    if arguments.beam and (arguments.minutes or arguments.songs > 1):
        build_parser().error("--beam needs a --length and finds one song: leave out --minutes and --songs")
    folder = arguments.load_path or SHIPPED_MODELS / SHIPPED_MODEL
    decoder = cached_decoder(folder, arguments.beam or min(arguments.songs, SONGS_TOGETHER))  # a fault is reported once
    settings = {
        "model": model_digest(folder),
        "open_end": arguments.open_end,
        "keep_primer": arguments.keep_primer,
        "program": arguments.program,
        "seed": arguments.seed,
        "songs": arguments.songs,
        "keep": arguments.keep or arguments.songs,
        "copy_limit": arguments.copy_limit,
        **({"minutes": arguments.minutes} if arguments.minutes else {"length": arguments.length}),
        **({"beam": arguments.beam} if arguments.beam else {}),
        **asdict(_sampling(arguments)),
        **{name: _curve_text(points) for name, points in _turned(arguments).items()},
    }
    training = load_training(folder)
    held_out = training.get("held_out", {}).get("nats_per_note")
    notes = TrainingNotes.load(folder)
    if notes and notes.names:
        settings["model_songs"] = _model_songs(notes, training.get("data", {}).get("songs"))
    heard = notes if arguments.copy_limit else None
    work = _Work(arguments, folder, decoder, settings, heard, held_out, hear)
    if arguments.inputs is None:
        log(f"from nothing: {work.pieces(None, arguments.save_path)}")
        return
    targets = _targets(arguments.inputs, arguments.save_path)

    def process(path: Path) -> str:
        refuse_lossy_target(path, targets)
        return work.pieces(path, targets[path])

    for_each_file(targets, process)


def _targets(inputs: Path, save_path: Path) -> dict[Path, Path]:
    """Decide which file the piece after each primer goes to."""
    if not inputs.is_dir():
        into_file = save_path.suffix.lower() in MIDI_SUFFIXES and not save_path.is_dir()
        return {inputs: save_path if into_file else save_path / f"{inputs.stem}.mid"}
    targets = {}
    for path in files_below(inputs, MIDI_SUFFIXES):
        target = save_path / path.relative_to(inputs)
        # Only what lacks the usual suffix gets it, so that song.mid and song.midi stay two pieces.
        targets[path] = target if target.suffix == ".mid" else target.with_name(f"{target.name}.mid")
    return targets


@dataclass(frozen=True, slots=True)
class _Work:
    """What all primers share."""

    arguments: argparse.Namespace
    folder: Path
    decoder: "Decoder"
    settings: dict[str, Any]
    heard: "TrainingNotes | None"
    held_out_nats: float | None
    hear: HearNote | None = None

    def pieces(self, primer_path: Path | None, target: Path) -> str:
        """Compose, choose and write the pieces of one primer; return what they are, for the log."""
        from ambient.music_transformer.ranking import best
        from ambient.piece_settings import file_digest

        primer = self._primer(primer_path)
        kept = best(self._candidates(primer), self.settings["keep"])
        described = dict(self.settings)
        if primer_path:
            described |= {"primer": primer_path.name, "primer_digest": file_digest(primer_path)}
        lines = []
        for rank, song in enumerate(kept, 1):
            place = target if len(kept) == 1 else target.with_name(f"{target.stem}-{rank}{target.suffix}")
            self._write(place, primer, song, described | {"rank": rank})
            lines.append(f"{_description(song)} -> {place.name}")
        return "; ".join(lines)

    def _candidates(self, primer: "Primer") -> "list[Candidate]":
        """Make so many songs; what shares too much with a training piece is made again with another seed."""
        arguments = self.arguments
        seeds = [arguments.seed + index for index in range(arguments.songs)]
        made = self._scored(primer, seeds)
        for attempt in range(1, ATTEMPTS + 1):
            copied = [index for index, song in enumerate(made) if self._is_copy(song)]
            if not copied or arguments.beam:
                break
            for index in copied:
                log(f"  seed {made[index].seed} {_match_text(made[index].match)}; made again")
            again = self._scored(primer, [arguments.seed + index + attempt * arguments.songs for index in copied])
            for index, song in zip(copied, again, strict=True):
                made[index] = min(made[index], song, key=lambda each: each.copied_notes)
        for song in made:
            if self._is_copy(song):
                log(f"  warning: seed {song.seed} {_match_text(song.match)}")
        return made

    def _is_copy(self, song: "Candidate") -> bool:
        return bool(0 < self.arguments.copy_limit < song.copied_notes)

    def _scored(self, primer: "Primer", seeds: list[int]) -> "list[Candidate]":
        from ambient.music_transformer.composing import compose_by_beam
        from ambient.music_transformer.parallel import CompositionRequest, compose_songs
        from ambient.music_transformer.ranking import score
        from ambient.music_transformer.wishes import make_wishes

        arguments, sampling = self.arguments, _sampling(self.arguments)
        wishes = make_wishes(primer, _turned(arguments))
        if arguments.beam:
            self.decoder.reset()
            made = [
                compose_by_beam(
                    self.decoder,
                    primer,
                    length=arguments.length,
                    sampling=sampling,
                    wishes=wishes,
                )
            ]
        else:
            seconds = 60 * arguments.minutes if arguments.minutes else None
            length = None if seconds else arguments.length
            ending = not arguments.open_end
            request = CompositionRequest(self.folder, primer, sampling, wishes, length, seconds, ending)
            made = compose_songs(request, seeds, _heard_of(self.hear, seeds) if self.hear else None)
        return [
            score(song, _from_start(song), seed=seed, heard=self.heard, held_out_nats=self.held_out_nats)
            for song, seed in zip(made, seeds, strict=True)
        ]

    def _primer(self, path: Path | None) -> "Primer":
        """Read a primer; without one the music begins from nothing."""
        from ambient.music_transformer.fields import notes_to_fields
        from ambient.music_transformer.wishes import make_primer

        config = self.decoder.config
        if path is None:
            return make_primer(notes_to_fields([]), config, heard=False)
        notes, heard = read_primer(path)
        primer = make_primer(notes_to_fields(notes), config, heard=heard)
        if len(primer.fields) < len(notes):
            log(f"  {path.name}: fades out; goes on from its note {len(primer.fields)} of {len(notes)}")
        return primer

    def _write(self, target: Path, primer: "Primer", song: "Candidate", settings: dict[str, Any]) -> None:
        from ambient.midi import write_midi
        from ambient.music_transformer.fields import Fields, fields_to_notes
        from ambient.piece_settings import primer_to_text, settings_to_text

        notes, texts = song.notes, [settings_to_text(settings)]
        if self.arguments.keep_primer:
            notes = fields_to_notes(Fields.joined([primer.fields, song.composition.fields]))
        elif len(primer.fields):
            texts.append(primer_to_text(fields_to_notes(primer.fields)))
        with written_atomically(target) as partial:
            write_midi(partial, notes, program=self.arguments.program, texts=texts)


def _model_songs(notes: "TrainingNotes", songs: int | None) -> dict[str, list[float]]:
    """Describe the songs of a model's last training, for the choice of a sound.

    Args:
        notes: All that the model has heard; the songs stand behind those of the model that it was made from.
        songs: How many there are, if that is known.
    """
    from ambient.character import character_of_columns, character_range, range_to_settings
    from ambient.music_transformer.tokens import STEPS_PER_SECOND

    pieces = [fields for fields, _ in notes.pieces()][-(songs or 0) :]
    characters = [
        character_of_columns(piece.starts / STEPS_PER_SECOND, piece.ends / STEPS_PER_SECOND, piece.pitches)
        for piece in pieces[:: -(-len(pieces) // DESCRIBED_SONGS)]
    ]
    return range_to_settings(character_range(characters))


def _heard_of(hear: HearNote, seeds: list[int]) -> "Hear":
    """Return what tells of notes in seconds, by the seed of their song."""
    from ambient.music_transformer.tokens import STEPS_PER_SECOND, bin_to_velocity

    def hear_steps(index: int, start: int, end: int, pitch: int, velocity: int) -> None:
        hear(seeds[index], start / STEPS_PER_SECOND, end / STEPS_PER_SECOND, pitch, bin_to_velocity(velocity))

    return hear_steps


def _from_start(song: "Composition") -> "list[Note]":
    """Return the new notes, the first one at 0 s."""
    from ambient.music_transformer.fields import Fields, fields_to_notes

    new = song.fields
    return fields_to_notes(Fields(new.starts - new.starts[:1], new.pitches, new.lengths, new.velocities))


def _turned(arguments: argparse.Namespace) -> dict[str, Curve]:
    """Return the descriptions that flags set, over time."""
    turned = {name: getattr(arguments, name) for name in DESCRIPTIONS if getattr(arguments, name) is not None}
    return turned | dict(arguments.shape)


def _curve_text(points: Curve) -> str:
    """Return a curve as its flag takes it."""
    if len(points) == 1 and points[0][0] == 0:
        return f"{points[0][1]:g}"
    return " ".join(f"{minute:g}:{value:g}" for minute, value in points)


def _description(song: "Candidate") -> str:
    seconds = max((note.end_s for note in song.notes), default=0.0)
    moments = song.composition.loops_broken_s
    loops = f", {len(moments)} times out of a loop (at {', '.join(f'{each:.0f} s' for each in moments)})"
    copied = f", {song.copied_notes} notes as in {song.match.source}" if song.match else ""
    surprise = f"{song.composition.nats_per_note:.2f} nats per note"
    return f"{len(song.notes)} notes, {seconds:.0f} s, {surprise}{copied}{loops if moments else ''}"


def _match_text(match: "Match | None") -> str:
    assert match is not None, "only a song with a match is over the limit"
    return (
        f"has {match.notes} notes in a row, at {match.at_s:.0f} s, that are in {match.source} "
        f"at {match.source_at_s:.0f} s, transposed by {match.transposed}"
    )


def _sampling(arguments: argparse.Namespace) -> SamplingConfig:
    chosen = {field.name: getattr(arguments, field.name) for field in fields(SamplingConfig) if field.name in arguments}
    return SamplingConfig(**chosen, break_loops=not arguments.keep_loops)


def read_primer(path: Path) -> "tuple[list[Note], bool]":
    """Read a MIDI file; returns its notes and whether a transcriber wrote it.

    Raises:
        InputError: not a MIDI file, or no notes in it.
    """
    from ambient.errors import InputError
    from ambient.midi import read_midi
    from ambient.transcribers.transcription import is_transcription

    piece = read_midi(path)
    log_warnings(path, piece.warnings)
    if not piece.notes:
        raise InputError(path, "0 notes", "a primer needs at least 1", "Give another primer, or none")
    return piece.notes, is_transcription(piece.texts)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
