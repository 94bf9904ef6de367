"""What the composer learns from: which songs are held out, and which crops each step sees.

Conventions: a sequence is start token, tokens, end token. A crop is max_seq + 1 tokens of it, padded at its end if the
piece is shorter; inputs are the first max_seq of them, labels the last. Everything drawn depends on the seed and the
number of the step alone, so that a resumed run sees what an undisturbed one would have seen.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from ambient.errors import InputError
from ambient.music_transformer.config import TrainingConfig
from ambient.music_transformer.duplicates import Duplicate, describe, near_duplicates
from ambient.music_transformer.records import TokenRecord
from ambient.music_transformer.tokens import (
    END,
    NOTE_OFF,
    PAD,
    START,
    STEPS_PER_SECOND,
    VELOCITY,
    duration_steps,
    stretch_tokens,
    transpose_tokens,
)

HELD_OUT_SHARE = 0.1
TAIL_SHARE = 0.1  # of each song's tokens, where no whole song can be held out
LEAST_TOKENS = 64  # about a dozen notes
CALM_NOTES_PER_SECOND = 6.0
PERFORMED_VELOCITIES = 12  # of 32 bins; score-like files use one to five


@dataclass(frozen=True, slots=True)
class Split:
    """The two parts of a corpus.

    Attributes:
        training: [T] token arrays with their specials.
        held_out: [T] token arrays with their specials; never trained on.
        held_out_seconds: Length of the music held out.
        explanation: For people: what was held out and why.
        duplicates: For people: songs that are nearly the same music, one line a pair.
    """

    training: list[np.ndarray]
    held_out: list[np.ndarray]
    held_out_seconds: float
    explanation: str
    duplicates: tuple[str, ...] = ()


def is_held_out(digest: str) -> bool:
    """Decide by content alone whether a song is held out, so that adding a song never moves another."""
    return int(digest, 16) / 16 ** len(digest) < HELD_OUT_SHARE


def split_records(records: Sequence[TokenRecord], *, source: object) -> Split:
    """Hold out about a tenth of the songs, by content hash; the end of every song where that leaves either side empty.

    Of songs that are nearly the same music none is held out if another is trained on, and only the longest is held out
    otherwise: nothing is judged by what was learned. What that leaves out is trained on by neither side, so that adding
    a song moves no other one to the other side.

    Raises:
        InputError: there is too little music to learn anything from.
    """
    total = sum(record.tokens.size for record in records)
    if total < LEAST_TOKENS:
        minutes = sum(record.seconds for record in records) / 60
        found = f"{minutes:.1f} minutes of music in {len(records)} songs ({total} tokens)"
        raise InputError(
            source,
            found,
            f"needs at least 0.1 minutes with {LEAST_TOKENS} tokens",
            "Add songs, or check the MIDI files",
        )
    duplicates = near_duplicates(records)
    lines = tuple(describe(duplicate, records) for duplicate in duplicates)
    training = [record for record in records if not is_held_out(record.digest)]
    held_out = [record for record in _once(records, duplicates) if is_held_out(record.digest)]
    if held_out and training:
        seconds = sum(record.seconds for record in held_out)
        names = f"{len(held_out)} of {len(records)} songs, chosen by their content"
        return Split([whole(r.tokens) for r in training], [whole(r.tokens) for r in held_out], seconds, names, lines)
    left_out = {duplicate.index for duplicate in duplicates}
    records = [record for index, record in enumerate(records) if index not in left_out]
    cuts = [int(record.tokens.size * (1 - TAIL_SHARE)) for record in records]
    heads = [np.concatenate([[START], r.tokens[:cut]]).astype(np.int16) for r, cut in zip(records, cuts, strict=True)]
    tails = [np.concatenate([r.tokens[cut:], [END]]).astype(np.int16) for r, cut in zip(records, cuts, strict=True)]
    seconds = sum(duration_steps(tail) for tail in tails) / STEPS_PER_SECOND
    explanation = f"the last tenth of each of {len(records)} songs; too few for a song of its own"
    return Split(heads, tails, seconds, explanation, lines)


def _once(records: Sequence[TokenRecord], duplicates: Sequence[Duplicate]) -> list[TokenRecord]:
    """Return the songs that may be held out: no duplicates, and none whose duplicate is trained on."""
    not_to_judge = {duplicate.index for duplicate in duplicates}
    not_to_judge |= {each.of for each in duplicates if not is_held_out(records[each.index].digest)}
    return [record for index, record in enumerate(records) if index not in not_to_judge]


def without_those_of(
    judges: Sequence[TokenRecord], records: Sequence[TokenRecord]
) -> tuple[list[TokenRecord], list[str]]:
    """Leave out songs that are nearly the same music as one to judge by; returns the others, and a line for each."""
    both = [*judges, *records]
    group = list(range(len(both)))
    duplicates = near_duplicates(both)
    for duplicate in duplicates:
        group[duplicate.index] = duplicate.of
    judged = set(group[: len(judges)])
    left_out = [index for index in range(len(judges), len(both)) if group[index] in judged]
    lines = [f"{both[index].source} is nearly the same music as a song to judge by: left out" for index in left_out]
    return [both[index] for index in range(len(judges), len(both)) if index not in set(left_out)], lines


def whole(tokens: np.ndarray) -> np.ndarray:
    """Put the start and end tokens around a piece."""
    return np.concatenate([[START], tokens, [END]]).astype(np.int16)


def piece_weights(pieces: Sequence[np.ndarray], config: TrainingConfig) -> np.ndarray:
    """Return how likely a crop comes from each piece: by length, calm and performed pieces more often; sums to 1."""
    weights = np.empty(len(pieces))
    for index, piece in enumerate(pieces):
        seconds = max(duration_steps(piece) / STEPS_PER_SECOND, 1.0)
        weights[index] = piece.size
        if (piece < NOTE_OFF).sum() / seconds < CALM_NOTES_PER_SECOND:
            weights[index] *= config.calm_weight
        if np.unique(piece[(piece >= VELOCITY) & (piece < PAD)]).size >= PERFORMED_VELOCITIES:
            weights[index] *= config.performed_weight
    return weights / weights.sum()


def training_batch(
    pieces: Sequence[np.ndarray], weights: np.ndarray, config: TrainingConfig, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the crops of one step, each transposed and stretched at random.

    Returns:
        Inputs and labels, [B, T] int32 each.
    """
    rng = np.random.default_rng([config.seed, step])
    crops = np.full((config.batch_size, config.max_seq + 1), PAD, dtype=np.int32)
    for row in crops:
        crop = augment(_random_crop(pieces[rng.choice(len(pieces), p=weights)], config, rng), config, rng)
        row[: crop.size] = crop[: row.size]
    return crops[:, :-1], crops[:, 1:]


