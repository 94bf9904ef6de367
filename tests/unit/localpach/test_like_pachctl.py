"""What Pachyderm's own tests and examples do, and localpach did otherwise once: now the same."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import localpach
from localpach.actions import pipelines, repos
from localpach.actions.files import changed
from localpach.cli import main
from localpach.errors import NameRefusedError, SpecError
from localpach.spec import spec
from localpach.spec.addresses import CommitAddress, parse_commit
from localpach.spec.globs import compile_glob

ROOT = Path(__file__).resolve().parents[3]
SPEC = {
    "pipeline": {"name": "P"},
    "transform": {"cmd": ["sh", "-c", "cp /pfs/in/* /pfs/out/"]},
    "input": {"pfs": {"repo": "in", "glob": "/*"}},
}


@pytest.fixture
def run(world, capsys):
    """Call the program; give its exit code and what it printed."""

    def call(*words):
        try:
            code = main(["--state", str(world.folder), *words])
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def stdin(monkeypatch):
    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def program(world, *words, **more):
    environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1]), **more.pop("env", {})}
    command = [sys.executable, "-m", "localpach", "--state", str(world.folder), *words]
    return subprocess.run(command, env=environment, capture_output=True, check=True, **more)


# 1


def test_stopping_a_pipeline_kills_its_unfinished_jobs(toy_pipeline):
    toy_pipeline.put("in@master", {"/more": "more"}, run=False)
    pipelines.stop_pipeline(toy_pipeline.store, "P")
    job = toy_pipeline.last()
    assert (job.state, job.reason) == ("killed", "the pipeline was stopped")
    assert toy_pipeline.store.commit("P", job.id).finished is not None
    pipelines.start_pipeline(toy_pipeline.store, "P")
    toy_pipeline.run()
    assert toy_pipeline.tree("P@master") == {"/file": "foo", "/more": "more"}


# 2


def test_new_branch_has_an_empty_head(world, run):
    world.repo("d")
    assert run("create", "branch", "d@new")[0] == 0
    code, out, _ = run("list", "file", "d@new")
    assert (code, out.split()) == (0, ["SIZE", "NAME"])
    world.put("d@new", {"/a": "A"})
    assert world.line("d@new") == 2


def test_branch_that_is_there_keeps_its_head(world):
    world.repo("d")
    world.put("d@master", {"/a": "A"})
    repos.create_branch(world.store, "d", "master")
    assert world.tree("d@master") == {"/a": "A"}


# 3


REST = '"input": {"pfs": {"repo": "in", "glob": "/*"}}}'


@pytest.mark.parametrize(
    "text",
    [
        '{\n\t"pipeline": {"name": "P",},\n\t"transform": {"cmd": ["true"],},\n\t' + REST.replace("}}}", "},},\n}"),
        '---\n{"pipeline": {"name": "P"}, "transform": {"cmd": ["true"]}, ' + REST + "\n",
        '{"pipeline": {"name": "P"}, "transform": {"cmd": ["true", "\t"]}, ' + REST,
    ],
)
def test_tabs_trailing_commas_and_document_marks_are_read(text):
    (found,) = spec.parse(text)
    assert (found.name, found.transform.cmd[0]) == ("P", "true")


def test_comma_and_bracket_in_a_string_stay():
    (found,) = spec.parse('{"pipeline": {"name": "P"}, "transform": {"cmd": ["a,]", "b\\",}"],}, ' + REST)
    assert found.transform.cmd == ("a,]", 'b",}')


def test_several_documents_are_read():
    one = json.dumps(SPEC)
    two = json.dumps({**SPEC, "pipeline": {"name": "Q"}})
    assert [each.name for each in spec.parse(f"{one}\n---\n{two}\n---\n")] == ["P", "Q"]


def test_what_is_no_json_at_all_is_told_with_its_line():
    with pytest.raises(SpecError, match=r"line 2: no JSON"):
        spec.parse('{"pipeline": {"name": "P"},\n nonsense]')


# 4


@pytest.mark.parametrize("words", [(), ("-f", "-")])
def test_specs_are_read_from_stdin(world, run, stdin, words):
    world.repo("in")
    world.put("in@master", {"/a": "A"})
    for verb in ("validate", "create", "update"):
        stdin(json.dumps(SPEC))
        assert run(verb, "pipeline", *words)[0] == 0
    assert world.records.pipeline("P").version == 2
    stdin(json.dumps(SPEC))
    code, out, _ = run("list", "datum", *words)
    assert code == 0
    assert "/a" in out


def test_person_at_a_terminal_is_told_to_name_a_spec(run, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    for verb in ("create", "update", "validate"):
        code, _, told = run(verb, "pipeline")
        assert (code, "name a spec with -f, or give it on stdin" in told) == (2, True)
    assert run("list", "datum")[0] == 2


# 5


@pytest.mark.parametrize(("text", "back"), [("r@b~", 1), ("r@b~2", 2), ("r@b~~", 2), ("r@b^~", 2), ("r@b^2", 2)])
def test_tilde_goes_back_as_the_caret_does(text, back):
    assert parse_commit(text) == CommitAddress("r", "b", back)


# 6


def test_deleting_what_is_not_there_is_no_error(world, run):
    world.repo("d")
    world.put("d@master", {"/a": "A"})
    assert run("delete", "file", "d@master:/absent")[0] == 0
    assert run("delete", "file", "-r", "d@master:/absent/")[0] == 0
    assert world.tree("d@master") == {"/a": "A"}


# 7


@pytest.mark.parametrize("flag", ["--parent", "-p"])
def test_commit_starts_from_a_parent(world, run, flag):
    world.repo("d")
    world.put("d@master", {"/a": "A"})
    world.put("d@master", {"/b": "B"})
    code, out, _ = run("start", "commit", "d@master", flag, "master^")
    assert code == 0
    assert world.tree(f"d@{out.strip()}") == {"/a": "A"}
    assert run("finish", "commit", "d@master", "-f")[0] == 0


# 8


def test_stdin_by_its_other_name_and_the_output_of_a_command_are_put(world):
    world.repo("d")
    program(world, "put", "file", "d@master:/x", "-f", "/dev/stdin", input=b"from stdin")
    reader, writer = os.pipe()
    os.write(writer, b"from a command")
    os.close(writer)
    program(world, "put", "file", "d@master:/y", "-f", f"/dev/fd/{reader}", pass_fds=[reader])
    os.close(reader)
    assert world.tree("d@master") == {"/x": "from stdin", "/y": "from a command"}


def test_sources_may_be_separated_by_commas_and_a_comma_in_a_name_stays(world, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c,d"):
        (tmp_path / name).write_text(name)
    world.repo("d")
    assert run("put", "file", "d@master", "-f", "a,b", "-f", "c,d")[0] == 0
    assert world.tree("d@master") == {"/a": "a", "/b": "b", "/c,d": "c,d"}


# 9


def test_input_of_records_and_an_update_to_no_input_are_refused_by_name(toy_pipeline):
    with pytest.raises(SpecError, match=r"\$\.input"):
        spec.parse(json.dumps({**SPEC, "input": {}}))
    with pytest.raises(SpecError, match="only user repos of the default project can be inputs on one machine"):
        spec.parse(json.dumps({**SPEC, "input": {"pfs": {"repo": "P", "repo_type": "meta", "glob": "/"}}}))


# 10


@pytest.mark.parametrize("name", ["v1.0", "a.b", ".", "a b", "a/b"])
def test_name_of_a_branch_that_a_cluster_refuses_is_refused(world, name):
    world.repo("d")
    with pytest.raises(NameRefusedError, match="use letters, digits, - and _"):
        repos.create_branch(world.store, "d", name)
    with pytest.raises(SpecError, match="use letters, digits, - and _"):
        spec.parse(json.dumps({**SPEC, "output_branch": name}))
    with pytest.raises(SpecError, match="use letters, digits, - and _"):
        spec.parse(json.dumps({**SPEC, "input": {"pfs": {"repo": "in", "branch": name, "glob": "/"}}}))


def test_branch_of_an_older_state_stays_in_use(world):
    world.repo("in")
    tree = world.store.trees.add()
    world.store.add_commit("in", "1" * 32, "v1.0", None, "USER", tree)
    world.store.finish_commit("in", "1" * 32)
    with changed(world.store, CommitAddress("in", "v1.0")) as commit:
        assert commit.branch == "v1.0"
    old = json.dumps({**SPEC, "input": {"pfs": {"repo": "in", "branch": "v1.0", "glob": "/*"}}})
    assert spec.from_stored(old).upstream == [("in", "v1.0")]


# 11


def test_edited_spec_is_the_next_version(toy_pipeline, run, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf \'%s\' "$(sed \'1s/{/{"description": "edited",/\' "$1")" > "$1"\n')
    editor.chmod(0o755)
    assert run("edit", "pipeline", "P", "--editor", str(editor))[0] == 0
    found = toy_pipeline.records.pipeline("P")
    assert found.version == 2
    assert toy_pipeline.records.spec("P", 2).description == "edited"


def test_spec_that_is_left_as_it_was_changes_nothing(toy_pipeline, run):
    code, _, told = run("edit", "pipeline", "P", "--editor", "true")
    assert (code, told) == (0, "P: unchanged\n")
    code, _, told = run("edit", "pipeline", "P", "--editor", "false")
    assert (code, told) == (1, "error: false ended with exit code 1; nothing was changed\n")
    assert toy_pipeline.records.pipeline("P").version == 1


def test_jsonnet_template_of_the_repository_is_rendered(run):
    template = ROOT / "pipelines" / "ambient-music.jsonnet"
    code, out, _ = run("validate", "pipeline", "--jsonnet", str(template), "--arg", "epochs=3")
    assert code == 0
    assert f"{template}: pipeline music-transformer is valid" in out


def test_jsonnet_that_takes_no_such_argument_is_told(run, tmp_path):
    template = tmp_path / "t.jsonnet"
    template.write_text("function(name) {}")
    code, _, told = run("validate", "pipeline", "--jsonnet", str(template), "--arg", "nam=x")
    assert code == 1
    assert told.startswith(f"error: {template}: $: RUNTIME ERROR: ")
    assert run("validate", "pipeline", "--jsonnet", str(template), "--arg", "x")[0] == 2


def test_template_makes_a_pipeline(world, run, tmp_path):
    world.repo("in")
    template = tmp_path / "t.jsonnet"
    text = json.dumps(SPEC).replace('"P"', "name")
    template.write_text(f"function(name, more='') {text}")
    assert run("create", "pipeline", "--jsonnet", str(template), "--arg", "name=made")[0] == 0
    assert [each.name for each in world.records.pipelines()] == ["made"]


def test_deleted_job_is_in_no_list_and_later_jobs_still_skip_by_it(toy_pipeline, run):
    first = toy_pipeline.last()
    assert run("delete", "job", first.name)[0] == 0
    assert toy_pipeline.jobs("P") == []
    assert run("inspect", "job", first.name)[0] == 1
    assert toy_pipeline.tree("P@master") == {"/file": "foo"}
    toy_pipeline.put("in@master", {"/more": "more"})
    assert (toy_pipeline.last().counts.processed, toy_pipeline.last().counts.skipped) == (1, 1)
    assert run("fsck")[1].startswith("no problems")
    assert run("gc")[0] == 0
    toy_pipeline.put("in@master", {"/again": "again"})
    assert (toy_pipeline.last().counts.processed, toy_pipeline.last().counts.skipped) == (1, 2)


def test_job_that_is_deleted_while_it_waits_is_stopped(toy_pipeline, run):
    toy_pipeline.put("in@master", {"/more": "more"}, run=False)
    waiting = toy_pipeline.last()
    assert run("delete", "job", waiting.name)[0] == 0
    assert toy_pipeline.store.commit("P", waiting.id).error == "job killed: the job was deleted"
    assert toy_pipeline.run() == []


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The file of contexts, which is not there yet."""
    path = tmp_path / "pach" / "config.json"
    monkeypatch.setenv("PACH_CONFIG", str(path))
    return path


