"""The commands about commits and commit sets."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from localpach.actions import describe, message, repos
from localpach.cli import columns
from localpach.cli.command import Commands, Session, report_error, show
from localpach.errors import CommitStateError, NotFoundError
from localpach.spec.addresses import is_commit_id, parse_commit, parse_file

if TYPE_CHECKING:
    from localpach.storage.store import Commit, Store

COMMIT_HEADER = ("PROJECT", "REPO", "COMMIT", "FINISHED", "SIZE", "ORIGIN", "CREATOR", "DESCRIPTION")
SET_HEADER = ("ID", "SUBCOMMITS", "PROGRESS", "CREATED", "MODIFIED")
_ORIGINS = ("USER", "AUTO", "FSCK")
_POLL_S = 0.5


def register(commands: Commands) -> None:
    """Add the commands."""
    command = commands.add(
        "start", "commit", start_commit, "open a commit; prints its ID", example="start commit songs@master -m 'a tour'"
    )
    command.add_argument("commit", help="repo@branch")
    command.add_argument("-p", "--parent", metavar="COMMIT", help="the commit to begin from: a branch or an ID")
    _add_message(command)
    command = commands.add("finish", "commit", finish_commit, "finish an open commit and run what follows", runs=True)
    command.add_argument("commit", help="repo@branch")
    command.add_argument("-f", "--force", action="store_true", help=argparse.SUPPRESS)
    _add_message(command)
    text = "list commit sets, the commits of a set, or those of a repo or branch"
    command = commands.add("list", "commit", list_commit, text, raw=True, times=True, example="list commit songs -n 3")
    command.add_argument("commit", nargs="?", help="an ID, repo or repo@branch")
    command.add_argument("-f", "--from", dest="after", metavar="ID", help="only commits after this one")
    command.add_argument("-n", "--number", type=int, default=0, metavar="N", help="only the newest N")
    command.add_argument("--all", action="store_true", help="commits of every origin (this is so without it too)")
    command.add_argument(
        "--origin", type=str.upper, choices=_ORIGINS, help="only commits that people, or pipelines, made"
    )
    command.add_argument("-x", "--expand", action="store_true", help="show the commits of each set")
    command = commands.add("inspect", "commit", inspect_commit, "describe one commit", raw=True, times=True)
    command.add_argument("commit", help="repo@branch, repo@id, or the ID of a set")
    command = commands.add(
        "wait", "commit", wait_commit, "run jobs until the commit is finished", raw=True, times=True, runs=True
    )
    command.add_argument("commit", help="repo@branch, repo@id, or the ID of a set")
    command = commands.add(
        "subscribe", "commit", subscribe_commit, "print the commits of a branch as they are finished, until Ctrl-C",
        raw=True, times=True,
    )  # fmt: skip
    command.add_argument("commit", help="repo or repo@branch")
    command.add_argument("--from", dest="after", metavar="ID", help="only commits after this one")
    command.add_argument("--new", action="store_true", help="only commits from now on")
    command.add_argument("--all", action="store_true", help="commits of every origin (this is so without it too)")
    command.add_argument(
        "--origin", type=str.upper, choices=_ORIGINS, help="only commits that people, or pipelines, made"
    )
    command.add_argument("-n", "--number", type=int, default=0, metavar="N", help="end after N commits")
    command = commands.add("find", "commit", find_commit, "find the commits of a branch that changed a file", raw=True)
    command.add_argument("file", help="repo@branch:/path")
    command.add_argument("--json", action="store_true", dest="raw", help=argparse.SUPPRESS)  # pachctl's word here
    command.add_argument("--limit", type=int, default=0, metavar="N", help="at most N commits")
    command.add_argument("--timeout", help=argparse.SUPPRESS)


def _add_message(command: argparse.ArgumentParser) -> None:
    command.add_argument("-m", "--message", "--description", default="", help="what it is about")


def start_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Open a commit."""
    address = parse_commit(arguments.commit)
    above = arguments.parent
    parent = parse_commit(above if "@" in above else f"{address.repo}@{above}") if above else None
    print(repos.start_commit(session.store, address.repo, address.name, arguments.message, parent=parent).id)


