"""The strict check of pipeline specs: planted errors of every kind are named with their place, and nothing else is."""

import copy
import json
from pathlib import Path

import pytest

from ambient.deployment import specs, template
from ambient.deployment.errors import DeployError, SpecProblemsError
from ambient.deployment.field_names import snake_case
from ambient.deployment.pachd import CREATE_PIPELINE_REQUEST
from ambient.deployment.policy_check import set_problems, spec_problems
from ambient.deployment.schema_check import problems

ROOT = Path(__file__).resolve().parents[3]
PIPELINES = ROOT / "pipelines"
FILES = sorted(PIPELINES.glob("*.json"))
REPOS = specs.INPUT_REPOS

# A spec with fields of every kind: nested messages, lists, maps, enumerations, durations, wrapped and plain numbers.
FULL = {
    "pipeline": {"name": "full", "project": {"name": "default"}},
    "metadata": {"labels": {"anyKey at all": "x"}, "annotations": {"camelCase_and": "y"}},
    "transform": {
        "image": "registry:5000/some/image:1.2",
        "cmd": ["true"],
        "env": {"ANY_thing": "z"},
        "acceptReturnCode": [1, "2"],
        "secrets": [{"name": "s", "key": "k", "env_var": "V", "mount_path": "/x"}],
    },
    "input": {
        "cross": [
            {"pfs": {"repo": "audio-unprocessed", "glob": "/*", "emptyFiles": True}},
            {
                "union": [
                    {"pfs": {"repo": "seeds", "glob": "/", "name": "b"}},
                    {"pfs": {"repo": "seeds", "glob": "/*", "name": "b"}},
                ]
            },
            {"cron": {"name": "tick", "spec": "@every 1h", "start": "2026-01-31T12:00:00Z"}},
        ]
    },
    "parallelism_spec": {"constant": "2"},
    "resourceRequests": {"cpu": 0.5, "memory": "1Gi", "disk": None},
    "resource_limits": {"memory": "1G", "gpu": {"type": "nvidia.com/gpu", "number": 1}},
    "datum_timeout": "0.5s",
    "jobTimeout": "300s",
    "datum_tries": 2.0,
    "autoscaling": True,
    "tolerations": [{"key": "k", "operator": "EQUAL", "value": "v", "effect": "NO_EXECUTE", "tolerationSeconds": "3"}],
    "scheduling_spec": {"node_selector": {"some/Label": "v"}, "priority_class_name": "high"},
    "egress": {"URL": "s3://bucket/folder"},
    "pod_patch": '[{"op": "remove", "path": "/volumes/0"}]',
    "datum_set_spec": {"size_bytes": 9007199254740993},
}
FULL["resourceRequests"]["memory"] = "900M"


def changed(path, value):
    """Return FULL with the value at a path (keys and list places) replaced."""
    spec = copy.deepcopy(FULL)
    place = spec
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return spec


def strict(spec):
    return list(problems(spec, CREATE_PIPELINE_REQUEST))


def test_spec_with_fields_of_every_kind_passes():
    assert strict(FULL) == []
    assert list(spec_problems(snake_case(FULL))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_spec_passes(file):
    spec = json.loads(file.read_text())
    assert strict(spec) == []
    assert list(spec_problems(snake_case(spec))) == []


@pytest.mark.parametrize("cpu", [False, True])
def test_shipped_set_passes_as_a_whole(cpu):
    specs.check(specs.shipped(PIPELINES, cpu=cpu))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_key_of_a_shipped_spec_is_seen(file):
    """Misspell each key in turn, at any depth: each is found, at its place."""
    spec = json.loads(file.read_text())
    planted = 0
    for path in key_paths(spec):
        bad = copy.deepcopy(spec)
        place = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1] + "x"] = place.pop(path[-1])
        found = strict(bad)
        assert len(found) == 1, path
        assert found[0].startswith("$." + dotted([*path[:-1], path[-1] + "x"]) + ": unknown field of "), path
        planted += 1
    assert planted >= 12


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_value_of_a_shipped_spec_has_a_type(file):
    """Give each value another type in turn, at any depth: each is found, at its place."""
    spec = json.loads(file.read_text())
    for path in key_paths(spec):
        bad = copy.deepcopy(spec)
        place = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = [] if isinstance(place[path[-1]], dict) else {"no": "object"}
        found = strict(bad)
        assert len(found) == 1, path
        assert found[0].startswith("$." + dotted(path) + ": found "), path


