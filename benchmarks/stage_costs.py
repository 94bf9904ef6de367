"""What each stage costs in processor seconds: so much to start, so much a minute of music.

    python3 benchmarks/stage_costs.py [--repeats 3] [--save benchmarks/results/stages_2-cores_2026-11-29.json]

Each per-song stage runs as a program on one and on four minutes of the sample songs; the line through the two gives
start and slope. Processor seconds (user and system, all threads) rather than wall-clock ones, because other work on the
machine changes them little; the least of the repeats counts. scripts/simulate_cluster.py reads the file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ambient.audio import find_ffmpeg

ROOT = Path(__file__).resolve().parent.parent
SHORT_MINUTES, LONG_MINUTES = 1, 4
FEW_EPOCHS, MANY_EPOCHS = 1, 4


def main() -> None:
    """Measure, print and perhaps save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs of each program; the least counts")
    parser.add_argument("--save", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = measure(Path(folder), arguments.repeats)
    print(f"{'stage':12} {'to start':>9} {'a minute':>9}   processor seconds")
    for name, cost in costs["stages"].items():
        print(f"{name:12} {cost['start_cpu_s']:9.2f} {cost['minute_cpu_s']:9.2f}")
    training = costs["training"]
    print(
        f"{'train':12} {training['start_cpu_s']:9.2f}   and {training['tokens_per_cpu_s']:.0f} tokens a processor "
        f"second; {training['tokens_per_minute']:.0f} tokens a minute of music"
    )
    if arguments.save:
        arguments.save.write_text(json.dumps(costs, indent=2) + "\n")


def measure(folder: Path, repeats: int) -> dict[str, Any]:
    """Run every stage in a scratch folder and return what it costs."""
    songs = {minutes: folder / f"song-{minutes}" for minutes in (SHORT_MINUTES, LONG_MINUTES)}
    for minutes, target in songs.items():
        _make_song(target / "mp3" / "song.mp3", minutes)
    stages = {}
    for name, source, output in (
        ("to_wav", "mp3", "wav"),
        ("transcribe", "wav", "midi"),
        ("preprocess", "midi", "tokens"),
        ("render", "midi", "rendered"),
    ):
        seconds = {}
        for minutes, song in songs.items():
            words = [str(song / source), str(song / output)]
            flags = words if name == "preprocess" else ["--input", words[0], "--output", words[1]]
            seconds[minutes] = least_cpu_s(repeats, name, *flags)
        stages[name] = _line(seconds[SHORT_MINUTES], seconds[LONG_MINUTES], LONG_MINUTES - SHORT_MINUTES, SHORT_MINUTES)
    # Composing depends on the tokens asked for, not on a song: all of it is start.
    flags = ["--inputs", str(ROOT / "samples/midi/1.mid"), "--length", "2048", "--save_path", str(folder / "new.mid")]
    stages["generate"] = {"start_cpu_s": round(least_cpu_s(repeats, "generate", *flags), 3), "minute_cpu_s": 0.0}
    stages["rename"] = {
        "start_cpu_s": round(
            least_cpu_s(
                repeats, "rename", "--link", "--input", str(songs[1] / "mp3"), "--output", str(folder / "names")
            ),
            3,
        ),
        "minute_cpu_s": 0.0,
    }
    return {
        "cores": os.cpu_count(),
        "stages": stages,
        "training": _training(songs[LONG_MINUTES] / "tokens", repeats, folder),
    }


def _training(tokens: Path, repeats: int, folder: Path) -> dict[str, float]:
    """Train for few and for more epochs: the difference is what tokens cost."""

    def seconds(epochs: int) -> float:
        flags = ["--input_path", str(tokens), "--save_path", str(folder / f"model-{epochs}"), "--epochs", str(epochs)]
        return least_cpu_s(repeats, "train", *flags, "--patience", "1000")

    few, many = seconds(FEW_EPOCHS), seconds(MANY_EPOCHS)
    count = _token_count(tokens)
    epoch_s = (many - few) / (MANY_EPOCHS - FEW_EPOCHS)
    return {
        "start_cpu_s": round(few - epoch_s * FEW_EPOCHS, 3),
        "tokens_per_cpu_s": round(count / epoch_s, 1),
        "tokens_per_minute": round(count / LONG_MINUTES, 1),
    }


def _token_count(folder: Path) -> int:
    """Return the tokens of all pieces, as the reports of preprocess give them."""
    return sum(json.loads(path.read_text())["tokens"] for path in folder.glob("*.report.json"))


def _make_song(target: Path, minutes: int) -> None:
    """Play the sample songs one after the other until the length is reached."""
    target.parent.mkdir(parents=True)
    playlist = target.with_suffix(".txt")
    songs = sorted((ROOT / "samples" / "songs").glob("*.mp3"))
    playlist.write_text("".join(f"file '{song}'\n" for song in songs * minutes))
    command = [find_ffmpeg(), "-v", "error", "-f", "concat", "-safe", "0", "-i", str(playlist), "-t", str(60 * minutes)]
    subprocess.run([*command, str(target)], check=True)
    playlist.unlink()


def least_cpu_s(repeats: int, stage: str, *flags: str) -> float:
    """Run a stage some times; return the least processor seconds, all threads together."""
    return min(_cpu_s([sys.executable, "-m", f"stages.{stage}", *flags]) for _ in range(repeats))


def _cpu_s(command: list[str], spawn: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen) -> float:
    with spawn(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        text = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command)}: exit {process.returncode}: {text.decode()[-300:]}")
    return usage.ru_utime + usage.ru_stime


def _line(short_s: float, long_s: float, minutes_between: float, short_minutes: float) -> dict[str, float]:
    slope = max((long_s - short_s) / minutes_between, 0.0)
    return {"start_cpu_s": round(max(short_s - slope * short_minutes, 0.0), 3), "minute_cpu_s": round(slope, 3)}


if __name__ == "__main__":
    main()
