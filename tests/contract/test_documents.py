"""docs/architecture.md names files that are there, its picture shows the imports, and lines of documents are short."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def draw_imports():
    spec = importlib.util.spec_from_file_location("draw_imports", ROOT / "scripts" / "draw_imports.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(title):
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_picture_shows_the_imports_as_they_are(draw_imports):
    assert draw_imports.with_drawing(TEXT) == TEXT, "run scripts/draw_imports.py"


def test_the_picture_leads_from_the_command_line_down_to_the_specs(draw_imports):
    drawing = draw_imports.drawing()
    for pair in ("localpach_planning --> localpach_storage", "localpach_storage --> localpach_spec"):
        assert f"  {pair}\n" in drawing
    assert "localpach_cli --> localpach_spec" not in drawing  # by way of the rooms between


def test_the_files_to_read_first_are_there():
    links = re.findall(r"\]\(([^)]+)\)", section("Read these six files first"))
    assert len(links) == 6
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []


def test_the_files_that_a_put_meets_are_there():
    names = re.findall(r"`(\w+/\w+\.py)`", section("A put, from the command to the output commit"))
    assert len(names) > 15
    assert [name for name in names if not (ROOT / "src" / "localpach" / name).is_file()] == []


def test_the_files_that_a_song_meets_are_there():
    rows = [line.split("|")[1:-1] for line in section("A song, from the recording to the new piece").splitlines()[3:]]
    found = 0
    for _, stage, where in filter(None, rows):
        names = re.findall(r"`(stages/\w+\.py)`", stage)
        folder = ""
        for name, colon in re.findall(r"`(\w+(?:\.py)?)`(:?)", where):
            if colon:
                folder = f"{name}/"
            else:
                names.append(f"src/ambient/{folder}{name}")
        found += len(names)
        assert [name for name in names if not (ROOT / name).is_file()] == []
    assert found > 20


def test_the_files_where_to_look_are_there():
    names = re.findall(r"`(\w+/[\w/.-]+)`", section("Where to look"))
    assert len(names) > 15
    assert [name for name in names if not (ROOT / "src" / name).is_file()] == []


def test_lines_of_the_documents_have_at_most_120_characters():
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    assert len(paths) > 10
    lines = [(path.name, i, line) for path in paths for i, line in enumerate(path.read_text("utf-8").splitlines(), 1)]
    assert [(name, i) for name, i, line in lines if len(line) > 120] == []