def finish_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Finish an open commit."""
    commit = repos.finish_commit(session.store, parse_commit(arguments.commit), description=arguments.message)
    report_error(session, commit)


def list_commit(session: Session, arguments: argparse.Namespace) -> None:
    """List commits or commit sets."""
    store = session.store
    only_of_repo = arguments.after or arguments.origin
    if arguments.commit is None:
        if only_of_repo:
            session.usage_error("--from and --origin need a repo")
        if arguments.expand:
            _show_commits(store, arguments, _first(store.commits(), arguments.number))
        else:
            _show_sets(store, arguments)
    elif is_commit_id(arguments.commit):
        if only_of_repo:
            session.usage_error("--from and --origin need a repo, not the ID of a set")
        _show_commits(store, arguments, _first(_set(store, arguments.commit), arguments.number))
    else:
        found = list(_line(store, arguments.commit, arguments.after))
        found = [commit for commit in found if arguments.origin in (None, commit.origin)]
        _show_commits(store, arguments, _first(found, arguments.number))


def _first(found: "Sequence[Commit]", number: int) -> "Sequence[Commit]":
    return found[:number] if number > 0 else found


def _set(store: "Store", id_: str) -> "list[Commit]":
    found = store.commit_set(id_)
    if not found:
        raise NotFoundError("commit set", id_, "`localpach list commit` shows those there are")
    return found


def _line(store: "Store", text: str, after: str | None) -> "Iterator[Commit]":
    """Walk the commits of a repo, or of a branch from its head back, newest first, down to one that is left out."""
    address = parse_commit(text)
    store.repo(address.repo)
    if after is not None:
        after = repos.find_commit(store, parse_commit(after if "@" in after else f"{address.repo}@{after}")).id
    commits = repos.ancestry(store, repos.find_commit(store, address)) if "@" in text else store.commits(address.repo)
    for commit in commits:
        if commit.id == after:
            return
        yield commit


def _show_sets(store: "Store", arguments: argparse.Namespace) -> None:
    ids = list(dict.fromkeys(commit.id for commit in store.commits()))
    chosen = [(id_, store.commit_set(id_)) for id_ in ids[: arguments.number or None]]
    sized = _sizes(store)

    def row(id_: str, commits: "list[Commit]") -> tuple[object, ...]:
        done = sum(commit.finished is not None for commit in commits)
        own = [commit for commit in commits if commit.id == id_]
        created = min(commit.started for commit in own)
        modified = max(commit.finished or commit.started for commit in own)
        full = arguments.full_timestamps
        progress = f"{done}/{len(commits)}"
        return id_, len(commits), progress, columns.when(created, full=full), columns.when(modified, full=full)

    show(
        arguments,
        (
            message.commit_set_message(id_, [message.commit_message(each, sized(each.tree)) for each in commits])
            for id_, commits in chosen
        ),
        SET_HEADER,
        (row(id_, commits) for id_, commits in chosen),
    )


def _sizes(store: "Store") -> Callable[[int], int]:
    """Return the sizes of trees, each asked for once: many commits share one."""
    known: dict[int, int] = {}

    def size(tree: int) -> int:
        if tree not in known:
            known[tree] = store.trees.size(tree)[1]
        return known[tree]

    return size


def _row(commit: "Commit", size: int, *, full: bool) -> tuple[object, ...]:
    shown = columns.size(size, exact=commit.finished is not None)
    finished = columns.when(commit.finished, full=full)
    return "default", commit.repo, commit.id, finished, shown, commit.origin, "", commit.description


def _show_commits(store: "Store", arguments: argparse.Namespace, found: "Sequence[Commit]") -> None:
    sized = _sizes(store)
    show(
        arguments,
        (message.commit_message(commit, sized(commit.tree)) for commit in found),
        COMMIT_HEADER,
        (_row(commit, sized(commit.tree), full=arguments.full_timestamps) for commit in found),
    )


def inspect_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Describe one commit, or list those of a set."""
    store = session.store
    if is_commit_id(arguments.commit):
        _show_commits(store, arguments, _set(store, arguments.commit))
        return
    commit = repos.find_commit(store, parse_commit(arguments.commit))
    count, size = store.trees.size(commit.tree)
    used = store.provenance(commit.repo, commit.id)
    full = arguments.full_timestamps
    lines = [
        f"Commit: {commit.repo}@{commit.id}",
        f"Original Branch: {commit.branch}",
        f"Description: {commit.description or '-'}",
        f"Parent: {commit.parent or '-'}",
        f"Origin: {commit.origin}",
        f"Started: {columns.when(commit.started, full=full)}",
        f"Finished: {columns.when(commit.finished, full=full) or 'not yet'}",
        f"Files: {count}",
        f"Size: {columns.size(size, exact=commit.finished is not None)}",
        *([f"Error: {commit.error}"] if commit.error else []),
        *(f"Provenance: {repo}@{branch} ({id_})" for (repo, branch), id_ in used.items()),
    ]
    show(arguments, [describe.commit(store, commit)], lines=lines)