def test_without_a_file_of_contexts_there_is_one(run, config):
    assert run("config", "get", "active-context")[1] == "local\n"
    assert json.loads(run("config", "get", "context", "local")[1]) == {"source": "NONE", "project": "default"}
    assert run("config", "list", "context")[1] == "* local\n"
    assert run("config", "set", "active-context", "local")[0] == 0
    assert not config.exists()


def test_contexts_are_kept_in_the_file_of_pachctl_and_what_else_it_holds_stays(run, config, stdin):
    config.parent.mkdir()
    old = {"pachd_address": "grpc://192.0.2.1:30650", "session_token": "t"}
    more = {"active_context": "old", "contexts": {"old": old}, "metrics": True}
    config.write_text(json.dumps({"user_id": "u", "v2": more}))
    stdin('{"pachd_address": "grpc://127.0.0.1:30650"}')
    assert run("config", "set", "context", "here")[0] == 0
    assert run("config", "get", "active-context")[1] == "old\n"
    code, _, told = run("config", "set", "active-context", "here")
    assert (code, "clients go there; localpach itself works in" in told) == (0, True)
    assert run("config", "list", "context")[1] == "* here\n  old\n"
    assert (
        run("config", "update", "context", "--pachd-address", "grpc://127.0.0.1:30651", "--project", "default")[0] == 0
    )
    assert json.loads(config.read_text()) == {
        "user_id": "u",
        "v2": {
            "active_context": "here",
            "contexts": {"old": old, "here": {"pachd_address": "grpc://127.0.0.1:30651", "project": "default"}},
            "metrics": True,
        },
    }
    assert json.loads(run("config", "get", "context")[1])["pachd_address"] == "grpc://127.0.0.1:30651"
    assert config.stat().st_mode & 0o777 == 0o600
    assert run("config", "delete", "context", "old")[0] == 0
    assert list(json.loads(config.read_text())["v2"]["contexts"]) == ["here"]


