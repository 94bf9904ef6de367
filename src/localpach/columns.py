"""How do listings look? pachctl's columns, sizes and times as text, and rows as JSON."""

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from localpach.inputs import Combination, Input, PfsInput
from localpach.records import SUCCESS, Job

_SIGNS = {"cross": " ⨯ ", "join": " ⋈ ", "union": " ∪ "}
_MAX_REASON = 60
_BINARY = 1024


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows in columns as wide as their widest cell; empty cells print as `-`."""
    cells = [list(header)] + [[str(cell) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines)


def size(count: int) -> str:
    """Write a number of bytes in binary units: `512B`, `1.5KiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _BINARY:
            return f"{value:.4g}{unit}"
        value /= _BINARY
    return f"{value:.4g}TiB"


def ago(moment: float | None, now: float | None = None) -> str:
    """Write how long ago something was: `5 minutes ago`."""
    if moment is None:
        return ""
    seconds = int((now or time.time()) - moment)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return f"{seconds} second{'' if seconds == 1 else 's'} ago"


def duration(seconds: float | None) -> str:
    """Write how long something took: `0.4s`, `12s`, `3m 5s`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m {whole % 60}s"


def job_progress(job: Job) -> str:
    """Write `processed + skipped / total`, with recovered in the middle if there are any."""
    counts = job.counts
    recovered = f" + {counts.recovered}" if counts.recovered else ""
    return f"{counts.processed} + {counts.skipped}{recovered} / {counts.total}"


def job_state(job: Job) -> str:
    """Write the state with the beginning of its reason."""
    if job.state == SUCCESS and not job.counts.processed and not job.counts.recovered:
        return "success: there were no datums to process"
    return f"{job.state}: {job.reason[:_MAX_REASON]}" if job.reason else job.state


def job_seconds(job: Job) -> float | None:
    """Give how long a job ran; one that still runs, up to now."""
    if job.started is None:
        return None
    return (job.finished or time.time()) - job.started


def shorthand(node: Input) -> str:
    """Write an input in one line: `default/songs:/*`, `(a ⨯ b)`."""
    if isinstance(node, PfsInput):
        branch = "" if node.branch == "master" else f"@{node.branch}"
        return f"default/{node.repo}{branch}:{node.glob}"
    return _combined(node)


def _combined(node: Combination) -> str:
    inner = [shorthand(member) for member in node.members]
    return f"(Group: {', '.join(inner)})" if node.kind == "group" else f"({_SIGNS[node.kind].join(inner)})"


def as_json(value: Any) -> str:
    """Write a dataclass, or a list of them, as JSON."""
    return json.dumps(_plain(value), indent=2)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
