"""The shipped specs: accepted by the runner, understood by their stages, and fit for a cluster."""

import importlib
import json
import re
from pathlib import Path

import pytest

from localpach.spec import spec as localpach_spec

ROOT = Path(__file__).resolve().parents[2]
SPECS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "pipelines").glob("*.json"))}
# file -> (pipeline, stage, image), as in docs/architecture.md
TABLE = {
    "audio-processed": ("audio-processed", "rename", "audio"),
    "mp3-to-wav": ("audio-processed-wav", "to_wav", "audio"),
    "midi": ("midi", "transcribe", "onsets-and-frames"),
    "transformer-preprocess": ("transformer-preprocess", "preprocess", "music-transformer"),
    "music-transformer": ("music-transformer", "train", "music-transformer"),
    "music-transformer-cpu": ("music-transformer", "train", "music-transformer"),
    "generated-music": ("generated-music", "generate", "generate"),
    "rendered-music": ("rendered-music", "render", "audio"),
}
INPUT_REPOS = {"audio-unprocessed", "seeds"}


def inputs_of(spec):
    node = spec["input"]
    return [member["pfs"] for member in node.get("cross", [node])]


def test_the_shipped_specs_are_those_of_the_architecture():
    found = {
        name: (s["pipeline"]["name"], s["transform"]["cmd"][2].removeprefix("stages."), image_of(s)[0])
        for name, s in SPECS.items()
    }
    assert found == TABLE


def image_of(spec):
    name, tag = re.fullmatch(
        r"ambient-music-generation/([a-z-]+):(\d+\.\d+\.\d+(?:-gpu)?)", spec["transform"]["image"]
    ).groups()
    return name, tag


@pytest.mark.parametrize("name", SPECS)
def test_runner_accepts_the_spec(name):
    assert len(localpach_spec.load(ROOT / "pipelines" / f"{name}.json")) == 1


@pytest.mark.parametrize("name", SPECS)
def test_command_is_parsed_by_its_own_stage(name):
    cmd = SPECS[name]["transform"]["cmd"]
    assert cmd[:2] == ["python3", "-m"]
    importlib.import_module(cmd[2]).build_parser().parse_args(cmd[3:])


@pytest.mark.parametrize("name", SPECS)
def test_every_pfs_path_in_a_command_is_an_input_or_the_output(name):
    declared = {pfs.get("name", pfs["repo"]) for pfs in inputs_of(SPECS[name])} | {"out"}
    used = {m for word in SPECS[name]["transform"]["cmd"] for m in re.findall(r"/pfs/([^/]+)", word)}
    assert used == declared


@pytest.mark.parametrize("name", SPECS)
def test_every_input_is_a_shipped_pipeline_or_a_repo_that_a_person_fills(name):
    assert {pfs["repo"] for pfs in inputs_of(SPECS[name])} <= {row[0] for row in TABLE.values()} | INPUT_REPOS


@pytest.mark.parametrize("name", SPECS)
def test_limits_come_with_requests(name):
    spec = SPECS[name]
    assert {"cpu", "memory"} <= spec["resource_requests"].keys()
    assert "memory" in spec["resource_limits"]
    gpu = spec["resource_limits"].get("gpu")
    assert gpu in (None, {"type": "nvidia.com/gpu", "number": 1})
    assert image_of(spec)[1].endswith("-gpu") == (gpu is not None)


@pytest.mark.parametrize(
    "name", sorted(SPECS.keys() - {"audio-processed", "music-transformer", "music-transformer-cpu"})
)
def test_one_bad_file_does_not_stop_the_others(name):
    assert SPECS[name]["transform"]["err_cmd"] == ["true"]
    assert SPECS[name]["datum_tries"] == 1


def test_gpu_and_cpu_training_differ_in_resources_only():
    gpu, cpu = SPECS["music-transformer"], SPECS["music-transformer-cpu"]
    assert gpu["transform"]["cmd"] == cpu["transform"]["cmd"]
    assert gpu["input"] == cpu["input"]
    assert {key for key in gpu if gpu[key] != cpu.get(key)} == {
        "description",
        "transform",
        "resource_requests",
        "resource_limits",
        "tolerations",
        "pod_patch",
    }
    assert cpu.keys() <= gpu.keys()


def test_training_on_a_gpu_may_run_on_a_node_that_is_kept_for_gpus():
    tolerations = SPECS["music-transformer"]["tolerations"]
    assert tolerations == [{"key": "nvidia.com/gpu", "operator": "EXISTS", "effect": "NO_SCHEDULE"}]


def test_loader_of_the_training_has_shared_memory():
    """Apply the patch by hand to what a worker pod looks like: `user` is container 0."""
    pod = {"volumes": [{"name": "pach-bin"}], "containers": [{"volumeMounts": []}, {"volumeMounts": []}]}
    for operation in json.loads(SPECS["music-transformer"]["pod_patch"]):
        assert operation["op"] == "add"
        *steps, end = operation["path"].strip("/").split("/")
        assert end == "-"
        target = pod
        for step in steps:
            target = target[int(step) if step.isdigit() else step]
        target.append(operation["value"])
    volume, mount = pod["volumes"][-1], pod["containers"][0]["volumeMounts"][-1]
    assert volume["emptyDir"]["medium"] == "Memory"
    assert mount == {"name": volume["name"], "mountPath": "/dev/shm"}


@pytest.mark.parametrize("name", SPECS)
def test_workers_rest_between_jobs_and_per_song_stages_have_several(name):
    spec = SPECS[name]
    assert spec["autoscaling"] is True
    per_song = any(pfs["glob"] == "/*" for pfs in inputs_of(spec))
    assert (spec.get("parallelism_spec", {}).get("constant", 1) > 1) == per_song
