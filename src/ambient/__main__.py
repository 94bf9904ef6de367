"""Put recordings in; get a model that composes in their style, and new pieces as MIDI and audio."""

import argparse
import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

DISTRIBUTION = "ambient-music-generation"


class Command(NamedTuple):
    """One program: the module whose `main` it is, the extra that brings what it needs, and what it does."""

    module: str
    extra: str
    does: str


COMMANDS = {
    "rename": Command("ambient.stages.rename", "audio", "give recordings names that all later programs accept"),
    "to-wav": Command("ambient.stages.to_wav", "audio", "decode recordings: WAV of 16 kHz, mono"),
    "transcribe": Command(
        "ambient.stages.transcribe", "onsets-and-frames", "write the notes that are heard in recordings: MIDI"
    ),
    "preprocess": Command("ambient.stages.preprocess", "generate", "make MIDI into what training reads"),
    "train": Command("ambient.stages.train", "music-transformer", "train the composer on it"),
    "generate": Command("ambient.stages.generate", "generate", "compose new pieces that go on from primers: MIDI"),
    "regenerate": Command("ambient.stages.regenerate", "generate", "make a composed piece again, to the same bytes"),
    "render": Command("ambient.stages.render", "audio", "make MIDI sound: MP3, WAV, FLAC, Ogg, Opus"),
    "studio": Command("ambient.studio.__main__", "all,studio", "open the page for working with songs and pieces"),
    "deploy": Command("ambient.deployment.program", "deploy", "put pipelines and songs on a cluster, or run them here"),
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line up to the word that chooses a program."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {word:{width}}  {command.does}" for word, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="ambient",
        usage="ambient COMMAND …",
        description=__doc__,
        epilog=f"commands:\n{listing}\n\n`ambient COMMAND --help` lists the flags of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {_version()}")
    parser.add_argument("command", choices=list(COMMANDS), metavar="COMMAND", help="one of those below")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program that the first word names; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    name = words[0].replace("_", "-") if words else ""
    if name not in COMMANDS:
        build_parser().parse_args(words[:1])
        raise AssertionError("argparse ends where no command is named")
    command = COMMANDS[name]
    sys.argv[0] = f"ambient {name}"  # what its usage line begins with
    try:
        code: int = importlib.import_module(command.module).main(words[1:])
    except ModuleNotFoundError as error:
        missing, install = error.name or "ambient", f"pip install '{DISTRIBUTION}[{command.extra}]'"
        if _is_left_out_of_images(missing, command):
            remedy = f"The images carry the stages alone: run {install} outside of them, or use a checkout"
        elif missing.startswith(("ambient", "localpach")):
            raise
        else:
            remedy = f"Run {install}"
        print(f"error: {missing}: not installed; expected it, for `ambient {name}`. {remedy}", file=sys.stderr)
        return 1
    return code


def _is_left_out_of_images(missing: str, command: Command) -> bool:
    """Return whether the whole package of a program is missing."""
    return missing != "ambient" and command.module.startswith(f"{missing}.")


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(a checkout that is not installed)"


if __name__ == "__main__":
    sys.exit(main())
