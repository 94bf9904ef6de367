"""Continue a primer, event by event: the loop that joins the decoder with the choice of events."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.loops import LoopWatch
from ambient.music_transformer.sampling import LegalEvents, draw_token, velocity_or_default, with_note_ends
from ambient.music_transformer.tokens import NOTE_OFF, NOTE_ON, START, STEPS_PER_SECOND


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
        loops_broken_s: When loops were broken, in seconds after the primer.
    """

    tokens: list[int]
    nats_per_token: float
    loops_broken_s: tuple[float, ...] = ()


class _Song:
    """The new events of a song so far, and what may come next.

    Args:
        primer: What was heard before.
        sampling: Its bounds, and whether loops are broken. A loop in the primer is the primer's own business.
    """

    def __init__(self, primer: Sequence[int], sampling: SamplingConfig) -> None:
        self.legal = LegalEvents(notes_per_second=sampling.notes_per_second)
        self._note_end_rate = sampling.note_end_rate
        for token in primer:
            self.legal.observe(token)
        self.loops = LoopWatch() if sampling.break_loops else None
        self.broken_s: list[float] = []
        # What the primer left in force is restated, so that the new music stands on its own.
        self.tokens = [velocity_or_default(self.legal.velocity_bin)] if primer else []
        self._begun = self.legal.now

    @property
    def seconds(self) -> float:
        """Length of the new music."""
        return (self.legal.now - self._begun) / STEPS_PER_SECOND

    def copy(self) -> "_Song":
        """Return an independent copy."""
        other = copy(self)
        other.legal, other.tokens, other.broken_s = self.legal.copy(), list(self.tokens), list(self.broken_s)
        other.loops = self.loops and self.loops.copy()
        return other

    def adjusted(self, logits: np.ndarray) -> np.ndarray:
        """Return [V] logits that do not forget the notes that have sounded for long."""
        return with_note_ends(logits, self.legal.held(), self._note_end_rate)

    def allowed(self) -> np.ndarray:
        """Return which events may come next, [V] bool; at least one may."""
        allowed = self.legal.mask()
        looped = self.loops.next_pitch if self.loops else None
        if looped is not None and np.count_nonzero(allowed) > 1:
            allowed[NOTE_ON + looped] = False
        return allowed

    def observe(self, token: int) -> None:
        """Take an event into the song."""
        if self.loops:
            if NOTE_ON <= token < NOTE_OFF and self.loops.next_pitch is not None:
                self.broken_s.append(round(self.seconds, 2))
            self.loops.observe(token)
        self.legal.observe(token)
        self.tokens.append(token)

    def finished(self, surprise: float, drawn: int) -> Composition:
        """Return the song with every note ended."""
        tokens = self.tokens + self.legal.closing_tokens()
        return Composition(tokens, surprise / max(drawn, 1), tuple(self.broken_s))


def compose(
    model: NextToken,
    primer: Sequence[int],
    *,
    length: int | None = None,
    seconds: float | None = None,
    sampling: SamplingConfig,
    seeds: Sequence[int],
) -> list[Composition]:
    """Draw new events after a primer, for several songs that share the work of reading the weights.

    Args:
        model: A decoder of as many songs as there are seeds, that has heard nothing yet.
        primer: Performance tokens without specials; may be empty. All of it is heard.
        length: New tokens a song; the offs that close sounding notes come on top.
        seconds: New music a song, in place of `length`.
        sampling: How to draw.
        seeds: One a song. The same seeds, model and primer give the same music.
    """
    assert (length is None) != (seconds is None), "give either a length or seconds"
    draws = [_Draw(_Song(primer, sampling), np.random.default_rng(seed), sampling) for seed in seeds]
    logits = model.read(np.array([START, *primer], dtype=np.int64))
    while True:
        for draw, row in zip(draws, logits, strict=True):
            if not draw.done:
                draw.one(row)
                draw.done = draw.drawn == length or (seconds is not None and draw.song.seconds >= seconds)
        if all(draw.done for draw in draws):
            return [draw.song.finished(draw.surprise, draw.drawn) for draw in draws]
        logits = model.step(np.array([draw.song.tokens[-1] for draw in draws]))


class _Draw:
    """A song that grows at random."""

    def __init__(self, song: _Song, rng: np.random.Generator, sampling: SamplingConfig) -> None:
        self.song, self._rng, self._sampling = song, rng, sampling
        self.surprise, self.drawn, self.done = 0.0, 0, False

    def one(self, logits: np.ndarray) -> None:
        """Draw one event from [V] logits."""
        token = draw_token(self.song.adjusted(logits), self.song.allowed(), self._sampling, self._rng)
        self.surprise += _nats(logits, token)
        self.drawn += 1
        self.song.observe(token)


def compose_by_beam(model: NextToken, primer: Sequence[int], *, length: int, sampling: SamplingConfig) -> Composition:
    """Find a likely continuation: beams are ranked by the sum of their log-probabilities.

    Args:
        model: A decoder of as many songs as there are beams, that has heard nothing yet.
        primer: As in `compose`.
        length: New tokens.
        sampling: Its bounds and whether loops are broken; nothing is drawn.
    """
    beams = [_Beam(_Song(primer, sampling), 0.0)]
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
    return winner.song.finished(-winner.score, length)


@dataclass(frozen=True, slots=True)
class _Beam:
    song: _Song
    score: float

    def extended(self, logits: np.ndarray) -> np.ndarray:
        """Return the score of each continuation, [V]; illegal ones are minus infinity."""
        wide = np.nan_to_num(self.song.adjusted(logits).astype(np.float64))
        shifted = wide - wide.max()
        return np.where(self.song.allowed(), self.score + shifted - np.log(np.exp(shifted).sum()), -np.inf)

    def grown(self, token: int, score: float) -> "_Beam":
        song = self.song.copy()
        song.observe(token)
        return _Beam(song, score)


def _nats(logits: np.ndarray, token: int) -> float:
    wide = logits.astype(np.float64)
    top = wide.max()
    if not (np.isfinite(top) and np.isfinite(wide[token])):  # broken weights
        wide = np.nan_to_num(wide)
        top = wide.max()
    return float(top + np.log(np.exp(wide - top).sum()) - wide[token])
