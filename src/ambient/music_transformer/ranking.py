"""Which of many songs are worth keeping? By likelihood, variety, and how much of each was heard in training before."""

from collections.abc import Sequence
from dataclasses import dataclass

from ambient.music_transformer.composing import Composition
from ambient.music_transformer.memorisation import Match, TrainingNotes
from ambient.music_transformer.statistics import self_repetition
from ambient.notes import Note

# Of the model's own held-out loss. Below the band a piece has hardly any surprises, as a loop has none; above it the
# model itself finds the piece odd.
LIKELIHOOD_BAND = (0.6, 1.1)
# Half of the real pieces held out repeat fewer of their figures than this.
MUCH_REPETITION = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A song that was made, and what speaks against it.

    Attributes:
        seed: It was drawn with.
        notes: The new music, sorted.
        composition: As it was drawn.
        match: Its longest passage that the training music has too; None where there is no index or no music.
        outside_band: How far its nats per note lie outside the likelihood band.
        repetition: Share of its figures of four pitches that occur more than once.
    """

    seed: int
    notes: Sequence[Note]
    composition: Composition
    match: Match | None
    outside_band: float
    repetition: float

    @property
    def copied_notes(self) -> int:
        """Notes of the longest match."""
        return self.match.notes if self.match else 0

    @property
    def penalty(self) -> float:
        """What the songs are ranked by: the less, the better."""
        return self.outside_band + max(0.0, self.repetition - MUCH_REPETITION) + self.copied_notes / 100


def score(
    composition: Composition,
    notes: Sequence[Note],
    *,
    seed: int,
    heard: TrainingNotes | None,
    held_out_nats: float | None,
) -> Candidate:
    """Look at one song.

    Args:
        composition: As it was drawn.
        notes: Its notes.
        seed: It was drawn with.
        heard: The notes of the training music.
        held_out_nats: The model's loss on music it had not heard, per note; None if it is not on record.
    """
    low, high = LIKELIHOOD_BAND
    expected = held_out_nats or composition.nats_per_note
    surprise = composition.nats_per_note
    return Candidate(
        seed=seed,
        notes=notes,
        composition=composition,
        match=heard.longest_match(notes) if heard else None,
        outside_band=max(0.0, low * expected - surprise, surprise - high * expected),
        repetition=self_repetition([note.pitch for note in notes]) if notes else 1.0,
    )


def best(candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """Return the songs with the smallest penalty, the best first; among equals the lower seed."""
    return sorted(candidates, key=lambda each: (each.penalty, each.seed))[:keep]
