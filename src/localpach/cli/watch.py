"""The commands that make things run by themselves, or once more: watch, run cron, rerun pipeline."""

import argparse
import time
from contextlib import suppress
from pathlib import Path

from localpach.actions import pipelines, timers
from localpach.actions.watch import Watcher
from localpach.cli.command import Commands, Session
from localpach.errors import LocalpachError
from localpach.spec.addresses import parse_commit
from localpach.storage.records import Records

DEFAULT_QUIET_S = 2.0
_LOOK_S, _LEAST_S = 0.5, 0.05  # between two looks at the folder
_IDLE_SHARE = 10  # and at least so many times as long as a look takes, so that a large folder does not cost a processor


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add("watch", "", watch, "commit what is dropped in a folder, and run what follows, until Ctrl-C")
    command.add_argument("folder", type=Path, help="the folder; hidden files in it are left out")
    command.add_argument("branch", help="repo@branch that its files go to")
    command.add_argument(
        "--quiet-s",
        type=_quiet_s,
        default=DEFAULT_QUIET_S,
        help=f"seconds without any change in the folder before a commit is made (default: {DEFAULT_QUIET_S:g})",
    )
    command.add_argument("--delete", action="store_true", help="delete from the branch what is not in the folder")
    commands.add("run", "cron", run_cron, "make a tick of a pipeline's cron inputs now", runs=True).add_argument(
        "pipeline", help="name of the pipeline"
    )
    command = commands.add("rerun", "pipeline", rerun_pipeline, "run a pipeline again over its inputs", runs=True)
    command.add_argument("pipeline", help="name of the pipeline")
    command.add_argument("--reprocess", action="store_true", help="process all datums again, not only unfinished ones")


def _quiet_s(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"expected a number of seconds from 0, found {text!r}")


def watch(session: Session, arguments: argparse.Namespace) -> None:
    """Watch a folder until Ctrl-C; a job that fails, or a full disk, does not end it."""
    address = parse_commit(arguments.branch)
    if not address.is_plain_branch:
        session.usage_error("watch needs a branch, such as songs@master")
    watcher = Watcher(
        session.store,
        arguments.folder,
        address,
        quiet_s=arguments.quiet_s,
        delete=arguments.delete,
        note=session.progress.note,
    )
    session.progress.note(f"watching {arguments.folder} for {address}; Ctrl-C ends it")
    try:
        _go_on(session, watcher, min(_LOOK_S, max(arguments.quiet_s / 2, _LEAST_S)))
    except KeyboardInterrupt:
        if any(job.started for job in Records(session.store).unfinished_jobs()):
            raise
        session.progress.note("stopped watching")


def _go_on(session: Session, watcher: Watcher, pause_s: float) -> None:
    reported, is_first = "", True  # what is unfinished when the watch begins runs at once
    while True:
        begun = time.monotonic()
        try:
            if is_first or watcher.step(begun) is not None or timers.fire_due(session.store, time.time()):
                is_first = False
                _run_jobs(session)
        except (LocalpachError, OSError) as error:
            if str(error) != reported:
                reported = str(error)
                session.progress.note(f"error: {reported}; still watching")
        time.sleep(max(pause_s, _IDLE_SHARE * (time.monotonic() - begun)))


def _run_jobs(session: Session) -> None:
    """Run what is due; failures have been shown and are not the end of watching."""
    session.run_jobs()
    session.ended.clear()


def run_cron(session: Session, arguments: argparse.Namespace) -> None:
    """Make ticks by hand."""
    timers.run_cron(session.store, arguments.pipeline, time.time())


def rerun_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Run a pipeline again."""
    pipelines.rerun_pipeline(session.store, arguments.pipeline, reprocess=arguments.reprocess)
