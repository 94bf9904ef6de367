"""The commands about pipelines."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localpach.actions import describe, pipelines
from localpach.cli import columns
from localpach.cli.command import Commands, Session, history_depth, show
from localpach.cli.explain import draw
from localpach.cli.resolve import newest_job
from localpach.errors import CommandError
from localpach.spec import spec
from localpach.storage.records import Pipeline, Records

if TYPE_CHECKING:
    from localpach.storage.store import Store

HEADER = ("PROJECT", "NAME", "VERSION", "INPUT", "CREATED", "STATE / LAST JOB", "ALERTS", "DESCRIPTION")
_STATES = ("starting", "running", "restarting", "failure", "paused", "standby", "crashing")
_SPEC_HELP = "spec file, or - for stdin"
# Flags of pachctl that are refused by name: what they need is not here.
_REFUSED_FLAGS = {
    "--push-images": "images are used as they are on this machine",
    "--registry": "images are used as they are on this machine",
    "--username": "images are used as they are on this machine",
}


def register(commands: Commands) -> None:
    """Add the commands."""
    for verb, run, text in (
        ("create", create_pipeline, "create pipelines from spec files and run them"),
        ("update", update_pipeline, "update pipelines, creating those that are missing"),
    ):
        command = commands.add(verb, "pipeline", run, text, runs=True, example=f"{verb} pipeline -f midi.json")
        _add_specs(command)
        command.add_argument("--dry-run", action="store_true", help="check only, change nothing")
        for flag in _REFUSED_FLAGS:
            command.add_argument(flag, dest="refused", action=_RefusedFlag, help=argparse.SUPPRESS)
        if verb == "update":
            command.add_argument("--reprocess", action="store_true", help="process all datums again")
    _add_specs(commands.add("validate", "pipeline", validate_pipeline, "check spec files without a state"))
    command = commands.add("list", "pipeline", list_pipeline, "list the pipelines", raw=True, times=True)
    command.add_argument("pipeline", nargs="?", help="only this one")
    command.add_argument("-s", "--spec", action="store_true", help="print their specs as JSON")
    command.add_argument("--state", dest="states", action="append", choices=_STATES, help="only those; may be repeated")
    command.add_argument("--history", default="none", metavar="N", help="earlier versions too: a number, all or none")
    command.add_argument("-c", "--commit", metavar="ID", help="as they were at this commit set")
    command = commands.add("inspect", "pipeline", inspect_pipeline, "describe one pipeline", raw=True, times=True)
    command.add_argument("pipeline", help="name of the pipeline")
    command = commands.add("delete", "pipeline", delete_pipeline, "delete a pipeline, its jobs and its output repo")
    command.add_argument("pipeline", nargs="?", help="name of the pipeline")
    command.add_argument("-f", "--force", action="store_true", help="even if pipelines read it")
    command.add_argument("--keep-repo", action="store_true", help="keep the output as a plain repo")
    command.add_argument("--all", action="store_true", help="all pipelines")
    for verb, run, text in (
        ("stop", stop_pipeline, "stop a pipeline: new commits start nothing"),
        ("start", start_pipeline, "start a stopped pipeline and run it"),
    ):
        command = commands.add(verb, "pipeline", run, text, runs=verb == "start")
        command.add_argument("pipeline", help="name of the pipeline")
    command = commands.add("edit", "pipeline", edit_pipeline, "change the spec of a pipeline in an editor", runs=True)
    command.add_argument("pipeline", help="name of the pipeline")
    command.add_argument("--editor", help="default: $VISUAL, $EDITOR or vi")
    command.add_argument("--reprocess", action="store_true", help="process all datums again")
    command.add_argument("-o", "--output", choices=["json"], help=argparse.SUPPRESS)
    command = commands.add("draw", "pipeline", draw_pipeline, "draw what reads what")
    command.add_argument("-c", "--commit", help=argparse.SUPPRESS)
    command.add_argument("--box-width", help=argparse.SUPPRESS)
    command.add_argument("--edge-height", help=argparse.SUPPRESS)


class _RefusedFlag(argparse.Action):
    """A flag that ends the program with what to do instead."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, _values: object, flag: str | None = None
    ) -> None:
        parser.error(f"{flag} is not here: {_REFUSED_FLAGS[flag or '']}")


