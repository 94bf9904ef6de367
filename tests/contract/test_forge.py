"""What a forge reads: the workflow runs what a person runs, templates and citation are well formed."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_workflow_runs_make_test_on_each_python_and_on_macos():
    (job,) = read(".github/workflows/test.yml")["jobs"].values()
    runs = {(each["os"], each["python"]) for each in job["strategy"]["matrix"]["include"]}
    assert {("ubuntu-latest", "3.11"), ("ubuntu-latest", "3.12"), ("ubuntu-latest", "3.13")} < runs
    assert any(system == "macos-latest" for system, _ in runs)
    assert [step["run"] for step in job["steps"] if "run" in step] == ['make test PYTHON="$(command -v python)"']


def test_the_actions_of_others_are_pinned_to_commits_and_get_no_token():
    (job,) = read(".github/workflows/test.yml")["jobs"].values()
    actions = {step["uses"].split("@")[0]: step for step in job["steps"] if "uses" in step}
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in actions.values())
    assert actions["actions/checkout"]["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", ["bug", "wish"])
def test_an_issue_template_asks_for_something(name):
    template = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert {"name", "description", "body"} <= template.keys()
    assert any(field.get("validations", {}).get("required") for field in template["body"])
    assert len({field["id"] for field in template["body"]}) == len(template["body"])


def test_commits_are_checked_by_the_tools_of_the_environment():
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["id"] for hook in hooks] == ["ruff-format", "ruff-check", "mypy", "version"]
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in hooks)


def test_the_citation_names_the_licence_of_the_project():
    citation = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "version"} <= citation.keys()
    assert citation["license"] == "Apache-2.0"
