"""What did that datum see? Its `/pfs` laid out once more, for a person to look around in."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from localpach.planning.datums import Datum
from localpach.running import secrets
from localpach.running.execute import Attempt, JobContext, scratch_of
from localpach.running.executors import Executor
from localpach.running.path_mapping import PFS
from localpach.running.processes import Processes
from localpach.running.program import Log
from localpach.running.scratch import remove_tree
from localpach.storage.records import Job, Records
from localpach.storage.store import Store
from localpach.storage.system_repos import spec_commit


def open_shell(
    store: Store,
    job: Job,
    datum: Datum,
    executor: Executor,
    command: Sequence[str],
    *,
    terminal: bool,
    report: Callable[[str], None],
) -> int:
    """Run a shell, or a command, where a datum's program would run; what it writes is deleted afterwards.

    Args:
        store: The state.
        job: The job whose spec and inputs are taken.
        datum: One of its datums.
        executor: Where programs run.
        command: What to run; empty for a shell in `/pfs`.
        terminal: Whether a person works at it.
        report: Shows one line.

    Returns:
        The exit code.
    """
    spec = Records(store).spec(job.pipeline, job.version)
    executor.check(spec)
    with tempfile.TemporaryDirectory(prefix="localpach-shell-") as temporary, closing(executor):
        folder = Path(temporary) / "datum"
        given = secrets.given(store.folder, spec)
        context = JobContext(
            spec,
            job.id,
            spec_commit(store, job.pipeline, job.id, job.version),
            folder,
            folder,
            store.objects,
            executor,
            given,
        )
        attempt = Attempt(context, scratch_of(context, folder, datum), datum.id, Processes(), Log(None))
        attempt.lay_out()
        report(f"datum {datum.label} of {job.name}: {PFS} is {attempt.scratch.root} and is deleted afterwards")
        if not command:
            spec = replace(spec, transform=replace(spec.transform, working_dir=PFS))
        shell = "sh" if executor.inside else os.environ.get("SHELL") or "sh"
        call = executor.call(spec, attempt.scratch, command or [shell], attempt.variables(), terminal=terminal)
        before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the shell
        try:
            with call.ready() as (argv, here):
                return subprocess.run(argv, env=call.environment, cwd=here, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, before)
            remove_tree(folder)
