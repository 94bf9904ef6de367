"""What a spec file may say: accepted, refused with the place named, and the fields with no effect here."""

import json

import pytest

from localpach.errors import LocalpachError, SpecError
from localpach.spec import load, parse, parse_fields

PFS = {"pfs": {"repo": "in", "glob": "/*"}}
GOOD = {"pipeline": {"name": "p"}, "transform": {"cmd": ["true"]}, "input": PFS}


def one(**changes):
    return json.dumps({**GOOD, **changes})


@pytest.mark.parametrize(  # conformance statement 30
    ("text", "count"),
    [
        ("", 0),
        (" \n", 0),
        ('{"pipeline": {"name": "a"}}', 1),
        ('[{"pipeline": {"name": "a"}}, {"pipeline": {"name": "b"}}]', 2),
        ('{"$schema": "x", "pipeline": {"name": "a"}}', 1),
        ('{"pipeline": {"name": "a"}, "resourceRequests": null}', 1),
        ('{"pipeline": {"name": "a"}, "datumTries": "4", "resourceRequests": {"disk": "256Mi", "cpu": 0.5}}', 1),
        (
            '{"pipeline": {"name": "a"}, "datum_tries": 4, "resource_requests": {"disk": "1G"}, "autoscaling": true}',
            1,
        ),
    ],
)
def test_shape_of_a_file_is_accepted(text, count):
    assert len(parse_fields(text)) == count


def test_camel_case_and_snake_case_say_the_same():
    camel = parse(one(datumTries="4", datumTimeout="0.5s", parallelismSpec={"constant": 2}))
    snake = parse(one(datum_tries=4, datum_timeout="0.5s", parallelism_spec={"constant": "2"}))
    assert camel == snake
    assert (camel[0].datum_tries, camel[0].datum_timeout_s, camel[0].workers) == (4, 0.5, 2)


def crossed(*members):
    return {"cross": list(members)}


@pytest.mark.parametrize(  # conformance statement 30
    ("text", "message"),
    [
        ("this is: no JSON", "line 1: .*a spec is JSON here"),
        ('"text"', "expected an object or a list"),
        ("[" * 100_000, "nested too deep"),
        ('{"pipeline": {"name": "a", "name": "b"}}', r"\$: the field name is given twice"),
        (one(datum_tries=float("inf")), r"\$\.datum_tries: expected a whole number, found inf"),
        (one(input={"pfs": {"repo": "a", "glob": "/[a"}}), r"\$\.input\.pfs\.glob: glob '/\[a': '\[' is never closed"),
        (one(inputt={}), r"\$\.inputt: unknown field; did you mean input\?"),
        (one(input=crossed(PFS, {"pfs": {"repo": "a", "globb": "/"}})),
         r"\$\.input\.cross\[1\]\.pfs\.globb: unknown field; did you mean glob\?"),
        (one(datum_tries=1, datumTries=1), "given twice"),
        (one(pipeline=None), r"\$\.pipeline\.name: missing"),
        (one(transform=None), r"\$\.transform: missing"),
        (one(transform={}), r"\$\.transform\.cmd: missing"),
        (one(input=None), r"\$\.input: no input set"),
        (one(input={}), "no input set"),
        (one(input={"cross": []}), "no input set"),
        (one(input={"union": []}), "no input set"),
        (one(input={"join": []}), "no input set"),
        (one(input={**PFS, "cross": [PFS]}), "exactly one kind"),
        (one(input={"pfs": {"glob": "/"}}), r"\$\.input\.pfs\.repo: missing"),
        (one(input={"pfs": {"repo": "a"}}), r"\$\.input\.pfs\.glob: missing"),
        (one(input={"pfs": {"repo": "a", "glob": "/(", }}), "glob .* never closed"),
        (one(input={"pfs": {"repo": "out", "glob": "/"}}), "'out' is reserved"),
        (one(input={"pfs": {"repo": "a", "name": "out", "glob": "/"}}), "'out' is reserved"),
        (one(input=crossed(PFS, PFS)), "'in' is used more than once"),
        (one(input={"pfs": {"repo": "p", "glob": "/"}}), "reads itself"),
        (one(input={"cron": {"name": "tick", "spec": "@every 1m"}}), r"\$\.input\.cron: is not supported"),
        (one(service={"internal_port": 1}), r"\$\.service: is not supported"),
        (one(spout={}, egress={"URL": "s3://x"}), r"\$\.egress: is not supported"),
        (one(update=True), "is a flag of the command"),
        (one(datum_timeout="5 minutes"), r'\$\.datum_timeout: expected a duration such as "300s", found'),
        (one(datum_tries="many"), "expected a whole number"),
        (one(transform={"cmd": "true"}), r"\$\.transform\.cmd: expected a list, found a string"),
        (one(transform={"cmd": ["true"], "env": {"A": 1}}), "values are strings"),
        (one(reprocess_spec="sometimes"), "until_success or every_job"),
        (one(pipeline={"name": "-x"}), "is refused"),
        (one(pipeline={"name": "x" * 52}), "is refused"),
    ],
)  # fmt: skip
def test_bad_spec_is_refused_and_the_cause_named(text, message):
    with pytest.raises(LocalpachError, match=message):
        parse(text)


def test_input_names_may_repeat_between_members_of_a_union():
    (found,) = parse(one(input={"union": [PFS, PFS]}))
    assert len(found.inputs) == 2


def test_members_are_sorted_by_explicit_name_before_names_are_filled_in():
    members = [
        {"pfs": {"repo": repo, "glob": "/", "name": name}}
        for repo, name in (("x", "b"), ("z", ""), ("y", "a"), ("w", ""))
    ]
    (found,) = parse(one(input=crossed(*members)))
    assert [each.name for each in found.inputs] == ["z", "w", "a", "b"]


def test_fields_without_effect_are_listed():
    (found,) = parse(one(autoscaling=True, resource_limits={"gpu": {"type": "nvidia.com/gpu", "number": 1}}))
    assert set(found.ignored) == {"autoscaling", "resource_limits"}


def test_error_names_the_file(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(one(inputt={}))
    with pytest.raises(SpecError, match=r"bad\.json: \$\.inputt: unknown field"):
        load(path)
