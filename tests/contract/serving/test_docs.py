"""The manual of the server is true: its script does what it shows, and its table of calls is that of the server."""

import doctest
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import localpach

MANUAL = (Path(__file__).parents[3] / "docs" / "serve.md").read_text(encoding="utf-8")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """A web server with one file."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "two.txt").write_text("la li\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web")) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_script_of_the_manual_does_what_it_shows(server, web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "three.txt").write_text("la lo\n")
    blocks = re.findall(r"```pycon\n(.*?)```", MANUAL, re.DOTALL)
    assert len(blocks) == 6
    text = "".join(blocks).replace("grpc://127.0.0.1:30650", server.address).replace("http://127.0.0.1:8000", web)
    story = doctest.DocTestParser().get_doctest(text, {}, "serve.md", None, 0)
    told = []
    result = doctest.DocTestRunner(verbose=False).run(story, out=told.append)
    assert result.failed == 0, "".join(told)
    assert result.attempted == 29


def test_table_of_calls_is_that_of_the_server(server):
    section = MANUAL.partition("## Which calls")[2].partition("\n## ")[0]
    told = set(re.findall(r"\b[A-Z]\w+(?:[A-Z]\w*)?\b", "".join(re.findall(r"(?m)^\|.*\|(.*)\|$", section))))
    served = {name for methods in server.services.values() for name in methods}
    assert served == told


def test_fixture_of_the_manual_gives_a_client(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "localpach.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import re\n.*?)```", text, re.DOTALL)
    call = "    assert client.get_version().major == 2\n    assert list(client.pfs.list_repo()) == []\n"
    (tmp_path / "test_mine.py").write_text(block.replace("    ...  #", f"{call}    #"))
    environment = {**os.environ, "PYTHONPATH": str(Path(localpach.__file__).parents[1])}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout
