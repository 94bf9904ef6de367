"""Programs in containers: the same results as processes give, and nothing left when they are stopped.

By default a stand-in takes the place of the engine; with `-m container` a real docker or podman runs an image, which
`LOCALPACH_TEST_IMAGE` names (`debian:bookworm-slim` if unset). It needs a shell and `/usr/local/bin` on its PATH.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import localpach
from localpach.actions import pipelines
from localpach.errors import ExecutorError
from localpach.running import jobs, secrets
from localpach.running.container import find_engine
from localpach.running.executors import choose
from localpach.running.kill import kill_job
from localpach.running.path_mapping import PathMapping
from localpach.running.reporting import Silent

REAL_IMAGE = os.environ.get("LOCALPACH_TEST_IMAGE", "debian:bookworm-slim")
STAND_IN = Path(__file__).with_name("stand_in_engine.py")


@dataclass
class Engine:
    """An engine for tests: its image, and, of the stand-in, how it was called."""

    image: str
    records: Path

    def calls(self, word: str = "run") -> list[list[str]]:
        lines = (self.records / "calls").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call[0] == word]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program `docker` that is none, first on the PATH."""
    folder, records = tmp_path / "bin", tmp_path / "records"
    folder.mkdir()
    records.mkdir()
    program = folder / "docker"
    program.write_text(f"#!{sys.executable} -IS\n{STAND_IN.read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN", str(records))
    monkeypatch.delenv("LOCALPACH_ENGINE", raising=False)
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "container")
    return Engine("toy:1", records)


@pytest.fixture
def real(tmp_path, monkeypatch):
    """A real engine."""
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "container")
    return Engine(REAL_IMAGE, tmp_path)


@pytest.fixture(params=["stand_in", pytest.param("real", marks=pytest.mark.container)])
def engine(request):
    return request.getfixturevalue(request.param)


def sh(script):
    return ["sh", "-c", script]


SECRET = {"metadata": {"name": "S"}, "stringData": {"token": "open sesame"}}
SPECS = {
    "copies": {"cmd": ["cp", "-r", "/pfs/in/.", "/pfs/out"]},
    "reads stdin": {"cmd": ["sh"], "stdin": ["cp -r $in /pfs/out/copy-$(basename $in)", "echo done"]},
    "is given variables": {
        "cmd": sh('printf %s "$TEXT" > /pfs/out/$PACH_DATUM_ID; basename "$in" > /pfs/out/name-$PACH_DATUM_ID'),
        "env": {"TEXT": "two\nlines, 'quoted' \"twice\""},
    },
    "starts elsewhere": {"cmd": sh("cp -r * /pfs/out/"), "working_dir": "/pfs/in/"},
    "fails for one and recovers": {"cmd": sh("cp -r $in /pfs/out/ && ! grep -rq two $in"), "err_cmd": ["true"]},
    "ends with an accepted code": {"cmd": sh("cp -r $in /pfs/out/; exit 7"), "accept_return_code": [7]},
    "is given secrets": {
        "cmd": sh("cat /var/secret/token > /pfs/out/$(basename $in); echo $TOKEN >> /pfs/out/$(basename $in)"),
        "secrets": [{"name": "S", "key": "token", "env_var": "TOKEN", "mount_path": "/var/secret"}],
    },
    "asks for its datums": {
        "cmd": sh("while pachctl next datum; do . /pfs/.env; cp -r $in /pfs/out/; done"),
        "datum_batching": True,
    },
}  # fmt: skip


def results(world, engine, transform, tmp_path):
    """Run one toy spec over three files; give what is on record of the datums, and the tree."""
    manifest = tmp_path / "secret.json"
    manifest.write_text(json.dumps(SECRET))
    secrets.create_secret(world.folder, manifest)
    world.repo("in")
    world.put("in@master", {"/a": "one", "/b": "two", "/c/d": "three"}, run=False)
    world.create(world.toy(image=engine.image, datum_tries=1, **transform))
    return [(each.label, each.state, each.reason) for each in world.datums()], world.tree("P@master")


@pytest.mark.parametrize("name", SPECS)
def test_both_executors_give_the_same_byte_for_byte(engine, name, world, tmp_path, monkeypatch):
    if name == "asks for its datums" and engine.image != REAL_IMAGE:
        pytest.skip("the stand-in has no files of its own, so it cannot have a pachctl")
    in_containers = results(world, engine, SPECS[name], tmp_path)
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "process")
    other = type(world)(tmp_path / "other")
    assert results(other, engine, SPECS[name], tmp_path) == in_containers
    assert in_containers[1]


