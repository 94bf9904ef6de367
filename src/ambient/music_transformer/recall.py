"""How did the primer go on after moments like this one? A memory of what was heard, beside the network's own.

A small network sees that a phrase returns, but is not sure how it goes on, and after some hundred notes a primer is out
of its sight. So each state of the network while it hears is kept with the note that followed, and a field of the next
note is drawn from a mixture: by the network, or as it was after a state like this one (a continuous cache: Grave,
Joulin and Usunier 2017, arXiv:1612.04426; nearest neighbours: Khandelwal et al. 2020, arXiv:1911.00172). Which of the
two is right tends to stay so from field to field and from note to note; what is known of it after each choice, and
which of the moments still agree, counts for the next. Notes that were composed are not kept: music that remembers
itself circles ever closer.

Legend: N moments, E width of a state, C choices of a field.
"""

from copy import copy

import numpy as np

from ambient.music_transformer.balance import nearness
from ambient.music_transformer.rows import FIELD_SIZES

SHARPNESS = 500.0  # nats for a cosine of 1 between two states
STAYS = 0.7  # how much of what is known of one field holds for the next
EXACT = 0.85  # of times and velocities that return, those that return exactly; the others do nearly
_SPREADS = (1.0, 0.0, 2.0, 1.5)  # bins, how nearly; a pitch returns exactly
_UNLIKE = 1e-4  # what remains of a moment that went on otherwise


class Recall:
    """The moments of a piece, and which of them count for the note that comes.

    Args:
        states: [N, E], after some notes.
        following: [N, 4], the fields of the notes that followed.
        share: Of the notes, 0-1, that go on as after a moment like theirs.
    """

    def __init__(self, states: np.ndarray, following: np.ndarray, share: float) -> None:
        self._directions = states / (np.linalg.norm(states, axis=1, keepdims=True) + 1e-9)
        self._following = np.minimum(following, np.array(FIELD_SIZES) - 1).T  # [4, N]
        self._usual = self._share = share
        self._known = 0  # how many moments count, the first ones
        self._weights = np.zeros(0)  # of these, for the next field
        self._recalled = np.zeros(0)  # [C], how the field that was asked for went on

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
        likeness = (self._directions[: self._known] @ direction) * SHARPNESS
        weights = np.exp(likeness - likeness.max())
        self._weights = weights / weights.sum()

    def mixed(self, field: int, probabilities: np.ndarray) -> np.ndarray:
        """Return the mixture of the network's probabilities of a field and the recalled ones: [C] to [C]."""
        if not self._share or not self._known:
            return probabilities
        counts = np.bincount(self._following[field, : self._known], self._weights, FIELD_SIZES[field])
        near = _nearness(field)
        self._recalled = counts.astype(np.float64)
        if near is not None:
            self._recalled = EXACT * counts + (1 - EXACT) * (near @ counts)
        return (1 - self._share) * probabilities + self._share * self._recalled

    def chose(self, field: int, choice: int, probability: float) -> None:
        """Learn what was chosen.

        Args:
            field: The one that was asked for.
            choice: Of it.
            probability: Of that choice, by the network.
        """
        if not self._share or not self._known:
            return
        recalled = self._share * float(self._recalled[choice])
        right = recalled / max(recalled + (1 - self._share) * probability, 1e-30)
        self._share = (1 - STAYS) * self._usual + STAYS * right
        values = self._following[field, : self._known]
        agrees = (values == choice).astype(np.float64)
        near = _nearness(field)
        if near is not None:
            agrees = EXACT * agrees + (1 - EXACT) * near[choice, values]
        self._weights = self._weights * (agrees + _UNLIKE)
        self._weights /= self._weights.sum()


def _nearness(field: int) -> np.ndarray | None:
    spread = _SPREADS[field]
    return nearness(FIELD_SIZES[field], spread, apart=1 if field == 0 else 0) if spread else None
