"""What a piece costs under a composer, note by note: the figure by which models are compared, without a framework.

Conventions: a note is paid for in full: bins by the network, the place within a bin by `placement.py`. So nats are
those of starts and ends to 10 ms and of 32 velocities, and bits a second compare with any other model of the same
grid. Local descriptions are not said, since they give away what follows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambient.music_transformer.common_ends import CommonEnds
from ambient.music_transformer.decoder import CHUNK, Decoder
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.placement import placement_nats
from ambient.music_transformer.recall import Recall
from ambient.music_transformer.rows import END, FIELD_SIZES, LOOK_BACK, MARK, TIME, note_rows, with_end, with_start
from ambient.music_transformer.sampling import GAP, LENGTH, VELOCITY, log_probabilities


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


def piece_cost(decoder: Decoder, fields: Fields, mark: int, *, recall: float = 0.0) -> Cost:
    """Measure a piece from its first note to its end, as far back as the model sees.

    Args:
        decoder: Of one song; what it heard before is forgotten.
        fields: At least one note.
        mark: Where the piece comes from, `rows.CLEAN` or `rows.HEARD`.
        recall: As new music is composed: the share of the notes that go on as after a moment like theirs
            (`recall.py`), beside the ends of the notes that sound (`common_ends.py`); 0 for the network alone.
    """
    rows = _rows(fields, mark)
    heard, following = rows[:-1], rows[1:, : len(FIELD_SIZES)]
    choices = np.minimum(following, np.array(FIELD_SIZES) - 1)
    states = _states(decoder, heard)
    network, state = [], states  # of each field, [n, C]
    for field, chosen in enumerate(choices.T):
        network.append(np.exp(log_probabilities(decoder.choose(field, state))))
        if field < VELOCITY:
            state = decoder.add_choice(field, state, chosen)
    if recall:
        likely = _as_composed(Recall(states, following, recall), states, network, choices, fields)
    else:
        likely = np.stack([each[np.arange(len(each)), chosen] for each, chosen in zip(network, choices.T, strict=True)])
    likely[1:, following[:, GAP] >= END] = 1.0  # an end has no other fields
    nats = np.append(-np.log(likely).sum(axis=1), 0.0)
    nats[4] = float(placement_nats(fields).sum())
    return Cost(nats, len(fields), fields.seconds)


def end_nats(decoder: Decoder, fields: Fields, mark: int) -> np.ndarray:
    """Return the logarithm of how likely a piece ends after each of its notes, [N].

    Args:
        decoder: Of one song; what it heard before is forgotten.
        fields: N notes.
        mark: Where the piece comes from, `rows.CLEAN` or `rows.HEARD`.
    """
    gaps = decoder.choose(GAP, _states(decoder, _rows(fields, mark)[:-1]))
    return log_probabilities(gaps)[1:, END]


def _rows(fields: Fields, mark: int) -> np.ndarray:
    """Return [N + 2, 14] rows of a start, the notes and an end."""
    rows = with_end(with_start(note_rows(fields)))
    rows[:, MARK] = mark
    rows[:, TIME] -= rows[0, TIME]
    return rows


def _states(decoder: Decoder, rows: np.ndarray) -> np.ndarray:
    """Return the state after each of [n, 14] rows, [n, E]."""
    decoder.reset()
    return np.concatenate([decoder.states(rows[None, at : at + CHUNK])[0] for at in range(0, len(rows), CHUNK)])


def _as_composed(
    memory: Recall, states: np.ndarray, network: Sequence[np.ndarray], choices: np.ndarray, fields: Fields
) -> np.ndarray:
    """Return how likely each field of the notes is, with a memory of those before, and their ends: [4, n]."""
    likely = np.zeros(choices.T.shape)
    common_ends = CommonEnds()
    for note, (state, chosen) in enumerate(zip(states, choices.tolist(), strict=True)):
        memory.look(state, note)
        for field, choice in enumerate(chosen):
            alone = network[field][note]
            expected = memory.mixed(field, alone)
            memory.chose(field, choice, float(alone[choice]))
            likely[field, note] = expected[choice]
            if field == LENGTH and note < len(fields):
                common_ends.look(fields.ends[max(0, note - LOOK_BACK) : note] - fields.starts[note])
                likely[field, note] = common_ends.mixed(expected)[choice]
                common_ends.chose(choice, float(expected[choice]))
    return likely
