"""How fast the composer trains, against the machine's own matrix products.

    python3 benchmarks/training.py [--size base] [--batch_size 6] [--max_seq 384] [--layers 6]

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
from ambient.music_transformer.config import SIZES
from ambient.music_transformer.model import build_model, note_loss, use_precision
from ambient.music_transformer.rows import COLUMNS, FIELD_SIZES, TIME, labels_of


def matmul_rate(size: int = 2048) -> float:
    """Return the floating-point operations a second of a square matrix product; the best of three."""
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="base", help="(%(default)s)")
    parser.add_argument("--layers", type=int, help="blocks (the size's own)")
    parser.add_argument("--feed_forward", type=int, help="hidden width (the size's own)")
    parser.add_argument("--batch_size", type=int, default=6, help="(%(default)s)")
    parser.add_argument("--max_seq", type=int, default=384, help="(%(default)s)")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps to measure (%(default)s)")
    arguments = parser.parse_args()

    config = SIZES[arguments.size]
    config = replace(config, layers=arguments.layers or config.layers)
    config = replace(config, feed_forward=arguments.feed_forward or config.feed_forward)
    rate = matmul_rate()
    use_precision(arguments.precision)
    model = build_model(config, seed=1)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), loss=note_loss, jit_compile=False)
    rows = np.zeros((arguments.batch_size, arguments.max_seq + 1, COLUMNS), np.int32)
    for column, size in enumerate(FIELD_SIZES):
        rows[..., column] = np.random.default_rng(1).integers(0, size - 1, rows.shape[:2])
    rows[..., TIME] = np.cumsum(rows[..., 0], axis=1)
    labels = labels_of(rows[:, 1:])
    model.train_on_batch(rows, labels)
    started = time.perf_counter()
    for _ in range(arguments.steps):
        model.train_on_batch(rows, labels)
    step_s = (time.perf_counter() - started) / arguments.steps
    reached = step_operations(config, arguments.batch_size, arguments.max_seq) / step_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{keras.config.backend()}, {arguments.precision}, {os.cpu_count()} cores; {model.count_params()} weights")
    print(
        f"step of {arguments.batch_size} x {arguments.max_seq}: {step_s:.2f} s, "
        f"{arguments.batch_size * arguments.max_seq / step_s:.0f} notes/s, peak memory {memory:.2f} GB"
    )
    print(f"baseline, numpy matrix product: {rate / 1e9:.0f} GFLOP/s; training: {reached / 1e9:.0f} GFLOP/s")
    print(f"ratio to the baseline: {reached / rate:.2f}")


if __name__ == "__main__":
    main()
