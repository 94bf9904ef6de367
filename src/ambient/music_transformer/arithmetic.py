"""How much arithmetic a training step is, and how fast the device could do it: for the share of its speed reached.

Conventions: floating-point operations of matrix products alone, a multiplication and an addition counting as two;
backward costs twice forward.
"""

import importlib
import time

import keras
import numpy as np
from keras import ops

from ambient.music_transformer.config import ModelConfig
from ambient.music_transformer.rows import FIELD_SIZES


def step_operations(config: ModelConfig, batch_size: int, length: int) -> float:
    """Return the operations of one training step, forward and backward."""
    width = config.width
    choices = sum(width * width + width * size for size in FIELD_SIZES)
    matrices = config.layers * (4 * width * width + 2 * width * config.feed_forward) + choices
    attention = config.layers * width * 2 * length
    return 3 * 2 * (matrices + attention) * batch_size * length


def accelerators() -> list[str]:
    """Return the names of the GPUs or TPUs that Keras sees."""
    if keras.config.backend() == "torch":  # for which keras.distribution lists nothing
        torch = importlib.import_module("torch")
        return [f"gpu:{index}" for index in range(torch.cuda.device_count())]
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def device_rate(size: int = 8192, products: int = 8) -> float:
    """Measure the operations a second of large matrix products in the precision that models compute in, one device.

    Args:
        size: Rows and columns of the square matrices.
        products: How many, one after the other, between two looks at the clock.
    """
    dtype = keras.config.dtype_policy().compute_dtype
    square = ops.cast(np.full((size, size), 1 / size), dtype)
    best = 0.0
    for _ in range(3):  # the first includes compilation
        started = time.perf_counter()
        result = square
        for _ in range(products):
            result = ops.matmul(result, square)
        ops.convert_to_numpy(result[:1, :1])  # waits for the device
        best = max(best, products * 2 * size**3 / (time.perf_counter() - started))
    return best
