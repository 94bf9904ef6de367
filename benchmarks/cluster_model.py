"""How long do M songs take on N workers, and what does a song cost? A discrete-event model of the chain on a cluster.

Conventions
    The pipelines are stations in a row. A commit passes them one after the other, because a job starts when the output
    commit of the job before is finished; a pipeline runs one job at a time. A per-song job hands its new songs in
    *datum sets* to its workers, whoever is free takes the next; its length is that of the last one to end. Training is
    one datum over the whole corpus on one worker. Songs that were there before cost their job only the listing.

    Seconds are those of a cluster's workers: processor seconds of `benchmarks/stage_costs.py`, divided by the
    processors that the spec requests. Core-seconds are reserved ones: processors times workers times the length of the
    job, so a worker that waits for the last one is paid too; between jobs `autoscaling` takes the workers away.

    What no benchmark of this project measures is an assumption, named so in `Assumptions`.
"""

import heapq
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

PER_SONG = ("to_wav", "transcribe", "preprocess")
PER_PRIMER = ("generate", "render")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one datum of a stage costs.

    Args:
        start_cpu_s: Processor seconds before the first note: interpreter, libraries, model.
        minute_cpu_s: Processor seconds a minute of music.
        cores: Processors that a worker requests; a datum is assumed to use all of them.
    """

    start_cpu_s: float
    minute_cpu_s: float
    cores: float

    def seconds(self, minutes: float) -> float:
        """Return how long a worker takes for a song of so many minutes."""
        return (self.start_cpu_s + self.minute_cpu_s * minutes) / self.cores


@dataclass(frozen=True, slots=True)
class Training:
    """What training costs: a start, then every token of the corpus as often as there are passes."""

    start_cpu_s: float
    tokens_per_cpu_s: float
    tokens_per_minute: float
    cores: float

    def seconds(self, minutes: float, passes: float, speedup: float) -> float:
        """Return how long training on so many minutes of music takes; a GPU divides the second term."""
        tokens = minutes * self.tokens_per_minute * passes
        return (self.start_cpu_s + tokens / self.tokens_per_cpu_s / speedup) / self.cores


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured costs, by stage."""

    stages: dict[str, Stage]
    training: Training


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured by this project.

    Args:
        worker_start_s: From a job's creation until its workers run, where they were scaled to zero.
        datum_overhead_s: Download and upload around each datum.
        listed_datum_s: What each datum of a job, old ones too, costs before work begins; one after the other. localpach
            takes less than a tenth of it (docs/benchmarks.md, one file more).
        sets_per_worker: Datum sets that a job is cut into for each worker.
        song_minutes: Mean length of a song.
        song_spread: Standard deviation of the logarithm of the lengths; 0 makes all songs equally long.
        primers: Pieces that are composed and rendered with each new model.
        piece_minutes: Length of a composed piece.
        passes: How often training sees the corpus before it stops.
        training_minutes: Ceiling of training, `--minutes` of the stage; None is no ceiling.
        training_speedup: How many times as fast as the measured processors training runs; a GPU is more than 1.
    """

    worker_start_s: float = 30.0
    datum_overhead_s: float = 0.5
    listed_datum_s: float = 0.0003
    sets_per_worker: int = 4
    song_minutes: float = 4.0
    song_spread: float = 0.4
    primers: int = 7
    piece_minutes: float = 2.0
    passes: float = 10.0
    training_minutes: float | None = 60.0
    training_speedup: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation gives.

    Args:
        songs: New songs.
        seconds: From the first commit until the last piece is rendered.
        core_seconds: Reserved processors, all stages.
        busy_core_seconds: The part of them in which a datum was worked on.
        stage_seconds: Seconds that each stage's jobs took, in the order of the chain.
    """

    songs: int
    seconds: float
    core_seconds: float
    busy_core_seconds: float
    stage_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def seconds_per_song(self) -> float:
        """Time for each new song."""
        return self.seconds / self.songs

    @property
    def core_seconds_per_song(self) -> float:
        """Reserved core-seconds for each new song."""
        return self.core_seconds / self.songs


def song_lengths(count: int, assumptions: Assumptions, seed: int = 1) -> list[float]:
    """Draw the lengths of songs in minutes: log-normal with the mean and spread that are assumed."""
    if assumptions.song_spread == 0:
        return [assumptions.song_minutes] * count
    source = random.Random(seed)
    sigma = assumptions.song_spread
    scale = assumptions.song_minutes / 2.718281828459045 ** (sigma * sigma / 2)
    return [scale * source.lognormvariate(0, sigma) for _ in range(count)]


