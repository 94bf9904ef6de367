"""What a spec file may say: accepted, refused with the place named, and the fields with no effect here."""

import dataclasses
import json

import pytest

from localpach.errors import LocalpachError, SpecError
from localpach.spec.inputs import Cron, Trigger, size_bytes
from localpach.spec.spec import Limits, Secret, load, parse, parse_fields
from localpach.spec.spec_fields import IGNORED, MESSAGES, REFUSED

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


def transform(**changes):
    return one(transform={**GOOD["transform"], **changes})


def crossed(*members):
    return {"cross": list(members)}


@pytest.mark.parametrize(  # conformance statement 30
    ("text", "message"),
    [
        ("this is: neither\n- nor", "line 2: no YAML: "),
        ("this is: no spec", r"^\$\.this is: unknown field"),
        ("just words", "expected an object or a list"),
        ('{"pipeline": {"name": "a"}', "line 1: no JSON: "),
        ('"text"', "expected an object or a list"),
        ("[" * 100_000, "nested too deep"),
        ('{"pipeline": {"name": "a", "name": "b"}}', r"\$: the field name is given twice"),
        (one(datum_tries=float("inf")), r"\$\.datum_tries: expected a whole number from 0, found inf"),
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
        (one(input={"cron": {"spec": "@every 1m"}}), r"\$\.input\.cron\.name: missing"),
        (one(input={"cron": {"name": "tick"}}), r"\$\.input\.cron\.spec: empty"),
        (one(input={"cron": {"name": "tick", "spec": "hourly"}}), r"\$\.input\.cron\.spec: .*expected 5 fields"),
        (one(input={"pfs": {**PFS["pfs"], "trigger": {"size": "big"}}}),
         r"\$\.input\.pfs\.trigger\.size: expected a size such as 1K"),
        (one(input={"pfs": {**PFS["pfs"], "trigger": {"cron_spec": "@every day"}}}),
         r"\$\.input\.pfs\.trigger\.cron_spec: .*expected a duration"),
        (one(service={"internal_port": 1}), r"\$\.service: is not supported"),
        (one(spout={}), r"\$\.spout: is not supported"),
        (one(egress={"URL": "s3://x/y"}), r"\$\.egress\.URL: s3://x/y is not supported on one machine; expected file"),
        (one(egress={"object_storage": {"url": "gs://x"}}), r"\$\.egress\.object_storage\.url: gs://x is not supp"),
        (one(egress={"sql_database": {"url": "postgres://x"}}), r"\$\.egress\.sql_database: is not supported"),
        (one(egress={"url": "file:///x"}), r"\$\.egress\.url: unknown field; did you mean URL\?"),
        (transform(secrets=[{"key": "k", "env_var": "K"}]), r"\$\.transform\.secrets\[0\]\.name: missing"),
        (transform(secrets=[{"name": "s", "env_var": "K"}]), r"\$\.transform\.secrets\[0\]\.key: missing"),
        (transform(secrets=[{"name": "s"}]), r"\$\.transform\.secrets\[0\]: needs an env_var or a mount_path"),
        (transform(secrets=[{"name": "s", "mount_path": "x"}]), "mount_path: expected an absolute path"),
        (one(update=True), "is a flag of the command"),
        (one(datum_timeout="5 minutes"), r'\$\.datum_timeout: expected a duration such as "300s", found'),
        (one(datum_tries="many"), "expected a whole number"),
        (one(transform={"cmd": "true"}), r"\$\.transform\.cmd: expected a list, found a string"),
        (one(transform={"cmd": ["true"], "env": {"A": 1}}), r"\.transform\.env\.A: expected a string, found a num"),
        (one(reprocess_spec="sometimes"), "until_success or every_job"),
        (one(pipeline={"name": "-x"}), "is refused"),
        (one(pipeline={"name": "p\n"}), "is refused"),
        (one(output_branch="../x"), r"\$\.output_branch: the branch name '\.\./x' is refused"),
        (one(input={"pfs": {"repo": "../in", "glob": "/"}}), r"the repo name '\.\./in' is refused"),
        (one(input={"pfs": {"repo": "in", "glob": "/", "name": "../../x"}}), r"the input name .* is refused"),
        (one(input={"pfs": {"repo": "in", "glob": "/", "name": ".hidden"}}), r"the input name .* is refused"),
        (one(input={"pfs": {"repo": "in", "glob": "/", "branch": "a/b"}}), "the branch name 'a/b' is refused"),
        (one(input={"pfs": {**PFS["pfs"], "trigger": {"branch": "a/b"}}}), "the branch name 'a/b' is refused"),
        (one(input={"cron": {"name": "a/b", "spec": "@never"}}), "the repo name 'p_a/b' is refused"),
        (one(input={"cron": {"name": "tick", "repo": "..", "spec": "@never"}}), r"the repo name '\.\.' is refused"),
        (one(pod_patch="[{"), r"\$\.pod_patch: expected JSON in a string"),
        (one(tolerations=[{"key": "gpu"}]), r"\$\.tolerations\[0\]\.operator: expected EXISTS or EQUAL"),
        (transform(cmd=["a\0b"]), r"\$\.transform\.cmd\[0\]: expected a string"),
        (transform(cmd=["\ud800"]), r"\$\.transform\.cmd\[0\]: expected a string"),
        (transform(env={"A=B": "x"}), r"\$\.transform\.env: 'A=B' is no name of a variable"),
        (one(pipeline={"name": "x" * 52}), "is refused"),
    ],
)  # fmt: skip
def test_bad_spec_is_refused_and_the_cause_named(text, message):
    with pytest.raises(LocalpachError, match=message):
        parse(text)


