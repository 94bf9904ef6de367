"""Continue a primer, note by note: the loop that joins the decoder with the choice of fields.

Conventions: times are steps of 10 ms; the clock of a song goes on from its primer's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from itertools import pairwise
from typing import Protocol

import numpy as np

from ambient.music_transformer.balance import Balance, nearness
from ambient.music_transformer.chords import ChordWatch
from ambient.music_transformer.common_ends import CommonEnds
from ambient.music_transformer.config import SamplingConfig
from ambient.music_transformer.ending import ended
from ambient.music_transformer.fields import BIN_WIDTHS, EDGES, Fields, steps_to_bins
from ambient.music_transformer.harmony import HarmonyWatch
from ambient.music_transformer.loops import FigureWatch, LoopWatch
from ambient.music_transformer.placement import REMEMBERED, Placements, place, steps_of
from ambient.music_transformer.pulse import PulseWatch
from ambient.music_transformer.recall import LEAST, Recall
from ambient.music_transformer.rows import (
    CLEAN,
    COLUMNS,
    DESCRIPTIONS,
    END,
    FIELD_SIZES,
    HEARD,
    LOOK_BACK,
    MARK,
    MOST_SOUNDING,
    NO_TIME,
    TIME,
    note_rows,
    with_start,
)
from ambient.music_transformer.sampling import (
    GAP,
    LENGTH,
    PITCH,
    VELOCITY,
    allowed_gaps,
    allowed_lengths,
    allowed_pitches,
    draw,
    log_probabilities,
)
from ambient.music_transformer.sounding import BassWatch, ClashWatch, sounding_on
from ambient.music_transformer.tokens import MAX_SHIFT_STEPS, STEPS_PER_SECOND, VELOCITY_BINS
from ambient.music_transformer.wishes import Primer, Steering, Wishes, as_bins

NO_WISHES = Wishes()
Hear = Callable[[int, int, int, int, int], None]  # index of the song, start and end in steps of new music, pitch, bin
GUIDANCE = 2.0
MOST_RECALLED = 2048  # notes of a primer, the last ones
MOST_MEASURED = 512  # notes; enough for 15 s
# How each field is held to the primer: to which power, how far a value speaks for those around it (semitones, or bins),
# what is added to all shares, and which descriptions let it go where a person turns them.
BALANCED = (
    (0.6, 1.5, 0.001, ("density", "polyphony")),  # what starts together stands apart from short gaps
    (1.0, 3.0, 0.0005, ("register",)),
    (0.6, 3.0, 0.001, ("note_length", "polyphony", "density")),  # many more notes cannot all be as long
    (0.6, 1.0, 0.001, ("loudness",)),
)
HEARD_APART = 3  # bins: up to so far apart a transcriber may have heard notes that start together
MOST_STRUCK = 0.1  # share of the notes that one pitch may have in any case
_LENGTHS = allowed_lengths()
_VELOCITIES = np.ones(VELOCITY_BINS, dtype=bool)


class NextNote(Protocol):
    """What composing needs of a model; tests bring their own."""

    songs: int

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Hear [n, 14] rows, return the states after the last of them, [up to n, E]."""

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Hear a row for each song that still grows, up to [S, 14]; return states [S, E]."""

    def choose(self, field: int, state: np.ndarray) -> np.ndarray:
        """Return logits [S, C] of a field."""

    def add_choice(self, field: int, state: np.ndarray, choices: np.ndarray) -> np.ndarray:
        """Return states [S, E] that know what was chosen."""

    def reorder(self, songs: np.ndarray) -> None:
        """Let song i go on from song `songs[i]`; songs beyond these are left out from now on."""


@dataclass(frozen=True, slots=True)
class Composition:
    """New music.

    Attributes:
        fields: The new notes, without the primer, on its clock.
        nats_per_note: Mean surprise of the drawn notes under the model, before temperature and filters.
        begin: Step at which the primer's music ends and the new music begins.
        loops_broken_s: When loops were broken, in seconds of new music.
    """

    fields: Fields
    nats_per_note: float
    begin: int
    loops_broken_s: tuple[float, ...] = ()


class _Song:
    """The notes of a song so far, and what may come next.

    Args:
        begun: The primer.
        sampling: Its bounds, and whether loops are broken. A loop in the primer is the primer's own business.
        wishes: How the music should be.
    """

    def __init__(self, begun: Primer, sampling: SamplingConfig, wishes: Wishes) -> None:
        primer = begun.fields
        self._sampling, self._wishes = sampling, wishes
        self.heard = len(primer)
        columns = (primer.starts, primer.pitches, primer.ends, primer.velocities)
        self.starts, self.pitches, self.ends, self.velocities = ([int(x) for x in column] for column in columns)
        self.gaps = [int(gap) for gap in np.diff(primer.starts)][-REMEMBERED:]
        self.loops = LoopWatch() if sampling.break_loops else None
        self.figures = FigureWatch() if sampling.break_loops else None
        if self.figures:
            for start, pitch in zip(self.starts, self.pitches, strict=True):
                self.figures.observe(start, pitch)
        self.harmony = HarmonyWatch(self.starts, self.pitches, sampling.modulation)
        self.balances = _balances(begun, wishes, sampling)
        is_free = wishes.turn(*BALANCED[GAP][-1]) or sampling.creativity != 0
        self.chords = None if is_free else ChordWatch(primer.starts, _gap_bins(begun))
        self.bass = None if wishes.turn("register") else BassWatch(primer)
        self.clashes = ClashWatch(primer)
        self.pulse = PulseWatch(primer.starts)
        self.broken_s: list[float] = []
        self.begin = self.starts[-1] if self.starts else 0
        self.steering = Steering(wishes.percentiles, self.begin) if wishes.percentiles else None
        self.choice = [0, 0, 0, 0]
        self._start = 0  # of the note that is being chosen
        self.common_ends, self._placements = None, Placements()
        if begun.mark != HEARD:  # a transcriber spreads what starts or ends together: nobody knows what did
            self.common_ends = CommonEnds() if sampling.recall else None
            self._placements.learn(primer[-REMEMBERED:])
        self.events = 0  # about how many performance events the new notes take
        self._moments = [self.begin]  # sorted, with repeats: starts and ends of new notes, from the last start on

    @property
    def now(self) -> int:
        """Start of the last note."""
        return self.starts[-1] if self.starts else 0

    @property
    def seconds(self) -> float:
        """Length of the new music up to its last start."""
        return (self.now - self.begin) / STEPS_PER_SECOND

    def copy(self) -> "_Song":
        """Return an independent copy."""
        other = copy(self)
        for name in ("starts", "pitches", "ends", "velocities", "gaps", "broken_s", "choice", "_moments", "steering"):
            setattr(other, name, copy(getattr(self, name)))
        other.harmony, other.pulse = self.harmony.copy(), self.pulse.copy()
        other.common_ends = self.common_ends and self.common_ends.copy()
        other.chords = self.chords and self.chords.copy()
        other.balances = [balance.copy() for balance in self.balances]
        other.loops, other.figures = self.loops and self.loops.copy(), self.figures and self.figures.copy()
        return other

    def allowed(self, field: int) -> np.ndarray:
        """Return which choices of a field may come, [C] bool; at least one may."""
        last = self.pitches[-1] if self.pitches else None
        if field == GAP:
            return allowed_gaps(last, self._soonest())
        if field == PITCH:
            looped = self.loops.next_pitch if self.loops else None
            return allowed_pitches(last, together=self.choice[GAP] == 0, looped=looped)
        return _LENGTHS if field == LENGTH else _VELOCITIES

    def led(self, field: int, logits: np.ndarray) -> np.ndarray:
        """Return logits [C] of a field with what leads away from the primer, or in circles, made less likely."""
        led = logits.astype(np.float64)
        for nats in self._leads(field, led):
            if nats is not None:
                led += nats
        if field == PITCH and self.figures:
            pitches, won = self.figures.led()
            led[pitches] += won
        return led

    def _leads(self, field: int, logits: np.ndarray) -> Iterator[np.ndarray | None]:
        """Yield what a field is led by, [C] or None; the logits are led meanwhile."""
        yield self.balances[field].nats()
        if field == GAP:
            yield self.chords.nats() if self.chords else None
            yield self.pulse.nats(self.now, logits)
        elif field == PITCH:
            sounding = sounding_on(self.pitches[-LOOK_BACK:], self.ends[-LOOK_BACK:], self._start)
            yield self.harmony.nats()
            yield self.clashes.nats(sounding)
            yield self.bass.nats(sounding) if self.bass else None
        elif self.steering:
            yield self.steering.length_nats() if field == LENGTH else self.steering.velocity_nats()

    def _soonest(self) -> int:
        """Return how long to wait until another note keeps within the bound of notes a second; 0 without one."""
        most = self._sampling.notes_per_second
        if not most or len(self.starts) < most:
            return 0
        return max(0, self.starts[-most] + STEPS_PER_SECOND - self.now)

    def with_common_ends(self, field: int, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities [C] of a field that know when other notes end."""
        return self.common_ends.mixed(probabilities) if field == LENGTH and self.common_ends else probabilities

    def learn_ends(self, field: int, choice: int, probability: float) -> None:
        """Learn whether a length that was chosen, with this probability without them, ends the note with others."""
        if field == LENGTH and self.common_ends:
            self.common_ends.chose(choice, probability)

    def chose(self, field: int, choice: int, rng: np.random.Generator) -> None:
        """Take a choice into the note to come; a gap is placed within its bin."""
        self.choice[field] = choice
        if field == GAP:
            self._start = self._placed_start(choice, rng)
            if self.common_ends:
                self.common_ends.look(np.array(self.ends[-LOOK_BACK:], dtype=np.int64) - self._start)

    def _placed_start(self, gap_bin: int, rng: np.random.Generator) -> int:
        """Return the start of the note to come, its gap placed within its bin."""
        if not self.starts:
            return self.now
        if BIN_WIDTHS[gap_bin] == 1:
            return self.now + int(EDGES[gap_bin])
        ends, gaps = np.array(self.ends[-LOOK_BACK:]), np.array(self.gaps[-REMEMBERED:], dtype=np.int64)
        chances = self._placements.gap.chances(gap_bin, ends - self.now, gaps)
        if self.pulse.strength > 0:
            chances *= self.pulse.suits(self.now + steps_of(gap_bin)) ** self.pulse.strength
        # Still in its bin: only bins that reach beyond the bound of notes a second may come.
        return self.now + max(place(gap_bin, chances, rng), self._soonest())

    def _placed_length(self, length_bin: int, rng: np.random.Generator) -> int:
        """Return the length of the note to come, placed within its bin."""
        if BIN_WIDTHS[length_bin] == 1:
            return int(EDGES[length_bin])
        ends = np.array(self.ends[-REMEMBERED:], dtype=np.int64)
        lengths = ends - np.array(self.starts[-REMEMBERED:], dtype=np.int64)
        chances = self._placements.length.chances(length_bin, ends[-LOOK_BACK:] - self._start, lengths)
        return place(length_bin, chances, rng)

    def add(self, rng: np.random.Generator) -> None:
        """Take the chosen note into the song, its length placed within its bin."""
        start, pitch = self._start, self.choice[PITCH]
        gap = start - self.now
        length = self._placed_length(self.choice[LENGTH], rng)
        if self.loops:
            if self.loops.next_pitch is not None and self.loops.next_pitch != pitch:
                self.broken_s.append(round(max(0.0, (start - self.begin) / STEPS_PER_SECOND), 2))
            self.loops.observe(pitch)
        if self.figures:
            self.figures.observe(start, pitch)
        self.harmony.observe(start, pitch)
        self.pulse.observe(start)
        if self.chords:
            self.chords.observe(start, self.choice[GAP])
        for balance, value in zip(self.balances, self.choice, strict=True):
            balance.observe(start, value)
        self._end_same_pitch(start, pitch)
        self._count_events(start, start + length)
        if self.starts:
            self.gaps.append(gap)
        self.starts.append(start)
        self.pitches.append(pitch)
        self.ends.append(start + length)
        self.velocities.append(self.choice[VELOCITY])
        if self.steering and self.steering.is_due(start):
            self.steering.measure(self._newest(MOST_MEASURED), self._wishes(self.seconds))

    def _end_same_pitch(self, start: int, pitch: int) -> None:
        """Let a note that still sounds end where its pitch is struck again; primer notes stay as they are."""
        for index in range(len(self.starts) - 1, max(self.heard, len(self.starts) - LOOK_BACK) - 1, -1):
            if self.pitches[index] == pitch and self.ends[index] > start > self.starts[index]:
                place = bisect_left(self._moments, self.ends[index])
                self.events -= self._shifts_for(place)
                del self._moments[place]
                self.ends[index] = start

    def _count_events(self, start: int, end: int) -> None:
        """Count a start, an end, a velocity if it is new, and the shifts to moments at which nothing else stands."""
        self.events += 2 + (not self.velocities or self.velocities[-1] != self.choice[VELOCITY])
        del self._moments[: bisect_left(self._moments, self.now)]  # nothing comes before the last start
        for moment in (start, end):
            place = bisect_right(self._moments, moment)
            self._moments.insert(place, moment)
            self.events += self._shifts_for(place)

    def _shifts_for(self, place: int) -> int:
        """Return how many more time shifts there are because of one of the moments."""
        before, moment, *after = self._moments[place - 1 : place + 2]
        return _shifts([before, moment, *after]) - _shifts([before, *after])

    def row(self) -> np.ndarray:
        """Return the row of the last note, [14]."""
        part = slice(-LOOK_BACK, None)
        columns = [np.array(column[part], dtype=np.int64) for column in (self.starts, self.pitches, self.ends)]
        starts, pitches, ends = columns
        velocities = np.array(self.velocities[part], dtype=np.int64)
        row = last_row(starts, pitches, ends - starts, velocities, self.gaps[-1] if self.gaps else 0)
        return self.with_wishes(row)

    def with_wishes(self, row: np.ndarray) -> np.ndarray:
        """Put mark and descriptions into a row: whatever was heard, new music is asked for as clean."""
        row[MARK] = CLEAN
        wished = self._wishes(max(0.0, self.seconds))
        row[DESCRIPTIONS:TIME] = self.steering(wished) if self.steering else as_bins(wished)
        return row

    def _newest(self, count: int) -> Fields:
        """Return the last notes, up to so many."""
        part = slice(max(0, len(self.starts) - count), None)
        starts, ends = (np.array(column[part], dtype=np.int64) for column in (self.starts, self.ends))
        pitches, velocities = (np.array(column[part], dtype=np.int64) for column in (self.pitches, self.velocities))
        return Fields(starts, pitches, ends - starts, velocities)

    def finished(self, surprise: float) -> Composition:
        """Return the new notes."""
        fields = self._newest(len(self.starts) - self.heard)
        return Composition(fields, surprise / max(len(fields), 1), self.begin, tuple(self.broken_s))


