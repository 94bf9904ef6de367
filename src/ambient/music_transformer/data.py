"""What the composer learns from: which songs are held out, and which crops each step sees.

Conventions: a crop is `max_seq` + 1 rows of consecutive notes (`rows.py`), a start row before the first note of a
piece and an end after its last; inputs are the rows, labels the notes of all but the first. Everything drawn depends
on the seed and the number of the step alone, so that a resumed run sees what an undisturbed one would have seen.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from ambient.errors import InputError
from ambient.music_transformer import variation
from ambient.music_transformer.config import TrainingConfig
from ambient.music_transformer.descriptions import NAMES, WINDOW_STEPS, Percentiles, describe
from ambient.music_transformer.duplicates import Duplicate, near_duplicates
from ambient.music_transformer.duplicates import describe as describe_duplicate
from ambient.music_transformer.fields import Fields
from ambient.music_transformer.records import TokenRecord
from ambient.music_transformer.rows import (
    CLEAN,
    COLUMNS,
    DESCRIPTIONS,
    HEARD,
    LOOK_BACK,
    MARK,
    NOT_SAID,
    TIME,
    labels_of,
    note_rows,
    with_end,
    with_start,
)
from ambient.processes import process_pool

HELD_OUT_SHARE = 0.1
PASSAGE_SHARE = 0.1  # of each song's notes, where no whole song can be held out
LEAST_NOTES = 12
CALM_NOTES_PER_SECOND = 6.0
PERFORMED_VELOCITIES = 12  # of 32 bins; score-like files use one to five
CLEANED_SHARE = 0.4  # of crops that imitate the transcriber: goes on as the piece is
SLOWEST = 3.0  # times as slow as the piece
MOST_AHEAD = 400  # notes beyond a crop that its descriptions may look at


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece to learn from or to be measured by.

    Attributes:
        fields: Its notes.
        heard: Whether a transcriber wrote it.
        ends: Whether its last note ends the music.
        context: How many of its first notes are there to be heard alone, not to be learned or measured by.
    """

    fields: Fields
    heard: bool = False
    ends: bool = True
    context: int = 0

    @property
    def counted(self) -> Fields:
        """The notes that it is learned or measured by."""
        return self.fields[self.context :]


@dataclass(frozen=True, slots=True)
class Split:
    """The two parts of a corpus.

    Attributes:
        training: Pieces to train on.
        held_out: Pieces never trained on.
        explanation: For people: what was held out and why.
        duplicates: For people: songs that are nearly the same music, one line a pair.
    """

    training: list[Piece]
    held_out: list[Piece]
    explanation: str
    duplicates: tuple[str, ...] = ()

    @property
    def held_out_seconds(self) -> float:
        """Length of the music held out."""
        return sum(piece.counted.seconds for piece in self.held_out)


def piece_of(record: TokenRecord) -> Piece:
    """Return what a token file holds as notes."""
    return Piece(record.fields, heard=record.heard)


def is_held_out(digest: str) -> bool:
    """Decide by content alone whether a song is held out, so that adding a song never moves another."""
    return int(digest, 16) / 16 ** len(digest) < HELD_OUT_SHARE


def split_records(records: Sequence[TokenRecord], *, source: object) -> Split:
    """Hold out a tenth of the songs, by content hash; a passage of every song where that leaves either side empty.

    The passage is from the middle: how a song ends says little about how it goes.

    Of songs that are nearly the same music none is held out if another is trained on, and only the longest is held out
    otherwise: nothing is measured by what was learned. What that leaves out is on neither side, so that adding a song
    moves no other one to the other side.

    Raises:
        InputError: there is too little music to learn anything from.
    """
    total = sum(len(record.fields) for record in records)
    if total < LEAST_NOTES:
        minutes = sum(record.seconds for record in records) / 60
        found = f"{minutes:.1f} minutes of music in {len(records)} songs ({total} notes)"
        expected = f"needs at least 0.1 minutes with {LEAST_NOTES} notes"
        raise InputError(source, found, expected, "Add songs, or check the MIDI files")
    duplicates = near_duplicates(records)
    lines = tuple(describe_duplicate(duplicate, records) for duplicate in duplicates)
    training = [record for record in records if not is_held_out(record.digest)]
    held_out = [record for record in _once(records, duplicates) if is_held_out(record.digest)]
    if held_out and training:
        names = f"{len(held_out)} of {len(records)} songs, chosen by their content"
        return Split([piece_of(r) for r in training], [piece_of(r) for r in held_out], names, lines)
    left_out = {duplicate.index for duplicate in duplicates}
    pieces = [piece_of(record) for index, record in enumerate(records) if index not in left_out]
    around, passages = [], []
    for piece in pieces:
        notes = len(piece.fields)
        begin = int(notes * (1 - PASSAGE_SHARE) / 2)
        end = begin + max(1, round(notes * PASSAGE_SHARE))
        around += [Piece(piece.fields[:begin], piece.heard, ends=False), Piece(piece.fields[end:], piece.heard)]
        passages.append(Piece(piece.fields[:end], piece.heard, ends=False, context=begin))
    explanation = f"a tenth from the middle of each of {len(pieces)} songs; too few for a song of its own"
    return Split([part for part in around if len(part.fields)], passages, explanation, lines)


