"""The manual tells of every command and every field of a spec."""

import argparse
from pathlib import Path

import pytest

from localpach.cli import make_parser
from localpach.spec_fields import IGNORED, MESSAGES, REFUSED

MANUAL = (Path(__file__).parents[3] / "docs" / "localpach.md").read_text(encoding="utf-8")


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