@pytest.mark.parametrize(
    ("words", "given", "error"),
    [
        ("set context here", "{}", "error: context here already exists; --overwrite replaces it\n"),
        ("set context new", "grpc://127.0.0.1", "error: stdin: no JSON: Expecting value: line 1 column 1 (char 0)\n"),
        ("set context new", "[]", "error: stdin: list in place of an object\n"),
        ("get context new", "", "error: context new not found; there is here\n"),
        ("set active-context new", "", "error: context new not found; there is here\n"),
        ("update context new", "", "error: context new not found; there is here\n"),
        ("delete context here", "", "error: context here is active; make another one active first\n"),
    ],
)
def test_context_that_cannot_be_set_changes_nothing(run, config, stdin, words, given, error):
    config.parent.mkdir()
    before = '{"v2": {"active_context": "here", "contexts": {"here": {}}}}'
    config.write_text(before)
    stdin(given)
    code, _, told = run("config", *words.split())
    assert (code, told, config.read_text()) == (1, error, before)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "no JSON: "), ("7", "int in place of an object"), ('{"v2": 7}', "v2.contexts is no object")],
)
def test_file_of_contexts_that_is_damaged_is_told_and_stays(run, config, text, problem):
    config.parent.mkdir()
    config.write_text(text)
    code, _, told = run("config", "set", "active-context", "x")
    assert (code, told.startswith(f"error: {config}: {problem}"), told.count("\n")) == (1, True, 1)
    assert config.read_text() == text


