"""How did the primer go on after moments like this one? A memory of what was heard, beside the network's own.

A small network sees that a phrase returns, but is not sure how it goes on, and after some hundred notes a primer is out
of its sight. So each state of the network while it hears is kept with the note that followed, and a field of the next
note is drawn from a mixture: by the network, or as it was after a state like this one (a continuous cache: Grave,
Joulin and Usunier 2017, arXiv:1612.04426; nearest neighbours: Khandelwal et al. 2020, arXiv:1911.00172). The odds of
what is recalled are the higher, the nearer the nearest moment is, and the better it has told this field of the notes
before (He, Neubig and Berg-Kirkpatrick 2021, arXiv:2109.04212, choose the share from the nearness too). Of what is
recalled that counts more which the network holds likely. Notes that were composed are not kept: music that remembers
itself circles ever closer.

Legend: N moments, E width of a state, C choices of a field.
"""

import math
from copy import copy

import numpy as np

from ambient.music_transformer.balance import nearness
from ambient.music_transformer.rows import FIELD_SIZES
from ambient.music_transformer.worth import Worth

SHARPNESS = 500.0  # nats for a cosine of 1 between two states
# Odds that a field goes on as recalled, chosen on held-out pieces with a share of 0.3 (docs/experiments.md): those of
# the share, times so much over the distance to the nearest direction, times e to the power of so many times the nats by
# which the recalled has been the better.
NEAR = 0.28
TRUST = 1.5
EXACT = 0.85  # of times and velocities that return, those that return exactly; the others do nearly
AGREES = 0.4  # power of the network's probabilities, by which they say which of what is recalled fits here
LEAST = 1e-30  # a probability, so that its logarithm is finite, and something is left of what the network rules out
_SPREADS = (1.0, 0.0, 2.0, 1.5)  # bins, how nearly; a pitch returns exactly
_UNLIKE = 0.1  # what remains of a moment that went on otherwise


class Recall:
    """The moments of a piece, and which of them count for the note that comes.

    Args:
        states: [N, E], after some notes.
        following: [N, 4], the fields of the notes that followed.
        share: How much goes on as after a moment like the present one, 0-1: nothing with 0, all with 1.
    """

    def __init__(self, states: np.ndarray, following: np.ndarray, share: float) -> None:
        self._directions = states / (np.linalg.norm(states, axis=1, keepdims=True) + 1e-9)
        # Of each field how far each choice agrees with what followed, [C, V] for the different values that did, and
        # which of these followed each moment, [N].
        self._agrees, self._following = _by_value(np.minimum(following, np.array(FIELD_SIZES) - 1))
        self._share = share
        self._known = 0  # how many moments count, the first ones
        self._weights = np.zeros(0)  # of these, for the next field
        self._distance = math.inf  # of the nearest of them
        self._recalled = np.zeros(0)  # [C], how the field that was asked for went on
        self._worth = (Worth(),) * len(FIELD_SIZES)  # of what was recalled of each field

    def copy(self) -> "Recall":
        """Return an independent copy; the moments, which do not change, are shared."""
        return copy(self)

    def look(self, state: np.ndarray, known: int | None = None) -> None:
        """Find the moments that are like a state [E]; the next note's fields are asked for after this.

        Args:
            state: After the note before.
            known: How many of the moments may be looked at, the first ones; by default all.
        """
        self._known = len(self._directions) if known is None else known
        if not self._share or not self._known:
            return
        direction = state / (np.linalg.norm(state) + 1e-9)
        cosines = self._directions[: self._known] @ direction
        nearest = float(cosines.max())
        self._distance = math.sqrt(2 * max(1 - nearest, 1e-6))
        weights = np.exp((cosines - nearest) * SHARPNESS)
        self._weights = weights / weights.sum()

    def mixed(self, field: int, probabilities: np.ndarray) -> np.ndarray:
        """Return the mixture of the network's probabilities of a field and the recalled ones: [C] to [C]."""
        if not self._share or not self._known:
            return probabilities
        agrees = self._agrees[field]
        recalled = agrees @ np.bincount(self._following[field][: self._known], self._weights, agrees.shape[1])
        recalled *= np.maximum(probabilities, LEAST) ** AGREES
        self._recalled = recalled / recalled.sum()
        share = self._share_of(field)
        return (1 - share) * probabilities + share * self._recalled

    def _share_of(self, field: int) -> float:
        """Return how likely a field goes on as recalled."""
        recalled = self._worth[field].odds(self._share * NEAR / self._distance, TRUST)
        return recalled / (recalled + 1 - self._share)

    def chose(self, field: int, choice: int, probability: float) -> None:
        """Learn what was chosen.

        Args:
            field: The one that was asked for.
            choice: Of it.
            probability: Of that choice, by the network.
        """
        if not self._share or not self._known:
            return
        worth = self._worth[field].after(float(self._recalled[choice]), probability)
        self._worth = (*self._worth[:field], worth, *self._worth[field + 1 :])
        agrees = self._agrees[field][choice][self._following[field][: self._known]]
        self._weights = self._weights * (agrees + _UNLIKE)
        self._weights /= self._weights.sum()


def _by_value(following: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return of each field of [N, 4] how far its choices agree with its V different values, [C, V], and whose is which.

    The latter is the place of each moment's value among these, [N].
    """
    agrees, places = [], []
    for field, (size, spread) in enumerate(zip(FIELD_SIZES, _SPREADS, strict=True)):
        values, place = np.unique(following[:, field], return_inverse=True)
        same = np.eye(size)
        if spread:
            same = EXACT * same + (1 - EXACT) * nearness(size, spread, apart=1 if field == 0 else 0)
        agrees.append(same[:, values])
        places.append(place)
    return agrees, places
