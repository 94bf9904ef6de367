"""The commands about repos, branches, commits and files: flags to one function call each, and its result as text."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from localpach import columns, files, repos
from localpach.addresses import is_commit_id, parse_commit, parse_file
from localpach.cli_command import Commands, Session, show
from localpach.errors import CommitStateError, NotFoundError
from localpach.inputs import Trigger, read_trigger
from localpach.spec_fields import normalise
from localpach.store import Commit


def register(commands: Commands) -> None:
    """Add the commands."""
    _register_repos(commands)
    _register_commits(commands)
    _register_branches(commands)
    _register_files(commands)


def _register_repos(commands: Commands) -> None:
    for verb, run in (("create", create_repo), ("update", update_repo)):
        command = commands.add(verb, "repo", run, f"{verb} a repo")
        command.add_argument("repo", help="name of the repo")
        command.add_argument("-d", "--description", default="", help="what it holds")
    command = commands.add("list", "repo", list_repo, "list the repos", raw=True)
    command.add_argument("--all", action="store_true", help="also those that localpach keeps for each pipeline")
    commands.add("inspect", "repo", inspect_repo, "describe one repo", raw=True).add_argument(
        "repo", help="name of the repo"
    )
    command = commands.add("delete", "repo", delete_repo, "delete a repo with all its commits", runs=True)
    command.add_argument("repo", help="name of the repo")
    command.add_argument("-f", "--force", action="store_true", help="even if pipelines read it")


def create_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Make a repo."""
    repos.create_repo(session.store, arguments.repo, arguments.description)


def update_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a repo anew."""
    repos.update_repo(session.store, arguments.repo, arguments.description)


def list_repo(session: Session, arguments: argparse.Namespace) -> None:
    """List the repos."""
    store = session.store
    found = [repo for repo in store.repos() if arguments.all or repo.type == "user"]
    rows = []
    for repo in found:
        branch = store.branch(repo.name, "master")
        commit = store.commit(repo.name, branch.head) if branch and branch.head else None
        shown = columns.size(store.tree_size(commit.tree)[1]) if commit else "0B"
        rows.append(("default", repo.name, columns.ago(repo.created), shown, repo.description))
    show(arguments, found, ("PROJECT", "NAME", "CREATED", "SIZE (MASTER)", "DESCRIPTION"), rows)


def inspect_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one repo."""
    repo = session.store.repo(arguments.repo)
    lines = [f"Name: {repo.name}", f"Description: {repo.description}", f"Created: {columns.ago(repo.created)}"]
    show(arguments, repo, lines=lines)


def delete_repo(session: Session, arguments: argparse.Namespace) -> None:
    """Remove a repo."""
    repos.delete_repo(session.store, arguments.repo, force=arguments.force)


def _register_commits(commands: Commands) -> None:
    command = commands.add("start", "commit", start_commit, "open a commit; prints its ID")
    command.add_argument("commit", help="repo@branch")
    command.add_argument("-m", "--message", default="", help="what it is about")
    command = commands.add("finish", "commit", finish_commit, "finish an open commit and run what follows", runs=True)
    command.add_argument("commit", help="repo@branch")
    command.add_argument("-m", "--message", default="", help="what it is about")
    command = commands.add(
        "list", "commit", list_commit, "list commit sets, one set, or the commits of a repo", raw=True
    )
    command.add_argument("commit", nargs="?", help="an ID, repo or repo@branch")
    command = commands.add("inspect", "commit", inspect_commit, "describe one commit", raw=True)
    command.add_argument("commit", help="repo@branch or repo@id")
    command = commands.add("wait", "commit", wait_commit, "run jobs until the commit is finished", runs=True)
    command.add_argument("commit", help="repo@branch, repo@id or the ID of a set")


def start_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Open a commit."""
    address = parse_commit(arguments.commit)
    print(repos.start_commit(session.store, address.repo, address.name, arguments.message).id)


def finish_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Finish an open commit."""
    commit = repos.finish_commit(session.store, parse_commit(arguments.commit), description=arguments.message)
    if commit.error:
        raise CommitStateError(f"commit {commit.repo}@{commit.id} is finished with an error: {commit.error}")


def list_commit(session: Session, arguments: argparse.Namespace) -> None:
    """List commits."""
    store = session.store
    if arguments.commit and not is_commit_id(arguments.commit):
        address = parse_commit(arguments.commit)
        store.repo(address.repo)
        if "@" in arguments.commit:
            found = repos.ancestry(store, repos.find_commit(store, address))
        else:
            found = store.commits(address.repo)
        _show_commits(session, arguments, found)
    elif arguments.commit:
        found = store.commit_set(arguments.commit)
        if not found:
            raise NotFoundError("commit set", arguments.commit)
        _show_commits(session, arguments, found)
    else:
        sets = {id_: store.commit_set(id_) for id_ in dict.fromkeys(commit.id for commit in store.commits())}
        rows = []
        for id_, commits in sets.items():
            done = sum(commit.finished is not None for commit in commits)
            own = [commit for commit in commits if commit.id == id_]
            started = [commit.started for commit in own]
            modified = max(commit.finished or commit.started for commit in own)
            rows.append((id_, len(commits), f"{done}/{len(commits)}", columns.ago(min(started)), columns.ago(modified)))
        show(arguments, list(sets), ("ID", "SUBCOMMITS", "PROGRESS", "CREATED", "MODIFIED"), rows)


