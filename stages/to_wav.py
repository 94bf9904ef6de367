"""Turn recordings into 16 kHz mono 16-bit WAV: `song.mp3` becomes `song.wav`."""

import argparse
import sys
from pathlib import Path

from ambient.names import AUDIO_SUFFIXES
from ambient.program import for_each_file, log, output_paths, refuse_lossy_target, run_program, written_atomically


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.to_wav", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="a recording, or a folder of them, in subfolders too")
    parser.add_argument("--output", type=Path, required=True, help="a WAV file for one recording, or a folder")
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Decode each recording; silence passes, a file without a decodable sample does not.

    Raises:
        InputError: the input is not there, or its only recording cannot be decoded.
        FilesFailedError: some of several recordings cannot be decoded.
    """
    from ambient.audio import decode_to_wav

    targets = output_paths(arguments.input, arguments.output, AUDIO_SUFFIXES, [".wav"])

    def convert(path: Path) -> str:
        refuse_lossy_target(path, targets)
        with written_atomically(targets[path]) as partial:
            decoded = decode_to_wav(path, partial)
        if decoded.complaint:
            log(f"warning: {path}: damaged, what could be decoded is kept ({decoded.complaint})")
        alone = "" if decoded.channel is None else f", channel {decoded.channel + 1} alone: together they cancel out"
        return f"{decoded.seconds:.1f} s{alone}"

    for_each_file(targets, convert)


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
