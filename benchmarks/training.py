"""How fast the composer trains, against the machine's own matrix products.

    python3 benchmarks/training.py [--size base] [--batch_size 2] [--max_seq 1024] [--layers 6]
    python3 benchmarks/training.py --size reference

The baseline is the rate of a large float32 matrix product of numpy, measured in the same run on the same threads; the
ratio is the share of it that a training step reaches.
"""

import argparse
import os
import resource
import time
from dataclasses import replace

from ambient.framework import start_framework

start_framework()

import keras
import numpy as np

from ambient.music_transformer.arithmetic import step_operations
from ambient.music_transformer.config import SIZES, ModelConfig
from ambient.music_transformer.model import build_model, token_loss, use_precision
from ambient.music_transformer.tokens import PAD


def matmul_rate(size: int = 2048) -> float:
    """Return the floating-point operations a second of a square matrix product; the best of three."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times[1:])


# The reference's size, and what was measured of it on two idle cores (TensorFlow 2.15): crops of a batch of two ->
# tokens a second, peak memory in GB.
REFERENCE = ModelConfig(layers=6, width=256, heads=4, feed_forward=128, max_distance=512, window=2048)
PUBLISHED = {1024: (1451, 3.1), 2048: (722, 9.3)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[*SIZES, "reference"], default="base", help="(%(default)s)")
    parser.add_argument("--layers", type=int, help="blocks (the size's own)")
    parser.add_argument("--feed_forward", type=int, help="hidden width (the size's own)")
    parser.add_argument("--batch_size", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--max_seq", type=int, default=1024, help="(%(default)s)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps to measure (%(default)s)")
    arguments = parser.parse_args()

    config = {**SIZES, "reference": REFERENCE}[arguments.size]
    config = replace(config, layers=arguments.layers or config.layers)
    config = replace(config, feed_forward=arguments.feed_forward or config.feed_forward)
    rate = matmul_rate()
    use_precision(arguments.precision)
    model = build_model(config, seed=1)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), loss=token_loss, jit_compile=False)
    shape = (arguments.batch_size, arguments.max_seq + 1)
    tokens = np.random.default_rng(1).integers(0, PAD, shape)
    model.train_on_batch(tokens[:, :-1], tokens[:, 1:])
    started = time.perf_counter()
    for _ in range(arguments.steps):
        model.train_on_batch(tokens[:, :-1], tokens[:, 1:])
    step_s = (time.perf_counter() - started) / arguments.steps
    reached = step_operations(config, arguments.batch_size, arguments.max_seq) / step_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{keras.config.backend()}, {arguments.precision}, {os.cpu_count()} cores; {model.count_params()} weights")
    print(
        f"step of {arguments.batch_size} x {arguments.max_seq}: {step_s:.2f} s, "
        f"{arguments.batch_size * arguments.max_seq / step_s:.0f} tokens/s, peak memory {memory:.2f} GB"
    )
    print(f"baseline, numpy matrix product: {rate / 1e9:.0f} GFLOP/s; training: {reached / 1e9:.0f} GFLOP/s")
    print(f"ratio to the baseline: {reached / rate:.2f}")
    if arguments.size == "reference" and arguments.batch_size == 2 and arguments.max_seq in PUBLISHED:
        published, published_gb = PUBLISHED[arguments.max_seq]
        speed = 2 * arguments.max_seq / step_s
        print(
            f"ratio to the reference's published {published} tokens/s and {published_gb} GB: "
            f"{speed / published:.2f} of the speed, {memory / published_gb:.2f} of the memory"
        )


if __name__ == "__main__":
    main()
