"""The import table of docs/architecture.md, held as data."""

import ast
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("ambient", "deployment", "localpach", "stages")

SOUND = (
    "ambient.sound.*",
    "ambient.character",
    "ambient.errors",
    "ambient.notes",
    "ambient.midi",
    "ambient.audio",
    "numpy",
)

# module pattern -> what it may import at the top or inside functions, besides the standard library.
# The first pattern that fits a module counts.
MAY_IMPORT = {
    "ambient": (),
    "ambient.errors": (),
    "ambient.folders": (),
    "ambient.names": ("ambient.folders",),
    "ambient.framework": ("ambient.native_messages",),
    "ambient.native_messages": (),
    "ambient.piece_settings": ("ambient.notes",),
    "ambient.notes": ("numpy",),
    "ambient.character": ("ambient.notes", "numpy"),
    "ambient.model_folder": ("ambient.errors", "numpy", "safetensors*"),
    "ambient.smf_track": (),
    "ambient.smf": ("ambient.errors", "ambient.smf_track"),
    "ambient.midi": ("ambient.errors", "ambient.notes", "ambient.smf", "ambient.smf_track"),
    "ambient.tags": (),
    "ambient.mp3_frames": ("ambient.tags",),
    "ambient.without_sound": ("ambient.tags",),
    "ambient.wav_header": ("numpy",),
    "ambient.file_ends": ("ambient.wav_header",),
    "ambient.ffmpeg_words": ("ambient.file_ends", "ambient.mp3_frames", "ambient.tags"),
    "ambient.downmix": ("numpy",),
    "ambient.level": ("numpy",),
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
    "ambient.sound": (),
    "ambient.sound.preset": ("ambient.errors",),
    "ambient.sound.plain_room": ("numpy",),
    "ambient.sound.soundfont": (*SOUND, "ambient.native_messages", "midirenderer", "soxr"),
    "ambient.sound.pictures": (*SOUND, "matplotlib*"),
    "ambient.sound.plugin": (*SOUND, "pedalboard"),
    "ambient.sound.*": SOUND,
    "ambient.recording": ("ambient.errors", "ambient.downmix", "ambient.level", "ambient.wav_header", "numpy"),
    "ambient.resampling": ("ambient.recording", "numpy"),
    "ambient.tuning": ("ambient.recording", "numpy"),
    "ambient.transcription": ("ambient.notes", "ambient.tuning"),
    "ambient.basic_pitch_notes": ("numpy",),
    "ambient.onnx_session": ("ambient.errors", "numpy", "onnxruntime"),
    "ambient.onnx_graph": ("ambient.protobuf", "numpy"),
    "ambient.protobuf": (),
    "ambient.checksum": ("numpy",),
    "ambient.basic_pitch": ("ambient.*", "numpy"),
    "ambient.transkun": ("ambient.*", "numpy", "torch", "transkun*"),
    "ambient.music_transformer.tfrecord": ("ambient.checksum", "ambient.protobuf", "numpy"),
    "ambient.music_transformer.arithmetic": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.layers": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.model": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer.training": ("ambient.*", "numpy", "keras"),
    "ambient.music_transformer*": ("ambient.*", "numpy"),
    "ambient.onsets_and_frames.metrics": ("ambient.*", "numpy", "mir_eval*"),
    "ambient.onsets_and_frames.model": ("ambient.*", "numpy", "keras"),
    "ambient.onsets_and_frames.training": ("ambient.*", "numpy", "keras"),
    "ambient.onsets_and_frames*": ("ambient.*", "numpy"),
    "localpach.yaml_text": ("localpach*", "yaml"),
    "deployment.strict": ("betterproto",),
    "deployment.pachd": ("deployment.*", "grpc", "pachyderm_sdk*"),
    "deployment.template": ("deployment.*", "_jsonnet"),
    "deployment.songs": ("deployment.*", "ambient.names", "ambient.folders", "ambient.errors"),
    "deployment*": ("deployment.*",),
    "localpach*": ("localpach*",),
    "stages": (),
    "stages.common": ("ambient.errors", "ambient.folders"),
    "stages.*": ("stages.common", "ambient.*", "numpy"),
}
# library -> the one file that opens it; numpy and keras are everywhere they are allowed.
DOORS = {
    "ffmpeg": "src/ambient/audio.py",
    "imageio_ffmpeg": "src/ambient/audio.py",
    "midirenderer": "src/ambient/sound/soundfont.py",
    "soxr": "src/ambient/sound/soundfont.py",
    "matplotlib": "src/ambient/sound/pictures.py",
    "pedalboard": "src/ambient/sound/plugin.py",
    "yaml": "src/localpach/yaml_text.py",
    "mir_eval": "src/ambient/onsets_and_frames/metrics.py",
    "onnxruntime": "src/ambient/onnx_session.py",
    "torch": "src/ambient/transkun.py",
    "transkun": "src/ambient/transkun.py",
    "pachyderm_sdk": "src/deployment/pachd.py",
    "grpc": "src/deployment/pachd.py",
    "betterproto": "src/deployment/strict.py",
    "_jsonnet": "src/deployment/template.py",
}


def python_files():
    found = {}
    for folder, package_root in ((ROOT / "src", ROOT / "src"), (ROOT / "stages", ROOT)):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(package_root).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


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


PACKAGES = {"ambient.onsets_and_frames", "ambient.music_transformer"}
FILES = python_files()


def allowed(module, imported):
    patterns = next(table for pattern, table in MAY_IMPORT.items() if fnmatch(module, pattern))
    return any(fnmatch(imported, p) or imported.startswith(p + ".") for p in patterns)


def test_every_package_was_found():
    assert {"ambient.notes", "localpach", "stages.common"} <= FILES.keys()
    assert len(FILES) > 20


@pytest.mark.parametrize("module", sorted(FILES))
def test_module_imports_only_what_its_row_allows(module):
    wrong = [name for name in sorted(imports_of(FILES[module])) if not allowed(module, name)]
    assert not wrong


@pytest.mark.parametrize("module", sorted(m for m in FILES if fnmatch(m, "localpach.*")))
def test_what_localpach_does_knows_nothing_of_its_command_line(module):
    if module != "localpach.__main__" and not fnmatch(module, "localpach.cli*"):
        assert not [name for name in imports_of(FILES[module]) if fnmatch(name, "localpach.cli*")]


@pytest.mark.parametrize("module", sorted(m for m in FILES if m.startswith("ambient.")))
def test_the_two_models_do_not_import_each_other(module):
    other = {"onsets_and_frames": "music_transformer", "music_transformer": "onsets_and_frames"}
    package = module.split(".")[1]
    forbidden = [f"ambient.{other[package]}"] if package in other else [f"ambient.{name}" for name in other]
    assert not [n for n in imports_of(FILES[module]) if any(n.startswith(f) for f in forbidden)]


@pytest.mark.parametrize("module", sorted(m for m in FILES if m.startswith("stages.")))
def test_stage_imports_nothing_heavy_before_it_runs(module):
    light = ("stages.common", "ambient.errors", "ambient.names", "ambient.folders")
    top = imports_of(FILES[module], top_level_only=True)
    assert not [
        name for name in top if not name.startswith(light) and not name.endswith(".config") and ".config." not in name
    ]


@pytest.mark.parametrize("module", sorted(FILES))
def test_each_library_has_one_door(module):
    for library, door in DOORS.items():
        users = [name for name in imports_of(FILES[module]) if name.split(".")[0] == library]
        assert not users or FILES[module] == ROOT / door
