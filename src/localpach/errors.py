"""What can go wrong for a user of localpach, one class a failure; each composes its own sentence."""

from collections.abc import Iterable


class LocalpachError(Exception):
    """Something a person asked for cannot be done; the message is one line and says why."""


class NotFoundError(LocalpachError):
    """A repo, branch, commit, file, pipeline, job or datum is not there."""

    def __init__(self, kind: str, name: str, remedy: str = "") -> None:
        super().__init__(f"{kind} {name} not found" + (f"; {remedy}" if remedy else ""))


class AlreadyExistsError(LocalpachError):
    """Something of that name is there already."""

    def __init__(self, kind: str, name: str, remedy: str = "") -> None:
        super().__init__(f"{kind} {name} already exists" + (f"; {remedy}" if remedy else ""))


class NameRefusedError(LocalpachError):
    """A repo, branch or pipeline name that Pachyderm would not take."""

    def __init__(self, kind: str, name: str, rule: str) -> None:
        super().__init__(f"{kind} name {name!r} is refused; {rule}")


class FileNameError(LocalpachError):
    """A path inside a repo that Pachyderm would not take; `safe` is one that it would."""

    def __init__(self, path: str, problem: str, safe: str = "") -> None:
        super().__init__(
            f"file name {path!a} is refused: {problem}; expected printable ASCII without * ? [ ] {{ }} ! ( ) @ + ^ "
            "and without . or .. elements. Rename the file" + (f", to {safe!r} for example" if safe else "")
        )


class SourceError(LocalpachError):
    """A file that is to be put cannot be read or is no plain file."""

    def __init__(self, source: object, problem: str) -> None:
        super().__init__(f"{source}: {problem}; nothing was put")


class LeftOutError(LocalpachError):
    """Some files of a directory could not be put; each was named, and the others are put."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} could not be put; the others are. See the lines above")


class DirectoryError(LocalpachError):
    """A directory where one file was meant."""

    def __init__(self, place: object, remedy: str) -> None:
        super().__init__(f"{place} is a directory; {remedy}")


class AddressError(LocalpachError):
    """Text that does not name a place as `repo@branch:/path` does."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(f"{text!r} names no place; expected {expected}")


class GlobError(LocalpachError):
    """A glob pattern that cannot be read."""

    def __init__(self, pattern: str, problem: str) -> None:
        super().__init__(f"glob {pattern!r}: {problem}")


class ScheduleError(LocalpachError):
    """A cron expression that cannot be read."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"schedule {text!r}: {problem}")


class SpecError(LocalpachError):
    """A pipeline spec that cannot be used; names the place in the file.

    Args:
        where: Path of the field, such as `$.input.cross[1].pfs.globb`.
        problem: What is wrong with it.
        source: The file, if the spec came from one.
    """

    def __init__(self, where: str, problem: str, source: str = "") -> None:
        super().__init__(f"{source}: {where}: {problem}" if source else f"{where}: {problem}")
        self.where = where
        self.problem = problem


class CycleError(LocalpachError):
    """A pipeline would read what it writes, directly or through others."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"cycle of pipelines: {' -> '.join(names)}; no repo can be made from itself, change an input")


class DependedOnError(LocalpachError):
    """Something cannot be deleted because pipelines or branches need it."""

    def __init__(self, kind: str, name: str, dependants: Iterable[str]) -> None:
        needed_by = ", ".join(dependants)
        super().__init__(f"{kind} {name} is needed by {needed_by}; delete these first, or use --force")


class CommitStateError(LocalpachError):
    """A commit is open where it must be finished, or the other way round."""


class HistoryError(LocalpachError):
    """A commit set cannot be squashed or deleted, because something would be lost or left without its origin."""

    def __init__(self, verb: str, commit: str, problem: str) -> None:
        super().__init__(f"cannot {verb} {commit}: {problem}; nothing was changed")


