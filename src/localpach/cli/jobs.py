"""The commands about jobs and job sets."""

import argparse
import json
from collections.abc import Iterable

from localpach.actions.message_jobs import job_message, job_set_message
from localpach.cli import columns
from localpach.cli.command import Commands, Session, history_depth, show
from localpach.cli.resolve import find_job, find_jobs
from localpach.errors import CommitStateError
from localpach.spec.addresses import is_commit_id, parse_commit, parse_job
from localpach.storage.records import Job, Records

JOB_HEADER = ("PROJECT", "PIPELINE", "ID", "STARTED", "DURATION", "RESTART", "PROGRESS", "DL", "UL", "STATE")
SET_HEADER = ("ID", "SUBJOBS", "PROGRESS", "CREATED", "MODIFIED")
_STATES = ("created", "starting", "unrunnable", "running", "egressing", "finishing", "failure", "killed", "success")


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add(
        "list", "job", list_job, "list job sets; with an ID, -p or -x, jobs", raw=True, times=True,
        example="list job -p midi --state failure",
    )  # fmt: skip
    command.add_argument("id", nargs="?", help="ID of a job set")
    command.add_argument("-p", "--pipeline", help="only jobs of this pipeline")
    command.add_argument("-x", "--expand", action="store_true", help="show the jobs of each set")
    command.add_argument(
        "--state", dest="states", action="append", type=str.lower, choices=_STATES, help="only these; may be repeated"
    )
    command.add_argument(
        "-i",
        "--input",
        dest="inputs",
        action="append",
        default=[],
        metavar="R@C",
        help="only jobs that read this commit",
    )
    command.add_argument(
        "--history", default="none", metavar="N", help="of earlier versions of the pipeline too: a number, all or none"
    )
    command = commands.add("inspect", "job", inspect_job, "describe one job", raw=True, times=True)
    command.add_argument("job", help="pipeline@id, a pipeline for its newest job, or the ID of a set")
    command = commands.add(
        "wait", "job", wait_job, "run jobs until this one, or this set, has ended", raw=True, times=True, runs=True
    )
    command.add_argument("job", help="pipeline@id, a pipeline for its newest job, or the ID of a set")
    command = commands.add("delete", "job", delete_job, "take a job out of all lists; its commit stays")
    command.add_argument("job", help="pipeline@id")
    command = commands.add("stop", "job", stop_job, "stop a job, or the jobs of a set")
    command.add_argument("job", help="pipeline@id, a pipeline for its newest job, or the ID of a set")


def list_job(session: Session, arguments: argparse.Namespace) -> None:
    """List jobs or job sets."""
    records = Records(session.store)
    asked = (
        arguments.pipeline or arguments.expand or arguments.states or arguments.inputs or arguments.history != "none"
    )
    if arguments.id:
        _show_jobs(records, arguments, _set(session, records, arguments.id))
    elif asked:
        _show_jobs(records, arguments, _chosen(session, records, arguments))
    else:
        _show_sets(records, arguments)


def _set(session: Session, records: Records, id_: str) -> list[Job]:
    if not is_commit_id(id_):
        session.usage_error(f"{id_} is no ID of a job set; -p names a pipeline")
    return find_jobs(records, id_)


def _chosen(session: Session, records: Records, arguments: argparse.Namespace) -> list[Job]:
    """Return the jobs that are asked for: of the present version of each pipeline, with --history of earlier ones."""
    from localpach.actions.repos import find_commit

    if arguments.pipeline:
        records.pipeline(arguments.pipeline)
    back = history_depth(session, arguments.history)
    newest = {each.name: each.version for each in records.pipelines()}
    read = {
        commit.repo: commit.id
        for commit in (find_commit(session.store, parse_commit(each)) for each in arguments.inputs)
    }

    def wanted(job: Job) -> bool:
        if arguments.states and job.state not in arguments.states:
            return False
        if back is not None and newest.get(job.pipeline, 0) - job.version > back:
            return False
        if not read:
            return True
        used = session.store.provenance(job.pipeline, job.id)
        return all(id_ in [up for (repo, _), up in used.items() if repo == name] for name, id_ in read.items())

    return [job for job in records.jobs(arguments.pipeline) if wanted(job)]


