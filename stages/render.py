"""Play MIDI pieces on a synthesiser pad in a large room: `piece.mid` becomes `piece.mp3`."""

import argparse
import sys
from pathlib import Path

from ambient.errors import InputError
from stages.common import files_below, for_each_file, number, refuse_shared_target, run_program, written_atomically

MIDI_SUFFIXES = (".mid", ".midi")
AUDIO_FORMATS = ("mp3", "wav")
KEEP = "keep"
FADE_S = 2.0  # the last of the reverberation
LONGEST_S = 3600.0  # the sound is held in memory, about 1.2 MB a second at the highest
WARM_PAD = 89  # General MIDI Pad 2 (warm), counted from 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.render", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="MIDI", help="a MIDI file, or a folder of them")
    parser.add_argument("--output", type=Path, required=True, metavar="AUDIO", help="a file for one piece, or a folder")
    parser.add_argument("--format", choices=AUDIO_FORMATS, help="default: what --output ends in, else mp3")
    sound = parser.add_argument_group("sound")
    sound.add_argument(
        "--program",
        type=_program,
        action="append",
        metavar="N",
        help=f"General MIDI program 0-127; repeat it to layer sounds; '{KEEP}' plays the file's own "
        f"(default: {WARM_PAD}, the warm pad)",
    )
    sound.add_argument(
        "--soundfont", type=Path, metavar="SF2", help="default: $AMBIENT_SOUNDFONT, else the small one of pretty_midi"
    )
    sound.add_argument(
        "--reverb",
        type=number(float, least=0, most=1),
        default=0.35,
        metavar="0-1",
        help="how much room (default: %(default)s)",
    )
    sound.add_argument(
        "--hold_s",
        type=number(float, least=0),
        default=1.0,
        metavar="S",
        help="every note sounds at least so long (default: %(default)s)",
    )
    sound.add_argument(
        "--seed", type=number(int, least=0), default=0, help="chooses the room's noise (default: %(default)s)"
    )
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Render each piece.

    Raises:
        InputError: the input or the soundfont is not there, or the only piece cannot be played.
        FilesFailedError: some of several pieces cannot be played.
    """
    from ambient.audio import write_mp3, write_wav
    from ambient.effects import add_reverb, fade_out, normalise, without_silent_end
    from ambient.midi import read_midi
    from ambient.synth import SAMPLE_RATE_HZ, find_soundfont, held_notes, render_layers, render_midi_bytes

    soundfont = find_soundfont(arguments.soundfont)
    programs = arguments.program or [WARM_PAD]
    targets = _targets(arguments.input, arguments.output, arguments.format)

    def render(path: Path) -> str:
        refuse_shared_target(path, targets)
        piece = read_midi(path)
        if programs == [KEEP]:
            _check(path, len(piece.notes) + piece.drum_notes, max((note.end_s for note in piece.notes), default=0.0))
            dry = fade_out(render_midi_bytes(path.read_bytes(), soundfont), rate_hz=SAMPLE_RATE_HZ, seconds=0.05)
        else:
            _check(path, len(piece.notes), max((note.end_s for note in piece.notes), default=0.0))
            dry = render_layers(held_notes(piece.notes, arguments.hold_s), soundfont, programs=programs)
        sound = add_reverb(dry, rate_hz=SAMPLE_RATE_HZ, amount=arguments.reverb, seed=arguments.seed)
        sound = without_silent_end(normalise(sound, rate_hz=SAMPLE_RATE_HZ), rate_hz=SAMPLE_RATE_HZ)
        sound = fade_out(sound, rate_hz=SAMPLE_RATE_HZ, seconds=FADE_S)
        write = write_wav if targets[path].suffix == ".wav" else write_mp3
        with written_atomically(targets[path]) as partial:
            write(partial, sound, rate_hz=SAMPLE_RATE_HZ)
        return f"{targets[path].name}, {len(sound) / SAMPLE_RATE_HZ:.1f} s"

    for_each_file(targets, render)


def _targets(source: Path, output: Path, audio_format: str | None) -> dict[Path, Path]:
    """Decide which file each piece goes to."""
    ending = output.suffix.lower().removeprefix(".")
    if source.is_dir():
        suffix = f".{audio_format or AUDIO_FORMATS[0]}"
        pieces = files_below(source, MIDI_SUFFIXES)
        return {path: (output / path.relative_to(source)).with_suffix(suffix) for path in pieces}
    if not source.is_file():
        raise InputError(source, "no such file or folder", "expected MIDI", "Check --input")
    if ending in AUDIO_FORMATS and not output.is_dir():
        return {source: output.with_suffix(f".{audio_format or ending}")}
    return {source: output / f"{source.stem}.{audio_format or AUDIO_FORMATS[0]}"}


def _check(path: Path, notes: int, seconds: float) -> None:
    """Refuse a piece that cannot be rendered: one without notes, or with a note hours away by a damaged time."""
    if not notes:
        raise InputError(path, "0 notes", "expected at least 1", "Choose a piece with notes")
    if seconds > LONGEST_S:
        found, expected = f"lasts {seconds / 3600:.1f} hours", f"expected at most {LONGEST_S / 3600:.0f}"
        raise InputError(path, found, expected, "Cut the piece into parts")


def _program(text: str) -> int | str:
    if text == KEEP:
        return KEEP
    if not text.isdecimal() or int(text) > 127:
        raise argparse.ArgumentTypeError(f"{text!r} is no General MIDI program; expected 0 to 127 or {KEEP}")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.program and KEEP in arguments.program and len(arguments.program) > 1:
        parser.error(f"--program {KEEP} cannot be layered with another sound")
    return run_program(parser, run, argv)


if __name__ == "__main__":
    sys.exit(main())