def path_of(message, seen=()):
    """Give, for each message, how a spec leads to it: keys and list places from the top."""
    found = {}
    for name, kind in MESSAGES[message].items():
        inner = kind.strip("[]")
        if inner in MESSAGES and inner not in seen:
            step = (name, kind.startswith("["))
            found[inner] = [step]
            found.update({key: [step, *rest] for key, rest in path_of(inner, (*seen, message)).items()})
    return found


PATHS = path_of("CreatePipelineRequest")


def test_every_message_can_be_reached():
    assert set(PATHS) | {"CreatePipelineRequest"} == set(MESSAGES)


@pytest.mark.parametrize("message", sorted(PATHS))
def test_unknown_field_is_named_with_its_path_in_every_message(message):
    name = max(MESSAGES[message], key=len)
    value, place = {name + "x": 1}, rf"\.{name}x: unknown field; did you mean {name}\?"
    for key, is_list in reversed(PATHS[message]):
        value = {key: [value] if is_list else value}
        place = rf"\.{key}\[0\]{place}" if is_list else rf"\.{key}{place}"
    with pytest.raises(SpecError, match=rf"^\${place}$"):
        parse_fields(json.dumps({**GOOD, **value}))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_every_refused_field_is_refused_by_its_path(name):
    fields = {"bool": True, "str": "x"}
    message, _, field = name.rpartition(".")
    top = {"": {}, "transform": GOOD["transform"], "egress": {}, "pfs": PFS["pfs"],
           "cron": {"name": "tick", "spec": "@never"}}[message]  # fmt: skip
    kind = MESSAGES[{"": "CreatePipelineRequest", "egress": "Egress", "pfs": "PfsInput", "cron": "CronInput"}[message]]
    value = {**top, field: fields.get(kind[field], {})}
    spec = {"": value, "egress": {"egress": value}}.get(message) or {"input": {message: value}}
    with pytest.raises(SpecError, match=rf"\.{field}: is "):
        parse(one(**spec))


