"""Hostile surroundings: full and read-only disks, other processes, odd paths, clocks and signals. Nothing is torn."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import localpach
from localpach.actions import fsck, gc, pipelines, repos
from localpach.cli import columns, main
from localpach.running import jobs
from localpach.storage.store import Store

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parent.parent)}
DEADLINE_S = 60


def problems(world):
    return [str(each) for each in fsck.check(world.store).problems]


def python(program, *arguments):
    """Start a Python program that may import localpach."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, told
    return out


def localpach_at(state, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "localpach", "--state", str(state), *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# Disks


def mounting(tmp_path, mount, program):
    """Run a Python program over its own mount; its `run(*words)` calls localpach and gives code, stderr, stdout."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import json, subprocess, sys
            from pathlib import Path
            place, told = Path(sys.argv[1]), {}
            state = place / "state"
            def run(*words):
                ran = subprocess.run([sys.executable, "-m", "localpach", "--state", str(state), *words],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                return ran.returncode, ran.stderr, ran.stdout
        """)
        + textwrap.dedent(program)
        + "\nprint(json.dumps(told))\n"
    )
    place = tmp_path / "mounted"
    place.mkdir(exist_ok=True)
    command = f'{mount.format(place=place)} && exec "$0" "$@"'
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("the system has no unshare")
    probe = subprocess.run([unshare, "-Urm", "sh", "-c", mount.format(place=place)], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("mounting is not permitted")
    ran = subprocess.run(
        [unshare, "-Urm", "sh", "-c", command, sys.executable, str(script), str(place)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=10 * DEADLINE_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def is_one_line(result, text):
    code, told, _ = result
    assert code == 1
    assert "Traceback" not in told
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, told
    assert text in errors[0]
    return True


SPEC = {
    "pipeline": {"name": "P"},
    "input": {"pfs": {"repo": "in", "glob": "/*"}},
    "transform": {"cmd": ["sh", "-c", "cp /pfs/in/* /pfs/out/"]},
    "datum_tries": 1,
}


def test_full_disk_is_one_line_and_costs_nothing_that_was_there(tmp_path):
    told = mounting(
        tmp_path,
        "mount -t tmpfs -o size=3m tmpfs {place}",
        f"""
            spec, small, big, filler = (place / name for name in ("spec.json", "small", "big", "filler"))
            spec.write_text({json.dumps(json.dumps(SPEC))})
            small.write_text("small")
            assert run("create", "repo", "in")[0] == 0
            assert run("put", "file", "in@master", "-f", str(small))[0] == 0
            assert run("create", "pipeline", "-f", str(spec))[0] == 0

            def fill():
                with filler.open("wb", buffering=0) as file:
                    for size in (65536, 4096, 1):
                        try:
                            while True:
                                file.write(b"x" * size)
                        except OSError:
                            pass

            fill()
            told["put to a full disk"] = run("put", "file", "in@master:/other", "-f", str(small))
            told["create on a full disk"] = run("create", "repo", "another")
            filler.unlink()
            told["list"] = run("list", "file", "in@master")
            big.write_bytes(b"y" * 1_000_000)
            told["fits once, not thrice"] = run("put", "file", "in@master", "-f", str(big))
            big.unlink()
            told["fsck"] = run("fsck")
            told["deleted"] = run("delete", "file", "in@master:/big")
            told["again"] = run("put", "file", "in@master:/other", "-f", str(small))
            told["output"] = run("list", "file", "P@master")
            told["fsck at the end"] = run("fsck")
        """,
    )
    assert is_one_line(told["put to a full disk"], "the disk is full. Free some space, nothing is lost")
    assert is_one_line(told["create on a full disk"], "the disk is full")
    assert "/small" in told["list"][2]
    assert "/other" not in told["list"][2]
    assert is_one_line(told["fits once, not thrice"], "")
    assert told["fsck"][0] == 0, told["fsck"]
    assert told["deleted"][0] == told["again"][0] == 0, told
    assert {"/small", "/other"} <= set(told["output"][2].split())
    assert told["fsck at the end"][0] == 0, told["fsck at the end"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_disk_that_fills_up_at_any_point_of_a_run_costs_only_that_run(tmp_path):
    told = mounting(
        tmp_path,
        "mount -t tmpfs -o size=8m tmpfs {place}",
        f"""
            import shutil
            spec, folder, filler = place / "spec.json", place / "files", place / "filler"
            spec.write_text({json.dumps(json.dumps(SPEC))})
            folder.mkdir()
            for n in range(30):
                (folder / f"f{{n}}").write_bytes(bytes([n]) * 3000)
            assert run("create", "repo", "in")[0] == 0
            assert run("create", "pipeline", "-f", str(spec))[0] == 0
            template = place / "template"
            state.rename(template)
            for left in range(0, 800_000, 80_000):
                shutil.rmtree(state, ignore_errors=True)
                shutil.copytree(template, state)
                free = shutil.disk_usage(place).free
                filler.write_bytes(b"x" * max(0, free - left - 4096))
                first = run("put", "file", "-r", "in@master:/", "-f", str(folder))
                filler.unlink()
                sound = run("fsck")
                run("put", "file", "-r", "in@master:/", "-f", str(folder))
                run("rerun", "pipeline", "P")
                names = sorted(run("list", "file", "P@master")[2].split())
                told[left] = [first, sound, sorted(f"/f{{n}}" for n in range(30)) == [n for n in names if n[0] == "/"]]
        """,
    )
    codes = [first[0] for first, *_ in told.values()]
    assert (codes[0], codes[-1]) == (1, 0)
    for left, (first, sound, whole) in told.items():
        assert first[0] == 0 or is_one_line(first, ""), left
        assert sound[0] == 0, (left, sound)
        assert whole, left


def test_read_only_state_is_one_line(tmp_path, toy_pipeline):
    toy_pipeline.store.close()
    (tmp_path / "mounted").mkdir()
    shutil.move(toy_pipeline.folder, tmp_path / "mounted" / "state")
    (tmp_path / "f").write_text("f")
    told = mounting(
        tmp_path,
        "mount --bind {place} {place} && mount -o remount,ro,bind {place}",
        f"""
            told["put"] = run("put", "file", "in@master", "-f", {str(tmp_path / "f")!r})
            told["gc"] = run("gc")
            state = place / "new"
            told["new"] = run("create", "repo", "in")
        """,
    )
    assert is_one_line(told["put"], "")
    assert is_one_line(told["gc"], "")
    assert is_one_line(told["new"], "new: Read-only file system; use another --state folder")


def test_state_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--state", str(tmp_path / "file" / "state"), "create", "repo", "in"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: state folder ")
    assert "use another --state folder" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("name", ['it\'s a "Müsic" folder; $HOME `x` & 音楽', "-f", "a\nb"])
def test_state_folder_may_have_any_name(world, tmp_path, name):
    odd = type(world)(tmp_path / name / ".localpach")
    odd.repo("in")
    odd.put("in@master", {"/a file's": "x"})
    odd.create(odd.toy(cmd=["sh", "-c", 'for f in /pfs/in/*; do cp "$f" /pfs/out/; done; echo $in > /pfs/out/told']))
    assert odd.last().state == "success", odd.last().reason
    assert odd.tree("P@master")["/a file's"] == "x"
    assert problems(odd) == []
    gc.collect_garbage(odd.store, print)
    odd.store.close()


# Other processes


def test_four_processes_at_once_never_tear_the_state(world):
    world.repo("in", "other")
    world.create(world.toy(parallelism_spec={"constant": 2}), world.toy("Q", repo="P"))
    program = """
        import sys
        from pathlib import Path
        from localpach.actions import files, gc
        from localpach.running import jobs
        from localpach.spec.addresses import parse_file
        from localpach.storage.store import Store
        store, me = Store(Path(sys.argv[1])), sys.argv[2]
        for n in range(5):
            files.put_bytes(store, parse_file(f"in@master:/{me}-{n}"), f"{me} {n}".encode())
            files.put_bytes(store, parse_file("other@master:/same"), f"{me} {n}".encode())
            if n % 2:
                files.delete_files(store, parse_file(f"in@master:/{me}-{n}"))
            if me == "0":
                gc.collect_garbage(store, lambda _: None)
            jobs.run_jobs(store)
        store.close()
    """
    for process in [python(program, world.folder, me) for me in range(4)]:
        finished(process)
    expected = {f"/{me}-{n}": f"{me} {n}" for me in range(4) for n in (0, 2, 4)}
    assert world.tree("in@master") == world.tree("Q@master") == expected
    assert world.line("in@master") == 1 + 4 * (5 + 2)
    assert {job.state for job in world.records.jobs()} == {"success"}
    assert problems(world) == []
    gc.collect_garbage(world.store, print)
    assert world.tree("Q@master") == expected
    assert problems(world) == []


def test_processes_that_begin_a_state_together_all_find_it(tmp_path):
    processes = [localpach_at(tmp_path / "state", "create", "repo", f"r{n}") for n in range(4)]
    for process in processes:
        finished(process)
    store = Store(tmp_path / "state")
    assert sorted(repo.name for repo in store.repos()) == ["r0", "r1", "r2", "r3"]


def test_of_two_processes_that_create_the_same_repo_one_is_told(tmp_path):
    processes = [localpach_at(tmp_path / "state", "create", "repo", "in") for _ in range(2)]
    told = [process.communicate(timeout=DEADLINE_S)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert "error: repo in already exists\n" in told


class Acts(jobs.Silent):
    """Does something once while a job runs."""

    def __init__(self, when, act):
        self.when, self.act, self.notes = when, act, []

    def note(self, message):
        self.notes.append(message)

    def tick(self, job, latest):
        if self.act and self.when.exists():
            act, self.act = self.act, None
            act()


@pytest.mark.parametrize("keep_repo", [True, False])
def test_job_whose_pipeline_is_deleted_while_it_runs_stops_and_the_others_go_on(world, tmp_path, keep_repo):
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy("slow", world.sh(f"touch {trace}; sleep 60")), world.toy("quick"), run=False)

    def delete():
        other = Store(world.folder)
        pipelines.delete_pipeline(other, "slow", keep_repo=keep_repo)
        other.close()

    shown = Acts(trace, delete)
    assert [job.name.partition("@")[0] for job in jobs.run_jobs(world.store, shown)] == ["quick"]
    assert any("slow@" in each and "was deleted while it ran" in each for each in shown.notes)
    assert world.tree("quick@master") == {"/file": "x"}
    assert problems(world) == []


def test_repo_deleted_by_force_while_a_job_reads_it_harms_nothing_else(world, tmp_path):
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/file": "x"})
    world.create(world.toy(cmd=world.sh(f"touch {trace}; sleep 0.5; cp /pfs/in/* /pfs/out")), run=False)
    jobs.run_jobs(world.store, Acts(trace, lambda: repos.delete_repo(world.store, "in", force=True)))
    assert world.tree("P@master") == {"/file": "x"}
    assert problems(world) == []


# Signals, clocks, and what people remove


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_programs_and_the_next_run_goes_on(world, tmp_path, number, wait_until):
    blocked, pid_file = tmp_path / "blocked", tmp_path / "pid"
    blocked.touch()
    world.repo("in")
    world.put("in@master", {"/a": "a", "/b": "b"})
    until_gone = f"for i in $(seq 1200); do test -e {blocked} || break; sleep 0.05; done"
    script = f"test $in = ${{in%a}} && {{ echo $$ > {pid_file}; {until_gone}; }}"
    world.create(world.toy(cmd=world.sh(f"{script}; cp /pfs/in/* /pfs/out")), run=False)
    world.store.close()
    process = localpach_at(world.folder, "wait", "commit", "P@master")
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), process)
    process.send_signal(number)
    _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "stopped; finished datums are kept" in told
    assert "Traceback" not in told
    left = Path("/proc") / pid_file.read_text().strip() / "stat"
    assert not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z"
    blocked.unlink()
    world.reopen()
    assert problems(world) == []
    world.run()
    assert world.tree("P@master") == {"/a": "a", "/b": "b"}


def test_clock_that_goes_backwards_changes_no_order_and_shows_no_negative_time(toy_pipeline, monkeypatch, capsys):
    world = toy_pipeline
    now = [time.time()]

    def earlier():
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", earlier)
    ids = [world.put("in@master", {f"/{n}": str(n)}) for n in range(3)]
    assert [job.id for job in world.jobs("P")][:3] == ids[::-1]
    assert world.tree("P@master") == {"/file": "foo", "/0": "0", "/1": "1", "/2": "2"}
    assert problems(world) == []
    state = ["--state", str(world.folder)]
    for words in (["list", "job", "-p", "P"], ["list", "commit"], ["list", "repo"], ["list", "pipeline"]):
        assert main([*state, *words]) == 0
    monkeypatch.undo()
    shown = capsys.readouterr().out
    assert " -" not in "\n".join(line.replace(" - ", " ").rstrip(" -") for line in shown.splitlines()), shown
    assert "-" not in columns.ago(time.time() + 100)


def test_removed_logs_cost_the_logs_only(toy_pipeline, capsys):
    world = toy_pipeline
    shutil.rmtree(world.folder / "logs")
    assert main(["--state", str(world.folder), "logs", "-p", "P"]) == 0
    assert "/file (success)" in capsys.readouterr().out
    world.put("in@master", {"/other": "x"})
    assert world.tree("P@master") == {"/file": "foo", "/other": "x"}
    shutil.rmtree(world.folder / "logs")
    gc.collect_garbage(world.store, print)
    assert problems(world) == []


def test_logs_removed_while_a_job_runs_cost_the_logs_only(world, tmp_path):
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/a": "a", "/b": "b", "/c": "c"})
    world.create(world.toy(cmd=world.sh(f"echo w; touch {trace}; sleep 0.3; echo x; cp /pfs/in/* /pfs/out")), run=False)
    jobs.run_jobs(world.store, Acts(trace, lambda: shutil.rmtree(world.folder / "logs")))
    assert world.tree("P@master") == {"/a": "a", "/b": "b", "/c": "c"}


def test_state_removed_while_a_job_runs_is_one_line(world, tmp_path, wait_until):
    trace = tmp_path / "trace"
    world.repo("in")
    world.put("in@master", {"/a": "a"})
    world.create(world.toy(cmd=world.sh(f"touch {trace}; sleep 1; cp /pfs/in/* /pfs/out")), run=False)
    world.store.close()
    process = localpach_at(world.folder, "wait", "commit", "P@master")
    wait_until(trace.exists, process)
    shutil.rmtree(world.folder, ignore_errors=True)
    _, told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "Traceback" not in told
    assert [line for line in told.splitlines() if line.startswith("error: ")]
