"""The commands about pipelines, jobs and datums: flags to one function call each, and its result as text."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from localpach import columns, pipelines, spec
from localpach.addresses import is_commit_id, parse_job
from localpach.cli_command import Commands, Session, show
from localpach.errors import CommitStateError, NotFoundError
from localpach.explain import draw, why
from localpach.records import DatumRecord, Job, Records


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_pipelines(commands)
    _register_jobs(commands)
    _register_datums(commands)


def _register_pipelines(commands: Commands) -> None:
    for verb, run, text in (
        ("create", create_pipeline, "create pipelines from spec files and run them"),
        ("update", update_pipeline, "update pipelines, creating those that are missing"),
    ):
        command = commands.add(verb, "pipeline", run, text, runs=True)
        command.add_argument(
            "-f", "--file", dest="specs", action="extend", nargs="+", required=True, type=Path, help="spec files"
        )
        if verb == "update":
            command.add_argument("--reprocess", action="store_true", help="process all datums again")
        else:
            command.add_argument("--dry-run", action="store_true", help="check only, change nothing")
    command = commands.add("validate", "pipeline", validate_pipeline, "check spec files without a state")
    command.add_argument(
        "-f", "--file", dest="specs", action="extend", nargs="+", required=True, type=Path, help="spec files"
    )
    commands.add("list", "pipeline", list_pipeline, "list the pipelines", raw=True)
    command = commands.add("inspect", "pipeline", inspect_pipeline, "describe one pipeline", raw=True)
    command.add_argument("pipeline", help="name of the pipeline")
    command = commands.add("delete", "pipeline", delete_pipeline, "delete a pipeline, its jobs and its output repo")
    command.add_argument("pipeline", help="name of the pipeline")
    command.add_argument("-f", "--force", action="store_true", help="even if pipelines read it")
    command.add_argument("--keep-repo", action="store_true", help="keep the output as a plain repo")
    for verb, run, text in (
        ("stop", stop_pipeline, "stop a pipeline: new commits start nothing"),
        ("start", start_pipeline, "start a stopped pipeline and run it"),
    ):
        commands.add(verb, "pipeline", run, text, runs=verb == "start").add_argument(
            "pipeline", help="name of the pipeline"
        )
    commands.add("draw", "pipeline", draw_pipeline, "draw what reads what")


def _load(paths: Iterable[Path]) -> list[spec.PipelineSpec]:
    return [each for path in paths for each in spec.load(path)]


def create_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Create pipelines."""
    specs = _load(arguments.specs)
    if not arguments.dry_run:
        pipelines.create_pipelines(session.store, specs)


def update_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Update pipelines and say what an update does not do."""
    for done in pipelines.update_pipelines(session.store, _load(arguments.specs), reprocess=arguments.reprocess):
        if done.kept:
            session.progress.note(
                f"{done.name}: the program changed, {done.kept} datums keep their results; --reprocess runs them again"
            )


def validate_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Check spec files."""
    for path in arguments.specs:
        for each in spec.load(path):
            print(f"{path}: pipeline {each.name} is valid")


def list_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """List pipelines."""
    records = Records(session.store)
    found = records.pipelines()
    rows = []
    for each in found:
        current = records.spec(each.name, each.version)
        jobs = records.jobs(each.name)
        state = "paused" if each.stopped else "running"
        last = f"{state} / {jobs[0].state if jobs else '-'}"
        made = columns.ago(each.created)
        rows.append(
            ("default", each.name, each.version, columns.shorthand(current.input), made, last, current.description)
        )
    header = ("PROJECT", "NAME", "VERSION", "INPUT", "CREATED", "STATE / LAST JOB", "DESCRIPTION")
    show(arguments, found, header, rows)


def inspect_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a pipeline."""
    records = Records(session.store)
    pipeline = records.pipeline(arguments.pipeline)
    current = records.spec(pipeline.name, pipeline.version)
    lines = [
        f"Name: {pipeline.name}",
        f"Description: {current.description}",
        f"Version: {pipeline.version}",
        f"State: {'paused' if pipeline.stopped else 'running'}",
        f"Input: {columns.shorthand(current.input)}",
        f"Output Branch: {current.output_branch}",
        f"Datum Tries: {current.datum_tries}",
        f"Spec: {json.dumps(json.loads(current.text), indent=2)}",
    ]
    show(arguments, json.loads(current.text), lines=lines)


def delete_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Delete a pipeline."""
    pipelines.delete_pipeline(session.store, arguments.pipeline, force=arguments.force, keep_repo=arguments.keep_repo)


def stop_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Stop a pipeline."""
    pipelines.stop_pipeline(session.store, arguments.pipeline)


def start_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Start a pipeline."""
    pipelines.start_pipeline(session.store, arguments.pipeline)


