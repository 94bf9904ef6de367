"""The commands that look after the state: flags to one function call each, and its result as text."""

import argparse

from localpach.actions import fsck, gc
from localpach.cli.columns import size
from localpach.cli.command import Commands, Session
from localpach.errors import IntegrityError


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add("fsck", "", run_fsck, "check every object and every reference of the state")
    command.add_argument("--fix", action="store_true", help="put right what can be: run datums again, repair rows")
    commands.add("doctor", "", run_doctor, "say what localpach can do on this machine, and what is missing")
    commands.add("gc", "", run_gc, "free what no commit, unfinished job or record of a datum reaches")


def run_doctor(session: Session, _arguments: argparse.Namespace) -> None:
    """Say what is here and what is not; what is missing is no error, as nothing of it is needed."""
    from localpach.actions.doctor import examine

    for each in examine(session.folder):
        print(
            f"{'-' if each.missing else '+'} {each.name}: {each.detail}" + (f": {each.missing}" if each.missing else "")
        )


def run_fsck(session: Session, arguments: argparse.Namespace) -> None:
    """Check the state, a line a problem."""
    if arguments.fix:
        fsck.fix(session.store, session.choose_executor(), session.progress.note)
    report = fsck.check(session.store)
    for problem in report.problems:
        print(problem)
    if report.problems:
        raise IntegrityError(len(report.problems), fixed=arguments.fix)
    loose = (
        f"; {report.loose} more ({size(report.loose_size)}) that nothing needs, `localpach gc` frees them"
        if report.loose
        else ""
    )
    print(f"no problems: {report.objects} objects ({size(report.objects_size)}) checked{loose}")


def run_gc(session: Session, _arguments: argparse.Namespace) -> None:
    """Free what is not needed."""
    freed = gc.collect_garbage(session.store, session.progress.note)
    print(
        f"freed {size(freed.objects_size + freed.logs_size)}: "
        f"{freed.objects} objects ({size(freed.objects_size)}), {freed.logs} logs ({size(freed.logs_size)})"
    )