def _balances(begun: Primer, wishes: Wishes, sampling: SamplingConfig) -> list[Balance]:
    """Return what holds each field to the primer's notes, but for what a person turned."""
    is_free = [wishes.turn(*names) for _, _, _, names in BALANCED]
    is_free[GAP] |= sampling.creativity != 0
    primer = begun.fields
    values = _gap_bins(begun), primer.pitches, steps_to_bins(primer.lengths), primer.velocities
    return [
        Balance(
            primer.starts.tolist(),
            value.tolist(),
            near=nearness(FIELD_SIZES[field], spread, apart=1 if field == GAP else 0),
            unheard=unheard,
            strength=0.0 if is_free[field] else strength,
            most=MOST_STRUCK if field == PITCH else 1.0,
        )
        for field, (value, (strength, spread, unheard, _)) in enumerate(zip(values, BALANCED, strict=True))
    ]


def _gap_bins(begun: Primer) -> np.ndarray:
    """Return the bins of a primer's gaps, [N]; a transcriber spreads what starts together."""
    bins = steps_to_bins(np.diff(begun.fields.starts, prepend=begun.fields.starts[:1]))
    return np.where(bins <= HEARD_APART, 0, bins) if begun.mark == HEARD else bins


def last_row(
    starts: np.ndarray, pitches: np.ndarray, lengths: np.ndarray, velocities: np.ndarray, gap: int
) -> np.ndarray:
    """Return the row of the last of up to `LOOK_BACK` notes, [14]; the same as `note_rows` has for it."""
    row = np.zeros(COLUMNS, dtype=np.int32)
    left = starts + lengths - starts[-1]
    left = left[left > 0]
    first = int(left.min())
    later = left[left > first]
    times = np.array([gap, lengths[-1], first, later.min() if later.size else 0])
    bins = steps_to_bins(times)
    row[:4] = bins[0], pitches[-1], max(int(bins[1]), 1), velocities[-1]
    row[4:7] = bins[2], bins[3] if later.size else NO_TIME, min(left.size, MOST_SOUNDING)
    row[TIME] = starts[-1]
    return row


