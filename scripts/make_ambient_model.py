"""Make an ambient composer: the base, fine-tuned by the pipelines themselves on free ambient recordings.

    python3 scripts/make_ambient_model.py RECORDINGS --credit TEXT --work SCRATCH_FOLDER

RECORDINGS is a folder of more recordings; `--credit` names who made them. The albums below come from
Debian's packages, fetched and unpacked, not installed, by `apt-get download` and `dpkg-deb`, which must be there. All
songs go into a localpach store in the scratch folder, through the specs of `pipelines/` up to the model, and the model
folder is copied to `trained-models/`, with where its music comes from on its card. A run that was stopped goes on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from ambient.names import AUDIO_SUFFIXES
from ambient.program import files_below, log
from ambient.shipped import SHIPPED_MODELS

ROOT = Path(__file__).resolve().parent.parent
SPECS = ("audio-processed", "mp3-to-wav", "midi", "transformer-preprocess", "music-transformer-cpu")
NAME = "ambient-music-transformer"


class Album(NamedTuple):
    """Free music that a Debian package holds.

    Attributes:
        package: Name of the package.
        files: The recordings in it, as a pattern of paths.
        left_out: Names of files under other terms.
        credit: Who made them, and the licence.
    """

    package: str
    files: str
    left_out: tuple[str, ...]
    credit: str


ALBUMS = (
    Album(
        "warzone2100-music",
        "usr/share/games/warzone2100/music/albums/aftermath_soundtrack/*.opus",
        ("track3_enhanced.opus",),
        "*Warzone 2100: Aftermath Soundtrack* by LupusMechanicus, CC BY-SA 3.0",
    ),
    Album(
        "hyperrogue-music",
        "usr/share/hyperrogue/music/*.ogg",
        (),
        "the music of *HyperRogue* by Shawn Parrotte, Lincoln Domina and Will Savino, CC BY-SA 3.0",
    ),
)
CARD = """
## Music

The base was fine-tuned on transcriptions of {songs} recordings, {minutes:.0f} minutes:

{credits}

The weights are shared under CC BY-SA 3.0. Made with

    python3 scripts/make_ambient_model.py RECORDINGS --credit TEXT --work SCRATCH_FOLDER
"""


def main() -> int:
    """Fetch, run the pipelines, copy the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, help="folder of recordings beside the albums")
    parser.add_argument("--credit", required=True, help="who made them and under which licence, for the card")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder: packages, songs, localpach store")
    parser.add_argument("--save_path", type=Path, default=SHIPPED_MODELS / NAME, help="(%(default)s)")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    songs = arguments.work / "songs"
    if not songs.exists():
        gather(arguments.recordings, arguments.work, songs)
    run_pipelines(songs, arguments.work)
    music = "\n".join(f"- {credit}" for credit in (arguments.credit, *(album.credit for album in ALBUMS)))
    copy_model(arguments.work / "model", arguments.save_path, music)
    return 0


def gather(recordings: Path, work: Path, songs: Path) -> None:
    """Put links to all recordings into one folder, which appears when it is complete."""
    partial = songs.with_name(f".{songs.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    found = files_below(recordings, AUDIO_SUFFIXES)
    for album in ALBUMS:
        unpacked = work / album.package
        if not unpacked.exists():
            run(["apt-get", "download", album.package], cwd=work)
            run(["dpkg-deb", "-x", next(work.glob(f"{album.package}_*.deb")).name, album.package], cwd=work)
        found += [path for path in sorted(unpacked.glob(album.files)) if path.name not in album.left_out]
    for path in found:
        (partial / path.name).symlink_to(path.resolve())
    partial.rename(songs)


def run_pipelines(songs: Path, work: Path) -> None:
    """Put the songs, create the pipelines up to the model, and get the model folder."""
    localpach = [sys.executable, "-m", "localpach"]
    environment = os.environ | {"LOCALPACH_STATE": str((work / "store").resolve())}
    if not (work / "store").exists():
        run([*localpach, "create", "repo", "audio-unprocessed"], cwd=ROOT, env=environment)
    # A spec that is unchanged and songs that are there already cost nothing: this goes on where it was stopped.
    run([*localpach, "put", "file", "-r", "audio-unprocessed@master:/", "-f", str(songs.resolve())], ROOT, environment)
    specs = [word for name in SPECS for word in ("-f", f"pipelines/{name}.json")]
    run([*localpach, "update", "pipeline", *specs], cwd=ROOT, env=environment)
    target = work / "model"
    shutil.rmtree(target, ignore_errors=True)
    run([*localpach, "get", "file", "-r", "music-transformer@master:/", "-o", str(target.resolve())], ROOT, environment)


def copy_model(model: Path, target: Path, credit: str) -> None:
    """Copy a model folder and say on its card where the music comes from."""
    record = json.loads((model / "training.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    for path in model.iterdir():
        shutil.copy2(path, target / path.name)
    card = target / "README.md"
    music = CARD.format(songs=record["data"]["songs"], minutes=record["data"]["minutes"], credits=credit)
    card.write_text(card.read_text().rstrip() + "\n" + music)
    log(f"{target}: {record['held_out']}")


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run a program and stop if it fails."""
    log(" ".join(command))
    if code := subprocess.run(command, cwd=cwd, env=env, check=False).returncode:
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
