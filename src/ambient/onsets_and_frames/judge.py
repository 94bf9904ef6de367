"""A second look at a note whose onset may have fired: small networks read what is around it.

Legend: N notes that may be, E pieces of evidence. They add to the log-odds of the logistic regression
(`config.StruckWeights`) what a weighted sum cannot say: that a weak onset counts where the harmonics rise, that an
overtone does not where its fundamental starts. And they say when the note starts, which for a sound that fades in may
be some frames from where its onset seems to fire. `judge_training` fits them to takes that no training used; their
tensors lie among the model's weights under `judge/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ambient.model_folder import check_tensors, load_weights
from ambient.onsets_and_frames.evidence import SURROUNDINGS

PREFIX = "judge/"
HIDDEN = (64, 32)
MEMBERS = 5
MOST = 4.0  # standard deviations; evidence further off says no more
SHIFT_S = 0.1  # what a shift of 1 means
MOST_SHIFT_S = 0.2

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]  # kernel [inputs, outputs] and bias [outputs] of each


@dataclass(frozen=True, slots=True)
class Judge:
    """Networks with ReLUs between their layers, whose mean counts.

    Attributes:
        mean: [E], of the evidence of the takes that they were fitted to.
        deviation: [E].
        members: The layers of each.
    """

    mean: np.ndarray
    deviation: np.ndarray
    members: tuple[Layers, ...]

    def look(self, evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Judge notes.

        Args:
            evidence: [N, E], `evidence.surroundings`.

        Returns:
            What is to be added to their log-odds, [N], and how long after the beginning of its row each starts, [N] s.
        """
        scaled = np.clip((evidence - self.mean) / self.deviation, -MOST, MOST)
        said = np.mean([_answer(layers, scaled) for layers in self.members], axis=0)
        return said[:, 0], np.clip(said[:, 1] * SHIFT_S, -MOST_SHIFT_S, MOST_SHIFT_S)

    def to_weights(self) -> dict[str, np.ndarray]:
        """Return the tensors by name; `split_weights` is the inverse."""
        weights = {f"{PREFIX}mean": self.mean, f"{PREFIX}deviation": self.deviation}
        for member, layers in enumerate(self.members):
            for layer, (kernel, bias) in enumerate(layers):
                weights |= {f"{PREFIX}{member}/{layer}/kernel": kernel, f"{PREFIX}{member}/{layer}/bias": bias}
        return weights


def _answer(layers: Layers, x: np.ndarray) -> np.ndarray:
    for kernel, bias in layers[:-1]:
        x = np.maximum(x @ kernel + bias, 0.0)
    kernel, bias = layers[-1]
    return np.asarray(x @ kernel + bias)


def load_parts(folder: Path | str) -> tuple[dict[str, np.ndarray], Judge | None]:
    """Read a model folder's weights, parted as `split_weights` does.

    Raises:
        InputError: they are missing or damaged, or the judge's are not those of one.
    """
    return split_weights(load_weights(folder), source=folder)


def split_weights(weights: Mapping[str, np.ndarray], *, source: object) -> tuple[dict[str, np.ndarray], Judge | None]:
    """Part a model's weights into those of the network that hears and the judge; None for a model without one.

    Args:
        weights: By name.
        source: Where the weights come from, for errors.

    Raises:
        InputError: a tensor of the judge is missing, left over or of another shape.
    """
    network = {name: array for name, array in weights.items() if not name.startswith(PREFIX)}
    judge = {name: array for name, array in weights.items() if name.startswith(PREFIX)}
    if not judge:
        return network, None
    sizes = (SURROUNDINGS, *HIDDEN, 2)
    shapes: dict[str, tuple[int, ...]] = {f"{PREFIX}mean": (SURROUNDINGS,), f"{PREFIX}deviation": (SURROUNDINGS,)}
    for member in range(MEMBERS):
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            name = f"{PREFIX}{member}/{layer}"
            shapes |= {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}
    check_tensors(shapes, judge, source=source)
    members = tuple(
        tuple(
            (judge[f"{PREFIX}{member}/{layer}/kernel"], judge[f"{PREFIX}{member}/{layer}/bias"])
            for layer in range(len(sizes) - 1)
        )
        for member in range(MEMBERS)
    )
    return network, Judge(judge[f"{PREFIX}mean"], judge[f"{PREFIX}deviation"], members)
