"""Continue a primer, event by event: the loop that joins the decoder with the choice of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.sampling import LegalEvents, draw_token, velocity_or_default
from ambient.music_transformer.tokens import START


class NextToken(Protocol):
    """What composing needs of a model; tests bring their own."""

    songs: int

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Hear [n] tokens, return logits [S, V]."""

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Hear [S] tokens, return logits [S, V]."""

    def reorder(self, songs: np.ndarray) -> None:
        """Let song i go on from song `songs[i]`."""


@dataclass(frozen=True, slots=True)
class Composition:
    """New music.

    Attributes:
        tokens: The new events, without the primer; they restate its velocity and end every note.
        nats_per_token: Mean surprise of the drawn events under the model, before temperature and filters.
    """

    tokens: list[int]
    nats_per_token: float


def compose(
    model: NextToken, primer: Sequence[int], *, length: int, sampling: SamplingConfig, seed: int
) -> Composition:
    """Draw so many new events after a primer.

    Args:
        model: A decoder of one song that has heard nothing yet.
        primer: Performance tokens without specials; may be empty. All of it is heard.
        length: New tokens; the offs that close sounding notes come on top.
        sampling: How to draw.
        seed: The same seed, model and primer give the same music.
    """
    rng = np.random.default_rng(seed)
    legal = _heard(primer, sampling.notes_per_second)
    tokens = _opening(legal, primer)
    logits = model.read(np.array([START, *primer], dtype=np.int64))[0]
    surprise = 0.0
    for index in range(length):
        token = draw_token(logits, legal.mask(), sampling, rng)
        surprise += _nats(logits, token)
        legal.observe(token)
        tokens.append(token)
        if index + 1 < length:
            logits = model.step(np.array([token]))[0]
    return Composition(tokens + legal.closing_tokens(), surprise / max(length, 1))


def compose_by_beam(model: NextToken, primer: Sequence[int], *, length: int, notes_per_second: int = 0) -> Composition:
    """Find a likely continuation: beams are ranked by the sum of their log-probabilities.

    Args:
        model: A decoder of as many songs as there are beams, that has heard nothing yet.
        primer: As in `compose`.
        length: New tokens.
        notes_per_second: Bound on the starts within a second; 0 sets none.
    """
    start = _heard(primer, notes_per_second)
    beams = [_Beam(_opening(start, primer), start, 0.0)]
    logits = model.read(np.array([START, *primer], dtype=np.int64))[:1]  # all beams are still the same song
    for _ in range(length):
        scores = np.stack([beam.extended(row) for beam, row in zip(beams, logits, strict=True)])  # [beams, V]
        best = np.argsort(-scores, axis=None, kind="stable")[: model.songs]
        best = best[np.isfinite(scores.ravel()[best])]
        parents, tokens = np.divmod(best, scores.shape[1])
        beams = [beams[p].grown(int(t), float(scores[p, t])) for p, t in zip(parents, tokens, strict=True)]
        spare = model.songs - len(beams)  # fewer legal continuations than beams
        model.reorder(np.concatenate([parents, np.repeat(parents[:1], spare)]))
        logits = model.step(np.concatenate([tokens, np.repeat(tokens[:1], spare)]))[: len(beams)]
    winner = max(beams, key=lambda beam: beam.score)
    return Composition(winner.tokens + winner.legal.closing_tokens(), -winner.score / max(length, 1))


@dataclass(frozen=True, slots=True)
class _Beam:
    tokens: list[int]
    legal: LegalEvents
    score: float

    def extended(self, logits: np.ndarray) -> np.ndarray:
        """Return the score of each continuation, [V]; illegal ones are minus infinity."""
        wide = np.nan_to_num(logits.astype(np.float64))
        shifted = wide - wide.max()
        return np.where(self.legal.mask(), self.score + shifted - np.log(np.exp(shifted).sum()), -np.inf)

    def grown(self, token: int, score: float) -> "_Beam":
        legal = self.legal.copy()
        legal.observe(token)
        return _Beam([*self.tokens, token], legal, score)


def _heard(primer: Sequence[int], notes_per_second: int) -> LegalEvents:
    legal = LegalEvents(notes_per_second=notes_per_second)
    for token in primer:
        legal.observe(token)
    return legal


def _opening(legal: LegalEvents, primer: Sequence[int]) -> list[int]:
    """Restate what the primer left in force, so that the new music stands on its own."""
    return [velocity_or_default(legal.velocity_bin)] if primer else []


def _nats(logits: np.ndarray, token: int) -> float:
    wide = np.nan_to_num(logits.astype(np.float64))
    top = wide.max()
    return float(top + np.log(np.exp(wide - top).sum()) - wide[token])
