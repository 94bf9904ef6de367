"""What the Pachyderm docs say, typed: words, plurals, flags long and short, and what is refused by name."""

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from localpach.cli import COMMANDS, main, make_parser
from localpach.cli.unsupported import UNSUPPORTED

from .test_docs import choices


@pytest.fixture
def run(tmp_path, monkeypatch, capsysbinary):
    """Run one command in an empty folder; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCALPACH_STATE", raising=False)

    def call(line):
        try:
            code = main(line.split())
        except SystemExit as stopped:
            code = stopped.code
        captured = capsysbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return call


@pytest.fixture
def good(run):
    """Run one command that must work; gives stdout."""

    def call(line):
        code, out, error = run(line)
        assert code == 0, f"{line}: {error}"
        return out

    return call


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the repo `songs` of two commits, and the pipeline `copy` over it in two versions."""
    folder = tmp_path_factory.mktemp("songs")

    def good(line):
        assert main(["--state", str(folder / ".localpach"), *line.replace("-f ", f"-f {folder}/").split()]) == 0

    for name in "ab":
        (folder / name).write_text(name)
    for version in (1, 2):
        cmd = ["sh", "-c", f"echo {version}; cp -r /pfs/songs/* /pfs/out"]
        spec = {
            "pipeline": {"name": "copy"},
            "transform": {"cmd": cmd},
            "input": {"pfs": {"repo": "songs", "glob": "/*"}},
        }
        (folder / f"copy{version}.json").write_text(json.dumps(spec))
    good("create repo songs -d recordings")
    good("put file songs@master -f a")
    good("create pipeline -f copy1.json")
    good("put file songs@master -f b")
    good("update pipeline -f copy2.json")
    return folder