def _add_specs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-f", "--file", dest="specs", action="extend", nargs="+", default=[], metavar="SPEC", help=_SPEC_HELP
    )
    command.add_argument("--jsonnet", type=Path, metavar="FILE", help="a jsonnet template in place of a spec")
    command.add_argument(
        "--arg", dest="template_arguments", action="append", default=[], metavar="KEY=VALUE", help="for its function"
    )


def _load(session: Session, arguments: argparse.Namespace) -> list[spec.PipelineSpec]:
    """Read the specs that are given: files, stdin where none is named, or a template."""
    sources: Sequence[str] = arguments.specs
    if arguments.jsonnet:
        if sources:
            session.usage_error("--jsonnet takes the place of -f")
        pairs = [text.partition("=") for text in arguments.template_arguments]
        if any(not separator for _, separator, _ in pairs):
            session.usage_error("--arg takes KEY=VALUE")
        return _rendered(arguments.jsonnet, {key: value for key, _, value in pairs})
    if arguments.template_arguments:
        session.usage_error("--arg goes with --jsonnet")
    if not sources and sys.stdin.isatty():
        session.usage_error("name a spec with -f, or give it on stdin")
    return [each for source in sources or ["-"] for each in _load_one(source)]


def _rendered(template: Path, given: dict[str, str]) -> list[spec.PipelineSpec]:
    from localpach.spec.jsonnet_text import evaluate

    return [replace(each, source=str(template)) for each in spec.parse(evaluate(template, given))]


def _load_one(source: str) -> list[spec.PipelineSpec]:
    return spec.parse(sys.stdin.read()) if source == "-" else spec.load(Path(source))


@contextmanager
def _dry_run(session: Session, arguments: argparse.Namespace) -> "Iterator[Store | None]":
    """Yield the state to try a change on, which is taken back; None where there is no state, for none is made."""
    arguments.runs = False
    if not session.has_state:
        yield None
        return
    with session.store.dry_run():
        yield session.store


def create_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Create pipelines."""
    specs = _load(session, arguments)
    if arguments.dry_run:
        with _dry_run(session, arguments) as store:
            if store is not None:
                pipelines.create_pipelines(store, specs)
    else:
        pipelines.create_pipelines(session.store, specs)


def update_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Update pipelines and say what an update does not do."""
    specs = _load(session, arguments)
    if arguments.dry_run:
        with _dry_run(session, arguments) as store:
            if store is not None:
                pipelines.update_pipelines(store, specs, reprocess=arguments.reprocess)
        return
    _update(session, specs, reprocess=arguments.reprocess)


def _update(session: Session, specs: list[spec.PipelineSpec], *, reprocess: bool) -> None:
    for done in pipelines.update_pipelines(session.store, specs, reprocess=reprocess):
        if done.kept and reprocess:
            session.progress.note(
                f"{done.name}: the spec fixes the salt, {done.kept} datums kept; change it to re-run them"
            )
        elif done.kept:
            session.progress.note(f"{done.name}: spec changed, {done.kept} datums kept; --reprocess re-runs them")


def validate_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Check spec files."""
    for each in _load(session, arguments):
        print(f"{each.source or 'stdin'}: pipeline {each.name} is valid")


def edit_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Let a person change the spec of a pipeline, and update it."""
    import os
    import shlex
    import subprocess
    import tempfile

    records = Records(session.store)
    found = records.pipeline(arguments.pipeline)
    text = json.dumps(json.loads(records.spec(found.name, found.version).text), indent=2) + "\n"
    editor = arguments.editor or os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="localpach-edit-") as folder:
        path = Path(folder) / f"{found.name}.json"
        path.write_text(text, encoding="utf-8")
        ended = subprocess.run([*shlex.split(editor), str(path)], check=False)
        if ended.returncode:
            raise CommandError(editor, ended.returncode)
        edited = path.read_text(encoding="utf-8")
    arguments.runs = edited != text
    if edited == text:
        session.progress.note(f"{found.name}: unchanged")
        return
    _update(session, spec.parse(edited), reprocess=arguments.reprocess)