def _show_sets(records: Records, arguments: argparse.Namespace) -> None:
    sets: dict[str, list[Job]] = {}
    for job in records.jobs():
        sets.setdefault(job.id, []).append(job)
    full = arguments.full_timestamps

    def row(id_: str, jobs: list[Job]) -> tuple[object, ...]:
        done = sum(job.ended for job in jobs)
        created = min(job.created for job in jobs)
        modified = max(job.finished or job.started or job.created for job in jobs)
        progress = f"{done}/{len(jobs)}"
        return id_, len(jobs), progress, columns.when(created, full=full), columns.when(modified, full=full)

    show(
        arguments,
        (job_set_message(id_, [job_message(job) for job in jobs]) for id_, jobs in sets.items()),
        SET_HEADER,
        (row(id_, jobs) for id_, jobs in sets.items()),
    )


def _show_jobs(records: Records, arguments: argparse.Namespace, found: Iterable[Job]) -> None:
    full = arguments.full_timestamps
    show(
        arguments,
        (job_message(job, records.spec(job.pipeline, job.version)) for job in found),
        JOB_HEADER,
        (
            (
                "default", job.pipeline, job.id, columns.when(job.started, full=full),
                columns.span(columns.job_seconds(job)), 0, columns.job_progress(job.counts),
                columns.size(job.downloaded), columns.size(job.uploaded), columns.job_state(job),
            )
            for job in found
        ),
    )  # fmt: skip


def inspect_job(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a job, or list those of a set."""
    records = Records(session.store)
    if is_commit_id(arguments.job):
        _show_jobs(records, arguments, find_jobs(records, arguments.job))
        return
    job = find_job(records, arguments.job)
    spec = records.spec(job.pipeline, job.version)
    fields = json.loads(spec.text)
    counts = job.counts
    lines = [
        f"ID: {job.id}",
        f"Pipeline: {job.pipeline}",
        f"Version: {job.version}",
        "Project: default",
        f"Started: {columns.when(job.started, full=arguments.full_timestamps) or '-'}",
        f"Duration: {columns.span(columns.job_seconds(job)) or '-'}",
        f"State: {job.state}",
        f"Reason: {job.reason or '-'}",
        f"Processed: {counts.processed}",
        f"Failed: {counts.failed}",
        f"Skipped: {counts.skipped}",
        f"Recovered: {counts.recovered}",
        f"Total: {counts.total}",
        f"Data Downloaded: {columns.size(job.downloaded)}",
        f"Data Uploaded: {columns.size(job.uploaded)}",
        f"Datum Timeout: {fields.get('datum_timeout') or '-'}",
        f"Job Timeout: {fields.get('job_timeout') or '-'}",
        "Restarts: 0",
        f"Input: {columns.shorthand(fields['input'])}",
        f"Output Commit: {job.id}",
    ]
    show(arguments, (job_message(job, spec) for _ in range(1)), lines=lines)


def wait_job(session: Session, arguments: argparse.Namespace) -> None:
    """Run jobs until one, or a set, has ended."""
    records = Records(session.store)
    found = find_jobs(records, arguments.job)
    session.run_jobs()
    found = [records.job(job.pipeline, job.id) for job in reversed(found)]
    waiting = [job.name for job in found if not job.ended]
    if waiting:
        raise CommitStateError(
            f"{', '.join(waiting)} waits for an open commit; finish it with `localpach finish commit`"
        )
    _show_jobs(records, arguments, found)


def stop_job(session: Session, arguments: argparse.Namespace) -> None:
    """Stop a job, or the jobs of a set."""
    from localpach.running.kill import kill_job

    with session.store.transaction():
        for job in find_jobs(Records(session.store), arguments.job):
            kill_job(session.store, job.pipeline, job.id, reason="stopped by hand")


def delete_job(session: Session, arguments: argparse.Namespace) -> None:
    """Take a job out of all lists."""
    from localpach.actions import pipelines

    pipelines.delete_job(session.store, *parse_job(arguments.job))
