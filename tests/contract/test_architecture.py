"""The import table of docs/architecture.md, held as data."""

import ast
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("ambient", "localpach")

SOUND = (
    "ambient.sound.*",
    "ambient.character",
    "ambient.errors",
    "ambient.notes",
    "ambient.midi",
    "ambient.audio",
    "numpy",
)

PROGRAMS = ("ambient.deployment", "ambient.stages", "ambient.studio")  # not part of the library that is `ambient.*`
# module pattern -> what it may import at the top or inside functions, besides the standard library.
# The first pattern that fits a module counts.
MAY_IMPORT = {
    "ambient": (),
    "ambient.__main__": (),
    "ambient.errors": (),
    "ambient.folders": (),
    "ambient.processes": (),
    "ambient.program": ("ambient.errors", "ambient.folders", "ambient.processes"),
    "ambient.shipped": (),
    "ambient.names": ("ambient.folders",),
    "ambient.framework": ("ambient.native_messages",),
    "ambient.native_messages": (),
    "ambient.piece_settings": ("ambient.notes",),
    "ambient.notes": ("numpy",),
    "ambient.character": ("ambient.notes", "numpy"),
    "ambient.beat": ("ambient.notes", "numpy"),
    "ambient.model_folder": ("ambient.errors", "numpy", "safetensors*"),
    "ambient.smf_track": (),
    "ambient.smf": ("ambient.errors", "ambient.names", "ambient.smf_track"),
    "ambient.midi": ("ambient.errors", "ambient.notes", "ambient.smf", "ambient.smf_track"),
    "ambient.midi_set": ("ambient.errors",),
    "ambient.tags": (),
    "ambient.mp3_frames": ("ambient.tags",),
    "ambient.without_sound": ("ambient.tags",),
    "ambient.wav_header": ("numpy",),
    "ambient.file_ends": ("ambient.wav_header",),
    "ambient.ffmpeg_words": ("ambient.file_ends", "ambient.mp3_frames", "ambient.tags"),
    "ambient.downmix": ("numpy",),
    "ambient.audio": (
        "ambient.errors",
        "ambient.downmix",
        "ambient.ffmpeg_words",
        "ambient.tags",
        "ambient.wav_header",
        "ambient.without_sound",
        "numpy",
        "ffmpeg",
        "imageio_ffmpeg",
    ),
    "ambient.stages": (),
    "ambient.stages.regenerate": ("ambient.stages.generate", "ambient.*"),
    "ambient.stages.*": ("ambient.*", "numpy"),
    "ambient.sound": (),
    "ambient.sound.preset": ("ambient.errors",),
    "ambient.sound.plain_room": ("numpy",),
    "ambient.sound.soundfont": (*SOUND, "ambient.native_messages", "midirenderer", "soxr"),
    "ambient.sound.pictures": (*SOUND, "PIL*"),
    "ambient.sound.plugin": (*SOUND, "pedalboard"),
    "ambient.sound.*": SOUND,
    "ambient.transcribers": (),
    "ambient.transcribers.level": ("numpy",),
    "ambient.transcribers.recording": (
        "ambient.errors",
        "ambient.downmix",
        "ambient.transcribers.level",
        "ambient.wav_header",
        "numpy",
    ),
    "ambient.transcribers.resampling": ("ambient.transcribers.recording", "numpy"),
    "ambient.transcribers.tuning": ("ambient.transcribers.recording", "numpy"),
    "ambient.transcribers.transcription": ("ambient.notes", "ambient.transcribers.tuning"),
    "ambient.transcribers.basic_pitch_notes": ("numpy",),
    "ambient.transcribers.onnx_session": ("ambient.errors", "numpy", "onnxruntime"),
    "ambient.transcribers.basic_pitch": ("ambient.transcribers.*", "ambient.errors", "ambient.notes", "numpy"),
    "ambient.transcribers.transkun": (
        "ambient.transcribers.*",
        "ambient.errors",
        "ambient.notes",
        "numpy",
        "torch",
        "transkun*",
    ),
    "ambient.onsets_and_frames.onnx_graph": ("ambient.protobuf", "numpy"),
    "ambient.protobuf": (),
    "ambient.checksum": ("numpy",),
    "ambient.music_transformer.tfrecord": ("ambient.checksum", "ambient.protobuf", "numpy"),
    "ambient.music_transformer.arithmetic": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.layers": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.model": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.training": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer*": ("ambient.*", "numpy"),
    "ambient.onsets_and_frames.metrics": ("ambient.*", "numpy", "mir_eval*"),
    "ambient.onsets_and_frames.judge_training": ("ambient.*", "numpy", "keras"),
    "ambient.onsets_and_frames.model": ("ambient.*", "numpy", "keras"),
    "ambient.onsets_and_frames.training": ("ambient.*", "numpy", "keras"),
    "ambient.onsets_and_frames*": ("ambient.*", "numpy"),
    "localpach.spec.yaml_text": ("localpach*", "yaml"),
    "ambient.deployment.schema_check": ("betterproto",),
    "ambient.deployment.pachd*": ("ambient.deployment.*", "grpc", "pachyderm_sdk*"),
    "ambient.deployment.template": ("ambient.deployment.*", "_jsonnet"),
    "ambient.deployment.songs": ("ambient.deployment.*", "ambient.names", "ambient.folders", "ambient.errors"),
    "ambient.deployment.program": ("ambient.deployment.*", "ambient.program", "ambient.shipped"),
    "ambient.deployment*": ("ambient.deployment.*", "ambient.shipped"),
    "localpach.spec.jsonnet_text": ("localpach*", "_jsonnet"),
    "localpach.serving.wire": ("localpach*", "betterproto*", "grpc", "pachyderm_sdk*"),
    "localpach*": ("localpach*",),
    "ambient.studio": (),
    "ambient.studio.store": ("ambient.shipped", "localpach*"),
    "ambient.studio.events": (),
    "ambient.studio.security": (),
    "ambient.studio.services.score": ("ambient.*", "music21*"),
    "ambient.studio.services*": (
        "ambient.studio.services*",
        "ambient.studio.store",
        "ambient.studio.events",
        "ambient.*",
        "numpy",
    ),
    "ambient.studio.worker": ("ambient.studio.services*", "ambient.stages.generate", "ambient.*"),
    "ambient.studio.routes*": (
        "ambient.studio.routes*",
        "ambient.studio.services*",
        "ambient.studio.store",
        "fastapi*",
        "pydantic",
    ),
    "ambient.studio.app": ("ambient.studio.*", "ambient.errors", "fastapi*", "starlette*"),
    "ambient.studio.__main__": ("ambient.studio.*", "ambient.program", "uvicorn"),
}
# The rooms of localpach in the order of the way that data goes: each may import from those behind it.
ROOMS = ("cli", "serving", "actions", "running", "planning", "storage", "spec")
FORMER_PLACES = ("addresses", "store")  # aliases of modules that moved, until release 0.3
ALIASES = {f"localpach.{name}" for name in FORMER_PLACES}
# library -> the one file, or folder, of each package that opens it; numpy and keras are everywhere they are allowed.
DOORS = {
    "ffmpeg": "src/ambient/audio.py",
    "imageio_ffmpeg": "src/ambient/audio.py",
    "midirenderer": "src/ambient/sound/soundfont.py",
    "soxr": "src/ambient/sound/soundfont.py",
    "PIL": "src/ambient/sound/pictures.py",
    "music21": "src/ambient/studio/services/score.py",
    "pedalboard": "src/ambient/sound/plugin.py",
    "yaml": "src/localpach/spec/yaml_text.py",
    "mir_eval": "src/ambient/onsets_and_frames/metrics.py",
    "onnxruntime": "src/ambient/transcribers/onnx_session.py",
    "torch": "src/ambient/transcribers/transkun.py",
    "transkun": "src/ambient/transcribers/transkun.py",
    "pachyderm_sdk": "src/ambient/deployment/pachd src/localpach/serving/wire.py",
    "grpc": "src/ambient/deployment/pachd src/localpach/serving/wire.py",
    "betterproto": "src/ambient/deployment/schema_check.py src/localpach/serving/wire.py",
    "_jsonnet": "src/ambient/deployment/template.py src/localpach/spec/jsonnet_text.py",
}


