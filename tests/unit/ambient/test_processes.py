"""Processes that work beside a program end with it, however it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ambient.processes import process_pool

PROGRAM = """
import os, time
from ambient.processes import process_pool

if __name__ == "__main__":
    with process_pool(2) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(20)}, *pool._processes, flush=True)
        pool.submit(time.sleep, 600).result()
"""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # nobody may be there to collect it
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_killing_a_program_ends_the_processes_of_its_pool(tmp_path, kill):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as program:
        pids = [int(word) for word in program.stdout.readline().split()]
        assert pids
        assert all(is_running(pid) for pid in pids)
        program.send_signal(kill)
        program.wait(30)
    until = time.monotonic() + 30
    while any(is_running(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def test_each_process_is_prepared_once():
    with process_pool(1, os.putenv, ("PREPARED", "yes")) as pool:
        assert pool.submit(subprocess.check_output, ["sh", "-c", "echo $PREPARED"]).result() == b"yes\n"