def wait_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Run jobs until a commit, or all of a set, are finished."""
    session.run_jobs()
    store = session.store
    if is_commit_id(arguments.commit):
        found = _set(store, arguments.commit)
    else:
        found = [repos.find_commit(store, parse_commit(arguments.commit))]
    still_open = [f"{commit.repo}@{commit.id}" for commit in found if commit.finished is None]
    if still_open:
        raise CommitStateError(
            f"{', '.join(still_open)} waits for an open commit; finish it with `localpach finish commit`"
        )
    _show_commits(store, arguments, found)


def subscribe_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Print commits as they are finished, oldest first, until Ctrl-C."""
    if arguments.new and arguments.after:
        session.usage_error("--new and --from exclude each other")
    store = session.store
    branch = parse_commit(arguments.commit)
    store.repo(branch.repo)
    if not arguments.raw:
        print(" ".join(COMMIT_HEADER), flush=True)
    shown = 0
    for commit in _as_they_finish(store, branch.repo, _known(store, branch.repo, arguments)):
        if arguments.origin not in (None, commit.origin) or ("@" in arguments.commit and commit.branch != branch.name):
            continue
        size = store.trees.size(commit.tree)[1]
        if arguments.raw:
            show(arguments, [message.commit_message(commit, size)])
        else:
            print(" ".join(str(cell) or "-" for cell in _row(commit, size, full=True)), flush=True)
        shown += 1
        if shown == arguments.number:
            return


def _known(store: "Store", repo: str, arguments: argparse.Namespace) -> set[str]:
    """Return the commits that are not to be printed: all that there are, or those up to one."""
    if arguments.new:
        return {commit.id for commit in store.commits(repo) if commit.finished is not None}
    if arguments.after:
        last = repos.find_commit(store, parse_commit(f"{repo}@{arguments.after.rpartition('@')[2]}"))
        return {commit.id for commit in repos.ancestry(store, last)}
    return set()


def _as_they_finish(store: "Store", repo: str, known: set[str]) -> "Iterator[Commit]":
    try:
        while True:
            for commit in reversed(store.commits(repo)):
                if commit.finished is not None and commit.id not in known:
                    known.add(commit.id)
                    yield commit
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def find_commit(session: Session, arguments: argparse.Namespace) -> None:
    """Find the commits, from one back, in which a file was put, changed or deleted."""
    store = session.store
    address = parse_file(arguments.file)
    if not address.path:
        session.usage_error(f"{arguments.file} names no path")
    line = repos.ancestry(store, repos.find_commit(store, address.commit))
    digests = [store.trees.entry(commit.tree, address.path) for commit in line]
    found = [
        commit
        for commit, here, before in zip(line, digests, [*digests[1:], None], strict=True)
        if (here and here.digest) != (before and before.digest)
    ]
    found = list(_first(found, arguments.limit))
    lines = ["FOUND IN COMMITS", *(commit.id for commit in found)] if found else ["no commits found."]
    messages = [{"found_commit": message.commit_ref(each.repo, each.id)} for each in found]
    show(arguments, messages, lines=[*lines, "", "LAST SEARCHED COMMIT", line[-1].id])