def primer_rows(primer: Fields, mark: int, described: np.ndarray) -> np.ndarray:
    """Return [N + 1, 14] rows of a start and a primer.

    Args:
        primer: May be empty.
        mark: Where it comes from.
        described: [N, 5] bins of its descriptions.
    """
    rows = note_rows(primer)
    rows[:, MARK] = mark
    rows[:, DESCRIPTIONS:TIME] = described
    return with_start(rows)


def compose(
    model: NextNote,
    primer: Primer,
    *,
    length: int | None = None,
    seconds: float | None = None,
    sampling: SamplingConfig,
    wishes: Wishes = NO_WISHES,
    seeds: Sequence[int],
    ending: bool = False,
    hear: Hear | None = None,
) -> list[Composition]:
    """Draw new notes after a primer, for several songs that share the work of reading the weights.

    Args:
        model: A decoder that has heard nothing yet, of as many songs as there are seeds; or of twice as many: then
            the second half hears the same music without descriptions, and what these change is multiplied by
            `GUIDANCE` (classifier-free guidance: Ho and Salimans 2022, arXiv:2207.12598).
        primer: All of it is heard.
        length: About so many performance events of new music a song: a note takes three to four.
        seconds: New music a song, in place of `length`.
        sampling: How to draw.
        wishes: How the music should be, over time.
        seeds: One a song. The same seeds, model and primer give the same music.
        ending: Bring each song to an end, up to 15 s before its length; otherwise it stops there.
        hear: Called with each note as it is drawn; a later note of the same pitch may still shorten it, and an end may
            leave out or slow down the last ones.
    """
    assert (length is None) != (seconds is None), "give either a length or seconds"
    begun = _Song(primer, sampling, wishes)
    opening = _opening(primer, begun)
    states = model.read(opening)
    # What a person turned is to be other than the primer.
    recall = _recall(primer, states, opening, share=0.0 if wishes.curves else sampling.recall)
    songs = [
        _Growing(index, begun.copy(), np.random.default_rng(seed), recall.copy()) for index, seed in enumerate(seeds)
    ]
    going = list(songs)
    state = np.repeat(states[-1:], model.songs, axis=0)
    while True:
        is_guided = len(state) > len(going)
        _choose_all(model, state, going, sampling)
        for each in going:
            song = each.song
            song.add(_places_from(each.rng, sampling))
            if hear:
                start, end = song.now - song.begin, song.ends[-1] - song.begin
                hear(each.index, start, end, song.pitches[-1], song.velocities[-1])
        unfinished = [
            place
            for place, each in enumerate(going)
            if (each.song.events < length if length is not None else each.song.seconds < (seconds or 0.0))
        ]
        if not unfinished:
            return [each.finished(ending=ending) for each in songs]
        if len(unfinished) < len(going):  # the model goes on with those that go on
            places = np.array(unfinished)
            model.reorder(np.concatenate([places, places + len(going)]) if is_guided else places)
            going = [going[place] for place in unfinished]
        rows = np.stack([each.song.row() for each in going])
        state = model.step(np.concatenate([rows, _undescribed(rows)]) if is_guided else rows)


