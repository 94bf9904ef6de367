"""What localpach itself costs: time and memory per datum, one file more, storing files, and how quickly it answers.

    python3 benchmarks/runner.py [--files 1000 10000 50000] [--put_megabytes 1000] [--folder FOLDER]

Each number of files goes through three per-file pipelines whose program is `cp`, two datums at a time. The program's
start is no cost of localpach: the same `cp` is started beside it, two at a time, up to 3,000 times, and deducted.
Storing files is compared with `cp -r` and `sha256sum` of the same tree, answers with an interpreter that does nothing.
Where other work shares the machine, the processor times are what to read. Prints a table and writes the figures as
JSON to `benchmarks/results`, what there is so far after each part.

Starting 150,000 programs takes a while. For more files than `--programs_up_to` no program is started and nothing laid
out: each datum is handed its result, and what is measured is planning, saving, committing, and one file more.
"""

import argparse
import datetime
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from localpach.actions import files, pipelines
from localpach.planning import datums
from localpach.planning.datums import Datum
from localpach.running import batching, jobs, phase
from localpach.running.execute import Outcome
from localpach.spec import spec
from localpach.spec.addresses import parse_file
from localpach.storage import objects
from localpach.storage.store import Store
from localpach.storage.trees import Entry

RESULTS = Path(__file__).parent / "results"
PIPELINES = {"one": "songs", "two": "one", "three": "two"}  # each with the repo that it reads
LINES_A_FILE = 40  # files of about a kilobyte
AT_A_TIME = 2
REPEATS = 5
MOST_STARTS = 3000
MEGABYTE = 10**6
LISTINGS = {
    "--help": ["--help"],
    "list repo": ["list", "repo"],
    "list commit": ["list", "commit", "three"],
    "list branch": ["list", "branch", "three"],
    "list file": ["list", "file", "three@master"],
    "list pipeline": ["list", "pipeline"],
    "list job": ["list", "job"],
    "list datum": ["list", "datum", "three@{job}"],
}

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a program took; the processor time and the memory of the largest process include the programs it started."""

    seconds: float
    processor_s: float
    peak_mb: float


def run(command: Sequence[str]) -> Cost:
    """Run a program to its end, its output thrown away.

    Raises:
        SystemExit: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"error: {' '.join(command)} ended with status {status}; run it by hand to see why")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def environment() -> dict[str, str]:
    """Give programs the environment of a user, who has compiled modules, without leaving any in the source folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "localpach-benchmark-modules")}


def localpach(state: Path, *words: str) -> list[str]:
    """Give the command line of localpach over a state."""
    return [sys.executable, "-m", "localpach", "--state", str(state), *words]


def medians_ms(command: Sequence[str]) -> tuple[float, float]:
    """Run a program several times; give the median milliseconds from its start to its end, and of processor time."""
    run(command)
    costs = [run(command) for _ in range(REPEATS)]
    return (
        statistics.median(each.seconds for each in costs) * 1000,
        statistics.median(each.processor_s for each in costs) * 1000,
    )


def write_files(folder: Path, count: int) -> None:
    """Write different small files."""
    folder.mkdir(parents=True)
    for index in range(count):
        (folder / f"{index:06d}.txt").write_text(f"line of file {index:06d}\n" * LINES_A_FILE)


def specs() -> str:
    """Give the three pipelines as a list of specs."""
    made = [
        {
            "pipeline": {"name": name},
            "transform": {"cmd": ["cp", "-r", "/pfs/in/.", "/pfs/out/"]},
            "parallelism_spec": {"constant": AT_A_TIME},
            "input": {"pfs": {"repo": repo, "name": "in", "glob": "/*"}},
        }
        for name, repo in PIPELINES.items()
    ]
    return json.dumps(made)


def start_programs(folder: Path, times: int) -> Cost:
    """Start the `cp` of the pipelines several times, and give what one start costs; processor time is the program's."""
    source, target = folder / "in", folder / "out"
    write_files(source, 1)
    target.mkdir()
    command = ["cp", "-r", f"{source}/.", f"{target}/"]

    def start(_: int) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(start, range(times)):
            pass
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds / times, processor_s / times, after.ru_maxrss / 1024)