@pytest.fixture
def songs(built, tmp_path):
    """A copy of what was built, in the current folder."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)


def test_the_table_of_commands_is_what_the_modules_register():
    registered = {(verb, noun) for verb, parser in choices(make_parser()).items() for noun in choices(parser) or [""]}
    assert registered == {(verb, about) for about, verbs, _ in COMMANDS for verb in verbs.split()}


def test_no_word_is_both_there_and_refused():
    there = {
        word for about, verbs, _ in COMMANDS for verb in verbs.split() for word in (verb, about, f"{verb} {about}")
    }
    assert not there & set(UNSUPPORTED)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("create role-binding x", "pachctl's `create role-binding` has no meaning on one machine: there are no users"),
        ("auth whoami", "pachctl's `auth whoami` has no meaning on one machine"),
        ("mount /pfs", "pachctl's `mount` has no meaning on one machine: `localpach get file -r R@b:/ -o DIR`"),
        ("list transactions", "`localpach start commit` collects changes"),
        ("lits repo", "there is no command `lits`; did you mean `list`?"),
        ("frobnicate", "`localpach --help` lists the commands"),
        ("list songs", "`list songs` is no command; there is `list branch`, `list commit`"),
        ("list repo -o json", "-o names the format of --raw"),
        ("create pipeline --jsonnet x.jsonnet -f y.json", "--jsonnet takes the place of -f"),
        ("create pipeline --arg x=y", "--arg goes with --jsonnet"),
        ("create pipeline -f copy.json --push-images x", "--push-images is not here: images are used as they are"),
        ("list repo --project other", "invalid choice: 'other'"),
        ("list job --history some", "--history takes a number, all or none"),
        ("logs -p copy --since yesterday", "expected a time such as 10m"),
        ("logs -p copy -j copy@1", "name a pipeline with -p or a job with -j"),
        ("get file songs@master:/a --offset -1", "--offset must be 0 or more"),
        ("get file songs@master:/ -r -o x --retry", "for one file, not for -r"),
        ("list datum copy -f copy1.json", "name a job or a spec, not both"),
        ("list commit --from x", "--from and --origin need a repo"),
        ("subscribe commit songs --new --from x", "exclude each other"),
        ("delete repo", "name a repo, or say --all"),
        ("delete pipeline copy --all", "name a pipeline, or say --all"),
        ("put file songs@master", "or a path for data from stdin"),
    ],
)
@pytest.mark.usefixtures("songs")
def test_wrong_words_are_told_in_a_line_and_exit_2(run, line, told):
    code, out, error = run(line)
    assert (code, out) == (2, "")
    assert told in error.splitlines()[-1]


@pytest.mark.parametrize(
    "line",
    [
        "list repos --all", "list repo --type spec", "list repo -A --no-pager --no-color -v", "inspect repos songs",
        "--no-color list repo --project default", "--project default list repo", "list branches songs",
        "list commits", "list commit songs -n 1", "list commits songs@master --number 1", "list commit --expand",
        "list commit songs --all --origin user", "list files songs@master", "glob files songs@master:/*",
        "list file songs@master --full-timestamps", "list pipelines", "list pipeline copy --state running",
        "list jobs --all-projects", "list job --expand", "list job -x --state success", "list job -p copy -x",
        "list job --input songs@master", "list job -i songs@master -p copy", "list job --history all --no-pager",
        "inspect cluster", "list projects", "inspect project default", "version --client-only", "version --raw",
        "draw pipeline --box-width 11 --edge-height 5", "logs -p copy --master", "logs --pipeline copy --worker",
        "put file songs@master -f a -p 10 --parallelism 10 -c --compress --progress=false",
        "list datums copy", "diff file songs@master --old-project default", "list pipeline --history 1 --raw -o json",
        "start commits songs@dev -m x", "update repo songs --description new",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("songs")
def test_what_the_docs_say_is_understood(good, line):
    good(line)


def test_one_word_commands_take_names_that_look_like_words(run):
    run("create repo s")
    assert run("why s")[2].startswith("error: pipeline s not found")
    assert run("logs -p jobs")[2].startswith("error: pipeline jobs not found")


def test_specs_come_from_stdin_too(run, good, monkeypatch):
    spec = {
        "pipeline": {"name": "piped"},
        "transform": {"cmd": ["true"]},
        "input": {"pfs": {"repo": "in", "glob": "/"}},
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec)))
    assert good("validate pipeline -f -") == "stdin: pipeline piped is valid\n"


@pytest.mark.usefixtures("songs")
def test_yaml_is_printed_where_it_can_be(run, good, monkeypatch):
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all(good("list commit songs --raw -o yaml")))
    assert [each["origin"]["kind"] for each in documents] == ["USER", "USER"]
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert run("list repo --raw -o yaml")[::2] == (
        1,
        "error: -o yaml needs PyYAML: `pip install pyyaml`, or use -o json\n",
    )


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


@pytest.mark.usefixtures("songs")
def test_commits_can_be_narrowed_down(good):
    ids = [row[2] for row in rows(good("list commit songs"))]
    assert len(ids) == 2
    assert [row[2] for row in rows(good("list commit songs -n 1"))] == ids[:1]
    assert [row[2] for row in rows(good(f"list commit songs@master --from {ids[1]}"))] == ids[:1]
    assert rows(good("list commit songs --origin auto")) == []
    assert len(rows(good("list commit --number 2"))) == 2
    assert good("find commit songs@master:/b").split()[3] == ids[0]
    assert "no commits found." in good("find commit songs@master:/nothing")
    assert [row[2] for row in rows(good("subscribe commit songs@master -n 2"))] == ids[::-1]
    assert [row[2] for row in rows(good(f"subscribe commit songs@master --from {ids[1]} -n 1"))] == ids[:1]


@pytest.mark.usefixtures("songs")
def test_jobs_of_earlier_versions_are_listed_when_asked_for(good):
    assert len(rows(good("list job -p copy"))) == 1
    assert len(rows(good("list job -p copy --history all"))) == 3
    assert len(rows(good("list job -p copy --history 1"))) == 3
    assert rows(good("list job -x --state failure")) == []
    first = rows(good("list job -p copy --history all"))[-1][2]
    head = rows(good("list commit songs"))[-1][2]
    assert [row[2] for row in rows(good(f"list job -i songs@{head} --history all"))] == [first]
    assert [row[2] for row in rows(good("list pipeline --history all"))] == ["2", "1"]
    assert [row[2] for row in rows(good(f"list pipeline -c {first}"))] == ["1"]
    assert json.loads(good("list pipeline -s"))["pipeline"] == {"name": "copy"}


@pytest.mark.usefixtures("songs")
def test_a_job_that_only_skipped_says_so_and_why_names_the_older_program(good):
    assert rows(good("list job -p copy"))[0][-7:] == ["success:", "there", "were", "no", "datums", "to", "process"]
    told = good("why copy /a")
    assert "by the program of version 1; `update pipeline --reprocess` runs it again" in told
    found = json.loads(good("why copy /a --raw"))
    assert (found["state"], found["ran_version"], found["code_changed_since"]) == ("skipped", 1, True)


@pytest.mark.usefixtures("songs")
def test_full_timestamps_are_rfc_3339_in_utc(good):
    assert re.search(r" 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ ", good("list repo --full-timestamps"))
    assert re.search(
        r"^Started: 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$", good("inspect commit songs@master --full-timestamps"), re.M
    )


@pytest.mark.usefixtures("songs")
def test_datums_can_be_narrowed_down_and_several_restarted(good, run):
    assert len(rows(good("list datum copy --filter skipped"))) == 2
    assert rows(good("list datum copy --filter failed")) == []
    (row,) = rows(good("list datum copy --input /a"))
    assert row[1].endswith(":/a")
    shown = run("restart datum copy /a,/b")[2]
    assert "ran       /a" in shown
    assert "ran       /b" in shown


@pytest.mark.usefixtures("songs")
def test_a_preview_tells_what_would_be_skipped(good, run, tmp_path):
    (tmp_path / "b").write_text("another")
    good("stop pipeline copy")
    good("put file songs@master -f b")
    told = [" ".join(row[2:]) for row in rows(good("list datum -f copy2.json"))]
    assert told[0] == "would be skipped -"
    assert told[1].startswith("would run: ")
    inputs = [
        {"pfs": {"repo": "songs", "glob": "/*"}},
        {"pfs": {"repo": "songs", "branch": "dev", "glob": "/", "name": "dev"}},
    ]
    spec = {"pipeline": {"name": "pairs"}, "transform": {"cmd": ["true"]}, "input": {"cross": inputs}}
    (tmp_path / "pairs.json").write_text(json.dumps(spec))
    code, out, note = run("list datum -f pairs.json")
    assert (code, rows(out)) == (0, [])
    assert "note: songs@dev has no commit yet, so it gives no datums" in note


@pytest.mark.usefixtures("songs")
def test_diff_is_of_lines_or_of_names(good, tmp_path):
    (tmp_path / "b").write_text("one\ntwo\n")
    good("put file songs@master:/d/ -f b")
    good("put file songs@master -f b")
    assert good("diff file songs@master").splitlines()[-3:] == ["\\ no newline at the end", "+one", "+two"]
    assert [row[::2] for row in rows(good("diff file songs@master --name-only"))] == [
        ["+", "/"], ["-", "/"], ["+", "/b"], ["-", "/b"],
    ]  # fmt: skip
    assert [row[::2] for row in rows(good("diff file songs@master songs@master^2 --shallow"))] == [
        ["+", "/b"], ["-", "/b"], ["+", "/d/"]
    ]  # fmt: skip
    (tmp_path / "b").write_bytes(b"\0")
    good("put file songs@master -f b")
    assert good("diff file songs@master") == "Files /b and /b differ\n"


@pytest.mark.usefixtures("songs")
def test_get_can_begin_later_and_go_on_where_it_stopped(good, tmp_path):
    (tmp_path / "long").write_text("0123456789")
    good("put file songs@master -f long")
    assert good("get file songs@master:/long --offset 7") == "789"
    (tmp_path / "part").write_text("01234")
    good("get file songs@master:/long -o part --retry")
    assert (tmp_path / "part").read_text() == "0123456789"
    good("get file songs@master:/long -o tail --offset 8")
    assert (tmp_path / "tail").read_text() == "89"
    good("get file songs@master:/long -o new --retry")
    assert (tmp_path / "new").read_text() == "0123456789"


@pytest.mark.usefixtures("songs")
def test_copy_appends_when_asked_to(good):
    good("copy file songs@master:/a songs@master:/b -a")
    assert good("get file songs@master:/b") == "ba"


@pytest.mark.usefixtures("songs")
def test_logs_can_be_narrowed_down(good):
    first = rows(good("list job -p copy --history all"))[-1][2]
    assert good(f"logs -j copy@{first}") == "== /a (success)\n1\n"
    assert good("logs -p copy --tail 1") == "1\n"
    assert good("logs -p copy --inputs /b").endswith("\n1\n")
    assert good("logs -p copy --since 1h30m") == good("logs -p copy")
    time.sleep(0.02)
    assert good("logs -p copy --since 10ms") == ""
    (message,) = [json.loads(line) for line in good("logs -p copy --raw --datum /a").splitlines()]
    assert (message["message"], message["pipeline_name"], message["data"]) == ("1", "copy", [{"path": "/a"}])


def test_logs_follow_a_job_until_it_ends(good, tmp_path, wait_until):
    marker = tmp_path / "go"
    script = f"echo begun; for i in $(seq 3000); do test -e {marker} && break; sleep 0.02; done; echo done"
    spec = {
        "pipeline": {"name": "slow"},
        "transform": {"cmd": ["sh", "-c", script]},
        "input": {"pfs": {"repo": "in", "glob": "/"}},
    }
    (tmp_path / "slow.json").write_text(json.dumps(spec))
    (tmp_path / "x").touch()
    good("create repo in")
    good("put file in@master -f x")
    command = [sys.executable, "-m", "localpach", "create", "pipeline", "-f", "slow.json"]
    runner = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    logs = ".localpach/logs/slow/*/*.log"
    wait_until(lambda: any("begun" in log.read_text() for log in tmp_path.glob(logs)), runner)
    threading.Timer(0.4, marker.touch).start()
    shown = good("logs -p slow --follow")
    assert runner.wait(timeout=30) == 0
    assert "begun\ndone\n" in shown


@pytest.mark.usefixtures("songs")
def test_one_project_is_told_of_and_no_other_made(good, run):
    assert rows(good("list project")) == [["*", "default", "-", "-"]]
    assert run("create project studio")[::2] == (
        1, "error: project studio cannot be made: there is one project, default; use another --state folder\n",
    )  # fmt: skip
    assert run("create project default")[2] == "error: project default already exists\n"


@pytest.mark.usefixtures("songs")
def test_delete_all_asks_first(run, good, monkeypatch):
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    assert "nothing was deleted" in good("delete all")
    assert "songs" in good("list repo")
    good("delete all -y")
    assert rows(good("list repo --all")) == []
    assert rows(good("list pipeline")) == []


@pytest.mark.usefixtures("songs")
def test_all_pipelines_then_all_repos_can_be_deleted(good):
    good("delete pipeline --all --keep-repo")
    assert {row[1] for row in rows(good("list repo"))} == {"copy", "songs"}
    good("delete repo --all")
    assert rows(good("list repo --all")) == []


@pytest.mark.usefixtures("songs")
def test_a_dry_run_of_an_update_changes_nothing(good):
    good("update pipeline -f copy1.json --dry-run")
    assert rows(good("list pipeline"))[0][2] == "2"


class Handler(BaseHTTPRequestHandler):
    """Serves `/song.mp3`, and `/short` with less than it promises."""

    def do_GET(self):
        if self.path.partition("?")[0] not in ("/music/song.mp3", "/short", "/list"):
            self.send_error(404)
            return
        content = {"/short": b"sh", "/list": b"a\nb\n"}.get(self.path, b"la")
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + (self.path == "/short")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """The address of a web server on this machine."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.mark.usefixtures("songs")
def test_a_url_is_put_under_its_base_name_and_a_bad_one_puts_nothing(good, run, server, tmp_path):
    good(f"put file songs@master -f {server}/music/song.mp3?quality=high")
    assert good("get file songs@master:/song.mp3") == "la"
    good(f"put file songs@master -f file://{tmp_path}/a --full-path")
    assert good(f"get file songs@master:{tmp_path}/a") == "a"
    good(f"put file songs@master:/listed -i {server}/list")
    assert good("get file songs@master:/listed/b") == "b"
    before = good("list commit songs --raw")
    for words, told in (
        (f"{server}/missing", "cannot be read: Not Found; nothing was put"),
        (f"{server}/short", "ended after 2 of 3 bytes; nothing was put"),
        ("http://127.0.0.1:1/x", "cannot be read: "),
        ("ftp://here/x", "is no URL that can be read here"),
        ("file://elsewhere/x", "names another machine"),
    ):
        code, _, error = run(f"put file songs@master -f {words}")
        assert code == 1
        assert told in error
        assert error.count("\n") == 1
    assert good("list commit songs --raw") == before