def key_paths(value, path=()):
    if isinstance(value, list):
        return [p for index, each in enumerate(value) for p in key_paths(each, (*path, index))]
    if isinstance(value, dict):
        return [p for key, each in value.items() for p in [(*path, key), *key_paths(each, (*path, key))]]
    return []


def dotted(path):
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("pipelines",), {}, "$.pipelines: unknown field of CreatePipelineRequest; did you mean pipeline?"),
        (("datumtries",), 1, "$.datumtries: unknown field of CreatePipelineRequest; did you mean datum_tries?"),
        (("input", "cross", 0, "pfs", "globb"), "/", "$.input.cross[0].pfs.globb: unknown field of PfsInput"),
        (("transform", "secrets", 0, "envVars"), "X", "$.transform.secrets[0].envVars: unknown field of SecretMount"),
        (("egress", "Url"), "s3://x", "$.egress.Url: unknown field of Egress"),
        (("datum_tries",), "two", "$.datum_tries: found 'two'; expected a whole number"),
        (("datum_tries",), 1.5, "$.datum_tries: found 1.5; expected a whole number"),
        (("datum_tries",), True, "$.datum_tries: found true; expected a whole number"),
        (("datum_tries",), 2**63, "$.datum_tries: found 9223372036854775808; expected a whole number"),
        (("parallelism_spec", "constant"), -1, "$.parallelism_spec.constant: found -1; expected a whole number"),
        (("datum_timeout",), 300, "$.datum_timeout: found 300; expected a duration such as"),
        (("datum_timeout",), "5m", "$.datum_timeout: found '5m'; expected a duration such as"),
        (("autoscaling",), "true", "$.autoscaling: found 'true'; expected true or false"),
        (("resourceRequests", "cpu"), "half", "$.resourceRequests.cpu: found 'half'; expected a number"),
        (("resourceRequests", "memory"), 512, "$.resourceRequests.memory: found 512; expected a string"),
        (("transform", "cmd"), "true", "$.transform.cmd: found 'true'; expected a list"),
        (("transform", "cmd", 0), 1, "$.transform.cmd[0]: found 1; expected a string"),
        (("transform", "env", "ANY_thing"), 1, '$.transform.env["ANY_thing"]: found 1; expected a string'),
        (("transform", "env"), ["A=1"], "$.transform.env: found a list; expected an object"),
        (
            ("tolerations", 0, "operator"),
            "Exists",
            "$.tolerations[0].operator: found 'Exists'; expected one of EMPTY, EXISTS",
        ),
        (
            ("tolerations", 0, "tolerationSeconds"),
            "soon",
            "$.tolerations[0].tolerationSeconds: found 'soon'; expected a whole",
        ),
        (("input", "cross", 2, "cron", "start"), "noon", "$.input.cross[2].cron.start: found 'noon'; expected a time"),
        (("input", "cross", 1, "union", 0), "b", "$.input.cross[1].union[0]: found 'b'; expected an object (Input)"),
        (
            ("parallelismSpec",),
            {"constant": 1},
            "$.parallelismSpec: the same field as parallelism_spec; expected it once",
        ),
    ],
)
def test_planted_error_is_named_with_its_place(path, value, expected):
    found = strict(changed(path, value))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_null_means_not_set_and_schema_is_dropped():
    assert strict(changed(("egress",), None)) == []
    wrapped = specs.pipelines({"$schema": "x", **FULL}, "full.json")
    assert "$schema" not in wrapped[0].spec


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("pipeline", "name"), "-full", "$.pipeline.name: found '-full'; expected letters"),
        (("pipeline", "name"), "a" * 52, "$.pipeline.name: 52 characters; expected at most 51"),
        (("pipeline", "name"), None, "$.pipeline.name: missing"),
        (("transform",), None, "$.transform: missing"),
        (("transform", "cmd"), [], "$.transform.cmd: missing"),
        (("transform", "image"), "some/image", "$.transform.image: found 'some/image'; expected NAME:TAG"),
        (
            ("transform", "image"),
            "registry:5000/image",
            "$.transform.image: found 'registry:5000/image'; expected NAME:TAG",
        ),
        (
            ("transform", "image"),
            "some/image:latest",
            "$.transform.image: found 'some/image:latest'; expected NAME:TAG",
        ),
        (("transform", "secrets", 0, "key"), None, "$.transform.secrets[0].key: missing; expected it beside env_var"),
        (("input",), {}, "$.input: found no input; expected exactly one of"),
        (("input", "cross"), [], "$.input: found no input; expected exactly one of"),
        (("input", "pfs"), {"repo": "a", "glob": "/"}, "$.input: found pfs and cross; expected exactly one of"),
        (("input", "cross", 0, "pfs", "repo"), None, "$.input.cross[0].pfs.repo: missing"),
        (("input", "cross", 0, "pfs", "glob"), None, "$.input.cross[0].pfs.glob: missing"),
        (
            ("input", "cross", 0, "pfs", "glob"),
            "*",
            "$.input.cross[0].pfs.glob: found '*'; expected it to start with /",
        ),
        (("input", "cross", 0, "pfs", "glob"), "/**", "$.input.cross[0].pfs.glob: found '/**'; expected no **"),
        (("input", "cross", 0, "pfs", "glob"), "/(a", "$.input.cross[0].pfs.glob: found '/(a'; expected every bracket"),
        (("input", "cross", 0, "pfs", "commit"), "abc", "$.input.cross[0].pfs.commit: Pachyderm refuses it"),
        (("input", "cross", 0, "pfs", "name"), "out", "$.input.cross[0].pfs.name: found 'out', which is reserved"),
        (("input", "cross", 0, "pfs", "name"), "b", "$.input: found the name 'b' twice"),
        (("input", "cross", 0, "pfs", "repo"), "full", "$.input.cross[0].pfs.repo: found the pipeline's own name"),
        (
            ("input", "cross", 0, "pfs", "reference"),
            True,
            "$.input.cross[0].pfs.reference: is there since Pachyderm 2.12",
        ),
        (("input", "cross", 2, "cron", "spec"), "", "$.input.cross[2].cron.spec: missing"),
        (("maximum_expected_uptime",), "60s", "$.maximum_expected_uptime: is there since Pachyderm 2.9"),
        (
            ("resource_limits", "gpu", "type"),
            "nvidia",
            "$.resource_limits.gpu.type: found 'nvidia'; expected a Kubernetes",
        ),
        (("resource_limits", "gpu", "type"), None, "$.resource_limits.gpu.type: found None; expected a Kubernetes"),
        (("resource_limits", "gpu", "number"), 0, "$.resource_limits.gpu.number: found 0; expected 1 or more"),
        (("resource_limits", "memory"), "1 GB", "$.resource_limits.memory: found '1 GB'; expected a quantity"),
        (("resourceRequests",), None, "$.resource_requests: expected cpu and memory"),
        (("resourceRequests", "memory"), "2Gi", "$.resource_requests.memory: 2Gi is above the limit of 1G"),
        (("parallelism_spec", "constant"), 9, "$.parallelism_spec.constant: found 9; expected at most 8"),
        (("reprocess_spec",), "always", "$.reprocess_spec: found 'always'; expected until_success or every_job"),
        (("pod_patch",), "[", "$.pod_patch: no JSON"),
        (("pod_patch",), "{}", "$.pod_patch: expected a list of JSON Patch operations"),
        (("pod_patch",), '[{"op": "add"}]', "$.pod_patch: expected op and path in every operation"),
        (("pod_spec",), "[]", "$.pod_spec: expected an object"),
        (("tolerations", 0, "operator"), None, "$.tolerations[0].operator: found None; expected EXISTS or EQUAL"),
        (("update",), True, "$.update: is a flag of the call"),
        (("tf_job",), {}, "$.tf_job: Pachyderm 2 refuses it"),
    ],
)
def test_broken_rule_is_named_with_its_place(path, value, expected):
    found = list(spec_problems(snake_case(changed(path, value))))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_fields_of_a_newer_server_are_allowed_where_it_runs():
    spec = snake_case(changed(("input", "cross", 0, "pfs", "reference"), True))
    assert list(spec_problems(spec, (2, 12))) == []