def fill(state: Path, spec_file: Path) -> None:
    """Create the pipelines and run them with no program: each datum's output is its input, as `cp` would make it."""

    @contextmanager
    def without_programs(*_: object) -> Iterator[Callable[[Datum], Outcome]]:
        def result(datum: Datum) -> Outcome:
            found = [entry for each in datum.inputs for entry in each.listing.below(each.path)]
            return Outcome("success", True, "", 1, 0.0, [Entry(each.path, each.digest, each.size) for each in found])

        yield result

    assert phase.runner is batching.runner, "the place where a job takes its programs from has moved"  # type: ignore[attr-defined]
    phase.runner = without_programs  # type: ignore[assignment, attr-defined]
    store = Store(state)
    pipelines.create_pipelines(store, spec.load(spec_file))
    jobs.run_jobs(store)
    store.close()


class HashedBytes:
    """Counts the bytes that a module of localpach hashes."""

    def __init__(self, module: object) -> None:
        self.total = 0
        self._module = module
        self._real = module.hashlib  # type: ignore[attr-defined]

    def __enter__(self) -> "HashedBytes":
        """Begin to count."""
        self._module.hashlib = SimpleNamespace(blake2b=self._counted)  # type: ignore[attr-defined]
        return self

    def __exit__(self, *_: object) -> None:
        """Count no longer."""
        self._module.hashlib = self._real  # type: ignore[attr-defined]

    def _counted(self, content: bytes = b"", digest_size: int = 64) -> object:
        self.total += len(content)
        real = self._real.blake2b(content, digest_size=digest_size)

        def update(more: bytes) -> None:
            self.total += len(more)
            real.update(more)

        return SimpleNamespace(update=update, digest=real.digest, hexdigest=real.hexdigest)


def hashed_for_one_file(state: Path, content: bytes) -> tuple[int, int]:
    """Add a file; give the bytes of contents that were hashed, and of datum IDs and hashes."""
    store = Store(state)
    with HashedBytes(objects) as of_contents, HashedBytes(datums) as of_names:
        files.put_bytes(store, parse_file("songs@master:/counted.txt"), content)
        jobs.run_jobs(store)
    store.close()
    return of_contents.total, of_names.total


def measure_chain(folder: Path, count: int, *, programs: bool) -> Figures:
    """Take a number of files through the pipelines, then one more, and leave the state in `folder/state`."""
    state = folder / "state"
    source = folder / "source"
    write_files(source, count)
    run(localpach(state, "create", "repo", "songs"))
    put = run(localpach(state, "put", "file", "-r", "songs@master:/", "-f", str(source)))
    spec_file = folder / "specs.json"
    spec_file.write_text(specs())
    datum_count = count * len(PIPELINES)
    if programs:
        chain = run(localpach(state, "create", "pipeline", "-f", str(spec_file)))
        program = start_programs(folder / "programs", min(datum_count, MOST_STARTS))
    else:
        chain = run([sys.executable, __file__, "--fill", str(state), str(spec_file)])
        program = Cost(0.0, 0.0, 0.0)
    added = folder / "added.txt"
    one_more = []
    database = state / "state.sqlite"
    before = database.stat().st_size
    for index in range(REPEATS):
        added.write_text(f"line of added file {index}\n" * LINES_A_FILE)
        one_more.append(run(localpach(state, "put", "file", f"songs@master:/added-{index}.txt", "-f", str(added))))
    grown = (database.stat().st_size - before) / REPEATS
    content = b"one more\n" * LINES_A_FILE
    of_contents, of_names = hashed_for_one_file(state, content)
    return {
        "files": count,
        "put_seconds": put.seconds,
        "run_seconds": chain.seconds,
        "run_processor_seconds": chain.processor_s,
        "program_ms": program.seconds * 1000,
        "program_processor_ms": program.processor_s * 1000,
        "own_ms_a_datum": (chain.seconds / datum_count - program.seconds) * 1000,
        "own_processor_ms_a_datum": (chain.processor_s / datum_count - program.processor_s) * 1000,
        "peak_mb": chain.peak_mb,
        "one_more_seconds": statistics.median(each.seconds for each in one_more),
        "one_more_processor_seconds": statistics.median(each.processor_s for each in one_more),
        "one_more_peak_mb": max(each.peak_mb for each in one_more),
        "one_more_database_kb": grown / 1000,
        "one_more_bytes": len(content),
        "one_more_hashed_content_bytes": of_contents,
        "one_more_hashed_name_bytes": of_names,
    }