def list_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """List pipelines."""
    records = Records(session.store)
    found = list(_chosen(session, records, arguments))
    if arguments.spec:
        texts = (json.loads(records.spec(each.name, each.version).text) for each in found)
        arguments.raw = True
        show(arguments, texts)
        return
    full = arguments.full_timestamps

    def row(each: Pipeline) -> tuple[object, ...]:
        current = records.spec(each.name, each.version)
        last = newest_job(records, each.name)
        shown = f"{pipelines.pipeline_state(session.store, each)} / {last.state if last else '-'}"
        what = columns.shorthand(json.loads(current.text)["input"])
        made = columns.when(each.created, full=full)
        return "default", each.name, each.version, what, made, shown, "", current.description

    show(arguments, (describe.pipeline(session.store, each) for each in found), HEADER, (row(each) for each in found))


def _chosen(session: Session, records: Records, arguments: argparse.Namespace) -> Iterator[Pipeline]:
    """Walk the pipelines that a listing is about, with earlier versions if they are asked for."""
    back = history_depth(session, arguments.history)
    at = {job.pipeline: job.version for job in records.jobs(None, arguments.commit)} if arguments.commit else None
    if arguments.pipeline:
        records.pipeline(arguments.pipeline)
    for each in records.pipelines():
        if arguments.pipeline not in (None, each.name):
            continue
        if arguments.states and pipelines.pipeline_state(session.store, each) not in arguments.states:
            continue
        newest = each.version if at is None else at.get(each.name)
        if newest is None:
            continue
        oldest = 1 if back is None else max(1, newest - back)
        for version in range(newest, oldest - 1, -1):
            yield Pipeline(each.name, version, each.stopped, each.created, each.salt)


def inspect_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a pipeline."""
    records = Records(session.store)
    each = records.pipeline(arguments.pipeline)
    current = records.spec(each.name, each.version)
    last = newest_job(records, each.name)
    fields = json.loads(current.text)
    lines = [
        f"Name: {each.name}",
        f"Description: {current.description or '-'}",
        f"Version: {each.version}",
        f"Created: {columns.when(each.created, full=arguments.full_timestamps)}",
        f"State: {pipelines.pipeline_state(session.store, each)}",
        f"Stopped: {str(each.stopped).lower()}",
        f"Last Job: {columns.job_state(last) if last else '-'}",
        f"Input: {columns.shorthand(fields['input'])}",
        f"Output Branch: {current.output_branch}",
        f"Datum Tries: {current.datum_tries}",
        f"Datum Timeout: {fields.get('datum_timeout') or '-'}",
        f"Job Timeout: {fields.get('job_timeout') or '-'}",
        f"User Spec: {json.dumps(fields, indent=2)}",
    ]
    show(arguments, (describe.pipeline(session.store, each) for _ in range(1)), lines=lines)


def delete_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Delete a pipeline, or all."""
    if bool(arguments.pipeline) == arguments.all:
        session.usage_error("name a pipeline, or say --all")
    store = session.store
    if not arguments.all:
        pipelines.delete_pipeline(store, arguments.pipeline, force=arguments.force, keep_repo=arguments.keep_repo)
        return
    with store.transaction():
        for each in Records(store).pipelines():
            pipelines.delete_pipeline(store, each.name, force=True, keep_repo=arguments.keep_repo)


def stop_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Stop a pipeline."""
    pipelines.stop_pipeline(session.store, arguments.pipeline)


def start_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Start a pipeline."""
    pipelines.start_pipeline(session.store, arguments.pipeline)


def draw_pipeline(session: Session, arguments: argparse.Namespace) -> None:
    """Draw what reads what."""
    print(draw(session.store.edges()))