def _once(records: Sequence[TokenRecord], duplicates: Sequence[Duplicate]) -> list[TokenRecord]:
    """Return the songs that may be held out: no duplicates, and none whose duplicate is trained on."""
    left_out = {duplicate.index for duplicate in duplicates}
    left_out |= {each.of for each in duplicates if not is_held_out(records[each.index].digest)}
    return [record for index, record in enumerate(records) if index not in left_out]


def drop_duplicates_of(
    held_out: Sequence[TokenRecord], records: Sequence[TokenRecord]
) -> tuple[list[TokenRecord], list[str]]:
    """Leave out songs that are nearly the same music as a held-out one; returns the others, and a line for each."""
    both = [*held_out, *records]
    group = list(range(len(both)))
    duplicates = near_duplicates(both)
    for duplicate in duplicates:
        group[duplicate.index] = duplicate.of
    measured = set(group[: len(held_out)])
    left_out = {index for index in range(len(held_out), len(both)) if group[index] in measured}
    lines = [
        f"{both[index].source} is nearly the same music as a held-out song: left out" for index in sorted(left_out)
    ]
    return [both[index] for index in range(len(held_out), len(both)) if index not in left_out], lines


def piece_weights(pieces: Sequence[Piece], config: TrainingConfig) -> np.ndarray:
    """Return how likely a crop comes from each piece: by length, calm and performed pieces more often; sums to 1."""
    weights = np.empty(len(pieces))
    for index, piece in enumerate(pieces):
        notes = len(piece.fields)
        weights[index] = notes
        if notes / max(piece.fields.seconds, 1.0) < CALM_NOTES_PER_SECOND:
            weights[index] *= config.calm_weight
        if np.unique(piece.fields.velocities).size >= PERFORMED_VELOCITIES:
            weights[index] *= config.performed_weight
    return weights / weights.sum()