def _show_commits(session: Session, arguments: argparse.Namespace, found: Sequence[Commit]) -> None:
    rows = []
    for commit in found:
        shown = columns.size(session.store.tree_size(commit.tree)[1])
        finished = columns.ago(commit.finished)
        rows.append(
            ("default", commit.repo, commit.branch, commit.id, finished, shown, commit.origin, commit.description)
        )
    header = ("PROJECT", "REPO", "BRANCH", "COMMIT", "FINISHED", "SIZE", "ORIGIN", "DESCRIPTION")
    show(arguments, list(found), header, rows)


def inspect_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one commit."""
    commit = repos.find_commit(session.store, parse_commit(arguments.commit))
    count, size = session.store.tree_size(commit.tree)
    lines = [
        f"Commit: {commit.repo}@{commit.id}",
        f"Original Branch: {commit.branch}",
        f"Parent: {commit.parent or '-'}",
        f"Origin: {commit.origin}",
        f"Started: {columns.ago(commit.started)}",
        f"Finished: {columns.ago(commit.finished) or 'not yet'}",
        f"Files: {count}",
        f"Size: {columns.size(size)}",
    ]
    if commit.description:
        lines.append(f"Description: {commit.description}")
    if commit.error:
        lines.append(f"Error: {commit.error}")
    used = session.store.provenance(commit.repo, commit.id)
    lines += [f"Provenance: {repo}@{branch} ({id_})" for (repo, branch), id_ in used.items()]
    show(arguments, commit, lines=lines)


def wait_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Run jobs until a commit, or all of a set, are finished."""
    session.run_jobs()
    store = session.store
    if is_commit_id(arguments.commit):
        found = store.commits(id_=arguments.commit)
    else:
        found = [repos.find_commit(store, parse_commit(arguments.commit))]
    if not found:
        raise NotFoundError("commit set", arguments.commit)
    still_open = [f"{commit.repo}@{commit.id}" for commit in found if commit.finished is None]
    if still_open:
        raise CommitStateError(
            f"{', '.join(still_open)} waits for an open commit; finish it with `localpach finish commit`"
        )
    _show_commits(session, argparse.Namespace(raw=False, output=""), found)


def _register_branches(commands: Commands) -> None:
    command = commands.add("create", "branch", create_branch, "make a branch or move one", runs=True)
    command.add_argument("branch", help="repo@branch")
    command.add_argument("--head", help="the commit to point at: a branch or an ID of the same repo")
    command.add_argument(
        "-p", "--provenance", action="append", default=[], help="repo@branch to follow; may be repeated"
    )
    command.add_argument("--trigger", metavar="BRANCH", help="a branch of the same repo that moves this one")
    command.add_argument("--trigger-size", metavar="SIZE", help="when it has grown by this much, such as 1K (1000)")
    command.add_argument("--trigger-commits", metavar="N", type=int, help="when it has this many new commits")
    command.add_argument("--trigger-rate-limit", metavar="SPEC", help='at most this often, such as "@every 1h"')
    command.add_argument("--trigger-cron", metavar="SPEC", help='by this schedule alone, such as "0 3 * * *" (UTC)')
    command.add_argument("--trigger-all", action="store_true", help="when all of these hold, not any")
    command = commands.add("list", "branch", list_branch, "list the branches of a repo", raw=True)
    command.add_argument("repo", help="name of the repo")
    command = commands.add("inspect", "branch", inspect_branch, "describe one branch", raw=True)
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
    trigger = _trigger(session, arguments, address.repo)
    repos.create_branch(session.store, address.repo, address.name, head=head, provenance=provenance, trigger=trigger)


def _trigger(session: Session, arguments: argparse.Namespace, repo: str) -> Trigger | None:
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
    session.store.repo(arguments.repo)
    found = session.store.branches(arguments.repo)
    rows = [(branch.name, branch.head, "", columns.ago(branch.created)) for branch in found]
    show(arguments, found, ("BRANCH", "HEAD", "TRIGGER", "CREATED"), rows)


