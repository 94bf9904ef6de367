"""A set of MIDI files to train on and to measure with: a folder whose `manifest.csv` says what each may be used for."""

import csv
from collections.abc import Sequence
from pathlib import Path

from ambient.errors import InputError

MANIFEST = "manifest.csv"


def read_manifest(folder: Path, split: str, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the lines of a set's manifest that belong to one split, in their order.

    Args:
        folder: Holds the manifest, and the files at the paths that it names.
        split: `train`, `valid` or `test`.
        columns: What it must tell of each file besides `path` and `split`.

    Raises:
        InputError: the manifest cannot be read, lacks a column, or has no piece of the split.
    """
    manifest = folder / MANIFEST
    needed = ("path", "split", *columns)
    try:
        with manifest.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            folder, f"no {MANIFEST} that can be read ({error})", "expected a MIDI set", "Check the folder"
        ) from error
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(manifest, f"no column {missing[0]}", f"expected {', '.join(needed)}", "Add it")
    chosen = [row for row in rows if row["split"] == split]
    if not chosen:
        raise InputError(manifest, f"no piece of split {split}", "expected at least one", "Check the folder")
    return chosen