def draw_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Draw what reads what."""
    print(draw(session.store.edges()))


def _register_jobs(commands: Commands) -> None:
    command = commands.add("list", "job", list_job, "list job sets; with -p or an ID, jobs", raw=True)
    command.add_argument("id", nargs="?", help="ID of a job set")
    command.add_argument("-p", "--pipeline", help="only jobs of this pipeline")
    command.add_argument("-x", "--expand", action="store_true", help="show the jobs of each set")
    command = commands.add("inspect", "job", inspect_job, "describe one job", raw=True)
    command.add_argument("job", help="pipeline@id")
    command = commands.add("wait", "job", wait_job, "run jobs until this one, or this set, has ended", runs=True)
    command.add_argument("job", help="pipeline@id, or the ID of a set")
    command = commands.add("stop", "job", stop_job, "stop a job")
    command.add_argument("job", help="pipeline@id")


def list_job(session: Session, arguments: argparse.Namespace) -> None:
    """List jobs or job sets."""
    records = Records(session.store)
    if arguments.pipeline:
        records.pipeline(arguments.pipeline)
    found = records.jobs(arguments.pipeline, arguments.id)
    if arguments.id and not found:
        raise NotFoundError("job set", arguments.id)
    if arguments.pipeline or arguments.id or arguments.expand:
        _show_jobs(arguments, found)
        return
    sets: dict[str, list[Job]] = {}
    for job in found:
        sets.setdefault(job.id, []).append(job)
    rows = []
    for id_, jobs in sets.items():
        done = sum(job.ended for job in jobs)
        modified = max(job.finished or job.started or job.created for job in jobs)
        created = columns.ago(min(job.created for job in jobs))
        rows.append((id_, len(jobs), f"{done}/{len(jobs)}", created, columns.ago(modified)))
    show(arguments, found, ("ID", "SUBJOBS", "PROGRESS", "CREATED", "MODIFIED"), rows)


def _show_jobs(arguments: argparse.Namespace, found: list[Job]) -> None:
    rows = [
        (
            "default", job.pipeline, job.id, columns.ago(job.started), columns.duration(columns.job_seconds(job)), 0,
            columns.job_progress(job), columns.job_state(job),
        )
        for job in found
    ]  # fmt: skip
    show(arguments, found, ("PROJECT", "PIPELINE", "ID", "STARTED", "DURATION", "RESTART", "PROGRESS", "STATE"), rows)


def inspect_job(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a job."""
    job = Records(session.store).job(*parse_job(arguments.job))
    counts = job.counts
    lines = [
        f"ID: {job.id}",
        f"Pipeline: {job.pipeline} (version {job.version})",
        f"State: {job.state}",
        f"Reason: {job.reason or '-'}",
        f"Started: {columns.ago(job.started) or '-'}",
        f"Duration: {columns.duration(columns.job_seconds(job)) or '-'}",
        f"Processed: {counts.processed}",
        f"Failed: {counts.failed}",
        f"Skipped: {counts.skipped}",
        f"Recovered: {counts.recovered}",
        f"Total: {counts.total}",
    ]
    show(arguments, job, lines=lines)


def wait_job(session: Session, arguments: argparse.Namespace) -> None:
    """Run jobs until one, or a set, has ended."""
    records = Records(session.store)
    if is_commit_id(arguments.job):
        found = records.jobs(None, arguments.job)
        if not found:
            raise NotFoundError("job set", arguments.job)
    else:
        found = [records.job(*parse_job(arguments.job))]
    session.run_jobs()
    found = [records.job(job.pipeline, job.id) for job in reversed(found)]
    waiting = [job.name for job in found if not job.ended]
    if waiting:
        raise CommitStateError(
            f"{', '.join(waiting)} waits for an open commit; finish it with `localpach finish commit`"
        )
    _show_jobs(argparse.Namespace(raw=False), found)


def stop_job(session: Session, arguments: argparse.Namespace) -> None:
    """Stop a job."""
    pipelines.kill_job(session.store, *parse_job(arguments.job), reason="stopped by hand")