def makespan(set_seconds: Sequence[float], workers: int) -> float:
    """Return when the last worker ends, if each that is free takes the next set.

    The heap holds when each worker is free; at most so many events as there are sets.
    """
    if not set_seconds:
        return 0.0
    free = [0.0] * min(workers, len(set_seconds))
    for seconds in set_seconds:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def datum_sets(datum_count: int, workers: int, sets_per_worker: int) -> list[tuple[int, int]]:
    """Cut datums into sets of nearly equal count: (first, one past the last)."""
    count = min(datum_count, workers * sets_per_worker)
    return [(datum_count * number // count, datum_count * (number + 1) // count) for number in range(count)]


def simulate(
    costs: Costs,
    assumptions: Assumptions,
    *,
    new_minutes: Sequence[float],
    workers: int,
    commits: int = 1,
    old_songs: int = 0,
) -> Outcome:
    """Let new songs pass the chain.

    Args:
        costs: Measured costs.
        assumptions: The rest.
        new_minutes: Lengths of the new songs.
        workers: Workers of each per-song and per-primer pipeline.
        commits: The songs come in so many commits of equal count, all put at the beginning.
        old_songs: Songs that were processed before.

    Returns:
        Time and cost until every new song has passed and the last pieces are rendered.
    """
    if not 1 <= commits <= len(new_minutes):
        raise ValueError(f"commits must be 1 to {len(new_minutes)}, received {commits}")
    station_free: dict[str, float] = {}
    spent: dict[str, float] = {}
    core_seconds = busy_core_seconds = end_s = 0.0
    corpus_minutes = old_songs * assumptions.song_minutes
    for number in range(commits):
        first, last = (len(new_minutes) * step // commits for step in (number, number + 1))
        batch = new_minutes[first:last]
        corpus_minutes += sum(batch)
        now_s = 0.0
        for job in _jobs(costs, assumptions, batch, workers, old_songs + last, corpus_minutes):
            now_s = max(now_s, station_free.get(job.stage, 0.0)) + job.seconds
            station_free[job.stage] = now_s
            spent[job.stage] = spent.get(job.stage, 0.0) + job.seconds
            core_seconds += job.core_seconds
            busy_core_seconds += job.busy_core_seconds
        end_s = max(end_s, now_s)
    return Outcome(len(new_minutes), end_s, core_seconds, busy_core_seconds, spent)


@dataclass(frozen=True, slots=True)
class _Job:
    """One job: its length, and the processors it reserves and uses."""

    stage: str
    seconds: float
    core_seconds: float
    busy_core_seconds: float


def _jobs(
    costs: Costs, assumptions: Assumptions, batch: Sequence[float], workers: int, all_songs: int, corpus_minutes: float
) -> list[_Job]:
    """Return the jobs that one commit causes, in the order of the chain."""
    rename = costs.stages["rename"]
    listing_s = all_songs * assumptions.listed_datum_s
    # One datum, all names: its work grows with the names as a listing does.
    jobs = [_spread("rename", [rename.seconds(0) + listing_s], rename.cores, 1, assumptions, 0.0)]
    for name in PER_SONG:
        stage = costs.stages[name]
        seconds = [stage.seconds(minutes) + assumptions.datum_overhead_s for minutes in batch]
        jobs.append(_spread(name, seconds, stage.cores, workers, assumptions, listing_s))
    training = costs.training
    train_s = training.seconds(corpus_minutes, assumptions.passes, assumptions.training_speedup)
    if assumptions.training_minutes is not None:
        train_s = min(train_s, training.start_cpu_s / training.cores + 60 * assumptions.training_minutes)
    jobs.append(_spread("train", [train_s + assumptions.datum_overhead_s], training.cores, 1, assumptions, 0.0))
    for name in PER_PRIMER:
        stage = costs.stages[name]
        piece_s = stage.seconds(assumptions.piece_minutes) + assumptions.datum_overhead_s
        jobs.append(_spread(name, [piece_s] * assumptions.primers, stage.cores, workers, assumptions, 0.0))
    return jobs


def _spread(
    stage: str, seconds: list[float], cores: float, workers: int, assumptions: Assumptions, listing_s: float
) -> _Job:
    """Give datums to workers; reserved are all workers from their start until the last one ends."""
    sets = [sum(seconds[a:b]) for a, b in datum_sets(len(seconds), workers, assumptions.sets_per_worker)]
    work_s = makespan(sets, workers)
    started = min(workers, len(seconds)) if seconds else 0
    whole_s = assumptions.worker_start_s + listing_s + work_s
    return _Job(stage, whole_s, cores * started * (listing_s + work_s), cores * sum(sets))


def stops_scaling(outcomes: dict[int, float], least_gain: float = 0.1) -> int | None:
    """Return the number of workers from which more of them do not help, or None if the last step still did.

    Args:
        outcomes: Workers to seconds; the steps are from one number to the next, best doublings.
        least_gain: The share of the time that a step must save to count.
    """
    counts = sorted(outcomes)
    for fewer, more in itertools.pairwise(counts):
        if outcomes[more] > outcomes[fewer] * (1 - least_gain):
            return fewer
    return None
