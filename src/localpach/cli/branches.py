"""The commands about branches."""

import argparse

from localpach.actions import describe, message, repos
from localpach.cli import columns
from localpach.cli.command import Commands, Session, show
from localpach.errors import NotFoundError
from localpach.spec.addresses import parse_commit
from localpach.spec.inputs import Trigger, read_trigger
from localpach.spec.spec_fields import normalise


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add(
        "create", "branch", create_branch, "make a branch or move one", runs=True,
        example="create branch songs@master --head staging",
    )  # fmt: skip
    command.add_argument("branch", help="repo@branch")
    command.add_argument("--head", help="the commit to point at: a branch or an ID of the same repo")
    command.add_argument(
        "-p", "--provenance", action="append", default=[], help="repo@branch to follow; may be repeated"
    )
    command.add_argument("-t", "--trigger", metavar="BRANCH", help="a branch of the same repo that moves this one")
    command.add_argument("--trigger-size", metavar="SIZE", help="when it has grown by this much, such as 1K (1000)")
    command.add_argument("--trigger-commits", metavar="N", type=int, help="when it has this many new commits")
    command.add_argument("--trigger-rate-limit", metavar="SPEC", help='at most this often, such as "@every 1h"')
    command.add_argument("--trigger-cron", metavar="SPEC", help='by this schedule alone, such as "0 3 * * *" (UTC)')
    command.add_argument("--trigger-all", action="store_true", help="when all of these hold, not any")
    command = commands.add("list", "branch", list_branch, "list the branches of a repo", raw=True)
    command.add_argument("repo", help="name of the repo")
    command = commands.add("inspect", "branch", inspect_branch, "describe one branch", raw=True, times=True)
    command.add_argument("branch", help="repo@branch")
    command = commands.add("delete", "branch", delete_branch, "delete a branch; its commits stay")
    command.add_argument("branch", help="repo@branch")
    command.add_argument("-f", "--force", action="store_true", help="even if pipelines follow it")


def create_branch(session: Session, arguments: argparse.Namespace) -> None:
    """Make or move a branch."""
    address = parse_commit(arguments.branch)
    head = None
    if arguments.head:
        head = parse_commit(arguments.head if "@" in arguments.head else f"{address.repo}@{arguments.head}")
    above = [parse_commit(each) for each in arguments.provenance]
    provenance = [(each.repo, each.name) for each in above]
    trigger = _trigger_flags(session, arguments, address.repo)
    repos.create_branch(session.store, address.repo, address.name, head=head, provenance=provenance, trigger=trigger)


def _trigger_flags(session: Session, arguments: argparse.Namespace, repo: str) -> Trigger | None:
    """Read the trigger that the flags describe, if they do."""
    fields = {
        "size": arguments.trigger_size,
        "commits": arguments.trigger_commits,
        "rate_limit_spec": arguments.trigger_rate_limit,
        "cron_spec": arguments.trigger_cron,
        "all": arguments.trigger_all or None,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    if not arguments.trigger:
        if given:
            session.usage_error("--trigger-… flags need --trigger BRANCH, the branch that is watched")
        return None
    above = parse_commit(arguments.trigger if "@" in arguments.trigger else f"{repo}@{arguments.trigger}")
    if above.repo != repo:
        session.usage_error(f"--trigger names a branch of {repo}, the repo of the branch that it moves")
    return read_trigger(normalise({**given, "branch": above.name}, "Trigger", "trigger"), "trigger")


def list_branch(session: Session, arguments: argparse.Namespace) -> None:
    """List branches."""
    store = session.store
    store.repo(arguments.repo)
    found = store.branches(arguments.repo)
    show(
        arguments,
        (describe.branch(store, branch) for branch in found),
        ("BRANCH", "HEAD", "TRIGGER", "CREATOR", "CREATED"),
        (
            (
                branch.name,
                branch.head,
                trigger_text(describe.trigger_of(branch)),
                "",
                columns.when(branch.created, full=True),
            )
            for branch in found
        ),
    )


def inspect_branch(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one branch."""
    store = session.store
    address = parse_commit(arguments.branch)
    store.repo(address.repo)
    branch = store.branch(address.repo, address.name)
    if branch is None:
        raise NotFoundError("branch", str(address), f"`localpach list branch {address.repo}` shows those there are")
    lines = [f"Name: {branch.repo}@{branch.name}"]
    lines += [f"Head Commit: {branch.repo}@{branch.head}"] if branch.head else []
    lines += [f"Provenance: {repo}@{name}" for repo, name in describe.branches_above(store, branch)]
    lines += [f"Trigger: {trigger_text(describe.trigger_of(branch))}"] if describe.trigger_of(branch) else []
    lines += [f"Created: {columns.when(branch.created, full=arguments.full_timestamps)}"]
    show(arguments, [describe.branch(store, branch)], lines=lines)


def delete_branch(session: Session, arguments: argparse.Namespace) -> None:
    """Remove a branch."""
    address = parse_commit(arguments.branch)
    repos.delete_branch(session.store, address.repo, address.name, force=arguments.force)


def trigger_text(trigger: message.Message | None) -> str:
    """Write what moves a branch: `staging on Size(1K) or Commits(2)`."""
    if not trigger:
        return ""
    branch = trigger.get("branch", "master")
    if trigger.get("cron_spec"):
        return f"{branch} on Cron({trigger['cron_spec']})"
    names = (("rate_limit_spec", "Rate Limit"), ("size", "Size"), ("commits", "Commits"))
    conditions = [f"{name}({trigger[key]})" for key, name in names if trigger.get(key)]
    return f"{branch} on {(' and ' if trigger.get('all') else ' or ').join(conditions)}"