@pytest.mark.container
@pytest.mark.parametrize("pfs", [{}, {"empty_files": True}])
def test_links_in_a_container_lead_to_what_they_lead_to_there(real, world, pfs):
    script = """mkdir -p /tmp/tree/deep /pfs/out/dir; echo buzz > /tmp/buzz; echo x > /tmp/tree/deep/x
        ln -s /pfs/in/foo /pfs/out/foo; ln -s ../in/dir1/bar /pfs/out/bar; ln -s /pfs/in/dir2 /pfs/out/dir/dir2
        ln -s /tmp/buzz /pfs/out/buzz; ln -s /tmp/tree /pfs/out/dir3"""
    world.repo("in")
    world.put("in@master", {"/foo": "foo", "/dir1/bar": "bar", "/dir2/foo": "foo2"})
    world.create(world.toy(cmd=sh(script), glob="/", pfs=pfs, image=real.image))
    assert world.last().reason == ""
    assert world.tree("P@master") == {
        "/foo": "foo", "/bar": "bar", "/dir/dir2/foo": "foo2", "/buzz": "buzz\n", "/dir3/deep/x": "x\n",
    }  # fmt: skip


@pytest.mark.container
@pytest.mark.parametrize(
    "script", ["ln -s /etc/passwd /pfs/out/x", "ln -s /etc /tmp/e; ln -s /tmp/e/passwd /pfs/out/x"]
)
def test_link_in_a_container_never_leads_to_a_file_of_this_machine(real, world, script):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=sh(script), image=real.image))
    assert "which only the container had" in world.last().reason


@pytest.mark.container
def test_container_has_no_network_unless_it_is_allowed(real, world, monkeypatch):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=sh("ls /sys/class/net > /pfs/out/net"), image=real.image))
    assert world.tree("P@master") == {"/net": "lo\n"}


@pytest.mark.container
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run programs as somebody else")
def test_user_of_the_spec_is_honoured_and_its_outputs_are_stored(real, world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    script = (
        "id -u > /pfs/out/id; cat /pfs/in/file >> /pfs/out/id; mkdir -m 700 /pfs/out/deep; echo y > /pfs/out/deep/y"
    )
    world.create(world.toy(cmd=sh(script), image=real.image, user="1234:1234"))
    assert world.tree("P@master") == {"/id": "1234\nx", "/deep/y": "y\n"}
    assert not list((world.folder / "scratch").glob("[0-9a-f]*"))


def test_path_inside_a_container_is_followed_there(tmp_path):
    (tmp_path / "pfs/in").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "pfs/in/a").touch()
    (tmp_path / "pfs/in/passwd").touch()
    paths = PathMapping({"/pfs": tmp_path / "pfs", "/tmp": tmp_path / "tmp"}, inside=True)
    leads = {
        "/pfs/in/a": tmp_path / "pfs/in/a",
        "../in/./a": tmp_path / "pfs/in/a",
        "/tmp/../pfs/in/a": tmp_path / "pfs/in/a",
        "/../../pfs/in/a": tmp_path / "pfs/in/a",
        "/tmp/far": tmp_path / "pfs/in/a",
        "/etc/passwd": None,
        "/pfs/../etc/passwd": None,
        "/pfsx": None,
        "/tmp/loop": None,
        str(tmp_path / "pfs/in/a"): None,
    }
    (tmp_path / "tmp/far").symlink_to("/pfs/in/a")
    (tmp_path / "tmp/loop").symlink_to("/tmp/loop")
    (tmp_path / "pfs/out").mkdir()
    for number, (target, real_path) in enumerate(leads.items()):
        link = tmp_path / f"pfs/out/{number}"
        link.symlink_to(target)
        assert paths.resolve(str(link)) == (str(real_path.resolve()) if real_path else None), target


def test_engine_is_called_without_network_as_oneself_and_with_no_value_in_its_words(stand_in, world, tmp_path):
    results(world, stand_in, SPECS["is given secrets"] | {"env": {"PLAIN": "value", "HOME": "/pfs"}}, tmp_path)
    words = stand_in.calls()[0]
    assert words[words.index("--network") + 1] == "none"
    assert words[words.index("--pull") + 1] == "never"
    assert words[words.index("--label") + 1] == f"localpach.scratch={(world.folder / 'scratch').resolve()}"
    assert words[words.index("--user") + 1] == f"{os.geteuid()}:{os.getegid()}"
    assert words[words.index("--entrypoint") + 1 :][:2] == ["sh", "toy:1"]
    assert "--env TOKEN --" in " ".join(words)
    assert "--env PLAIN --" in " ".join(words)
    assert "open sesame" not in " ".join(words)
    assert "HOME" not in words  # it would send the engine's own program elsewhere
    assert any("target=/var/secret,readonly" in each for each in words)


