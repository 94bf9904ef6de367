"""How fast the composer composes: whole programs from their start to the MIDI on disk, and the decoder within them.

    python3 benchmarks/generation.py [--load_path MODEL_FOLDER] [--minutes 3] [--songs 16] [--repeats 3]

Baselines: our decoder without its cache, in this run, which computes all notes anew for each; one song, for many at
once; and the machine's memory, by copying 256 MB. *Undisturbed* is the sum over the positions of the least time that a
note took there in any run: other work on the machine interrupts a run, but seldom at the same note each time.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ambient.shipped import SHIPPED_MODELS

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stage does

import numpy as np

from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.decoder import Decoder, load_decoder
from ambient.music_transformer.rows import COLUMNS, FIELD_SIZES, TIME, start_row


def seconds(work: Callable[[], object]) -> float:
    """Return how long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def program(folder: Path, minutes: float, *flags: str, repeats: int = 1) -> tuple[float, float, int, int]:
    """Run `stages.generate` a few times.

    Returns:
        The least wall-clock and the least processor seconds; notes of the first song; peak memory in MB of any program
        that this one started so far.
    """
    wall, processor, notes = [], [], 0
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "stages.generate", "--load_path", str(folder), "--minutes", str(minutes)]
        command += ["--save_path", f"{scratch}/song.mid", *flags]
        for _ in range(repeats):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            wall.append(time.perf_counter() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            found = re.search(r"(\d+) notes", done.stderr)
            notes = int(found.group(1)) if found else 0
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000
    return min(wall), min(processor), notes, peak_mb


def copy_rate() -> float:
    """Return the bytes a second that a copy of 256 MB reads and writes; the best of five."""
    source = np.ones(64_000_000, np.float32)
    target = np.empty_like(source)
    return 2.0 * source.nbytes / min(seconds(lambda: np.copyto(target, source)) for _ in range(5))


def bytes_per_note(config: ModelConfig, length: int) -> float:
    """Return the bytes that one note reads: matrices, and the mean of what the cache holds."""
    matrices = config.layers * (4 * config.width**2 + 2 * config.width * config.feed_forward)
    matrices += sum(config.width**2 + config.width * size for size in FIELD_SIZES)
    held = np.minimum(np.arange(length) + 1, config.window).mean()
    return float(4 * (matrices + 2 * config.layers * config.width * held))


def random_rows(length: int) -> np.ndarray:
    """Return [length, 14] rows of any notes."""
    rng = np.random.default_rng(1)
    rows = np.zeros((length, COLUMNS), np.int32)
    for column, size in enumerate(FIELD_SIZES):
        rows[:, column] = rng.integers(1, size - 1, length)
    rows[:, TIME] = np.cumsum(rng.integers(0, 50, length))
    rows[0] = start_row()
    return rows


def decode(decoder: Decoder, rows: np.ndarray) -> np.ndarray:
    """Feed notes one by one, all four fields chosen; return the seconds each took."""
    decoder.reset()
    times = []
    for row in rows:
        started = time.perf_counter()
        state = decoder.step(np.repeat(row[None], decoder.songs, axis=0))
        for field in range(4):
            decoder.choose(field, state)
            if field < 3:
                state = decoder.add_choice(field, state, np.full(decoder.songs, row[field] % FIELD_SIZES[field]))
        times.append(time.perf_counter() - started)
    return np.array(times)


def without_cache(decoder: Decoder, rows: np.ndarray) -> None:
    """Compute all notes anew for each note."""
    for end in range(1, len(rows) + 1):
        decoder.reset()
        decoder.read(rows[:end])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=3.0, help="of music (%(default)s)")
    parser.add_argument("--long_minutes", type=float, default=30.0, help="of the long piece (%(default)s)")
    parser.add_argument("--baseline_notes", type=int, default=256, help="notes without the cache (%(default)s)")
    parser.add_argument("--songs", type=int, default=16, help="songs at once, against one (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each program; the best counts (%(default)s)")
    arguments = parser.parse_args()
    folder, minutes, repeats = arguments.load_path, arguments.minutes, arguments.repeats
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; `wall / processor` seconds of whole programs")

    wall, processor, notes, peak_mb = program(folder, minutes, repeats=repeats)
    print(f"{minutes:g} minutes, {notes} notes, in {wall:.2f} / {processor:.2f} s, {peak_mb} MB")
    # Before this program grows: the peak of a child counts from that of its parent on.
    wall, processor, long_notes, peak_mb = program(folder, arguments.long_minutes)
    print(f"{arguments.long_minutes:g} minutes, {long_notes} notes, in {wall:.2f} / {processor:.2f} s, {peak_mb} MB")
    decoder = load_decoder(folder)
    rows = random_rows(max(notes, arguments.baseline_notes))
    alone = np.min([decode(decoder, rows) for _ in range(repeats)], axis=0).sum()
    rate = copy_rate()
    moved = bytes_per_note(decoder.config, len(rows)) * len(rows) / alone
    share = f"{moved / rate:.2f} of what a copy moves ({rate / 1e9:.1f} GB/s)"
    print(f"the decoder alone, undisturbed: {alone:.2f} s, {share}")

    short = seconds(lambda: decode(decoder, rows[: arguments.baseline_notes]))
    slow = seconds(lambda: without_cache(decoder, rows[: arguments.baseline_notes]))
    print(f"baseline, without the cache, {arguments.baseline_notes} notes: {slow:.2f} s; with it {short:.2f} s")
    print(f"ratio to the baseline: {slow / short:.1f} times as fast")
    runs = [  # in turn, so that a quick or a slow minute of the machine meets both
        [program(folder, minutes, "--songs", str(songs))[:2] for songs in (1, arguments.songs)] for _ in range(repeats)
    ]
    one, many = np.min(runs, axis=0)
    print(f"one song {one[0]:.2f} / {one[1]:.2f} s, {arguments.songs} songs {many[0]:.2f} / {many[1]:.2f} s")
    print(f"ratio of {arguments.songs} songs to one: {many[0] / one[0]:.1f} times the time")


if __name__ == "__main__":
    main()