@pytest.mark.usefixtures("songs")
def test_stdin_needs_a_path_and_lists_name_what_to_put(good, run, tmp_path):
    (tmp_path / "list").write_text("a\n\nb\n")
    good("put file songs@master:/twice -i list")
    assert good("get file songs@master:/twice/a") == "a"
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert "is no UTF-8 text" in run("put file songs@master -i latin")[2]
    assert "missing: No such file" in run("put file songs@master -i missing")[2]
    assert "is no directory; leave out -r" in run("put file songs@master:/x -r -f -")[2]


@pytest.mark.usefixtures("songs")
def test_tar_members_are_put_as_files(good, tmp_path):
    with tarfile.open(tmp_path / "album.tgz", "w:gz") as tar:
        tar.add(tmp_path / "a", "./cd1/a")
        tar.add(tmp_path / "b", "cd2/b")
    good("put file songs@master --untar -f album.tgz")
    assert [row[1] for row in rows(good("glob file songs@master:/cd*/*"))] == ["/cd1/a", "/cd2/b"]
    good("put file songs@master:/old/ --untar -f album.tgz")
    assert good("get file songs@master:/old/cd1/a") == "a"
    good("put file songs@master -f album.tgz")
    assert [row[1] for row in rows(good("glob file songs@master:/*.tgz"))] == ["/album.tgz"]