def inspect_branch(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one branch."""
    address = parse_commit(arguments.branch)
    branch = session.store.branch(address.repo, address.name)
    if branch is None:
        raise NotFoundError("branch", arguments.branch)
    above = [edge for edge in session.store.edges() if (edge.repo, edge.branch) == (address.repo, address.name)]
    lines = [f"Name: {branch.repo}@{branch.name}", f"Head: {branch.head or '-'}"]
    lines += [f"Provenance: {edge.up_repo}@{edge.up_branch}" for edge in above]
    show(arguments, branch, lines=lines)


def delete_branch(session: Session, arguments: argparse.Namespace) -> None:
    """Remove a branch."""
    address = parse_commit(arguments.branch)
    repos.delete_branch(session.store, address.repo, address.name, force=arguments.force)


def _register_files(commands: Commands) -> None:
    command = commands.add("put", "file", put_file, "put files in one commit and run what follows", runs=True)
    command.add_argument("file", help="repo@branch or repo@branch:/path")
    command.add_argument(
        "-f", "--file", dest="sources", action="append", default=[], help="file, directory or - ; repeatable"
    )
    command.add_argument("-r", "--recursive", action="store_true", help="put directories with what is in them")
    command.add_argument("-a", "--append", action="store_true", help="add to the end of files that are there")
    command.add_argument("-i", "--input-file", help="a file that lists what to put, one a line")
    command = commands.add("get", "file", get_file, "print a file, or write files")
    command.add_argument("file", help="repo@branch:/path")
    command.add_argument("-o", "--output", type=Path, help="file or folder to write to")
    command.add_argument("-r", "--recursive", action="store_true", help="get a directory; needs -o")
    for verb, run, text in (("list", list_file, "list a directory"), ("inspect", inspect_file, "describe a file")):
        commands.add(verb, "file", run, text, raw=True).add_argument("file", help="repo@branch or repo@branch:/path")
    command = commands.add("glob", "file", glob_file, "list the files that match a pattern", raw=True)
    command.add_argument("file", help="repo@branch:pattern, quoted")
    command = commands.add("delete", "file", delete_file, "delete a file and run what follows", runs=True)
    command.add_argument("file", help="repo@branch:/path")
    command.add_argument("-r", "--recursive", action="store_true", help="delete a directory")
    command = commands.add("copy", "file", copy_file, "copy a file or directory, without copying bytes", runs=True)
    command.add_argument("source", help="repo@branch:/path")
    command.add_argument("target", help="repo@branch:/path")
    command = commands.add(
        "diff", "file", diff_file, "compare two commits; the second defaults to the parent", raw=True
    )
    command.add_argument("new", help="repo@branch[:/path]")
    command.add_argument("old", nargs="?", help="repo@branch[:/path]")


def put_file(session: Session, arguments: argparse.Namespace) -> None:
    """Put files."""
    sources = list(arguments.sources)
    if arguments.input_file:
        try:
            lines = Path(arguments.input_file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise files.SourceError(arguments.input_file, error.strerror or str(error)) from error
        sources += [line for line in lines if line.strip()]
    if not sources:
        session.usage_error("name what to put with -f or -i")
    address = parse_file(arguments.file)
    files.put_files(session.store, address, sources, recursive=arguments.recursive, append=arguments.append)


def get_file(session: Session, arguments: argparse.Namespace) -> None:
    """Print or write files."""
    if arguments.recursive and arguments.output is None:
        session.usage_error("-r needs -o FOLDER")
    address = parse_file(arguments.file)
    if address.path is None:
        session.usage_error(f"{arguments.file} names no path; add :/ for everything")
    if arguments.output is not None:
        files.get_files(session.store, address, arguments.output, recursive=arguments.recursive)
        return
    for chunk in files.read_file(session.store, address):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _show_files(arguments: argparse.Namespace, found: list[files.FileInfo]) -> None:
    show(arguments, found, ("SIZE", "NAME"), [(columns.size(each.size), each.path) for each in found])


def list_file(session: Session, arguments: argparse.Namespace) -> None:
    """List a directory."""
    _show_files(arguments, files.list_files(session.store, parse_file(arguments.file)))


def inspect_file(session: Session, arguments: argparse.Namespace) -> None:
    """Describe a file."""
    info = files.inspect_file(session.store, parse_file(arguments.file))
    kind = "dir" if info.is_directory else "file"
    lines = [f"Path: {info.path}", f"Type: {kind}", f"Size: {columns.size(info.size)}"]
    show(arguments, info, lines=[*lines, f"Digest: {info.digest}"] if info.digest else lines)


def glob_file(session: Session, arguments: argparse.Namespace) -> None:
    """List matching files."""
    commit, _, pattern = arguments.file.partition(":")
    _show_files(arguments, files.glob_files(session.store, parse_commit(commit), pattern))


def delete_file(session: Session, arguments: argparse.Namespace) -> None:
    """Delete files."""
    files.delete_files(session.store, parse_file(arguments.file), recursive=arguments.recursive)


def copy_file(session: Session, arguments: argparse.Namespace) -> None:
    """Copy files."""
    files.copy_files(session.store, parse_file(arguments.source), parse_file(arguments.target))


def diff_file(session: Session, arguments: argparse.Namespace) -> None:
    """Compare two commits."""
    old = parse_file(arguments.old) if arguments.old else None
    changes = files.diff_files(session.store, parse_file(arguments.new), old)
    show(
        arguments,
        changes,
        ("OP", "SIZE", "NAME"),
        [(each.sign, columns.size(each.size), each.path) for each in changes],
    )
