"""Make finished sound of MIDI pieces: `piece.mid` becomes `piece.mp3`, on instruments made for this music."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.errors import InputError
from ambient.names import MIDI_SUFFIXES
from ambient.program import (
    for_each_file,
    log_warnings,
    number,
    output_paths,
    refuse_lossy_target,
    run_program,
    written_atomically,
)

if TYPE_CHECKING:
    from ambient.midi import ChannelEvents
    from ambient.notes import Note
    from ambient.sound.rendering import Layer, Settings

AUDIO_FORMATS = ("mp3", "flac", "wav", "ogg", "opus")
RATES_HZ = (44_100, 48_000)
AUTO, LIST, KEEP = "auto", "list", "keep"
LONGEST_S = 4 * 3600.0  # 5.5 GB of temporary files
SOFTWARE = "Ambient music generation"


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.render", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, metavar="MIDI", help="a MIDI file, or a folder of them")
    parser.add_argument("--output", type=Path, required=True, metavar="AUDIO", help="a file for one piece, or a folder")
    parser.add_argument("--format", choices=AUDIO_FORMATS, help="default: what --output ends in, else mp3")
    parser.add_argument(
        "--rate", type=int, choices=RATES_HZ, default=48_000, help="samples a second (default: %(default)s)"
    )
    sound = parser.add_argument_group("sound")
    sound.add_argument(
        "--preset",
        action=_PresetAction,
        metavar="NAME",
        help=f"an instrument, or a TOML file with one; repeat it to layer them; '{LIST}' prints their names; "
        f"'{AUTO}' chooses by the piece (default: {AUTO})",
    )
    sound.add_argument(
        "--program",
        type=_program,
        action="append",
        metavar="N",
        help=f"General MIDI program 0-127 from a soundfont in place of a preset; repeat it to layer sounds; "
        f"'{KEEP}' plays the file's own programs",
    )
    sound.add_argument(
        "--soundfont", type=Path, metavar="SF2", help="default: $AMBIENT_SOUNDFONT, else the small one of pretty_midi"
    )
    sound.add_argument(
        "--plugin", type=Path, metavar="VST3", help="an effect of your own for every layer, through pedalboard"
    )
    sound.add_argument(
        "--reverb", type=number(float, least=0, most=1), metavar="0-1", help="share of reverb (default: the preset's)"
    )
    sound.add_argument(
        "--hold_s",
        type=number(float, least=0),
        metavar="S",
        help="shortest length of a note in seconds (default: the preset's)",
    )
    sound.add_argument(
        "--seed",
        type=number(int, least=0),
        default=0,
        help="random seed: same seed, same samples (default: %(default)s)",
    )
    music = parser.add_argument_group("music")
    music.add_argument(
        "--transpose",
        type=number(int, least=-48, most=48),
        default=0,
        metavar="N",
        help="semitones (default: %(default)s)",
    )
    music.add_argument(
        "--slower",
        type=number(float, least=0.1, most=20),
        default=1.0,
        metavar="X",
        help="factor of the tempo: 2 is half as fast (default: %(default)s)",
    )
    music.add_argument("--minutes", type=number(float, above=0), metavar="X", help="fade out after so many minutes")
    more = parser.add_argument_group("more files")
    more.add_argument(
        "--stems",
        action="store_true",
        help="also one file per layer, or per register of a single layer; their sum is the mix",
    )
    more.add_argument("--picture", action="store_true", help="also a PNG with piano roll, primer and spectrogram")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Render each piece.

    Raises:
        InputError: the input, a preset, the soundfont or the plugin is not there, or the only piece cannot be played.
        FilesFailedError: some of several pieces cannot be played.
    """
    # Small matrix products: one thread is quickest, and gives the same rounding on any number of cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ambient.sound.preset import find_preset

    if arguments.program or arguments.soundfont:
        from ambient.sound.soundfont import find_soundfont

        find_soundfont(arguments.soundfont)
    for name in arguments.preset or ():
        if name != AUTO:
            find_preset(name)
    if arguments.plugin:
        from ambient.sound.plugin import load_effect

        load_effect(arguments.plugin)
    targets = _targets(arguments.input, arguments.output, arguments.format)
    for_each_file(targets, partial(render, arguments=arguments, targets=targets), workers=_cores())


def render(path: Path, *, arguments: argparse.Namespace, targets: dict[Path, Path]) -> str:
    """Render one piece; returns what was done, for the log.

    Raises:
        InputError: it cannot be played.
    """
    from ambient.sound.rendering import prepared, render_piece

    refuse_lossy_target(path, targets)
    target = targets[path]
    piece = _read(path, arguments)
    layers, why = _layers(piece, arguments)
    settings = _settings(arguments, target, layers)
    names = [layer.preset.name for layer in layers]
    tags = {
        "title": target.stem,
        "preset": " + ".join(names),
        "model": str(piece.made_by.get("model", "none")),
        "seed": str(arguments.seed),
        "software": SOFTWARE,
    }
    tags["comment"] = "; ".join(f"{name} {value}" for name, value in tags.items() if name != "title")
    with written_atomically(target) as partial_target:
        rendered = render_piece(layers, partial_target, settings, tags)
        for stem in rendered.stems:
            stem.replace(target.with_name(stem.name.replace(partial_target.stem, target.stem)))
    if rendered.spectrogram is not None:
        from ambient.sound.pictures import write_picture

        moved = {"transpose": arguments.transpose, "slower": arguments.slower}
        with written_atomically(target.with_suffix(".png")) as picture:
            write_picture(
                picture,
                title=f"{target.stem} · {' + '.join(names)}",
                notes=prepared(piece.notes, **moved),
                seconds=rendered.seconds,
                spectrogram=rendered.spectrogram,
                rate_hz=arguments.rate,
                primer=prepared(piece.primer, **moved) if piece.primer else [],
            )
    return f"{target.name}, {rendered.seconds:.1f} s, {why}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is played: notes, the channels of a file that plays its own sounds, how and from what it was composed."""

    notes: "list[Note]"
    channels: "list[ChannelEvents]"
    made_by: dict[str, Any]
    primer: "list[Note]"


