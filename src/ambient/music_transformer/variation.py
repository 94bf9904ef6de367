"""What training does to a piece so that the composer has heard more music than there is: other keys, tempi and hands.

Conventions: functions take and return `Fields`; what is drawn comes from the generator that is given. Starts that stand
together stay together, except in `imitate_transcriber`.
"""

import numpy as np

from ambient.music_transformer.fields import Fields
from ambient.music_transformer.tokens import PITCHES, STEPS_PER_SECOND, VELOCITY_BINS

# What the transcriber does to notes, measured by `scripts/measure_transcriber.py` on the played and heard pieces of
# `scripts/hear_corpus.py`: docs/experiments.md, 2026-11-30. From clear piano recordings to pads in large halls it loses
# 5 to 30 % of the notes and 8 to 24 % of what it hears was not played, mostly overtones and second strikes.
FRAME_STEPS = 3.2  # 32 ms: its ends lie on frames
START_JITTER_STEPS = 0.9
LOST_SHARES = (0.02, 0.3)
INVENTED_SHARES = (0.0, 0.25)
INVENTED_INTERVALS = (0, 0, 12, 12, 19, 24)  # semitones above a real note; 0 strikes it again
# Notes up to so many steps: median of heard / played, spread of its logarithm, share cut to a part of its length.
LENGTH_CHANGES = ((15, 1.4, 0.5, 0.0), (40, 1.15, 0.35, 0.03), (100, 1.02, 0.15, 0.2), (250, 1.0, 0.05, 0.4))
LONG_CHANGE = (1.0, 0.05, 0.55)
IMITATION_MARGIN_STEPS = 4  # what is heard may start so much later than it was played
PACE_KNOT_S = 10
LEAST_LEFT = 0.08  # of a note that is cut
VELOCITY_SLOPE, VELOCITY_OFFSET_BINS, VELOCITY_SPREAD_BINS = 0.12, 13.3, 1.6


def transpose(fields: Fields, semitones: int) -> Fields:
    """Move every note; a piece that would leave the range 0-127 stays where it is, and is never clipped."""
    if len(fields) and fields.pitches.min() + semitones >= 0 and fields.pitches.max() + semitones < PITCHES:
        return Fields(fields.starts, fields.pitches + semitones, fields.lengths, fields.velocities)
    return fields


def stretch(fields: Fields, factor: float) -> Fields:
    """Multiply all times; no note becomes empty."""
    starts = np.floor(fields.starts * factor + 0.5).astype(np.int64)
    ends = np.floor(fields.ends * factor + 0.5).astype(np.int64)
    return Fields(starts, fields.pitches, np.maximum(ends - starts, 1), fields.velocities).sorted()


def drift_tempo(fields: Fields, rng: np.random.Generator, *, most: float = 0.12) -> Fields:
    """Let the tempo wander as a player's does: up to so far from the mean, slowly."""
    if not len(fields):
        return fields
    return _warped(fields, 2, 1 + _wander(fields, rng, 2, step=most / 3, most=most))


def change_pace(fields: Fields, rng: np.random.Generator) -> Fields:
    """Slow the music down and speed it up by up to twice, over tens of seconds: what follows is unlike what was.

    So that the composer does as descriptions say even where the music so far says otherwise.
    """
    if not len(fields):
        return fields
    return _warped(fields, PACE_KNOT_S, 2.0 ** _wander(fields, rng, PACE_KNOT_S, step=0.5, most=1.0))


def change_dynamics(fields: Fields, rng: np.random.Generator) -> Fields:
    """Give a piece other velocities: moved and scaled, along a random rising curve, or swelling slowly, with jitter."""
    velocities = fields.velocities.astype(np.float64)
    kind = rng.integers(4)
    if kind == 0:
        velocities = rng.uniform(6, 27) + rng.uniform(0.3, 1.6) * (velocities - velocities.mean())
    elif kind == 1:
        velocities = np.sort(rng.uniform(0, VELOCITY_BINS, VELOCITY_BINS))[fields.velocities]
    else:
        swell = _wander(fields, rng, 2, step=rng.uniform(0.3, 2.0), most=VELOCITY_BINS)
        velocities = velocities + np.interp(fields.starts, _knots(fields, 2), swell)
    velocities = velocities + rng.normal(0, rng.uniform(0, 2.0), len(velocities))
    return Fields(fields.starts, fields.pitches, fields.lengths, _as_bins(velocities))


def change_ends(fields: Fields, rng: np.random.Generator) -> Fields:
    """Let a hand release its keys earlier or later than written, each note a little differently."""
    factors = rng.uniform(0.6, 1.5) * np.exp(rng.normal(0, rng.uniform(0, 0.3), len(fields)))
    lengths = np.maximum(np.rint(fields.lengths * factors), 1).astype(np.int64)
    return Fields(fields.starts, fields.pitches, lengths, fields.velocities)


