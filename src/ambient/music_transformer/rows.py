"""What the network is given of each note: a row of whole numbers, the same in training and while composing.

Conventions: row p holds the note that was heard last and what is wanted of the music from there on; from it the network
predicts the next note. The first row of a piece is a start row, which holds no note. Columns:

    0 gap        bin of the time since the start of the note before; START in a start row
    1 pitch      0-127; 128 in a start row
    2 length     bin of the note's length; NO_TIME in a start row
    3 velocity   bin 0-31; 32 in a start row
    4 first_end  bin of the time until the first sounding note ends; NO_TIME if none sounds
    5 next_end   the same for the end after that
    6 sounding   how many notes sound, at most 15
    7 mark       where the music comes from: 0 not said, 1 clean, 2 heard by a transcriber
    8-12         the five local descriptions, 0 not said, 1-10
    13 start     start of the note in steps, from any origin: only differences matter
"""

import numpy as np

from ambient.music_transformer.descriptions import DESCRIPTION_BINS, NAMES
from ambient.music_transformer.fields import BINS, Fields, steps_to_bins
from ambient.music_transformer.tokens import PITCHES, VELOCITY_BINS

END = BINS  # as the gap of what follows: the piece is over
START = BINS + 1
NO_TIME = BINS
NO_PITCH = PITCHES
MOST_PITCH = PITCHES - 1
NO_VELOCITY = VELOCITY_BINS
MOST_SOUNDING = 15  # told apart; more count as so many
NOT_SAID, CLEAN, HEARD = 0, 1, 2
FIELD_NAMES = ("gap", "pitch", "length", "velocity")
FIELD_SIZES = (BINS + 1, PITCHES, BINS, VELOCITY_BINS)  # choices of gap (with the end), pitch, length, velocity
MARK, DESCRIPTIONS, TIME = 7, 8, 8 + len(NAMES)
COLUMNS = TIME + 1
# One table holds the embeddings of all columns but the start, and of the pitch class; another those of choices.
_INPUT_SIZES: tuple[int, ...] = (
    BINS + 2,
    PITCHES + 1,
    BINS + 1,
    VELOCITY_BINS + 1,
    BINS + 1,
    BINS + 1,
    MOST_SOUNDING + 1,
    3,
)
_INPUT_SIZES += (DESCRIPTION_BINS + 1,) * len(NAMES) + (13,)
INPUT_OFFSETS = np.cumsum([0, *_INPUT_SIZES[:-1]], dtype=np.int32)
INPUT_SIZE = sum(_INPUT_SIZES)
CHOSEN_OFFSETS = np.cumsum([0, *FIELD_SIZES[:2]], dtype=np.int32)
CHOSEN_SIZE = sum(FIELD_SIZES[:3])
LOOK_BACK = 64  # notes; what began earlier and still sounds is not counted among the sounding


def note_rows(fields: Fields) -> np.ndarray:
    """Return the rows of a stretch of a piece, mark and descriptions not said.

    Args:
        fields: N notes; the first `LOOK_BACK` know only the notes before them in the stretch.

    Returns:
        [N, 14] int32.
    """
    rows = np.zeros((len(fields), COLUMNS), dtype=np.int32)
    if not len(fields):
        return rows
    rows[:, 0] = steps_to_bins(np.diff(fields.starts, prepend=fields.starts[:1]))
    rows[:, 1], rows[:, 3] = fields.pitches, fields.velocities
    rows[:, 2] = np.maximum(steps_to_bins(fields.lengths), 1)
    first_end, next_end, sounding = _ends_ahead(fields)
    rows[:, 4], rows[:, 5], rows[:, 6] = first_end, next_end, np.minimum(sounding, MOST_SOUNDING)
    rows[:, TIME] = fields.starts
    return rows


def start_row(start: int = 0) -> np.ndarray:
    """Return [14] int32: no note yet."""
    row = np.zeros(COLUMNS, dtype=np.int32)
    row[:6] = START, NO_PITCH, NO_TIME, NO_VELOCITY, NO_TIME, NO_TIME
    row[TIME] = start
    return row


def with_start(rows: np.ndarray) -> np.ndarray:
    """Put a start row before the rows of a piece, [N] -> [N + 1]; it says of the music what the first row says."""
    if not len(rows):
        return start_row()[None]
    opening, rows = start_row(int(rows[0, TIME])), rows.copy()
    opening[MARK:TIME] = rows[0, MARK:TIME]
    rows[0, 0] = 0
    return np.concatenate([opening[None], rows])


def with_end(rows: np.ndarray) -> np.ndarray:
    """Put the end after the last of the rows of a piece, [N] -> [N + 1]."""
    closing = rows[-1:].copy()
    closing[:, 0] = END
    return np.concatenate([rows, closing])


def labels_of(rows: np.ndarray) -> np.ndarray:
    """Return what is to be predicted of notes: [..., 4], -1 where nothing counts."""
    labels = rows[..., :4].copy()
    labels[..., 1:][np.broadcast_to(labels[..., :1] >= END, labels[..., 1:].shape)] = -1
    return labels


def _ends_ahead(fields: Fields) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return at each note's start: bins of the first and the next moment at which a note ends, and how many sound."""
    count = len(fields)
    back = np.arange(count)[:, None] - np.arange(LOOK_BACK)[None, :]  # [N, L] index of the notes before, itself first
    known = back >= 0
    left = np.where(known, fields.ends[np.maximum(back, 0)] - fields.starts[:, None], 0)  # [N, L] steps
    sounds = left > 0
    never = np.iinfo(np.int64).max
    ends = np.where(sounds, left, never)
    first = ends.min(axis=1)
    following = np.where(ends > first[:, None], ends, never).min(axis=1)
    bins = [
        np.where(moment < never, steps_to_bins(np.minimum(moment, 1 << 40)), NO_TIME) for moment in (first, following)
    ]
    return bins[0], bins[1], sounds.sum(axis=1)


def wavelengths(head_width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return in how many notes, steps of 10 ms and semitones the pairs of columns of an attention head turn once.

    Of 32 pairs ten turn with the number of the note, from 4 to 2,048 notes a turn; fourteen with time, from 80 ms to
    four minutes; eight with pitch: an octave, a step in the circle of fifths, wide and narrow intervals.
    """
    pairs = head_width // 2
    with_order, with_pitch = round(pairs * 10 / 32), min(8, max(1, pairs * 8 // 32))
    with_time = pairs - with_order - with_pitch
    return (
        np.geomspace(4, 2048, with_order),
        np.geomspace(8, 24_000, with_time),
        np.array([12, 12 / 7, 24, 48, 96, 192, 3, 4][:with_pitch]),
    )