def small(name, repo):
    return {
        "pipeline": {"name": name},
        "transform": {"image": "i:1", "cmd": ["true"]},
        "input": {"pfs": {"repo": repo, "glob": "/*"}},
    }


def test_at_most_sixteen_pipelines():
    chain = [small(f"p{number}", f"p{number - 1}" if number else "seeds") for number in range(17)]
    assert list(set_problems(chain[:16], REPOS)) == []
    assert list(set_problems(chain, REPOS)) == [
        "17 pipelines; expected at most 16, the limit without an enterprise key"
    ]


def test_inputs_come_before_and_names_are_taken_once():
    found = list(set_problems([small("a", "later"), small("later", "seeds"), small("later", "seeds")], REPOS))
    assert found == [
        "a: $.input.pfs.repo: found later; expected a repo or a pipeline that comes before",
        "later: $.pipeline.name: taken by another pipeline or repo; expected a name of its own",
    ]


def test_check_tells_every_problem_and_its_file(tmp_path):
    (tmp_path / "bad.json").write_text('[{"pipelin": {}, "inputs": {}}]')
    with pytest.raises(SpecProblemsError) as caught:
        specs.check(specs.read(tmp_path / "bad.json"))
    assert len(caught.value.problems) == 2
    assert str(caught.value).startswith(f"{tmp_path / 'bad.json'}: $.pipelin: unknown field")
    assert str(caught.value).endswith("(and 1 more: see above)")


