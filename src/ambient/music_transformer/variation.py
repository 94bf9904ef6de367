"""What training does to a piece so that the composer has heard more music than there is: other keys, tempi and hands.

Conventions: functions take and return `Fields`; what is drawn comes from the generator that is given. Starts that stand
together stay together, except in `imitate_transcriber`.
"""

import numpy as np

from ambient.music_transformer.fields import Fields
from ambient.music_transformer.tokens import PITCHES, STEPS_PER_SECOND, VELOCITY_BINS

# What the transcriber does to notes, measured by `scripts/measure_transcriber.py` on the played and heard pieces of
# `scripts/hear_corpus.py`: docs/experiments.md, 2026-11-29. From clear piano recordings to pads in large halls it loses
# 5 to 30 % of the notes and 8 to 24 % of what it hears was not played, mostly overtones and second strikes.
FRAME_STEPS = 3.2  # 32 ms: its ends lie on frames
START_JITTER_STEPS = 0.8
LOST_SHARES = (0.02, 0.3)
INVENTED_SHARES = (0.0, 0.22)
INVENTED_INTERVALS = (0, 0, 12, 12, 19, 24)  # semitones above a real note; 0 strikes it again
# Notes up to so many steps: median of heard / played, spread of its logarithm, share cut to a part of its length.
LENGTH_CHANGES = ((15, 2.0, 0.45, 0.0), (40, 1.2, 0.35, 0.05), (100, 1.05, 0.2, 0.15), (250, 1.0, 0.06, 0.4))
LONG_CHANGE = (1.0, 0.05, 0.6)
LEAST_LEFT = 0.08  # of a note that is cut
VELOCITY_SLOPE, VELOCITY_OFFSET_BINS, VELOCITY_SPREAD_BINS = 0.2, 11.0, 1.6


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
    origin, last = fields.starts[0], fields.ends.max()
    knots = np.arange(origin, last + 4 * STEPS_PER_SECOND, 2 * STEPS_PER_SECOND)
    wander = np.cumsum(rng.normal(0, most / 3, len(knots)))
    wander = np.clip(wander - wander.mean(), -most, most)
    warped = origin + np.concatenate([[0.0], np.cumsum(np.diff(knots) * (1 + wander[:-1]))])
    starts = np.rint(np.interp(fields.starts, knots, warped)).astype(np.int64)
    ends = np.rint(np.interp(fields.ends, knots, warped)).astype(np.int64)
    return Fields(starts, fields.pitches, np.maximum(ends - starts, 1), fields.velocities).sorted()


def change_dynamics(fields: Fields, rng: np.random.Generator) -> Fields:
    """Give a piece other velocities: moved and scaled, along a random rising curve, or swelling slowly, with jitter."""
    velocities = fields.velocities.astype(np.float64)
    kind = rng.integers(3)
    if kind == 0:
        velocities = rng.uniform(6, 27) + rng.uniform(0.3, 1.6) * (velocities - velocities.mean())
    elif kind == 1:
        velocities = np.sort(rng.uniform(0, VELOCITY_BINS, VELOCITY_BINS))[fields.velocities]
    else:
        knots = np.arange(fields.starts[0], fields.starts[-1] + 400, 200)
        swell = np.cumsum(rng.normal(0, rng.uniform(0.3, 2.0), len(knots)))
        velocities = velocities + np.interp(fields.starts, knots, swell - swell.mean())
    velocities = velocities + rng.normal(0, rng.uniform(0, 2.0), len(velocities))
    return Fields(fields.starts, fields.pitches, fields.lengths, _as_bins(velocities))


def change_ends(fields: Fields, rng: np.random.Generator) -> Fields:
    """Let a hand release its keys earlier or later than written, each note a little differently."""
    factors = rng.uniform(0.6, 1.5) * np.exp(rng.normal(0, rng.uniform(0, 0.3), len(fields)))
    lengths = np.maximum(np.rint(fields.lengths * factors), 1).astype(np.int64)
    return Fields(fields.starts, fields.pitches, lengths, fields.velocities)


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
