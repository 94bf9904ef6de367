"""Listings write sizes, ages, states and inputs in pachctl's words."""

import pytest

from localpach.cli import columns
from localpach.storage.records import Counts, Job

MINUTE, HOUR, DAY = 60, 3_600, 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-3, "Less than a second"),
        (0.4, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE - 1, "About a minute"),
        (59 * MINUTE, "59 minutes"),
        (HOUR, "About an hour"),
        (2 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (700 * DAY, "23 months"),
        (800 * DAY, "2 years"),
    ],
)
def test_span_is_in_pachctls_words(seconds, text):
    assert columns.span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1KiB"),
        (1536, "1.5KiB"),
        (5 << 20, "5MiB"),
        (3 << 30, "3GiB"),
        (1 << 50, "1024TiB"),
    ],
)
def test_size_is_in_binary_units(count, text):
    assert columns.size(count) == text
    assert columns.size(count, exact=False) == f"≤ {text}"


@pytest.mark.parametrize(
    ("state", "reason", "counts", "shown"),
    [
        ("success", "", Counts(processed=1, skipped=2, total=3), "success"),
        ("success", "", Counts(skipped=3, total=3), "success: there were no datums to process"),
        ("success", "", Counts(), "success: there were no datums to process"),
        ("success", "", Counts(recovered=1, total=1), "success"),
        ("killed", "stopped by hand", Counts(), "killed: stopped by hand"),
        ("failure", "datum /song.wav failed: no music", Counts(total=1), "failure: datum /song.wav failed: n..."),
    ],
)
def test_state_comes_with_the_first_25_characters_of_its_reason(state, reason, counts, shown):
    assert columns.job_state(Job("midi", "0" * 32, 1, state, reason, 0.0, 1.0, 2.0, counts)) == shown


def test_progress_names_recovered_datums_only_if_there_are_any():
    assert columns.job_progress(Counts(1, 2, 0, 0, 3)) == "1 + 2 / 3"
    assert columns.job_progress(Counts(1, 2, 3, 0, 6)) == "1 + 2 + 3 / 6"


PFS = {"pfs": {"repo": "songs", "glob": "/*"}}
CRON = {"cron": {"name": "tick", "spec": "@daily"}}


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (PFS, "default/songs:/*"),
        (CRON, "tick:@daily"),
        ({"cross": [PFS, CRON]}, "(default/songs:/* ⨯ tick:@daily)"),
        ({"join": [PFS, PFS]}, "(default/songs:/* ⋈ default/songs:/*)"),
        ({"group": [PFS, PFS]}, "(Group: default/songs:/*, default/songs:/*)"),
        ({"union": [PFS, {"cross": [PFS, CRON]}]}, "(default/songs:/* ∪ (default/songs:/* ⨯ tick:@daily))"),
    ],
)
def test_input_is_written_in_one_line(node, text):
    assert columns.shorthand(node) == text


def test_table_pads_columns_and_shows_what_is_unset():
    assert columns.table(("A", "LONG"), [("word", None), ("", 0)]) == "A    LONG\nword -\n-    0"