def test_words_of_config_that_do_not_go_together_are_wrong_usage(run, config):
    assert run("config", "update", "metrics")[0] == 2
    assert run("config", "set", "context")[0] == 2
    assert run("config", "get", "metrics")[1] == "false\n"


def test_help_is_a_word(run):
    assert run("help")[1].startswith("usage: localpach")
    assert run("help", "put", "file")[1].startswith("usage: localpach put file")


@pytest.mark.parametrize("words", [("list", "repo", "--rpc-timeout", "5s"), ("--rpc-timeout", "5s", "list", "repo")])
def test_timeout_of_calls_is_accepted(world, run, words):
    assert run(*words)[0] == 0


# 12


def test_listing_in_ascii_loses_nothing(world):
    world.repo("in", "other")
    sources = [{"pfs": {"repo": name, "glob": "/*"}} for name in ("in", "other")]
    world.create({**SPEC, "transform": {"cmd": ["true"]}, "input": {"cross": sources}})
    done = program(world, "list", "pipeline", env={"PYTHONIOENCODING": "ascii"})
    assert rb"(default/in:/* \u2a2f default/other:/*)" in done.stdout


@pytest.mark.parametrize("pattern", ["./top.csv", "/./top.csv", "//top.csv", "top.csv/"])
def test_globs_are_cleaned(pattern):
    assert compile_glob(pattern).matches("/top.csv")


def test_hidden_files_and_points_in_names_are_not_cleaned():
    assert compile_glob("/.env").matches("/.env")
    assert compile_glob("/a./b").matches("/a./b")


def test_yaml_has_no_anchors(toy_pipeline, run):
    out = run("inspect", "pipeline", "P", "--raw", "-o", "yaml")[1]
    assert "project:" in out
    assert "&id" not in out


def test_names_of_what_differs_hold_the_directories_too(world, run):
    world.repo("d")
    world.put("d@master", {"/a/x": "X", "/b": "B"})
    world.put("d@master", {"/a/y": "Y"})
    rows = [line.split()[::2] for line in run("diff", "file", "d@master", "--name-only")[1].splitlines()[1:]]
    assert rows == [["+", "/"], ["-", "/"], ["+", "/a/"], ["-", "/a/"], ["+", "/a/y"]]
    assert run("diff", "file", "d@master")[1].splitlines()[:2] == ["--- /dev/null", "+++ /a/y"]


# 13


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"pipeline": {"name": "P", "project": {"name": "studio"}}}, r"\$\.pipeline\.project"),
        ({"input": {"pfs": {"repo": "in", "project": "studio", "glob": "/"}}}, r"\$\.input\.pfs"),
        ({"input": {"cron": {"name": "c", "project": "studio", "spec": "@daily"}}}, r"\$\.input\.cron\.project"),
    ],
)
def test_another_project_is_refused_with_its_place(change, place):
    with pytest.raises(SpecError, match=place + r".*(has one project|of the default project)"):
        spec.parse(json.dumps({**SPEC, **change}))


def test_default_project_may_be_named():
    named = {
        "pipeline": {"name": "P", "project": {"name": "default"}},
        "input": {"pfs": {"repo": "in", "project": "default", "glob": "/*"}},
    }
    (found,) = spec.parse(json.dumps({**SPEC, **named}))
    assert found.upstream == [("in", "master")]
