"""Do as many notes start together as in the primer? Holds the sizes of new music's chords to those of its primer.

How often notes start together (`balance`) does not say how many do at once. After a primer that a transcriber heard,
whose chords are spread over some hundredths of a second, the network goes on with whole blocks: each note that
starts with the others makes one more likelier.

Conventions: the *place* of a note is how many notes start with it before it, 0 for the first.
"""

from copy import copy

import numpy as np

from ambient.music_transformer.balance import Balance
from ambient.music_transformer.rows import FIELD_SIZES

PLACES = 12  # more notes than that in a chord count as so many
STRENGTH = 2.0
UNHEARD = 0.002  # added to all shares: what the primer does not have is rare, not forbidden


class ChordWatch:
    """Compares the places of the notes of the last 30 s, the primer's included, with those of the primer.

    That a note starts with the last one is drawn by the model's probability times (share of the place that it would
    have in the primer / in the last 30 s) to a power, that it starts later by that of place 0.

    Args:
        starts: [N] steps, rising, of the primer's notes.
        gaps: [N], bins of the times since the note before; 0 for what starts together.
    """

    def __init__(self, starts: np.ndarray, gaps: np.ndarray) -> None:
        places = places_in_chords(gaps)
        self._balance = Balance(
            starts.tolist(), places.tolist(), near=np.eye(PLACES), unheard=UNHEARD, strength=STRENGTH
        )
        self._place = int(places[-1]) if len(places) else 0  # of the last note

    def copy(self) -> "ChordWatch":
        """Return an independent copy."""
        other = copy(self)
        other._balance = self._balance.copy()
        return other

    def observe(self, start: int, gap: int) -> None:
        """Take in the note that came: its start in steps, and the bin of its gap."""
        self._place = min(self._place + 1, PLACES - 1) if gap == 0 else 0
        self._balance.observe(start, self._place)

    def nats(self) -> np.ndarray | None:
        """Return what is to be added to the logits of the gap, [BINS + 1]; None while there are too few notes."""
        by_place = self._balance.nats()
        if by_place is None:
            return None
        nats = np.full(FIELD_SIZES[0], by_place[0])
        nats[0] = by_place[min(self._place + 1, PLACES - 1)]
        return nats


def places_in_chords(gaps: np.ndarray) -> np.ndarray:
    """Return the place of each note, [N], given the bins of the gaps."""
    numbers = np.arange(len(gaps))
    firsts = np.maximum.accumulate(np.where(gaps > 0, numbers, 0))
    places: np.ndarray = np.minimum(numbers - firsts, PLACES - 1)
    return places