def test_secrets_egress_image_and_limits_are_read():
    secrets = [{"name": "S", "key": "k", "envVar": "K"}, {"name": "S", "mount_path": "/var/secret"}]
    (found,) = parse(
        one(
            transform={**GOOD["transform"], "secrets": secrets, "image": "i:1", "user": "me", "datumBatching": True},
            egress={"object_storage": {"url": "file:///out"}},
            resource_limits={"cpu": 0.5, "memory": "1G", "gpu": {"type": "nvidia.com/gpu", "number": "2"}},
        )
    )
    assert found.transform.secrets == (Secret("S", key="k", env_var="K"), Secret("S", mount_path="/var/secret"))
    assert (found.transform.image, found.transform.user, found.transform.datum_batching) == ("i:1", "me", True)
    assert found.egress == "file:///out"
    assert found.limits == Limits(0.5, "1G", 2)


def test_cron_input_reads_a_repo_of_its_own():
    cron = {"name": "tick", "spec": "@every 10s", "overwrite": True, "start": "2026-01-01T00:00:00Z"}
    (found,) = parse(one(input={"cross": [PFS, {"cron": cron}]}))
    (tick,) = [each for each in found.inputs if each.cron]
    assert (tick.repo, tick.name, tick.glob, tick.branch) == ("p_tick", "tick", "/*", "master")
    assert tick.cron == Cron("@every 10s", overwrite=True, start_s=1767225600.0)
    assert tick.explicit_name == ""  # it sorts as an unnamed input


def test_triggered_inputs_read_branches_that_are_numbered_for_each_repo():
    def triggered(name, repo, **more):
        return {"pfs": {"repo": repo, "glob": "/", "name": name, "trigger": {"size": "1K"}, **more}}

    members = [triggered("c", "x"), triggered("a", "x"), triggered("b", "y"), triggered("d", "x", branch="mine")]
    (found,) = parse(one(input=crossed(*members)))
    assert [(each.name, each.branch) for each in found.inputs] == [
        ("a", "p-trigger-1"), ("b", "p-trigger-1"), ("c", "p-trigger-2"), ("d", "mine"),
    ]  # fmt: skip
    assert {each.trigger.branch for each in found.inputs} == {"master"}


@pytest.mark.parametrize(
    ("text", "count"),
    [("500", 500), ("1K", 1000), ("1kb", 1000), ("1.5M", 1_500_000), ("2 GB", 2_000_000_000), ("0", 0)],
)
def test_size_of_a_trigger_is_in_decimal_units(text, count):
    assert size_bytes(text) == count


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


HONOURED = {
    "": "pipeline transform parallelism_spec egress output_branch input description datum_timeout job_timeout salt "
    "datum_tries metadata reprocess_spec",
    "transform.": "cmd err_cmd env secrets stdin err_stdin accept_return_code working_dir datum_batching",
    "egress.": "URL object_storage",
    "input.": "pfs join group cross union cron",
    "pfs.": "project name repo repo_type branch glob join_on outer_join group_by lazy empty_files trigger "
    "propagation_spec reference",
    "cron.": "name project repo spec overwrite start",
}
TOPS = {
    "": "CreatePipelineRequest", "transform.": "Transform", "egress.": "Egress", "input.": "Input", "pfs.": "PfsInput",
    "cron.": "CronInput",
}  # fmt: skip


@pytest.mark.parametrize("prefix", TOPS)
def test_every_field_is_honoured_ignored_or_refused_and_only_one_of_these(prefix):
    def named(table):
        return [key.removeprefix(prefix) for key in table if key.startswith(prefix) and key.count(".") == bool(prefix)]

    fates = [*HONOURED[prefix].split(), *named(IGNORED), *named(REFUSED)]
    assert sorted(fates) == sorted(MESSAGES[TOPS[prefix]])


def test_all_conditions_of_a_trigger_are_honoured():
    assert {each.name for each in dataclasses.fields(Trigger)} == set(MESSAGES["Trigger"])
