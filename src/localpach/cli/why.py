"""The command that tells why datums ran or were skipped."""

import argparse

from localpach.cli.command import Commands, Session, show
from localpach.cli.explain import outdated, why
from localpach.cli.resolve import find_datum, find_job
from localpach.storage.records import Records


def register(commands: Commands) -> None:
    """Add the command."""
    text = "say for each datum why it ran or was skipped"
    command = commands.add("why", "", why_command, text, raw=True, example="why midi@ID /song.wav")
    command.add_argument("job", help="pipeline@id, or a pipeline for its newest job")
    command.add_argument("datum", nargs="?", help="ID of one datum, its beginning, or its path")


def why_command(session: Session, arguments: argparse.Namespace) -> None:
    """Say why datums ran or were skipped."""
    records = Records(session.store)
    job = find_job(records, arguments.job)
    datums = records.datums(job.pipeline, job.id)
    chosen = [find_datum(job, datums, arguments.datum)] if arguments.datum else datums
    now = records.spec(job.pipeline, job.version).transform
    changed = {
        version
        for version in {each.ran_version for each in chosen} - {job.version}
        if records.spec(job.pipeline, version).transform != now
    }
    messages = (
        {
            "datum": each.id,
            "files": [path for *_, path in each.files],
            "state": each.state,
            "why": each.why,
            "reason": each.reason,
            "ran_in": each.ran_in,
            "ran_version": each.ran_version,
            "code_changed_since": outdated(each, changed),
        }
        for each in chosen
    )
    show(arguments, messages, lines=why(job, chosen, changed))