class BatchesAhead:
    """The batches of a training, drawn ahead of their use by processes of their own, or on demand by this one.

    Call: number of the step -> inputs and labels, as `training_batch`; steps are asked for in order.
    """

    def __init__(
        self, pieces: Sequence[np.ndarray], weights: np.ndarray, config: TrainingConfig, *, processes: int
    ) -> None:
        self._draw = partial(training_batch, pieces, weights, config)
        self._waiting: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}
        self._ahead = 2 * processes
        self._pool = None
        if processes:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(processes, spawn, initializer=_keep, initargs=(self._draw,))

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch of a step."""
        if self._pool is None:
            return self._draw(step)
        for later in range(step, step + self._ahead):
            if later not in self._waiting:
                self._waiting[later] = self._pool.submit(_drawn, later)
        return self._waiting.pop(step).result()

    def __enter__(self) -> "BatchesAhead":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


_kept: list[Callable[[int], tuple[np.ndarray, np.ndarray]]] = []  # in a process that draws


def _keep(draw: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> None:
    _kept.append(draw)


def _drawn(step: int) -> tuple[np.ndarray, np.ndarray]:
    return _kept[0](step)


def _random_crop(piece: np.ndarray, config: TrainingConfig, rng: np.random.Generator) -> np.ndarray:
    # Somewhat longer than needed: a faster tempo leaves fewer shift tokens.
    length = int((config.max_seq + 1) * (1 + 2 * config.stretch)) + 8
    # Starts before the piece count as its start, so that beginnings are seen as often as any other place.
    start = int(rng.integers(-(config.max_seq // 4), max(1, piece.size - config.max_seq // 2)))
    return piece[max(0, start) : max(0, start) + length]


def augment(crop: np.ndarray, config: TrainingConfig, rng: np.random.Generator) -> np.ndarray:
    """Transpose and stretch a crop; a transposition that leaves the range of pitches is discarded, never clipped."""
    semitones = int(rng.integers(-config.transpose, config.transpose + 1))
    factor = float(rng.uniform(1 - config.stretch, 1 + config.stretch))
    moved = transpose_tokens(crop, semitones)
    crop = crop if moved is None else moved
    return stretch_tokens(crop, factor) if config.stretch else crop


def evaluation_batches(
    pieces: Sequence[np.ndarray], config: TrainingConfig, *, most_crops: int = 0
) -> list[np.ndarray]:
    """Cut pieces into consecutive crops of max_seq labels, the rest included.

    Args:
        pieces: [T] token arrays.
        config: Gives the length of a crop and how many make a batch.
        most_crops: Keep only so many crops, evenly spread; 0 keeps all.

    Returns:
        Batches [B, max_seq + 1] int32, padded at the end; each label of each piece stands in exactly one crop.
    """
    crops = []
    for piece in pieces:
        for start in range(0, piece.size - 1, config.max_seq):
            crop = np.full(config.max_seq + 1, PAD, dtype=np.int32)
            part = piece[start : start + config.max_seq + 1]
            crop[: part.size] = part
            crops.append(crop)
    if most_crops and len(crops) > most_crops:
        crops = [crops[index] for index in np.linspace(0, len(crops) - 1, most_crops).astype(int)]
    while len(crops) % config.batch_size:
        crops.append(np.full(config.max_seq + 1, PAD, dtype=np.int32))
    return [np.stack(crops[i : i + config.batch_size]) for i in range(0, len(crops), config.batch_size)]
