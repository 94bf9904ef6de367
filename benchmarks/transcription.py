"""Measure the transcriber on recordings whose notes are known.

    python3 benchmarks/transcription.py --recordings PATH_TO_RECORDINGS [--model FOLDER] [--save_path results.md]

Each recording is an audio file (`.flac`, `.wav`, `.mp3`) beside a `.tsv` of the same name: one header line, then onset
and offset in seconds, MIDI note, velocity. Prints a Markdown table: F1 of notes (onset within 50 ms, within 150 ms,
within 50 ms with the offset right too), F1 of sounding keys a frame, and what it cost. The measured transcription runs
in this process after one warm-up; peak memory is that of the whole process so far.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ambient.errors import InputError
from stages.common import SHIPPED_MODELS, files_below, log, run_program

if TYPE_CHECKING:
    from ambient.notes import Note

COLUMNS = {
    "onset": "onset F1, 50 ms",
    "precision": "precision",
    "recall": "recall",
    "onset_150": "onset F1, 150 ms",
    "onset_offset": "onset+offset F1",
    "frame": "frame F1",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="folder of audio files with their TSV")
    parser.add_argument(
        "--model",
        type=Path,
        default=SHIPPED_MODELS / "onsets-and-frames",
        help="model folder (default: the shipped one)",
    )
    parser.add_argument("--onset_threshold", type=float, help="instead of the model's")
    parser.add_argument("--save_path", type=Path, help="also write the table there")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    return run_program(build_parser(), run, argv)


def run(arguments: argparse.Namespace) -> None:
    """Transcribe and score every recording, then print the table."""
    from dataclasses import replace

    from ambient.framework import start_framework

    start_framework()

    from ambient.onsets_and_frames.inference import Transcriber
    from ambient.onsets_and_frames.metrics import Scores, mean_scores, score

    transcriber = Transcriber.from_folder(arguments.model)
    if arguments.onset_threshold is not None:
        transcriber.decoding = replace(transcriber.decoding, onset_threshold=arguments.onset_threshold)
    recordings = [
        path
        for path in files_below(arguments.recordings, [".flac", ".wav", ".mp3"])
        if path.with_suffix(".tsv").exists()
    ]
    if not recordings:
        raise InputError(
            arguments.recordings, "no audio file with a TSV", "expected at least one", "Check --recordings"
        )

    scores: list[Scores] = []
    lines = [
        f"| recording | {' | '.join(COLUMNS.values())} | s a minute | MB |",
        "| --- |" + " --- |" * (len(COLUMNS) + 2),
    ]
    heard_s = spent_s = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch) / "recording.wav"
        for index, path in enumerate(recordings):
            _decode(path, wav)
            if index == 0:
                transcriber.transcribe(wav)  # the first run also traces the network
            began_s = time.monotonic()
            heard = transcriber.transcribe(wav)
            cost_s = time.monotonic() - began_s
            scores.append(score(read_tsv(path.with_suffix(".tsv")), heard.notes))
            heard_s, spent_s = heard_s + heard.seconds, spent_s + cost_s
            lines.append(_line(path.stem, scores[-1], cost_s / heard.seconds * 60))
            log(lines[-1])
    lines.append(_line("**mean**", mean_scores(scores), spent_s / heard_s * 60))
    table = "\n".join(lines) + f"\n\nModel {transcriber.digest}, {transcriber.decoding}.\n"
    print(table, end="")
    if arguments.save_path is not None:
        arguments.save_path.parent.mkdir(parents=True, exist_ok=True)
        arguments.save_path.write_text(table)


def read_tsv(path: Path) -> "list[Note]":
    """Read the true notes of a recording.

    Raises:
        InputError: a line does not hold four numbers.
    """
    from ambient.notes import Note

    notes = []
    try:
        for line in path.read_text().splitlines()[1:]:
            onset_s, offset_s, pitch, velocity = (float(cell) for cell in line.split()[:4])
            notes.append(Note(onset_s, int(pitch), offset_s, int(velocity)))
    except ValueError as error:
        raise InputError(
            path, f"a line that is not four numbers ({error})", "expected onset, offset, note, velocity", "Fix it"
        ) from error
    return sorted(notes)


def _decode(path: Path, wav: Path) -> None:
    import imageio_ffmpeg

    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        "-i",
        str(path),
        "-ac",
        "1",
        "-ar",
        "16000",
        str(wav),
    ]
    subprocess.run([*command], check=True)


def _line(name: str, scores: object, seconds_a_minute: float) -> str:
    figures = " | ".join(f"{getattr(scores, column):.3f}" for column in COLUMNS)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"| {name} | {figures} | {seconds_a_minute:.2f} | {megabytes:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
