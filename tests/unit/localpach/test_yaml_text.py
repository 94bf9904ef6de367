"""Specs in YAML: what is read, that nothing is taken for what it does not look like, and what is refused."""

import json
import sys

import pytest

from localpach.errors import SpecError
from localpach.spec.spec import parse, parse_fields
from localpach.spec.yaml_text import parse_yaml

TWO = """
pipeline: {name: a}
---
{"pipeline": {"name": "b"}}
"""
SPEC = """
# a comment
pipeline:
  name: p
input:
  pfs:
    repo: in
    glob: /*
transform:
  cmd: [sh]
  stdin:
    - echo yes
    - |
      echo on
  env: {FLAG: "1"}
datumTries: "4"
resourceRequests: {disk: 256Mi, cpu: .5}
resourceLimits: null
autoscaling: true
"""


def test_yaml_says_what_the_same_json_says():
    (found,) = parse(SPEC)
    fields = {
        "pipeline": {"name": "p"}, "input": {"pfs": {"repo": "in", "glob": "/*"}}, "datum_tries": 4,
        "transform": {"cmd": ["sh"], "stdin": ["echo yes", "echo on\n"], "env": {"FLAG": "1"}}, "autoscaling": True,
        "resource_requests": {"disk": "256Mi", "cpu": 0.5},
    }  # fmt: skip
    assert (found,) == tuple(parse(json.dumps(fields)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (TWO, ["a", "b"]),
        ("- pipeline: {name: a}\n- {pipeline: {name: b}}\n", ["a", "b"]),
        ('{"pipeline": {"name": "a"}}\n---\n[{"pipeline": {"name": "b"}}]', ["a", "b"]),
        ("---\n---\npipeline: {name: a}\n...\n", ["a"]),
        ("# nothing\n", []),
    ],
)
def test_documents_and_lists_each_give_their_specs(text, names):
    assert [fields["pipeline"]["name"] for fields in parse_fields(text)] == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("off", "off"), ("N", "N"), ("true", True), ("False", False), ("~", None), ("null", None),
        ("2026-01-31", "2026-01-31"), ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"), ("1:30", "1:30"),
        ("012", 12), ("0x1f", 31), ("1_000", "1_000"), ("-3", -3), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0),
        (".inf", ".inf"), ("300s", "300s"), ("'4'", "4"), ("!!str 4", "4"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_word_is_what_it_looks_like(text, value):
    (found,) = parse_yaml(f"word: {text}")
    assert found == {"word": value}
    assert type(found["word"]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x\n", "line 2: an alias is refused"),
        ("a: 1\nb: 2\na: 3\n", "line 3: the field a is given twice"),
        ("a: 1\n1: 2\n", "line 2: expected a name before the colon, found 1"),
        ("a:\n  - ]\n", "line 2: no YAML: "),
        ("a: !!python/object:os.system x\n", "line 1: the tag tag:yaml.org,2002:python/object:os.system is refused"),
        ("a: !mine x\n", "line 1: the tag !mine is refused"),
        ("a: !!binary aGk=\n", "line 1: the tag .*binary is refused"),
        ("a: !!int x\n", "no YAML: "),
        ("a: \x01\n", "no YAML: "),
        ("a: " + "[" * 100_000, "nested too deep|no YAML"),
    ],
)
def test_what_a_spec_cannot_hold_is_refused_with_its_line(text, message):
    with pytest.raises(SpecError, match=message):
        parse_fields(text)


def test_place_of_a_mistake_names_its_document():
    with pytest.raises(SpecError, match=r"^document 2: \$\.inputt: unknown field"):
        parse_fields("pipeline: {name: a}\n---\npipeline: {name: b}\ninputt: {}\n")


def test_without_pyyaml_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SpecError, match=r"\$: is no JSON; to read YAML, `pip install pyyaml`"):
        parse_fields(SPEC)
    assert parse_fields('{"pipeline": {"name": "a"}}')
    with pytest.raises(SpecError, match="line 1: no JSON"):
        parse_fields('{"pipeline": ')
