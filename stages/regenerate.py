"""Make a generated piece again, to the same bytes: its settings stand in the MIDI file itself.

    python3 -m stages.regenerate song.mid --inputs samples/midi --save_path again.mid

The model and the primer must be the very ones; both are known by their digests.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from ambient.errors import InputError
from ambient.names import MIDI_SUFFIXES
from ambient.program import files_below, refuse_lossy_target, run_program, written_atomically
from ambient.shipped import SHIPPED_MODELS

SWITCHES = ("keep_primer", "open_end")
NO_FLAGS = ("model", "primer", "primer_digest", "rank", *SWITCHES, "break_loops", "model_songs")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m stages.regenerate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("song", type=Path, help="MIDI file that `generate` wrote")
    parser.add_argument(
        "--inputs", type=Path, help="the primer, or a folder that holds it (none for a song from nothing)"
    )
    parser.add_argument("--load_path", type=Path, help="the model folder (the shipped model)")
    parser.add_argument("--save_path", type=Path, required=True, help="MIDI file to write")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Compose again with the settings of the song, and compare."""
    from ambient.model_folder import model_digest
    from ambient.music_transformer.config import SHIPPED_MODEL
    from ambient.stages import generate

    settings = read_settings(arguments.song)
    refuse_lossy_target(arguments.song, {arguments.song: arguments.save_path})
    folder = arguments.load_path or SHIPPED_MODELS / SHIPPED_MODEL
    found = model_digest(folder)
    if found != settings["model"]:
        raise InputError(
            folder, f"model {found}", f"{arguments.song} was made by {settings['model']}", "Name it with --load_path"
        )
    with tempfile.TemporaryDirectory() as folder_of_songs:
        made = Path(folder_of_songs) / "song.mid"
        flags = ["--load_path", folder, "--save_path", made]
        if "primer" in settings:
            primer = _primer(arguments, settings)
            refuse_lossy_target(primer, {primer: arguments.save_path})
            flags += ["--inputs", primer]
        code = generate.main([str(flag) for flag in [*flags, *settings_to_flags(settings)]])
        if code:
            raise SystemExit(code)
        if settings["keep"] > 1:
            made = made.with_name(f"song-{settings['rank']}.mid")
        again = made.read_bytes()
    with written_atomically(arguments.save_path) as partial:
        partial.write_bytes(again)
    if again != arguments.song.read_bytes():
        raise InputError(
            arguments.save_path,
            "other bytes than the song's",
            "expected the same",
            "It was changed since, or made on another kind of machine, whose arithmetic rounds otherwise",
        )


def read_settings(song: Path) -> dict[str, Any]:
    """Read what `generate` wrote into a piece.

    Raises:
        InputError: not a MIDI file, or not one of ours.
    """
    from ambient.midi import read_midi
    from ambient.piece_settings import texts_to_settings

    settings = texts_to_settings(read_midi(song).texts)
    if settings is not None:
        return settings
    raise InputError(song, "no settings of `generate`", "expected its text event", "Give a file that generate wrote")


def settings_to_flags(settings: dict[str, Any]) -> list[object]:
    """Turn the settings of a piece into the flags of `generate` that make it."""
    flags: list[object] = []
    for name, value in settings.items():
        if name in SWITCHES and value:
            flags.append(f"--{name}")
        elif name == "break_loops" and not value:
            flags.append("--keep_loops")
        elif name not in NO_FLAGS and value is not None:
            flags += [f"--{name}", value]
    return flags


def _primer(arguments: argparse.Namespace, settings: dict[str, Any]) -> Path:
    """Find the primer by its digest."""
    from ambient.piece_settings import file_with_digest

    wanted = f"primer {settings['primer']} (digest {settings['primer_digest']})"
    if arguments.inputs is None:
        raise InputError(arguments.song, f"made from {wanted}", "expected --inputs", "Name the primer or its folder")
    paths = files_below(arguments.inputs, MIDI_SUFFIXES) if arguments.inputs.is_dir() else [arguments.inputs]
    found = file_with_digest(paths, settings["primer_digest"])
    if found:
        return found
    raise InputError(arguments.inputs, f"no {wanted}", "expected it there", "Name another file or folder")


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