class Crops:
    """Draws the crops of each step.

    Args:
        pieces: The corpus.
        rehearsed: Music of the base model that is drawn beside it when fine-tuning; may be empty.
        percentiles: Bins of the local descriptions.
        config: Sizes, variations, seed.
    """

    def __init__(
        self, pieces: Sequence[Piece], rehearsed: Sequence[Piece], percentiles: Percentiles, config: TrainingConfig
    ) -> None:
        self.config, self.percentiles = config, percentiles
        self.sets = [(list(part), piece_weights(part, config)) for part in (pieces, rehearsed) if part]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows [B, T + 1, 14] and labels [B, T, 4] of one step, int32."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        rows = np.zeros((config.batch_size, config.max_seq + 1, COLUMNS), dtype=np.int32)
        labels = np.full((config.batch_size, config.max_seq, 4), -1, dtype=np.int32)
        for row, label in zip(rows, labels, strict=True):
            pieces, weights = self.sets[-1 if rng.random() < config.rehearsal else 0]
            crop = self._crop(pieces[rng.choice(len(pieces), p=weights)], rng)
            row[: len(crop)] = crop
            label[: len(crop) - 1] = labels_of(crop[1:])
        return rows, labels

    def _crop(self, piece: Piece, rng: np.random.Generator) -> np.ndarray:
        """Draw a stretch of a piece, vary it, and return its rows: up to T + 1."""
        config = self.config
        count, notes = config.max_seq + 1, len(piece.fields)
        # Starts before the piece count as its start, so that beginnings are seen as often as any other place.
        first = max(0, int(rng.integers(-(count // 4), max(1, notes - count // 2))))
        before = min(first, LOOK_BACK)
        part = piece.fields[first - before : first + count + MOST_AHEAD]
        reaches_end = first + count + MOST_AHEAD >= notes and piece.ends
        varied, marks = self._varied(part, rng, heard=piece.heard, most=before + count)
        if len(varied) > before + 1:  # else so few notes that losing some left none
            part = varied
        else:
            before, marks = 0, np.full(len(part), HEARD if piece.heard else CLEAN)
        rows = crop_rows(part, before, count, marks, self.percentiles, begins=first == 0, ends=reaches_end)
        self._leave_out(rows, rng)
        return rows

    def _leave_out(self, rows: np.ndarray, rng: np.random.Generator) -> None:
        """Leave out descriptions and the mark at random, so that each may be left out while composing."""
        drop = rng.random(len(NAMES)) < self.config.description_dropout
        if rng.random() < self.config.description_dropout:
            drop[:] = True
        rows[:, np.flatnonzero(drop) + DESCRIPTIONS] = 0
        if rng.random() < self.config.description_dropout / 3:
            rows[:, MARK] = NOT_SAID

    def _varied(self, part: Fields, rng: np.random.Generator, *, heard: bool, most: int) -> tuple[Fields, np.ndarray]:
        """Vary a stretch; returns it and the mark of each note: what the next one is. `most` notes are looked at."""
        config = self.config
        part = variation.transpose(part, int(rng.integers(-config.transpose, config.transpose + 1)))
        tempo = rng.uniform(-config.stretch, config.stretch)
        if config.slow and not heard and rng.random() < config.slow:
            tempo = rng.uniform(0, np.log(SLOWEST))
        part = variation.stretch(part, float(np.exp(tempo)))
        if config.hands:
            if rng.random() < config.hands:
                part = variation.change_dynamics(part, rng)
            if not heard and rng.random() < config.hands / 2:
                part = variation.drift_tempo(part, rng)
            if not heard and rng.random() < config.hands / 3:
                part = variation.change_ends(part, rng)
            if not heard and rng.random() < config.hands / 3:
                part = variation.change_pace(part, rng)
        heard_notes = len(part) if heard else 0
        if not heard and rng.random() < config.imitation:
            if rng.random() < CLEANED_SHARE:
                part, heard_notes = variation.imitate_then_clean(part, rng, most)
                heard_notes -= 1  # the last heard note already asks for clean ones
            else:
                part = variation.imitate_transcriber(part, rng)
                heard_notes = len(part)
        return part, np.where(np.arange(len(part)) < heard_notes, HEARD, CLEAN)


def crop_rows(
    part: Fields, before: int, count: int, mark: int | np.ndarray, percentiles: Percentiles, *, begins: bool, ends: bool
) -> np.ndarray:
    """Return up to `count` rows of a stretch whose first `before` notes only say what still sounds, time from 0 on.

    Args:
        part: The notes before, those of the crop, and those ahead that descriptions look at.
        before: How many notes stand before the crop.
        count: Rows wanted.
        mark: Where the music comes from; of each note where the next one comes from, [N].
        percentiles: Bins of the descriptions.
        begins: The crop begins the piece: a start row comes first.
        ends: The part reaches the end of the piece: an end comes after its last note.
    """
    rows = note_rows(part)
    values = describe(part)
    if not ends and len(part):  # what lies beyond the part is not known
        values[part.starts + WINDOW_STEPS > part.starts[-1]] = np.nan
    rows[:, DESCRIPTIONS:TIME] = percentiles.bins(values)
    rows[:, MARK] = mark
    rows = rows[before:]
    if begins:
        rows = with_start(rows)
    if ends and len(rows) < count:
        rows = with_end(rows)
    rows = rows[:count]
    rows[:, TIME] -= rows[0, TIME]
    return rows


class BatchesAhead:
    """The batches of a training, drawn ahead of their use by processes of their own, or on demand by this one.

    Call: number of the step -> rows and labels, as `Crops.batch`; steps are asked for in order.
    """

    def __init__(self, crops: Crops, *, processes: int) -> None:
        self._draw = crops.batch
        self._waiting: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}
        self._ahead = 2 * processes
        self._pool = None
        if processes:
            self._pool = process_pool(processes, _keep, (self._draw,))

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


def evaluation_batches(
    pieces: Sequence[Piece],
    percentiles: Percentiles,
    config: TrainingConfig,
    *,
    most_crops: int = 0,
    described: bool = False,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut pieces into consecutive crops of `max_seq` labels, the rest included, without variation.

    Args:
        pieces: Each with its own mark.
        percentiles: Bins of the descriptions.
        config: Gives the length of a crop and how many make a batch.
        most_crops: Keep only so many crops, evenly spread; 0 keeps all.
        described: Whether the local descriptions are said; without them nothing of what follows is given away.

    Returns:
        Rows [B, T + 1, 14] and labels [B, T, 4], int32; each note and each end of a piece stands in exactly one crop.
    """
    cut: list[tuple[np.ndarray, np.ndarray]] = []
    for piece in pieces:
        mark = HEARD if piece.heard else CLEAN
        rows = crop_rows(piece.fields, 0, len(piece.fields) + 2, mark, percentiles, begins=True, ends=piece.ends)
        if not described:
            rows[:, DESCRIPTIONS:TIME] = 0
        wanted = labels_of(rows)
        wanted[: piece.context + 1] = -1  # the start row is first
        # What is measured has half a crop before it, where there is as much.
        for begin in range(max(0, piece.context - config.max_seq // 2), len(rows) - 1, config.max_seq):
            part = rows[begin : begin + config.max_seq + 1].copy()
            part[:, TIME] -= part[0, TIME]
            full = np.zeros((config.max_seq + 1, COLUMNS), np.int32)
            labels = np.full((config.max_seq, 4), -1, np.int32)
            full[: len(part)] = part
            labels[: len(part) - 1] = wanted[begin + 1 : begin + len(part)]
            cut.append((full, labels))
    if most_crops and len(cut) > most_crops:
        cut = [cut[index] for index in np.linspace(0, len(cut) - 1, most_crops).astype(int)]
    while len(cut) % config.batch_size:
        cut.append((np.zeros_like(cut[0][0]), np.full_like(cut[0][1], -1)))
    groups = [cut[i : i + config.batch_size] for i in range(0, len(cut), config.batch_size)]
    return [(np.stack([rows for rows, _ in group]), np.stack([labels for _, labels in group])) for group in groups]
