"""The commands about datums."""

import argparse
import sys
from pathlib import Path

from localpach.actions.message_jobs import datum_message, preview_message
from localpach.cli import columns
from localpach.cli.command import Commands, Session, show
from localpach.cli.resolve import find_datum, find_job
from localpach.storage.records import DatumRecord, Records

HEADER = ("ID", "FILES", "STATUS", "TIME")
_STATES = ("success", "skipped", "recovered", "failed")


def register(commands: Commands) -> None:
    """Add the commands."""
    text = "list the datums of a job, or preview those of a spec"
    command = commands.add("list", "datum", list_datum, text, raw=True, example="list datum -f midi.json")
    command.add_argument("job", nargs="?", help="pipeline@id, or a pipeline for its newest job")
    command.add_argument("-f", "--file", metavar="SPEC", help="a spec that need not be created, or - for stdin")
    command.add_argument(
        "--filter", "--state", dest="states", action="append", type=str.lower, choices=_STATES,
        help="only these; may be repeated",
    )  # fmt: skip
    command.add_argument(
        "--input", dest="inputs", action="append", default=[], metavar="PATH", help="only with this file"
    )
    for verb, run, text in (
        ("inspect", inspect_datum, "describe one datum"),
        ("restart", restart_datum, "process datums again in a job of their own"),
    ):
        command = commands.add(verb, "datum", run, text, raw=verb == "inspect", runs=verb == "restart")
        command.add_argument("job", help="pipeline@id, or a pipeline for its newest job")
        command.add_argument("datum", help="ID of the datum, its beginning, or its path")


def list_datum(session: Session, arguments: argparse.Namespace) -> None:
    """List datums."""
    if arguments.file and arguments.job:
        session.usage_error("name a job or a spec, not both")
    if arguments.file:
        _preview(session, arguments)
        return
    if not arguments.job:
        if sys.stdin.isatty():
            session.usage_error("name a job as pipeline@id, or a spec with -f")
        arguments.file = "-"
        _preview(session, arguments)
        return
    records = Records(session.store)
    job = find_job(records, arguments.job)
    found = [each for each in records.datums(job.pipeline, job.id) if _is_wanted(each, arguments)]
    show(
        arguments,
        (datum_message(each, job.pipeline, job.id) for each in found),
        HEADER,
        ((each.id, _files(each.files), each.state, _time(each)) for each in found),
    )


def _is_wanted(each: DatumRecord, arguments: argparse.Namespace) -> bool:
    if not (arguments.states or arguments.inputs):
        return True
    paths = {path.rstrip("/") or "/" for *_, path in each.files}
    return (not arguments.states or each.state in arguments.states) and all(
        "/" + path.strip("/") in paths for path in arguments.inputs
    )


def _files(files: tuple[tuple[str, str, str, str], ...]) -> str:
    return ", ".join(f"default/{repo}@{commit}:{path}" for _, repo, commit, path in files)


def _time(each: DatumRecord) -> str:
    return "" if each.state == "skipped" else columns.span(each.seconds)


def _preview(session: Session, arguments: argparse.Namespace) -> None:
    """List the datums that specs would have, and for a pipeline that is there, whether each would be skipped."""
    from localpach.actions.preview import preview, without_commit
    from localpach.spec import spec

    found = []
    given = spec.parse(sys.stdin.read()) if arguments.file == "-" else spec.load(Path(arguments.file))
    for source in given:
        found += preview(session.store, source)
        for branch in without_commit(session.store, source):
            session.progress.note(f"note: {branch} has no commit yet, so it gives no datums")
    show(
        arguments,
        (preview_message(each.id, each.files) for each in found),
        HEADER,
        ((each.id, _files(each.files), each.fate, "") for each in found),
    )


def inspect_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a datum."""
    records = Records(session.store)
    job = find_job(records, arguments.job)
    each = find_datum(job, records.datums(job.pipeline, job.id), arguments.datum)
    lines = [
        f"ID: {each.id}",
        f"Job ID: {job.id}",
        f"State: {each.state}",
        f"Why: {each.why}",
        f"Reason: {each.reason or '-'}",
        f"Tries: {each.tries}",
        f"Data Downloaded: {columns.size(each.downloaded)}",
        f"Data Uploaded: {columns.size(each.uploaded)}",
        f"Process Time: {columns.duration(each.seconds)}",
        f"Processed In: {each.ran_in} (version {each.ran_version})",
        *(f"Input {name}: {repo}@{commit}:{path}" for name, repo, commit, path in each.files),
    ]
    show(arguments, [datum_message(each, job.pipeline, job.id)], lines=lines)


def restart_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Process datums again."""
    from localpach.actions import pipelines

    records = Records(session.store)
    job = find_job(records, arguments.job)
    datums = records.datums(job.pipeline, job.id)
    names = [name.strip() for name in arguments.datum.split(",") if name.strip()]
    found = (
        [find_datum(job, datums, arguments.datum)]
        if len(names) < 2
        else [find_datum(job, datums, name) for name in names]
    )
    pipelines.restart_datums(session.store, job.pipeline, [datum.id for datum in found])
