import threading

from ambient.studio.services.work import Task, Work


def run(words, *, stop_after_line=False):
    """Run a program; returns its lines and its error, None if it was stopped."""
    work, lines, errors, done = Work(), [], [], threading.Event()

    def hear(line):
        lines.append(line)
        if stop_after_line:
            work.stop(task)
            done.set()

    def ended(error):
        errors.append(error)
        done.set()

    task = Task(words, hear, ended)
    work.add(task)
    assert done.wait(60)
    work.close()
    return lines, (errors or [None])[0]


def test_lines_of_a_program_are_heard_and_its_end_is_told():
    lines, error = run(["calendar", "2000", "1"])
    assert lines[0].strip() == "January 2000"
    assert error == ""


def test_program_that_fails_is_told_by_its_last_line():
    _, error = run(["stages.render", "--input", "/nowhere.mid", "--output", "/tmp/x.mp3"])
    assert error == "/nowhere.mid: no such file or folder; expected a file, or a folder of them. Check --input"


def test_program_that_is_stopped_tells_nothing_more():
    code = "import time; print('x', flush=True); time.sleep(600)"
    lines, error = run(["timeit", "-n1", "-r1", code], stop_after_line=True)
    assert (lines, error) == (["x"], None)


def test_closing_ends_what_runs_and_what_waits():
    work, ended, begun = Work(), [], threading.Event()
    code = "import time; print('x', flush=True); time.sleep(600)"
    for _ in range(4):
        work.add(Task(["timeit", "-n1", "-r1", code], lambda line: begun.set(), ended.append))
    assert begun.wait(60)
    work.close()
    assert ended == []


def test_folder_of_the_same_name_where_a_person_stands_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "render.py").write_text("print('not ours')")
    monkeypatch.chdir(tmp_path)
    lines, error = run(["stages.render", "--input", "/nowhere.mid", "--output", "/tmp/x.mp3"])
    assert lines == []
    assert error.startswith("/nowhere.mid: no such file")
