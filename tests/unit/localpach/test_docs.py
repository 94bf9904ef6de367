"""The manual tells of every command and every field of a spec, and its examples are true."""

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

import localpach
from localpach.cli import main, make_parser
from localpach.spec.spec_fields import IGNORED, MESSAGES, REFUSED

DOCS = Path(__file__).parents[3] / "docs"
MANUAL = (DOCS / "localpach.md").read_text(encoding="utf-8")


def choices(parser):
    (found,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)] or [None]
    return found.choices if found else {}


COMMANDS = [f"{verb} {noun}" for verb, parser in choices(make_parser()).items() for noun in choices(parser) or [""]]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_in_the_manual(command):
    assert f"`{command.strip()}" in MANUAL


FIELDS = [*MESSAGES["CreatePipelineRequest"], *MESSAGES["Transform"], *MESSAGES["Input"], *MESSAGES["PfsInput"]]


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"project", "repo_type"}))
def test_field_is_in_the_manual(field):
    assert field in MANUAL


def test_no_field_is_both_ignored_and_refused():
    assert not set(IGNORED) & set(REFUSED)


CODE = re.findall(r"```(json|console)\n(.*?)```", MANUAL, re.DOTALL)


def normal(text):
    """What a program printed, without what no two runs have in common: IDs and times."""
    return re.sub(r"\d+\.\d+s", "0.0s", re.sub(r"[0-9a-f]{32}", "ID", text)).splitlines()


def test_every_example_in_the_manual_is_what_the_program_prints(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCALPACH_STATE", raising=False)
    (tmp_path / "songs").mkdir()
    for name, text in (("songs/one", "la"), ("songs/two", "li"), ("songs/three", "bad"), ("four", "lo")):
        (tmp_path / f"{name}.txt").write_text(f"{text}\n")
    typo = {"cross": [{"pfs": {"repo": "songs", "glob": "/"}}, {"pfs": {"repo": "loud", "globb": "/"}}]}
    specs = [json.loads(text) for kind, text in CODE if kind == "json"]
    specs.append({"pipeline": {"name": "typo"}, "transform": {"cmd": ["true"]}, "input": typo})
    for spec in specs:
        (tmp_path / f"{spec['pipeline']['name']}.json").write_text(json.dumps(spec))
    calls = [call for kind, text in CODE if kind == "console" for call in re.split(r"(?m)^\$ localpach ", text)[1:]]
    assert len(calls) > 5
    for call in calls:
        line, _, shown = call.partition("\n")
        main(shlex.split(line))
        out, error = capfdbinary.readouterr()
        assert normal((error + out).decode()) == normal(shown), line


def test_every_statement_of_conformance_has_its_test_and_the_reverse():
    listed = re.findall(r"^- \*\*(\d+)\*\* ", (DOCS / "conformance.md").read_text(encoding="utf-8"), re.MULTILINE)
    tests = (Path(__file__).parent / "test_conformance.py").read_text(encoding="utf-8")
    numbers = re.findall(r"^def test_\w+\(.*\):  # (\d+)", tests, re.MULTILINE)
    assert sorted(map(int, listed)) == list(range(1, 31))
    assert set(numbers) == set(listed)


def test_every_module_is_on_the_map():
    told = set(re.findall(r"`([a-z_]+)`", MANUAL.partition("## The code")[2]))
    package = Path(localpach.__file__).parent
    modules = {path.stem for path in package.rglob("*.py") if not path.stem.startswith("__")}
    modules -= {path.stem for path in package.glob("*.py")} - {"errors"}  # former places
    assert len(modules) > 40
    assert not modules - told
