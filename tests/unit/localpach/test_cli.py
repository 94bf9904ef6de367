"""The program as a person types it: words, columns, exit codes, one-line errors."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import localpach
from localpach.cli import main
from localpach.cli.progress import Console


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run one command in an empty folder; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCALPACH_STATE", raising=False)

    def call(*words):
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def documents(text):
    """The JSON documents of a stream, as `pachctl --raw` prints them."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


@pytest.fixture
def raw(run):
    """Run one command with --raw; gives its documents."""

    def call(*words):
        code, out, error = run(*words, "--raw", "-o", "json")
        assert code == 0, error
        return documents(out)

    return call


def write_spec(folder, name, repo, script, **more):
    fields = {"pipeline": {"name": name}, "transform": {"cmd": ["sh", "-c", script], **more.pop("transform", {})}}
    fields |= {"input": {"pfs": {"repo": repo, "glob": more.pop("glob", "/*")}}, **more}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(fields))
    return str(path)


@pytest.fixture
def chain(run, tmp_path):
    """Songs `a` and `b` in the repo `songs`, pipeline `loud` over it and `sum` over that."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    loud = write_spec(tmp_path, "loud", "songs", "tr a-z A-Z < $songs > /pfs/out/$(basename $songs)", autoscaling=True)
    total = write_spec(tmp_path, "sum", "loud", "cat /pfs/loud/* > /pfs/out/all", glob="/")
    assert run("create", "repo", "songs")[0] == 0
    assert run("put", "file", "songs@master", "-f", "a", "-f", "b")[0] == 0
    code, out, shown = run("create", "pipeline", "-f", total, "-f", loud)
    assert (code, out) == (0, "")
    return shown


def test_a_chain_runs_in_the_foreground_and_names_its_datums(run, chain, tmp_path):
    lines = [line.split("  ")[0] if line.startswith("loud: succ") else line for line in chain.splitlines()]
    assert lines[0] == "loud: ignored on one machine: autoscaling"
    assert lines[1].startswith("loud: running 2 of 2 datums (job ")
    assert [line.split()[:2] for line in lines[2:4]] == [["ran", "/a"], ["ran", "/b"]]
    assert lines[4].startswith("loud: success, 2 processed, 0 skipped of 2 in ")
    assert run("get", "file", "sum@master:/all")[1] == "AB"
    (tmp_path / "c").write_text("c")
    code, _, shown = run("put", "file", "songs@master", "-f", "c")
    assert code == 0
    assert "ignored" not in shown
    assert "  skipped   2: /a, /b\n" in shown
    assert "  ran       /c" in shown
    assert "loud: success, 1 processed, 2 skipped of 3" in shown
    run("delete", "file", "songs@master:/c")
    assert run("get", "file", "sum@master:/all")[1] == "AB"


@pytest.mark.usefixtures("chain")
def test_listings_have_pachctls_columns(run):
    def header(*words):
        return run(*words)[1].splitlines()[0].split()

    assert header("list", "repo") == ["PROJECT", "NAME", "CREATED", "SIZE", "(MASTER)", "DESCRIPTION"]
    assert header("list", "file", "songs@master") == ["SIZE", "NAME"]
    assert header("list", "branch", "songs") == ["BRANCH", "HEAD", "TRIGGER", "CREATOR", "CREATED"]
    assert header("list", "job") == ["ID", "SUBJOBS", "PROGRESS", "CREATED", "MODIFIED"]
    jobs = ["PROJECT", "PIPELINE", "ID", "STARTED", "DURATION", "RESTART", "PROGRESS", "DL", "UL", "STATE"]
    assert header("list", "job", "-p", "sum") == jobs
    assert header("list", "datum", "loud") == ["ID", "FILES", "STATUS", "TIME"]
    assert header("list", "commit") == ["ID", "SUBCOMMITS", "PROGRESS", "CREATED", "MODIFIED"]
    commits = ["PROJECT", "REPO", "COMMIT", "FINISHED", "SIZE", "ORIGIN", "CREATOR", "DESCRIPTION"]
    assert header("list", "commit", "songs@master") == commits
    pipelines = ["PROJECT", "NAME", "VERSION", "INPUT", "CREATED", "STATE", "/", "LAST", "JOB", "ALERTS", "DESCRIPTION"]
    assert header("list", "pipeline") == pipelines
    assert header("diff", "file", "songs@master", "--name-only") == ["OP", "SIZE", "NAME"]
    assert header("list", "project") == ["ACTIVE", "PROJECT", "CREATED", "DESCRIPTION"]
    assert run("glob", "file", "songs@master:/[a]")[1].splitlines()[1].split() == ["1B", "/a"]
    assert run("draw", "pipeline")[1].split() == ["songs", "└─▶", "loud", "└─▶", "sum"]


@pytest.mark.usefixtures("chain")
def test_raw_prints_a_document_for_each_thing(raw):
    (newest,) = raw("list", "job", "-p", "loud")
    assert newest["job"]["pipeline"]["name"] == "loud"
    assert (newest["state"], newest["data_processed"]) == ("JOB_SUCCESS", "2")
    assert [each["file"]["path"] for each in raw("list", "file", "songs@master")] == ["/a", "/b"]
    assert raw("inspect", "pipeline", "sum")[0]["pipeline"]["name"] == "sum"


@pytest.mark.usefixtures("chain")
def test_one_thing_is_described_by_inspect(run, raw):
    head = raw("list", "job", "-p", "loud")[0]["job"]["id"]
    for words in (("repo", "songs"), ("branch", "songs@master"), ("file", "songs@master:/a"), ("commit", "sum@master")):
        assert run("inspect", *words)[0] == 0
    assert "Processed: 2" in run("inspect", "job", f"loud@{head}")[1]
    assert "Why: new" in run("inspect", "datum", f"loud@{head}", "/a")[1]
    assert "Provenance: songs@master" in run("inspect", "commit", "loud@master")[1]
    assert run("why", "loud", "/a")[1].splitlines()[1] == "  success   /a: new"


def test_recovered_and_failed_datums_show_the_reason(run, tmp_path):
    script = "echo 'not music' >&2; exit 1"
    (tmp_path / "a").write_text("a")
    run("create", "repo", "songs")
    run("put", "file", "songs@master", "-f", "a")
    kind = write_spec(tmp_path, "kind", "songs", script, transform={"err_cmd": ["true"]}, datum_tries=1)
    code, _, shown = run("create", "pipeline", "-f", kind)
    assert code == 0
    assert ": not music" in next(line for line in shown.splitlines() if line.startswith("  recovered /a"))
    assert "not music" in run("logs", "-p", "kind")[1]
    assert "recovered" in run("list", "datum", "kind")[1]
    strict = write_spec(tmp_path, "strict", "songs", script, datum_tries=1)
    code, _, shown = run("create", "pipeline", "-f", strict)
    assert code == 1
    assert "  FAILED    /a" in shown
    last = shown.splitlines()[-1]
    assert last.startswith("error: 1 of 1 jobs did not succeed, first strict@")
    assert "not music" in last


def test_update_says_what_it_does_not_run_again(run, chain, tmp_path):
    changed = write_spec(tmp_path, "loud", "songs", "cat $songs > /pfs/out/$(basename $songs)")
    assert (
        "loud: spec changed, 2 datums kept; --reprocess re-runs them\n" in run("update", "pipeline", "-f", changed)[2]
    )
    assert run("get", "file", "sum@master:/all")[1] == "AB"
    run("update", "pipeline", "-f", changed, "--reprocess")
    assert run("get", "file", "sum@master:/all")[1] == "ab"


@pytest.mark.usefixtures("chain")
def test_datum_can_be_restarted_by_its_path(run):
    shown = run("restart", "datum", "loud", "/a")[2]
    assert "/a: restarted by hand" in run("why", "loud", "/a")[1]
    assert "  ran       /a" in shown
    assert "loud: success, 1 processed, 1 skipped of 2" in shown


@pytest.mark.usefixtures("chain")
def test_stop_start_wait_and_delete(run, raw):
    assert run("stop", "pipeline", "loud")[0] == 0
    assert "paused" in run("list", "pipeline")[1]
    assert run("start", "pipeline", "loud")[0] == 0
    newest = raw("list", "job", "-p", "loud")[0]["job"]["id"]
    assert run("wait", "job", newest)[0] == 0
    assert run("wait", "commit", "sum@master")[0] == 0
    assert run("delete", "pipeline", "loud")[::2] == (
        1,
        "error: pipeline loud is needed by sum; delete these first, or use --force\n",
    )
    assert run("delete", "pipeline", "sum")[0] == 0
    assert run("delete", "pipeline", "loud")[0] == 0
    assert [each["repo"]["name"] for each in raw("list", "repo")] == ["songs"]


def test_open_commit_waits_and_finishing_runs_it(run, chain, tmp_path):
    code, id_, _ = run("start", "commit", "songs@master", "-m", "two more")
    assert code == 0
    assert len(id_.strip()) == 32
    run("put", "file", "songs@master", "-f", "a")
    code, _, error = run("wait", "commit", "sum@master")
    assert code == 1
    assert "waits for an open commit" in error
    code, _, shown = run("finish", "commit", "songs@master")
    assert code == 0
    assert "loud: success" in shown
    assert "two more" in run("list", "commit", "songs@master")[1]


def test_spec_is_previewed_without_being_created(run, chain, tmp_path):
    spec = write_spec(tmp_path, "other", "songs", "true", glob="/")
    assert run("validate", "pipeline", "-f", spec)[1] == f"{spec}: pipeline other is valid\n"
    assert run("list", "datum", "-f", spec)[1].splitlines()[1].split()[1].startswith("default/songs@")
    assert run("create", "pipeline", "-f", spec, "--dry-run")[0] == 0
    assert "other" not in run("list", "pipeline")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("list", "file", "nope@master"), "repo nope not found; make it with `localpach create repo nope`"),
        (("create", "repo", "songs"), "repo songs already exists"),
        (("create", "repo", "my songs"), "repo name 'my songs' is refused; use letters, digits, - and _"),
        (
            ("get", "file", "songs@master:/x"),
            "file songs@master:/x not found; `localpach list file songs@master:/` shows",
        ),
        (("get", "file", "songs@dev:/a"), "branch songs@dev not found; the repo has master"),
        (("inspect", "job", "loud@1234"), "job loud@1234 not found"),
        (("inspect", "job", "nope"), "pipeline nope not found; `localpach list pipeline` shows those there are"),
        (("list", "datum", "nope@1234"), "pipeline nope not found; `localpach list pipeline` shows those there are"),
        (("inspect", "repo", "song"), "repo song not found; did you mean songs?"),
        (("list", "file", "other.spec@master"), "repo other.spec not found; `localpach list repo --all` shows those"),
        (("--state", "a", "list", "repo"), "no state in a; begin with"),
        (("--state", "a", "create", "repo", "x"), "state folder a: is a file; use another --state folder"),
        (("create", "pipeline", "-f", "orphan.json", "--dry-run"), "repo nowhere not found; pipeline orphan in orphan"),
        (("create", "pipeline", "-f", "loud.json", "--dry-run"), "pipeline loud already exists; use `update pipeline`"),
        (("put", "file", "songs@master:/a?", "-f", "a"), "file name '/a?' is refused: it holds '?'"),
        (("create", "repo", "new", "-d", "caf\udce9"), r"'\udce9' is no character of UTF-8"),
        (("create", "pipeline", "-f", "missing.json"), "missing.json: $: cannot be read: No such file or directory"),
        (
            ("create", "pipeline", "-f", "orphan.json"),
            "repo nowhere not found; pipeline orphan in orphan.json reads it; make it with `localpach create",
        ),
        (("create", "pipeline", "-f", "loud.json"), "pipeline loud already exists; use `update pipeline`"),
    ],
)
@pytest.mark.usefixtures("chain")
def test_error_is_one_line_and_exit_1(run, tmp_path, words, message):
    write_spec(tmp_path, "orphan", "nowhere", "true")
    code, out, error = run(*words)
    assert (code, out) == (1, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("list",), ("put", "file", "songs@master"), ("get", "file", "songs@master:/", "-r"), ("logs",)],
)
def test_wrong_usage_exits_2(run, words):
    run("create", "repo", "songs")
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2


def test_listing_in_a_folder_without_state_says_so_and_makes_none(run, tmp_path):
    code, _, error = run("list", "repo")
    assert code == 1
    assert "begin with `localpach create repo NAME`" in error
    assert list(tmp_path.iterdir()) == []


def test_state_folder_by_flag_or_variable(run, tmp_path, monkeypatch):
    run("--state", str(tmp_path / "one"), "create", "repo", "a")
    monkeypatch.setenv("LOCALPACH_STATE", str(tmp_path / "two"))
    run("create", "repo", "b")
    assert "a " in run("--state", str(tmp_path / "one"), "list", "repo")[1]
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_interrupted_run_says_so_keeps_what_is_done_and_goes_on(run, raw, tmp_path, wait_until):
    marker, blocked = tmp_path / "marker", tmp_path / "blocked"
    blocked.touch()
    for name in "ab":
        (tmp_path / name).write_text(name)
    run("create", "repo", "songs")
    run("put", "file", "songs@master", "-f", "a", "-f", "b")
    script = f"test -e /pfs/songs/b && test -e {blocked} && touch {marker} && sleep 1000; cp /pfs/songs/* /pfs/out"
    spec = write_spec(tmp_path, "slow", "songs", script)
    source = str(Path(localpach.__file__).parent.parent)
    program = subprocess.Popen(
        [sys.executable, "-m", "localpach", "create", "pipeline", "-f", spec],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    wait_until(marker.exists, program)
    program.send_signal(signal.SIGINT)
    shown = program.communicate(timeout=30)[1]
    assert program.returncode == 130
    assert "stopped; finished datums are kept" in shown
    assert "Traceback" not in shown
    code, out, note = run("list", "datum", "slow")
    assert (code, [line.split()[1].partition(":")[2] for line in out.splitlines()[1:]]) == (0, ["/a"])
    assert "note: job slow@" in note
    blocked.unlink()
    (newest,) = raw("list", "job", "-p", "slow")
    assert newest["state"] == "JOB_RUNNING"
    shown = run("wait", "job", f"slow@{newest['job']['id']}")[2]
    assert "ran       /b" in shown
    assert "ran       /a" not in shown
    assert run("get", "file", "slow@master:/b")[1] == "b"


def test_command_whose_jobs_another_process_runs_tells_how_they_ended(run, tmp_path, monkeypatch, wait_until):
    started, blocked = tmp_path / "started", tmp_path / "blocked"
    blocked.touch()
    (tmp_path / "good").write_text("good")
    (tmp_path / "bad").write_text("bad")
    run("create", "repo", "songs")
    run("put", "file", "songs@master", "-f", "good")
    script = (
        f"touch {started}; for i in $(seq 3000); do test -e {blocked} || break; sleep 0.02; done; ! grep -q bad $songs"
    )
    spec = write_spec(tmp_path, "slow", "songs", script, datum_tries=1)
    source = str(Path(localpach.__file__).parent.parent)
    first = subprocess.Popen(
        [sys.executable, "-m", "localpach", "create", "pipeline", "-f", spec],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    wait_until(started.exists, first)
    note = Console.note

    def unblock(console, message):
        note(console, message)
        if "waiting for it" in message:
            blocked.unlink()

    monkeypatch.setattr(Console, "note", unblock)
    code, _, shown = run("put", "file", "songs@master", "-f", "bad")
    first.communicate(timeout=30)
    assert code == 1
    assert "slow: failure, 0 processed, 1 skipped, 1 failed of 2" in shown
    assert shown.splitlines()[-1].startswith("error: 1 of 2 jobs did not succeed, first slow@")
    assert "datum /bad failed: exit code 1" in shown


@pytest.mark.usefixtures("chain")
def test_datum_is_found_by_its_path_with_or_without_the_slash(run):
    assert run("why", "loud", "a") == run("why", "loud", "/a")
    assert run("why", "loud", "x")[0] == 1


@pytest.mark.usefixtures("chain")
def test_pipeline_alone_means_its_newest_job(run):
    newest = run("list", "job", "-p", "loud")[1].split("\n")[1].split()[2]
    assert f"ID: {newest}\n" in run("inspect", "job", "loud")[1]
    assert newest in run("wait", "job", "loud")[1]
    assert run("stop", "job", "loud")[0] == 0


@pytest.mark.usefixtures("chain")
def test_logs_of_a_pipeline_whose_newest_job_waits_are_those_of_the_job_before(run):
    run("start", "commit", "songs@master")
    assert "created" in run("list", "job", "-p", "loud")[1]
    assert "== /a (success)" in run("logs", "-p", "loud")[1]


@pytest.mark.usefixtures("chain")
def test_change_that_makes_a_commit_with_an_error_says_why_after_its_jobs(run):
    code, out, error = run("put", "file", "songs@master:/a/below", "-f", "b")
    assert (code, out) == (1, "")
    assert "loud: unrunnable" in error
    assert error.splitlines()[-1].endswith("is finished with an error: /a is both a file and a directory")
    assert "unrunnable" in run("list", "job", "-p", "sum")[1]  # nothing is left to be run
    code, _, error = run("copy", "file", "songs@master:/b", "songs@master:/b/below")
    assert (code, error.splitlines()[-1].endswith("/b is both a file and a directory")) == (1, True)


def test_dry_run_makes_no_state_and_runs_nothing(run, tmp_path):
    spec = write_spec(tmp_path, "loud", "songs", "true")
    assert run("create", "pipeline", "-f", spec, "--dry-run") == (0, "", "")
    assert not (tmp_path / ".localpach").exists()


@pytest.mark.usefixtures("chain")
def test_dry_run_of_an_update_leaves_the_versions_and_the_jobs(run, tmp_path):
    before = run("list", "job", "--full-timestamps")[1], run("list", "pipeline", "--raw")[1]
    write_spec(tmp_path, "loud", "songs", "true")
    assert run("update", "pipeline", "-f", "loud.json", "--reprocess", "--dry-run") == (0, "", "")
    assert (run("list", "job", "--full-timestamps")[1], run("list", "pipeline", "--raw")[1]) == before


@pytest.mark.usefixtures("chain")
def test_job_whose_secret_is_gone_waits_and_the_others_run(run, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"metadata": {"name": "S"}, "stringData": {"k": "v"}}))
    run("create", "secret", "-f", "s.json")
    secret = {"secrets": [{"name": "S", "key": "k", "env_var": "K"}]}
    spec = write_spec(tmp_path, "needs", "songs", "cp $songs /pfs/out", transform=secret)
    assert run("create", "pipeline", "-f", spec)[0] == 0
    run("delete", "secret", "S")
    (tmp_path / "c").write_text("c")
    code, _, error = run("put", "file", "songs@master", "-f", "c")
    assert code == 1
    assert "loud: success" in error
    assert error.splitlines()[-1].startswith("error: secret S not found")
    run("create", "secret", "-f", "s.json")
    assert "needs: success" in run("wait", "job", "needs")[2]


@pytest.mark.usefixtures("chain")
def test_program_that_cannot_be_started_is_told_without_the_words_of_python(run, tmp_path):
    write_spec(tmp_path, "lost", "songs", "true", transform={"cmd": ["no-such-program"]}, glob="/")
    error = run("create", "pipeline", "-f", "lost.json")[2]
    assert "no-such-program: cannot be started: No such file or directory\n" in error
    write_spec(tmp_path, "lost", "songs", "true", transform={"working_dir": "/pfs/nowhere"}, glob="/")
    error = run("update", "pipeline", "-f", "lost.json")[2]
    assert "sh: cannot be started: working_dir /pfs/nowhere: No such file or directory\n" in error


def test_wrong_usage_shows_the_flags_of_the_command(run, capsys):
    with pytest.raises(SystemExit):
        run("get", "file", "-r", "songs@master:/")
    assert "usage: localpach get file" in capsys.readouterr().err


@pytest.mark.usefixtures("chain")
def test_program_sees_the_commit_of_its_spec(run, tmp_path):
    spec = write_spec(tmp_path, "env", "songs", "echo $PPS_SPEC_COMMIT > /pfs/out/commit", glob="/")
    run("create", "pipeline", "-f", spec)
    seen = run("get", "file", "env@master:/commit")[1].strip()
    assert seen in run("list", "commit", "env.spec@master")[1]
    datum = run("list", "datum", "env")[1].split("\n")[1].split()[0]
    assert f"PPS_SPEC_COMMIT={seen}\n" in run("get", "file", f"env.meta@master:/pfs/{datum}/.env")[1]


@pytest.mark.usefixtures("chain")
def test_executor_that_is_not_known_is_told_before_anything_is_changed(run, monkeypatch):
    before = run("list", "commit", "--full-timestamps")[1]
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "boat")
    code, _, error = run("put", "file", "songs@master", "-f", "a")
    assert (code, error) == (1, "error: executor 'boat' is not known; expected process or container\n")
    assert run("list", "commit", "--full-timestamps")[1] == before
