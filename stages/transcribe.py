"""Write the notes that are heard in recordings: WAV in, MIDI out, with Onsets and Frames.

python3 -m stages.transcribe --input wav/ --output midi/
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ambient.onsets_and_frames.config import KIND, DecodingConfig
from stages.common import (
    SHIPPED_MODELS,
    files_below,
    for_each_file,
    log,
    number,
    refuse_shared_target,
    run_program,
    written_atomically,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.transcribe", description=__doc__.split("\n\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="a WAV file (16 kHz), or a folder with WAV files")
    parser.add_argument("--output", type=Path, required=True, help="folder for the MIDI files, named as the recordings")
    parser.add_argument(
        "--model",
        type=Path,
        default=SHIPPED_MODELS / "onsets-and-frames",
        help="model folder, or a TF1 checkpoint of Magenta's: its zip, folder or prefix (default: the shipped model)",
    )
    parser.add_argument(
        "--onset_threshold",
        type=number(float, above=0, most=1),
        help="0-1, how sure the network must be of a note's start; more gives fewer notes (default: the model's)",
    )
    parser.add_argument(
        "--frame_threshold",
        type=number(float, above=0, most=1),
        help="0-1, how sure it must be of a note going on; more gives shorter notes (default: the model's)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return run_program(build_parser(), run, argv)


def run(arguments: argparse.Namespace) -> None:
    """Transcribe every recording below the input."""
    source: Path = arguments.input
    if source.is_file():
        files, folder = [source], source.parent
    else:
        files, folder = files_below(source, [".wav", ".wave"]), source
    if not files:
        log(f"{source}: no WAV files, nothing to do")
        return
    from ambient.framework import start_framework
    from ambient.model_folder import load_config
    from ambient.onsets_and_frames.checkpoint import is_checkpoint

    # The model is looked at first: starting the framework takes longest.
    decoding = DecodingConfig()
    if not is_checkpoint(arguments.model):
        decoding = DecodingConfig.from_json(
            load_config(arguments.model, kind=KIND).get("decoding", {}), source=arguments.model
        )
    if arguments.onset_threshold is not None:
        decoding = replace(decoding, onset_threshold=arguments.onset_threshold)
    if arguments.frame_threshold is not None:
        decoding = replace(decoding, frame_threshold=arguments.frame_threshold)
    start_framework()
    from ambient.midi import write_midi
    from ambient.onsets_and_frames.inference import Transcriber

    transcriber = Transcriber.from_model(arguments.model, decoding=decoding)
    targets = {path: arguments.output / path.relative_to(folder).with_suffix(".mid") for path in files}

    def transcribe(path: Path) -> str:
        refuse_shared_target(path, targets)
        targets[path].parent.mkdir(parents=True, exist_ok=True)
        heard = transcriber.transcribe(path, scratch=targets[path].parent)
        if heard.missing_seconds > 0:
            log(f"warning: {path}: {heard.missing_seconds:.1f} s shorter than its header says; transcribed to its end")
        if not heard.notes:
            why = "silence" if heard.peak == 0 else "no note is sure enough"
            log(f"warning: {path}: {why}; the MIDI file has no notes")
        texts = [f"transcriber: onsets-and-frames {transcriber.digest}", f"confidence: {heard.confidence:.4f}"]
        with written_atomically(targets[path]) as partial:
            write_midi(partial, heard.notes, texts=texts)
        return f"{len(heard.notes)} notes in {heard.seconds:.1f} s, confidence {heard.confidence:.2f}"

    for_each_file(files, transcribe)


if __name__ == "__main__":
    sys.exit(main())
