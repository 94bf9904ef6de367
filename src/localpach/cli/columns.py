"""How do listings look? pachctl's tables, and its words for sizes, ages and how jobs ended."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localpach.storage.records import Counts, Job

_SIGNS = {"cross": " ⨯ ", "join": " ⋈ ", "union": " ∪ "}
_MAX_REASON = 25  # characters, as pachctl shortens it
_BINARY = 1024
_MINUTE, _HOUR = 60, 3_600


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows in columns as wide as their widest cell; empty cells print as `-`."""
    cells = [list(header)] + [[str(cell) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    line = " ".join(f"{{:<{width}}}" for width in widths)
    return "\n".join([line.format(*row).rstrip() for row in cells])


def size(count: int, *, exact: bool = True) -> str:
    """Write a number of bytes in binary units: `512B`, `1.5KiB`; one that may still change as `≤ 1.5KiB`."""
    value = float(count)
    sign = "" if exact else "≤ "
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _BINARY:
            return f"{sign}{value:.4g}{unit}"
        value /= _BINARY
    return f"{sign}{value:.4g}TiB"


def ago(moment: float | None) -> str:
    """Write how long ago something was: `5 minutes ago`."""
    return "" if moment is None else f"{span(time.time() - moment)} ago"


def when(moment: float | None, *, full: bool) -> str:
    """Write when something was: `5 minutes ago`, or in full `2024-05-01T12:00:00Z`."""
    if moment is None or not full:
        return ago(moment)
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float | None) -> str:
    """Write how long something is in pachctl's words: `Less than a second`, `About an hour`, `3 weeks`."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    hours = int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < _MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < _HOUR:
        minutes = whole // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for unit, length, limit in (("days", 24, 24 * 14), ("weeks", 24 * 7, 24 * 60), ("months", 24 * 30, 24 * 730)):
        if hours < limit:
            return f"{hours // length} {unit}"
    return f"{hours // (24 * 365)} years"


def duration(seconds: float | None) -> str:
    """Write how long something took in few characters: `0.4s`, `12s`, `3m 5s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m {whole % 60}s"


def job_progress(counts: "Counts") -> str:
    """Write `processed + skipped / total`, with recovered in the middle if there are any."""
    recovered = f" + {counts.recovered}" if counts.recovered else ""
    return f"{counts.processed} + {counts.skipped}{recovered} / {counts.total}"


def job_state(job: "Job") -> str:
    """Write the state with the beginning of its reason."""
    if job.reason:
        short = job.reason[:_MAX_REASON].strip() + "..." if len(job.reason) >= _MAX_REASON else job.reason
        return f"{job.state}: {short}"
    if job.state == "success" and job.counts.skipped == job.counts.total:
        return "success: there were no datums to process"
    return job.state


def job_seconds(job: "Job") -> float | None:
    """Return how long a job ran; one that still runs, up to now."""
    if job.started is None:
        return None
    return (job.finished or time.time()) - job.started


def shorthand(node: dict[str, Any]) -> str:
    """Write the input of a spec in one line: `default/songs:/*`, `(a ⨯ b)`, `tick:@daily`."""
    ((kind, value),) = node.items()
    if kind == "pfs":
        return f"default/{value['repo']}:{value.get('glob', '')}"
    if kind == "cron":
        return f"{value['name']}:{value['spec']}"
    inner = [shorthand(member) for member in value]
    return f"(Group: {', '.join(inner)})" if kind == "group" else f"({_SIGNS[kind].join(inner)})"


def documents(messages: Iterable[object], output: str) -> Iterator[str]:
    """Write messages for programs, one document each, as `json` or `yaml`."""
    write: Callable[[object], str] = partial(json.dumps, indent=2)
    if output == "yaml":
        from localpach.spec.yaml_text import to_yaml

        write = to_yaml
    for message in messages:
        yield write(message)