def test_network_and_limits_are_passed_on(stand_in, world, monkeypatch):
    monkeypatch.setenv("LOCALPACH_NETWORK", "host")
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(image=stand_in.image, resource_limits={"memory": "512Mi", "cpu": 2}))
    (words,) = stand_in.calls()
    assert words[words.index("--network") + 1] == "host"
    assert words[words.index("--memory") + 1] == str(512 * 1024**2)


def test_image_that_is_not_there_is_named_and_the_job_waits_for_it(stand_in, world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    with pytest.raises(
        ExecutorError, match=r"image gone:2 is not on this machine; build it with `docker build -t gone:2"
    ):
        world.create(world.toy(image="gone:2"))
    assert world.last().state == "created"
    assert stand_in.calls("pull") == []
    pipelines.update_pipelines(world.store, [world.parsed(world.toy(image="toy:1"))])
    world.run()
    assert world.tree("P@master") == {"/file": "x"}


def test_spec_without_an_image_has_pachyderms(stand_in, world):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy())
    assert "ubuntu:20.04" in stand_in.calls()[0]


def test_no_engine_is_one_clear_line(world, monkeypatch, tmp_path):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "container")
    monkeypatch.setenv("LOCALPACH_ENGINE", "no-such-engine")
    with pytest.raises(ExecutorError, match="no container engine: no-such-engine is not on the PATH"):
        world.create(world.toy())
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    monkeypatch.setenv("LOCALPACH_ENGINE", str(silent))
    with pytest.raises(ExecutorError, match="silent cannot reach the server"):
        world.run()


def test_engine_that_is_gone_stops_no_later_run(stand_in, world, monkeypatch):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(image=stand_in.image))
    assert (world.folder / "scratch/.engine").exists()
    (stand_in.records.parent / "bin/docker").unlink()
    monkeypatch.setenv("LOCALPACH_EXECUTOR", "process")
    world.put("in@master", {"/more": "y"})
    assert world.tree("P@master") == {"/file": "x", "/more": "y"}


def test_batching_in_containers_is_refused_where_pipes_do_not_reach_into_them(stand_in, world, monkeypatch):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ExecutorError, match="datum_batching in containers needs Linux"):
        world.create(world.toy(image=stand_in.image, datum_batching=True))


def test_unknown_executor_is_refused_by_name():
    with pytest.raises(ExecutorError, match="executor 'pod' is not known; expected process or container"):
        choose("pod")


def test_time_that_runs_out_kills_the_container(engine, world, wait_until):
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=["sleep", "1000"], image=engine.image, datum_timeout="0.8s", datum_tries=1))
    assert "datum_timeout" in world.last().reason
    wait_until(lambda: not running(engine, world))


def test_stopped_job_kills_its_container(engine, world, wait_until):
    class StopAtFirstTick(Silent):
        def tick(self, job, latest):
            if running(engine, world):
                kill_job(world.store, job.pipeline, job.id, "stopped by hand")

    world.repo("in")
    world.put("in@master", {"/file": "x"}, run=False)
    world.create(world.toy(cmd=["sleep", "1000"], image=engine.image), run=False)
    jobs.run_jobs(world.store, StopAtFirstTick())
    assert world.last().state == "killed"
    wait_until(lambda: not running(engine, world))


def test_container_that_a_killed_runner_left_is_removed_by_the_next_run(engine, world, tmp_path, wait_until):
    world.repo("in")
    world.put("in@master", {"/file": "x"}, run=False)
    world.create(world.toy(cmd=["sleep", "1000"], image=engine.image), run=False)
    world.store.close()
    program = "from pathlib import Path; from localpach.running import jobs; "
    program += f"from localpach.storage.store import Store; jobs.run_jobs(Store(Path({str(world.folder)!r})))"
    runner = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parent.parent)}
    )
    wait_until(lambda: running(engine, world), runner)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert running(engine, world)
    world.reopen()
    kill_job(world.store, "P", world.last().id, "for the test")
    world.run()
    wait_until(lambda: not running(engine, world))


def running(engine, world):
    """The containers of this state."""
    if engine.image == REAL_IMAGE:
        label = f"label=localpach.scratch={(world.folder / 'scratch').resolve()}"
        return find_engine().run("ps", "--all", "--quiet", "--filter", label).stdout.split()
    return list(engine.records.glob("localpach-*"))