def measure_answers(state: Path) -> Figures:
    """Time the listings of a state, from the start of the process to its end."""
    store = Store(state)
    job = store.branch("three", "master")
    store.close()
    assert job is not None
    commands = {
        name: localpach(state, *(word.replace("{job}", str(job.head)) for word in words))
        for name, words in LISTINGS.items()
    }
    found: Figures = {}
    for name, command in {"python3 -c pass": [sys.executable, "-c", "pass"], **commands}.items():
        found[name], found[f"{name}, processor"] = medians_ms(command)
    return found


def measure_put(folder: Path, megabytes: int) -> Figures:
    """Store a tree of 10 MB files, then the same again, and compare with copying it and taking its checksums."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    for index in range(max(1, megabytes // 10)):
        (tree / f"{index:04d}.bin").write_bytes(os.urandom(10 * MEGABYTE))
    os.sync()
    state = folder / "state"
    run(localpach(state, "create", "repo", "songs"))
    put_words = ["put", "file", "-r", "songs@master:/", "-f", str(tree)]
    names = sorted(str(path) for path in tree.iterdir())
    run(["sha256sum", *names])  # whatever comes first would read from the disk, the others from memory
    copied = run(["cp", "-r", str(tree), str(folder / "copy")]).seconds
    summed = run(["sha256sum", *names]).seconds
    synced = run(["sync", *(str(path) for path in (folder / "copy").iterdir())]).seconds
    put = run(localpach(state, *put_words))
    objects_before = objects_in(state)
    again = run(localpach(state, *put_words))
    return {
        "megabytes": len(names) * 10,
        "cp_seconds": copied,
        "sha256sum_seconds": summed,
        "sync_seconds": synced,
        "put_seconds": put.seconds,
        "put_again_seconds": again.seconds,
        "put_peak_mb": put.peak_mb,
        "objects_written_again": len(objects_in(state) - objects_before),
        "ratio": put.seconds / (copied + summed),
        "ratio_with_sync": put.seconds / (copied + summed + synced),
    }


def objects_in(state: Path) -> set[tuple[str, int]]:
    """Give the objects of a state with the times at which they were written."""
    return {(path.name, path.stat().st_mtime_ns) for path in (state / "objects").rglob("*") if path.is_file()}


def print_table(title: str, figures: Figures) -> None:
    """Print figures, a line each."""
    print(f"\n{title}")
    for name, value in figures.items():
        print(f"  {name.replace('_', ' '):<34}{value:>14,.3f}".rstrip("0").rstrip("."), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="*", default=[1000, 10000, 50000], help="how many (%(default)s)")
    parser.add_argument("--programs_up_to", type=int, default=10000, help="files (%(default)s)")
    parser.add_argument(
        "--put_megabytes", type=int, default=1000, help="size of the tree, 0 to leave out (%(default)s)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where to work; about 3 GB, removed afterwards (the system's choice)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON file (%(default)s)")
    parser.add_argument("--fill", type=Path, nargs=2, help=argparse.SUPPRESS)  # a state and specs, in its own process
    arguments = parser.parse_args()
    if arguments.fill:
        fill(*arguments.fill)
        return

    chains: list[dict[str, object]] = []
    report: dict[str, object] = {"date": str(datetime.date.today()), "cores": os.cpu_count(), "chains": chains}
    arguments.results.mkdir(exist_ok=True)
    kind = "runner" if arguments.programs_up_to else "runner-without-programs"
    written = arguments.results / f"{kind}_{os.cpu_count()}-cores_{report['date']}.json"
    with tempfile.TemporaryDirectory(prefix="localpach-benchmark-", dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.put_megabytes:
            put = measure_put(folder / "put", arguments.put_megabytes)
            print_table("putting a tree of 10 MB files", put)
            report["put"] = put
            shutil.rmtree(folder / "put")
        for count in arguments.files:
            programs = count <= arguments.programs_up_to
            chain = measure_chain(folder / str(count), count, programs=programs)
            through = "three `cp` pipelines" if programs else "three pipelines without programs"
            print_table(f"{count} files through {through}, then one file more", chain)
            answers = measure_answers(folder / str(count) / "state")
            print_table(f"milliseconds to an answer, {count} files", answers)
            chains.append({"programs": programs, **chain, "answers_ms": answers})
            written.write_text(json.dumps(report, indent=1) + "\n")
            shutil.rmtree(folder / str(count))
        written.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {written}")


if __name__ == "__main__":
    main()