def _read(path: Path, arguments: argparse.Namespace) -> _Piece:
    """Read a piece, and refuse one that cannot be rendered."""
    from ambient.midi import read_midi
    from ambient.piece_settings import texts_to_primer, texts_to_settings

    piece = read_midi(path)
    log_warnings(path, piece.warnings)
    keep = arguments.program == [KEEP]
    channels = [events for events in piece.channels if events.notes] if keep else []
    notes = sorted(note for events in channels for note in events.notes) if keep else piece.notes
    if not notes:
        raise InputError(path, "0 notes", "expected at least 1", "Choose a piece with notes")
    begin_s, end_s = notes[0].start_s, max(note.end_s for note in notes)
    seconds = min((end_s - begin_s) * arguments.slower, 60.0 * (arguments.minutes or float("inf")))
    if seconds > LONGEST_S:
        found, expected = f"lasts {seconds / 3600:.1f} hours", f"expected at most {LONGEST_S / 3600:.0f}"
        raise InputError(path, found, expected, "Cut it with --minutes")
    return _Piece(notes, channels, texts_to_settings(piece.texts) or {}, texts_to_primer(piece.texts))


def _layers(piece: _Piece, arguments: argparse.Namespace) -> "tuple[list[Layer], str]":
    """Decide which sounds play the piece; returns them and a word on it for the log."""
    from dataclasses import replace

    from ambient.character import character_of, settings_to_range
    from ambient.sound.choosing import choose_preset
    from ambient.sound.file_sounds import prepared_channels
    from ambient.sound.preset import Preset, Sampled, Space, Tape, find_preset
    from ambient.sound.rendering import Layer, prepared

    moved = {"transpose": arguments.transpose, "slower": arguments.slower}
    notes = tuple(prepared(piece.notes, **moved))
    if piece.channels:
        channels = prepared_channels(piece.channels, begin_s=piece.notes[0].start_s, **moved)
        tape = Tape(drive_db=0.0, width=(1.0, 1.0, 1.0))
        amount = Space().amount if arguments.reverb is None else arguments.reverb
        preset = Preset("the file's own", "", "", (), tape=tape, space=Space(amount=amount))
        return [Layer(preset, notes, tuple(channels))], preset.name
    why = ""
    presets: list[Preset] = []
    for program in arguments.program or ():
        tone = Sampled(program=int(program), range=(0, 127))
        presets.append(Preset(f"program {program}", "", "", (tone,), hold_s=1.0))
    for name in arguments.preset or (() if presets else (AUTO,)):
        if name == AUTO:
            chosen, why = choose_preset(character_of(notes), settings_to_range(piece.made_by.get("model_songs")))
            presets.append(chosen)
        else:
            presets.append(find_preset(name))
    if arguments.hold_s is not None:
        presets = [replace(preset, hold_s=arguments.hold_s) for preset in presets]
    if arguments.reverb is not None:
        presets = [replace(p, space=replace(p.space, amount=arguments.reverb)) for p in presets]
    return [Layer(preset, notes) for preset in presets], why or " + ".join(preset.name for preset in presets)


def _settings(arguments: argparse.Namespace, target: Path, layers: "Sequence[Layer]") -> "Settings":
    from ambient.sound.preset import Sampled
    from ambient.sound.rendering import Settings

    soundfont = effect = None
    if any(layer.channels or isinstance(tone, Sampled) for layer in layers for tone in (*layer.preset.tones, None)):
        from ambient.sound.soundfont import find_soundfont

        soundfont = find_soundfont(arguments.soundfont)
    if arguments.plugin:
        from ambient.sound.plugin import load_effect

        effect = load_effect(arguments.plugin)
    return Settings(
        rate_hz=arguments.rate,
        audio_format=target.suffix.removeprefix("."),
        seed=arguments.seed,
        soundfont=soundfont,
        stems=arguments.stems,
        longest_s=60.0 * arguments.minutes if arguments.minutes else float("inf"),
        effect=effect,
        picture=arguments.picture,
    )


def _targets(source: Path, output: Path, audio_format: str | None) -> dict[Path, Path]:
    """Decide which file each piece goes to."""
    targets = output_paths(source, output, MIDI_SUFFIXES, [f".{each}" for each in AUDIO_FORMATS])
    return (
        {path: target.with_suffix(f".{audio_format}") for path, target in targets.items()} if audio_format else targets
    )


def _cores() -> int:
    """Return how many processor cores this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _program(text: str) -> int | str:
    if text == KEEP:
        return KEEP
    if not text.isdecimal() or int(text) > 127:
        raise argparse.ArgumentTypeError(f"{text!r} is no General MIDI program; expected 0 to 127 or {KEEP}")
    return int(text)


class _PresetAction(argparse.Action):
    """Collects presets; `list` prints their names and ends the program, as `--help` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Take one `--preset`."""
        if values == LIST:
            from ambient.sound.preset import find_preset, preset_names

            for name in preset_names():
                print(f"{name:14} {find_preset(name).description}")
            parser.exit()
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), str(values)])


def check(arguments: argparse.Namespace) -> str | None:
    """Say what is wrong with flags that do not fit together."""
    if arguments.program and KEEP in arguments.program and (len(arguments.program) > 1 or arguments.preset):
        return f"--program {KEEP} cannot be layered with another sound"
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run_program(build_parser(), run, argv, check=check)


if __name__ == "__main__":
    sys.exit(main())
