"""Words of pachctl that one machine has no use for: each is refused by name, with what to do instead."""

_ACCESS = "there are no users here; access is that of the files"
_LICENCE = "nothing here needs a licence"
_CLUSTER = "there is no cluster to reach; `--state DIR` names the state folder"
_LOGS = "`localpach logs` shows what programs wrote"
_TRANSACTION = "each command is one transaction; `localpach start commit` collects changes in one commit"
_FILES = "`localpach get file -r R@b:/ -o DIR` writes files to a folder"

# A verb, a noun, or both -> what to do instead, or why there is nothing to do.
UNSUPPORTED = {
    "auth": _ACCESS,
    "idp": _ACCESS,
    "role-binding": _ACCESS,
    "enterprise": _LICENCE,
    "license": _LICENCE,
    "connect": _CLUSTER,
    "port-forward": _CLUSTER,
    "debug": _LOGS,
    "kube-events": _LOGS,
    "loki": _LOGS,
    "check": "`localpach list pipeline` shows how pipelines are",
    "mount": _FILES,
    "unmount": _FILES,
    "misc": "it looks into the inside of a cluster",
    "completion": "`localpach --help` lists the words",
    "buildinfo": "`localpach version` says which version runs",
    "resume": _TRANSACTION,
    "transaction": _TRANSACTION,
    "defaults": "a spec says everything about its pipeline",
    "update project": "there is one project, default",
    "delete project": "there is one project, default; `localpach delete all` empties it",
    "snapshot": "copy the state folder while nothing runs",
    "restart cluster": "nothing runs between two commands",
    "task": "`localpach list job` shows what ran and what waits",
    "pfs-load-test": "it measures a cluster",
    "pps-load-test": "it measures a cluster",
}


def why_unsupported(verb: str, noun: str) -> str | None:
    """Say why a command of pachctl is not here; None if it is no word of pachctl."""
    both = f"{verb} {noun}".strip()
    for words in (both, both.removesuffix("s"), verb, noun, noun.removesuffix("s")):
        if words in UNSUPPORTED:
            shown = both if noun.isidentifier() or "-" in noun else verb
            return f"pachctl's `{shown}` has no meaning on one machine: {UNSUPPORTED[words]}"
    return None