def python_files():
    found = {}
    for folder, begin in ((ROOT / "src", ""), (ROOT / "stages", "ambient.stages.")):
        for path in sorted(folder.rglob("*.py")):  # it follows no link
            name = begin + ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports_of(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module in OURS or node.module in PACKAGES:
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
            else:
                names.add(node.module)
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


PACKAGES = {*PROGRAMS, "ambient.onsets_and_frames", "ambient.music_transformer", "ambient.transcribers"}
PACKAGES |= {f"localpach.{room}" for room in ROOMS}
FILES = python_files()


def allowed(module, imported):
    patterns = next(table for pattern, table in MAY_IMPORT.items() if fnmatch(module, pattern))
    if imported.startswith(PROGRAMS):
        patterns = [p for p in patterns if p != "ambient.*"]
    return any(fnmatch(imported, p) or imported.startswith(p + ".") for p in patterns)


def test_every_package_was_found():
    assert {"ambient.notes", "ambient.stages.train", "localpach"} <= FILES.keys()
    assert len(FILES) > 20


@pytest.mark.parametrize("module", sorted(FILES))
def test_module_imports_only_what_its_row_allows(module):
    wrong = [name for name in sorted(imports_of(FILES[module])) if not allowed(module, name)]
    assert not wrong


def room_of(module):
    """The floor of a localpach module: its place in ROOMS; the errors are below the lowest."""
    parts = module.split(".")
    if module == "localpach.__main__":
        return 0
    return ROOMS.index(parts[1]) if parts[1] in ROOMS else len(ROOMS)


@pytest.mark.parametrize("module", sorted(m for m in FILES if m.startswith("localpach.") and m not in ALIASES))
def test_room_of_localpach_imports_from_its_own_room_and_those_below(module):
    upward = [
        name
        for name in sorted(imports_of(FILES[module]))
        if name.startswith("localpach.") and room_of(name) < room_of(module)
    ]
    assert not upward


def test_no_module_of_localpach_stands_outside_the_rooms():
    outside = {"__main__", "errors", *FORMER_PLACES}
    assert {m.split(".")[1] for m in FILES if m.startswith("localpach.")} == {*outside, *ROOMS}


def test_localpach_names_no_program_and_no_pipeline_of_this_repository():
    scripts = {path.name for folder in ("scripts", "benchmarks") for path in (ROOT / folder).iterdir() if path.suffix}
    stages = {f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py")}
    texts = {module: FILES[module].read_text() for module in FILES if module.startswith("localpach")}
    assert len(texts) > 60
    assert [(module, word) for module in texts for word in scripts | stages if word in texts[module]] == []


@pytest.mark.parametrize("module", sorted(m for m in FILES if m.startswith("ambient.") and not m.startswith(PROGRAMS)))
def test_the_two_models_do_not_import_each_other(module):
    other = {"onsets_and_frames": "music_transformer", "music_transformer": "onsets_and_frames"}
    package = module.split(".")[1]
    forbidden = [f"ambient.{other[package]}"] if package in other else [f"ambient.{name}" for name in other]
    assert not [n for n in imports_of(FILES[module]) if any(n.startswith(f) for f in forbidden)]


@pytest.mark.parametrize("module", sorted(m for m in FILES if m.startswith("ambient.stages.")))
def test_stage_imports_nothing_heavy_before_it_runs(module):
    light = ("ambient.program", "ambient.shipped", "ambient.errors", "ambient.names", "ambient.folders")
    top = imports_of(FILES[module], top_level_only=True)
    assert not [
        name for name in top if not name.startswith(light) and not name.endswith(".config") and ".config." not in name
    ]


@pytest.mark.parametrize("module", sorted(FILES))
def test_each_library_has_one_door(module):
    for library, doors in DOORS.items():
        users = [name for name in imports_of(FILES[module]) if name.split(".")[0] == library]
        own = {FILES[module], FILES[module].parent}
        assert not users or own & {ROOT / door for door in doors.split()}