class OutputBranchError(LocalpachError):
    """A user may not commit to a branch that a pipeline or another branch fills."""

    def __init__(self, repo: str, branch: str) -> None:
        super().__init__(f"{repo}@{branch} has provenance: its commits are made by localpach, not by hand")


class OutputRepoError(LocalpachError):
    """The repo that a pipeline writes goes with the pipeline."""

    def __init__(self, repo: str) -> None:
        super().__init__(f"repo {repo} is written by pipeline {repo}; use `localpach delete pipeline {repo}`")


class SystemRepoError(LocalpachError):
    """A user may not change what localpach keeps of a pipeline."""

    def __init__(self, repo: str, pipeline: str) -> None:
        super().__init__(f"{repo} is kept by localpach for pipeline {pipeline}; it can be read, not changed by hand")


class TriggerError(LocalpachError):
    """A branch cannot have the trigger that is asked for."""

    def __init__(self, repo: str, branch: str, problem: str) -> None:
        super().__init__(f"{repo}@{branch} cannot have this trigger: {problem}")


class StoppedError(LocalpachError):
    """A stopped pipeline reads nothing, so it cannot run."""

    def __init__(self, pipeline: str) -> None:
        super().__init__(f"pipeline {pipeline} is stopped; start it with `localpach start pipeline {pipeline}`")


class LostInputError(LocalpachError):
    """A pipeline whose input was deleted by force reads nothing, so it cannot run."""

    def __init__(self, pipeline: str) -> None:
        super().__init__(
            f"an input of pipeline {pipeline} was deleted by force; make it again, then `localpach start pipeline "
            f"{pipeline}`, or update the pipeline to read something else"
        )


class OutputError(LocalpachError):
    """User code left something in /pfs/out that cannot become a commit."""


class DamagedObjectError(LocalpachError):
    """Stored bytes are missing or no longer have their digest."""

    def __init__(self, digest: str, problem: str) -> None:
        super().__init__(f"stored object {digest} {problem}; `localpach fsck` says what is affected and what to do")
        self.digest = digest
        self.problem = problem


class IntegrityError(LocalpachError):
    """A check of the state found problems."""

    def __init__(self, count: int, *, fixed: bool) -> None:
        remedy = "the lines say what to do" if fixed else "`localpach fsck --fix` repairs what it can"
        super().__init__(f"{count} problem{'s' if count > 1 else ''} in the state; {remedy}")


class SecretError(LocalpachError):
    """A secret that cannot be used; the message has no part of its value."""

    def __init__(self, which: str, problem: str) -> None:
        super().__init__(f"{which}: {problem}")


class EgressError(LocalpachError):
    """Results could not be pushed where the spec wants them."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"egress to {url}: {problem}")


class ExecutorError(LocalpachError):
    """Programs cannot be run as asked: no container engine, or no image."""


class StateError(LocalpachError):
    """The state folder cannot be used."""


class ServedError(LocalpachError):
    """A server runs all jobs of the state for as long as it lives, and something needs it to be away."""

    def __init__(self, holder: str, state: str) -> None:
        super().__init__(f"{holder} in {state}; stop it, then try again")


class HeldError(LocalpachError):
    """Jobs wait for something that is not there, such as an image; a server goes on with them once it is."""

    def __init__(self, job: str, reason: str) -> None:
        super().__init__(f"{job} waits: {reason}")


class ServeError(LocalpachError):
    """localpach cannot serve: a package, the address, or a token is missing."""


class UnsupportedError(LocalpachError):
    """Something that Pachyderm can do and localpach cannot."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is not here; {remedy}")


class ConfigError(LocalpachError):
    """A file of contexts, or a context, that is not as pachctl writes it."""


class OneProjectError(LocalpachError):
    """Another project than the one there is."""

    def __init__(self, name: str) -> None:
        super().__init__(f"project {name} cannot be made: there is one project, default; use another --state folder")


class CommandError(LocalpachError):
    """A program that a person asked for did not succeed."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"{command} ended with exit code {code}; nothing was changed")