def _shifts(moments: Sequence[int]) -> int:
    """Return how many time shifts lead from the first moment to the last."""
    return sum(-(-(later - earlier) // MAX_SHIFT_STEPS) for earlier, later in pairwise(moments))


@dataclass(slots=True)
class _Growing:
    """A song that is being composed: which one it is, where its chances come from, the nats of what was drawn.

    These are the network's own, so that pieces compare with music that training held out. `end_nats` has its logarithm
    of the probability that the song ends, before each new note.
    """

    index: int
    song: _Song
    rng: np.random.Generator
    recall: Recall
    surprise: float = 0.0
    end_nats: list[float] = dataclass_field(default_factory=list)

    def finished(self, *, ending: bool) -> Composition:
        """Return the new notes, with an end or just as they are."""
        made = self.song.finished(self.surprise)
        return replace(made, fields=ended(made.fields, made.begin, self.end_nats)) if ending else made


def _places_from(rng: np.random.Generator, sampling: SamplingConfig) -> np.random.Generator:
    """Return what draws the places within bins: where choices are not drawn at random, these are not either."""
    return rng if sampling.temperature > 0 else np.random.default_rng(0)


def _undescribed(rows: np.ndarray) -> np.ndarray:
    """Return rows that say nothing of how the music should be."""
    rows = rows.copy()
    rows[:, DESCRIPTIONS:TIME] = 0
    return rows


def _opening(primer: Primer, song: _Song) -> np.ndarray:
    """Return the rows of the primer; its last row says what is wished of the new music."""
    rows = primer_rows(primer.fields, primer.mark, primer.described)
    rows[-1] = song.with_wishes(rows[-1])
    return rows


def _recall(primer: Primer, states: np.ndarray, rows: np.ndarray, *, share: float) -> Recall:
    """Return a memory of the primer: what the network made of it, and how it went on each time."""
    moments = states[:-1][-MOST_RECALLED:]
    following = rows[len(rows) - len(moments) :, : len(FIELD_SIZES)].copy()
    if primer.mark == HEARD:  # a transcriber spreads what starts together
        following[following[:, GAP] <= HEARD_APART, GAP] = 0
    return Recall(moments, following, share)


def _choose_all(model: NextNote, state: np.ndarray, going: Sequence[_Growing], sampling: SamplingConfig) -> None:
    """Draw the four fields of each song's next note in turn."""
    is_guided = len(state) > len(going)
    for each, moment in zip(going, state, strict=False):
        each.recall.look(moment)
    for field in range(len(FIELD_SIZES)):
        logits = model.choose(field, state)
        drawn = logits
        if is_guided:
            logits, undescribed = np.split(logits, 2)
            drawn = undescribed + GUIDANCE * (logits - undescribed)
        said = log_probabilities(logits)
        network = np.exp(log_probabilities(drawn) if is_guided else said)
        expected = [each.recall.mixed(field, likely) for each, likely in zip(going, network, strict=True)]
        led = [
            each.song.led(field, np.log(each.song.with_common_ends(field, likely) + LEAST))
            for each, likely in zip(going, expected, strict=True)
        ]
        allowed = np.stack([each.song.allowed(field) for each in going])
        drawn_choices = draw(field, np.stack(led), allowed, sampling, [each.rng for each in going])
        choices = np.array(drawn_choices)
        places = np.arange(len(going))
        likelihoods, nats = network[places, choices].tolist(), said[places, choices].tolist()
        for each, choice, likelihood, said_nats, likely in zip(
            going, drawn_choices, likelihoods, nats, expected, strict=True
        ):
            each.song.chose(field, choice, _places_from(each.rng, sampling))
            each.song.learn_ends(field, choice, float(likely[choice]))
            each.recall.chose(field, choice, likelihood)
            each.surprise -= said_nats
        if field == GAP:
            for each, end_nats in zip(going, said[:, END].tolist(), strict=True):
                each.end_nats.append(end_nats)
        if field < VELOCITY:
            state = model.add_choice(field, state, np.tile(choices, 2) if is_guided else choices)


def compose_by_beam(
    model: NextNote,
    primer: Primer,
    *,
    length: int,
    sampling: SamplingConfig,
    wishes: Wishes = NO_WISHES,
) -> Composition:
    """Find a likely continuation: beams are ranked by the sum of their log-probabilities, field by field.

    Args:
        model: A decoder of as many songs as there are beams, that has heard nothing yet.
        primer: As in `compose`.
        length: About so many performance events.
        sampling: Its bounds and whether loops are broken; nothing is drawn but the places within bins, with seed 0.
        wishes: How the music should be, over time.
    """
    width = model.songs
    sampling = replace(sampling, recall=0.0)  # what the network alone finds likeliest
    beams = [_Beam(_Song(primer, sampling, wishes), 0.0)]
    state = model.read(_opening(primer, beams[0].song))[-1:]
    while True:
        parents = np.arange(len(beams))
        for field in range(4):
            logits = model.choose(field, _filled(state, width))[: len(beams)]
            beams, chosen_parents, choices = _extend(beams, logits, field, width)
            parents = parents[chosen_parents]
            state = state[chosen_parents]
            if field < VELOCITY:
                state = model.add_choice(field, state, choices)
        for beam in beams:
            beam.song.add(np.random.default_rng(0))
        if max(beams, key=lambda beam: beam.score).song.events >= length:
            winner = max(beams, key=lambda beam: beam.score)
            return winner.song.finished(-winner.score)
        model.reorder(_filled(parents, width))
        state = model.step(_filled(np.stack([beam.song.row() for beam in beams]), width))[: len(beams)]


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """Repeat the first row until there are `count`."""
    return np.concatenate([rows, np.repeat(rows[:1], count - len(rows), axis=0)])


def _extend(
    beams: "Sequence[_Beam]", logits: np.ndarray, field: int, width: int
) -> "tuple[list[_Beam], np.ndarray, np.ndarray]":
    """Return the best beams after one more field, which beam each comes from, and what it chose."""
    scores = np.stack([beam.extended(row, field) for beam, row in zip(beams, logits, strict=True)])  # [beams, C]
    best = np.argsort(-scores, axis=None, kind="stable")[:width]
    best = best[np.isfinite(scores.ravel()[best])]
    parents, choices = np.divmod(best, scores.shape[1])
    grown = [beams[p].chosen(field, int(c), float(scores[p, c])) for p, c in zip(parents, choices, strict=True)]
    return grown, parents, choices


@dataclass(frozen=True, slots=True)
class _Beam:
    song: _Song
    score: float

    def extended(self, logits: np.ndarray, field: int) -> np.ndarray:
        """Return the score of each choice, [C]; what may not come is minus infinity."""
        return np.where(self.song.allowed(field), self.score + log_probabilities(logits), -np.inf)

    def chosen(self, field: int, choice: int, score: float) -> "_Beam":
        song = self.song.copy()
        song.chose(field, choice, np.random.default_rng(0))
        return _Beam(song, score)
