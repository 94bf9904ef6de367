"""What a person sees while jobs run."""

import io
from dataclasses import replace

import pytest

from localpach.cli.progress import Console
from localpach.running.execute import last_line
from localpach.storage.records import Counts, DatumRecord, Job

JOB = Job("midi", "0" * 32, 1, "running", "", 0.0, 1.0, 3.0, Counts(processed=1, total=1))
UNRUNNABLE = Job("sum", "0" * 32, 1, "unrunnable", "unrunnable because midi failed", 0.0, None, 3.0, Counts())


def record(state, reason=""):
    return DatumRecord("id", 0, "hash", "/a.wav", (), state, "new", reason, 1.0, 1, JOB.id, 1)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_counter_that_is_overwritten():
    stream = Terminal()
    console = Console(stream)
    console.job_started(JOB, 1, 0)
    console.tick(JOB, "epoch 3 of 40")
    assert "\r\033[K  midi: 0/1 datums, 0.0s  epoch 3 of 40" in stream.getvalue()
    console.datum_ended(JOB, record("success"))
    assert stream.getvalue().endswith("\r\033[K  ran       /a.wav  1.0s\n")


def test_a_log_file_gets_plain_lines_only():
    stream = io.StringIO()
    console = Console(stream)
    console.job_started(JOB, 1, 0)
    console.tick(JOB, "epoch 3 of 40")
    console.datum_ended(JOB, record("failed", "no music"))
    assert stream.getvalue().splitlines()[1:] == ["  FAILED    /a.wav  1.0s: no music"]
    assert "\r" not in stream.getvalue()


@pytest.mark.parametrize(
    ("todo", "done", "line"),
    [
        (6, 0, f"midi: running 6 of 6 datums (job {JOB.id})"),
        (2, 4, f"midi: running 2 of 6 datums, 4 done before (job {JOB.id})"),
        (0, 0, f"midi: running 0 of 6 datums (job {JOB.id})"),
    ],
)
def test_a_job_says_first_what_it_will_run(todo, done, line):
    stream = io.StringIO()
    Console(stream).job_started(replace(JOB, counts=Counts(total=6)), todo, done)
    assert stream.getvalue() == line + "\n"


def test_a_job_without_datums_says_only_how_it_ended():
    stream = io.StringIO()
    Console(stream).job_started(replace(JOB, counts=Counts()), 0, 0)
    assert stream.getvalue() == ""


def test_a_job_that_cannot_run_says_why_and_no_counts():
    stream = io.StringIO()
    Console(stream).job_ended(UNRUNNABLE, [])
    assert stream.getvalue() == "sum: unrunnable because midi failed\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("one\ntwo\n", "two"), ("one\n\n", "one"), ("1/3\r2/3\r", "2/3"), ("begun\nhalf", "half")],
)
def test_last_line_of_a_log_is_what_a_terminal_would_show(tmp_path, text, shown):
    (tmp_path / "log").write_text(text, newline="")
    assert last_line(tmp_path / "log") == shown
    assert last_line(tmp_path / "missing") == ""


def test_a_long_put_overwrites_one_line_of_a_terminal_and_spares_a_log_file():
    stream, log = Terminal(), io.StringIO()
    for console in (Console(stream), Console(log)):
        console.counter("put 1/2 files, 3B")
        console.clear()
    assert stream.getvalue() == "\r\033[K  put 1/2 files, 3B\r\033[K"
    assert log.getvalue() == ""
