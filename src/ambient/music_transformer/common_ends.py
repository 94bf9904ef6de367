"""Does a note end when others do? Where the pedal is lifted or a chord is let go, many notes end at once.

The network chooses a note's length from those before, and cannot add up starts and lengths to the hundredth of a
second. So the ends of the notes that sound are a guess of their own: the more notes end at a moment, and the likelier
the network has it, the likelier the new note ends then too. Its odds follow how much of the network's choice lies on
such moments, and what the guess was worth in the notes before.

Conventions: C choices of a length, bins (`fields.py`).
"""

import math
from copy import copy

import numpy as np

from ambient.music_transformer.fields import BINS, steps_to_bins
from ambient.music_transformer.worth import Worth

# Chosen on held-out pieces (docs/experiments.md).
ODDS = 1.5  # of the guess, where half of the network's choice lies on ends
TRUST = 1.0


class CommonEnds:
    """The ends of the notes that sound, and what they were worth as a guess."""

    def __init__(self) -> None:
        self._ending = np.zeros(BINS)  # [C], how many notes end when a note of this length would
        self._guess = np.zeros(BINS)
        self._worth = Worth()

    def copy(self) -> "CommonEnds":
        """Return an independent copy."""
        return copy(self)

    def look(self, left: np.ndarray) -> None:
        """Learn how long the notes before will sound from the new note's start on, [M] steps; below 1 they do not."""
        self._ending = np.bincount(steps_to_bins(left[left > 0]), minlength=BINS).astype(np.float64)

    def mixed(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the mixture of the network's probabilities of the length and the guess, [C] to [C]."""
        likely = float(probabilities[self._ending > 0].sum())
        if not likely:
            self._guess = probabilities
            return probabilities
        guess = self._ending * np.sqrt(probabilities)
        self._guess = guess / guess.sum()
        odds = self._worth.odds(ODDS * math.sqrt(likely / max(1 - likely, 1e-9)), TRUST)
        share = odds / (1 + odds)
        return (1 - share) * probabilities + share * self._guess

    def chose(self, choice: int, probability: float) -> None:
        """Learn what was chosen, and how likely the network had it."""
        if self._ending.any():
            self._worth = self._worth.after(float(self._guess[choice]), probability)
