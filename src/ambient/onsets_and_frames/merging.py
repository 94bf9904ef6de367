"""Make one network of two: of two convolution stacks, or of two trainings.

A network whose heads share a convolution stack goes on from one whose heads have a stack each: the two stacks, that of
the onsets and that of the frames, come to stand side by side in one twice as wide. Each keeps its weights, and what
would lead from one to the other is 0 until training finds a use for it. Onsets and activations stay what they were.
Offsets and velocities, whose own stacks are left out, listen to that of the onsets, and learn to.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ambient.onsets_and_frames.config import MEL_BINS, ModelConfig

_FIRST, _SECOND = "onsets", "frame"


def merged_config(config: ModelConfig) -> ModelConfig:
    """Return the sizes of the network in which two stacks of another are one."""
    first, second, third = config.filters
    return replace(config, filters=(2 * first, 2 * second, 2 * third), dense=2 * config.dense, shared=True)


def merged(config: ModelConfig, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights of that network.

    Args:
        config: Of the network whose heads have a stack each.
        weights: Its weights by name.

    Raises:
        ValueError: its heads share a stack already.
    """
    if config.shared:
        raise ValueError("expected a network whose heads have a convolution stack each")
    result = {name: array for name, array in weights.items() if "_conv" not in name and "_fc_end" not in name}
    for index in range(3):
        one, two = (weights[f"{scope}_conv{index}/kernel"] for scope in (_FIRST, _SECOND))  # [3, 3, C in, C out]
        result[f"shared_conv{index}/kernel"] = np.concatenate([one, two], -1) if index == 0 else _apart(one, two)
        for statistic in ("beta", "moving_mean", "moving_variance"):
            name = f"conv{index}_norm/{statistic}"
            result[f"shared_{name}"] = np.concatenate([weights[f"{scope}_{name}"] for scope in (_FIRST, _SECOND)])
    one, two = (
        weights[f"{scope}_fc_end/kernel"].reshape(MEL_BINS // 4, config.filters[2], config.dense)
        for scope in (_FIRST, _SECOND)
    )
    result["shared_fc_end/kernel"] = _apart(one, two).reshape(-1, 2 * config.dense)
    result["shared_fc_end/bias"] = np.concatenate([weights[f"{scope}_fc_end/bias"] for scope in (_FIRST, _SECOND)])
    for name in list(result):
        if name.endswith("/kernel") and name.startswith(("onsets_lstm", "offsets_lstm", "onset_velocities")):
            result[name] = np.concatenate([result[name], np.zeros_like(result[name])])
    result["activation_probs/kernel"] = np.concatenate(
        [np.zeros_like(weights["activation_probs/kernel"]), weights["activation_probs/kernel"]]
    )
    return result


def _apart(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return two kernels [..., in, out] as one that leads from each one's inputs to its own outputs."""
    return np.concatenate(
        [np.concatenate([one, np.zeros_like(one)], -1), np.concatenate([np.zeros_like(two), two], -1)], -2
    )


def mixed(one: dict[str, np.ndarray], other: dict[str, np.ndarray], *, share: float) -> dict[str, np.ndarray]:
    """Return the mean of the weights of two trainings of one network (Wortsman et al. 2022, arXiv:2203.05482).

    Args:
        one: By name; the training of the other went on from these, or both from the same.
        other: Likewise, of the same shapes.
        share: Of the first, 0-1.
    """
    return {name: share * one[name].astype(np.float32) + (1 - share) * other[name] for name in one}
