"""How fast the composer composes: with the key/value cache, against recomputing the whole prefix for every token.

    python3 benchmarks/generation.py [--load_path MODEL_FOLDER] [--length 2048] [--songs 1]

The baseline is the same numpy decoder without its cache, measured in the same run at a shorter length, since its time
grows with the square of it; the ratio is of tokens per second at the baseline's length.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from stages.common import SHIPPED_MODELS

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stage does

import numpy as np

from ambient.music_transformer.composing import compose
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.decoder import Decoder, load_decoder
from ambient.music_transformer.tokens import START, VOCABULARY_SIZE


def seconds(work: Callable[[], object]) -> float:
    """Return how long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def without_cache(decoder: Decoder, length: int) -> None:
    """Draw tokens, recomputing the prefix for each."""
    tokens = [START]
    rng = np.random.default_rng(1)
    for _ in range(length):
        decoder.reset()
        decoder.read(np.array(tokens))
        tokens.append(int(rng.integers(VOCABULARY_SIZE - 3)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load_path", type=Path, default=SHIPPED_MODELS / "music-transformer", help="(%(default)s)")
    parser.add_argument("--length", type=int, default=2048, help="tokens with the cache (%(default)s)")
    parser.add_argument("--baseline_length", type=int, default=256, help="tokens without (%(default)s)")
    parser.add_argument("--songs", type=int, default=16, help="songs at once, against one (%(default)s)")
    arguments = parser.parse_args()

    decoder = load_decoder(arguments.load_path)
    weights = sum(
        array.size for block in decoder.blocks for array in (block.qkv, block.out, block.expand, block.contract)
    )
    print(
        f"model {arguments.load_path.name}: {decoder.config.layers} blocks of width {decoder.config.width}, "
        f"window {decoder.config.window}, {weights} weights in matrices; {os.cpu_count()} cores, one thread"
    )

    def cached(length: int) -> None:
        decoder.reset()
        compose(decoder, [], length=length, sampling=SamplingConfig(), seeds=[1])

    cached(8)
    long = seconds(lambda: cached(arguments.length))
    print(f"with the cache, {arguments.length} tokens: {long:.2f} s, {arguments.length / long:.0f} tokens/s")
    short = seconds(lambda: cached(arguments.baseline_length))
    slow = seconds(lambda: without_cache(decoder, arguments.baseline_length))
    print(f"with the cache, {arguments.baseline_length} tokens: {short:.2f} s")
    print(f"baseline, without the cache, {arguments.baseline_length} tokens: {slow:.2f} s")
    print(f"ratio to the baseline: {slow / short:.1f} times as fast")

    many = load_decoder(arguments.load_path, songs=arguments.songs)
    tokens = np.random.default_rng(1).integers(0, VOCABULARY_SIZE - 3, (arguments.baseline_length, arguments.songs))
    together = seconds(lambda: [many.step(row) for row in tokens])
    decoder.reset()
    alone = seconds(lambda: [decoder.step(row[:1]) for row in tokens])
    print(f"{arguments.songs} songs at once take {together / alone:.1f} times as long as one")


if __name__ == "__main__":
    main()
