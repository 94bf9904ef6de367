"""The command line of scripts/deploy.py: one set of words for a cluster and for this machine."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambient.deployment import specs
from ambient.deployment.errors import DeployError, SpecProblemsError
from ambient.deployment.local import served
from ambient.deployment.retry import Retry
from ambient.deployment.songs import PRIMERS, RECORDINGS, Found, songs_below
from ambient.program import called_as
from ambient.shipped import SHIPPED_PIPELINES

if TYPE_CHECKING:
    from ambient.deployment.cluster import Cluster

RESULTS = {"songs": "rendered-music", "midi": "generated-music", "model": "music-transformer"}
TEMPLATE = "ambient-music.jsonnet"
_EPILOG = """
Where: --address, else PACHD_ADDRESS, else the active context of pachctl, else localpach on this machine.
From an empty cluster to a song: deploy.py up; deploy.py put samples/midi --repo seeds;
deploy.py put ~/Music/ambient --wait; deploy.py get songs --output my-new-music
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog=called_as("deploy.py"), description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "--address", metavar="ADDRESS", help="grpc://HOST:PORT or grpcs://HOST:PORT of pachd, or localpach"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    parser.add_argument("--dry_run", action="store_true", dest="dry_run", help=argparse.SUPPRESS)  # until release 0.3
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="create the repos and pipelines in order, or update them")
    up.add_argument("--image_prefix", metavar="PREFIX", help="what stands before /audio:TAG and the other images")
    up.add_argument("--image_tag", metavar="TAG", help="tag of all images")
    up.add_argument("--epochs", type=_at_least(1), metavar="N", help="ceiling of passes over the corpus in training")
    up.add_argument(
        "--gpus", type=_at_least(0), metavar="N", help="GPUs for training; 0 trains without (default: 1 on a cluster)"
    )
    up.add_argument("--workers", type=_at_least(1), metavar="N", help="workers of each per-song pipeline, at most 8")
    up.add_argument("--reprocess", action="store_true", help="process all datums again, unchanged ones too")

    put = commands.add_parser("put", help="upload all songs of a folder in one commit, under standard names")
    put.add_argument(
        "folder", type=Path, nargs="?", metavar="FOLDER", help="songs, in subfolders too; it stays as it is"
    )
    put.add_argument("--repo", choices=(RECORDINGS, PRIMERS), default=RECORDINGS, help=f"{PRIMERS} takes MIDI primers")
    put.add_argument("--wait", action="store_true", help="follow the jobs that the upload starts")
    put.add_argument("--abandon", action="store_true", help="drop an upload that was begun and not finished")

    status = commands.add_parser("status", help="one line a job of the newest job set")
    status.add_argument("job_set", nargs="?", metavar="ID", help="another job set")

    wait = commands.add_parser("wait", help="follow a job set to its end; exit 1 if a job fails")
    wait.add_argument("job_set", nargs="?", metavar="ID", help="another job set than the newest")
    wait.add_argument("--timeout_s", type=_at_least(1), metavar="SECONDS", help="give up after this time")

    get = commands.add_parser("get", help="download the newest results")
    get.add_argument("what", nargs="?", choices=tuple(RESULTS), default="songs", help="what (default: songs)")
    get.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")

    down = commands.add_parser("down", help="remove what up has made, after asking")
    down.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def run(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Do what the arguments ask for.

    Args:
        arguments: Of `build_parser`.
        environment: Variables, for where the cluster is.

    Raises:
        DeployError: it cannot be done.
    """
    address, config = where(arguments.address, environment)
    local = address == "localpach"
    pipelines = chosen_pipelines(arguments, SHIPPED_PIPELINES, local=local) if arguments.command == "up" else []
    if local:
        pipelines = [specs.here(pipeline) for pipeline in pipelines]
    names = [pipeline.name for pipeline in specs.shipped(SHIPPED_PIPELINES, cpu=True)]
    found = _songs(arguments) if arguments.command == "put" and not arguments.abandon else None
    with _cluster(arguments, address, config, environment) as cluster:
        match arguments.command:
            case "up":
                cluster.up(pipelines, reprocess=arguments.reprocess)
                if local:
                    cluster.settle(names)
            case "put" if found is not None:
                _put(cluster, found, arguments.repo, names, wait=arguments.wait or local)
            case "put":
                cluster.abandon(arguments.repo)
            case "status":
                cluster.status(arguments.job_set, names)
            case "wait":
                cluster.wait(arguments.job_set, names, arguments.timeout_s)
            case "get":
                cluster.get(RESULTS[arguments.what], arguments.output)
            case "down":
                cluster.down(names, ask=(lambda _question: True) if arguments.yes else ask)


def _put(cluster: "Cluster", found: Found, repo: str, pipelines: list[str], *, wait: bool) -> None:
    """Put the songs that can be read, and then say which could not."""
    job_set = cluster.put(repo, found.songs)
    if job_set and wait:
        cluster.wait(job_set, pipelines, None)
    elif job_set:
        report(f"the chain follows by itself: deploy.py wait {job_set}")
    if found.unreadable:
        count = len(found.unreadable)
        raise DeployError(f"{count} could not be read; the other {len(found.songs)} songs are put. See the lines above")


def where(address: str | None, environment: Mapping[str, str]) -> tuple[str | None, Path | None]:
    """Decide where to work.

    Returns:
        An address (`localpach` for this machine), or None and pachctl's configuration file.
    """
    named = address or environment.get("PACHD_ADDRESS")
    if named:
        return named, None
    config = Path(environment.get("PACH_CONFIG") or "~/.pachyderm/config.json").expanduser()
    return (None, config) if config.is_file() else ("localpach", None)


def chosen_pipelines(arguments: argparse.Namespace, folder: Path, *, local: bool) -> list[specs.Pipeline]:
    """Take the shipped specs, or render the template where a person wants something otherwise."""
    gpus = arguments.gpus if arguments.gpus is not None else (0 if local else 1)
    wanted = {
        "image_prefix": arguments.image_prefix,
        "image_tag": arguments.image_tag,
        "epochs": arguments.epochs,
        "workers": arguments.workers,
    }
    given = {name: str(value) for name, value in wanted.items() if value is not None}
    if not given and gpus in (0, 1):
        return specs.shipped(folder, cpu=gpus == 0)
    from ambient.deployment.template import render  # jsonnet is needed by those who change something

    return specs.pipelines(render(folder / TEMPLATE, given | {"gpus": str(gpus)}), TEMPLATE)


def ask(question: str) -> bool:
    """Ask on the terminal; only `yes` is one."""
    try:
        return input(f"{question}? Type yes: ").strip().lower() == "yes"
    except EOFError:
        return False


def report(line: str) -> None:
    """Print one line on stderr, where progress goes; a bar that is being drawn there makes room."""
    print(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "put" and (arguments.folder is None) != arguments.abandon:
        parser.error("put: expected FOLDER, or --abandon without one")
    try:
        run(arguments, os.environ)
    except SpecProblemsError as error:
        for problem in error.problems:
            report(problem)
        return _fail(error)
    except (DeployError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        unfinished = "put" if arguments.command == "put" else ""
        report("interrupted" + ("; nothing is visible yet, and the same command goes on" if unfinished else ""))
        return 130
    return 0


@contextmanager
def _cluster(
    arguments: argparse.Namespace, address: str | None, config: Path | None, environment: Mapping[str, str]
) -> "Iterator[Cluster]":
    """Connect to a cluster, or to localpach on this machine, which is started for it and stopped afterwards."""
    from ambient.deployment.cluster import Cluster  # here, because the SDK takes longer to load than `--help` to answer
    from ambient.deployment.pachd import connect

    state = Path(environment.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    with ExitStack() as started:
        if address == "localpach":
            report("no cluster is configured: localpach on this machine (--address grpc://HOST:PORT names a cluster)")
            begins = arguments.command in ("up", "put") and not arguments.dry_run
            address = started.enter_context(served(may_begin=begins))
        pachd = connect(address, config, Retry(report=report))
        yield Cluster(
            pachd, dry_run=arguments.dry_run, report=report, journals=state / "ambient-music-generation" / "uploads"
        )


def _songs(arguments: argparse.Namespace) -> Found:
    found = songs_below(arguments.folder, arguments.repo)
    for name in found.others:
        report(f"{name}: left out, its name is not that of a song")
    for problem in found.unreadable:
        report(f"error: {problem}")
    return found


def _at_least(lowest: int) -> Any:
    """Make a converter for argparse: whole numbers from `lowest` on."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"found {text!r}; expected a whole number from {lowest} on")
        return int(text)

    return whole_number


def _fail(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1
