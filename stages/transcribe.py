"""Write the notes that are heard in recordings: WAV in, MIDI out, with Onsets and Frames unless another is chosen.

python3 -m stages.transcribe --input wav/ --output midi/
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.errors import InputError
from ambient.names import MIDI_SUFFIXES
from ambient.onsets_and_frames.config import KIND
from ambient.program import (
    for_each_file,
    log,
    number,
    output_paths,
    refuse_lossy_target,
    run_program,
    written_atomically,
)
from ambient.shipped import SHIPPED_MODELS

if TYPE_CHECKING:
    from ambient.transcribers.transcription import Transcriber

TRANSCRIBERS = (KIND, "basic-pitch", "transkun")
NOTABLE_CENTS = 10  # what is less is not worth a word


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m stages.transcribe", description=__doc__.split("\n\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="a WAV file (16 kHz), or a folder with WAV files")
    parser.add_argument("--output", type=Path, required=True, help="a MIDI file for one recording, or a folder")
    parser.add_argument(
        "--transcriber",
        choices=TRANSCRIBERS,
        default=KIND,
        help=f"which network listens (default: {KIND}); the others must be installed by you",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help=f"for {KIND}: model folder, or a TF1 checkpoint of Magenta's, as zip, folder or prefix (default: shipped)",
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
    parser.add_argument(
        "--rules",
        choices=("model", "magenta"),
        help=f"for {KIND}: how notes are read off its answers: as the model's folder says, with those that fade in, or "
        "by Magenta's rules alone, which start a note only where an onset fires (default: model)",
    )
    parser.add_argument(
        "--tuning",
        type=_tuning,
        default=None,
        metavar="auto|CENTS",
        help="how many cents the recordings are sharp of A = 440 Hz, where it is known; 0 leaves them as they are "
        "(default: auto, estimated for each)",
    )
    return parser


def _tuning(text: str) -> float | None:
    return None if text == "auto" else float(number(float, least=-100, most=100)(text))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return run_program(build_parser(), run, argv)


def run(arguments: argparse.Namespace) -> None:
    """Transcribe every recording below the input."""
    targets = output_paths(arguments.input, arguments.output, [".wav", ".wave"], MIDI_SUFFIXES)
    if not targets:
        log(f"{arguments.input}: no WAV files, nothing to do")
        return
    transcriber = open_transcriber(arguments)
    from ambient.midi import write_midi
    from ambient.transcribers.transcription import provenance_to_texts, tuning_to_text

    def transcribe(path: Path) -> str:
        refuse_lossy_target(path, targets)
        targets[path].parent.mkdir(parents=True, exist_ok=True)
        heard = transcriber.transcribe(path, scratch=targets[path].parent)
        if heard.missing_seconds > 0:
            log(f"warning: {path}: {heard.missing_seconds:.1f} s shorter than its header says; transcribed to its end")
        if not heard.notes:
            why = "silence" if heard.level == 0 else "no note is sure enough"
            log(f"warning: {path}: {why}; the MIDI file has no notes")
        with written_atomically(targets[path]) as partial:
            write_midi(partial, heard.notes, texts=provenance_to_texts(transcriber.name, heard))
        sure = "" if heard.confidence is None else f", confidence {heard.confidence:.2f}"
        tuned = ""
        if heard.tuning is not None and max(map(abs, heard.tuning.cents)) > NOTABLE_CENTS:
            tuned = f", out of tune by {tuning_to_text(heard.tuning)}, corrected"
        return f"{len(heard.notes)} notes in {heard.seconds:.1f} s{sure}{tuned}"

    for_each_file(targets, transcribe)


def open_transcriber(arguments: argparse.Namespace) -> "Transcriber":
    """Load the transcriber that the flags choose.

    Raises:
        InputError: it is not installed, its model cannot be read, or it has no such flag.
    """
    thresholds = {
        name: value
        for name in ("onset_threshold", "frame_threshold")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.transcriber == KIND:
        return _open_onsets_and_frames(arguments, thresholds)
    expected = f"expected it with --transcriber {KIND}"
    if arguments.model is not None:
        raise InputError(
            "--model", f"given to {arguments.transcriber}", expected, "Leave it out: the weights are its own"
        )
    for flag in ("tuning", "rules"):
        if getattr(arguments, flag) is not None:
            raise InputError(f"--{flag}", f"given to {arguments.transcriber}", expected, "Leave it out")
    if arguments.transcriber == "basic-pitch":
        from ambient.transcribers.basic_pitch import BasicPitch
        from ambient.transcribers.basic_pitch_notes import NoteRules

        return BasicPitch(NoteRules(**thresholds))
    if thresholds:
        raise InputError(
            f"--{next(iter(thresholds))}", "given to transkun", f"{expected} or basic-pitch", "Leave it out"
        )
    from ambient.transcribers.transkun import Transkun

    return Transkun()


def _open_onsets_and_frames(arguments: argparse.Namespace, thresholds: dict[str, Any]) -> "Transcriber":
    from ambient.onsets_and_frames.inference import Transcriber

    transcriber = Transcriber.from_model(arguments.model or SHIPPED_MODELS / KIND)
    transcriber.decoding = replace(transcriber.decoding, **thresholds)
    if arguments.rules == "magenta":
        transcriber.evidence = None
    elif transcriber.evidence is not None:
        transcriber.evidence = replace(transcriber.evidence, **thresholds)
    transcriber.tuning_cents = arguments.tuning
    return transcriber


if __name__ == "__main__":
    sys.exit(main())
