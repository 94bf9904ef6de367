"""Measure transcribers on recordings whose notes are known: ours, and those that are installed beside it.

    python3 benchmarks/transcription.py --recordings PATH_TO_RECORDINGS --midi PATH_TO_MIDI --soundfonts A.sf2 B.sf2

`--recordings` is a folder of audio files (`.flac`, `.wav`, `.mp3`), each beside a `.tsv` of the same name: one header
line, then onset and offset in seconds, MIDI note, velocity, and, where it is known, when the note can be heard.
`--midi` and `--soundfonts` make a second set, of ambient sounds (`ambient_recordings.py`), whose onsets are scored
against both, key and audible moment. `--songs` adds the sample songs, whose notes `scripts/make_samples.py` knows.

Each transcriber runs as `stages.transcribe` does, a program of its own for each set, so time and memory are those of
the whole program, its start included. Prints Markdown: a table for each set, then the figures of each recording.
`--detune_cents` plays the recordings faster or slower first, so that they are sharp or flat. A recording that then lies
nearer to the next key may be heard in that key: where its notes fit better a semitone higher or lower they count so,
and a line says how many do.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ambient.errors import InputError
from ambient.program import files_below, log, number, run_program
from ambient.shipped import SHIPPED_MODELS

if TYPE_CHECKING:
    from ambient.notes import Note
    from ambient.onsets_and_frames.metrics import Scores

ROOT = Path(__file__).resolve().parent.parent
OURS = "onsets-and-frames"
TRANSCRIBERS = (OURS, "basic-pitch", "transkun")
COLUMNS = {
    "onset": "onset F1, 50 ms",
    "onset_150": "onset F1, 150 ms",
    "audible": "audible onset F1, 50 ms",
    "audible_150": "150 ms",
    "onset_offset": "onset+offset F1",
    "frame": "frame F1",
    "velocity": "onset+velocity F1",
    "precision": "precision",
    "recall": "recall",
    "length": "length, heard / played",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a transcriber made of a set.

    Attributes:
        scores: For each recording, in their order.
        seconds_a_minute: Of the whole program, for a minute of sound.
        megabytes: Largest memory of the program.
    """

    scores: "list[Scores]"
    seconds_a_minute: float
    megabytes: float


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, help="folder of audio files with their TSV")
    parser.add_argument("--midi", type=Path, help="MIDI set with its manifest, for the ambient set")
    parser.add_argument("--soundfonts", type=Path, nargs="+", default=[], help="SF2 files to play the ambient set with")
    parser.add_argument("--songs", action="store_true", help="also measure the sample songs")
    parser.add_argument("--transcribers", nargs="+", choices=TRANSCRIBERS, default=TRANSCRIBERS, help="(default: all)")
    parser.add_argument(
        "--model", type=Path, default=SHIPPED_MODELS / OURS, help="model folder for ours (default: the shipped one)"
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="TRANSCRIBER=PROGRAM",
        help="the Python to run it with, where it is installed in an environment of its own (default: this one)",
    )
    parser.add_argument(
        "--detune_cents",
        type=number(float, least=-100, most=100),
        default=0.0,
        help="make the recordings sharp (above 0) or flat (below) by so much (default: %(default)g)",
    )
    parser.add_argument("--save_path", type=Path, help="also write the tables there")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    return run_program(build_parser(), run, argv)


