"""The command that prints what programs wrote."""

import argparse
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from localpach.actions.message_jobs import log_message
from localpach.cli.command import Commands, Session
from localpach.cli.resolve import find_datum, find_job
from localpach.storage.records import DatumRecord, Job, Records

if TYPE_CHECKING:
    from localpach.storage.store import Store

_POLL_S = 0.3
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add("logs", "", logs, "print what the programs wrote", example="logs -p midi --datum /song.wav")
    command.add_argument("-p", "--pipeline", help="the newest job of this pipeline that has begun")
    command.add_argument("-j", "--job", help="pipeline@id")
    command.add_argument("--datum", help="ID of one datum, its beginning, or its path")
    command.add_argument("--inputs", metavar="PATHS", help="only datums with these files, separated by commas")
    command.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    command.add_argument("-t", "--tail", type=int, default=0, metavar="N", help="only the last N lines")
    command.add_argument("--since", metavar="TIME", help="only datums that wrote since, such as 10m or 24h")
    command.add_argument("--raw", action="store_true", help="print JSON, a document each line, shaped like pachctl's")
    command.add_argument("-o", "--output", choices=["json"], help=argparse.SUPPRESS)
    command.add_argument("--master", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)


def logs(session: Session, arguments: argparse.Namespace) -> None:
    """Print logs."""
    name = arguments.job or arguments.pipeline
    if not name or (arguments.job and arguments.pipeline):
        session.usage_error("name a pipeline with -p or a job with -j")
    if arguments.tail < 0:
        session.usage_error("--tail must be 0 or more")
    since = _since(session, arguments.since)
    records = Records(session.store)
    job = _begun(records, find_job(records, name)) if arguments.pipeline else find_job(records, name)
    lines = list(_written(session.store, records, job, arguments, since))
    print("".join(f"{line}\n" for line in lines[-arguments.tail :]), end="", flush=True)
    if arguments.follow:
        _follow(session.store, records, job)
        job = records.job(job.pipeline, job.id)
    if job.reason and not arguments.raw and not arguments.datum:
        print(f"== job {job.state}: {job.reason}")


def _begun(records: Records, newest: Job) -> Job:
    """Return the newest job of a pipeline that has begun: while one waits, a person asks for what there is."""
    if newest.started is not None or newest.ended:
        return newest
    return next((each for each in records.jobs(newest.pipeline) if each.started or each.ended), newest)


def _since(session: Session, text: str | None) -> float:
    """Read a length of time as Go writes it: `1h30m`; return the moment that long ago."""
    if text is None:
        return 0.0
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", text):
        session.usage_error(f"--since {text}: expected a time such as 10m, 1h30m or 24h")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    return time.time() - sum(float(count) * _UNITS_S[unit] for count, unit in parts)


def _written(store: "Store", records: Records, job: Job, arguments: argparse.Namespace, since: float) -> Iterator[str]:
    """Walk the lines of the datums of a job in their order, each under a heading that names its datum."""
    datums = records.datums(job.pipeline, job.id)
    for each in _chosen(job, datums, arguments):
        path = _log(store, job.pipeline, each.ran_in, each.id)
        if since and (not path.exists() or path.stat().st_mtime < since):
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        if arguments.raw:
            yield from (json.dumps(log_message(job, each, line)) for line in lines)
        else:
            yield _heading(job, each)
            yield from lines
    if not (job.ended or arguments.datum or arguments.raw):
        yield from _unfinished(store, job, {each.id for each in datums})


def _chosen(job: Job, datums: list[DatumRecord], arguments: argparse.Namespace) -> list[DatumRecord]:
    """Choose datums by the flags."""
    found = [find_datum(job, datums, arguments.datum)] if arguments.datum else datums
    if arguments.inputs:
        return [find_datum(job, found, path) for path in arguments.inputs.split(",") if path]
    return found


def _unfinished(store: "Store", job: Job, ended: set[str]) -> Iterator[str]:
    """Walk the lines of the datums that have not ended."""
    for path in sorted(_log(store, job.pipeline, job.id, "").parent.glob("*.log")):
        if path.stem not in ended:
            yield f"== datum {path.stem} (running, or interrupted)"
            yield from path.read_text(encoding="utf-8", errors="replace").splitlines()


def _heading(job: Job, each: DatumRecord) -> str:
    where = f", in job {each.ran_in}" if each.ran_in != job.id else ""
    return f"== {each.label} ({each.state}{where})"


def _log(store: "Store", pipeline: str, job: str, datum: str) -> Path:
    return store.folder / "logs" / pipeline / job / f"{datum}.log"


def _follow(store: "Store", records: Records, job: Job) -> None:
    """Print what is written from now on, until the job has ended."""
    folder = _log(store, job.pipeline, job.id, "").parent
    printed = {path: path.stat().st_size for path in folder.glob("*.log")}
    try:
        while True:
            ended = records.job(job.pipeline, job.id).ended
            for path in sorted(folder.glob("*.log")):
                with path.open("rb") as file:
                    file.seek(printed.get(path, 0))
                    text = file.read()
                printed[path] = printed.get(path, 0) + len(text)
                print(text.decode("utf-8", errors="replace"), end="", flush=True)
            if ended:
                return
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return