def imitate_then_clean(fields: Fields, rng: np.random.Generator, most: int) -> tuple[Fields, int]:
    """Let a transcriber write a piece up to a note among the first `most`, and go on with the piece as it is.

    This is what composing asks for: a recording's transcription, then clean music. What is clean is moved to the
    loudness of what was heard.

    Returns:
        The notes, and how many of them were heard.
    """
    heard = imitate_transcriber(fields, rng)
    cut = fields.starts[int(rng.integers(min(most, len(fields))))]
    heard, rest = heard[heard.starts < cut - IMITATION_MARGIN_STEPS], fields[fields.starts >= cut]
    if len(heard):
        before = fields.velocities[fields.starts < cut]
        moved = rest.velocities + (heard.velocities.mean() - before.mean())
        rest = Fields(rest.starts, rest.pitches, rest.lengths, _as_bins(moved))
    return Fields.joined([heard, rest]), len(heard)


def imitate_transcriber(fields: Fields, rng: np.random.Generator) -> Fields:
    """Do to notes what transcribing does: lost and invented notes, starts a little off, wrong ends, flat dynamics.

    How bad the recording is, is drawn for the whole stretch.
    """
    badness = rng.random()
    lost = LOST_SHARES[0] + badness * (LOST_SHARES[1] - LOST_SHARES[0])
    kept = fields[rng.random(len(fields)) >= lost]
    if not len(kept):
        return fields
    kept = _with_invented(kept, rng, INVENTED_SHARES[0] + badness * (INVENTED_SHARES[1] - INVENTED_SHARES[0]))
    count = len(kept)
    lengths = kept.lengths * _length_factors(kept.lengths, rng)
    phase = rng.uniform(0, FRAME_STEPS)
    begun = kept.starts + rng.normal(0, START_JITTER_STEPS, count)
    starts = np.maximum(np.rint(begun), 0).astype(np.int64)
    ends = np.maximum(_on_frames(begun + lengths, phase), starts + round(FRAME_STEPS))
    velocities = VELOCITY_OFFSET_BINS + VELOCITY_SLOPE * kept.velocities + rng.normal(0, 1.5)
    velocities = velocities + rng.normal(0, VELOCITY_SPREAD_BINS, count)
    return Fields(starts, kept.pitches, ends - starts, _as_bins(velocities)).sorted()


def _knots(fields: Fields, every_s: int) -> np.ndarray:
    """Return moments from the first start to beyond the last end, steps, so many seconds apart."""
    every = every_s * STEPS_PER_SECOND
    return np.arange(fields.starts[0], fields.ends.max() + 2 * every, every)


def _wander(fields: Fields, rng: np.random.Generator, every_s: int, *, step: float, most: float) -> np.ndarray:
    """Draw a random walk around 0 with a value for each knot; `step` is its standard deviation, `most` its bound."""
    walk = np.cumsum(rng.normal(0, step, len(_knots(fields, every_s))))
    bounded: np.ndarray = np.clip(walk - walk.mean(), -most, most)
    return bounded


def _warped(fields: Fields, every_s: int, factors: np.ndarray) -> Fields:
    """Make the time after each knot so many times as long."""
    knots = _knots(fields, every_s)
    warped = knots[0] + np.concatenate([[0.0], np.cumsum(np.diff(knots) * factors[:-1])])
    starts = np.rint(np.interp(fields.starts, knots, warped)).astype(np.int64)
    ends = np.rint(np.interp(fields.ends, knots, warped)).astype(np.int64)
    return Fields(starts, fields.pitches, np.maximum(ends - starts, 1), fields.velocities).sorted()


def _with_invented(fields: Fields, rng: np.random.Generator, share: float) -> Fields:
    """Add notes that nobody played: overtones of real ones, and second strikes within them."""
    origin = fields[np.flatnonzero(rng.random(len(fields)) < share)]
    pitches = origin.pitches + rng.choice(INVENTED_INTERVALS, len(origin))
    delays = rng.uniform(0, 1, len(origin)) * np.where(pitches == origin.pitches, origin.lengths, FRAME_STEPS)
    starts = origin.starts + np.rint(delays).astype(np.int64)
    lengths = np.maximum(np.rint(origin.lengths * rng.uniform(0.1, 0.8, len(origin))), 3).astype(np.int64)
    within = pitches < PITCHES
    invented = Fields(starts, pitches, lengths, origin.velocities)[within]
    return Fields.joined([fields, invented]).sorted()


def _length_factors(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw by how much each note is heard longer or shorter than it was played, [N]."""
    classes = np.searchsorted([most for most, *_ in LENGTH_CHANGES], lengths)
    table = np.array([change[1:] for change in LENGTH_CHANGES] + [LONG_CHANGE])[classes]  # [N, 3]
    factors = table[:, 0] * np.exp(rng.normal(0, 1, len(lengths)) * table[:, 1])
    cut = rng.random(len(lengths)) < table[:, 2]
    factors[cut] = rng.uniform(LEAST_LEFT, 0.95, int(cut.sum()))
    return factors


def _on_frames(steps: np.ndarray, phase: float) -> np.ndarray:
    on_grid: np.ndarray = np.rint(np.floor((steps + phase) / FRAME_STEPS) * FRAME_STEPS).astype(np.int64)
    return np.maximum(on_grid, 0)


def _as_bins(velocities: np.ndarray) -> np.ndarray:
    bins: np.ndarray = np.clip(np.rint(velocities), 0, VELOCITY_BINS - 1).astype(np.int64)
    return bins