def run(arguments: argparse.Namespace) -> None:
    """Measure every transcriber on every set."""
    if arguments.recordings is None and not arguments.soundfonts and not arguments.songs:
        raise InputError(
            "nothing to measure", "no set", "expected --recordings, --songs, or --midi and --soundfonts", "Give one"
        )
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if arguments.recordings is not None:
            parts.append(measured("Recordings", arguments.recordings, scratch / "recordings", arguments))
        if arguments.soundfonts:
            if arguments.midi is None:
                raise InputError("--midi", "missing", "expected the pieces to play on --soundfonts", "Give it")
            made = scratch / "made"
            # A program of its own: the memory of the one that starts another counts as that one's too.
            words = [str(made), "--midi", str(arguments.midi), "--soundfonts", *map(str, arguments.soundfonts)]
            done = subprocess.run([sys.executable, str(Path(__file__).with_name("ambient_recordings.py")), *words])
            if done.returncode != 0:
                raise InputError("the ambient set", "cannot be made", "expected MIDI and soundfonts", "See above")
            for title, kind in (("Ambient, held sounds", "held"), ("Ambient, struck and plucked sounds", "struck")):
                parts.append(measured(title, made / kind, scratch / kind, arguments))
        if arguments.songs:
            copy_songs(scratch / "songs")
            parts.append(measured("Sample songs", scratch / "songs", scratch / "of songs", arguments))
    tables = "\n".join(parts)
    print(tables, end="")
    if arguments.save_path is not None:
        arguments.save_path.parent.mkdir(parents=True, exist_ok=True)
        arguments.save_path.write_text(tables)


def copy_songs(folder: Path) -> None:
    """Put the sample songs into a folder, each with its notes beside it."""
    from scripts.make_samples import SAMPLES, SONGS

    folder.mkdir()
    for tune in SONGS:
        shutil.copy(SAMPLES / "songs" / tune.name, folder)
        rows = [f"{n.start_s}\t{n.end_s}\t{n.pitch}\t{n.velocity}" for n in tune.texture(tune).played()]
        (folder / tune.name).with_suffix(".tsv").write_text("\n".join(["onset\toffset\tnote\tvelocity", *rows]) + "\n")


def measured(title: str, folder: Path, scratch: Path, arguments: argparse.Namespace) -> str:
    """Run all transcribers over one set and return its two tables."""
    from ambient.audio import decode_to_wav

    audio = files_below(folder, [".flac", ".wav", ".mp3"])
    sources = [path for path in audio if path.with_suffix(".tsv").exists()]
    if not sources:
        raise InputError(folder, "no audio file with a TSV", "expected at least one", "Check --recordings")
    (scratch / "wav").mkdir(parents=True)
    cents, minutes = arguments.detune_cents, 0.0
    for path in sources:
        wav = scratch / "wav" / f"{path.stem}.wav"
        minutes += decode_to_wav(path, wav).seconds / 60 / speed_of(cents)
        if cents != 0:
            detune(wav, cents)
    results: dict[str, Result] = {}
    missing = []
    for name in arguments.transcribers:
        words = ["--model", str(arguments.model)] if name == OURS else []
        python = dict(word.split("=", 1) for word in arguments.python if "=" in word).get(name, sys.executable)
        outcome = transcribed(name, words, scratch / "wav", scratch / name, python)
        if isinstance(outcome, str):
            missing.append(f"{name} was not measured: {outcome}")
            log(missing[-1])
            continue
        seconds, megabytes = outcome
        scores, moved = scored(sources, scratch / name, cents)
        if moved:
            missing.append(f"{name} heard {moved} of {len(sources)} in the next key, and is scored so.")
        results[name] = Result(scores, seconds / minutes, megabytes)
        log(f"{title}: {name} done, {seconds:.0f} s")
    detuned = f", detuned by {cents:+g} cents" if cents != 0 else ""
    lines = [f"## {title}: {len(sources)}, {minutes:.1f} minutes{detuned}", "", *summary(results), "", *missing]
    return "\n".join([*lines, *([""] if missing else []), *by_recording(sources, results), ""])


def transcribed(name: str, words: Sequence[str], source: Path, target: Path, python: str) -> tuple[float, float] | str:
    """Run the stage; returns its seconds and megabytes, or what it complained about."""
    command = [python, "-m", "stages.transcribe", "--input", str(source), "--output", str(target), *words]
    if name != OURS:
        command += ["--transcriber", name]
    with tempfile.TemporaryFile() as said:
        began_s = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}
        )
        _, status, usage = os.wait4(process.pid, 0)
        spent_s = time.monotonic() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    if process.returncode != 0:
        return next((line for line in lines if "error:" in line), lines[-1] if lines else "no reason given")
    return spent_s, usage.ru_maxrss / 1024


