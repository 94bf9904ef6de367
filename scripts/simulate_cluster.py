#!/usr/bin/env python3
"""How long do M songs take on N workers, what does a song cost, and where do more workers stop helping?

Costs are those that benchmarks/stage_costs.py has measured; what it cannot measure is an assumption with its own flag.
Example: scripts/simulate_cluster.py --songs 100 1000000 --workers 1 2 4 8 16 32 64 --plot docs/cluster-scaling.svg
"""

import argparse
import json
import sys
import time
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.version_info < (3, 11):  # noqa: UP036 -- one line for those who start it with an older one
    sys.exit(f"error: Python {sys.version.split()[0]}; expected 3.11 or newer. Run . .venv/bin/activate first")
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # so that any Python 3.11 runs it, installed or not

from ambient.deployment.errors import DeployError  # noqa: E402
from ambient.deployment.specs import read  # noqa: E402
from benchmarks import cluster_model  # noqa: E402 -- after the path is set

COSTS = ROOT / "benchmarks" / "results" / "stages_2-cores_2026-11-29.json"
SPEC_OF_STAGE = {
    "rename": "audio-processed",
    "to_wav": "mp3-to-wav",
    "transcribe": "midi",
    "preprocess": "transformer-preprocess",
    "train": "music-transformer-cpu",
    "generate": "generated-music",
    "render": "rendered-music",
}
HELP = {
    "worker_start_s": "seconds until the workers of a job run, where they were scaled to zero",
    "datum_overhead_s": "seconds of download and upload around each datum",
    "listed_datum_s": "seconds for which each datum, old ones too, holds a job up before it begins",
    "sets_per_worker": "datum sets that a job is cut into for each worker",
    "song_minutes": "mean length of a song",
    "song_spread": "standard deviation of the logarithm of the lengths; 0: all equal",
    "primers": "pieces composed with each new model",
    "piece_minutes": "length of a composed piece",
    "passes": "how often training sees the corpus",
    "training_minutes": "ceiling of training; 0 is none",
    "training_speedup": "how many times as fast as the measured processors training runs; a GPU is more than 1",
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; defaults of the assumptions are those of the model."""
    parser = argparse.ArgumentParser(prog="simulate_cluster.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--songs", type=_count, nargs="+", default=[1, 100, 10_000, 1_000_000], help="new songs")
    parser.add_argument("--workers", type=_count, nargs="+", default=[2**n for n in range(11)], help="per pipeline")
    parser.add_argument("--old_songs", type=_count_or_none, default=0, metavar="N", help="songs processed before")
    parser.add_argument("--commits", type=_count, default=1, metavar="N", help="put the songs in so many commits")
    parser.add_argument(
        "--costs", type=Path, default=COSTS, metavar="JSON", help="costs, as benchmarks/stage_costs.py saves them"
    )
    parser.add_argument("--cpu_price", type=float, default=0.0, metavar="X", help="price of a processor for an hour")
    parser.add_argument(
        "--gpu_price", type=float, default=0.0, metavar="X", help="price of the training node for an hour"
    )
    parser.add_argument("--plot", type=Path, metavar="SVG", help="write a picture: seconds a song over workers")
    assumed = parser.add_argument_group("assumptions")
    for field in fields(cluster_model.Assumptions):
        kind = int if isinstance(field.default, int) else float
        assumed.add_argument(f"--{field.name}", type=kind, default=field.default, metavar="X", help=HELP[field.name])
    return parser


def load_costs(path: Path) -> cluster_model.Costs:
    """Read measured costs, and the processors that the specs request for each stage.

    Raises:
        DeployError: the file is not there or is none of `benchmarks/stage_costs.py`.
    """
    cores = {
        stage: read(ROOT / "pipelines" / f"{spec}.json")[0].spec["resource_requests"]["cpu"]
        for stage, spec in SPEC_OF_STAGE.items()
    }
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        stages = {name: cluster_model.Stage(**cost, cores=cores[name]) for name, cost in measured["stages"].items()}
        return cluster_model.Costs(stages, cluster_model.Training(**measured["training"], cores=cores["train"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeployError(
            f"{path}: {error}; expected the costs that benchmarks/stage_costs.py saves. Run it with --save {path}"
        ) from None


def run(arguments: argparse.Namespace) -> None:
    """Print a table for each number of songs, and draw the picture."""
    costs = load_costs(arguments.costs)
    values = {field.name: getattr(arguments, field.name) for field in fields(cluster_model.Assumptions)}
    values["training_minutes"] = values["training_minutes"] or None
    assumptions = cluster_model.Assumptions(**values)
    lines: dict[str, list[tuple[float, float]]] = {}
    marks: dict[str, float] = {}
    for songs in arguments.songs:
        if arguments.commits > songs:
            raise DeployError(
                f"--commits {arguments.commits}: more than {songs} songs; expected at most one a song. Lower it"
            )
        lengths = cluster_model.song_lengths(songs, assumptions)
        outcomes = {}
        started_s = time.perf_counter()
        print(f"\n{songs:,} new songs, {sum(lengths) / 60:,.1f} hours of music, {arguments.commits} commits")
        print("  workers     hours  s a song  core-h a song   busy  " + _price_title(arguments) + "longest")
        for workers in sorted(arguments.workers):
            outcome = cluster_model.simulate(
                costs,
                assumptions,
                new_minutes=lengths,
                workers=workers,
                commits=arguments.commits,
                old_songs=arguments.old_songs,
            )
            outcomes[workers] = outcome.seconds
            print(_row(workers, outcome, arguments))
        best = cluster_model.stops_scaling(outcomes)
        if len(outcomes) > 1:
            print(
                f"  the step beyond {best} workers saves less than 10 %" if best else "  every step saves 10 % or more"
            )
        print(f"  simulated in {time.perf_counter() - started_s:.1f} s")
        name = f"{songs:,} songs" if songs > 1 else "1 song"
        lines[name] = [(workers, seconds / songs) for workers, seconds in outcomes.items()]
        if best:
            marks[name] = best
    if arguments.plot:
        draw(arguments.plot, lines, marks)
        print(f"\n{arguments.plot}")


def draw(path: Path, lines: dict[str, list[tuple[float, float]]], marks: dict[str, float]) -> None:
    """Draw seconds a song over workers as SVG, with a ring where more workers stop helping.

    Raises:
        DeployError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise DeployError("matplotlib: not installed; expected it, to draw. Run make test's environment") from None
    # The same picture each time, with words as text.
    matplotlib.rcParams.update({"svg.hashsalt": "cluster-scaling", "svg.fonttype": "none"})
    axes = (figure := Figure(figsize=(9, 5.5), layout="constrained")).add_subplot()
    for name, points in lines.items():
        (line,) = axes.loglog(*zip(*points, strict=True), label=name, gid=name)
        if name in marks:
            axes.plot(marks[name], dict(points)[marks[name]], "o", markerfacecolor="white", color=line.get_color())
    axes.set_title("Time for each new song, from upload to the last rendered piece")
    axes.set_xlabel("workers of each per-song pipeline (ring: the next step saves less than 10 %)")
    axes.set_ylabel("seconds a song")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(color="#dddddd")
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


def _row(workers: int, outcome: cluster_model.Outcome, arguments: argparse.Namespace) -> str:
    busy = outcome.busy_core_seconds / outcome.core_seconds
    longest = max(outcome.stage_seconds, key=outcome.stage_seconds.__getitem__)
    share = outcome.stage_seconds[longest] / sum(outcome.stage_seconds.values())
    price = ""
    if _price_title(arguments):
        training_h = outcome.stage_seconds["train"] / 3600
        total = outcome.core_seconds / 3600 * arguments.cpu_price + training_h * arguments.gpu_price
        price = f"{total / outcome.songs:12.5f}  "
    return (
        f"  {workers:7} {outcome.seconds / 3600:9.2f} {outcome.seconds_per_song:9.3f} "
        f"{outcome.core_seconds_per_song / 3600:14.5f} {100 * busy:5.0f} %  "
        f"{price}{longest} {100 * share:.0f} %"
    )


def _price_title(arguments: argparse.Namespace) -> str:
    return "price a song  " if arguments.cpu_price or arguments.gpu_price else ""


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a whole number from 1 on")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    try:
        run(build_parser().parse_args(argv))
    except (DeployError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
