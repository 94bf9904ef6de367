"""What a piece costs under a composer, note by note: the figure by which models are compared, without a framework.

Conventions: a note is paid for in full: bins by the network, the place within a bin by `placement.py`. So nats are
those of starts and ends to 10 ms and of 32 velocities, and bits a second compare with any other model of the same
grid. Local descriptions are not said, since they give away what follows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.decoder import CHUNK, Decoder
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.placement import Alignment, placement_nats
from ambient.music_transformer.rows import END, FIELD_SIZES, MARK, TIME, note_rows, with_end, with_start
from ambient.music_transformer.sampling import log_probabilities


@dataclass(frozen=True, slots=True)
class Cost:
    """What music costs.

    Attributes:
        nats: [5] of gaps, pitches, lengths, velocities, and places within bins; ends of pieces are among the gaps.
        notes: How many notes.
        seconds: How long the music is.
    """

    nats: np.ndarray
    notes: int
    seconds: float

    @property
    def bits_per_second(self) -> float:
        """All of it."""
        return float(self.nats.sum()) / math.log(2) / max(self.seconds, 1e-9)

    @property
    def nats_per_note(self) -> np.ndarray:
        """[5]."""
        per_note: np.ndarray = self.nats / max(self.notes, 1)
        return per_note

    @classmethod
    def total(cls, costs: "Sequence[Cost]") -> "Cost":
        """Add up."""
        nats = np.sum([cost.nats for cost in costs], axis=0) if costs else np.zeros(5)
        return cls(nats, sum(cost.notes for cost in costs), sum(cost.seconds for cost in costs))


def piece_cost(decoder: Decoder, fields: Fields, mark: int) -> Cost:
    """Measure a piece from its first note to its end, as far back as the model sees.

    Args:
        decoder: Of one song; what it heard before is forgotten.
        fields: At least one note.
        mark: Where the piece comes from, `rows.CLEAN` or `rows.HEARD`.
    """
    rows = with_end(with_start(note_rows(fields)))
    rows[:, MARK] = mark
    rows[:, TIME] -= rows[0, TIME]
    decoder.reset()
    nats = np.zeros(5)
    for begin in range(0, len(rows) - 1, CHUNK):
        heard, following = rows[begin : begin + CHUNK], rows[begin + 1 : begin + CHUNK + 1]
        heard = heard[: len(following)]
        state = decoder.states(heard[None])[0]
        for field, size in enumerate(FIELD_SIZES):
            choices = np.minimum(following[:, field], size - 1)
            counted = (following[:, 0] < END) | (field == 0)
            likely = log_probabilities(decoder.choose(field, state))[np.arange(len(choices)), choices]
            nats[field] -= float(likely[counted].sum())
            if field < 3:
                state = decoder.add_choice(field, state, choices)
    nats[4] = float(placement_nats(fields, Alignment(*decoder.config.alignment)).sum())
    return Cost(nats, len(fields), fields.seconds)
