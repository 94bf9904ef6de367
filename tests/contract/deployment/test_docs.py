"""The manual for clusters shows commands that exist: ours are parsed by their programs, pachctl's are of its words."""

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from ambient.deployment import specs, template
from ambient.deployment.program import build_parser

ROOT = Path(__file__).resolve().parents[3]
MANUAL = (ROOT / "docs" / "pachyderm.md").read_text()
README = (ROOT / "README.md").read_text()
# Verb and noun of pachctl 2.6 to 2.12, as far as the manual may use them.
PACHCTL = {
    "copy file", "create branch", "create pipeline", "create repo", "create secret", "delete file", "get file",
    "list datum", "list job", "logs", "put file", "update pipeline", "version", "finish commit",
}  # fmt: skip


def commands(text, program):
    """Return the words of every call of a program in code blocks and in back quotes."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    found = [line.split("  #")[0] for line in blocks.splitlines() if line.strip().startswith(program)]
    found += [call for call in re.findall(r"`([^`\n]+)`", text) if call.startswith(program + " ")]
    return [shlex.split(call.strip())[1:] for call in found]


def subparsers():
    return next(action for action in build_parser()._actions if hasattr(action, "choices") and action.choices).choices


def test_every_call_of_the_deploy_program_is_parsed_by_it():
    calls = [words for words in commands(MANUAL + README, "scripts/deploy.py") if not words[0].startswith("[")]
    assert len(calls) >= 7
    for words in calls:
        build_parser().parse_args(words)  # wrong words would end the test with exit code 2


def test_every_command_and_flag_of_the_deploy_program_is_documented():
    section = MANUAL.split("\n## The deploy program\n")[1].split("\n## ")[0]
    for name, parser in subparsers().items():
        assert re.search(rf"^\| `{name}\b", section, re.MULTILINE), name
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in ("-h", "--help") or flag in section, flag
    for action in build_parser()._actions:
        if action.help == argparse.SUPPRESS:  # a former spelling
            continue
        assert all(flag in section for flag in action.option_strings if flag not in ("-h", "--help"))


def test_every_call_of_the_simulation_is_parsed_by_it():
    spec = importlib.util.spec_from_file_location("simulate_cluster", ROOT / "scripts" / "simulate_cluster.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls = commands(MANUAL, "scripts/simulate_cluster.py")
    assert calls
    for words in calls:
        module.build_parser().parse_args(words)


def test_every_call_of_pachctl_is_of_its_words():
    calls = commands(MANUAL + README, "pachctl")
    assert len(calls) > 12
    for words in calls:
        assert " ".join(words[:2]) in PACHCTL or words[0] in PACHCTL, words


def test_arguments_of_the_template_are_documented_with_their_defaults():
    table = MANUAL.split("\n## What to vary\n")[1].split("\n## ")[0]
    head = (ROOT / "pipelines" / template_name()).read_text().split("function(")[1].split(")\n")[0]
    defaults = dict(re.findall(r"(\w+)='([^']*)'", head))
    assert defaults.keys() == {"image_prefix", "image_tag", "epochs", "gpus", "workers"}
    for name, value in defaults.items():
        assert re.search(rf"^\| `{name}` \| `?{re.escape(value)}`? \|", table, re.MULTILINE), name


def test_calls_of_pachctl_with_the_template_render():
    for words in commands(MANUAL, "pachctl"):
        if "--jsonnet" in words:
            arguments = dict(word.split("=", 1) for word in words if "=" in word)
            rendered = template.render(ROOT / words[words.index("--jsonnet") + 1], arguments)
            specs.check(specs.pipelines(rendered, "template"))


def template_name():
    from ambient.deployment.program import TEMPLATE

    return TEMPLATE


@pytest.mark.parametrize("document", ["docs/pachyderm.md"])
def test_every_file_that_the_manual_names_is_there(document):
    text = (ROOT / document).read_text()
    named = re.findall(r"`((?:pipelines|scripts|dockerfiles|benchmarks)/[\w./-]+)`", text) + re.findall(
        r"\]\(([^)#:]+)\)", text
    )
    assert named
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "docs" / name).exists(), name
