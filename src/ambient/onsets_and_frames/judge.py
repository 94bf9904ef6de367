"""A second look at a note whose onset may have fired: a small network reads what is around it.

Legend: N notes that may be, E pieces of evidence. It adds to the log-odds of the logistic regression
(`config.StruckWeights`) what a weighted sum cannot say: that a weak onset counts where the harmonics rise, that an
overtone does not where its fundamental starts. `judge_training` fits it to takes that no training used; its tensors lie
among the model's weights under `judge/`.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ambient.model_folder import check_tensors

PREFIX = "judge/"
HIDDEN = (64, 32)
MOST = 4.0  # standard deviations; evidence further off says no more


@dataclass(frozen=True, slots=True)
class Judge:
    """Layers with ReLUs between them.

    Attributes:
        mean: [E], of the evidence of the takes that it was fitted to.
        deviation: [E].
        layers: Kernel [inputs, outputs] and bias [outputs] of each.
    """

    mean: np.ndarray
    deviation: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def odds(self, evidence: np.ndarray) -> np.ndarray:
        """Return what is to be added to the log-odds of notes: [N, E] to [N]."""
        x = np.clip((evidence - self.mean) / self.deviation, -MOST, MOST)
        for index, (kernel, bias) in enumerate(self.layers):
            x = x @ kernel + bias
            if index < len(self.layers) - 1:
                x = np.maximum(x, 0.0)
        return np.asarray(x[:, 0])

    def to_weights(self) -> dict[str, np.ndarray]:
        """Return the tensors by name; `split_weights` is the inverse."""
        weights = {f"{PREFIX}mean": self.mean, f"{PREFIX}deviation": self.deviation}
        for index, (kernel, bias) in enumerate(self.layers):
            weights |= {f"{PREFIX}{index}/kernel": kernel, f"{PREFIX}{index}/bias": bias}
        return weights


def split_weights(
    weights: Mapping[str, np.ndarray], *, evidence: int, source: object
) -> tuple[dict[str, np.ndarray], Judge | None]:
    """Part a model's weights into those of the network that hears and the judge; None for a model without one.

    Args:
        weights: By name.
        evidence: How many pieces the judge must read.
        source: Where the weights come from, for errors.

    Raises:
        InputError: a tensor of the judge is missing, left over or of another shape.
    """
    network = {name: array for name, array in weights.items() if not name.startswith(PREFIX)}
    judge = {name: array for name, array in weights.items() if name.startswith(PREFIX)}
    if not judge:
        return network, None
    sizes = (evidence, *HIDDEN, 1)
    shapes: dict[str, tuple[int, ...]] = {f"{PREFIX}mean": (evidence,), f"{PREFIX}deviation": (evidence,)}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes |= {f"{PREFIX}{index}/kernel": (inputs, outputs), f"{PREFIX}{index}/bias": (outputs,)}
    check_tensors(shapes, judge, source=source)
    layers = tuple(
        (judge[f"{PREFIX}{index}/kernel"], judge[f"{PREFIX}{index}/bias"]) for index in range(len(sizes) - 1)
    )
    return network, Judge(judge[f"{PREFIX}mean"], judge[f"{PREFIX}deviation"], layers)