def speed_of(cents: float) -> float:
    """Return how much faster a recording runs that is so much sharper."""
    return float(2 ** (cents / 1200))


def detune(wav: Path, cents: float) -> None:
    """Play a 16 kHz WAV file faster or slower, so that it is sharper by so many cents."""
    from ambient.audio import TRANSCRIPTION_RATE_HZ, write_wav
    from ambient.transcribers.recording import Recording
    from ambient.transcribers.resampling import Resampled

    with Recording(wav) as recording:
        played = Resampled(recording, round(TRANSCRIPTION_RATE_HZ / speed_of(cents)))
        samples = played.read(0, len(played))
    write_wav(wav, samples[:, None], rate_hz=TRANSCRIPTION_RATE_HZ)


def scored(recordings: Sequence[Path], folder: Path, cents: float) -> "tuple[list[Scores], int]":
    """Score the MIDI files of a folder against the true notes; returns how many were heard in the next key too."""
    from ambient.midi import read_midi
    from ambient.onsets_and_frames.metrics import score

    scores, moved, speed = [], 0, speed_of(cents)
    for recording in recordings:
        notes, audible_s = read_tsv(recording.with_suffix(".tsv"))
        notes = [replace(note, start_s=note.start_s / speed, end_s=note.end_s / speed) for note in notes]
        heard = read_midi(folder / f"{recording.stem}.mid").notes
        keys = {
            semitone: score(
                [replace(note, pitch=note.pitch + semitone) for note in notes],
                heard,
                audible_s=[start_s / speed for start_s in audible_s],
            )
            for semitone in ((0, -1, 1) if cents != 0 else (0,))
        }
        best = max(keys, key=lambda semitone: keys[semitone].onset)
        scores.append(keys[best])
        moved += best != 0
    return scores, moved


def summary(results: dict[str, Result]) -> list[str]:
    """Return the table of means over recordings, a line for each transcriber."""
    from ambient.onsets_and_frames.metrics import mean_scores

    lines = [
        f"| transcriber | {' | '.join(COLUMNS.values())} | s a minute | MB |",
        "| --- |" + " --- |" * (len(COLUMNS) + 2),
    ]
    for name, result in results.items():
        mean = mean_scores(result.scores)
        figures = " | ".join(f"{getattr(mean, column):.3f}" for column in COLUMNS)
        lines.append(f"| {name} | {figures} | {result.seconds_a_minute:.2f} | {result.megabytes:.0f} |")
    return lines


def by_recording(sources: Sequence[Path], results: dict[str, Result]) -> list[str]:
    """Return the table of onset F1 (50 ms / 150 ms / 150 ms audible) and frame F1, a line for each recording."""
    lines = [
        f"| onset F1, 50 / 150 ms / audible; frame; length | {' | '.join(results)} |",
        "| --- |" + " --- |" * len(results),
    ]
    for index, path in enumerate(sources):
        cells = [
            f"{s.onset:.3f} / {s.onset_150:.3f} / {s.audible_150:.3f}; {s.frame:.3f}; {s.length:.2f}"
            for s in (result.scores[index] for result in results.values())
        ]
        lines.append(f"| {path.stem} | {' | '.join(cells)} |")
    return lines


def read_tsv(path: Path) -> "tuple[list[Note], list[float]]":
    """Read the true notes of a recording, and when each can be heard: with its key where nothing else is known.

    Raises:
        InputError: a line does not hold four numbers.
    """
    from ambient.notes import Note

    rows = []
    try:
        for line in path.read_text().splitlines()[1:]:
            onset_s, offset_s, pitch, velocity, *audible_s = (float(cell) for cell in line.split())
            rows.append((Note(onset_s, int(pitch), offset_s, int(velocity)), audible_s[0] if audible_s else onset_s))
    except ValueError as error:
        raise InputError(
            path,
            f"a line that is not four or five numbers ({error})",
            "expected onset, offset, note, velocity",
            "Fix it",
        ) from error
    rows.sort()
    return [note for note, _ in rows], [audible_s for _, audible_s in rows]


if __name__ == "__main__":
    sys.exit(main())
