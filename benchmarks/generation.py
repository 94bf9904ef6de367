"""How fast the composer composes: whole programs from their start to the MIDI on disk, and the decoder within them.

    python3 benchmarks/generation.py [--load_path MODEL_FOLDER] [--length 2048] [--songs 16] [--repeats 3]

Baselines: what was published of the reference, which recomputes the whole prefix for every token (477 s for 2048 tokens
at its size on two cores, TensorFlow 2.15); our decoder without its cache, in this run, at a shorter length, since its
time grows with the square of it; and the machine's memory, by copying 256 MB. The model of the reference's size (6
blocks of width 256, hidden width 128, 4 heads, window 2048) has random weights, which take as long.

*Undisturbed* is the sum over the positions of the least time that a token took there in any run: other work on the
machine interrupts a run, but seldom at the same token each time.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stages.common import SHIPPED_MODELS

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stage does

import numpy as np

from ambient.model_folder import save_model_folder
from ambient.music_transformer.config import KIND, ModelConfig
from ambient.music_transformer.decoder import Decoder, load_decoder, tensor_shapes
from ambient.music_transformer.tokens import START, VOCABULARY_SIZE

PUBLISHED_S = 477.0
REFERENCE = ModelConfig(layers=6, width=256, heads=4, feed_forward=128, max_distance=512, window=2048)


def seconds(work: Callable[[], object]) -> float:
    """Return how long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def program(folder: Path, length: int, *flags: str, repeats: int) -> tuple[float, float]:
    """Run `stages.generate` and return the least wall-clock and the least processor time of a few runs."""
    wall, processor = [], []
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "stages.generate", "--load_path", str(folder), "--length", str(length)]
        command += ["--save_path", f"{scratch}/song.mid", "--copy_limit", "0", *flags]
        for _ in range(repeats):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            wall.append(seconds(lambda: subprocess.run(command, check=True, capture_output=True)))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(wall), min(processor)


def random_model(folder: Path) -> Path:
    """Write a model of the reference's size."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in tensor_shapes(REFERENCE).items()}
    save_model_folder(folder, kind=KIND, config=REFERENCE.to_json(), weights=weights, training={}, card="")
    return folder


def copy_rate() -> float:
    """Return the bytes a second that a copy of 256 MB reads and writes; the best of five."""
    source = np.ones(64_000_000, np.float32)
    target = np.empty_like(source)
    return 2.0 * source.nbytes / min(seconds(lambda: np.copyto(target, source)) for _ in range(5))


def bytes_per_token(config: ModelConfig, length: int) -> float:
    """Return the bytes that one token reads: matrices, distance tables, and the mean of what the cache holds."""
    matrices = config.layers * (4 * config.width**2 + 2 * config.width * config.feed_forward)
    matrices += config.width * VOCABULARY_SIZE + config.layers * config.width * config.max_distance
    held = np.minimum(np.arange(length) + 1, config.window).mean()
    return float(4 * (matrices + 2 * config.layers * config.width * held))


def decode(decoder: Decoder, length: int) -> np.ndarray:
    """Feed random tokens one by one and return the seconds of each, [length]."""
    decoder.reset()
    times = []
    for row in np.random.default_rng(1).integers(0, VOCABULARY_SIZE - 3, (length, decoder.songs)):
        times.append(seconds(lambda row=row: decoder.step(row)))  # type: ignore[misc]
    return np.array(times)


def without_cache(decoder: Decoder, length: int) -> None:
    """Feed random tokens, recomputing the prefix for each."""
    tokens = [START, *np.random.default_rng(1).integers(0, VOCABULARY_SIZE - 3, length - 1)]
    for end in range(1, length + 1):
        decoder.reset()
        decoder.read(np.array(tokens[:end]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    parser.add_argument("--length", type=int, default=2048, help="tokens with the cache (%(default)s)")
    parser.add_argument("--baseline_length", type=int, default=256, help="tokens without (%(default)s)")
    parser.add_argument("--songs", type=int, default=16, help="songs at once, against one (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each program; the best counts (%(default)s)")
    arguments = parser.parse_args()
    length, repeats = arguments.length, arguments.repeats
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}; `wall / processor` seconds of whole programs")

    with tempfile.TemporaryDirectory() as scratch:
        folders = {"reference's size": random_model(Path(scratch)), "shipped": arguments.load_path}
        rate = copy_rate()
        print(f"memory: copying moves {rate / 1e9:.1f} GB/s")
        for name, folder in folders.items():
            wall, processor = program(folder, length, repeats=repeats)
            decoder = load_decoder(folder)
            alone = np.min([decode(decoder, length) for _ in range(repeats)], axis=0).sum()
            moved = bytes_per_token(decoder.config, length) * length / alone
            print(
                f"{name}: {length} tokens in {wall:.2f} / {processor:.2f} s; "
                f"the decoder alone, undisturbed, {alone:.2f} s, "
                f"{moved / 1e9:.1f} GB/s, {moved / rate:.2f} of a copy's"
            )
            if name != "shipped" and length == 2048:
                print(f"ratio to the reference's published {PUBLISHED_S:.0f} s: {PUBLISHED_S / wall:.0f} times as fast")

    decoder = load_decoder(arguments.load_path)
    short = seconds(lambda: decode(decoder, arguments.baseline_length))
    slow = seconds(lambda: without_cache(decoder, arguments.baseline_length))
    print(f"baseline, without the cache, {arguments.baseline_length} tokens: {slow:.2f} s; with it {short:.2f} s")
    print(f"ratio to the baseline: {slow / short:.1f} times as fast")
    for tokens in (length // 4, length):
        runs = [  # in turn, so that a quick or a slow minute of the machine meets both
            [program(arguments.load_path, tokens, "--songs", str(songs), repeats=1) for songs in (1, arguments.songs)]
            for _ in range(repeats)
        ]
        one, many = np.min(runs, axis=0)
        figures = f"one song {one[0]:.2f} / {one[1]:.2f} s, {arguments.songs} songs {many[0]:.2f} / {many[1]:.2f} s"
        print(f"{tokens} tokens: {figures}")
        ratio = f"{many[0] / one[0]:.1f} times the time, {many[1] / one[1]:.1f} times the processor time"
        print(f"ratio of {arguments.songs} songs to one: {ratio}")


if __name__ == "__main__":
    main()