def _register_datums(commands: Commands) -> None:
    command = commands.add(
        "list", "datum", list_datum, "list the datums of a job, or preview those of a spec", raw=True
    )
    command.add_argument("job", nargs="?", help="pipeline@id, or a pipeline for its newest job")
    command.add_argument("-f", "--file", type=Path, help="a spec that need not be created")
    for verb, run, text in (
        ("inspect", inspect_datum, "describe one datum"),
        ("restart", restart_datum, "process a datum again in a job of its own"),
    ):
        command = commands.add(verb, "datum", run, text, raw=verb == "inspect", runs=verb == "restart")
        command.add_argument("job", help="pipeline@id, or a pipeline for its newest job")
        command.add_argument("datum", help="ID of the datum, its beginning, or its path")
    command = commands.add("logs", "", logs, "print what the programs wrote")
    command.add_argument("-p", "--pipeline", help="the newest job of this pipeline")
    command.add_argument("-j", "--job", help="pipeline@id")
    command.add_argument("--datum", help="ID of one datum, its beginning, or its path")
    command = commands.add("why", "", why_command, "tell for each datum why it ran or was skipped")
    command.add_argument("job", help="pipeline@id, or a pipeline for its newest job")
    command.add_argument("datum", nargs="?", help="ID of one datum, its beginning, or its path")


def _job(records: Records, text: str) -> Job:
    """Find the job `pipeline@id`, or the newest of a pipeline."""
    if "@" in text:
        return records.job(*parse_job(text))
    records.pipeline(text)
    return records.jobs(text)[0]


def _datum(datums: list[DatumRecord], text: str) -> DatumRecord:
    path = "/" + text.removeprefix("/")
    for each in datums:
        if text == each.label or each.id.startswith(text) or path in [found.rstrip("/") for *_, found in each.files]:
            return each
    raise NotFoundError("datum", text, "`localpach list datum` shows those there are")


def list_datum(session: Session, arguments: argparse.Namespace) -> None:
    """List datums."""
    header = ("ID", "FILES", "STATUS", "TIME")
    if arguments.file:
        found = [each for one in spec.load(arguments.file) for each in pipelines.preview_datums(session.store, one)]
        show(
            arguments,
            [{"id": each.id, "label": each.label} for each in found],
            header,
            [(each.id, each.label, "", "") for each in found],
        )
        return
    if not arguments.job:
        session.usage_error("name a job as pipeline@id, or a spec with -f")
    job = _job(Records(session.store), arguments.job)
    datums = Records(session.store).datums(job.pipeline, job.id)
    rows = [(each.id, each.label, each.state, columns.duration(each.seconds)) for each in datums]
    show(arguments, datums, header, rows)


def inspect_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a datum."""
    records = Records(session.store)
    job = _job(records, arguments.job)
    each = _datum(records.datums(job.pipeline, job.id), arguments.datum)
    lines = [
        f"ID: {each.id}",
        f"Job: {job.name}",
        f"State: {each.state}",
        f"Why: {each.why}",
        f"Reason: {each.reason or '-'}",
        f"Tries: {each.tries}",
        f"Process Time: {columns.duration(each.seconds)}",
        f"Processed In: {each.ran_in} (version {each.ran_version})",
        *(f"Input {name}: {repo}@{commit}:{path}" for name, repo, commit, path in each.files),
    ]
    show(arguments, each, lines=lines)


def restart_datum(session: Session, arguments: argparse.Namespace) -> None:
    """Process a datum again."""
    records = Records(session.store)
    job = _job(records, arguments.job)
    datum = _datum(records.datums(job.pipeline, job.id), arguments.datum)
    pipelines.restart_datum(session.store, job.pipeline, datum.id)


def logs(session: Session, arguments: argparse.Namespace) -> None:
    """Print logs."""
    name = arguments.job or arguments.pipeline
    if not name:
        session.usage_error("name a pipeline with -p or a job with -j")
    records = Records(session.store)
    job = _job(records, name)
    datums = records.datums(job.pipeline, job.id)
    chosen = [_datum(datums, arguments.datum)] if arguments.datum else datums
    for each in chosen:
        path = session.store.folder / "logs" / job.pipeline / each.ran_in / f"{each.id}.log"
        print(f"== {each.label} ({each.state}{', in job ' + each.ran_in if each.ran_in != job.id else ''})")
        if path.exists():
            print(path.read_text(encoding="utf-8", errors="replace"), end="")
    finished = {each.id for each in datums}
    for path in sorted((session.store.folder / "logs" / job.pipeline / job.id).glob("*.log")):
        if not job.ended and not arguments.datum and path.stem not in finished:
            print(f"== datum {path.stem} (running, or interrupted)")
            print(path.read_text(encoding="utf-8", errors="replace"), end="")
    if job.reason:
        print(f"== job {job.state}: {job.reason}")


def why_command(session: Session, arguments: argparse.Namespace) -> None:
    """Tell why datums ran or were skipped."""
    records = Records(session.store)
    job = _job(records, arguments.job)
    datums = records.datums(job.pipeline, job.id)
    chosen = [_datum(datums, arguments.datum)] if arguments.datum else datums
    print("\n".join(why(job, chosen)))
