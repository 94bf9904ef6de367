"""How quickly is each preset rendered, and in how much memory? Prints a table, one process a row, on one core.

    taskset -c 0 python3 benchmarks/rendering.py [--seconds 180] [--preset NAME] [--format mp3] [--repeats 3]
    taskset -c 0 python3 benchmarks/rendering.py --demo [--repeats 3]

The piece is the seven primers one after another, repeated to the length asked for. Each row is the whole program, from
its start to the finished file: imports, reading, playing, measuring, encoding. It is given per second by the clock and
per second of processor time (user and system) of the program and its ffmpeg together. The clock counts only on an idle
machine; other programs disturb the processor time less, and of several runs the quickest is the least disturbed one.

With --demo it renders the demo's seven pieces as the pipeline does, a process each, with pictures, and adds them up.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ambient.midi import read_midi, write_midi
from ambient.notes import Note
from ambient.sound.preset import preset_names

ROOT = Path(__file__).resolve().parent.parent
PRIMERS = ROOT / "samples" / "midi"
DEMO = ROOT / "samples" / "generated"


def main(argv: list[str] | None = None) -> int:
    """Render and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the piece (default: %(default)s)")
    parser.add_argument("--preset", action="append", help="only these (default: all)")
    parser.add_argument("--format", default="mp3", help="of the file (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="keep the quickest of so many runs (default: %(default)s)"
    )
    parser.add_argument("--picture", action="store_true", help="with the picture beside the sound")
    parser.add_argument("--demo", action="store_true", help="the demo's pieces, in place of the table")
    arguments = parser.parse_args(argv)
    if arguments.demo:
        return demo(arguments.repeats)
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / "piece.mid"
        notes = long_piece(arguments.seconds)
        write_midi(piece, notes)
        print(f"{len(notes)} notes in {arguments.seconds:.0f} s, to {arguments.format}")
        print("| preset | × real time by the clock | × real time by processor time | memory MB |")
        print("| --- | --- | --- | --- |")
        for name in arguments.preset or preset_names():
            flags = ["--input", piece, "--output", Path(folder) / f"out.{arguments.format}", "--preset", name]
            command = [sys.executable, "-m", "stages.render", *map(str, flags), *["--picture"] * arguments.picture]
            runs = [cost(command) for _ in range(arguments.repeats)]
            wall_s, processor_s, memory_mb = min(wall for wall, _, _ in runs), min(p for _, p, _ in runs), runs[0][2]
            speed, steady = arguments.seconds / wall_s, arguments.seconds / processor_s
            print(f"| {name} | {speed:.0f} | {steady:.0f} | {memory_mb:.0f} |", flush=True)
    return 0


def demo(repeats: int) -> int:
    """Render the demo's pieces one after another and print what each costs."""
    sums = [0.0, 0.0]
    print("| piece | seconds by the clock | seconds of processor time | memory MB |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for piece in sorted(DEMO.glob("*.mid")):
            target = Path(folder) / f"{piece.stem}.mp3"
            command = [
                sys.executable,
                "-m",
                "stages.render",
                "--input",
                str(piece),
                "--output",
                str(target),
                "--picture",
            ]
            runs = [cost(command) for _ in range(repeats)]
            quickest = [min(run[i] for run in runs) for i in (0, 1)]
            sums = [total + seconds for total, seconds in zip(sums, quickest, strict=True)]
            print(f"| {piece.name} | {quickest[0]:.1f} | {quickest[1]:.1f} | {runs[0][2]:.0f} |", flush=True)
    print(f"| all | {sums[0]:.1f} | {sums[1]:.1f}: {sums[1] / 2:.1f} s of two cores | |")
    return 0


def long_piece(seconds: float) -> list[Note]:
    """Return the primers one after another, again and again, up to a length."""
    notes: list[Note] = []
    begin_s = 0.0
    while begin_s < seconds:
        for path in sorted(PRIMERS.glob("*.mid")):
            piece = read_midi(path).notes
            notes += [replace(note, start_s=note.start_s + begin_s, end_s=note.end_s + begin_s) for note in piece]
            begin_s = max(note.end_s for note in notes)
    return [note for note in notes if note.end_s <= seconds]


def cost(command: list[str]) -> tuple[float, float, float]:
    """Run a program; returns its seconds, its processor seconds with its children's, and its memory in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = time.perf_counter()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started_s
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, processor_s, usage.ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