@pytest.mark.parametrize(("text", "message"), [("{", "no JSON"), ("[1]", "holds no object")])
def test_file_that_holds_no_spec(tmp_path, text, message):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DeployError, match=message):
        specs.read(tmp_path / "bad.json")
    with pytest.raises(DeployError, match="No such file"):
        specs.read(tmp_path / "gone.json")


# -- the template


def rendered(**arguments):
    return template.render(PIPELINES / "ambient-music.jsonnet", arguments)


def test_template_renders_the_shipped_specs_by_default():
    assert rendered() == [pipeline.spec for pipeline in specs.shipped(PIPELINES, cpu=False)]
    assert rendered(gpus="0") == [pipeline.spec for pipeline in specs.shipped(PIPELINES, cpu=True)]


def test_every_shipped_spec_is_in_the_template():
    by_template = {json.dumps(spec, sort_keys=True) for gpus in "01" for spec in rendered(gpus=gpus)}
    assert by_template == {json.dumps(json.loads(file.read_text()), sort_keys=True) for file in FILES}


def test_template_varies_what_people_vary_and_stays_valid():
    varied = rendered(image_prefix="registry.example.com:5000/me", image_tag="0.2.0", epochs="7", gpus="2", workers="8")
    specs.check(specs.pipelines(varied, "template"))
    images = [spec["transform"]["image"] for spec in varied]
    assert images[2] == "registry.example.com:5000/me/onsets-and-frames:0.2.0"
    assert images[4] == "registry.example.com:5000/me/music-transformer:0.2.0-gpu"
    training = varied[4]
    assert training["transform"]["cmd"][3:5] == ["--epochs", "7"]
    assert training["resource_limits"]["gpu"] == {"type": "nvidia.com/gpu", "number": 2}
    workers = {spec["pipeline"]["name"]: spec.get("parallelism_spec", {}).get("constant") for spec in varied}
    assert {name for name, count in workers.items() if count == 8} == {
        "audio-processed-wav", "midi", "transformer-preprocess", "generated-music", "rendered-music",
    }  # fmt: skip


def test_rendered_mistake_is_found_by_the_same_check():
    with pytest.raises(SpecProblemsError, match="found 9; expected at most 8"):
        specs.check(specs.pipelines(rendered(workers="9"), "template"))
    with pytest.raises(SpecProblemsError, match="expected NAME:TAG with a fixed tag"):
        specs.check(specs.pipelines(rendered(image_tag="latest"), "template"))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"gpu": "1"}, "no parameter gpu"), ({"gpus": "two"}, "two is not a")]
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(DeployError, match=message):
        rendered(**arguments)
