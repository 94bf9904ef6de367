"""How far to trust a guess that stands beside the network's: by what it was worth in the notes before."""

import math
from dataclasses import dataclass

STAYS = 0.9  # how much of what is known stays with each note
MOST_TOLD, LEAST_LIKELY = 3.0, 0.01  # bounds of what one choice tells, nats, and of how unlikely it can have been


@dataclass(frozen=True, slots=True)
class Worth:
    """How much better than the network a guess has been: the mean of the last notes, which fade; nats."""

    nats: float = 0.0

    def after(self, guessed: float, network: float) -> "Worth":
        """Return what is known after a choice, given how likely it was by either."""
        told = math.log(max(guessed, LEAST_LIKELY) / max(network, LEAST_LIKELY))
        return Worth(STAYS * self.nats + (1 - STAYS) * min(max(told, -MOST_TOLD), MOST_TOLD))

    def odds(self, odds: float, trust: float) -> float:
        """Return the odds of the guess, from its odds where nothing is known: e to the power of so much times it."""
        return odds * math.exp(trust * self.nats)
